-- The splits that the lake knows, of each the report that counts.
--
-- parameters
--   first         date           first session, YYYY-MM-DD
--   last          date           last session, YYYY-MM-DD
--   tickers       varchar list   symbols as traded
--   as_of         timestamp      only what the lake knew at this moment, such as 2026-11-20T12:00-05:00
-- columns
--   ticker        varchar        symbol that the bars before the split are stored under
--   session       varchar        first session at the new price, YYYY-MM-DD in exchange time
--   ratio         double         new shares for one old share: 10.0 for 10:1, 0.125 for the reverse split 1:8
--   source        varchar        who reported it, such as yahoo or manual
--
-- A split that was revoked is left out.
WITH
-- include: splits
SELECT ticker, ex_date AS session, ratio, source
FROM splits
WHERE place = 1
    AND ratio <> 1
    AND ex_date BETWEEN %(first)s AND %(last)s
    AND ('*' IN %(tickers)s OR ticker IN %(tickers)s)
ORDER BY ticker, ex_date

-- The tickers in the lake, with their first and last session.
--
-- parameters
--   first          date           first session, YYYY-MM-DD
--   last           date           last session, YYYY-MM-DD
--   tickers        varchar list   symbols as traded
-- columns
--   ticker         varchar        symbol as traded that day
--   first_session  varchar        earliest session with a bar, YYYY-MM-DD
--   last_session   varchar        latest session with a bar, YYYY-MM-DD
--   sessions       bigint         sessions with at least one bar
SELECT
    ticker,
    min(dt) AS first_session,
    max(dt) AS last_session,
    count(DISTINCT dt) AS sessions
FROM bars
WHERE dt BETWEEN %(first)s AND %(last)s
    AND ('*' IN %(tickers)s OR ticker IN %(tickers)s)
GROUP BY ticker
ORDER BY ticker

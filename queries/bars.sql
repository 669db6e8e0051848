-- Every bar, once: of a bar's records, the one collected last.
--
-- parameters
--   first         date           first session, YYYY-MM-DD
--   last          date           last session, YYYY-MM-DD
--   tickers       varchar list   symbols as traded
-- columns
--   ticker        varchar        symbol as traded that day
--   session       varchar        session, YYYY-MM-DD in exchange time
--   ts            timestamp      start of the bar, UTC
--   bar_minutes   integer        length of the bar, minutes
--   open          double         first price, USD; null if the source gave none
--   high          double         highest price, USD
--   low           double         lowest price, USD
--   close         double         last price, USD; null if the source gave none
--   volume        bigint         shares traded; null if the source gave none, 0 if none were traded
--   source        varchar        where the record comes from, such as yahoo or recorded
--   collected_at  timestamp      when the record was collected, UTC
WITH
ranked AS (
    SELECT
        *,
        -- Records with the same collected_at are repeats of one delivery; the prices only make the choice stable.
        row_number() OVER (
            PARTITION BY ticker, bar_minutes, ts
            ORDER BY collected_at DESC, high DESC, low DESC
        ) AS age
    FROM bars
    WHERE dt BETWEEN %(first)s AND %(last)s
        AND ('*' IN %(tickers)s OR ticker IN %(tickers)s)
)
SELECT
    ticker,
    dt AS session,
    ts,
    bar_minutes,
    open,
    high,
    low,
    close,
    volume,
    source,
    collected_at
FROM ranked
WHERE age = 1
ORDER BY session, ticker, ts, bar_minutes

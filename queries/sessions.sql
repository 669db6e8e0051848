-- The sessions of each exchange in the lake: how many tickers and records, from which source, and when collected.
--
-- parameters
--   first         date           first session, YYYY-MM-DD
--   last          date           last session, YYYY-MM-DD
--   tickers       varchar list   symbols as traded
--   as_of         timestamp      only what the lake knew at this moment, such as 2026-11-20T12:00-05:00
-- columns
--   session       varchar        session, YYYY-MM-DD in exchange time
--   exchange      varchar        exchange, such as XNYS
--   tickers       bigint         tickers with at least one bar
--   records       bigint         records stored, repeats and restatements included
--   sources       varchar        where the records come from, such as yahoo or recorded
--   first_ts      timestamp      start of the earliest bar, UTC
--   last_ts       timestamp      start of the latest bar, UTC
--   collected_at  timestamp      when the latest record was collected, UTC
--
-- Withdrawn bars are included: this is what the lake stores, not what is in force.
WITH
stored AS (
    SELECT
        dt,
        exchange,
        ticker,
        source,
        count(*) AS records,
        min(ts) AS first_ts,
        max(ts) AS last_ts,
        max(collected_at) AS collected_at
    FROM bars
    WHERE dt BETWEEN %(first)s AND %(last)s
        AND ('*' IN %(tickers)s OR ticker IN %(tickers)s)
        AND collected_at <= CAST(%(as_of)s AS timestamp)
        AND high < 1e300
    GROUP BY dt, exchange, ticker, source
)
SELECT
    dt AS session,
    exchange,
    count(DISTINCT ticker) AS tickers,
    CAST(sum(records) AS bigint) AS records,
    array_join(array_agg(DISTINCT source ORDER BY source), ', ') AS sources,
    min(first_ts) AS first_ts,
    max(last_ts) AS last_ts,
    max(collected_at) AS collected_at
FROM stored
GROUP BY dt, exchange
ORDER BY session, exchange

-- One row per ticker and session: open, high, low, close and volume.
--
-- parameters
--   first         date           first session, YYYY-MM-DD
--   last          date           last session, YYYY-MM-DD
--   tickers       varchar list   symbols as traded
-- columns
--   ticker        varchar        symbol as traded that day
--   session       varchar        session, YYYY-MM-DD in exchange time
--   open          double         first price of the earliest bar that has one, USD
--   high          double         greatest high, USD
--   low           double         least low, USD
--   close         double         last price of the latest bar that has one, USD
--   volume        bigint         shares traded, of the bars that have a volume
--   bars          bigint         number of bars, each counted once
--   bar_minutes   integer        length of these bars, minutes
--   first_ts      timestamp      start of the earliest bar, UTC
--   last_ts       timestamp      start of the latest bar, UTC
--   sources       varchar        where the bars come from, such as yahoo or recorded
--   collected_at  timestamp      when the latest of these records was collected, UTC
--
-- Of a bar's records, the one collected last counts. If a session is stored in several bar sizes, high and low
-- cover all of them and everything else the finest, so that no volume counts twice.
WITH
ranked AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY ticker, bar_minutes, ts
            ORDER BY collected_at DESC, high DESC, low DESC
        ) AS age,
        min(bar_minutes) OVER (PARTITION BY ticker, dt) AS finest_minutes
    FROM bars
    WHERE dt BETWEEN %(first)s AND %(last)s
        AND ('*' IN %(tickers)s OR ticker IN %(tickers)s)
)
SELECT
    ticker,
    dt AS session,
    min_by(open, ts) FILTER (WHERE bar_minutes = finest_minutes AND open IS NOT NULL) AS open,
    max(high) AS high,
    min(low) AS low,
    max_by(close, ts) FILTER (WHERE bar_minutes = finest_minutes AND close IS NOT NULL) AS close,
    sum(volume) FILTER (WHERE bar_minutes = finest_minutes) AS volume,
    count(*) FILTER (WHERE bar_minutes = finest_minutes) AS bars,
    min(finest_minutes) AS bar_minutes,
    min(ts) FILTER (WHERE bar_minutes = finest_minutes) AS first_ts,
    max(ts) FILTER (WHERE bar_minutes = finest_minutes) AS last_ts,
    array_join(array_agg(DISTINCT source ORDER BY source), ', ') AS sources,
    max(collected_at) AS collected_at
FROM ranked
WHERE age = 1
GROUP BY ticker, dt
ORDER BY session, ticker

-- Each ticker's session in one row: where it opened, how far it went, where it stands, how much was traded.
--
-- parameters
--   first         date           first session, YYYY-MM-DD
--   last          date           last session, YYYY-MM-DD
--   tickers       varchar list   tickers to read; '*' among them stands for all
-- columns
--   ticker        varchar        symbol as traded that day
--   session       varchar        session, YYYY-MM-DD in exchange time
--   open          double         first price of the earliest bar that has one, USD
--   high          double         greatest high, USD
--   low           double         least low, USD
--   close         double         last price of the latest bar that has one, USD
--   volume        bigint         shares traded, of the bars that say so
--   bars          bigint         bars, each counted once
--   bar_minutes   integer        length of these bars, minutes
--   first_ts      timestamp      start of the earliest bar, UTC
--   last_ts       timestamp      start of the latest bar, UTC
--   sources       varchar        where they came from: yahoo, simulated, recorded
--   collected_at  timestamp      when the latest record in force was collected, UTC
--
-- Of the records of a bar the one collected last counts. Where a session is stored at several bar sizes, high and
-- low are of all of them, everything else of the finest: volumes of both would be counted twice.
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

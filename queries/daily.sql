-- One row per ticker and session: open, high, low, close and volume.
--
-- parameters
--   first         date           first session, YYYY-MM-DD
--   last          date           last session, YYYY-MM-DD
--   tickers       varchar list   symbols as traded
--   as_of         timestamp      only what the lake knew at this moment, such as 2026-11-20T12:00-05:00
--   sources       varchar        sources in order of preference: ',yahoo,recorded,'
--   basis         varchar        basis of prices and volumes: latest or as-traded; default latest
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
-- If a ticker's session is stored in several bar sizes, the finest answers. The bars are those of the query bars.
WITH
-- include: splits,
-- include: hours,
-- include: given,
parts AS (
    SELECT ticker, dt, bar_minutes, open, high, low, close, volume, records, first_ts, last_ts, source, collected_at
    FROM hours
    WHERE settled AND source = last_source
    UNION ALL
    SELECT ticker, dt, bar_minutes, open, high, low, close, volume, 1, ts, ts, source, collected_at
    FROM given
    WHERE choice = 1
),
sizes AS (
    SELECT
        ticker,
        dt AS session,
        min_by(open, first_ts) FILTER (WHERE open IS NOT NULL) AS open,
        max(high) AS high,
        min(low) AS low,
        max_by(close, last_ts) FILTER (WHERE close IS NOT NULL) AS close,
        CAST(sum(volume) AS bigint) AS volume,
        CAST(sum(records) AS bigint) AS bars,
        bar_minutes,
        min(first_ts) AS first_ts,
        max(last_ts) AS last_ts,
        array_join(array_agg(DISTINCT source ORDER BY source), ', ') AS sources,
        max(collected_at) AS collected_at,
        min(bar_minutes) OVER (PARTITION BY ticker, dt) AS finest_minutes
    FROM parts
    GROUP BY ticker, dt, bar_minutes
)
SELECT
    ticker,
    session,
    open,
    high,
    low,
    close,
    volume,
    bars,
    bar_minutes,
    first_ts,
    last_ts,
    sources,
    collected_at
FROM sizes
WHERE bar_minutes = finest_minutes
ORDER BY session, ticker

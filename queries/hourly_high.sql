-- Each ticker's highest price in each hour of the session: one row per bar that reached it.
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
--   hour          integer        clock hour in exchange time, 9 to 15
--   high          double         greatest high of the hour's bars, USD
--   ts            timestamp      start of the bar that reached it, UTC
--   touch         bigint         1 for the earliest bar that reached it, then 2, 3 … for ties
--
-- Only bars that lie wholly inside one clock hour count, at the finest bar size that the ticker has in the session. Of
-- each bar, the latest record of the first source that has it counts, unless that source has withdrawn the bar.
WITH
-- include: splits,
-- include: hours,
-- As in the query bars, but without the columns that are not needed here: reading them is most of the work.
versions AS (
    SELECT
        b.ticker,
        b.dt,
        b.hour,
        b.bar_minutes,
        b.ts,
        b.high,
        b.source,
        b.collected_at,
        row_number() OVER (
            PARTITION BY b.ticker, b.dt, b.source, b.bar_minutes, b.ts
            ORDER BY b.collected_at DESC, b.high DESC NULLS LAST
        ) AS version
    FROM bars b
    JOIN hours h ON h.ticker = b.ticker AND h.dt = b.dt AND h.hour = b.hour AND h.bar_minutes = b.bar_minutes
    WHERE b.dt BETWEEN %(first)s AND %(last)s
        AND b.collected_at <= CAST(%(as_of)s AS timestamp)
        AND NOT h.settled
),
latest AS (
    SELECT
        v.*,
        row_number() OVER (
            PARTITION BY ticker, dt, bar_minutes, ts
            ORDER BY coalesce(nullif(strpos(%(sources)s, ',' || source || ','), 0), 1000000), source
        ) AS choice,
        min(bar_minutes) OVER (PARTITION BY ticker, dt) AS finest_minutes,
-- include: divisor
    FROM versions v
    WHERE version = 1 AND high < 1e300
),
candidates AS (
    SELECT
        ticker,
        dt,
        hour,
        if(divisor = 1, high, round(high / (divisor * 1e0), 6)) AS high,
        ts
    FROM latest
    WHERE choice = 1
        AND bar_minutes = finest_minutes
        AND extract(MINUTE FROM ts) + bar_minutes <= 60
),
ranked AS (
    SELECT
        *,
        rank() OVER (PARTITION BY ticker, dt, hour ORDER BY high DESC) AS place,
        row_number() OVER (PARTITION BY ticker, dt, hour ORDER BY high DESC, ts) AS touch
    FROM candidates
),
touches AS (
    SELECT ticker, dt AS session, hour, high, ts, 1 AS touch
    FROM hours
    WHERE settled
    UNION ALL
    SELECT ticker, dt, hour, high, ts, touch
    FROM ranked
    WHERE place = 1
)
SELECT ticker, session, hour, high, ts, touch
FROM touches
ORDER BY session, ticker, ts

-- Each ticker's highest price in each hour of the session: one row per bar that reached it.
--
-- parameters
--   first    date           first session, YYYY-MM-DD
--   last     date           last session, YYYY-MM-DD
--   tickers  varchar list   symbols as traded
-- columns
--   ticker   varchar        symbol as traded that day
--   session  varchar        session, YYYY-MM-DD in exchange time
--   hour     integer        clock hour in exchange time, 9 to 15
--   high     double         greatest high of the hour's bars, USD
--   ts       timestamp      start of the bar that reached it, UTC
--   touch    bigint         1 for the earliest bar that reached it, then 2, 3 … for ties
--
-- A bar may be stored more than once, because it was delivered twice or corrected by the vendor; the record
-- collected last counts. Finding it bar by bar is slow, so the query does so only in hours whose records were not
-- all collected at the same moment. If an hour is stored in several bar sizes, the finest that reaches the high
-- counts. Hours are UTC until the last step: New York is whole hours from UTC, so they are exchange hours too.
WITH
hours AS (
    SELECT
        ticker,
        date_trunc('hour', ts) AS utc_hour,
        max(high) AS high,
        min(collected_at) <> max(collected_at) AS collected_twice
    FROM bars
    WHERE dt BETWEEN %(first)s AND %(last)s
        AND ('*' IN %(tickers)s OR ticker IN %(tickers)s)
    GROUP BY ticker, date_trunc('hour', ts)
),
latest AS (
    SELECT
        b.ticker,
        h.utc_hour,
        b.ts,
        b.bar_minutes,
        max_by(b.high, b.collected_at) AS high
    FROM bars b
    JOIN hours h ON h.ticker = b.ticker AND h.utc_hour = date_trunc('hour', b.ts)
    WHERE b.dt BETWEEN %(first)s AND %(last)s
        AND h.collected_twice
    GROUP BY b.ticker, h.utc_hour, b.ts, b.bar_minutes
),
latest_hours AS (
    SELECT ticker, utc_hour, max(high) AS high
    FROM latest
    GROUP BY ticker, utc_hour
),
reached AS (
    SELECT b.ticker, h.utc_hour, h.high, b.ts, min(b.bar_minutes) AS bar_minutes
    FROM bars b
    JOIN hours h ON h.ticker = b.ticker AND h.utc_hour = date_trunc('hour', b.ts) AND h.high = b.high
    WHERE b.dt BETWEEN %(first)s AND %(last)s
        AND NOT h.collected_twice
    GROUP BY b.ticker, h.utc_hour, h.high, b.ts
    UNION ALL
    SELECT l.ticker, l.utc_hour, l.high, l.ts, min(l.bar_minutes) AS bar_minutes
    FROM latest l
    JOIN latest_hours h ON h.ticker = l.ticker AND h.utc_hour = l.utc_hour AND h.high = l.high
    GROUP BY l.ticker, l.utc_hour, l.high, l.ts
),
finest AS (
    SELECT
        ticker,
        CAST(utc_hour AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York' AS timestamp) AS exchange_hour,
        high,
        ts,
        bar_minutes,
        min(bar_minutes) OVER (PARTITION BY ticker, utc_hour) AS finest_minutes
    FROM reached
)
SELECT
    ticker,
    substr(CAST(exchange_hour AS varchar), 1, 10) AS session,
    CAST(extract(HOUR FROM exchange_hour) AS integer) AS hour,
    high,
    ts,
    row_number() OVER (PARTITION BY ticker, exchange_hour ORDER BY ts) AS touch
FROM finest
WHERE bar_minutes = finest_minutes
ORDER BY session, ticker, ts

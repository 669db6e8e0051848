-- Each ticker's highest price in each hour of the session: one row per bar that reached it.
--
-- parameters
--   first         date           first session, YYYY-MM-DD
--   last          date           last session, YYYY-MM-DD
--   tickers       varchar list   symbols as traded
--   as_of         timestamp      only what the lake knew at this moment, such as 2026-11-20T12:00-05:00
--   sources       varchar        sources in order of preference: ',yahoo,recorded,'
--   basis         varchar        basis of prices and volumes: latest or as-traded; default latest
--   settled       varchar        sessions that the table settled_hours answers: '2026-11-19,2026-11-20'
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
-- What compaction has worked out. It holds unless a split came later, or the ticker has several sources or bar sizes.
known AS (
    SELECT
        h.ticker,
        h.dt,
        h.hour,
        h.high,
        h.ts,
        h.touches,
        h.plain AND s.ticker IS NULL AS plain
    FROM settled_hours h
    LEFT JOIN (SELECT ticker, max(ex_date) AS ex_date FROM splits GROUP BY ticker) s
        ON s.ticker = h.ticker AND s.ex_date > h.dt
    WHERE h.dt BETWEEN %(first)s AND %(last)s
        AND strpos(%(settled)s, h.dt) > 0
        AND ('*' IN %(tickers)s OR h.ticker IN %(tickers)s)
),
unknown AS (
    SELECT ticker, dt
    FROM known
    WHERE NOT plain
    GROUP BY ticker, dt
),
counted AS (
    SELECT
        ticker,
        dt,
        hour,
        bar_minutes,
        count(*) AS records,
        bitwise_or_agg(bitwise_left_shift(CAST(1 AS bigint), CAST(extract(MINUTE FROM ts) AS integer))) AS minutes,
        max(high, 3) AS highs,
        max_by(ts, high, 2) AS starts
    FROM bars
    WHERE dt BETWEEN %(first)s AND %(last)s
        AND ('*' IN %(tickers)s OR ticker IN %(tickers)s)
        -- Engines do not read the column if the first part is true, as it is unless a moment was given.
        AND (%(as_of)s > '9999' OR collected_at <= CAST(%(as_of)s AS timestamp))
        AND strpos(%(settled)s, dt) = 0
    GROUP BY ticker, dt, hour, bar_minutes
),
mixed AS (
    SELECT ticker, dt
    FROM counted
    GROUP BY ticker, dt
    HAVING min(bar_minutes) <> max(bar_minutes)
),
-- An hour is settled if each bar has one record, at most two reached the high, all bars end within the hour, and neither
-- another bar size nor a later split matters. Most hours are; only the others are worked out bar by bar.
hours AS (
    SELECT
        c.ticker,
        c.dt,
        c.hour,
        c.bar_minutes,
        element_at(c.highs, 1) AS high,
        if(element_at(c.highs, 2) = element_at(c.highs, 1), 2, 1) AS touches,
        c.starts,
        c.records = bit_count(c.minutes, 64)
            AND element_at(c.highs, 1) < 1e300
            AND coalesce(element_at(c.highs, 3) < element_at(c.highs, 1), true)
            AND c.minutes < bitwise_left_shift(CAST(1 AS bigint), 61 - least(c.bar_minutes, 61))
            AND m.ticker IS NULL
            AND s.ticker IS NULL AS settled
    FROM counted c
    LEFT JOIN mixed m ON m.ticker = c.ticker AND m.dt = c.dt
    LEFT JOIN (SELECT ticker, max(ex_date) AS ex_date FROM splits GROUP BY ticker) s
        ON s.ticker = c.ticker AND s.ex_date > c.dt
),
-- As in the query bars, but without the columns that are not needed here: reading them is most of the work.
records AS (
    SELECT b.ticker, b.dt, b.hour, b.bar_minutes, b.ts, b.high, b.source, b.collected_at
    FROM bars b
    JOIN hours h ON h.ticker = b.ticker AND h.dt = b.dt AND h.hour = b.hour AND h.bar_minutes = b.bar_minutes
    WHERE b.dt BETWEEN %(first)s AND %(last)s
        AND strpos(%(settled)s, b.dt) = 0
        AND b.collected_at <= CAST(%(as_of)s AS timestamp)
        AND NOT h.settled
    UNION ALL
    SELECT b.ticker, b.dt, b.hour, b.bar_minutes, b.ts, b.high, b.source, b.collected_at
    FROM bars b
    JOIN unknown u ON u.ticker = b.ticker AND u.dt = b.dt
    WHERE b.dt BETWEEN %(first)s AND %(last)s
        AND strpos(%(settled)s, b.dt) > 0
        AND b.collected_at <= CAST(%(as_of)s AS timestamp)
),
versions AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY ticker, dt, source, bar_minutes, ts
            ORDER BY collected_at DESC, high DESC NULLS LAST
        ) AS version
    FROM records
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
    SELECT
        ticker,
        dt AS session,
        hour,
        high,
        element_at(if(touches = 1, starts, array_sort(starts)), t.touch) AS ts,
        t.touch
    FROM hours
    CROSS JOIN UNNEST(sequence(1, touches)) AS t (touch)
    WHERE settled
    UNION ALL
    SELECT ticker, dt, hour, high, ts, touch
    FROM ranked
    WHERE place = 1
    UNION ALL
    SELECT ticker, dt, hour, high, ts, 1
    FROM known
    WHERE plain
    UNION ALL
    SELECT
        ticker,
        dt,
        hour,
        high,
        ts + (t.later - extract(MINUTE FROM ts)) * INTERVAL '1' MINUTE,
        1 + row_number() OVER (PARTITION BY ticker, dt, hour ORDER BY t.later)
    FROM known
    CROSS JOIN UNNEST(sequence(0, 59)) AS t (later)
    WHERE plain
        AND bit_count(touches, 64) > 1
        AND t.later > extract(MINUTE FROM ts)
        AND bitwise_and(touches, bitwise_left_shift(CAST(1 AS bigint), CAST(t.later AS integer))) <> 0
)
SELECT ticker, session, hour, high, ts, touch
FROM touches
ORDER BY session, ticker, ts

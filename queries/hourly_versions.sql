-- What the lake has known of each clock hour over time: one row per ticker, session, hour and change.
--
-- parameters
--   first        date           first session, YYYY-MM-DD
--   last         date           last session, YYYY-MM-DD
--   tickers      varchar list   symbols as traded
--   as_of        timestamp      only what the lake knew at this moment, such as 2026-11-20T12:00-05:00
--   sources      varchar        sources in order of preference: ',yahoo,recorded,'
--   basis        varchar        basis of prices and volumes: latest or as-traded; default latest
-- columns
--   ticker       varchar        symbol as traded that day
--   session      varchar        session, YYYY-MM-DD in exchange time
--   hour         integer        clock hour in exchange time, 9 to 15
--   known_from   timestamp      from when on this was known, UTC; at least five minutes after the hour's end
--   open         double         first price of the hour's earliest bar that has one, USD
--   high         double         greatest high, USD; null if every bar was withdrawn
--   low          double         least low, USD
--   close        double         last price of the hour's latest bar that has one, USD
--   volume       bigint         shares traded, of the bars that have a volume
--   bars         bigint         number of bars, each counted once
--   bar_minutes  integer        length of these bars, minutes
--   last_ts      timestamp      start of the latest bar, UTC
--
-- The rows of an hour with the latest `known_from` are those of the query hourly. Forecasts learn from the others what
-- was known when. All are on the basis of the splits that are known as of then.
WITH
-- include: splits,
-- The records of an hour, and the first and the last moment at which something was learned of it.
counted AS (
    SELECT
        ticker,
        dt,
        hour,
        bar_minutes,
        min(bar_minutes) OVER (PARTITION BY ticker, dt) <> max(bar_minutes) OVER (PARTITION BY ticker, dt) AS has_sizes,
-- include: tallies,
        min(greatest(collected_at, date_trunc('hour', ts) + INTERVAL '65' MINUTE)) AS known_from,
        max(greatest(collected_at, date_trunc('hour', ts) + INTERVAL '65' MINUTE)) AS last_known_from
    FROM bars
    WHERE dt BETWEEN %(first)s AND %(last)s
        AND ('*' IN %(tickers)s OR ticker IN %(tickers)s)
        AND collected_at <= CAST(%(as_of)s AS timestamp)
    GROUP BY ticker, dt, hour, bar_minutes
),
-- An hour is settled if each bar has one record, with prices, all were known at once, all end within the hour, and
-- neither another source, another bar size nor a later split matters. The others are worked out bar by bar.
hours AS (
    SELECT
        c.*,
        c.records = bit_count(c.minutes, 64)
            AND c.records = c.priced
            AND c.known_from = c.last_known_from
            AND c.minutes < bitwise_left_shift(CAST(1 AS bigint), 61 - least(c.bar_minutes, 61))
            AND c.source = c.last_source
            AND NOT c.has_sizes
            AND s.ticker IS NULL AS settled
    FROM counted c
    LEFT JOIN (SELECT ticker, max(ex_date) AS ex_date FROM splits GROUP BY ticker) s
        ON s.ticker = c.ticker AND s.ex_date > c.dt
),
records AS (
    SELECT
        b.*,
        greatest(b.collected_at, date_trunc('hour', b.ts) + INTERVAL '65' MINUTE) AS known_from
    FROM bars b
    JOIN hours h ON h.ticker = b.ticker AND h.dt = b.dt AND h.hour = b.hour AND h.bar_minutes = b.bar_minutes
    WHERE b.dt BETWEEN %(first)s AND %(last)s
        AND b.collected_at <= CAST(%(as_of)s AS timestamp)
        AND NOT h.settled
),
-- When something was learned of an hour. Bars of another size, in whichever hour, say which size counts.
changes AS (
    SELECT DISTINCT h.ticker, h.dt, h.hour, r.known_from
    FROM hours h
    JOIN records r ON r.ticker = h.ticker AND r.dt = h.dt AND (r.hour = h.hour OR h.has_sizes)
    WHERE NOT h.settled
),
versions AS (
    SELECT
        b.ticker,
        b.dt,
        b.hour,
        b.bar_minutes,
        b.ts,
        b.open,
        b.high,
        b.low,
        b.close,
        b.volume,
        b.source,
        b.collected_at,
        c.known_from,
        row_number() OVER (
            PARTITION BY b.ticker, b.dt, c.known_from, b.source, b.bar_minutes, b.ts
            ORDER BY
-- include: newest_first
        ) AS version
    FROM records b
    JOIN changes c ON c.ticker = b.ticker AND c.dt = b.dt AND c.hour = b.hour AND c.known_from >= b.known_from
),
latest AS (
    SELECT
        v.*,
-- include: divisor
    FROM versions v
    WHERE version = 1 AND high < 1e300
),
given AS (
    SELECT
        ticker,
        dt,
        hour,
        bar_minutes,
        ts,
        known_from,
-- include: on_basis
        row_number() OVER (
            PARTITION BY ticker, dt, known_from, bar_minutes, ts
            ORDER BY coalesce(nullif(strpos(%(sources)s, ',' || source || ','), 0), 1000000), source
        ) AS choice
    FROM latest
),
sizes AS (
    SELECT
        ticker,
        dt,
        hour,
        known_from,
        bar_minutes,
        min_by(open, ts) FILTER (WHERE open IS NOT NULL) AS open,
        max(high) AS high,
        min(low) AS low,
        max_by(close, ts) FILTER (WHERE close IS NOT NULL) AS close,
        CAST(sum(volume) AS bigint) AS volume,
        count(*) AS bars,
        max(ts) AS last_ts,
        min(bar_minutes) OVER (PARTITION BY ticker, dt, known_from) AS finest_minutes
    FROM given
    WHERE choice = 1 AND extract(MINUTE FROM ts) + bar_minutes <= 60
    GROUP BY ticker, dt, hour, known_from, bar_minutes
),
states AS (
    SELECT
        ticker,
        dt,
        hour,
        known_from,
        open,
        high,
        low,
        close,
        CAST(volume AS bigint) AS volume,
        records AS bars,
        bar_minutes,
        last_ts
    FROM hours
    WHERE settled
    UNION ALL
    SELECT
        c.ticker,
        c.dt,
        c.hour,
        c.known_from,
        s.open,
        s.high,
        s.low,
        s.close,
        s.volume,
        coalesce(s.bars, 0) AS bars,
        s.bar_minutes,
        s.last_ts
    FROM changes c
    LEFT JOIN sizes s
        ON s.ticker = c.ticker AND s.dt = c.dt AND s.hour = c.hour AND s.known_from = c.known_from
        AND s.bar_minutes = s.finest_minutes
),
compared AS (
    SELECT
        *,
        lag(bars) OVER (PARTITION BY ticker, dt, hour ORDER BY known_from) AS old_bars,
        lag(open) OVER (PARTITION BY ticker, dt, hour ORDER BY known_from) AS old_open,
        lag(high) OVER (PARTITION BY ticker, dt, hour ORDER BY known_from) AS old_high,
        lag(low) OVER (PARTITION BY ticker, dt, hour ORDER BY known_from) AS old_low,
        lag(close) OVER (PARTITION BY ticker, dt, hour ORDER BY known_from) AS old_close,
        lag(volume) OVER (PARTITION BY ticker, dt, hour ORDER BY known_from) AS old_volume,
        lag(last_ts) OVER (PARTITION BY ticker, dt, hour ORDER BY known_from) AS old_last_ts
    FROM states
)
SELECT
    ticker,
    dt AS session,
    hour,
    known_from,
    open,
    high,
    low,
    close,
    volume,
    bars,
    bar_minutes,
    last_ts
FROM compared
WHERE coalesce(old_bars, 0) <> bars
    OR open IS DISTINCT FROM old_open
    OR high IS DISTINCT FROM old_high
    OR low IS DISTINCT FROM old_low
    OR close IS DISTINCT FROM old_close
    OR volume IS DISTINCT FROM old_volume
    OR last_ts IS DISTINCT FROM old_last_ts
ORDER BY session, ticker, hour, known_from

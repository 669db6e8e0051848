-- Every change of a bar's numbers within a source: restated, withdrawn, or returned after a withdrawal.
--
-- parameters
--   first         date           first session, YYYY-MM-DD
--   last          date           last session, YYYY-MM-DD
--   tickers       varchar list   symbols as traded
--   as_of         timestamp      only what the lake knew at this moment, such as 2026-11-20T12:00-05:00
--   basis         varchar        basis of prices and volumes: latest or as-traded; default latest
-- columns
--   ticker         varchar        symbol as traded that day
--   session        varchar        session, YYYY-MM-DD in exchange time
--   ts             timestamp      start of the bar, UTC
--   bar_minutes    integer        length of the bar, minutes
--   source         varchar        who changed the bar, such as yahoo
--   kind           varchar        restated, withdrawn or returned
--   old_open       double         open before, USD
--   new_open       double         open after, USD
--   old_high       double         high before, USD; null where the bar returned
--   new_high       double         high after, USD; null where the bar was withdrawn
--   old_low        double         low before, USD
--   new_low        double         low after, USD
--   old_close      double         close before, USD
--   new_close      double         close after, USD
--   old_volume     bigint         volume before, shares
--   new_volume     bigint         volume after, shares
--   old_collected  timestamp      when the numbers before were collected, UTC
--   new_collected  timestamp      when the numbers after were collected, UTC
--
-- A bar that changes and changes back gives two rows. Numbers that differ only because the vendor adjusted them for a
-- split are no change. The query compares bar by bar only in hours in which some bar has several records.
WITH
-- include: splits,
repeated AS (
    SELECT ticker, dt, hour, bar_minutes
    FROM bars
    WHERE dt BETWEEN %(first)s AND %(last)s
        AND ('*' IN %(tickers)s OR ticker IN %(tickers)s)
        AND collected_at <= CAST(%(as_of)s AS timestamp)
    GROUP BY ticker, dt, hour, bar_minutes
    HAVING count(*) <> bit_count(
        bitwise_or_agg(bitwise_left_shift(CAST(1 AS bigint), CAST(extract(MINUTE FROM ts) AS integer))), 64)
),
-- Of records collected at the same moment, the last one here is the one in force.
records AS (
    SELECT
        b.*,
        lead(b.collected_at) OVER (
            PARTITION BY b.ticker, b.dt, b.source, b.bar_minutes, b.ts
            ORDER BY
                b.collected_at,
                b.high NULLS FIRST,
                b.low NULLS FIRST,
                b.open NULLS FIRST,
                b.close NULLS FIRST,
                b.volume NULLS FIRST
        ) AS next_collected
    FROM bars b
    JOIN repeated r ON r.ticker = b.ticker AND r.dt = b.dt AND r.hour = b.hour AND r.bar_minutes = b.bar_minutes
    WHERE b.dt BETWEEN %(first)s AND %(last)s
        AND b.collected_at <= CAST(%(as_of)s AS timestamp)
),
versions AS (
    SELECT
        v.*,
-- include: divisor
    FROM records v
    WHERE next_collected IS NULL OR next_collected > collected_at
),
scaled AS (
    SELECT
        ticker,
        dt,
        ts,
        bar_minutes,
        source,
        if(divisor = 1, open, round(open / (divisor * 1e0), 6)) AS open,
        if(divisor = 1, high, round(high / (divisor * 1e0), 6)) AS high,
        if(divisor = 1, low, round(low / (divisor * 1e0), 6)) AS low,
        if(divisor = 1, close, round(close / (divisor * 1e0), 6)) AS close,
        -- Rounded only after it is compared.
        volume * divisor AS volume,
        collected_at,
        divisor
    FROM versions
    -- A high that is no number counts as none.
    WHERE high IS NULL OR high < 1e300
),
pairs AS (
    SELECT
        *,
        lag(open) OVER bar AS old_open,
        lag(high) OVER bar AS old_high,
        lag(low) OVER bar AS old_low,
        lag(close) OVER bar AS old_close,
        lag(volume) OVER bar AS old_volume,
        lag(collected_at) OVER bar AS old_collected,
        lag(divisor) OVER bar AS old_divisor
    FROM scaled
    WINDOW bar AS (PARTITION BY ticker, dt, source, bar_minutes, ts ORDER BY collected_at)
),
-- A vendor that adjusts for a split rounds prices to four decimals and volumes to whole shares.
tolerances AS (
    SELECT
        *,
        if(divisor = old_divisor, 0e0, 505e-7 * (divisor + old_divisor) / (divisor * old_divisor * 1e0)) AS slack,
        if(divisor = old_divisor, 0e0, 505e-3 * (divisor + old_divisor)) AS volume_slack
    FROM pairs
    WHERE old_collected IS NOT NULL
)
SELECT
    ticker,
    dt AS session,
    ts,
    bar_minutes,
    source,
    CASE WHEN high IS NULL THEN 'withdrawn' WHEN old_high IS NULL THEN 'returned' ELSE 'restated' END AS kind,
    old_open,
    open AS new_open,
    old_high,
    high AS new_high,
    old_low,
    low AS new_low,
    old_close,
    close AS new_close,
    CAST(round(old_volume) AS bigint) AS old_volume,
    CAST(round(volume) AS bigint) AS new_volume,
    old_collected,
    collected_at AS new_collected
FROM tolerances
WHERE abs(high - old_high) > slack
    OR abs(low - old_low) > slack
    OR abs(open - old_open) > slack
    OR abs(close - old_close) > slack
    OR abs(volume - old_volume) > volume_slack
    OR (high IS NULL) <> (old_high IS NULL)
    OR (open IS NULL) <> (old_open IS NULL)
    OR (close IS NULL) <> (old_close IS NULL)
    OR (volume IS NULL) <> (old_volume IS NULL)
ORDER BY session, ticker, ts, bar_minutes, source, new_collected

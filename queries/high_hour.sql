-- How often each hour of the session held the day's high and its low, beside what chance alone gives.
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
--   hour          integer        clock hour in exchange time, 9 to 15
--   sessions      bigint         sessions of the ticker
--   highs         bigint         sessions whose high this hour reached first
--   lows          bigint         sessions whose low this hour reached first
--   high_ties     bigint         how many of these highs a later hour reached, too
--   low_ties      bigint         how many of these lows a later hour reached, too
--   high_share    double         highs / sessions
--   low_share     double         lows / sessions
--   chance        double         share that chance alone gives, for highs and for lows
--   chance_from   double         lower end of the shares that chance gives in 95 of 100 lakes of so many sessions
--   chance_to     double         upper end
--
-- Chance is a driftless walk that moves as much in each hour as the ticker did: its highest point falls into the first
-- part v of the day's variance with probability 2 / pi * asin(sqrt(v)). An hour's variance is the sum of squares of
-- ln(high / low) of its bars. Only bars that lie wholly inside one clock hour count, at the finest bar size that the
-- ticker has in the session. Many ties, as in prices of few cents, favour early hours over what chance gives.
WITH
-- include: splits,
-- include: hours,
-- include: given,
-- include: in_force,
finest AS (
    SELECT ticker, dt, min(bar_minutes) AS bar_minutes
    FROM in_force
    GROUP BY ticker, dt
),
hourly AS (
    SELECT
        b.ticker,
        b.dt,
        b.hour,
        max(b.high) AS high,
        min(b.low) AS low,
        sum(power(ln(b.high / (b.low * 1e0)), 2)) AS variance
    FROM in_force b
    JOIN finest f ON f.ticker = b.ticker AND f.dt = b.dt AND f.bar_minutes = b.bar_minutes
    WHERE extract(MINUTE FROM b.ts) + b.bar_minutes <= 60
    GROUP BY b.ticker, b.dt, b.hour
),
placed AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY ticker, dt ORDER BY high DESC, hour) AS high_place,
        row_number() OVER (PARTITION BY ticker, dt ORDER BY low, hour) AS low_place,
        count(*) OVER (PARTITION BY ticker, dt, high) AS high_hours,
        count(*) OVER (PARTITION BY ticker, dt, low) AS low_hours
    FROM hourly
),
tallied AS (
    SELECT
        ticker,
        hour,
        count(*) FILTER (WHERE high_place = 1) AS highs,
        count(*) FILTER (WHERE low_place = 1) AS lows,
        count(*) FILTER (WHERE high_place = 1 AND high_hours > 1) AS high_ties,
        count(*) FILTER (WHERE low_place = 1 AND low_hours > 1) AS low_ties,
        sum(variance) AS variance
    FROM placed
    GROUP BY ticker, hour
),
shared AS (
    SELECT
        *,
        sum(highs) OVER (PARTITION BY ticker) AS sessions,
        sum(variance) OVER (PARTITION BY ticker ORDER BY hour) AS until,
        sum(variance) OVER (PARTITION BY ticker) AS total
    FROM tallied
),
compared AS (
    SELECT
        *,
        if(
            total > 0,
            2e0 / (pi() * 1e0) * (
                asin(sqrt(least(until / (total * 1e0), 1e0)))
                - asin(sqrt(greatest(until - variance, 0e0) / (total * 1e0)))
            ),
            NULL
        ) AS chance
    FROM shared
)
SELECT
    ticker,
    hour,
    CAST(sessions AS bigint) AS sessions,
    highs,
    lows,
    high_ties,
    low_ties,
    round(highs / (sessions * 1e0), 6) AS high_share,
    round(lows / (sessions * 1e0), 6) AS low_share,
    round(chance, 6) AS chance,
    -- Engines differ in what greatest and least make of a null.
    if(chance IS NULL, NULL, round(greatest(chance - 196e-2 * margin, 0e0), 6)) AS chance_from,
    if(chance IS NULL, NULL, round(least(chance + 196e-2 * margin, 1e0), 6)) AS chance_to
FROM (SELECT *, sqrt(greatest(chance * (1 - chance), 0e0) / (sessions * 1e0)) AS margin FROM compared) bounded
ORDER BY ticker, hour

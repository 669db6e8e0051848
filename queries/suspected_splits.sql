-- Jumps from one session to the next that look like a split which the lake does not know.
--
-- parameters
--   first         date           first session, YYYY-MM-DD
--   last          date           last session, YYYY-MM-DD
--   tickers       varchar list   symbols as traded
--   as_of         timestamp      only what the lake knew at this moment, such as 2026-11-20T12:00-05:00
--   sources       varchar        sources in order of preference: ',yahoo,recorded,'
--   basis         varchar        basis of prices: latest or as-traded; default latest
-- columns
--   ticker            varchar    symbol as traded that day
--   session           varchar    first session at the other price, YYYY-MM-DD in exchange time
--   ratio             varchar    the ratio that the jump is near to, new shares to old: 10:1
--   jump              double     previous close divided by open
--   previous_session  varchar    the ticker's session before it, YYYY-MM-DD in exchange time
--   previous_close    double     last price of that session, USD
--   open              double     first price of the session, USD
--   known_ratio       double     new shares for one old share of a split that the lake knows here; null if it knows none
--
-- Ratios are 3:2, 2:1, 3:1, 4:1, 5:1, 10:1, 20:1 and their reverses; a jump is near to one within a twentieth. The two sessions
-- are at most a week apart, both from the first session asked for on. If the lake knows the split, a jump is left
-- because bars before it are taken for adjusted and are not, or the other way round. On the basis as-traded only unknown
-- splits are listed.
WITH
-- include: splits,
-- include: hours,
-- include: given,
parts AS (
    SELECT ticker, dt, bar_minutes, open, high, low, close, first_ts, last_ts
    FROM hours
    WHERE settled AND source = last_source
    UNION ALL
    SELECT ticker, dt, bar_minutes, open, high, low, close, ts, ts
    FROM given
    WHERE choice = 1
),
-- Some sources give no open and no close; then the middle between high and low is near enough.
days AS (
    SELECT
        ticker,
        dt AS session,
        min_by(coalesce(open, (high + low) * 5e-1), first_ts) AS open,
        max_by(coalesce(close, (high + low) * 5e-1), last_ts) AS close,
        bar_minutes,
        min(bar_minutes) OVER (PARTITION BY ticker, dt) AS finest_minutes
    FROM parts
    GROUP BY ticker, dt, bar_minutes
),
jumps AS (
    SELECT
        ticker,
        session,
        open,
        lag(session) OVER day AS previous_session,
        lag(close) OVER day AS previous_close
    FROM days
    WHERE bar_minutes = finest_minutes
    WINDOW day AS (PARTITION BY ticker ORDER BY session)
)
SELECT
    j.ticker,
    j.session,
    if(j.open < j.previous_close, n.forward, n.reverse) AS ratio,
    round(j.previous_close / (j.open * 1e0), 4) AS jump,
    j.previous_session,
    j.previous_close,
    j.open,
    k.ratio AS known_ratio
FROM jumps j
JOIN (
    VALUES
        (1.5e0, '3:2', '2:3'),
        (2e0, '2:1', '1:2'),
        (3e0, '3:1', '1:3'),
        (4e0, '4:1', '1:4'),
        (5e0, '5:1', '1:5'),
        (10e0, '10:1', '1:10'),
        (20e0, '20:1', '1:20')
) n (size, forward, reverse) ON abs(abs(ln(j.previous_close) - ln(j.open)) - ln(n.size)) < 5e-2
LEFT JOIN splits k
    ON k.ticker = j.ticker AND k.ex_date > j.previous_session AND k.ex_date <= j.session AND k.place = 1 AND k.ratio <> 1
WHERE date_diff('day', CAST(j.previous_session AS date), CAST(j.session AS date)) <= 7
    AND (k.ratio IS NULL OR %(basis)s = 'latest')
ORDER BY j.session, j.ticker

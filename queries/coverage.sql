-- How complete each ticker's sessions are: bars expected, present and missing, and where the gaps lie.
--
-- parameters
--   first        varchar        first session, YYYY-MM-DD
--   last         varchar        last session, YYYY-MM-DD
--   tickers      varchar list   tickers to read; '*' among them stands for all
--   calendar     varchar        the exchange's sessions: 'YYYY-MM-DD open close' in UTC, joined by ';'
-- columns
--   ticker       varchar        symbol as traded that day
--   session      varchar        session, YYYY-MM-DD in exchange time
--   bar_minutes  integer        length of the bars, minutes
--   expected     bigint         bars that a complete session has, early closes honoured
--   present      bigint         of these, how many the lake holds
--   missing      bigint         of these, how many it does not
--   gaps         varchar        starts of the missing bars in exchange time: '09:57-09:59, 12:38'
--
-- The calendar comes as a parameter because SQL knows no holidays. A ticker with no bar at all in a session is
-- told as missing at the ticker's finest bar size.
WITH
calendar AS (
    SELECT
        substr(entry, 1, 10) AS session,
        CAST(substr(entry, 12, 19) AS timestamp) AS opens,
        CAST(substr(entry, 32, 19) AS timestamp) AS closes
    FROM UNNEST(split(%(calendar)s, ';')) AS t (entry)
),
-- Every bar once, by its place in the session: 0 is the bar at the open.
places AS (
    SELECT
        b.ticker,
        b.bar_minutes,
        c.session,
        CAST(floor(date_diff('minute', c.opens, b.ts) / (b.bar_minutes * 1e0)) AS bigint) AS place
    FROM bars b
    JOIN calendar c ON c.session = b.dt
    WHERE b.dt BETWEEN %(first)s AND %(last)s
        AND ('*' IN %(tickers)s OR b.ticker IN %(tickers)s)
        AND b.ts < c.closes
    GROUP BY 1, 2, 3, 4
),
tickers AS (
    SELECT ticker, min(bar_minutes) AS bar_minutes
    FROM places
    GROUP BY ticker
),
held AS (
    SELECT ticker, session, bar_minutes, count(*) AS present
    FROM places
    GROUP BY ticker, session, bar_minutes
),
wanted AS (
    SELECT
        t.ticker,
        c.session,
        coalesce(h.bar_minutes, t.bar_minutes) AS bar_minutes,
        coalesce(h.present, 0) AS present,
        CAST(ceil(date_diff('minute', c.opens, c.closes)
            / (coalesce(h.bar_minutes, t.bar_minutes) * 1e0)) AS bigint) AS expected,
        CAST(c.opens AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York' AS timestamp) AS opens
    FROM tickers t
    CROSS JOIN calendar c
    LEFT JOIN held h ON h.ticker = t.ticker AND h.session = c.session
),
-- Incomplete sessions only, between a place before the open and one after the close.
edges AS (
    SELECT w.ticker, w.session, w.bar_minutes, w.opens, p.place
    FROM wanted w
    JOIN places p ON p.ticker = w.ticker AND p.session = w.session AND p.bar_minutes = w.bar_minutes
    WHERE w.present < w.expected
    UNION ALL
    SELECT ticker, session, bar_minutes, opens, -1
    FROM wanted
    WHERE present < expected
    UNION ALL
    SELECT ticker, session, bar_minutes, opens, expected
    FROM wanted
    WHERE present < expected
),
steps AS (
    SELECT
        *,
        lag(place) OVER (PARTITION BY ticker, session, bar_minutes ORDER BY place) AS previous
    FROM edges
),
gaps AS (
    SELECT
        ticker,
        session,
        bar_minutes,
        previous,
        place - previous - 1 AS bars,
        substr(CAST(opens + (previous + 1) * bar_minutes * INTERVAL '1' MINUTE AS varchar), 12, 5) AS starts,
        substr(CAST(opens + (place - 1) * bar_minutes * INTERVAL '1' MINUTE AS varchar), 12, 5) AS ends
    FROM steps
    WHERE place - previous > 1
),
listed AS (
    SELECT
        ticker,
        session,
        bar_minutes,
        array_join(array_agg(if(bars = 1, starts, starts || '-' || ends) ORDER BY previous), ', ') AS gaps
    FROM gaps
    GROUP BY ticker, session, bar_minutes
)
SELECT
    w.ticker,
    w.session,
    w.bar_minutes,
    w.expected,
    w.present,
    w.expected - w.present AS missing,
    coalesce(g.gaps, '') AS gaps
FROM wanted w
LEFT JOIN listed g ON g.ticker = w.ticker AND g.session = w.session AND g.bar_minutes = w.bar_minutes
ORDER BY w.session, w.ticker, w.bar_minutes

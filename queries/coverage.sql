-- How complete each ticker's sessions are: bars expected, present and missing, and the gaps.
--
-- parameters
--   first        date           first session, YYYY-MM-DD
--   last         date           last session, YYYY-MM-DD
--   tickers      varchar list   symbols as traded
--   calendar     varchar        sessions of the exchange: 'YYYY-MM-DD open close' in UTC, joined by ';'
-- columns
--   ticker       varchar        symbol as traded that day
--   session      varchar        session, YYYY-MM-DD in exchange time
--   bar_minutes  integer        length of the bars, minutes
--   expected     bigint         bars of a complete session, which is shorter on an early close
--   present      bigint         how many of them the lake holds
--   missing      bigint         how many of them it lacks
--   gaps         varchar        starts of the missing bars in exchange time: '09:57-09:59, 12:38'
--
-- The calendar is a parameter because SQL knows no holidays. If a ticker has no bar at all in a session, all bars
-- of its finest size are missing. The table is read twice, once for the bars and once for the tickers: Trino runs a
-- common table expression again wherever it is named.
WITH
calendar AS (
    SELECT
        substr(entry, 1, 10) AS session,
        CAST(substr(entry, 12, 19) AS timestamp) AS opens,
        CAST(substr(entry, 32, 19) AS timestamp) AS closes,
        CAST(CAST(substr(entry, 12, 19) AS timestamp)
            AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York' AS timestamp) AS exchange_opens
    FROM UNNEST(split(%(calendar)s, ';')) AS t (entry)
),
-- The place of each record's bar in the session: 0 is the bar at the open.
places AS (
    SELECT
        b.ticker,
        b.bar_minutes,
        c.session,
        c.exchange_opens,
        CAST(floor(date_diff('minute', c.opens, b.ts) / (b.bar_minutes * 1e0)) AS bigint) AS place
    FROM bars b
    JOIN calendar c ON c.session = b.dt
    WHERE b.dt BETWEEN %(first)s AND %(last)s
        AND ('*' IN %(tickers)s OR b.ticker IN %(tickers)s)
        AND b.ts < c.closes
),
steps AS (
    SELECT
        *,
        coalesce(lag(place) OVER (PARTITION BY ticker, session, bar_minutes ORDER BY place), -1) AS previous
    FROM places
),
gaps AS (
    SELECT
        ticker,
        session,
        bar_minutes,
        place,
        previous,
        CASE WHEN place - previous > 1 THEN
            substr(CAST(exchange_opens + (previous + 1) * bar_minutes * INTERVAL '1' MINUTE AS varchar), 12, 5)
        END AS starts,
        CASE WHEN place - previous > 2 THEN
            '-' || substr(CAST(exchange_opens + (place - 1) * bar_minutes * INTERVAL '1' MINUTE AS varchar), 12, 5)
        END AS ends
    FROM steps
),
-- A repeat has the place of the record before it, so it adds neither a bar nor a gap.
held AS (
    SELECT
        ticker,
        session,
        bar_minutes,
        count(*) FILTER (WHERE place > previous) AS present,
        max(place) AS latest,
        array_join(
            array_agg(starts || coalesce(ends, '') ORDER BY place) FILTER (WHERE starts IS NOT NULL), ', ') AS gaps
    FROM gaps
    GROUP BY ticker, session, bar_minutes
),
tickers AS (
    SELECT b.ticker, min(b.bar_minutes) AS bar_minutes
    FROM bars b
    JOIN calendar c ON c.session = b.dt
    WHERE b.dt BETWEEN %(first)s AND %(last)s
        AND ('*' IN %(tickers)s OR b.ticker IN %(tickers)s)
        AND b.ts < c.closes
    GROUP BY b.ticker
),
wanted AS (
    SELECT
        t.ticker,
        c.session,
        c.exchange_opens,
        coalesce(h.bar_minutes, t.bar_minutes) AS bar_minutes,
        coalesce(h.present, 0) AS present,
        coalesce(h.latest, -1) AS latest,
        h.gaps,
        CAST(ceil(date_diff('minute', c.opens, c.closes)
            / (coalesce(h.bar_minutes, t.bar_minutes) * 1e0)) AS bigint) AS expected
    FROM tickers t
    CROSS JOIN calendar c
    LEFT JOIN held h ON h.ticker = t.ticker AND h.session = c.session
),
-- The gap before the close has no bar after it.
closed AS (
    SELECT
        *,
        CASE WHEN expected - latest > 1 THEN
            substr(CAST(exchange_opens + (latest + 1) * bar_minutes * INTERVAL '1' MINUTE AS varchar), 12, 5)
        END AS starts,
        CASE WHEN expected - latest > 2 THEN
            '-' || substr(CAST(exchange_opens + (expected - 1) * bar_minutes * INTERVAL '1' MINUTE AS varchar), 12, 5)
        END AS ends
    FROM wanted
)
SELECT
    ticker,
    session,
    bar_minutes,
    expected,
    present,
    expected - present AS missing,
    coalesce(
        gaps || ', ' || starts || coalesce(ends, ''),
        gaps,
        starts || coalesce(ends, ''),
        ''
    ) AS gaps
FROM closed
ORDER BY session, ticker, bar_minutes

-- How complete each ticker's sessions are: bars expected, present and missing, and the gaps.
--
-- parameters
--   first        date           first session, YYYY-MM-DD
--   last         date           last session, YYYY-MM-DD
--   tickers      varchar list   symbols as traded
--   as_of        timestamp      only what the lake knew at this moment, such as 2026-11-20T12:00-05:00
--   since        date           two weeks before the first session: a ticker with bars from then on is not new
--   calendar     varchar        sessions: 'YYYY-MM-DD open close HH:MM morning lunch exchange' joined by ';'
--   renames      varchar        symbols that were given up: 'YYYY-MM-DD symbol' joined by ';', the date the first without
-- columns
--   ticker       varchar        symbol as traded that day
--   session      varchar        session, YYYY-MM-DD in exchange time
--   bar_minutes  integer        length of the bars, minutes
--   expected     bigint         bars of a complete session, which is shorter on an early close
--   present      bigint         how many of them the lake holds
--   missing      bigint         how many of them it lacks
--   absent       bigint         how many of these the source does not have either, by its own answer
--   halted       bigint         how many of the absent lie between bars: trading was halted, or nobody traded
--   gaps         varchar        starts of the missing bars in exchange time: '09:57-09:59, 12:38'
--
-- The calendar is a parameter because SQL knows no holidays. Its open and close are in UTC; HH:MM is the open on the
-- exchange's clock, and morning and lunch are the minutes before and in the lunch break. A ticker is expected from its
-- first session on, and until it was renamed. If it has no bar at all in a session, all bars of its finest size are
-- missing. A source that was asked an hour or more after the bar's end, and gave no more bars than the lake holds, does
-- not have it. If no record was rejected and it has bars before and after the gap, nothing was traded there. All other
-- missing bars may still be had.
WITH
calendar AS (
    SELECT
        CAST(substr(entry, 1, 10) AS date) AS dt,
        CAST(substr(entry, 12, 19) AS timestamp) AS opens,
        CAST(substr(entry, 32, 19) AS timestamp) AS closes,
        CAST(substr(entry, 1, 11) || substr(entry, 52, 5) || ':00' AS timestamp) AS exchange_opens,
        CAST(substr(entry, 58, 4) AS bigint) AS morning,
        CAST(substr(entry, 63, 4) AS bigint) AS lunch,
        substr(entry, 68) AS exchange
    FROM UNNEST(split(%(calendar)s, ';')) AS t (entry)
),
renames AS (
    SELECT CAST(substr(entry, 1, 10) AS date) AS dt, substr(entry, 12) AS ticker
    FROM UNNEST(split(%(renames)s, ';')) AS t (entry)
),
hours AS (
    SELECT *, records = bit_count(minutes, 64) AND records = priced AS settled
    FROM (
        SELECT
            ticker,
            CAST(dt AS date) AS dt,
            hour,
            bar_minutes,
            arbitrary(exchange) AS exchange,
            bitwise_or_agg(bitwise_left_shift(CAST(1 AS bigint), CAST(extract(MINUTE FROM ts) AS integer))) AS minutes,
            count(*) AS records,
            count_if(high < 1e300) AS priced,
            max(ts) AS last_ts
        FROM bars
        WHERE dt BETWEEN %(first)s AND %(last)s
            AND ('*' IN %(tickers)s OR ticker IN %(tickers)s)
            AND (%(as_of)s > '9999' OR collected_at <= CAST(%(as_of)s AS timestamp))
        GROUP BY ticker, CAST(dt AS date), hour, bar_minutes
    ) counted
),
-- The latest record of each bar and source, in hours where some bar has several.
versions AS (
    SELECT
        b.ticker,
        h.dt,
        b.hour,
        b.bar_minutes,
        b.ts,
        b.high,
        row_number() OVER (
            PARTITION BY b.ticker, b.dt, b.source, b.bar_minutes, b.ts
            ORDER BY b.collected_at DESC, b.high DESC NULLS LAST
        ) AS version
    FROM bars b
    JOIN hours h ON h.ticker = b.ticker AND CAST(h.dt AS varchar) = b.dt AND h.hour = b.hour AND h.bar_minutes = b.bar_minutes
    WHERE b.dt BETWEEN %(first)s AND %(last)s
        AND b.collected_at <= CAST(%(as_of)s AS timestamp)
        AND NOT h.settled
),
-- The minutes of each hour in which a bar starts, one bit each.
present AS (
    SELECT ticker, dt, hour, bar_minutes, minutes, last_ts
    FROM hours
    WHERE settled
    UNION ALL
    SELECT
        ticker,
        dt,
        hour,
        bar_minutes,
        bitwise_or_agg(bitwise_left_shift(CAST(1 AS bigint), CAST(extract(MINUTE FROM ts) AS integer))) AS minutes,
        max(ts) AS last_ts
    FROM versions
    WHERE version = 1 AND high < 1e300
    GROUP BY ticker, dt, hour, bar_minutes
),
sizes AS (
    SELECT
        ticker,
        dt,
        bar_minutes,
        sum(bit_count(minutes, 64)) AS bars,
        max(last_ts) AS last_ts,
        array_agg(hour) AS hours,
        array_agg(minutes) AS minutes
    FROM present
    GROUP BY ticker, dt, bar_minutes
),
earlier AS (
    SELECT ticker, CAST(min(dt) AS date) AS dt
    FROM bars
    WHERE dt BETWEEN %(since)s AND %(last)s
        AND dt < %(first)s
        AND ('*' IN %(tickers)s OR ticker IN %(tickers)s)
        AND collected_at <= CAST(%(as_of)s AS timestamp)
        AND high < 1e300
    GROUP BY ticker
),
tickers AS (
    SELECT
        h.ticker,
        min(h.exchange) AS exchange,
        min(coalesce(e.dt, h.dt)) AS first_dt,
        min(h.bar_minutes) AS bar_minutes
    FROM hours h
    LEFT JOIN earlier e ON e.ticker = h.ticker
    WHERE h.priced > 0
    GROUP BY h.ticker
),
sessions AS (
    SELECT
        t.ticker,
        c.dt,
        c.opens,
        c.closes,
        c.exchange_opens,
        c.morning + c.lunch AS until_afternoon,
        coalesce(s.bar_minutes, t.bar_minutes) AS bar_minutes,
        s.bars,
        s.last_ts,
        s.hours,
        s.minutes,
        CAST(ceil(least(date_diff('minute', c.opens, c.closes), c.morning)
            / (coalesce(s.bar_minutes, t.bar_minutes) * 1e0)) AS bigint) AS before_lunch,
        CAST(ceil(greatest(date_diff('minute', c.opens, c.closes) - c.morning - c.lunch, 0)
            / (coalesce(s.bar_minutes, t.bar_minutes) * 1e0)) AS bigint) AS after_lunch
    FROM tickers t
    JOIN calendar c ON c.exchange = t.exchange
    LEFT JOIN sizes s ON s.ticker = t.ticker AND s.dt = c.dt
    LEFT JOIN renames r ON r.ticker = t.ticker AND r.dt <= c.dt
    WHERE c.dt >= t.first_dt
        AND (s.ticker IS NOT NULL OR r.ticker IS NULL)
),
wanted AS (
    SELECT *, before_lunch + after_lunch AS expected
    FROM sessions
),
-- Place 0 is the bar at the open. Place -2 is no bar: it keeps the sessions that are complete.
numbered AS (
    SELECT
        w.*,
        p.place,
        if(p.place < w.before_lunch, p.place * w.bar_minutes,
            w.until_afternoon + (p.place - w.before_lunch) * w.bar_minutes) AS after_open
    FROM wanted w
    CROSS JOIN UNNEST(sequence(-2, if(w.bars = w.expected AND w.last_ts < w.closes, -2, w.expected - 1))) AS p (place)
),
places AS (
    SELECT
        *,
        opens + after_open * INTERVAL '1' MINUTE AS ts,
        exchange_opens + after_open * INTERVAL '1' MINUTE AS starts
    FROM numbered
),
lacking AS (
    SELECT
        ticker,
        dt,
        bar_minutes,
        coalesce(bars, 0) AS present,
        expected,
        place,
        ts,
        substr(CAST(starts AS varchar), 12, 5) AS starts
    FROM places
    WHERE place = -2
        OR place >= 0
        AND coalesce(bitwise_and(
            element_at(minutes, nullif(array_position(hours, CAST(extract(HOUR FROM starts) AS integer)), 0)),
            bitwise_left_shift(
                CAST(power(2, least(bar_minutes, 60 - extract(MINUTE FROM starts))) AS bigint) - 1,
                CAST(extract(MINUTE FROM starts) AS integer))
        ), 0) = 0
),
answers AS (
    SELECT ticker, CAST(session AS date) AS dt, bar_minutes, since, bars, rejected, max(collected_at) AS collected_at
    FROM runs
    WHERE session BETWEEN %(first)s AND %(last)s
        AND ('*' IN %(tickers)s OR ticker IN %(tickers)s)
        AND collected_at <= CAST(%(as_of)s AS timestamp)
        AND outcome IN ('answered', 'no-data', 'wrong-instrument')
    GROUP BY ticker, session, bar_minutes, since, bars, rejected
),
known AS (
    SELECT
        l.ticker,
        l.dt,
        l.bar_minutes,
        l.expected,
        l.place,
        l.place - row_number() OVER (PARTITION BY l.ticker, l.dt, l.bar_minutes ORDER BY l.place) AS gap,
        l.starts,
        if(count(a.ticker) > 0, 1, 0) AS absent,
        max(if(a.rejected = 0, 1, 0)) AS silent
    FROM lacking l
    LEFT JOIN answers a
        ON a.ticker = l.ticker
            AND a.dt = l.dt
            AND a.bar_minutes = l.bar_minutes
            AND a.since <= l.ts
            AND a.collected_at >= l.ts + (l.bar_minutes + 60) * INTERVAL '1' MINUTE
            AND a.bars <= l.present
    GROUP BY l.ticker, l.dt, l.bar_minutes, l.expected, l.place, l.starts
),
gaps AS (
    SELECT
        ticker,
        dt,
        bar_minutes,
        expected,
        min(place) AS place,
        count(*) AS bars,
        sum(absent) AS absent,
        if(min(place) > 0 AND max(place) < expected - 1, sum(silent), 0) AS halted,
        if(count(*) = 1, min(starts), min(starts) || '-' || max(starts)) AS span
    FROM known
    GROUP BY ticker, dt, bar_minutes, expected, gap
)
SELECT
    ticker,
    CAST(dt AS varchar) AS session,
    bar_minutes,
    expected,
    expected - CAST(coalesce(sum(bars) FILTER (WHERE place >= 0), 0) AS bigint) AS present,
    CAST(coalesce(sum(bars) FILTER (WHERE place >= 0), 0) AS bigint) AS missing,
    CAST(sum(absent) AS bigint) AS absent,
    CAST(sum(halted) AS bigint) AS halted,
    coalesce(array_join(array_sort(array_agg(span) FILTER (WHERE place >= 0)), ', '), '') AS gaps
FROM gaps
GROUP BY ticker, dt, bar_minutes, expected
ORDER BY session, ticker, bar_minutes

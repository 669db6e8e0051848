-- Of the other hours, what each source gives for each bar, on the basis; choice 1 is the bar in force.
versions AS (
    SELECT
        b.*,
        row_number() OVER (
            PARTITION BY b.ticker, b.dt, b.source, b.bar_minutes, b.ts
            ORDER BY
-- include: newest_first
        ) AS version
    FROM bars b
    JOIN hours h ON h.ticker = b.ticker AND h.dt = b.dt AND h.hour = b.hour AND h.bar_minutes = b.bar_minutes
    WHERE b.dt BETWEEN %(first)s AND %(last)s
        AND b.collected_at <= CAST(%(as_of)s AS timestamp)
        AND NOT (h.settled AND h.source = h.last_source)
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
        exchange,
        ts,
        hour,
        bar_minutes,
-- include: on_basis
        currency,
        source,
        collected_at,
        dt,
        row_number() OVER (
            PARTITION BY ticker, dt, bar_minutes, ts
            ORDER BY coalesce(nullif(strpos(%(sources)s, ',' || source || ','), 0), 1000000), source
        ) AS choice
    FROM latest
)

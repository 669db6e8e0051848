-- Each bar once, as it is in force.
in_force AS (
    SELECT
        b.ticker,
        b.exchange,
        b.ts,
        b.hour,
        b.bar_minutes,
        b.open,
        b.high,
        b.low,
        b.close,
        b.volume,
        b.currency,
        b.source,
        b.collected_at,
        b.dt
    FROM bars b
    JOIN hours h ON h.ticker = b.ticker AND h.dt = b.dt AND h.hour = b.hour AND h.bar_minutes = b.bar_minutes
    WHERE b.dt BETWEEN %(first)s AND %(last)s
        AND b.collected_at <= CAST(%(as_of)s AS timestamp)
        AND h.settled
        AND h.source = h.last_source
    UNION ALL
    SELECT
        ticker,
        exchange,
        ts,
        hour,
        bar_minutes,
        open,
        high,
        low,
        close,
        volume,
        currency,
        source,
        collected_at,
        dt
    FROM given
    WHERE choice = 1
)

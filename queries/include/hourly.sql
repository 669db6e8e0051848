-- The bars of each clock hour put together, at the finest bar size that the ticker has in the session.
sizes AS (
    SELECT
        ticker,
        dt,
        hour,
        min_by(open, ts) FILTER (WHERE open IS NOT NULL) AS open,
        max(high) AS high,
        min(low) AS low,
        max_by(close, ts) FILTER (WHERE close IS NOT NULL) AS close,
        CAST(sum(volume) AS bigint) AS volume,
        count(*) AS bars,
        bar_minutes,
        max(ts) AS last_ts,
        min(bar_minutes) OVER (PARTITION BY ticker, dt) AS finest_minutes
    FROM in_force
    WHERE extract(MINUTE FROM ts) + bar_minutes <= 60
    GROUP BY ticker, dt, hour, bar_minutes
),
hourly AS (
    SELECT *
    FROM sizes
    WHERE bar_minutes = finest_minutes
)

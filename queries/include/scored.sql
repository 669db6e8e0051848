-- Every forecast that counts, with what came of it, as far as it is known, and its loss.
made AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY ticker, session, hour, target, model, version, kind
            ORDER BY made_at, known_until, reference, q50, probability
        ) AS place
    FROM (
        SELECT
            *,
            -- No bar of five minutes that began with the hour had ended.
            if(made_at <= known_until + INTERVAL '5' MINUTE, 'live', 'back-tested') AS kind
        FROM forecasts
        WHERE session BETWEEN %(first)s AND %(last)s
            AND ('*' IN %(tickers)s OR ticker IN %(tickers)s)
            AND made_at <= CAST(%(as_of)s AS timestamp)
    ) stored
),
outcomes AS (
    SELECT
        m.ticker,
        m.session,
        m.hour,
        m.target,
        max(h.high) FILTER (WHERE h.hour = m.hour OR h.hour > m.hour AND m.target <> 'next-hour-high') AS high,
        max_by(h.close, h.hour) FILTER (WHERE h.close IS NOT NULL) AS close,
        max(h.last_ts + h.bar_minutes * INTERVAL '1' MINUTE) AS covered_until
    FROM (SELECT DISTINCT ticker, session, hour, target FROM made) m
    JOIN hourly h ON h.ticker = m.ticker AND h.dt = m.session
    GROUP BY m.ticker, m.session, m.hour, m.target
),
known AS (
    SELECT
        m.*,
        CASE
            WHEN o.covered_until < m.ends_at THEN NULL
            WHEN m.target = 'close-above' THEN if(o.close > m.reference, 1e0, 0e0)
            ELSE round(o.high / (m.reference * 1e0) - 1, 8)
        END AS outcome
    FROM made m
    LEFT JOIN outcomes o
        ON o.ticker = m.ticker AND o.session = m.session AND o.hour = m.hour AND o.target = m.target
    WHERE m.place = 1
),
scored AS (
    SELECT
        *,
        CASE
            WHEN outcome IS NULL THEN NULL
            WHEN target = 'close-above' THEN round(power(outcome - probability, 2), 10)
            ELSE round((
                greatest(5e-2 * (outcome - q05), -95e-2 * (outcome - q05))
                + greatest(25e-2 * (outcome - q25), -75e-2 * (outcome - q25))
                + greatest(5e-1 * (outcome - q50), -5e-1 * (outcome - q50))
                + greatest(75e-2 * (outcome - q75), -25e-2 * (outcome - q75))
                + greatest(95e-2 * (outcome - q95), -5e-2 * (outcome - q95))
            ) / (5 * 1e0), 10)
        END AS loss
    FROM known
)

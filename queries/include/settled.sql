mixed AS (
    SELECT ticker, dt
    FROM counted
    GROUP BY ticker, dt
    HAVING min(bar_minutes) <> max(bar_minutes)
),
-- An hour is settled if each bar has one record, one bar alone reached the high, all bars end within the hour, and
-- neither another bar size nor a later split matters. Most hours are; only the others are worked out bar by bar.
hours AS (
    SELECT
        c.ticker,
        c.dt,
        c.hour,
        c.bar_minutes,
        element_at(c.highs, 1) AS high,
        c.ts,
        c.records = bit_count(c.minutes, 64)
            AND element_at(c.highs, 1) < 1e300
            AND (c.records = 1 OR element_at(c.highs, 2) < element_at(c.highs, 1))
            AND c.minutes < bitwise_left_shift(CAST(1 AS bigint), 61 - least(c.bar_minutes, 61))
            AND m.ticker IS NULL
            AND s.ticker IS NULL AS settled
    FROM counted c
    LEFT JOIN mixed m ON m.ticker = c.ticker AND m.dt = c.dt
    LEFT JOIN (SELECT ticker, max(ex_date) AS ex_date FROM splits GROUP BY ticker) s
        ON s.ticker = c.ticker AND s.ex_date > c.dt
)

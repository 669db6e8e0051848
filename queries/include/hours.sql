-- The records of an hour: how many, in which minutes their bars start (one bit each), and their numbers.
counted AS (
    SELECT
        ticker,
        dt,
        hour,
        bar_minutes,
-- include: tallies,
        min(ts) AS first_ts,
        max(collected_at) AS collected_at
    FROM bars
    WHERE dt BETWEEN %(first)s AND %(last)s
        AND ('*' IN %(tickers)s OR ticker IN %(tickers)s)
        AND collected_at <= CAST(%(as_of)s AS timestamp)
    GROUP BY ticker, dt, hour, bar_minutes
),
-- An hour is settled if each bar has one record, with prices, and no later split matters. Most hours are, and are of one
-- source; only the others are worked out bar by bar.
hours AS (
    SELECT
        c.*,
        c.records = bit_count(c.minutes, 64) AND c.records = c.priced AND s.ticker IS NULL AS settled
    FROM counted c
    LEFT JOIN (SELECT ticker, max(ex_date) AS ex_date FROM splits GROUP BY ticker) s
        ON s.ticker = c.ticker AND s.ex_date > c.dt
)

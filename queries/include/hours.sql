-- The records of an hour: how many, in which minutes their bars start (one bit each), and the two greatest highs.
counted AS (
-- include: counting
    GROUP BY ticker, dt, hour, bar_minutes
),
-- include: settled

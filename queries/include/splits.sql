-- The splits known as of then. For a bar, the report of its own source counts, if it is among `own`; else the latest
-- report does. A person who reports a split last overrules every source.
splits AS (
    SELECT
        ticker,
        ex_date,
        source,
        ratio,
        coalesce(adjusted_from, CAST(ex_date || ' 00:00:00' AS timestamp)) AS adjusted_from,
        row_number() OVER (PARTITION BY ticker, ex_date ORDER BY collected_at DESC, source) AS place,
        if(
            first_value(source) OVER (PARTITION BY ticker, ex_date ORDER BY collected_at DESC, source) = 'manual',
            ',',
            ',' || array_join(array_agg(source) OVER (PARTITION BY ticker, ex_date), ',') || ','
        ) AS own
    FROM (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY ticker, ex_date, source
                ORDER BY collected_at DESC, ratio DESC, adjusted_from DESC NULLS LAST
            ) AS version
        FROM actions
        WHERE collected_at <= CAST(%(as_of)s AS timestamp)
    ) known
    WHERE version = 1
)

    SELECT
        ticker,
        dt,
        hour,
        bar_minutes,
        count(*) AS records,
        bitwise_or_agg(bitwise_left_shift(CAST(1 AS bigint), CAST(extract(MINUTE FROM ts) AS integer))) AS minutes,
        max(high, 2) AS highs,
        max_by(ts, high) AS ts
    FROM bars
    WHERE dt BETWEEN %(first)s AND %(last)s
        AND ('*' IN %(tickers)s OR ticker IN %(tickers)s)
        AND collected_at <= CAST(%(as_of)s AS timestamp)

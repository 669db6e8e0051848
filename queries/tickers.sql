-- The tickers in the lake, with their first and last session.
--
-- parameters
--   first          date           first session, YYYY-MM-DD
--   last           date           last session, YYYY-MM-DD
--   tickers        varchar list   symbols as traded
--   as_of          timestamp      only what the lake knew at this moment, such as 2026-11-20T12:00-05:00
-- columns
--   ticker         varchar        symbol as traded that day
--   first_session  varchar        earliest session with a bar, YYYY-MM-DD
--   last_session   varchar        latest session with a bar, YYYY-MM-DD
--   sessions       bigint         sessions with at least one bar
WITH
held AS (
    SELECT ticker, dt
    FROM bars
    WHERE dt BETWEEN %(first)s AND %(last)s
        AND ('*' IN %(tickers)s OR ticker IN %(tickers)s)
        AND collected_at <= CAST(%(as_of)s AS timestamp)
        AND high < 1e300
    GROUP BY ticker, dt
)
SELECT
    ticker,
    min(dt) AS first_session,
    max(dt) AS last_session,
    count(*) AS sessions
FROM held
GROUP BY ticker
ORDER BY ticker

-- Bars that the vendor later gave with other numbers: the first and the last it gave.
--
-- parameters
--   first            date           first session, YYYY-MM-DD
--   last             date           last session, YYYY-MM-DD
--   tickers          varchar list   symbols as traded
-- columns
--   ticker           varchar        symbol as traded that day
--   session          varchar        session, YYYY-MM-DD in exchange time
--   ts               timestamp      start of the bar, UTC
--   bar_minutes      integer        length of the bar, minutes
--   versions         bigint         how many times the bar was collected
--   first_high       double         high as collected first, USD
--   last_high        double         high as collected last, USD
--   first_low        double         low as collected first, USD
--   last_low         double         low as collected last, USD
--   first_close      double         close as collected first, USD; null if the source gave none
--   last_close       double         close as collected last, USD; null if the source gave none
--   first_volume     bigint         volume as collected first, shares; null if the source gave none
--   last_volume      bigint         volume as collected last, shares; null if the source gave none
--   first_collected  timestamp      when it was collected first, UTC
--   last_collected   timestamp      when it was collected last, UTC
--
-- Repeats with the same numbers are not restatements, nor are bars whose numbers returned to the first ones. The
-- query compares bar by bar only in sessions of a ticker that were not collected at one moment.
WITH
suspected AS (
    SELECT ticker, dt
    FROM bars
    WHERE dt BETWEEN %(first)s AND %(last)s
        AND ('*' IN %(tickers)s OR ticker IN %(tickers)s)
    GROUP BY ticker, dt
    HAVING min(collected_at) <> max(collected_at)
),
collected AS (
    SELECT
        b.ticker,
        b.dt AS session,
        b.ts,
        b.bar_minutes,
        count(DISTINCT b.collected_at) AS versions,
        min_by(b.high, b.collected_at) AS first_high,
        max_by(b.high, b.collected_at) AS last_high,
        min_by(b.low, b.collected_at) AS first_low,
        max_by(b.low, b.collected_at) AS last_low,
        -- -1 stands for null: max_by skips nulls on one engine and not on the other.
        min_by(coalesce(b.close, -1e0), b.collected_at) AS first_close,
        max_by(coalesce(b.close, -1e0), b.collected_at) AS last_close,
        min_by(coalesce(b.volume, -1), b.collected_at) AS first_volume,
        max_by(coalesce(b.volume, -1), b.collected_at) AS last_volume,
        min(b.collected_at) AS first_collected,
        max(b.collected_at) AS last_collected
    FROM bars b
    JOIN suspected s ON s.ticker = b.ticker AND s.dt = b.dt
    WHERE b.dt BETWEEN %(first)s AND %(last)s
    GROUP BY b.ticker, b.dt, b.ts, b.bar_minutes
    HAVING min(b.collected_at) <> max(b.collected_at)
)
SELECT
    ticker,
    session,
    ts,
    bar_minutes,
    versions,
    first_high,
    last_high,
    first_low,
    last_low,
    nullif(first_close, -1e0) AS first_close,
    nullif(last_close, -1e0) AS last_close,
    nullif(first_volume, -1) AS first_volume,
    nullif(last_volume, -1) AS last_volume,
    first_collected,
    last_collected
FROM collected
WHERE first_high <> last_high
    OR first_low <> last_low
    OR first_close <> last_close
    OR first_volume <> last_volume
ORDER BY session, ticker, ts, bar_minutes

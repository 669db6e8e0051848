-- Every bar in force, once: of each bar the latest record of the first source that has it.
--
-- parameters
--   first         date           first session, YYYY-MM-DD
--   last          date           last session, YYYY-MM-DD
--   tickers       varchar list   symbols as traded
--   as_of         timestamp      only what the lake knew at this moment, such as 2026-11-20T12:00-05:00
--   sources       varchar        sources in order of preference: ',yahoo,recorded,'
--   basis         varchar        basis of prices and volumes: latest or as-traded; default latest
-- columns
--   ticker        varchar        symbol as traded that day
--   session       varchar        session, YYYY-MM-DD in exchange time
--   ts            timestamp      start of the bar, UTC
--   bar_minutes   integer        length of the bar, minutes
--   open          double         first price, USD; null if the source gave none
--   high          double         highest price, USD
--   low           double         lowest price, USD
--   close         double         last price, USD; null if the source gave none
--   volume        bigint         shares traded; null if the source gave none, 0 if none were traded
--   source        varchar        where the record comes from, such as yahoo or recorded
--   collected_at  timestamp      when the record was collected, UTC
--
-- A bar that its source has withdrawn does not count. Prices are on one basis: latest brings them to today's shares,
-- as-traded to those of the session.
WITH
-- include: splits,
-- include: hours,
-- include: given,
-- include: in_force
SELECT
    ticker,
    dt AS session,
    ts,
    bar_minutes,
    open,
    high,
    low,
    close,
    volume,
    source,
    collected_at
FROM in_force
ORDER BY session, ticker, ts, bar_minutes

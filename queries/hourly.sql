-- One row per ticker, session and clock hour: open, high, low, close and volume.
--
-- parameters
--   first        date           first session, YYYY-MM-DD
--   last         date           last session, YYYY-MM-DD
--   tickers      varchar list   symbols as traded
--   as_of        timestamp      only what the lake knew at this moment, such as 2026-11-20T12:00-05:00
--   sources      varchar        sources in order of preference: ',yahoo,recorded,'
--   basis        varchar        basis of prices and volumes: latest or as-traded; default latest
-- columns
--   ticker       varchar        symbol as traded that day
--   session      varchar        session, YYYY-MM-DD in exchange time
--   hour         integer        clock hour in exchange time, 9 to 15
--   open         double         first price of the hour's earliest bar that has one, USD
--   high         double         greatest high, USD
--   low          double         least low, USD
--   close        double         last price of the hour's latest bar that has one, USD
--   volume       bigint         shares traded, of the bars that have a volume
--   bars         bigint         number of bars, each counted once
--   bar_minutes  integer        length of these bars, minutes
--   last_ts      timestamp      start of the latest bar, UTC
--
-- Only bars that lie wholly inside one clock hour count, at the finest bar size that the ticker has in the session.
WITH
-- include: splits,
-- include: hours,
-- include: given,
-- include: in_force,
-- include: hourly
SELECT
    ticker,
    dt AS session,
    hour,
    open,
    high,
    low,
    close,
    volume,
    bars,
    bar_minutes,
    last_ts
FROM hourly
ORDER BY session, ticker, hour

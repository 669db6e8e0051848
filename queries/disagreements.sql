-- Bars for which two sources give prices that differ by more than a tick, 0.01 USD.
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
--   source        varchar        the source that is preferred of the two
--   other_source  varchar        the other source
--   high          double         highest price, USD
--   other_high    double         highest price by the other source, USD
--   low           double         lowest price, USD
--   other_low     double         lowest price by the other source, USD
--   close         double         last price, USD; null if the source gave none
--   other_close   double         last price by the other source, USD; null if it gave none
--
-- One row per bar and pair of sources. Bars that one of them does not have, or has withdrawn, are left out.
WITH
-- include: splits,
-- include: hours,
-- include: given,
pairs AS (
    SELECT
        g.ticker,
        g.dt AS session,
        g.ts,
        g.bar_minutes,
        g.source,
        o.source AS other_source,
        g.high,
        o.high AS other_high,
        g.low,
        o.low AS other_low,
        g.close,
        o.close AS other_close
    FROM given g
    JOIN given o ON o.ticker = g.ticker AND o.dt = g.dt AND o.bar_minutes = g.bar_minutes AND o.ts = g.ts
    WHERE g.choice < o.choice
)
SELECT
    ticker,
    session,
    ts,
    bar_minutes,
    source,
    other_source,
    high,
    other_high,
    low,
    other_low,
    close,
    other_close
FROM pairs
WHERE round(abs(high - other_high), 6) > 1e-2
    OR round(abs(low - other_low), 6) > 1e-2
    OR round(abs(close - other_close), 6) > 1e-2
ORDER BY session, ticker, ts, bar_minutes, source, other_source

-- Every forecast, what came of it, and its loss.
--
-- parameters
--   first          date           first session, YYYY-MM-DD
--   last           date           last session, YYYY-MM-DD
--   tickers        varchar list   symbols as traded
--   as_of          timestamp      only what the lake knew at this moment, such as 2026-11-20T12:00-05:00
--   sources        varchar        sources in order of preference: ',yahoo,recorded,'
--   basis          varchar        outcomes are in the session's own shares, as the references are; always as-traded
-- columns
--   ticker         varchar        symbol as traded that day
--   session        varchar        session, YYYY-MM-DD in exchange time
--   hour           integer        clock hour in exchange time at the start of which the forecast stands, 10 to 15
--   target         varchar        next-hour-high, day-high (still to come) or close-above (the session closes above now)
--   model          varchar        hour-of-day, har or boosted
--   version        integer        version of the model
--   kind           varchar        live: made before any bar of that hour had ended; else back-tested
--   made_at        timestamp      when the forecast was made, UTC
--   known_until    timestamp      the start of the hour, UTC: no later bar was used
--   ends_at        timestamp      end of the time that the forecast is about, UTC
--   reference      double         last close at that moment, USD
--   q05            double         5 percent quantile of the high relative to the reference, less 1
--   q25            double         25 percent quantile
--   q50            double         50 percent quantile
--   q75            double         75 percent quantile
--   q95            double         95 percent quantile
--   probability    double         probability of a close above the reference
--   sessions_used  integer        earlier sessions of the ticker that were known, up to 250
--   outcome        double         the high relative to the reference, less 1; for close-above 1 or 0; null until known
--   loss           double         mean pinball loss of the five quantiles, or Brier score; null until known
--
-- Of several forecasts of a kind by one version of a model the first one counts: a later one cannot replace it. An outcome
-- is known once the lake holds the ticker's last bar of the time that the forecast is about.
WITH
-- include: splits,
-- include: hours,
-- include: given,
-- include: in_force,
-- include: hourly,
-- include: scored
SELECT
    ticker,
    session,
    hour,
    target,
    model,
    version,
    kind,
    made_at,
    known_until,
    ends_at,
    reference,
    q05,
    q25,
    q50,
    q75,
    q95,
    probability,
    sessions_used,
    outcome,
    loss
FROM scored
ORDER BY session, ticker, hour, target, model, version, kind

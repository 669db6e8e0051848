-- How good the forecasts of each model were, and how much better than what is usual for the hour.
--
-- parameters
--   first          date           first session, YYYY-MM-DD
--   last           date           last session, YYYY-MM-DD
--   tickers        varchar list   symbols as traded
--   as_of          timestamp      only what the lake knew at this moment, such as 2026-11-20T12:00-05:00
--   sources        varchar        sources in order of preference: ',yahoo,recorded,'
--   basis          varchar        outcomes are in the session's own shares, as the references are; always as-traded
-- columns
--   target         varchar        next-hour-high, day-high (still to come) or close-above (the session closes above now)
--   model          varchar        hour-of-day, har or boosted
--   version        integer        version of the model
--   kind           varchar        live: made before any bar of that hour had ended; else back-tested
--   sessions       bigint         sessions with a score
--   forecasts      bigint         forecasts with a score
--   loss           double         mean of the sessions' mean losses: pinball loss, or Brier score
--   baseline_loss  double         the same of hour-of-day for the same forecasts; for close-above, of a coin
--   skill          double         1 - loss / baseline_loss: 0.1 for 10 percent better
--   margin         double         half the width of the 95 percent confidence interval of the skill
--   statistic      double         Diebold and Mariano's, with Newey and West's errors over 5 sessions; from 3 on, better
--   below_q05      double         share of outcomes at or below the 5 percent quantile: 0.05 if calibrated
--   below_q25      double         share of outcomes at or below the 25 percent quantile
--   below_q50      double         share of outcomes at or below the 50 percent quantile
--   below_q75      double         share of outcomes at or below the 75 percent quantile
--   below_q95      double         share of outcomes at or below the 95 percent quantile
--   inside         double         share of outcomes between the 5 and the 95 percent quantile: 0.9 if calibrated
--
-- The losses of all tickers and hours of a session are averaged first: they share the same market. Live and back-tested
-- forecasts are never put together. One session has no margin.
WITH
-- include: splits,
-- include: hours,
-- include: given,
-- include: in_force,
-- include: hourly,
-- include: scored,
compared AS (
    SELECT
        *,
        max_by(if(model = 'hour-of-day', loss, NULL), if(model = 'hour-of-day', version, NULL)) OVER (
            PARTITION BY ticker, session, hour, target, kind
        ) AS baseline_loss
    FROM scored
    WHERE loss IS NOT NULL
),
days AS (
    SELECT
        target,
        model,
        version,
        kind,
        session,
        count(*) AS forecasts,
        avg(loss) AS loss,
        avg(baseline_loss) AS baseline_loss,
        count_if(outcome <= q05) AS below_q05,
        count_if(outcome <= q25) AS below_q25,
        count_if(outcome <= q50) AS below_q50,
        count_if(outcome <= q75) AS below_q75,
        count_if(outcome <= q95) AS below_q95,
        count_if(outcome BETWEEN q05 AND q95) AS inside
    FROM compared
    WHERE baseline_loss IS NOT NULL
    GROUP BY target, model, version, kind, session
),
centred AS (
    SELECT
        *,
        baseline_loss - loss - avg(baseline_loss - loss) OVER (PARTITION BY target, model, version, kind) AS d
    FROM days
),
lagged AS (
    SELECT
        *,
        -- Bartlett's weights: a session five days ago counts one sixth.
        d * (
            d
            + (10 * coalesce(lag(d, 1) OVER (PARTITION BY target, model, version, kind ORDER BY session), 0)
                + 8 * coalesce(lag(d, 2) OVER (PARTITION BY target, model, version, kind ORDER BY session), 0)
                + 6 * coalesce(lag(d, 3) OVER (PARTITION BY target, model, version, kind ORDER BY session), 0)
                + 4 * coalesce(lag(d, 4) OVER (PARTITION BY target, model, version, kind ORDER BY session), 0)
                + 2 * coalesce(lag(d, 5) OVER (PARTITION BY target, model, version, kind ORDER BY session), 0)
            ) / (6 * 1e0)
        ) AS product
    FROM centred
),
totals AS (
    SELECT
        target,
        model,
        version,
        kind,
        count(*) AS sessions,
        CAST(sum(forecasts) AS bigint) AS forecasts,
        avg(loss) AS loss,
        avg(baseline_loss) AS baseline_loss,
        if(count(*) > 1, sqrt(greatest(sum(product), 0)) / (count(*) * 1e0), NULL) AS error,
        if(target = 'close-above', NULL, sum(below_q05) / (sum(forecasts) * 1e0)) AS below_q05,
        if(target = 'close-above', NULL, sum(below_q25) / (sum(forecasts) * 1e0)) AS below_q25,
        if(target = 'close-above', NULL, sum(below_q50) / (sum(forecasts) * 1e0)) AS below_q50,
        if(target = 'close-above', NULL, sum(below_q75) / (sum(forecasts) * 1e0)) AS below_q75,
        if(target = 'close-above', NULL, sum(below_q95) / (sum(forecasts) * 1e0)) AS below_q95,
        if(target = 'close-above', NULL, sum(inside) / (sum(forecasts) * 1e0)) AS inside
    FROM lagged
    GROUP BY target, model, version, kind
)
SELECT
    target,
    model,
    version,
    kind,
    sessions,
    forecasts,
    round(loss, 10) AS loss,
    round(baseline_loss, 10) AS baseline_loss,
    round(1 - loss / (nullif(baseline_loss, 0) * 1e0), 8) AS skill,
    round(196e-2 * error / (nullif(baseline_loss, 0) * 1e0), 8) AS margin,
    round((baseline_loss - loss) / (nullif(error, 0) * 1e0), 6) AS statistic,
    round(below_q05, 8) AS below_q05,
    round(below_q25, 8) AS below_q25,
    round(below_q50, 8) AS below_q50,
    round(below_q75, 8) AS below_q75,
    round(below_q95, 8) AS below_q95,
    round(inside, 8) AS inside
FROM totals
ORDER BY target, model, version, kind

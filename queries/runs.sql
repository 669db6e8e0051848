-- What was requested of each source, session by session, and what came of it.
--
-- parameters
--   first         date           first session, YYYY-MM-DD
--   last          date           last session, YYYY-MM-DD
--   tickers       varchar list   symbols as traded
--   as_of         timestamp      only what the lake knew at this moment, such as 2026-11-20T12:00-05:00
-- columns
--   ticker        varchar        symbol as traded that day
--   session       varchar        session, YYYY-MM-DD in exchange time
--   source        varchar        who was asked, such as yahoo
--   bar_minutes   integer        length of the bars, minutes
--   since         timestamp      start of the first bar that was requested, UTC
--   until         timestamp      end of the last bar that was requested, UTC
--   bars          bigint         valid bars in the answer
--   stored        bigint         bars that were new, or had other numbers than before
--   withdrawn     bigint         stored bars that the answer no longer had
--   rejected      bigint         records in the answer that broke a rule
--   outcome       varchar        answered, or why there was no answer: no-data, rate-limited, unavailable …
--   collected_at  timestamp      when it was asked, UTC
--
-- One row per run, session, ticker and source. An answer with bars of which none was stored or withdrawn changed
-- nothing. The outcome no-data means that the source has no bars. No row means that nobody asked.
SELECT DISTINCT
    ticker,
    session,
    source,
    bar_minutes,
    since,
    until,
    bars,
    stored,
    withdrawn,
    rejected,
    outcome,
    collected_at
FROM runs
WHERE session BETWEEN %(first)s AND %(last)s
    AND ('*' IN %(tickers)s OR ticker IN %(tickers)s)
    AND collected_at <= CAST(%(as_of)s AS timestamp)
ORDER BY session, ticker, source, collected_at, bar_minutes, since, until, bars, stored, withdrawn, rejected, outcome

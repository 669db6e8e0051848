"""What every query must answer, as of any moment, worked out slowly and plainly from all that vendors ever said.

`History` writes down each answer of a source with the moment it was asked. `Oracle` knows these answers, and nothing of
SQL, files or what the lake stores. The rules, which the queries follow too:

**What counts.** A row of an answer counts if it keeps the rules of a bar: finite positive prices, open and close
between high and low, no negative volume, a start on the grid of a session that was asked for, and an end before it was
asked for. Other rows are as if they had not been given. With `since`, rows that start earlier do not count.

**Exchanges.** A ticker has the sessions, hours and times of its exchange. The afternoon has a
grid of its own, from the end of the lunch break.

**Key.** A bar is (ticker, bar_minutes, ts, source), its ticker the symbol as traded that day. Its numbers are open,
high, low, close and volume.

**In force.** A bar is in force with the numbers that its source gave last, unless it is withdrawn. Its `collected_at`
is the moment from which it has been in force with these numbers: seeing them again changes nothing.

**Order.** What comes later replaces what came before, whatever the collector's clock says. A change that is not stamped
later than what it replaces gets that stamp and a millisecond.

**As of.** Only what is stamped at or before `as_of` counts.

**Withdrawn.** An answer for a whole session (without `since`) withdraws the bars of the same ticker, session, size and
source that have ended and are not among its rows, if there is a later row, or any row and the session closed an hour
ago: the newest bars may just be late. Here all rows of that day matter, also those that break a rule: a bar without
prices is not withdrawn. A withdrawn bar comes back when it is given again.

**Sources.** Each (ticker, bar_minutes, ts) comes from the first source that has it in force, in the order of
preference; sources that are not in it come last, by name.

**Finest size.** `hourly_high` and `daily` use the smallest `bar_minutes` that a ticker has in force in a session and no
other size. `hourly_high` uses bars that lie inside one clock hour at the exchange by their nominal length: the last
60-minute bar, from 15:30, does not, though the close cuts it short.

**Restatements.** One row for every change of a bar within a source: restated numbers (A, B, A is two rows), a
withdrawal, a return. A change is not a restatement if it is only the adjustment for a split known as of then, to within
rounding.

**Records.** `sessions` and `tickers` tell what was collected, withdrawn bars included: a record is what a bar said
each time it had something new to say, returns from withdrawal included.

**Coverage.** A ticker is expected in every session from the first in which it has a bar in force, while it trades under
that name; in a session without any of its bars, at its finest size. A missing bar is absent if some source, asked
an hour or more after the bar's end for bars from its start or earlier, gave no more bars than are in force in that
session. It is halted if it is absent by an answer without bad records, and has bars of the session before and after it.

**Basis.** Splits are known from the moment an answer delivers them. A source is taken to have adjusted its prices from
the start of the ex-date in UTC on, unless bars that it gave more than once contradict that: then from the first moment
that contradicts nothing, which is the moment at which they were first seen adjusted, or never so far. Whether a bar
that came once is adjusted, nobody can tell. A source that has not reported a split is taken to be like the one that
reported it last. Prices `as-traded` have the basis of their session.
Prices on the basis `latest` are divided by the ratio of each known split with a later ex-date, volumes multiplied.
Prices moved to another basis are rounded to six decimals, volumes to whole shares, halves up. What an unknown split did
to the numbers stays in them: nobody can tell.
"""

from tests.oracle.history import Answer, History
from tests.oracle.oracle import Oracle

__all__ = ["Answer", "History", "Oracle"]

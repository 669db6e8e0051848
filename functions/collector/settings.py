"""Settings of the Lambda function, from its environment variables."""

from __future__ import annotations

from dataclasses import dataclass

from tickerlake import watchlist
from tickerlake.record import BAR_MINUTES
from tickerlake.settings import EnvironmentSettings, one_of, plain_name, setting, whole_number
from tickerlake.symbols import parse_tickers

LOOK_BACK_MINUTES = 30
LONGEST_LOOK_BACK_MINUTES = 24 * 60


def _bar_minutes(text: str) -> int:
    return int(one_of(*map(str, BAR_MINUTES))(text))


@dataclass(frozen=True)
class Settings(EnvironmentSettings):
    """Where bars go, and what is collected when an event names nothing else."""

    stream: str = setting("COLLECTOR_STREAM", str, "the name of the Firehose stream")
    tickers: tuple[str, ...] = setting(
        "COLLECTOR_TICKERS", parse_tickers, "tickers to collect when an event names none", watchlist.DEFAULT
    )
    bar_minutes: int = setting("COLLECTOR_BAR_MINUTES", _bar_minutes, "length of a bar in minutes", 5)
    look_back_minutes: int = setting(
        "COLLECTOR_LOOK_BACK_MINUTES",
        whole_number(1, LONGEST_LOOK_BACK_MINUTES),
        "a run during a session collects the bars that ended within this many minutes",
        LOOK_BACK_MINUTES,
    )
    source: str = setting("COLLECTOR_SOURCE", plain_name, "the vendor to ask", "yahoo")
    key_parameter: str = setting(
        "COLLECTOR_KEY_PARAMETER",
        str,
        "the SSM parameter with the vendor's key, a JSON object of environment variables; empty without a key",
        "",
    )
    bucket: str = setting(
        "COLLECTOR_BUCKET", plain_name, "the lake's bucket, for splits; without it they are only logged", ""
    )
    database: str = setting(
        "COLLECTOR_DATABASE", plain_name, "the lake's database; without it nothing is withdrawn and no gap filled", ""
    )
    workgroup: str = setting(
        "COLLECTOR_WORKGROUP", plain_name, "the workgroup of Athena that reads the database", "primary"
    )

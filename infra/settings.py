"""`pulumi stack output --json | python -m infra.settings`: the stack, as the settings of queries and dashboard.

Prints `KEY=value` lines, ready for `env $(…)` or a file that is sourced.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from tickerlake.errors import ConfigError

OUTPUT = "tickerlake"
"""The stack output that names what was deployed."""


def environment(outputs: Mapping[str, Any]) -> dict[str, str]:
    """The `LAKE_` settings for what `outputs` names. ConfigError where it is no output of this stack."""
    try:
        deployed = outputs[OUTPUT]
        return {
            "LAKE_ENGINE": "athena",
            "LAKE_REGION": deployed["region"],
            "LAKE_DATABASE": deployed["database"],
            "LAKE_WORKGROUP": deployed["workgroup"],
        }
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"these are no outputs of a deployed stack ({error} is missing); "
            "run `pulumi up`, then `pulumi stack output --json`"
        ) from error


def main() -> None:
    """Reads stdin, writes stdout."""
    try:
        outputs = json.load(sys.stdin)
        lines = [f"{key}={value}" for key, value in environment(outputs).items()]
    except json.JSONDecodeError as error:
        sys.exit(f"infra.settings: what came in is not JSON ({error}); pipe `pulumi stack output --json` into it")
    except ConfigError as error:
        sys.exit(f"infra.settings: {error}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

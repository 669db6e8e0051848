"""`pulumi stack output --json | python -m infra.settings` prints the settings that point Tickerlake at the stack.

The lines are `KEY=value`, for `env $(…)` or an .env file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from tickerlake.errors import ConfigError

OUTPUT = "tickerlake"
"""The stack output that holds the names of what was deployed."""


def environment(outputs: Mapping[str, Any]) -> dict[str, str]:
    """The `LAKE_` settings for the stack's `outputs`. Raises ConfigError if they are not from this program."""
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
            f"the stack output has no {error}; run `pulumi up` first, then pipe `pulumi stack output --json` into this"
        ) from error


def main() -> None:
    """Reads standard input, writes standard output."""
    try:
        outputs = json.load(sys.stdin)
        lines = [f"{key}={value}" for key, value in environment(outputs).items()]
    except json.JSONDecodeError as error:
        sys.exit(f"error: the input is not JSON ({error}); pipe `pulumi stack output --json` into this")
    except ConfigError as error:
        sys.exit(f"error: {error}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

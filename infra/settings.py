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


def deployed(outputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was deployed, of the stack's `outputs`. Raises ConfigError if they are not from this program."""
    if not isinstance(outputs, Mapping) or OUTPUT not in outputs:
        raise ConfigError(
            f"the stack output has no {OUTPUT!r}; run `pulumi up` first, "
            "and pass on what `pulumi stack output --json` prints"
        )
    return outputs[OUTPUT]


def environment(outputs: Mapping[str, Any]) -> dict[str, str]:
    """The `LAKE_` settings for the stack's `outputs`. Raises ConfigError as `deployed`."""
    stack = deployed(outputs)
    return {
        "LAKE_ENGINE": "athena",
        "LAKE_REGION": stack["region"],
        "LAKE_DATABASE": stack["database"],
        "LAKE_WORKGROUP": stack["workgroup"],
    }


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

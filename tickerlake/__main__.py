"""`python -m tickerlake`: the same as the command `tickerlake`."""

import sys

from tickerlake.cli import main

sys.exit(main())

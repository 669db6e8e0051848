"""The Pulumi program: reads the settings, deploys the stack, exports its outputs. `pulumi up` runs this."""

import datetime as dt

import pulumi

from infra import config, packaging
from infra.stack import Stack
from tickerlake.errors import TickerlakeError
from tickerlake.exchange import XNYS

try:
    settings = config.load()
    package = packaging.package(settings.collector_zip)
except TickerlakeError as error:
    # Pulumi prints a RunError without a traceback.
    raise pulumi.RunError(str(error)) from error

stack = Stack(settings, package, today=XNYS.date_at(dt.datetime.now(dt.UTC)))

pulumi.export("tickerlake", stack.outputs)
pulumi.export("readme", stack.readme())

"""Runs a Pulumi program as the CLI's language host would: `program.py MONITOR ENGINE PROJECT STACK preview|up MAIN`."""

import asyncio
import os
import runpy
import sys

import pulumi
from pulumi import runtime


def main() -> None:
    monitor, engine, project, stack, operation, program = sys.argv[1:]
    os.chdir(os.path.dirname(program))  # noqa: PTH120
    sys.path.insert(0, "")  # the language host starts the program in its folder
    runtime.set_all_config(runtime.get_config_env(), runtime.get_config_secret_keys_env())
    runtime.configure(
        runtime.Settings(
            monitor=monitor,
            engine=engine,
            project=project,
            stack=stack,
            organization="organization",
            parallel=8,
            dry_run=operation == "preview",
        )
    )
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(runtime.run_in_stack(lambda: runpy.run_path(program, run_name="__main__")))
    except pulumi.RunError as error:
        sys.exit(f"RunError: {error}")
    finally:
        loop.close()


if __name__ == "__main__":
    main()

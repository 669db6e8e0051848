"""Lets a test say what time it is to the collector in the emulator, and to nobody else in its process.

Python imports this module by itself where its folder is on PYTHONPATH, which the stack adds to the function. It waits
for the handler to be imported and puts a clock of its own in the place of the handler's: one that reads the file that
TEST_CLOCK names, and while that is empty the real one. A session that is running can be had in no other way.
"""

import datetime as dt
import importlib.util
import os
import sys
from pathlib import Path

_HANDLER = "functions.collector.handler"


class _Finder:
    def find_spec(self, name, path, target=None):
        if name != _HANDLER:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            real = module._now
            module._now = lambda: _told() or real()

        spec.loader.exec_module = exec_module
        return spec


def _told():
    text = Path(os.environ["TEST_CLOCK"]).read_text(encoding="utf-8").strip()
    return dt.datetime.fromisoformat(text) if text else None


if "TEST_CLOCK" in os.environ:
    sys.meta_path.insert(0, _Finder())

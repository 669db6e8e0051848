"""Lets a test set the clock of a function in the emulator, and of nothing else in its process.

Python imports this module on start because its folder is on PYTHONPATH. When a handler is imported, it replaces the
handler's clock with one that reads the file named by TEST_CLOCK, or the real time while that is empty. There is no
other way to test a running session.
"""

import datetime as dt
import importlib.util
import os
import re
import sys
from pathlib import Path

_HANDLER = re.compile(r"functions\.\w+\.handler")


class _Finder:
    def find_spec(self, name, path, target=None):
        if not _HANDLER.fullmatch(name):
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

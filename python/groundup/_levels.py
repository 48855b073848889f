"""Choose and load the compiled core: one extension module a micro-architecture level, the best one wins.

``GROUNDUP_ISA`` forces a level; a level that is unknown, was not built or that this processor does not run is
an error, never silently another one.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType

from groundup import _cpu

LEVELS = ("base", "v2", "v3", "v4")


def available() -> list[str]:
    """The levels that were built and that this processor runs, lowest first."""
    best = LEVELS.index(_cpu.level())
    return [
        level
        for i, level in enumerate(LEVELS)
        if i <= best and importlib.util.find_spec(f"groundup._core_{level}") is not None
    ]


def _choose() -> str:
    wanted = os.environ.get("GROUNDUP_ISA")
    if not wanted:
        # The usual case looks for one file, not for four.
        best = _cpu.level()
        if importlib.util.find_spec(f"groundup._core_{best}") is not None:
            return best
    levels = available()
    if not levels:
        raise ImportError(f"groundup: no compiled core for this processor ({_cpu.level()}) is installed")
    if not wanted:
        return levels[-1]
    if wanted not in LEVELS:
        raise ImportError(f"groundup: GROUNDUP_ISA must be one of {', '.join(LEVELS)}, but got {wanted!r}")
    if wanted not in levels:
        raise ImportError(
            f"groundup: GROUNDUP_ISA={wanted}, but this build and processor offer {', '.join(levels)}"
        )
    return wanted


def load() -> ModuleType:
    """Import the chosen core and make it known as ``groundup._core``."""
    core = importlib.import_module(f"groundup._core_{_choose()}")
    sys.modules["groundup._core"] = core
    return core

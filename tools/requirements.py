"""Print the requirements that pyproject.toml names for the groups given, one a line.

A group is ``build`` (what the build itself needs), ``run``, or an extra. Installing them by hand lets the
build run without pip's isolation, which gives every build a new folder of headers and so compiles all anew.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def requirements(groups: list[str]) -> list[str]:
    """The requirements of ``groups`` in their order, without repetition."""
    with (Path(__file__).parent.parent / "pyproject.toml").open("rb") as f:
        config = tomllib.load(f)
    known: dict[str, list[str]] = {
        # The backend would ask for the last two only where the system has none.
        "build": [*config["build-system"]["requires"], "cmake>=3.22", "ninja"],
        "run": config["project"]["dependencies"],
        **config["project"]["optional-dependencies"],
    }
    unknown = [group for group in groups if group not in known]
    if unknown or not groups:
        raise SystemExit(f"usage: requirements.py GROUP...; groups: {', '.join(known)}; unknown: {unknown}")
    return list(dict.fromkeys(line for group in groups for line in known[group]))


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1:])))

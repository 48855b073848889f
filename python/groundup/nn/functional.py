"""Ops under the names of ``torch.nn.functional``, such as ``F.softmax``; each is the op of ``groundup``."""

from __future__ import annotations

from typing import Any

from groundup import ops


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return ops.get(name)


def __dir__() -> list[str]:
    return list(ops.registry())

"""Which face of every op runs: the compiled one ("cpp") or its NumPy reference ("numpy")."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

NAMES = ("cpp", "numpy")
_current = "cpp"


def current() -> str:
    """The name of the backend that runs now."""
    return _current


class backend:  # noqa: N801 - read as a function: gu.backend("numpy")
    """Switch the backend, for good or for a ``with`` block.

    Tensors belong to the backend that made them. The switch is one for the whole process, not one a thread.

    Args:
        name: ``"cpp"`` or ``"numpy"``.

    Raises:
        ValueError: another name.

    >>> import groundup as gu
    >>> with gu.backend("numpy"):
    ...     type(gu.tensor([1.0])).__module__
    'groundup.reference.tensor'
    """

    def __init__(self, name: str) -> None:
        if name not in NAMES:
            raise ValueError(f"[backend] name must be 'cpp' or 'numpy', but got {name!r}")
        self._before = _current
        _switch(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        _switch(self._before)


def _switch(name: str) -> None:
    global _current  # noqa: PLW0603 - the one switch of the process
    if name != _current:
        from groundup import ops

        ops.use_backend(name)
        _current = name


def from_environment() -> None:
    """Obey ``GROUNDUP_BACKEND`` at import."""
    name = os.environ.get("GROUNDUP_BACKEND", "cpp")
    if name not in NAMES:
        raise ImportError(f"groundup: GROUNDUP_BACKEND must be 'cpp' or 'numpy', but got {name!r}")
    _switch(name)

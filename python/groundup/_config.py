"""What runs: level, threads, backend, versions."""

from __future__ import annotations

from typing import Any

from groundup import _backend, _core, _levels


def config() -> dict[str, Any]:
    """The facts of this installation and process: micro-architecture level, threads, backend, versions.

    >>> import groundup as gu
    >>> gu.config()["backend"]
    'cpp'
    """
    import platform

    import numpy as np

    import groundup

    return {
        "groundup": groundup.__version__,
        "isa": _core.isa,
        "isa_available": _levels.available(),
        "threads": _core.num_threads(),
        "backend": _backend.current(),
        "compiler": _core.compiler,
        "blas": _core.blas,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "system": platform.platform(),
    }

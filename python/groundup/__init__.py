"""groundup: machine learning and language models built from the ground up.

A C++20 core as fast as the machine it runs on, the NumPy that explains it, and pages that teach with both.

>>> import groundup as gu
>>> x = gu.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
>>> gu.softmax(x, dim=-1).sum().backward()
>>> x.grad.shape
(2, 2)

Names follow PyTorch for tensors, ``nn`` and ``optim``; scikit-learn for estimators and metrics; Hugging Face for
models and tokenizers on disk. ``gu.backend("numpy")`` runs the reference of every op instead of the compiled one.
"""

from __future__ import annotations

import importlib
from typing import Any

from groundup import _levels

_core: Any = _levels.load()

from groundup import _backend, _copying, _methods, ops  # noqa: E402
from groundup._backend import backend  # noqa: E402
from groundup._config import config  # noqa: E402
from groundup._core import (  # noqa: E402
    DTypeError,
    ShapeError,
    bfloat16,
    bool_,
    dtype,
    empty_cache,
    float32,
    float64,
    int64,
    memory_stats,
    num_threads,
    reset_peak_memory,
    set_num_threads,
)
from groundup._creation import as_tensor, from_dlpack, from_numpy, tensor  # noqa: E402
from groundup.autograd import anomaly, enable_grad, is_grad_enabled, no_grad  # noqa: E402
from groundup.random import get_rng_state, manual_seed, set_rng_state  # noqa: E402

__version__ = "0.1.0"

# What is here by name; ops, submodules and a few heavier things come through __getattr__.
__all__ = [
    "DTypeError",
    "ShapeError",
    "anomaly",
    "as_tensor",
    "backend",
    "bfloat16",
    "bool_",
    "config",
    "dtype",
    "empty_cache",
    "enable_grad",
    "float32",
    "float64",
    "from_dlpack",
    "from_numpy",
    "get_rng_state",
    "int64",
    "is_grad_enabled",
    "manual_seed",
    "memory_stats",
    "no_grad",
    "num_threads",
    "ops",
    "reset_peak_memory",
    "set_num_threads",
    "set_rng_state",
    "tensor",
]

#: Imported when first used, so that importing groundup stays cheap.
_SUBMODULES = (
    "bench", "cli", "data", "files", "lm", "nn", "optim", "plot", "reference", "safetensors", "scalar", "study", "text",
)  # fmt: skip

#: Where to find functions that load more than they should at import.
_LAZY = {
    "check": "groundup.study.checking",
    "checkpoint": "groundup.autograd",
    "explain": "groundup._explain",
}

_methods.install(_core.Tensor)
_copying.install(_core.Tensor)
globals().update(ops._OPS)
_backend.from_environment()


def __getattr__(name: str) -> Any:
    """Submodules, the tensor class of the current backend, and composite ops, when first asked for."""
    if name in _SUBMODULES:
        return importlib.import_module(f"groundup.{name}")
    if name == "Tensor":
        if _backend.current() == "numpy":
            from groundup.reference.tensor import Tensor

            return Tensor
        return _core.Tensor
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name.startswith("_"):
        raise AttributeError(f"module 'groundup' has no attribute {name!r}")
    return ops.get(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBMODULES, *ops.registry(), *_LAZY, "Tensor"})

"""Layers: an op with the parameters it needs. Names, defaults and initial values follow PyTorch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, overload

import groundup as gu
from groundup.nn import init
from groundup.nn.module import Module, Parameter

#: What `Linear` can fuse.
ACTIVATIONS = ("none", "relu", "gelu", "gelu_tanh", "silu")


def _positive(layer: str, **sizes: int) -> None:
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ValueError(f"[{layer}] {name} must be a positive int, but got {size!r}")


class Linear(Module):
    """y = activation(x Wᵀ + b).

    Shapes: x [..., in] -> y [..., out]; weight [out, in]; bias [out].

    Args:
        activation: fused into the op: ``none``, ``relu``, ``gelu``, ``gelu_tanh`` or ``silu``.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, activation: str = "none"
    ) -> None:
        super().__init__()
        _positive("Linear", in_features=in_features, out_features=out_features)
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"[Linear] activation must be one of {', '.join(ACTIVATIONS)}, but got {activation!r}"
            )
        self.in_features, self.out_features, self.activation = in_features, out_features, activation
        self.weight = Parameter(gu.zeros(out_features, in_features))
        self.bias = Parameter(gu.zeros(out_features)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight and bias uniform in ±1/√in."""
        bound = 1 / math.sqrt(self.in_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Any) -> Any:
        """x [..., in] -> [..., out]."""
        return gu.linear(x, self.weight, self.bias, activation=self.activation)

    def extra_repr(self) -> str:
        fused = "" if self.activation == "none" else f", activation={self.activation!r}"
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}{fused}"


class Embedding(Module):
    """A row of a table for each id.

    Shapes: ids [...] int64 -> [..., embedding_dim]; weight [num_embeddings, embedding_dim], from N(0, 1).
    """

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        super().__init__()
        _positive("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = Parameter(gu.randn(num_embeddings, embedding_dim))

    def forward(self, ids: Any) -> Any:
        """ids [...] -> [..., embedding_dim]."""
        return gu.embedding(ids, self.weight)

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}"


class LayerNorm(Module):
    """Each vector to mean 0 and variance 1, then scaled and shifted by what is learned.

    Shapes: x [..., *normalized_shape] -> the same.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps = shape, eps
        self.weight = Parameter(gu.ones(*shape)) if elementwise_affine else None
        self.bias = Parameter(gu.zeros(*shape)) if elementwise_affine and bias else None

    def forward(self, x: Any) -> Any:
        """x [..., *normalized_shape] -> the same."""
        return gu.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, affine={self.weight is not None}"


class RMSNorm(Module):
    """Each vector divided by its root mean square, then scaled: layer norm without the mean (Zhang, Sennrich, 2019).

    Shapes: x [..., *normalized_shape] -> the same.
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps = shape, eps
        self.weight = Parameter(gu.ones(*shape)) if elementwise_affine else None

    def forward(self, x: Any) -> Any:
        """x [..., *normalized_shape] -> the same."""
        return gu.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, affine={self.weight is not None}"


class _BatchNorm(Module):
    _dims: tuple[int, ...]

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        _positive(type(self).__name__, num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = Parameter(gu.ones(num_features)) if affine else None
        self.bias = Parameter(gu.zeros(num_features)) if affine else None
        tracked = track_running_stats
        self.register_buffer("running_mean", gu.zeros(num_features) if tracked else None)
        self.register_buffer("running_var", gu.ones(num_features) if tracked else None)
        self.register_buffer("num_batches_tracked", gu.tensor(0) if tracked else None)

    def forward(self, x: Any) -> Any:
        """x [N, C, ...] -> the same."""
        if len(x.shape) not in self._dims:
            expected = " or ".join(f"{d}-d" for d in self._dims)
            raise gu.ShapeError(
                f"[{type(self).__name__}] x must be {expected}, but got shape {tuple(x.shape)}"
            )
        use_batch = self.training or self.running_mean is None
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        return gu.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, use_batch, self.momentum, self.eps
        )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.weight is not None}"
        )


class BatchNorm1d(_BatchNorm):
    """Each channel to mean 0 and variance 1 over the batch; in evaluation over what training has seen.

    Shapes: x [N, C] or [N, C, L] -> the same (Ioffe, Szegedy, 2015).
    """

    _dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for images. Shapes: x [N, C, H, W] -> the same."""

    _dims = (4,)


class Dropout(Module):
    """In training, zero each element with probability p and scale the others by 1/(1 − p). Shapes: any."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"[Dropout] p must be in [0, 1), but got {p}")
        self.p = p

    def forward(self, x: Any) -> Any:
        """x [...] -> the same shape."""
        return gu.dropout(x, self.p, self.training) if self.training and self.p > 0 else x

    def extra_repr(self) -> str:
        return f"p={self.p}"


class _Activation(Module):
    _op: str

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options

    def forward(self, x: Any) -> Any:
        """x [...] -> the same shape."""
        return getattr(gu, self._op)(x, **self.options)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items())


class ReLU(_Activation):
    """max(x, 0)."""

    _op = "relu"


class LeakyReLU(_Activation):
    """x where positive, else negative_slope · x."""

    _op = "leaky_relu"

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__(negative_slope=negative_slope)


class ELU(_Activation):
    """x where positive, else alpha (eˣ − 1)."""

    _op = "elu"

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha=alpha)


class GELU(_Activation):
    """x Φ(x), exact or by a tanh (approximate="tanh")."""

    _op = "gelu"

    def __init__(self, approximate: str = "none") -> None:
        super().__init__(approximate=approximate)


class SiLU(_Activation):
    """x σ(x)."""

    _op = "silu"


class Tanh(_Activation):
    """tanh x."""

    _op = "tanh"


class Sigmoid(_Activation):
    """σ(x) = 1/(1 + e⁻ˣ)."""

    _op = "sigmoid"


class Softplus(_Activation):
    """log(1 + e^(beta x)) / beta."""

    _op = "softplus"

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__(beta=beta, threshold=threshold)


class Softmax(_Activation):
    """Scores to probabilities along ``dim``."""

    _op = "softmax"

    def __init__(self, dim: int = -1) -> None:
        super().__init__(dim=dim)


class Identity(Module):
    """Its argument."""

    def forward(self, x: Any) -> Any:
        """x -> x."""
        return x


class Flatten(Module):
    """All axes from ``start_dim`` on as one. Shapes: x [N, a, b] -> [N, a·b]."""

    def __init__(self, start_dim: int = 1) -> None:
        super().__init__()
        self.start_dim = start_dim

    def forward(self, x: Any) -> Any:
        """x [N, a, b] -> [N, a·b]."""
        return x.reshape((*x.shape[: self.start_dim], -1))


class ModuleList(Module):
    """Modules in a list, so that their parameters are found."""

    def __init__(self, modules: Sequence[Module] = ()) -> None:
        super().__init__()
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> ModuleList:
        """Add a module at the end."""
        if not isinstance(module, Module):
            raise TypeError(
                f"[{type(self).__name__}] elements must be modules, but got {type(module).__name__}"
            )
        setattr(self, str(len(self)), module)
        return self

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> ModuleList: ...
    def __getitem__(self, index: int | slice) -> Module | ModuleList:
        modules = list(self.children())
        return type(self)(modules[index]) if isinstance(index, slice) else modules[index]

    def __len__(self) -> int:
        return len(list(self.children()))

    def __iter__(self) -> Iterator[Module]:
        return self.children()


class Sequential(ModuleList):
    """Modules one after the other: ``Sequential(Linear(2, 8), ReLU(), Linear(8, 1))``."""

    def __init__(self, *modules: Any) -> None:
        if len(modules) == 1 and isinstance(modules[0], (list, tuple)):
            modules = tuple(modules[0])
        super().__init__(modules)

    def forward(self, x: Any) -> Any:
        """The last module's result."""
        for module in self:
            x = module(x)
        return x

"""linear: a layer of a network, its activation included."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from groundup import ops
from groundup.ops import elementwise
from groundup.ops._spec import (
    Array,
    Bad,
    Cost,
    DTypeError,
    Example,
    Sample,
    ShapeError,
    Spec,
    nbytes,
    promoted,
    require,
    sample,
)

Rule = Callable[[Array, Array, Array], tuple[Array]]

# name -> the function of z, and dz from (dy, y, z)
ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Rule]] = {
    "none": (lambda z: z, lambda dy, y, z: (dy,)),
    "relu": (elementwise.relu, elementwise.relu_backward),
    "gelu": (elementwise.gelu, lambda dy, y, z: elementwise.gelu_backward(dy, y, z, "none")),
    "gelu_tanh": (
        lambda z: elementwise.gelu(z, "tanh"),
        lambda dy, y, z: elementwise.gelu_backward(dy, y, z, "tanh"),
    ),
    "silu": (elementwise.silu, elementwise.silu_backward),
}


def _layer(x: Array, weight: Array, bias: Array | None, transpose_weight: bool) -> tuple[Array, Array, Array]:
    """x and W [in, out] in one dtype, and z."""
    if bias is None:
        a, w = promoted(x, weight)
        b = np.zeros((), a.dtype)
    else:
        a, w, b = promoted(x, weight, bias)
    W = w if transpose_weight else w.T  # in,out
    return a, W, a @ W + b  # ...,out


def linear(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    activation: str = "none",
    transpose_weight: bool = False,
) -> Array:
    _, _, z = _layer(x, weight, bias, transpose_weight)
    return ACTIVATIONS[activation][0](z)


def linear_backward(
    dy: Array, y: Array, x: Array, weight: Array, bias: Array | None, activation: str, transpose_weight: bool
) -> tuple[Array | None, ...]:
    a, W, z = _layer(x, weight, bias, transpose_weight)
    (dz,) = ACTIVATIONS[activation][1](dy, y, z)  # ...,out
    dz_rows = dz.reshape(-1, W.shape[1]) if dz.size else np.zeros((0, W.shape[1]), dz.dtype)  # R,out
    x_rows = a.reshape(len(dz_rows), W.shape[0]) if dz.size else np.zeros((0, W.shape[0]), dz.dtype)  # R,in
    dW = x_rows.T @ dz_rows  # in,out
    db = None if bias is None else dz_rows.sum(axis=0).astype(bias.dtype)
    return (dz @ W.T).astype(x.dtype), (dW if transpose_weight else dW.T).astype(weight.dtype), db


def compose(
    x: Any,
    weight: Any,
    bias: Any = None,
    activation: str = "none",
    transpose_weight: bool = False,
) -> Any:
    z = ops.matmul(x, weight, transpose_other=not transpose_weight)
    z = z if bias is None else z + bias
    if activation == "none":
        return z
    return ops.gelu(z, "tanh") if activation == "gelu_tanh" else ops.get(activation)(z)


def check(x: Array, weight: Array, bias: Array | None, activation: str, transpose_weight: bool) -> None:
    require(
        activation in ACTIVATIONS,
        ValueError,
        f"[linear] activation must be none, relu, gelu, gelu_tanh or silu, but got '{activation}'",
    )
    require(
        weight.ndim == 2,
        ShapeError,
        f"[linear] weight must be {'[in, out]' if transpose_weight else '[out, in]'}, "
        f"but got shape {weight.shape}",
    )
    n_in, n_out = weight.shape if transpose_weight else weight.shape[::-1]
    require(
        x.ndim > 0 and x.shape[-1] == n_in,
        ShapeError,
        f"[linear] the last axis of x must have the {n_in} inputs of weight {weight.shape}, "
        f"but got shape {x.shape}",
    )
    if bias is not None:
        require(
            bias.shape == (n_out,),
            ShapeError,
            f"[linear] bias must have shape ({n_out},), but got {bias.shape}",
        )
    for t in (x, weight, weight if bias is None else bias):
        require(
            t.dtype.kind == "f",
            DTypeError,
            f"[linear] x, weight and bias must be float32 or float64, but got {t.dtype}",
        )


def samples(rng: np.random.Generator) -> Iterable[Sample]:
    def layer(*x: int, n_out: int) -> tuple[Array, Array, Array]:
        return (
            rng.standard_normal(x),
            rng.standard_normal((n_out, x[-1])) / np.sqrt(max(x[-1], 1)),
            rng.standard_normal(n_out),
        )

    for activation in ACTIVATIONS:
        yield sample(*layer(4, 7, n_out=5), activation)
    yield sample(*layer(2, 3, 73, n_out=74), "gelu_tanh")
    yield sample(*layer(72, 73, n_out=74)[:2])
    yield sample(*layer(6, n_out=5))
    yield sample(*layer(0, 6, n_out=5), "silu")
    yield sample(*layer(3, 0, n_out=5), activation="gelu")
    yield sample(*layer(3, 4, n_out=0), "relu")
    x, weight, bias = layer(3, 5, 6, n_out=4)
    yield sample(x, weight.T.copy(), bias, "silu", transpose_weight=True)
    yield sample(x, weight.T.copy(), transpose_weight=True)


def _cost(x: Array, weight: Array, bias: Array | None = None, *args: Any, **kwargs: Any) -> Cost:
    rows, results = x.size / x.shape[-1], x.size / x.shape[-1] * weight.size / x.shape[-1]
    return Cost(2 * rows * weight.size, nbytes(x, weight, bias) + results * x.itemsize)


SPECS = [
    Spec(
        name="linear",
        summary="A linear map of the last axis plus a bias, and an activation in the same pass.",
        formula=r"y = f(x W^\top + b)",
        shapes="x [..., in], weight [out, in], bias [out] -> y [..., out]",
        args={
            "activation": "f: 'none', 'relu', 'gelu', 'gelu_tanh' or 'silu'",
            "transpose_weight": "weight is [in, out], as in GPT-2's files",
        },
        forward=linear,
        backward=linear_backward,
        check=check,
        composition=compose,
        samples=samples,
        # z = (1·1 + 2·3 + 0.5, 1·(-1) + 2·0 + 0) = (7.5, -1): relu stops the second, and its gradients.
        example=Example(
            sample(np.array([[1.0, 2.0]]), np.array([[1.0, 3.0], [-1.0, 0.0]]), np.array([0.5, 0.0]), "relu"),
            [[7.5, 0.0]],
            ([[1.0, 3.0]], [[1.0, 2.0], [0.0, 0.0]], [1.0, 0.0]),
        ),
        bad=(
            Bad(
                sample(np.zeros((2, 3)), np.zeros((5, 4))),
                ShapeError,
                "[linear] the last axis of x must have the 4 inputs of weight (5, 4), but got shape (2, 3)",
            ),
            Bad(
                sample(np.zeros((2, 3)), np.zeros((5, 4)), transpose_weight=True),
                ShapeError,
                "[linear] the last axis of x must have the 5 inputs of weight (5, 4), but got shape (2, 3)",
            ),
            Bad(
                sample(np.zeros((2, 3)), np.zeros(3)),
                ShapeError,
                "[linear] weight must be [out, in], but got shape (3,)",
            ),
            Bad(
                sample(np.zeros((2, 3)), np.zeros((5, 3)), np.zeros(3)),
                ShapeError,
                "[linear] bias must have shape (5,), but got (3,)",
            ),
            Bad(
                sample(np.zeros((2, 3)), np.zeros((5, 3)), None, "tanh"),
                ValueError,
                "[linear] activation must be none, relu, gelu, gelu_tanh or silu, but got 'tanh'",
            ),
            Bad(
                sample(np.zeros((2, 3), np.int64), np.zeros((5, 3))),
                DTypeError,
                "[linear] x, weight and bias must be float32 or float64, but got int64",
            ),
        ),
        # Sums of up to 74 products, in another order.
        tolerance={"float32": (1e-5, 1e-5), "float64": (1e-13, 2e-14)},
        cost=_cost,
        bench=lambda rng: sample(
            rng.standard_normal((768, 512)),
            rng.standard_normal((2048, 512)),
            rng.standard_normal(2048),
            "gelu_tanh",
        ),
    ),
]

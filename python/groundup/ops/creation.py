"""Tensors made from nothing but a size: constants, sequences, random numbers.

Random ops draw from one counter-based stream. What each makes of its words is written in full here, and the C++
makes the same of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup import _core
from groundup.ops._spec import Array, Bad, DTypeError, Example, Sample, ShapeError, Spec, require, sample

Size = tuple[int, ...]
Number = bool | int | float
DType = npt.DTypeLike | None


# ---- constants -----------------------------------------------------------------------------------


def zeros(size: Size, dtype: DType = "float32", requires_grad: bool = False) -> Array:
    return np.zeros(size, dtype)


def empty(size: Size, dtype: DType = "float32", requires_grad: bool = False) -> Array:
    return np.zeros(size, dtype)


def ones(size: Size, dtype: DType = "float32", requires_grad: bool = False) -> Array:
    return np.ones(size, dtype)


def _dtype_of(value: Number) -> DType:
    return np.bool_ if isinstance(value, bool) else np.int64 if isinstance(value, int) else np.float32


def full(size: Size, fill_value: Number, dtype: DType = None, requires_grad: bool = False) -> Array:
    return np.full(size, np.asarray(fill_value).astype(dtype or _dtype_of(fill_value)))


def zeros_like(x: Array, dtype: DType = None, requires_grad: bool = False) -> Array:
    return np.zeros_like(x, dtype)


def ones_like(x: Array, dtype: DType = None, requires_grad: bool = False) -> Array:
    return np.ones_like(x, dtype)


def full_like(x: Array, fill_value: Number, dtype: DType = None, requires_grad: bool = False) -> Array:
    return full(x.shape, fill_value, dtype or x.dtype)


def eye(n: int, m: int | None = None, dtype: DType = "float32", requires_grad: bool = False) -> Array:
    return np.eye(n, m, dtype=dtype)


# ---- sequences -----------------------------------------------------------------------------------


def arange(
    start: Number,
    end: Number | None = None,
    step: Number = 1,
    dtype: DType = None,
    requires_grad: bool = False,
) -> Array:
    if end is None:
        start, end = 0, start
    if any(isinstance(v, float) for v in (start, end, step)):
        n = math.ceil((end - start) / step)
        return (start + np.arange(n) * float(step)).astype(dtype or np.float32)
    n = int(-(-(end - start) // step))
    return (start + np.arange(n) * step).astype(dtype or np.int64)


def linspace(
    start: float, end: float, steps: int, dtype: DType = "float32", requires_grad: bool = False
) -> Array:
    i = np.arange(steps)
    step = (end - start) / (steps - 1) if steps > 1 else 0.0
    return np.where(2 * i < steps, start + i * step, end - (steps - 1 - i) * step).astype(dtype)


# ---- random numbers ------------------------------------------------------------------------------


def words(blocks: int) -> npt.NDArray[np.uint64]:
    """The next blocks of the stream, 4 words of 64 bits each."""
    seed, counter = _core.advance_rng(blocks)
    drawn: npt.NDArray[np.uint64] = np.random.Philox(key=seed, counter=counter).random_raw(4 * blocks)
    return drawn


def _uniform(size: Size, dtype: np.dtype[Any]) -> Array:
    """In [0, 1): the upper 24 or 53 bits of as many random ones as the mantissa holds."""
    n = math.prod(size)
    if dtype == np.float32:
        halves = words(-(-n // 8)).view(np.uint32)  # the lower half of each word first
        return ((halves[:n] >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)).reshape(size)
    return ((words(-(-n // 4))[:n] >> np.uint64(11)) * 2.0**-53).reshape(size)


def _normal(size: Size, dtype: np.dtype[Any]) -> Array:
    """By Box and Muller: a point of a normal cloud has a random angle and the radius sqrt(-2 ln u)."""
    n = math.prod(size)
    u = (words(-(-n // 4)) >> np.uint64(11)) * 2.0**-53
    radius = np.sqrt(-2.0 * np.log(1.0 - u[0::2]))  # 1 - u is never 0
    angle = 2 * math.pi * u[1::2]
    z = np.empty(len(u))
    z[0::2], z[1::2] = radius * np.cos(angle), radius * np.sin(angle)
    return z[:n].astype(dtype).reshape(size)


def rand(size: Size, dtype: DType = "float32", requires_grad: bool = False) -> Array:
    return _uniform(size, np.dtype(dtype))


def randn(size: Size, dtype: DType = "float32", requires_grad: bool = False) -> Array:
    return _normal(size, np.dtype(dtype))


def rand_like(x: Array, dtype: DType = None, requires_grad: bool = False) -> Array:
    return _uniform(x.shape, np.dtype(dtype or x.dtype))


def randn_like(x: Array, dtype: DType = None, requires_grad: bool = False) -> Array:
    return _normal(x.shape, np.dtype(dtype or x.dtype))


def randint(low: int, high: int, size: Size) -> Array:
    n = math.prod(size)
    # A word is a fraction of 2^64; that fraction of the span, rounded down, in Python's long integers.
    drawn = [low + (int(w) * (high - low) >> 64) for w in words(-(-n // 4))[:n]]
    return np.array(drawn, np.int64).reshape(size)


def bernoulli(x: Array) -> Array:
    return (_uniform(x.shape, x.dtype) < x).astype(x.dtype)


def keep_mask(rows: int, n: int, p: float) -> Array:
    """False with probability p; each row begins with a new block of the random stream. [rows, n] bool."""
    halves = words(rows * -(-n // 8)).view(np.uint32)  # 8 halves a block
    return np.asarray(halves.reshape(rows, -(-n // 8) * 8)[:, :n] < math.ceil((1 - p) * 2**32))


# ---- checks --------------------------------------------------------------------------------------


def _check_size(size: Size) -> None:
    require(
        all(n >= 0 for n in size), ShapeError, f"[tensor] sizes must not be negative, but got {tuple(size)}"
    )
    total = 1
    for n in size:
        total *= n
        fits = total < 2**59
        require(fits, ShapeError, f"[tensor] sizes must multiply to less than 2^59, but got {tuple(size)}")


def _check_leaf(dtype: DType, requires_grad: bool) -> None:
    d = np.dtype(dtype)
    require(
        not requires_grad or d.kind == "f",
        DTypeError,
        f"[requires_grad] only float tensors have gradients, but got {d}",
    )


def _check_sized(size: Size, dtype: DType, requires_grad: bool) -> None:
    _check_size(size)
    _check_leaf(dtype, requires_grad)


def _check_full(size: Size, fill_value: Number, dtype: DType, requires_grad: bool) -> None:
    _check_sized(size, dtype or _dtype_of(fill_value), requires_grad)


def _check_like(x: Array, dtype: DType, requires_grad: bool) -> None:
    _check_leaf(dtype or x.dtype, requires_grad)


def _check_full_like(x: Array, fill_value: Number, dtype: DType, requires_grad: bool) -> None:
    _check_leaf(dtype or x.dtype, requires_grad)


def _check_eye(n: int, m: int | None, dtype: DType, requires_grad: bool) -> None:
    _check_sized((n, n if m is None else m), dtype, requires_grad)


def _check_arange(start: Number, end: Number | None, step: Number, dtype: DType, requires_grad: bool) -> None:
    if end is None:
        start, end = 0, start
    span = end - start
    finite = math.isfinite(span) and math.isfinite(step)
    require(finite, ValueError, "[arange] start, end and step must be finite")
    require(step != 0, ValueError, "[arange] step must not be 0")
    leads = span == 0 or (span < 0) == (step < 0)
    require(leads, ValueError, "[arange] step must lead from start towards end")
    whole = not any(isinstance(v, float) for v in (start, end, step))
    n = -(-span // step) if whole else math.ceil(min(span / step, 2.0**62))
    _check_size((min(2**62, int(n)),))
    _check_leaf(dtype or (np.int64 if whole else np.float32), requires_grad)


def _check_linspace(start: float, end: float, steps: int, dtype: DType, requires_grad: bool) -> None:
    require(steps >= 0, ValueError, f"[linspace] steps must not be negative, but got {steps}")
    _check_sized((steps,), dtype, requires_grad)


def _check_float(op: str, dtype: DType) -> None:
    d = np.dtype(dtype)
    require(d.kind == "f", DTypeError, f"[{op}] dtype must be float32 or float64, but got {d}")


def _check_random(op: str) -> Callable[..., None]:
    def check(size: Size, dtype: DType, requires_grad: bool) -> None:
        _check_size(size)
        _check_float(op, dtype)

    return check


def _check_random_like(op: str) -> Callable[..., None]:
    return lambda x, dtype, requires_grad: _check_float(op, dtype or x.dtype)


def _check_randint(low: int, high: int, size: Size) -> None:
    require(low < high, ValueError, f"[randint] low must be less than high, but got {low} and {high}")
    _check_size(size)


def _check_bernoulli(x: Array) -> None:
    _check_float("bernoulli", x.dtype)
    outside = np.flatnonzero(~((x >= 0) & (x <= 1)))
    first = outside[0] if outside.size else None
    require(
        first is None, ValueError, f"[bernoulli] probabilities must be in 0 to 1, but element {first} is not"
    )


# ---- specifications ------------------------------------------------------------------------------

_DTYPE = "bool, int64, bfloat16, float32 or float64"
_FLOAT = "float32 or float64"
_GRAD = "whether the tape follows the new tensor"
_LARGE = (2500, 4000)
_NEGATIVE = Bad(sample((2, -1)), ShapeError, "[tensor] sizes must not be negative, but got (2, -1)")
_HUGE = Bad(
    sample((2**40, 2**40)),
    ShapeError,
    "[tensor] sizes must multiply to less than 2^59, but got (1099511627776, 1099511627776)",
)
_NO_GRAD = "[requires_grad] only float tensors have gradients, but got int64"


def _sizes(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample((72, 73))
    yield sample(2, 3)  # loose sizes
    yield sample(5)
    yield sample(())
    yield sample((0, 3))
    yield sample((2, 3), dtype="float64")
    yield sample((2, 3), dtype="float64", requires_grad=True)


def _typed_sizes(rng: np.random.Generator) -> Iterable[Sample]:
    yield from _sizes(rng)
    yield sample((2, 3), dtype="int64")
    yield sample((2, 3), dtype="bool")


def _likes(*args: Any) -> Callable[[np.random.Generator], Iterable[Sample]]:
    return lambda rng: [
        sample(rng.standard_normal((72, 73)), *args),
        sample(rng.standard_normal((72, 73)), *args, dtype="float64"),
        sample(np.zeros((0, 3)), *args),
        sample(np.array(1.5), *args, requires_grad=True),
    ]


def _whole_likes(*args: Any) -> Callable[[np.random.Generator], Iterable[Sample]]:
    return lambda rng: [
        *_likes(*args)(rng),
        sample(np.array([1, 2]), *args),
        sample(np.array([True, False]), *args),
        sample(np.array([1.0, 2.0]), *args, dtype="bool"),
    ]


def _sized(name: str, **fields: Any) -> Spec:
    defaults: dict[str, Any] = {
        "shapes": "size -> y [*size]",
        "args": {
            "size": "a sequence of ints, or the ints themselves",
            "dtype": _DTYPE,
            "requires_grad": _GRAD,
        },
        "samples": _typed_sizes,
        "check": _check_sized,
        "bad": (_NEGATIVE, _HUGE, Bad(sample((2,), "int64", True), DTypeError, _NO_GRAD)),
        "bench": lambda rng: sample(_LARGE),
    }
    return Spec(name=name, forward=globals()[name], **{**defaults, **fields})


def _random(name: str, **fields: Any) -> Spec:
    return _sized(
        name,
        **{
            "args": {
                "size": "a sequence of ints, or the ints themselves",
                "dtype": _FLOAT,
                "requires_grad": _GRAD,
            },
            "samples": _sizes,
            "check": _check_random(name),
            "bad": (
                _NEGATIVE,
                _HUGE,
                Bad(
                    sample((2,), "int64"),
                    DTypeError,
                    f"[{name}] dtype must be float32 or float64, but got int64",
                ),
            ),
            **fields,
        },
    )


def _like(name: str, **fields: Any) -> Spec:
    defaults: dict[str, Any] = {
        "shapes": "x [...] -> y [...]",
        "args": {"dtype": "that of x if None", "requires_grad": _GRAD},
        "samples": _whole_likes(),
        "check": _check_like,
        "bad": (Bad(sample(np.array([1, 2]), requires_grad=True), DTypeError, _NO_GRAD),),
        "bench": lambda rng: sample(rng.standard_normal(_LARGE, np.float32)),
    }
    return Spec(name=name, forward=globals()[name], **{**defaults, **fields})


def _random_like(name: str, **fields: Any) -> Spec:
    return _like(
        name,
        **{
            "samples": _likes(),
            "check": _check_random_like(name),
            "bad": (
                Bad(
                    sample(np.array([1, 2])),
                    DTypeError,
                    f"[{name}] dtype must be float32 or float64, but got int64",
                ),
            ),
            **fields,
        },
    )


# The examples of random ops: what NumPy's own Philox generator with key 7 draws first.
_UNIFORM_32 = [[0.16372650861740112, 0.8720734119415283], [0.9722633361816406, 0.2953653335571289]]
_UNIFORM_64 = [0.8720734548204873, 0.29536538151378355, 0.4200976785072422]
_NORMAL = [-0.570250515347539, 1.9461275500051387, -0.8648582783972415, 0.5846463546242237]

SPECS = [
    _sized("zeros", summary="A tensor of zeros.", formula="y_i = 0", example=Example(sample(2), [0.0, 0.0])),
    _sized(
        "empty",
        summary="A tensor to be written to; it holds zeros, so that no two runs differ.",
        formula="y_i = 0",
        example=Example(sample(2), [0.0, 0.0]),
    ),
    _sized("ones", summary="A tensor of ones.", formula="y_i = 1", example=Example(sample(2), [1.0, 1.0])),
    _sized(
        "full",
        summary="A tensor of one value; without dtype a float gives float32, an int int64, a bool bool.",
        formula="y_i = v",
        args={
            "size": "an int or a sequence of ints",
            "fill_value": "v",
            "dtype": _DTYPE,
            "requires_grad": _GRAD,
        },
        samples=lambda rng: [
            sample((72, 73), 0.1),
            sample((72, 73), 0.1, dtype="float64"),
            sample(3, 2**60 + 1),
            sample((2, 2), True),
            sample((2, 2), 2, "float32"),
            sample((2, 2), 2.7, "int64"),
            sample((2, 2), math.nan, "int64"),
            sample((), -1.5),
            sample((0, 3), 1),
            sample(2, 0.5, requires_grad=True),
        ],
        check=_check_full,
        example=Example(sample((2, 2), 7), [[7, 7], [7, 7]]),
        bad=(
            Bad(sample((2, -1), 0), ShapeError, "[tensor] sizes must not be negative, but got (2, -1)"),
            Bad(sample(2, 1, requires_grad=True), DTypeError, _NO_GRAD),
        ),
        bench=lambda rng: sample(_LARGE, 0.5),
    ),
    _like(
        "zeros_like",
        summary="Zeros in the shape and dtype of x.",
        formula="y_i = 0",
        example=Example(sample(np.array([5.0, 6.0])), [0.0, 0.0]),
    ),
    _like(
        "ones_like",
        summary="Ones in the shape and dtype of x.",
        formula="y_i = 1",
        example=Example(sample(np.array([5.0, 6.0])), [1.0, 1.0]),
    ),
    _like(
        "full_like",
        summary="One value in the shape and dtype of x.",
        formula="y_i = v",
        args={"fill_value": "v", "dtype": "that of x if None", "requires_grad": _GRAD},
        samples=_whole_likes(2.5),
        check=_check_full_like,
        example=Example(sample(np.array([5.0, 6.0]), 3), [3.0, 3.0]),
        bad=(Bad(sample(np.array([1, 2]), 0, requires_grad=True), DTypeError, _NO_GRAD),),
        bench=lambda rng: sample(rng.standard_normal(_LARGE, np.float32), 0.5),
    ),
    _sized(
        "eye",
        summary="Ones on the diagonal, zeros elsewhere.",
        formula="y_{ij} = [i = j]",
        shapes="n, m -> y [n, m]",
        args={"m": "columns; n if None", "dtype": _DTYPE, "requires_grad": _GRAD},
        samples=lambda rng: [
            sample(73),
            sample(3, 5),
            sample(5, 3, "int64"),
            sample(4, dtype="bool"),
            sample(0),
            sample(2, 0),
            sample(3, dtype="float64", requires_grad=True),
        ],
        check=_check_eye,
        example=Example(sample(2, 3), [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
        bad=(
            Bad(sample(-1), ShapeError, "[tensor] sizes must not be negative, but got (-1, -1)"),
            Bad(sample(2, dtype="int64", requires_grad=True), DTypeError, _NO_GRAD),
        ),
        bench=lambda rng: sample(3000),
    ),
    Spec(
        name="arange",
        summary="start, start + step, … up to but not including end; one argument is the end.",
        formula=r"y_i = a + i s < b",
        shapes="start, end, step -> y [ceil((end - start) / step)]",
        args={
            "end": "None makes start the end and 0 the start",
            "dtype": "None gives int64 for ints, float32 where one of them is a float",
            "requires_grad": _GRAD,
        },
        forward=arange,
        samples=lambda rng: [
            sample(5),
            sample(0),
            sample(2, 17, 3),
            sample(2, 14, 3),
            sample(5, -6, -2),
            sample(3, 3),
            sample(0, 1, 0.1),
            sample(1.0, 0.0, -0.25),
            sample(-1.5, 100.0, 0.37, "float64"),
            sample(0.0, 9.9, 1.3, "int64"),
            sample(10, dtype="float32", requires_grad=True),
            sample(2**60, 2**60 + 5),
        ],
        check=_check_arange,
        example=Example(sample(1, 8, 3), [1, 4, 7]),
        bad=(
            Bad(sample(0, 5, 0), ValueError, "[arange] step must not be 0"),
            Bad(sample(0, 5, -1), ValueError, "[arange] step must lead from start towards end"),
            Bad(sample(0.0, math.inf), ValueError, "[arange] start, end and step must be finite"),
            Bad(
                sample(0.0, 1e30, 1e-30),
                ShapeError,
                "[tensor] sizes must multiply to less than 2^59, but got (4611686018427387904,)",
            ),
            Bad(sample(3, requires_grad=True), DTypeError, _NO_GRAD),
        ),
        bench=lambda rng: sample(10_000_000),
    ),
    Spec(
        name="linspace",
        summary="Evenly spaced numbers from start to end, both included.",
        formula=r"y_i = a + i \frac{b - a}{n - 1}",
        shapes="start, end, steps -> y [steps]",
        args={"steps": "how many numbers", "dtype": _DTYPE, "requires_grad": _GRAD},
        forward=linspace,
        samples=lambda rng: [
            sample(0, 1, 11),
            sample(-3.7, 8.1, 100, "float64"),
            sample(5, -5, 4),
            sample(2, 9, 1),
            sample(2, 9, 0),
            sample(0, 10, 5, "int64"),
            sample(0, 1, 3, requires_grad=True),
        ],
        check=_check_linspace,
        example=Example(sample(0, 1, 5), [0.0, 0.25, 0.5, 0.75, 1.0]),
        bad=(
            Bad(sample(0, 1, -1), ValueError, "[linspace] steps must not be negative, but got -1"),
            Bad(sample(0, 1, 3, "int64", True), DTypeError, _NO_GRAD),
        ),
        bench=lambda rng: sample(0, 1, 10_000_000),
    ),
    _random(
        "rand",
        summary="Random numbers, uniform on 0 to 1 without 1.",
        formula=r"y_i \sim U(0, 1)",
        example=Example(sample(2, 2), _UNIFORM_32),
    ),
    _random(
        "randn",
        summary="Random numbers from the standard normal distribution.",
        formula=r"y_i \sim N(0, 1)",
        example=Example(sample(4, dtype="float64"), _NORMAL),
        source="Box and Muller 1958, A note on the generation of random normal deviates",
    ),
    _random_like(
        "rand_like",
        summary="Random numbers, uniform on 0 to 1 without 1, in the shape and dtype of x.",
        formula=r"y_i \sim U(0, 1)",
        example=Example(sample(np.zeros(3)), _UNIFORM_64),
    ),
    _random_like(
        "randn_like",
        summary="Random numbers from the standard normal distribution, in the shape and dtype of x.",
        formula=r"y_i \sim N(0, 1)",
        example=Example(sample(np.zeros(4)), _NORMAL),
    ),
    Spec(
        name="randint",
        summary="Random integers from low to below high, each as likely.",
        formula=r"y_i \sim U\{a, \ldots, b - 1\}",
        shapes="low, high, size -> y [*size], int64",
        args={"size": "an int or a sequence of ints"},
        forward=randint,
        samples=lambda rng: [
            sample(0, 10, (72, 73)),
            sample(-5, -4, 3),
            sample(-(2**62), 2**62, 100),
            sample(0, 2, (0, 3)),
            sample(0, 1000, ()),
        ],
        check=_check_randint,
        # The first words of the stream as fractions of 10: the uniform numbers times 10.
        example=Example(sample(0, 10, 3), [int(10 * u) for u in _UNIFORM_64]),
        bad=(
            Bad(sample(5, 5, 3), ValueError, "[randint] low must be less than high, but got 5 and 5"),
            Bad(sample(0, 5, (-1,)), ShapeError, "[tensor] sizes must not be negative, but got (-1,)"),
        ),
        bench=lambda rng: sample(0, 50_000, (1000, 1000)),
    ),
    Spec(
        name="bernoulli",
        summary="1 with the probability that x gives, else 0.",
        formula=r"y_i \sim B(x_i)",
        shapes="x [...] -> y [...]",
        args={"x": "probabilities"},
        forward=bernoulli,
        samples=lambda rng: [
            sample(rng.random((72, 73))),
            sample(np.array([0.0, 1.0] * 50)),
            sample(np.zeros((0, 3))),
            sample(np.array(0.5)),
        ],
        check=_check_bernoulli,
        # A draw below its probability is a 1.
        example=Example(sample(np.array([0.5, 0.5, 0.5])), [float(u < 0.5) for u in _UNIFORM_64]),
        bad=(
            Bad(
                sample(np.array([0.5, 1.5])),
                ValueError,
                "[bernoulli] probabilities must be in 0 to 1, but element 1 is not",
            ),
            Bad(
                sample(np.array([1, 0])),
                DTypeError,
                "[bernoulli] dtype must be float32 or float64, but got int64",
            ),
        ),
        bench=lambda rng: sample(rng.random(_LARGE, np.float32)),
    ),
]

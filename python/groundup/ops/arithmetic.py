"""Arithmetic of two tensors: each op with NumPy's broadcasting, in the later of the two dtypes.

Broadcasting repeats an operand, so its gradient is the sum over the copies: `unbroadcast`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from groundup.ops._spec import (
    Array,
    Bad,
    DTypeError,
    Example,
    Sample,
    ShapeError,
    Spec,
    check_broadcast,
    promoted,
    require,
    sample,
    unbroadcast,
)


def _fit(grad: Array, x: Array) -> Array:
    """The gradient of broadcasting and promoting x."""
    return unbroadcast(grad, x.shape).astype(x.dtype)


def add(x: Array, other: Array) -> Array:
    a, b = promoted(x, other)
    return a + b


def add_backward(dy: Array, y: Array, x: Array, other: Array) -> tuple[Array, Array]:
    return _fit(dy, x), _fit(dy, other)


def sub(x: Array, other: Array) -> Array:
    a, b = promoted(x, other)
    return a - b


def sub_backward(dy: Array, y: Array, x: Array, other: Array) -> tuple[Array, Array]:
    return _fit(dy, x), _fit(-dy, other)


def mul(x: Array, other: Array) -> Array:
    a, b = promoted(x, other)
    return a * b


def mul_backward(dy: Array, y: Array, x: Array, other: Array) -> tuple[Array, Array]:
    a, b = promoted(x, other)
    return _fit(dy * b, x), _fit(dy * a, other)


def _whole(x: Array, other: Array) -> bool:
    return x.dtype.kind != "f" and other.dtype.kind != "f"


def div(x: Array, other: Array) -> Array:
    a, b = promoted(x, other, least=np.float32 if _whole(x, other) else np.bool_)
    return a / b


def div_backward(dy: Array, y: Array, x: Array, other: Array) -> tuple[Array, Array]:
    a, b = promoted(x, other)
    return _fit(dy / b, x), _fit(-dy * a / b**2, other)


def pow(x: Array, exponent: Array) -> Array:
    a, b = promoted(x, exponent, least=np.int64)
    return np.power(a, b)


def pow_backward(dy: Array, y: Array, x: Array, exponent: Array) -> tuple[Array, Array]:
    a, b = promoted(x, exponent)
    da = np.where(b == 0, 0, b * a ** (b - 1))
    db = np.where((a == 0) & (b >= 0), 0, y * np.log(a))
    return _fit(dy * da, x), _fit(dy * db, exponent)


def maximum(x: Array, other: Array) -> Array:
    return np.maximum(*promoted(x, other))


def maximum_backward(dy: Array, y: Array, x: Array, other: Array) -> tuple[Array, Array]:
    a, b = promoted(x, other)
    tie = np.where(a == b, dy / 2, dy)
    return _fit(np.where(a < b, 0, tie), x), _fit(np.where(b < a, 0, tie), other)


def minimum(x: Array, other: Array) -> Array:
    return np.minimum(*promoted(x, other))


def minimum_backward(dy: Array, y: Array, x: Array, other: Array) -> tuple[Array, Array]:
    a, b = promoted(x, other)
    tie = np.where(a == b, dy / 2, dy)
    return _fit(np.where(a > b, 0, tie), x), _fit(np.where(b > a, 0, tie), other)


def floor_divide(x: Array, other: Array) -> Array:
    return np.floor_divide(*promoted(x, other, least=np.int64))


def remainder(x: Array, other: Array) -> Array:
    return np.remainder(*promoted(x, other, least=np.int64))


def remainder_backward(dy: Array, y: Array, x: Array, other: Array) -> tuple[Array, Array]:
    a, b = promoted(x, other)
    return _fit(dy, x), _fit(-dy * np.floor_divide(a, b), other)


def _check(name: str) -> Callable[[Array, Array], None]:
    return lambda x, other: check_broadcast(name, x, other)


def _check_sub(x: Array, other: Array) -> None:
    bools = x.dtype == other.dtype == np.bool_
    require(not bools, DTypeError, "[sub] two bools have no difference; compare them with ne")
    check_broadcast("sub", x, other)


def _check_pow(x: Array, exponent: Array) -> None:
    if _whole(x, exponent) and exponent.dtype.kind == "i":
        negative = exponent[exponent < 0]
        require(
            negative.size == 0,
            ValueError,
            f"[pow] integers must have exponents of at least 0, but got {negative.flat[0] if negative.size else 0}",
        )
    check_broadcast("pow", x, exponent)


def _check_divisor(name: str) -> Callable[[Array, Array], None]:
    def check(x: Array, other: Array) -> None:
        zero = _whole(x, other) and not other.all()
        require(not zero, ValueError, f"[{name}] integers must not be divided by 0")
        check_broadcast(name, x, other)

    return check


Pair = Callable[[np.random.Generator, tuple[int, ...], tuple[int, ...]], tuple[Array, Array]]

_SHAPES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((72, 73), (72, 73)),  # alike
    ((6, 7, 8), (8,)),  # the last axis: a bias
    ((72, 73), (72, 1)),  # rows
    ((72, 1), (1, 73)),  # each with each
    ((5, 6, 7, 3), (6, 1, 3)),  # the middle
    ((3, 1, 4, 1), (1, 2, 1, 5)),
    ((9,), (2, 3, 1)),
    ((4, 5), ()),
    ((), (4, 5)),
    ((), ()),
    ((0, 3), (3,)),
    ((2, 0), (2, 1)),
)


def _normal(rng: np.random.Generator, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[Array, Array]:
    return np.asarray(rng.standard_normal(a)), np.asarray(rng.standard_normal(b))


def _nonzero(rng: np.random.Generator, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[Array, Array]:
    x, other = _normal(rng, a, b)
    return x, np.asarray(np.copysign(0.5 + np.abs(other), other))


def _positive(rng: np.random.Generator, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[Array, Array]:
    return np.asarray(rng.uniform(0.5, 2, a)), np.asarray(rng.uniform(-2, 2, b))


def _off_integers(rng: np.random.Generator, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[Array, Array]:
    """Pairs whose quotients keep away from integers, where floor and remainder jump."""
    quotient = rng.integers(-3, 4, a) + rng.uniform(0.3, 0.7, a)
    return np.asarray(quotient), np.asarray(rng.choice([-1.0, 1.0], b))


def _samples(
    pair: Pair, *more: Sample, mixed: bool = True
) -> Callable[[np.random.Generator], Iterable[Sample]]:
    def samples(rng: np.random.Generator) -> Iterable[Sample]:
        found = [sample(*pair(rng, a, b)) for a, b in _SHAPES]
        if not mixed:
            return [*found, *more]
        x, other = pair(rng, (4, 5), (4, 5))
        whole = rng.integers(1, 5, (4, 5))
        found += [
            sample(x, 2.0),  # a number takes the tensor's dtype
            sample(x, 3),
            sample(2.0, other),
            sample(x, whole),  # int64 beside a float is computed in the float's dtype
            sample(whole, other),
            sample(whole, rng.integers(1, 5, (5,))),
            sample(whole, True),
        ]
        return [*found, *more]

    return samples


_INTEGERS = np.array([-7, -3, -1, 0, 2, 7])
_BOOLS = np.array([True, False, True, False]), np.array([True, True, False, False])
_BAD_SHAPES = sample(np.ones(3), np.ones((2, 4)))


def _bad(name: str) -> Bad:
    return Bad(_BAD_SHAPES, ShapeError, f"[{name}] shapes must broadcast, but got (3,) and (2, 4)")


def _bench(rng: np.random.Generator) -> Sample:
    return sample(
        rng.standard_normal((2500, 4000), np.float32), rng.standard_normal((2500, 4000), np.float32)
    )


def _spec(**fields: Any) -> Spec:
    name = fields["name"]
    defaults: dict[str, Any] = {
        "shapes": "x [...], other [...] -> y [...], broadcast",
        "check": _check(name),
        "bench": _bench,
        "bad": (_bad(name),),
    }
    return Spec(**{**defaults, **fields})


SPECS = [
    _spec(
        name="add",
        summary="The sum of two tensors.",
        formula=r"y = x + o",
        forward=add,
        backward=add_backward,
        samples=_samples(_normal, sample(*_BOOLS)),
        # The row [10, 20] is added to both rows of x, so its gradient is 1 + 1.
        example=Example(
            sample(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([10.0, 20.0])),
            [[11.0, 22.0], [13.0, 24.0]],
            ([[1.0, 1.0], [1.0, 1.0]], [2.0, 2.0]),
        ),
    ),
    _spec(
        name="sub",
        summary="The difference of two tensors.",
        formula=r"y = x - o",
        forward=sub,
        backward=sub_backward,
        samples=_samples(_normal),
        example=Example(
            sample(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([10.0, 20.0])),
            [[-9.0, -18.0], [-7.0, -16.0]],
            ([[1.0, 1.0], [1.0, 1.0]], [-2.0, -2.0]),
        ),
        check=_check_sub,
        bad=(
            _bad("sub"),
            Bad(sample(*_BOOLS), DTypeError, "[sub] two bools have no difference; compare them with ne"),
        ),
    ),
    _spec(
        name="mul",
        summary="The product of two tensors, element by element.",
        formula=r"y = x \cdot o",
        forward=mul,
        backward=mul_backward,
        samples=_samples(_normal, sample(*_BOOLS)),
        # d/dother sums x over the two rows: 1 + 3 and 2 + 4.
        example=Example(
            sample(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([10.0, 20.0])),
            [[10.0, 40.0], [30.0, 80.0]],
            ([[10.0, 20.0], [10.0, 20.0]], [4.0, 6.0]),
        ),
    ),
    _spec(
        name="div",
        summary="The quotient of two tensors; integers give a float32.",
        formula=r"y = x / o",
        forward=div,
        backward=div_backward,
        samples=_samples(_nonzero, sample(_INTEGERS, np.array([2])), sample(*_BOOLS)),
        # The gradient of a broadcast operand is a sum of 73 quotients of either sign.
        tolerance={"float32": (2e-6, 1e-5), "float64": (1e-13, 1e-13)},
        # d/dother = -x / o^2: -6 / 4 and -8 / 16.
        example=Example(
            sample(np.array([6.0, 8.0]), np.array([2.0, 4.0])), [3.0, 2.0], ([0.5, 0.25], [-1.5, -0.5])
        ),
    ),
    _spec(
        name="pow",
        summary="A power; two integers give an integer.",
        formula=r"y = x^p",
        shapes="x [...], exponent [...] -> y [...], broadcast",
        forward=pow,
        backward=pow_backward,
        samples=_samples(
            _positive,
            *(sample(np.array([[-1.5, 2.0], [0.5, -3.0]]), p) for p in (0.0, 1.0, 2.0, 3.0, -1.0, -2.0)),
            sample(_INTEGERS, np.array([[0], [1], [5]])),
            sample(*_BOOLS),
        ),
        # 2^3 = 8: d/dx = 3 * 2^2 = 12, d/dp = 8 ln 2.
        example=Example(sample(np.array([2.0]), np.array([3.0])), [8.0], ([12.0], [5.545177444479562])),
        check=_check_pow,
        bad=(
            _bad("pow"),
            Bad(
                sample(_INTEGERS, np.array([2, 1, -3, 0, -1, 1])),
                ValueError,
                "[pow] integers must have exponents of at least 0, but got -3",
            ),
        ),
    ),
    _spec(
        name="maximum",
        summary="The larger of two elements; NaN if either is.",
        formula=r"y = \max(x, o)",
        forward=maximum,
        backward=maximum_backward,
        samples=_samples(_normal, sample(*_BOOLS)),
        # Equal elements share the gradient.
        example=Example(
            sample(np.array([1.0, 5.0, 3.0]), np.array([2.0, 4.0, 3.0])),
            [2.0, 5.0, 3.0],
            ([0.0, 1.0, 0.5], [1.0, 0.0, 0.5]),
        ),
    ),
    _spec(
        name="minimum",
        summary="The smaller of two elements; NaN if either is.",
        formula=r"y = \min(x, o)",
        forward=minimum,
        backward=minimum_backward,
        samples=_samples(_normal, sample(*_BOOLS)),
        example=Example(
            sample(np.array([1.0, 5.0, 3.0]), np.array([2.0, 4.0, 3.0])),
            [1.0, 4.0, 3.0],
            ([1.0, 0.0, 0.5], [0.0, 1.0, 0.5]),
        ),
    ),
    _spec(
        name="floor_divide",
        summary="The quotient rounded down, as Python's //; it has no gradient.",
        formula=r"y = \lfloor x / o \rfloor",
        forward=floor_divide,
        samples=_samples(
            _off_integers,
            sample(_INTEGERS, np.array([[3], [-3], [-1]])),
            sample(np.array([-(2**63), 5]), -1),
            sample(np.array([1.0, -1.0, 0.0, 6.0, 0.7]), np.array([0.0, 0.0, 0.0, 0.1, 0.1])),
        ),
        example=Example(sample(np.array([7.0, -7.0]), np.array([2.0, 2.0])), [3.0, -4.0]),
        check=_check_divisor("floor_divide"),
        bad=(
            _bad("floor_divide"),
            Bad(sample(_INTEGERS, 0), ValueError, "[floor_divide] integers must not be divided by 0"),
        ),
    ),
    _spec(
        name="remainder",
        summary="The rest of the quotient rounded down, with the divisor's sign, as Python's %.",
        formula=r"y = x - o \lfloor x / o \rfloor",
        forward=remainder,
        backward=remainder_backward,
        samples=_samples(
            _off_integers,
            sample(_INTEGERS, np.array([[3], [-3], [-1]])),
            sample(np.array([0.4, -0.4, 2.6]), 2.0),
            sample(np.array([0.4, -0.4, 2.6]), np.array([-2, 2, 1])),
            sample(np.array([2, -3, 0]), np.array([0.7, 0.4, 1.0])),
            sample(*_BOOLS[:1], True),
            mixed=False,  # whole numbers have whole quotients
        ),
        # -7 = 2 * (-4) + 1, so d/dother = 4.
        example=Example(
            sample(np.array([7.0, -7.0]), np.array([2.0, 2.0])), [1.0, 1.0], ([1.0, 1.0], [-3.0, 4.0])
        ),
        check=_check_divisor("remainder"),
        bad=(
            _bad("remainder"),
            Bad(sample(_INTEGERS, 0), ValueError, "[remainder] integers must not be divided by 0"),
        ),
    ),
]

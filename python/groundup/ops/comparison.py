"""Comparisons and logic, which give bools and have no gradient, and `where`, which chooses by one."""

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


def eq(x: Array, other: Array) -> Array:
    return np.equal(*promoted(x, other))


def ne(x: Array, other: Array) -> Array:
    return np.not_equal(*promoted(x, other))


def lt(x: Array, other: Array) -> Array:
    return np.less(*promoted(x, other))


def le(x: Array, other: Array) -> Array:
    return np.less_equal(*promoted(x, other))


def gt(x: Array, other: Array) -> Array:
    return np.greater(*promoted(x, other))


def ge(x: Array, other: Array) -> Array:
    return np.greater_equal(*promoted(x, other))


def logical_and(x: Array, other: Array) -> Array:
    return np.logical_and(x, other)


def logical_or(x: Array, other: Array) -> Array:
    return np.logical_or(x, other)


def logical_not(x: Array) -> Array:
    return np.logical_not(x)


def isnan(x: Array) -> Array:
    return np.isnan(x)


def isinf(x: Array) -> Array:
    return np.isinf(x)


def isfinite(x: Array) -> Array:
    return np.isfinite(x)


def where(condition: Array, x: Array, other: Array) -> Array:
    return np.where(condition, *promoted(x, other))


def where_backward(
    dy: Array, y: Array, condition: Array, x: Array, other: Array
) -> tuple[None, Array, Array]:
    dx = unbroadcast(np.where(condition, dy, 0), x.shape)
    dother = unbroadcast(np.where(condition, 0, dy), other.shape)
    return None, dx.astype(x.dtype), dother.astype(other.dtype)


def _check_where(condition: Array, x: Array, other: Array) -> None:
    dtype = condition.dtype
    require(dtype == np.bool_, DTypeError, f"[where] condition must be bool, but got {dtype}")
    check_broadcast("where", condition, x, other)


_SPECIAL = np.array([0.0, -0.0, 1.5, -2.0, np.inf, -np.inf, np.nan])


def _pairs(rng: np.random.Generator) -> Iterable[Sample]:
    # Small integers as floats, so that equal pairs are common.
    for a, b in (((72, 73), (72, 73)), ((6, 7, 8), (7, 1)), ((5,), ()), ((), ()), ((0, 3), (1, 3))):
        yield sample(rng.integers(-2, 3, a).astype(float), rng.integers(-2, 3, b).astype(float))
    whole = rng.integers(-2, 3, (4, 5))
    yield sample(whole, rng.integers(-2, 3, (5,)))
    yield sample(whole, rng.integers(-2, 3, (4, 1)).astype(float))
    yield sample(whole > 0, whole < 1)
    yield sample(whole, 1)
    yield sample(_SPECIAL[:, None], _SPECIAL)


def _singles(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((72, 73)))
    yield sample(_SPECIAL)
    yield sample(np.zeros((0, 3)))
    yield sample(np.array(1.5))
    yield sample(np.array([0, 1, -5]))
    yield sample(np.array([True, False]))


def _choices(rng: np.random.Generator) -> Iterable[Sample]:
    shapes: tuple[tuple[tuple[int, ...], ...], ...] = (
        ((72, 73), (72, 73), (72, 73)),
        ((73,), (72, 1), ()),
        ((2, 1, 3), (5, 1), (3,)),
        ((), (4,), (2, 1)),
        ((), (), ()),
        ((0, 3), (3,), (1,)),
    )
    for c, a, b in shapes:
        x, other = np.asarray(rng.standard_normal(a)), np.asarray(rng.standard_normal(b))
        yield sample(np.asarray(rng.random(c) < 0.5), x, other)
    mask = rng.random((4, 5)) < 0.5
    yield sample(mask, rng.standard_normal((4, 5)), -10.0)  # as attention masks its scores
    yield sample(mask, 0.0, rng.standard_normal(5))
    yield sample(mask, rng.integers(0, 9, (4, 5)), rng.standard_normal((4, 5)))
    yield sample(mask, rng.integers(0, 9, (4, 5)), 0)
    yield sample(mask, mask, ~mask)


def _compare(name: str, symbol: str, words: str, forward: Callable[..., Array], result: list[bool]) -> Spec:
    return Spec(
        name=name,
        summary=f"Where x is {words} other.",
        formula=f"y = [x {symbol} o]",
        shapes="x [...], other [...] -> y [...], broadcast, bool",
        forward=forward,
        samples=_pairs,
        example=Example(sample(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])), result),
        check=lambda x, other: check_broadcast(name, x, other),
        bad=(
            Bad(
                sample(np.ones(3), np.ones((2, 4))),
                ShapeError,
                f"[{name}] shapes must broadcast, but got (3,) and (2, 4)",
            ),
        ),
        bench=lambda rng: sample(*rng.standard_normal((2, 2500, 4000), np.float32)),
    )


def _logic(name: str, formula: str, words: str, forward: Callable[..., Array], result: list[bool]) -> Spec:
    return Spec(
        name=name,
        summary=f"{words}; every number but 0 counts as true.",
        formula=formula,
        shapes="x [...], other [...] -> y [...], broadcast, bool",
        forward=forward,
        samples=_pairs,
        example=Example(sample(np.array([0.0, 2.0, 0.0, 2.0]), np.array([0.0, 0.0, 1.0, 1.0])), result),
        check=lambda x, other: check_broadcast(name, x, other),
        bad=(
            Bad(
                sample(np.ones(3), np.ones((2, 4))),
                ShapeError,
                f"[{name}] shapes must broadcast, but got (3,) and (2, 4)",
            ),
        ),
        bench=lambda rng: sample(*(rng.random((2, 2500, 4000)) < 0.5)),
    )


def _classify(name: str, formula: str, words: str, forward: Callable[..., Array], result: list[bool]) -> Spec:
    return Spec(
        name=name,
        summary=words,
        formula=formula,
        shapes="x [...] -> y [...], bool",
        forward=forward,
        samples=_singles,
        example=Example(sample(np.array([0.0, 1.0, np.inf, -np.inf, np.nan])), result),
        bench=lambda rng: sample(rng.standard_normal((2500, 4000), np.float32)),
    )


def _choose_large(rng: np.random.Generator) -> Any:
    x = rng.standard_normal((2, 2500, 4000), np.float32)
    return sample(rng.random((2500, 4000)) < 0.5, x[0], x[1])


SPECS = [
    _compare("eq", "=", "equal to", eq, [False, True, False]),
    _compare("ne", r"\ne", "not equal to", ne, [True, False, True]),
    _compare("lt", "<", "less than", lt, [True, False, False]),
    _compare("le", r"\le", "at most", le, [True, True, False]),
    _compare("gt", ">", "greater than", gt, [False, False, True]),
    _compare("ge", r"\ge", "at least", ge, [False, True, True]),
    _logic(
        "logical_and", r"y = x \land o", "Whether both are true", logical_and, [False, False, False, True]
    ),
    _logic("logical_or", r"y = x \lor o", "Whether either is true", logical_or, [False, True, True, True]),
    _classify(
        "logical_not", r"y = \lnot x", "Where x is 0.", logical_not, [True, False, False, False, False]
    ),
    _classify(
        "isnan", r"y = [x \ne x]", "Where x is not a number.", isnan, [False, False, False, False, True]
    ),
    _classify(
        "isinf", r"y = [|x| = \infty]", "Where x is infinite.", isinf, [False, False, True, True, False]
    ),
    _classify(
        "isfinite",
        r"y = [|x| < \infty]",
        "Where x is neither infinite nor NaN.",
        isfinite,
        [True, True, False, False, False],
    ),
    Spec(
        name="where",
        summary="x where the condition is true, other elsewhere.",
        formula=r"y = c\,x + (1 - c)\,o",
        shapes="condition [...] bool, x [...], other [...] -> y [...], broadcast",
        forward=where,
        backward=where_backward,
        samples=_choices,
        # other's one element was taken twice.
        example=Example(
            sample(np.array([True, False, False]), np.array([1.0, 2.0, 3.0]), np.array(9.0)),
            [1.0, 9.0, 9.0],
            ([1.0, 0.0, 0.0], 2.0),
        ),
        check=_check_where,
        # The gradient of a single number is the sum of thousands of either sign.
        tolerance={"float32": (2e-6, 2e-5), "float64": (1e-13, 1e-13)},
        bad=(
            Bad(
                sample(np.array([True, False]), np.ones(3), np.ones(2)),
                ShapeError,
                "[where] shapes must broadcast, but got (2,), (3,) and (2,)",
            ),
            Bad(
                sample(np.array([1, 0]), np.ones(2), np.ones(2)),
                DTypeError,
                "[where] condition must be bool, but got int64",
            ),
        ),
        bench=_choose_large,
    ),
]

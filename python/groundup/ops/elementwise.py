"""Functions of one number, applied to every element: the formula, and dx from dy and x or y."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from groundup.ops._spec import Array, Bad, DTypeError, Example, Sample, Spec, floats, require, sample

Number = bool | int | float


def _integers(x: Array) -> Array:
    """Bools as integers; everything else as it is."""
    return x.astype(np.int64) if x.dtype == np.bool_ else x


_erf = np.frompyfunc(math.erf, 1, 1)  # NumPy has none


# ---- signs and powers ----------------------------------------------------------------------------


def neg(x: Array) -> Array:
    return -x


def neg_backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    return (-dy,)


def abs(x: Array) -> Array:
    return np.abs(_integers(x))


def abs_backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    return (dy * np.sign(x),)


def sign(x: Array) -> Array:
    return np.sign(_integers(x))


def flat_backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    return (np.zeros_like(dy),)


def square(x: Array) -> Array:
    return np.square(_integers(x))


def square_backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    return (dy * 2 * x,)


def sqrt(x: Array) -> Array:
    return np.sqrt(floats(x))


def sqrt_backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    return (dy / (2 * y),)


def rsqrt(x: Array) -> Array:
    return 1 / np.sqrt(floats(x))


def rsqrt_backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    return (-dy / 2 * y**3,)


def reciprocal(x: Array) -> Array:
    return 1 / floats(x)


def reciprocal_backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    return (-dy * y * y,)


# ---- exponentials and waves ----------------------------------------------------------------------


def exp(x: Array) -> Array:
    return np.exp(floats(x))


def exp_backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    return (dy * y,)


def expm1(x: Array) -> Array:
    return np.expm1(floats(x))


def expm1_backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    return (dy * (y + 1),)


def log(x: Array) -> Array:
    return np.log(floats(x))


def log_backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    return (dy / x,)


def log1p(x: Array) -> Array:
    return np.log1p(floats(x))


def log1p_backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    return (dy / (1 + x),)


def sin(x: Array) -> Array:
    return np.sin(floats(x))


def sin_backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    return (dy * np.cos(x),)


def cos(x: Array) -> Array:
    return np.cos(floats(x))


def cos_backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    return (-dy * np.sin(x),)


def tanh(x: Array) -> Array:
    return np.tanh(floats(x))


def tanh_backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    return (dy * (1 - y * y),)


def erf(x: Array) -> Array:
    x = floats(x)
    return np.asarray(_erf(x)).astype(x.dtype)


def erf_backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    return (dy * (2 / math.sqrt(math.pi)) * np.exp(-x * x),)


# ---- activations ---------------------------------------------------------------------------------


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-floats(x)))


def sigmoid_backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    return (dy * y * (1 - y),)


def relu(x: Array) -> Array:
    return np.maximum(_integers(x), 0)


def relu_backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    return (np.where(x <= 0, 0, dy).astype(dy.dtype),)


def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    x = floats(x)
    return np.where(x > 0, x, negative_slope * x)


def leaky_relu_backward(dy: Array, y: Array, x: Array, negative_slope: float) -> tuple[Array]:
    return (np.where(x > 0, dy, negative_slope * dy),)


def elu(x: Array, alpha: float = 1.0) -> Array:
    x = floats(x)
    return np.where(x > 0, x, alpha * np.expm1(x))


def elu_backward(dy: Array, y: Array, x: Array, alpha: float) -> tuple[Array]:
    return (np.where(x > 0, dy, dy * alpha * np.exp(x)),)


def clamp(x: Array, min: Number | None = None, max: Number | None = None) -> Array:
    whole = not isinstance(min, float) and not isinstance(max, float)
    x = _integers(x) if whole else floats(x)
    return np.clip(x, *_bounds(x, min, max))


def clamp_backward(dy: Array, y: Array, x: Array, min: Number | None, max: Number | None) -> tuple[Array]:
    low, high = _bounds(x, min, max)
    return (np.where((x >= low) & (x <= high), dy, 0).astype(dy.dtype),)


def _bounds(x: Array, min: Number | None, max: Number | None) -> tuple[Array, Array]:
    """Both bounds in the dtype of x; a missing one lets everything pass."""
    limits = np.iinfo(x.dtype) if x.dtype.kind == "i" else None
    low = (-np.inf if limits is None else limits.min) if min is None else min
    high = (np.inf if limits is None else limits.max) if max is None else max
    return np.asarray(low, x.dtype), np.asarray(high, x.dtype)


def _normal_cdf(x: Array) -> Array:
    return np.asarray((1 + erf(x / math.sqrt(2))) / 2)


def gelu(x: Array, approximate: str = "none") -> Array:
    x = floats(x)
    if approximate == "none":
        return x * _normal_cdf(x)
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return np.asarray(x * (1 + np.tanh(u)) / 2)


def gelu_backward(dy: Array, y: Array, x: Array, approximate: str) -> tuple[Array]:
    if approximate == "none":
        density = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
        return (dy * (_normal_cdf(x) + x * density),)
    t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    return (dy * ((1 + t) / 2 + x * (1 - t * t) / 2 * du),)


def silu(x: Array) -> Array:
    return floats(x) * sigmoid(x)


def silu_backward(dy: Array, y: Array, x: Array) -> tuple[Array]:
    s = sigmoid(x)
    return (dy * s * (1 + x * (1 - s)),)


def softplus(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    x = floats(x)
    return np.where(beta * x > threshold, x, np.log1p(np.exp(beta * x)) / beta)


def softplus_backward(dy: Array, y: Array, x: Array, beta: float, threshold: float) -> tuple[Array]:
    return (np.where(beta * x > threshold, dy, dy * sigmoid(beta * x)),)


# ---- rounding ------------------------------------------------------------------------------------


def floor(x: Array) -> Array:
    return np.floor(_integers(x))


def ceil(x: Array) -> Array:
    return np.ceil(_integers(x))


def round(x: Array) -> Array:
    return np.round(_integers(x))


# ---- specifications ------------------------------------------------------------------------------

_WHOLE = np.array([-3, -1, 0, 2, 5])


def _samples(low: float, high: float, *more: Any) -> Callable[[np.random.Generator], Iterable[Sample]]:
    """Floats between the bounds, at least 0.01 away from every integer: no kink there."""

    def samples(rng: np.random.Generator) -> Iterable[Sample]:
        for shape in ((72, 73), (0, 3), (7,), (2, 3, 1), ()):
            x = np.asarray(rng.uniform(low, high, shape))
            whole = np.rint(x)
            near = np.abs(x - whole) < 0.01
            yield sample(np.where(near, whole + 0.01 * np.where(x < whole, -1, 1), x))
        for other in more:
            yield other if isinstance(other, Sample) else sample(other)

    return samples


def _spec(name: str, **fields: Any) -> Spec:
    """The specification of the function called ``name`` in this file."""
    defaults: dict[str, Any] = {
        "shapes": "x [...] -> y [...]",
        "forward": globals()[name],
        "backward": globals().get(f"{name}_backward", flat_backward),
        "bench": lambda rng: sample(rng.uniform(0.5, 3, (2500, 4000)).astype(np.float32)),
    }
    return Spec(name=name, **{**defaults, **fields})


def _check_neg(x: Array) -> None:
    require(x.dtype != np.bool_, DTypeError, "[neg] a bool has no negative; use logical_not")


def _check_clamp(x: Array, min: Number | None, max: Number | None) -> None:
    require(min is not None or max is not None, ValueError, "[clamp] min or max must be given")


def _check_gelu(x: Array, approximate: str) -> None:
    require(
        approximate in ("none", "tanh"),
        ValueError,
        f"[gelu] approximate must be 'none' or 'tanh', but got '{approximate}'",
    )


_BOOL = np.array([True, False])

SPECS = [
    _spec(
        "neg",
        summary="Minus x.",
        formula="y = -x",
        samples=_samples(-3, 3, _WHOLE, np.array([-(2**63)]), np.array([0.0, -0.0])),
        example=Example(sample(np.array([1.0, -2.0])), [-1.0, 2.0], ([-1.0, -1.0],)),
        check=_check_neg,
        bad=(Bad(sample(_BOOL), DTypeError, "[neg] a bool has no negative; use logical_not"),),
    ),
    _spec(
        "abs",
        summary="The size of x without its sign; the gradient at 0 is 0.",
        formula="y = |x|",
        samples=_samples(-3, 3, _WHOLE, _BOOL),
        example=Example(sample(np.array([1.0, -2.0, 0.0])), [1.0, 2.0, 0.0], ([1.0, -1.0, 0.0],)),
    ),
    _spec(
        "sign",
        summary="1, 0 or -1 as x is above, at or below 0; the gradient is 0.",
        formula=r"y = [x > 0] - [x < 0]",
        samples=_samples(-3, 3, _WHOLE, _BOOL),
        example=Example(sample(np.array([3.0, 0.0, -2.0])), [1.0, 0.0, -1.0], ([0.0, 0.0, 0.0],)),
    ),
    _spec(
        "square",
        summary="x times x.",
        formula="y = x^2",
        samples=_samples(-3, 3, _WHOLE, _BOOL),
        example=Example(sample(np.array([3.0, -2.0])), [9.0, 4.0], ([6.0, -4.0],)),
    ),
    _spec(
        "sqrt",
        summary="The square root; of a negative number it is NaN.",
        formula=r"y = \sqrt{x}",
        samples=_samples(0.1, 9, np.array([0, 4, 9]), _BOOL),
        # 1 / (2 sqrt x): 1/4 and 1/6.
        example=Example(sample(np.array([4.0, 9.0])), [2.0, 3.0], ([0.25, 1 / 6],)),
    ),
    _spec(
        "rsqrt",
        summary="One over the square root.",
        formula=r"y = 1 / \sqrt{x}",
        samples=_samples(0.1, 9, np.array([1, 4])),
        # -1/2 x^(-3/2): -1/16.
        example=Example(sample(np.array([4.0])), [0.5], ([-0.0625],)),
    ),
    _spec(
        "reciprocal",
        summary="One over x.",
        formula="y = 1 / x",
        samples=_samples(0.3, 3, np.array([-4.0, -0.5]), _WHOLE),
        example=Example(sample(np.array([2.0, -4.0])), [0.5, -0.25], ([-0.25, -0.0625],)),
    ),
    _spec(
        "exp",
        summary="e to the x.",
        formula="y = e^x",
        samples=_samples(-5, 5, _WHOLE, _BOOL, np.array([-200.0, 0.0])),
        example=Example(sample(np.array([0.0, 1.0])), [1.0, 2.718281828459045], ([1.0, 2.718281828459045],)),
    ),
    _spec(
        "expm1",
        summary="e to the x, minus 1: exact for small x, where exp(x) - 1 loses its digits.",
        formula="y = e^x - 1",
        samples=_samples(-3, 3, _WHOLE, np.array([1e-12, -1e-7])),
        example=Example(sample(np.array([0.0, 1.0])), [0.0, 1.718281828459045], ([1.0, 2.718281828459045],)),
    ),
    _spec(
        "log",
        summary="The natural logarithm; of 0 it is -inf, of a negative number NaN.",
        formula=r"y = \ln x",
        samples=_samples(0.1, 9, np.array([0, 1, 8])),
        example=Example(sample(np.array([1.0, 2.0])), [0.0, 0.6931471805599453], ([1.0, 0.5],)),
    ),
    _spec(
        "log1p",
        summary="The logarithm of 1 + x: exact for small x, where log(1 + x) loses its digits.",
        formula=r"y = \ln(1 + x)",
        samples=_samples(-0.9, 3, np.array([0, 7]), np.array([1e-12, -1e-7])),
        example=Example(sample(np.array([0.0, 1.0])), [0.0, 0.6931471805599453], ([1.0, 0.5],)),
    ),
    _spec(
        "sin",
        summary="The sine of x in radians.",
        formula=r"y = \sin x",
        samples=_samples(-9, 9, _WHOLE),
        # sin(pi/6) = 1/2, and its slope is cos(pi/6) = sqrt(3)/2.
        example=Example(
            sample(np.array([0.0, 0.5235987755982988])), [0.0, 0.5], ([1.0, 0.8660254037844386],)
        ),
    ),
    _spec(
        "cos",
        summary="The cosine of x in radians.",
        formula=r"y = \cos x",
        samples=_samples(-9, 9, _WHOLE),
        # cos(pi/3) = 1/2, and its slope is -sin(pi/3) = -sqrt(3)/2.
        example=Example(
            sample(np.array([0.0, 1.0471975511965976])), [1.0, 0.5], ([0.0, -0.8660254037844386],)
        ),
    ),
    _spec(
        "tanh",
        summary="The hyperbolic tangent: an S from -1 to 1.",
        formula=r"y = \frac{e^x - e^{-x}}{e^x + e^{-x}}",
        samples=_samples(-4, 4, _WHOLE, np.array([1e-9, -50.0])),
        # tanh(ln 2) = (2 - 1/2) / (2 + 1/2) = 3/5, and 1 - 9/25 = 16/25.
        example=Example(sample(np.array([0.0, 0.6931471805599453])), [0.0, 0.6], ([1.0, 0.64],)),
    ),
    _spec(
        "erf",
        summary="The error function: the share of a normal distribution within x sqrt(2) deviations.",
        formula=r"y = \frac{2}{\sqrt\pi} \int_0^x e^{-t^2} dt",
        samples=_samples(-3, 3, _WHOLE, np.array([0.0, 1e-9, 7.0])),
        # A tabulated value, and its slope 2/sqrt(pi)/e.
        example=Example(
            sample(np.array([0.0, 1.0])),
            [0.0, 0.8427007929497149],
            ([1.1283791670955126, 0.41510749742059477],),
        ),
    ),
    _spec(
        "sigmoid",
        summary="The logistic function: an S from 0 to 1, which turns a score into a probability.",
        formula=r"y = \frac{1}{1 + e^{-x}}",
        samples=_samples(-6, 6, _WHOLE),
        # sigmoid(ln 3) = 1 / (1 + 1/3) = 3/4, and 3/4 * 1/4 = 3/16.
        example=Example(sample(np.array([0.0, 1.0986122886681098])), [0.5, 0.75], ([0.25, 0.1875],)),
    ),
    _spec(
        "relu",
        summary="x where it is positive, else 0; the gradient at 0 is 0.",
        formula=r"y = \max(x, 0)",
        samples=_samples(-3, 3, _WHOLE, _BOOL),
        example=Example(sample(np.array([2.0, -3.0, 0.0])), [2.0, 0.0, 0.0], ([1.0, 0.0, 0.0],)),
        source="Nair and Hinton 2010, Rectified linear units improve restricted Boltzmann machines",
    ),
    _spec(
        "leaky_relu",
        summary="x where it is positive, else a small part of it.",
        formula=r"y = x \text{ if } x > 0 \text{ else } s x",
        args={"negative_slope": "s, the slope below 0"},
        samples=_samples(
            -3, 3, _WHOLE, sample(np.array([-1.5, 0.5]), 0.2), sample(np.array([-1.5, 0.5]), -1.0)
        ),
        example=Example(sample(np.array([2.0, -3.0])), [2.0, -0.03], ([1.0, 0.01],)),
        source="Maas, Hannun and Ng 2013, Rectifier nonlinearities improve neural network acoustic models",
    ),
    _spec(
        "elu",
        summary="x where it is positive, else an exponential that levels off at -alpha.",
        formula=r"y = x \text{ if } x > 0 \text{ else } \alpha (e^x - 1)",
        args={"alpha": "minus the value that it approaches for very negative x"},
        samples=_samples(-3, 3, _WHOLE, sample(np.array([-1.5, 0.5]), 2.5), np.array([-100.0, 100.0])),
        # e^(-ln 2) - 1 = -1/2, with slope 1/2.
        example=Example(sample(np.array([2.0, -0.6931471805599453])), [2.0, -0.5], ([1.0, 0.5],)),
        source="Clevert, Unterthiner and Hochreiter 2016, Fast and accurate deep network learning by ELUs",
    ),
    _spec(
        "clamp",
        summary="x between two bounds; where min is above max, max. Integers stay integers under whole bounds.",
        formula=r"y = \min(\max(x, a), b)",
        args={"min": "a; None means no lower bound", "max": "b; None means no upper bound"},
        samples=lambda rng: [
            sample(rng.uniform(-3, 3, (72, 73)), -1.003, 1.501),
            sample(rng.uniform(-3, 3, (72, 73)), min=0.5),
            sample(rng.uniform(-3, 3, 74), max=1),
            sample(rng.uniform(-3, 3, 74), 2.0, -1.0),
            sample(np.zeros((0, 3)), 0),
            sample(np.array(1.5), 0, 1),
            sample(_WHOLE, -1, 2),
            sample(_WHOLE, min=0),
            sample(_WHOLE, 0.5),
            sample(_BOOL, max=0),
        ],
        example=Example(
            sample(np.array([-2.0, 0.5, 2.0, 1.0]), 0.0, 1.0), [0.0, 0.5, 1.0, 1.0], ([0.0, 1.0, 0.0, 1.0],)
        ),
        check=_check_clamp,
        bad=(Bad(sample(np.ones(2)), ValueError, "[clamp] min or max must be given"),),
        bench=lambda rng: sample(rng.standard_normal((2500, 4000), np.float32), -1.0, 1.0),
    ),
    _spec(
        "gelu",
        summary="x times the probability that a standard normal number is below x.",
        formula=r"y = x\,\Phi(x) \approx \tfrac{x}{2} (1 + \tanh(\sqrt{2/\pi}\,(x + 0.044715\,x^3)))",
        args={"approximate": "'none' for the exact formula, 'tanh' for the approximation that GPT-2 uses"},
        samples=_samples(
            -4,
            4,
            _WHOLE,
            np.array([-30.0, 30.0]),
            *(
                sample(x, approximate="tanh")
                for x in (np.linspace(-4, 4, 147), _WHOLE, np.array([-30.0, 30.0]))
            ),
        ),
        # Phi(1) = 0.8413447461 from a table; the slope adds the density 0.2419707245.
        example=Example(
            sample(np.array([0.0, 1.0])), [0.0, 0.8413447460685429], ([0.5, 1.0833154705876864],)
        ),
        check=_check_gelu,
        bad=(
            Bad(
                sample(np.ones(2), "fast"),
                ValueError,
                "[gelu] approximate must be 'none' or 'tanh', but got 'fast'",
            ),
        ),
        # x^3 and the tail of 1 - tanh^2 cost a few more roundings than one function call.
        tolerance={"float32": (4e-6, 2e-6), "float64": (1e-13, 1e-13)},
        source="Hendrycks and Gimpel 2016, Gaussian error linear units",
    ),
    _spec(
        "silu",
        summary="x times its sigmoid, also called swish.",
        formula=r"y = \frac{x}{1 + e^{-x}}",
        samples=_samples(-6, 6, _WHOLE, np.array([-30.0, 30.0])),
        # At ln 3: 3/4 ln 3, and 3/4 + ln 3 * 3/16.
        example=Example(
            sample(np.array([0.0, 1.0986122886681098])),
            [0.0, 0.8239592165010823],
            ([0.5, 0.9559898041252706],),
        ),
        source="Elfwing, Uchibe and Doya 2018, Sigmoid-weighted linear units",
    ),
    _spec(
        "softplus",
        summary="A smooth relu.",
        formula=r"y = \tfrac{1}{\beta} \ln(1 + e^{\beta x})",
        args={
            "beta": "how sharp the bend at 0 is",
            "threshold": "above this value of beta x, y is x itself, which differs by less than rounding",
        },
        samples=_samples(
            -4,
            4,
            _WHOLE,
            sample(np.linspace(-3, 3, 41), 2.5),
            sample(np.linspace(-30, 30, 40), threshold=7.0),
        ),
        # ln(1 + 3) at ln 3, with slope 3/4.
        example=Example(
            sample(np.array([0.0, 1.0986122886681098])),
            [0.6931471805599453, 1.3862943611198906],
            ([0.5, 0.75],),
        ),
    ),
    _spec(
        "floor",
        summary="The next integer at or below x; the gradient is 0.",
        formula=r"y = \lfloor x \rfloor",
        samples=_samples(-3, 3, _WHOLE, _BOOL),
        example=Example(sample(np.array([1.5, -1.5])), [1.0, -2.0], ([0.0, 0.0],)),
    ),
    _spec(
        "ceil",
        summary="The next integer at or above x; the gradient is 0.",
        formula=r"y = \lceil x \rceil",
        samples=_samples(-3, 3, _WHOLE, _BOOL),
        example=Example(sample(np.array([1.5, -1.5])), [2.0, -1.0], ([0.0, 0.0],)),
    ),
    _spec(
        "round",
        summary="The nearest integer, of two the even one; the gradient is 0.",
        formula=r"y = \lfloor x \rceil",
        samples=_samples(-3, 3, _WHOLE, _BOOL),
        example=Example(sample(np.array([1.4, 0.5, 1.5, -2.5])), [1.0, 0.0, 2.0, -2.0], ([0.0] * 4,)),
    ),
]

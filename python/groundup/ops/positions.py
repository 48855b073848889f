"""Where a token stands: rotary positions turn queries and keys, ALiBi lowers scores with distance, sinusoids are
added to embeddings."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

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
    require,
    sample,
)

# ---- rotary --------------------------------------------------------------------------------------


def _angles(x: Array, start: int, base: float, positions: Array | None) -> Array:
    """By how much each pair of each token is turned. [T, D/2], or [B, 1, ..., T, D/2]"""
    T, D = x.shape[-2:]
    where = start + np.arange(T) if positions is None else positions
    if where.ndim == 2:
        where = where.reshape(x.shape[0], *[1] * (x.ndim - 3), T)
    return np.asarray(where[..., None] * base ** (-2 * np.arange(D // 2) / D))


def _turn(x: Array, angles: Array, interleaved: bool) -> Array:
    """Each pair (a, b) as a point of the plane, turned: (a cos - b sin, b cos + a sin)."""
    half = x.shape[-1] // 2
    cos, sin = np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype)
    a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else (x[..., :half], x[..., half:])
    turned = (a * cos - b * sin, b * cos + a * sin)  # each ...,T,D/2
    if interleaved:
        return np.stack(turned, axis=-1).reshape(x.shape)
    return np.concatenate(turned, axis=-1)


def rotary(
    x: Array, start: int = 0, base: float = 10000.0, interleaved: bool = False, positions: Array | None = None
) -> Array:
    return _turn(x, _angles(x, start, base, positions), interleaved)


def rotary_backward(
    dy: Array,
    y: Array,
    x: Array,
    start: int = 0,
    base: float = 10000.0,
    interleaved: bool = False,
    positions: Array | None = None,
) -> tuple[Array, None]:
    return _turn(dy, -_angles(x, start, base, positions), interleaved), None  # the rotation back


def _check_rotary(x: Array, start: int, base: float, interleaved: bool, positions: Array | None) -> None:
    require(
        x.ndim >= 2 and x.shape[-1] % 2 == 0,
        ShapeError,
        f"[rotary] x must be [..., T, D] with an even D, but got shape {x.shape}",
    )
    require(base > 0, ValueError, f"[rotary] base must be positive, but got {base:g}")
    if positions is not None:
        T = x.shape[-2]
        fits = positions.shape == (T,) or (x.ndim > 2 and positions.shape == (x.shape[0], T))
        require(
            fits,
            ShapeError,
            f"[rotary] positions must be [T] or [B, T] for x [B, ..., T, D], but got {positions.shape} "
            f"for x of shape {x.shape}",
        )
        is_integer = positions.dtype == np.int64
        require(is_integer, DTypeError, f"[rotary] positions must be int64, but got {positions.dtype}")


def _samples_rotary(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((2, 3, 5, 8)))
    yield sample(rng.standard_normal((2, 3, 5, 8)), 100)
    yield sample(rng.standard_normal((33, 74)), base=500.0)
    yield sample(rng.standard_normal((2, 7, 6)), 3, interleaved=True)
    yield sample(rng.standard_normal((2, 7, 6)), positions=np.array([0, 1, 2, 0, 1, 5, 1000]))
    yield sample(rng.standard_normal((2, 3, 4, 6)), positions=np.array([[0, 0, 0, 1], [2, 3, 4, 5]]))
    yield sample(rng.standard_normal((1, 2)), 7)
    yield sample(rng.standard_normal((2, 0, 4)))
    yield sample(rng.standard_normal((2, 3, 0)))


# ---- ALiBi ---------------------------------------------------------------------------------------


def alibi_slopes(n_head: int, dtype: npt.DTypeLike = "float32") -> Array:
    power = 1 << (n_head.bit_length() - 1)  # the largest power of two that is not above n_head
    exponents = np.concatenate([np.arange(power) + 1.0, np.arange(n_head - power) + 0.5])
    return np.exp2(-8 * exponents / power).astype(dtype)


def _check_slopes(n_head: int, dtype: npt.DTypeLike) -> None:
    require(n_head > 0, ValueError, f"[alibi_slopes] n_head must be positive, but got {n_head}")
    _check_float("alibi_slopes", dtype)


def _check_float(op: str, dtype: npt.DTypeLike) -> None:
    d = np.dtype(dtype)
    require(d.kind == "f", DTypeError, f"[{op}] dtype must be float32 or float64, but got {d}")


# ---- sinusoids -----------------------------------------------------------------------------------


def sinusoidal_positions(
    n_positions: int, n_embd: int, base: float = 10000.0, dtype: npt.DTypeLike = "float32"
) -> Array:
    channel = np.arange(n_embd)
    frequency = base ** (-(channel // 2 * 2) / max(n_embd, 1))
    angles = np.arange(n_positions)[:, None] * frequency  # n_positions,n_embd
    return np.where(channel % 2 == 0, np.sin(angles), np.cos(angles)).astype(dtype)


def _check_sinusoidal(n_positions: int, n_embd: int, base: float, dtype: npt.DTypeLike) -> None:
    op = "sinusoidal_positions"
    require(
        n_positions >= 0 and n_embd >= 0,
        ShapeError,
        f"[{op}] sizes must not be negative, but got {n_positions} and {n_embd}",
    )
    require(base > 0, ValueError, f"[{op}] base must be positive, but got {base:g}")
    _check_float(op, dtype)


# ---- specifications ------------------------------------------------------------------------------

_BASE = "the lowest frequency is about 1/base; a larger one tells more distant positions apart"
_FLOAT = "float32 or float64"

SPECS = [
    Spec(
        name="rotary",
        summary="Turn each pair of channels by an angle that grows with the position, so that scores see distances.",
        formula=r"(a, b)_{t,i} \mapsto \begin{pmatrix} \cos\theta & -\sin\theta \\ \sin\theta & \cos\theta "
        r"\end{pmatrix} (a, b)_{t,i}, \quad \theta = t \cdot \mathrm{base}^{-2i/D}",
        shapes="x [..., T, D] -> y like x; positions [T], or [B, T] for x [B, ..., T, D]",
        args={
            "start": "the position of the first token: how many came before, with a key/value cache",
            "base": _BASE,
            "interleaved": "pairs are neighbours (2i, 2i + 1), as published; by default (i, i + D/2), as in Llama",
            "positions": "of each token, in place of start, start + 1, ...",
        },
        forward=rotary,
        backward=rotary_backward,
        check=_check_rotary,
        samples=_samples_rotary,
        example=Example(
            # With D = 2 the angle is the position itself: 0, then 1.
            sample(np.array([[3.0, 4.0], [3.0, 4.0]])),
            [[3.0, 4.0], [3 * math.cos(1) - 4 * math.sin(1), 4 * math.cos(1) + 3 * math.sin(1)]],
            ([[1.0, 1.0], [math.cos(1) + math.sin(1), math.cos(1) - math.sin(1)]],),
        ),
        bad=(
            Bad(
                sample(np.zeros((2, 3))),
                ShapeError,
                "[rotary] x must be [..., T, D] with an even D, but got shape (2, 3)",
            ),
            Bad(
                sample(np.zeros(4)),
                ShapeError,
                "[rotary] x must be [..., T, D] with an even D, but got shape (4,)",
            ),
            Bad(
                sample(np.zeros((2, 4)), base=-1.0), ValueError, "[rotary] base must be positive, but got -1"
            ),
            Bad(
                sample(np.zeros((5, 2, 4)), positions=np.array([0, 1, 2])),
                ShapeError,
                "[rotary] positions must be [T] or [B, T] for x [B, ..., T, D], but got (3,) for x of shape "
                "(5, 2, 4)",
            ),
            Bad(
                sample(np.zeros((2, 4)), positions=np.array([0.0, 1.0])),
                DTypeError,
                "[rotary] positions must be int64, but got float32",
            ),
        ),
        # Angles of hundreds of radians carry an error of their own size times 2^-53.
        tolerance={"float32": (2e-6, 2e-6), "float64": (1e-12, 1e-12)},
        cost=lambda x, *args, **kwargs: Cost(3 * x.size, 2 * nbytes(x)),
        bench=lambda rng: sample(rng.standard_normal((16, 6, 256, 64))),
        source="Su et al.: RoFormer (2021)",
    ),
    Spec(
        name="alibi_slopes",
        summary="How steeply each head's scores fall with the distance between query and key, after ALiBi.",
        formula=r"m_h = 2^{-8h/H}, \quad h = 1 \dots H",
        shapes="-> slopes [H]",
        args={
            "n_head": "H; if it is no power of two, the slopes of the power below and every other of the one above",
            "dtype": _FLOAT,
        },
        forward=alibi_slopes,
        check=_check_slopes,
        samples=lambda rng: [sample(n) for n in (1, 2, 3, 6, 8, 12, 16)] + [sample(8, dtype="float64")],
        example=Example(sample(4, "float64"), [1 / 4, 1 / 16, 1 / 64, 1 / 256]),
        bad=(
            Bad(sample(0), ValueError, "[alibi_slopes] n_head must be positive, but got 0"),
            Bad(
                sample(4, "int64"),
                DTypeError,
                "[alibi_slopes] dtype must be float32 or float64, but got int64",
            ),
        ),
        source="Press, Smith, Lewis: Train Short, Test Long (2021)",
    ),
    Spec(
        name="sinusoidal_positions",
        summary="A vector for each position: sines and cosines of wavelengths in geometric sequence.",
        formula=r"y_{p,2i} = \sin(p \cdot \mathrm{base}^{-2i/C}), \quad y_{p,2i+1} = \cos(p \cdot "
        r"\mathrm{base}^{-2i/C})",
        shapes="-> y [n_positions, n_embd]",
        args={"n_positions": "rows", "n_embd": "C, columns", "base": _BASE, "dtype": _FLOAT},
        forward=sinusoidal_positions,
        check=_check_sinusoidal,
        samples=lambda rng: [
            sample(5, 8),
            sample(72, 73),
            sample(300, 6, 50.0, "float64"),
            sample(0, 4),
            sample(3, 0),
        ],
        example=Example(
            sample(2, 4, 100.0, "float64"),
            [[0.0, 1.0, 0.0, 1.0], [math.sin(1), math.cos(1), math.sin(0.1), math.cos(0.1)]],
        ),
        bad=(
            Bad(
                sample(-1, 4),
                ShapeError,
                "[sinusoidal_positions] sizes must not be negative, but got -1 and 4",
            ),
            Bad(
                sample(2, 4, -0.5),
                ValueError,
                "[sinusoidal_positions] base must be positive, but got -0.5",
            ),
            Bad(
                sample(2, 4, dtype="int64"),
                DTypeError,
                "[sinusoidal_positions] dtype must be float32 or float64, but got int64",
            ),
        ),
        tolerance={"float32": (2e-6, 2e-6), "float64": (1e-12, 1e-12)},
        bench=lambda rng: sample(4096, 768),
        source="Vaswani et al.: Attention Is All You Need (2017)",
    ),
]

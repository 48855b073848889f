"""alibi_bias: what ALiBi adds to the scores; fused_attention makes it from the slopes by itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from groundup import ops
from groundup.ops._spec import Array, Bad, Example, Sample, ShapeError, Spec, require, sample


def _distance(n_query: int, n_key: int) -> Array:
    """Between query and key; the last query stands at the last key. [Tq, Tk]"""
    return np.asarray(np.abs(np.arange(n_query)[:, None] + n_key - n_query - np.arange(n_key)))


def alibi_bias(slopes: Array, n_query: int, n_key: int) -> Array:
    distance = _distance(n_query, n_key).astype(slopes.dtype)
    return np.asarray(-slopes[:, None, None] * distance)  # H,Tq,Tk


def compose(slopes: Any, n_query: int, n_key: int) -> Any:
    """The outer product of slopes and distances."""
    shape = tuple(slopes.shape)
    require(len(shape) == 1, ShapeError, f"[alibi_bias] slopes must be [H], but got shape {shape}")
    sizes = n_query >= 0 and n_key >= 0
    require(sizes, ShapeError, f"[alibi_bias] sizes must not be negative, but got {n_query} and {n_key}")
    return ops.mul(ops.reshape(slopes, (-1, 1, 1) if shape[0] else (0, 1, 1)), -_distance(n_query, n_key))


def samples(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.random(4), 7, 7)
    yield sample(rng.random(3), 2, 13)
    yield sample(rng.random(2), 5, 3)
    yield sample(rng.random(2), 0, 3)
    yield sample(rng.random(0), 2, 3)


SPECS = [
    Spec(
        name="alibi_bias",
        summary="What ALiBi adds to the scores: a penalty in proportion to the distance between query and key.",
        formula=r"b_{hij} = -m_h\, |i + T_k - T_q - j|",
        shapes="slopes [H] -> b [H, Tq, Tk]",
        args={"n_query": "Tq", "n_key": "Tk; the last query stands at the last key"},
        forward=alibi_bias,
        composition=compose,
        samples=samples,
        example=Example(
            sample(np.array([0.5]), 2, 3),
            [[[-0.5, 0.0, -0.5], [-1.0, -0.5, 0.0]]],
            ([-5.0],),  # the distances 1, 0, 1, 2, 1, 0
        ),
        bad=(
            Bad(
                sample(np.zeros((2, 3)), 2, 3),
                ShapeError,
                "[alibi_bias] slopes must be [H], but got shape (2, 3)",
            ),
            Bad(
                sample(np.zeros(2), -1, 3),
                ShapeError,
                "[alibi_bias] sizes must not be negative, but got -1 and 3",
            ),
        ),
        source="Press, Smith, Lewis: Train Short, Test Long (2021)",
    )
]

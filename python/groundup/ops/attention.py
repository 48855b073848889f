"""Attention: each query takes the mean of the values, weighed by how well their keys answer it.

``fused_attention`` takes queries, keys and values apart, ``packed_attention`` as one matrix product leaves them.
Neither keeps the Tq × Tk matrix of weights that these references write out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from groundup import ops
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
from groundup.ops.creation import keep_mask


def _groups(query: Array, key: Array) -> int:
    """How many query heads share a key head."""
    return int(max(1, query.shape[1] // max(1, key.shape[1])))


def attention_weights(
    query: Array,
    key: Array,
    mask: Array | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    slopes: Array | None = None,
) -> Array:
    (Tq, D), Tk = query.shape[-2:], key.shape[-2]
    key = np.repeat(key, _groups(query, key), axis=1)  # B,H,Tk,D
    scale = 1 / math.sqrt(D) if scale is None else scale
    scores = query @ key.swapaxes(-1, -2) * query.dtype.type(scale)  # B,H,Tq,Tk
    # The last query stands at the last key, as with a cache of earlier keys.
    distance = np.arange(Tk) - (np.arange(Tq)[:, None] + Tk - Tq)  # Tq,Tk; positive is the future
    if slopes is not None:
        scores = scores - slopes[:, None, None] * np.abs(distance).astype(scores.dtype)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == np.bool_ else scores + mask
    if is_causal:
        scores = np.where(distance <= 0, scores, -np.inf)
    highest = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    e = np.exp(scores - np.where(np.isneginf(highest), 0, highest))
    total = e.sum(axis=-1, keepdims=True)
    # A query that sees nothing gets zeros.
    return np.asarray(e / np.where(total == 0, 1, total), query.dtype)


def _dropout_factors(w: Array, p: float) -> Array:
    """What dropout multiplies each weight by: 0 with probability p, else 1/(1 - p)."""
    if p == 0:
        return np.ones_like(w)
    keep = keep_mask(math.prod(w.shape[:-1]), w.shape[-1], p).reshape(w.shape)
    return np.where(keep, np.divide(1, 1 - p), 0).astype(w.dtype)


def fused_attention(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    slopes: Array | None = None,
    dropout_p: float = 0.0,
) -> Array:
    w = attention_weights(query, key, mask, is_causal, scale, slopes)  # B,H,Tq,Tk
    w = w * _dropout_factors(w, dropout_p)
    return np.asarray(w @ np.repeat(value, _groups(query, value), axis=1))  # B,H,Tq,Dv


def fused_attention_backward(
    dy: Array,
    y: Array,
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    slopes: Array | None = None,
    dropout_p: float = 0.0,
) -> tuple[Array | None, ...]:
    groups = _groups(query, key)
    w = attention_weights(query, key, mask, is_causal, scale, slopes)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    factors = _dropout_factors(w, dropout_p)
    dv = (w * factors).swapaxes(-1, -2) @ dy  # B,H,Tk,Dv
    dw = dy @ np.repeat(value, groups, axis=1).swapaxes(-1, -2) * factors  # B,H,Tq,Tk
    dscores = w * (dw - (dw * w).sum(axis=-1, keepdims=True)) * query.dtype.type(scale)
    dq = dscores @ np.repeat(key, groups, axis=1)
    dk = dscores.swapaxes(-1, -2) @ query

    def per_group(grad: Array) -> Array:  # B,H,T,D -> B,Hkv,T,D: the heads of a group share one key
        B, H, T, D = grad.shape
        return np.asarray(grad.reshape(B, H // groups, groups, T, D).sum(axis=2))

    return dq, per_group(dk), per_group(dv), None, None


def _merged(qkv: Array, n_head: int, n_kv_head: int | None) -> tuple[Array, Array, Array]:
    """[B, T, (H + 2 Hkv) D] as query [B, H, T, D], key and value [B, Hkv, T, D]."""
    K = n_head if n_kv_head is None else n_kv_head
    B, T, width = qkv.shape
    heads = qkv.reshape(B, T, n_head + 2 * K, width // (n_head + 2 * K)).transpose(0, 2, 1, 3)
    return heads[:, :n_head], heads[:, n_head : n_head + K], heads[:, n_head + K :]


def packed_attention(
    qkv: Array,
    n_head: int,
    n_kv_head: int | None = None,
    is_causal: bool = True,
    scale: float | None = None,
    slopes: Array | None = None,
    dropout_p: float = 0.0,
) -> Array:
    y = fused_attention(
        *_merged(qkv, n_head, n_kv_head), None, is_causal, scale, slopes, dropout_p
    )  # B,H,T,D
    B, H, T, D = y.shape
    return y.transpose(0, 2, 1, 3).reshape(B, T, H * D)


def packed_attention_backward(
    dy: Array,
    y: Array,
    qkv: Array,
    n_head: int,
    n_kv_head: int | None = None,
    is_causal: bool = True,
    scale: float | None = None,
    slopes: Array | None = None,
    dropout_p: float = 0.0,
) -> tuple[Array, None]:
    q, k, v = _merged(qkv, n_head, n_kv_head)
    B, H, T, D = q.shape

    def heads(t: Array) -> Array:  # B,T,H·D -> B,H,T,D
        return t.reshape(B, T, H, D).transpose(0, 2, 1, 3)

    parts = fused_attention_backward(heads(dy), heads(y), q, k, v, None, is_causal, scale, slopes, dropout_p)[
        :3
    ]
    dqkv = np.concatenate([p for p in parts if p is not None], axis=1)  # B,H+2Hkv,T,D
    return dqkv.transpose(0, 2, 1, 3).reshape(qkv.shape), None


def _split_batch(t: Array) -> Array:
    """[..., H, T, D] as [B, H, T, D]; of a mask, too."""
    return t.reshape(math.prod(t.shape[:-3]), *(1, *t.shape)[-3:])


def _first_aligned(query: Array, key: Array, attn_mask: Array | None, is_causal: bool) -> Array | None:
    """PyTorch's causal mask, whose first query stands at the first key, or the mask that was given, for a batch."""
    Tq, Tk = query.shape[-2], key.shape[-2]
    if is_causal:
        return np.tri(Tq, Tk, dtype=np.bool_)
    if attn_mask is None:
        return None
    return _split_batch(np.broadcast_to(attn_mask, (*query.shape[:-1], Tk)))


def scaled_dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Array:
    mask = _first_aligned(query, key, attn_mask, is_causal)
    q, k, v = map(_split_batch, (query, key, value))
    y = fused_attention(q, k, v, mask, False, scale, None, dropout_p)
    return y.reshape(*query.shape[:-1], value.shape[-1])


def scaled_dot_product_attention_backward(
    dy: Array,
    y: Array,
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Array | None, ...]:
    mask = _first_aligned(query, key, attn_mask, is_causal)
    q, k, v = map(_split_batch, (query, key, value))
    dq, dk, dv, *_ = fused_attention_backward(
        _split_batch(dy), _split_batch(y), q, k, v, mask, False, scale, None, dropout_p
    )
    assert dq is not None and dk is not None and dv is not None
    return dq.reshape(query.shape), dk.reshape(key.shape), dv.reshape(value.shape), None


def _check_slopes(op: str, slopes: Array | None, H: int, dtype: np.dtype[Any]) -> None:
    if slopes is not None:
        require(
            slopes.shape == (H,), ShapeError, f"[{op}] slopes must have shape ({H},), but got {slopes.shape}"
        )
        require(
            slopes.dtype == dtype,
            DTypeError,
            f"[{op}] slopes must be {dtype} like the queries, but got {slopes.dtype}",
        )


def _check_dropout(op: str, p: float) -> None:
    require(0 <= p <= 1, ValueError, f"[{op}] dropout_p must be in 0 to 1, but got {p:g}")


def _check_mask(op: str, mask: Array, dtype: np.dtype[Any], wanted: tuple[int, ...]) -> None:
    require(
        mask.dtype in (np.bool_, dtype),
        DTypeError,
        f"[{op}] mask must be bool or {dtype}, but got {mask.dtype}",
    )
    padded = (1,) * (len(wanted) - mask.ndim) + mask.shape
    fits = len(padded) == len(wanted) and all(n in (1, m) for n, m in zip(padded, wanted, strict=True))
    require(fits, ShapeError, f"[{op}] mask must broadcast to {wanted}, but got shape {mask.shape}")


def check_fused(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None,
    is_causal: bool,
    scale: float | None,
    slopes: Array | None,
    dropout_p: float,
) -> None:
    op = "fused_attention"
    shapes = f"{query.shape}, {key.shape} and {value.shape}"
    require(
        query.ndim == key.ndim == value.ndim == 4,
        ShapeError,
        f"[{op}] query, key and value must be [B, H, T, D], but got {shapes}",
    )
    require(
        query.dtype == key.dtype == value.dtype,
        DTypeError,
        f"[{op}] query, key and value must have one dtype, but got "
        f"{query.dtype}, {key.dtype} and {value.dtype}",
    )
    (B, H, Tq, D), (Bk, K, Tk, Dk), (Bv, Kv, Tv, _) = query.shape, key.shape, value.shape
    require(
        B == Bk == Bv and Kv == K and Dk == D and Tk == Tv,
        ShapeError,
        f"[{op}] batch, key heads, key length and head size must agree, but got {shapes}",
    )
    require(
        H % K == 0 if K else H == 0,
        ShapeError,
        f"[{op}] key heads must divide query heads, but got {K} and {H}",
    )
    if mask is not None:
        _check_mask(op, mask, query.dtype, (B, H, Tq, Tk))
    _check_slopes(op, slopes, H, query.dtype)
    _check_dropout(op, dropout_p)


def check_packed(
    qkv: Array,
    n_head: int,
    n_kv_head: int | None,
    is_causal: bool,
    scale: float | None,
    slopes: Array | None,
    dropout_p: float,
) -> None:
    op = "packed_attention"
    H, K = n_head, n_head if n_kv_head is None else n_kv_head
    require(qkv.ndim == 3, ShapeError, f"[{op}] qkv must be [B, T, C], but got shape {qkv.shape}")
    require(
        H > 0 and K > 0 and H % K == 0,
        ValueError,
        f"[{op}] n_kv_head must divide n_head, but got {K} and {H}",
    )
    require(
        qkv.shape[2] > 0 and qkv.shape[2] % (H + 2 * K) == 0,
        ShapeError,
        f"[{op}] n_head + 2 n_kv_head = {H + 2 * K} must divide the channels of qkv, but got {qkv.shape}",
    )
    _check_slopes(op, slopes, H, qkv.dtype)
    _check_dropout(op, dropout_p)


def check_scaled(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None,
    dropout_p: float,
    is_causal: bool,
    scale: float | None,
    enable_gqa: bool,
) -> None:
    op = "scaled_dot_product_attention"
    shapes = f"{query.shape}, {key.shape} and {value.shape}"
    require(
        query.ndim == key.ndim == value.ndim >= 2,
        ShapeError,
        f"[{op}] query, key and value must be [..., H, T, D], but got {shapes}",
    )
    require(
        query.dtype == key.dtype == value.dtype,
        DTypeError,
        f"[{op}] query, key and value must have one dtype, but got "
        f"{query.dtype}, {key.dtype} and {value.dtype}",
    )
    require(
        query.shape[:-3] == key.shape[:-3]
        and query.shape[-1] == key.shape[-1]
        and key.shape[:-1] == value.shape[:-1],
        ShapeError,
        f"[{op}] batch, key heads, key length and head size must agree, but got {shapes}",
    )
    H, K = (1, *query.shape)[-3], (1, *key.shape)[-3]
    require(
        H % K == 0 if enable_gqa and K else H == K,
        ShapeError,
        f"[{op}] key heads must {'divide query heads' if enable_gqa else 'equal query heads unless enable_gqa'}, "
        f"but got {K} and {H}",
    )
    both = attn_mask is not None and is_causal
    require(not both, ValueError, f"[{op}] attn_mask and is_causal must not both be given")
    if attn_mask is not None:
        _check_mask(op, attn_mask, query.dtype, (*query.shape[:-1], key.shape[-2]))
    _check_dropout(op, dropout_p)


def compose_weights(
    query: Any,
    key: Any,
    mask: Any = None,
    is_causal: bool = False,
    scale: float | None = None,
    slopes: Any = None,
) -> Any:
    """The same out of matmul and softmax."""
    (B, H, Tq, D), (_, K, Tk, _) = query.shape, key.shape
    scale = 1 / math.sqrt(D) if scale is None else scale
    grouped = query.reshape((B, K, H // K * Tq, D))  # the queries that share a key head, one after the other
    scores = (ops.matmul(grouped, key, transpose_other=True) * scale).reshape((B, H, Tq, Tk))
    dtype = query.numpy().dtype
    distance = np.arange(Tk) - (np.arange(Tq)[:, None] + Tk - Tq)  # Tq,Tk; positive is the future
    if slopes is not None:
        scores = scores - slopes.reshape((H, 1, 1)) * np.abs(distance).astype(dtype)
    allowed = distance <= 0 if is_causal else np.ones((Tq, Tk), np.bool_)
    if mask is not None:
        given = mask.numpy()
        seen = given if given.dtype == np.bool_ else given > -np.inf
        allowed = allowed & seen  # B,H,Tq,Tk, or sizes of 1
        if given.dtype != np.bool_:
            scores = scores + ops.where(seen, mask, np.zeros((), dtype))
    # Softmax of nothing is NaN, so a query that sees no key keeps its scores until the weights become 0.
    some = allowed.any(axis=-1, keepdims=True)
    scores = ops.where(allowed | ~some, scores, np.array(-np.inf, dtype))
    return ops.where(some, ops.softmax(scores, -1), np.zeros((), dtype))


def compose_fused(
    query: Any,
    key: Any,
    value: Any,
    mask: Any = None,
    is_causal: bool = False,
    scale: float | None = None,
    slopes: Any = None,
    dropout_p: float = 0.0,
) -> Any:
    """The weights written out, then their product with the values."""
    constants = None if slopes is None else slopes.detach()
    w = ops.attention_weights(query, key, mask, is_causal, scale, constants)
    if dropout_p > 0:
        *rows, Tk = w.shape
        # Each row of weights draws from whole blocks of 8.
        ones = np.ones((*rows, -(-Tk // 8) * 8), query.numpy().dtype)
        w = w * ops.dropout(ones, dropout_p).numpy()[..., :Tk]
    return weigh(w, value)


def compose_scaled(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """`fused_attention` of one batch axis, with the mask written out."""
    arrays = (query.numpy(), key.numpy(), None if attn_mask is None else attn_mask.numpy())
    mask = _first_aligned(*arrays, is_causal)

    def split(t: Any) -> Any:
        return t.reshape((math.prod(t.shape[:-3]), *(1, *t.shape)[-3:]))

    y = ops.fused_attention(split(query), split(key), split(value), mask, False, scale, None, dropout_p)
    return y.reshape((*query.shape[:-1], value.shape[-1]))


def weigh(w: Any, value: Any) -> Any:
    """Weights [B, H, Tq, Tk] times values [B, Hkv, Tk, Dv]: [B, H, Tq, Dv], of either backend's tensors."""
    (B, H, Tq, Tk), (_, K, _, Dv) = w.shape, value.shape
    return ops.matmul(w.reshape((B, K, H // K * Tq, Tk)), value).reshape((B, H, Tq, Dv))


def compose_packed(
    qkv: Any,
    n_head: int,
    n_kv_head: int | None = None,
    is_causal: bool = True,
    scale: float | None = None,
    slopes: Any = None,
    dropout_p: float = 0.0,
) -> Any:
    """Split, transpose, `fused_attention`, transpose back."""
    K = n_head if n_kv_head is None else n_kv_head
    B, T, width = qkv.shape
    heads = ops.transpose(qkv.reshape((B, T, n_head + 2 * K, width // (n_head + 2 * K))), 1, 2)
    q, k, v = ops.split(heads, [n_head, K, K], 1)
    y = ops.fused_attention(q, k, v, None, is_causal, scale, slopes, dropout_p)
    return ops.transpose(y, 1, 2).reshape((B, T, n_head * y.shape[-1]))


def samples_fused(rng: np.random.Generator) -> Iterable[Sample]:
    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape)

    yield sample(normal(2, 3, 7, 8), normal(2, 3, 7, 8), normal(2, 3, 7, 8))
    yield sample(normal(1, 2, 33, 5), normal(1, 2, 33, 5), normal(1, 2, 33, 5), is_causal=True)
    yield sample(normal(2, 4, 9, 16), normal(2, 2, 9, 16), normal(2, 2, 9, 16), is_causal=True)
    yield sample(normal(2, 4, 3, 6), normal(2, 1, 11, 6), normal(2, 1, 11, 7), is_causal=True, scale=0.3)
    keep = rng.random((2, 1, 1, 10)) < 0.7
    keep[..., 0] = True
    yield sample(normal(2, 2, 5, 4), normal(2, 2, 10, 4), normal(2, 2, 10, 4), keep)
    keep = rng.random((3, 5, 6)) < 0.5
    keep[1, 2] = False  # a query that sees nothing
    keep[2, 3, 1:] = False
    yield sample(normal(2, 3, 5, 4), normal(2, 3, 6, 4), normal(2, 3, 6, 4), keep, is_causal=True)
    yield sample(normal(2, 1, 3, 4), normal(2, 1, 5, 4), normal(2, 1, 5, 4), keep[:1, :3, :1])
    yield sample(normal(1, 2, 9, 4), normal(1, 2, 4, 4), normal(1, 2, 4, 3), is_causal=True)  # Tq > Tk
    yield sample(normal(1, 2, 17, 4), normal(1, 2, 17, 4), normal(1, 2, 17, 4), is_causal=True,
                 slopes=np.array([0.5, 0.25]))  # fmt: skip
    yield sample(normal(1, 1, 1, 3), normal(1, 1, 1, 3), normal(1, 1, 1, 3), is_causal=True)
    yield sample(normal(0, 2, 4, 3), normal(0, 2, 4, 3), normal(0, 2, 4, 3))


def samples_dropped(rng: np.random.Generator) -> Iterable[Sample]:
    yield from samples_fused(rng)
    q, k, v = (rng.standard_normal((2, 4, 9, 5)) for _ in range(3))
    yield sample(q, k, v, is_causal=True, dropout_p=0.2)
    yield sample(q[:, :, :3], k[:, :2], v[:, :2], slopes=np.array([0.5, 0.25, 0.125, 0.1]), dropout_p=0.5)
    yield sample(q, k, v, dropout_p=1.0)


def samples_scaled(rng: np.random.Generator) -> Iterable[Sample]:
    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape)

    yield sample(normal(2, 3, 7, 8), normal(2, 3, 9, 8), normal(2, 3, 9, 5))
    yield sample(normal(2, 3, 33, 5), normal(2, 3, 33, 5), normal(2, 3, 33, 5), is_causal=True)
    yield sample(normal(1, 2, 3, 4), normal(1, 2, 6, 4), normal(1, 2, 6, 4), is_causal=True)  # Tq < Tk
    yield sample(normal(1, 2, 6, 4), normal(1, 2, 3, 4), normal(1, 2, 3, 4), is_causal=True)  # Tq > Tk
    yield sample(normal(2, 4, 5, 6), normal(2, 2, 7, 6), normal(2, 2, 7, 6), scale=0.2, enable_gqa=True)
    yield sample(normal(5, 6), normal(7, 6), normal(7, 6), rng.random((5, 7)) < 0.7)
    yield sample(normal(3, 5, 6), normal(3, 7, 6), normal(3, 7, 6), rng.random((3, 1, 7)) < 0.7)
    five = normal(2, 3, 2, 4, 5), normal(2, 3, 2, 6, 5), normal(2, 3, 2, 6, 5)
    yield sample(*five, rng.random((3, 1, 4, 6)) < 0.7)
    yield sample(*five, rng.random((1, 1, 1, 4, 1)) < 0.7)
    yield sample(*five, dropout_p=0.3)
    yield sample(normal(2, 0, 3, 4), normal(2, 0, 3, 4), normal(2, 0, 3, 4))


def samples_packed(rng: np.random.Generator) -> Iterable[Sample]:
    yield sample(rng.standard_normal((2, 7, 3 * 12)), 3)
    yield sample(rng.standard_normal((1, 65, 3 * 20)), 4, is_causal=False)
    yield sample(rng.standard_normal((2, 33, (4 + 2 * 2) * 5)), 4, 2)
    yield sample(rng.standard_normal((2, 9, (4 + 2) * 6)), 4, 1, slopes=np.array([0.5, 0.25, 0.125, 0.0625]))
    yield sample(rng.standard_normal((2, 11, (4 + 2 * 2) * 3)), 4, 2, dropout_p=0.25)
    yield sample(rng.standard_normal((3, 0, 12)), 2, scale=0.5)


TOLERANCE = {"float32": (1e-5, 5e-6), "float64": (1e-11, 1e-12)}  # sums over keys of products of sums over D


def _attention_cost(B: int, H: int, Tq: int, Tk: int, D: int, causal: bool, moved: float) -> Cost:
    return Cost(4.0 * B * H * Tq * Tk * D * (0.5 if causal else 1.0), moved)


# FACTS' worked example: Q = [[1, 0], [0, 2]], K = [[1, 1], [2, 0]].
_E = [math.exp(1 / math.sqrt(2)), math.exp(2 / math.sqrt(2)), 1.0]
_W = [[_E[0] / (_E[0] + _E[1]), _E[1] / (_E[0] + _E[1])], [_E[1] / (_E[1] + _E[2]), _E[2] / (_E[1] + _E[2])]]

SPECS = [
    Spec(
        name="attention_weights",
        summary="How much each query attends to each key; rows sum to one.",
        formula=r"w = \mathrm{softmax}(s\, Q K^\top + \mathrm{bias})",
        shapes="query [B, H, Tq, D], key [B, Hkv, Tk, D] -> w [B, H, Tq, Tk]",
        forward=attention_weights,
        composition=compose_weights,
        samples=lambda rng: [
            Sample((q, k, *rest), kwargs) for (q, k, _, *rest), kwargs in samples_fused(rng)
        ],
        example=Example(
            sample(np.array([[[[1.0, 0.0], [0.0, 2.0]]]]), np.array([[[[1.0, 1.0], [2.0, 0.0]]]])),
            [[_W]],
        ),
        tolerance=TOLERANCE,
        source="Vaswani et al.: Attention Is All You Need (2017)",
    ),
    Spec(
        name="fused_attention",
        summary="Attention without its matrix of weights in memory: a mean of values for each query.",
        formula=r"y = \mathrm{softmax}(s\, Q K^\top + \mathrm{bias})\, V",
        shapes="query [B, H, Tq, D], key [B, Hkv, Tk, D], value [B, Hkv, Tk, Dv] -> y [B, H, Tq, Dv]",
        args={
            "mask": "bool, True where a key may be seen, or float, added to the scores; broadcast to "
            "[B, H, Tq, Tk]; gets no gradient",
            "is_causal": "query i sees keys up to i + Tk − Tq: the last query stands at the last key",
            "scale": "of the scores; 1/√D if None",
            "slopes": "ALiBi's [H]: scores fall by slope · distance; gets no gradient",
            "dropout_p": "each weight becomes 0 with this probability, else it is divided by 1 - dropout_p",
        },
        forward=fused_attention,
        backward=fused_attention_backward,
        check=check_fused,
        composition=compose_fused,
        random=True,
        samples=samples_dropped,
        example=Example(
            sample(
                np.array([[[[1.0, 0.0], [0.0, 2.0]]]]),
                np.array([[[[1.0, 1.0], [2.0, 0.0]]]]),
                np.array([[[[1.0, 0.0], [0.0, 1.0]]]]),  # the values pick the weights out
            ),
            [[_W]],  # .330 .670 and .804 .196
        ),
        bad=(
            Bad(
                sample(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 3))),
                ShapeError,
                "[fused_attention] query, key and value must be [B, H, T, D], but got (2, 3), (2, 3) and (2, 3)",
            ),
            Bad(
                sample(np.zeros((1, 2, 3, 4)), np.zeros((1, 2, 3, 5)), np.zeros((1, 2, 3, 4))),
                ShapeError,
                "[fused_attention] batch, key heads, key length and head size must agree, but got "
                "(1, 2, 3, 4), (1, 2, 3, 5) and (1, 2, 3, 4)",
            ),
            Bad(
                sample(np.zeros((1, 3, 3, 4)), np.zeros((1, 2, 3, 4)), np.zeros((1, 2, 3, 4))),
                ShapeError,
                "[fused_attention] key heads must divide query heads, but got 2 and 3",
            ),
            Bad(
                sample(*[np.zeros((1, 2, 3, 4))] * 3, np.ones((1, 1, 3, 2), bool)),
                ShapeError,
                "[fused_attention] mask must broadcast to (1, 2, 3, 3), but got shape (1, 1, 3, 2)",
            ),
            Bad(
                sample(*[np.zeros((1, 2, 3, 4))] * 3, slopes=np.zeros(3)),
                ShapeError,
                "[fused_attention] slopes must have shape (2,), but got (3,)",
            ),
            Bad(
                sample(*[np.zeros((1, 2, 3, 4))] * 3, dropout_p=1.5),
                ValueError,
                "[fused_attention] dropout_p must be in 0 to 1, but got 1.5",
            ),
        ),
        tolerance=TOLERANCE,
        cost=lambda query, key, value, mask=None, is_causal=False, *args, **kwargs: _attention_cost(
            query.shape[0],
            query.shape[1],
            query.shape[2],
            key.shape[2],
            query.shape[3],
            is_causal,
            2 * nbytes(query) + nbytes(key, value),
        ),
        bench=lambda rng: sample(*(rng.standard_normal((16, 6, 256, 64)) for _ in range(3)), is_causal=True),
        source="Vaswani et al.: Attention Is All You Need (2017); Dao et al.: FlashAttention (2022)",
        kernels=("attention", "exp_row"),
    ),
    Spec(
        name="scaled_dot_product_attention",
        summary="Attention as PyTorch's function of this name does it; fused, too.",
        formula=r"y = \mathrm{softmax}(s\, Q K^\top + \mathrm{bias})\, V",
        shapes="query [..., H, Tq, D], key [..., Hkv, Tk, D], value [..., Hkv, Tk, Dv] -> y [..., H, Tq, Dv]",
        args={
            "attn_mask": "bool, True where a key may be seen, or float, added to the scores; broadcast to "
            "[..., H, Tq, Tk]; gets no gradient",
            "dropout_p": "each weight becomes 0 with this probability, else it is divided by 1 - dropout_p",
            "is_causal": "query i sees keys up to i: the first query stands at the first key. With a cache of "
            "earlier keys this is not what you want; fused_attention puts the last query at the last key",
            "scale": "of the scores; 1/√D if None",
            "enable_gqa": "whether groups of query heads may share a key and value head",
        },
        forward=scaled_dot_product_attention,
        backward=scaled_dot_product_attention_backward,
        check=check_scaled,
        composition=compose_scaled,
        random=True,
        samples=samples_scaled,
        example=Example(
            sample(
                np.array([[1.0, 0.0], [0.0, 2.0]]),
                np.array([[1.0, 1.0], [2.0, 0.0]]),
                np.array([[1.0, 0.0], [0.0, 1.0]]),  # the values pick the weights out
            ),
            _W,
        ),
        bad=(
            Bad(
                sample(np.zeros(3), np.zeros(3), np.zeros(3)),
                ShapeError,
                "[scaled_dot_product_attention] query, key and value must be [..., H, T, D], but got (3,), (3,) "
                "and (3,)",
            ),
            Bad(
                sample(np.zeros((2, 3, 4)), np.zeros((2, 3, 5)), np.zeros((2, 3, 4))),
                ShapeError,
                "[scaled_dot_product_attention] batch, key heads, key length and head size must agree, but got "
                "(2, 3, 4), (2, 3, 5) and (2, 3, 4)",
            ),
            Bad(
                sample(np.zeros((4, 3, 4)), np.zeros((2, 3, 4)), np.zeros((2, 3, 4))),
                ShapeError,
                "[scaled_dot_product_attention] key heads must equal query heads unless enable_gqa, but got 2 and 4",
            ),
            Bad(
                sample(np.zeros((3, 3, 4)), np.zeros((2, 3, 4)), np.zeros((2, 3, 4)), enable_gqa=True),
                ShapeError,
                "[scaled_dot_product_attention] key heads must divide query heads, but got 2 and 3",
            ),
            Bad(
                sample(*[np.zeros((3, 4))] * 3, np.ones((3, 3), bool), is_causal=True),
                ValueError,
                "[scaled_dot_product_attention] attn_mask and is_causal must not both be given",
            ),
            Bad(
                sample(*[np.zeros((3, 4))] * 3, np.ones((3, 2), bool)),
                ShapeError,
                "[scaled_dot_product_attention] mask must broadcast to (3, 3), but got shape (3, 2)",
            ),
            Bad(
                sample(*[np.zeros((3, 4))] * 3, np.ones((3, 3), np.int64)),
                DTypeError,
                "[scaled_dot_product_attention] mask must be bool or float32, but got int64",
            ),
        ),
        tolerance=TOLERANCE,
        cost=lambda query, key, value, mask=None, dropout_p=0.0, is_causal=False, *args, **kwargs: (
            _attention_cost(
                math.prod(query.shape[:-2]),
                1,
                query.shape[-2],
                key.shape[-2],
                query.shape[-1],
                is_causal,
                2 * nbytes(query) + nbytes(key, value),
            )
        ),
        bench=lambda rng: sample(*(rng.standard_normal((16, 6, 256, 64)) for _ in range(3)), is_causal=True),
        source="Vaswani et al.: Attention Is All You Need (2017); Dao et al.: FlashAttention (2022)",
        kernels=("attention", "exp_row"),
    ),
    Spec(
        name="packed_attention",
        summary="Attention over queries, keys and values as one matrix product leaves them, side by side.",
        formula=r"y = \mathrm{softmax}(s\, Q K^\top)\, V \text{ for each head of } [Q\, K\, V]",
        shapes="qkv [B, T, (H + 2 Hkv) D] -> y [B, T, H D]",
        args={
            "n_head": "H, query heads",
            "n_kv_head": "Hkv, key and value heads; H if None",
            "scale": "of the scores; 1/√D if None",
            "slopes": "ALiBi's [H]: scores fall by slope · distance; gets no gradient",
            "dropout_p": "each weight becomes 0 with this probability, else it is divided by 1 - dropout_p",
        },
        forward=packed_attention,
        backward=packed_attention_backward,
        check=check_packed,
        composition=compose_packed,
        random=True,
        samples=samples_packed,
        example=Example(
            # One head of size 1: the second token weighs both equally, since its query is 0.
            sample(np.array([[[1.0, 1.0, 2.0], [0.0, 3.0, 4.0]]]), 1),
            [[[2.0], [3.0]]],
            ([[[0.0, 0.0, 1.5], [1.0, 0.0, 0.5]]],),
        ),
        bad=(
            Bad(
                sample(np.zeros((2, 3)), 1),
                ShapeError,
                "[packed_attention] qkv must be [B, T, C], but got shape (2, 3)",
            ),
            Bad(
                sample(np.zeros((1, 2, 12)), 4, 3),
                ValueError,
                "[packed_attention] n_kv_head must divide n_head, but got 3 and 4",
            ),
            Bad(
                sample(np.zeros((1, 2, 10)), 2),
                ShapeError,
                "[packed_attention] n_head + 2 n_kv_head = 6 must divide the channels of qkv, but got (1, 2, 10)",
            ),
            Bad(
                sample(np.zeros((1, 2, 6)), 2, dropout_p=-0.5),
                ValueError,
                "[packed_attention] dropout_p must be in 0 to 1, but got -0.5",
            ),
        ),
        tolerance=TOLERANCE,
        cost=lambda qkv, n_head, *args, **kwargs: _attention_cost(
            qkv.shape[0],
            n_head,
            qkv.shape[1],
            qkv.shape[1],
            qkv.shape[2] // (3 * n_head),
            True,
            4 / 3 * nbytes(qkv),
        ),
        bench=lambda rng: sample(rng.standard_normal((12, 64, 384)), 4),
        source="Vaswani et al.: Attention Is All You Need (2017); Dao et al.: FlashAttention (2022)",
        kernels=("attention", "exp_row"),
    ),
]

"""Multi-head attention: every token asks, every token it may see answers, in several subspaces at once."""

from __future__ import annotations

from typing import Any

import groundup as gu
from groundup.nn.layers import Dropout, Linear
from groundup.nn.module import Module


class MultiHeadAttention(Module):
    """Attention with ``n_head`` query heads and ``n_kv_head`` key/value heads.

    ``n_kv_head = n_head`` is multi-head attention, 1 is multi-query (Shazeer, 2019), between them grouped-query
    (Ainslie et al., 2023): groups of query heads share one key/value head, which shrinks a KV cache.

    Shapes: x [B, T, C] -> [B, T, C]; memory [B, S, C] for attention to another sequence.

    Args:
        n_embd: C. n_head must divide it.
        causal: a token sees itself and what is before it.
        position: ``rotary`` or ``alibi`` act inside attention; anything else leaves it alone.
        dropout: on the result, in training; attn_dropout: on the attention weights, the same if not given.
    """

    def __init__(
        self,
        n_embd: int,
        n_head: int,
        n_kv_head: int | None = None,
        causal: bool = False,
        dropout: float = 0.0,
        bias: bool = True,
        position: str = "none",
        attn_dropout: float | None = None,
    ) -> None:
        super().__init__()
        n_kv_head = n_head if n_kv_head is None else n_kv_head
        if n_head < 1 or n_embd % n_head:
            raise ValueError(f"[MultiHeadAttention] n_head must divide n_embd, but got {n_head} and {n_embd}")
        if n_kv_head < 1 or n_head % n_kv_head:
            raise ValueError(
                f"[MultiHeadAttention] n_kv_head must divide n_head, but got {n_kv_head} and {n_head}"
            )
        self.n_embd, self.n_head, self.n_kv_head = n_embd, n_head, n_kv_head
        self.head_size = n_embd // n_head
        self.causal, self.position = causal, position
        self.attn_dropout = dropout if attn_dropout is None else attn_dropout
        # Queries, keys and values of all heads from one multiplication.
        self.qkv = Linear(n_embd, (n_head + 2 * n_kv_head) * self.head_size, bias=bias)
        self.proj = Linear(n_embd, n_embd, bias=bias)
        self.dropout = Dropout(dropout)

    def forward(self, x: Any, memory: Any = None, mask: Any = None, cache: KVCache | None = None) -> Any:
        """Attend within ``x``, or from ``x`` to ``memory``.

        Args:
            mask: bool, True where a key may be seen, or float, added to the scores; broadcast to [B, H, T, S].
                A padding mask [B, S] is given as ``mask[:, None, None, :]``.
            cache: keys and values of earlier tokens; ``x`` then holds only the new ones.
        """
        dropout = self.attn_dropout if self.training else 0.0
        slopes = gu.alibi_slopes(self.n_head).to(x.dtype) if self.position == "alibi" else None
        if memory is None and mask is None and cache is None and self.position != "rotary":
            # The common case: no copy between the multiplication and the kernel.
            heads = gu.packed_attention(
                self.qkv(x),
                self.n_head,
                self.n_kv_head,
                is_causal=self.causal,
                slopes=slopes,
                dropout_p=dropout,
            )
            return self.dropout(self.proj(heads))
        q, k, v = self._project(x, memory)  # [B, H, T, D], [B, Hkv, S, D], [B, Hkv, S, D]
        if self.position == "rotary":
            start = 0 if cache is None else cache.length
            q, k = gu.rotary(q, start), gu.rotary(k, start)
        if cache is not None:
            k, v = cache.append(k, v)
        heads = gu.fused_attention(q, k, v, mask, is_causal=self.causal, slopes=slopes, dropout_p=dropout)
        heads = heads.transpose(1, 2).reshape(x.shape[0], q.shape[2], self.n_embd)
        return self.dropout(self.proj(heads))

    def _project(self, x: Any, memory: Any) -> tuple[Any, Any, Any]:
        H, K, D = self.n_head, self.n_kv_head, self.head_size
        source = x if memory is None else memory
        if memory is None:
            q, k, v = gu.split(self.qkv(x), [H * D, K * D, K * D], dim=-1)
        else:
            bias = self.qkv.bias
            q = gu.linear(x, self.qkv.weight[: H * D], None if bias is None else bias[: H * D])
            kv = gu.linear(memory, self.qkv.weight[H * D :], None if bias is None else bias[H * D :])
            k, v = gu.split(kv, [K * D, K * D], dim=-1)

        def heads(t: Any, n: int, length: int) -> Any:  # B,T,n·D -> B,n,T,D
            return t.reshape(x.shape[0], length, n, D).transpose(1, 2)

        T, S = x.shape[1], source.shape[1]
        return heads(q, H, T), heads(k, K, S), heads(v, K, S)

    def extra_repr(self) -> str:
        shared = "" if self.n_kv_head == self.n_head else f", n_kv_head={self.n_kv_head}"
        return f"{self.n_embd}, n_head={self.n_head}{shared}, causal={self.causal}"


class KVCache:
    """Keys and values of the tokens so far, so that each is computed once."""

    def __init__(self) -> None:
        self.keys: Any = None  # B,Hkv,S,D
        self.values: Any = None

    @property
    def length(self) -> int:
        """How many tokens are held."""
        return 0 if self.keys is None else int(self.keys.shape[2])

    def append(self, keys: Any, values: Any) -> tuple[Any, Any]:
        """Add the new tokens' [B, Hkv, T, D]; returns all of them."""
        if self.keys is not None:
            keys = gu.concat([self.keys, keys], dim=2)
            values = gu.concat([self.values, values], dim=2)
        self.keys, self.values = keys, values
        return keys, values

"""Transformers: blocks of attention and MLP with residuals and norms; as decoder, encoder, and both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import groundup as gu
from groundup.nn.attention import KVCache, MultiHeadAttention
from groundup.nn.layers import Dropout, Embedding, LayerNorm, Linear, ModuleList, RMSNorm
from groundup.nn.module import Module
from groundup.nn.positions import SCHEMES, LearnedPositions, SinusoidalPositions

NORMS = {"layer": LayerNorm, "rms": RMSNorm}


class MLP(Module):
    """Two linear layers with an activation between: each token thinks for itself.

    ``swiglu`` multiplies two projections instead, SiLU(x W₁) ⊙ x W₂ (Shazeer, 2020).

    Shapes: x [B, T, C] -> [B, T, C]; hidden size 4 C by default, 8/3 C for SwiGLU, which has three matrices.
    """

    def __init__(
        self,
        n_embd: int,
        n_inner: int | None = None,
        activation: str = "gelu_tanh",
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.gated = activation == "swiglu"
        hidden = self.inner_size(n_embd, n_inner, self.gated)
        self.fc = Linear(n_embd, hidden, bias=bias, activation="silu" if self.gated else activation)
        self.gate = Linear(n_embd, hidden, bias=bias) if self.gated else None
        self.proj = Linear(hidden, n_embd, bias=bias)
        self.dropout = Dropout(dropout)

    @staticmethod
    def inner_size(n_embd: int, n_inner: int | None, gated: bool) -> int:
        """The hidden size: ``n_inner`` where it is given."""
        if n_inner is not None:
            return n_inner
        return 8 * n_embd // 3 if gated else 4 * n_embd

    def forward(self, x: Any) -> Any:
        """x [B, T, C] -> [B, T, C]."""
        hidden = self.fc(x)
        if self.gate is not None:
            hidden = hidden * self.gate(x)
        return self.dropout(self.proj(hidden))


class TransformerBlock(Module):
    """x + attention(norm x), then x + mlp(norm x): the residual stream with two writers.

    Args:
        pre_norm: norm before each writer (GPT-2 on) or after the addition (the original).
        norm: ``layer`` or ``rms``.
        activation: ``gelu``, ``gelu_tanh``, ``relu``, ``silu`` or ``swiglu``.
        cross: also attend to a memory, between the two.

    Shapes: x [B, T, C] -> [B, T, C].
    """

    def __init__(
        self,
        n_embd: int,
        n_head: int,
        n_kv_head: int | None = None,
        n_inner: int | None = None,
        causal: bool = False,
        pre_norm: bool = True,
        norm: str = "layer",
        norm_eps: float = 1e-5,
        activation: str = "gelu_tanh",
        dropout: float = 0.0,
        bias: bool = True,
        position: str = "none",
        cross: bool = False,
        attn_dropout: float | None = None,
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f"[TransformerBlock] norm must be 'layer' or 'rms', but got {norm!r}")
        make_norm = NORMS[norm]
        self.pre_norm = pre_norm
        self.ln_1 = make_norm(n_embd, eps=norm_eps)
        self.attn = MultiHeadAttention(
            n_embd, n_head, n_kv_head, causal, dropout, bias, position, attn_dropout
        )
        self.ln_cross: Any = make_norm(n_embd, eps=norm_eps) if cross else None
        self.cross = MultiHeadAttention(n_embd, n_head, n_kv_head, False, dropout, bias) if cross else None
        self.ln_2 = make_norm(n_embd, eps=norm_eps)
        self.mlp = MLP(n_embd, n_inner, activation, dropout, bias)

    def forward(
        self,
        x: Any,
        mask: Any = None,
        memory: Any = None,
        memory_mask: Any = None,
        cache: KVCache | None = None,
    ) -> Any:
        """x [B, T, C] -> [B, T, C]; memory [B, S, C] where the block attends to one."""
        if (memory is None) != (self.cross is None):
            # Without a memory the tokens would attend to each other, later ones included.
            wanted, got = ("no memory", "one") if self.cross is None else ("a memory", "none")
            raise ValueError(
                f"[TransformerBlock] cross={self.cross is not None} needs {wanted}, but got {got}"
            )
        if self.pre_norm:
            x = x + self.attn(self.ln_1(x), mask=mask, cache=cache)
            if self.cross is not None:
                x = x + self.cross(self.ln_cross(x), memory, memory_mask)
            return x + self.mlp(self.ln_2(x))
        x = self.ln_1(x + self.attn(x, mask=mask, cache=cache))
        if self.cross is not None:
            x = self.ln_cross(x + self.cross(x, memory, memory_mask))
        return self.ln_2(x + self.mlp(x))


class _Stack(Module):
    """Token and position embeddings, blocks, a last norm."""

    def __init__(
        self,
        vocab_size: int,
        n_positions: int,
        n_embd: int,
        n_layer: int,
        n_head: int,
        position: str,
        **block: Any,
    ) -> None:
        super().__init__()
        if position not in SCHEMES:
            raise ValueError(
                f"[Transformer] position must be one of {', '.join(SCHEMES)}, but got {position!r}"
            )
        norm, eps = block.get("norm", "layer"), block.get("norm_eps", 1e-5)
        if norm not in NORMS:
            raise ValueError(f"[Transformer] norm must be 'layer' or 'rms', but got {norm!r}")
        self.embedding = Embedding(vocab_size, n_embd)
        self.positions: Module | None = None
        if position == "learned":
            self.positions = LearnedPositions(n_positions, n_embd)
        elif position == "sinusoidal":
            self.positions = SinusoidalPositions(n_embd)
        self.dropout = Dropout(block.get("dropout", 0.0))
        self.blocks = ModuleList(
            [TransformerBlock(n_embd, n_head, position=position, **block) for _ in range(n_layer)]
        )
        self.norm: Any = NORMS[norm](n_embd, eps=eps) if block.get("pre_norm", True) else None

    def embed(self, ids: Any, start: int = 0) -> Any:
        """ids [B, T] -> [B, T, C]."""
        x = self.embedding(ids)
        if self.positions is not None:
            x = self.positions(x, start)
        return self.dropout(x)

    def finish(self, x: Any) -> Any:
        """The last norm; post-norm blocks have had theirs."""
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """Every token sees every token: for classification, or as the memory of a decoder.

    Shapes: ids [B, T] -> [B, T, C]. ``padding`` [B, T] is True at real tokens.
    """

    def __init__(
        self, vocab_size: int, n_positions: int, n_embd: int, n_layer: int, n_head: int,
        position: str = "sinusoidal", **block: Any,
    ) -> None:  # fmt: skip
        super().__init__(vocab_size, n_positions, n_embd, n_layer, n_head, position, causal=False, **block)

    def forward(self, ids: Any, padding: Any = None) -> Any:
        """ids [B, T] -> [B, T, C]."""
        x = self.embed(ids)
        mask = None if padding is None else padding.reshape(padding.shape[0], 1, 1, padding.shape[1])
        for block in self.blocks:
            x = block(x, mask=mask)
        return self.finish(x)


class TransformerDecoder(_Stack):
    """Every token sees itself and what is before it, and, where ``cross``, a memory. Gives logits.

    Shapes: ids [B, T] -> [B, T, V].

    Args:
        tie_weights: the output layer is the token embedding itself (Press, Wolf, 2017).
    """

    def __init__(
        self, vocab_size: int, n_positions: int, n_embd: int, n_layer: int, n_head: int,
        position: str = "learned", tie_weights: bool = True, **block: Any,
    ) -> None:  # fmt: skip
        super().__init__(vocab_size, n_positions, n_embd, n_layer, n_head, position, causal=True, **block)
        self.lm_head = Linear(n_embd, vocab_size, bias=False)
        if tie_weights:
            gu.nn.init.normal_(self.embedding.weight, std=0.02)
            self.lm_head.weight = self.embedding.weight

    def new_cache(self) -> list[KVCache]:
        """An empty cache a block, for `forward`."""
        return [KVCache() for _ in self.blocks]

    def forward(
        self, ids: Any, memory: Any = None, memory_padding: Any = None, cache: Sequence[KVCache] | None = None
    ) -> Any:
        """ids [B, T] -> logits [B, T, V]; with a cache, ``ids`` are the new tokens only."""
        x = self.embed(ids, cache[0].length if cache else 0)
        memory_mask = None
        if memory_padding is not None:
            memory_mask = memory_padding.reshape(memory_padding.shape[0], 1, 1, memory_padding.shape[1])
        for i, block in enumerate(self.blocks):
            x = block(x, memory=memory, memory_mask=memory_mask, cache=cache[i] if cache else None)
        return self.lm_head(self.finish(x))


class EncoderDecoder(Module):
    """The original transformer: an encoder reads, a decoder that attends to it writes (Vaswani et al., 2017).

    Shapes: source [B, S], target [B, T] -> logits [B, T, V].
    """

    def __init__(
        self, vocab_size: int, n_positions: int, n_embd: int, n_layer: int, n_head: int,
        position: str = "sinusoidal", **block: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        sizes = (vocab_size, n_positions, n_embd, n_layer, n_head, position)
        self.encoder = TransformerEncoder(*sizes, **block)
        self.decoder = TransformerDecoder(*sizes, cross=True, **block)

    def forward(self, source: Any, target: Any, source_padding: Any = None) -> Any:
        """source [B, S], target [B, T] -> logits [B, T, V]."""
        memory = self.encoder(source, source_padding)
        return self.decoder(target, memory, source_padding)

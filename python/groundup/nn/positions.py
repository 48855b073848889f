"""Where a token stands: four ways to tell attention, which by itself sees a set and no order.

| way | what it changes | learned | beyond the training length |
| --- | --- | --- | --- |
| sinusoidal | adds waves to the embeddings | no | defined |
| learned | adds a table's row to the embeddings | yes | has no row |
| rotary | turns queries and keys by an angle that grows with the position | no | defined |
| ALiBi | lowers scores in proportion to the distance | no | made for it |
"""

from __future__ import annotations

from typing import Any

import groundup as gu
from groundup.nn.module import Module, Parameter

SCHEMES = ("learned", "sinusoidal", "rotary", "alibi", "none")


class LearnedPositions(Module):
    """A row of a learned table for each position.

    Shapes: x [B, T, C] -> the same; weight [n_positions, C].
    """

    def __init__(self, n_positions: int, n_embd: int, std: float = 0.02) -> None:
        super().__init__()
        if n_positions < 1:
            raise ValueError(
                f"[LearnedPositions] n_positions must be a positive int, but got {n_positions!r}"
            )
        self.weight = Parameter(gu.randn(n_positions, n_embd) * std)

    def forward(self, x: Any, start: int = 0) -> Any:
        """x [B, T, C], whose first token stands at ``start`` -> x + rows [B, T, C]."""
        T, n = x.shape[1], self.weight.shape[0]
        if start + T > n:
            raise gu.ShapeError(
                f"[LearnedPositions] positions must be below {n}, but got {start} to {start + T - 1}"
            )
        return x + self.weight[start : start + T]


class SinusoidalPositions(Module):
    """Sines and cosines of geometrically spaced wavelengths (Vaswani et al., 2017).

    Shapes: x [B, T, C] -> the same.
    """

    def __init__(self, n_embd: int) -> None:
        super().__init__()
        self.n_embd = n_embd

    def forward(self, x: Any, start: int = 0) -> Any:
        """x [B, T, C], whose first token stands at ``start`` -> x + waves [B, T, C]."""
        waves = gu.sinusoidal_positions(start + x.shape[1], self.n_embd)
        return x + waves[start:].to(x.dtype)

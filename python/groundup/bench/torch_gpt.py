"""The same GPT in PyTorch, at its best documented setting: fused attention, fused optimizer."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from groundup.lm import GPTConfig


class Block(nn.Module):
    """Attention and MLP with pre-norm residuals."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        C = config.n_embd
        self.n_head = config.n_head
        self.ln_1, self.ln_2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.qkv, self.attn_proj = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.fc, self.mlp_proj = nn.Linear(C, 4 * C), nn.Linear(4 * C, C)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [B, T, C] -> [B, T, C]."""
        B, T, C = x.shape
        q, k, v = self.qkv(self.ln_1(x)).view(B, T, 3, self.n_head, -1).permute(2, 0, 3, 1, 4)
        heads = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_proj(heads.transpose(1, 2).reshape(B, T, C))
        return x + self.mlp_proj(F.gelu(self.fc(self.ln_2(x)), approximate="tanh"))


class TorchGPT(nn.Module):
    """`groundup.lm.GPT` in PyTorch, with tied weights."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.n_positions, config.n_embd)
        self.h = nn.ModuleList([Block(config) for _ in range(config.n_layer)])
        self.ln_f = nn.LayerNorm(config.n_embd)

    def forward(self, ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """ids, targets [B, T] -> the mean cross-entropy."""
        x = self.wte(ids) + self.wpe.weight[: ids.shape[1]]
        for block in self.h:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))

    def load_groundup(self, state: dict[str, Any]) -> None:
        """Take the weights of a `groundup.lm.GPT`'s state dict."""
        names = {"attn.qkv": "qkv", "attn.proj": "attn_proj", "mlp.fc": "fc", "mlp.proj": "mlp_proj"}
        renamed = {}
        for name, array in state.items():
            for ours, theirs in names.items():
                name = name.replace(f".{ours}.", f".{theirs}.")
            if name != "lm_head.weight":
                renamed[name] = torch.from_numpy(array.copy())
        self.load_state_dict(renamed)

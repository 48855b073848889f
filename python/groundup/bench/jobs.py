"""The jobs of `groundup.bench.peers`: each sets one side up and returns a function to time and its steps a call.

The function returns numbers that all sides must agree on, so that only equal work is compared.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

Repetition = tuple[Callable[[], Any], int]


def gpt_small(side: str, threads: int) -> Repetition:
    """A training step of 4 layers, 4 heads, 128 channels, context 64, batch 12, vocabulary 65."""
    return _gpt(side, threads, layers=4, heads=4, channels=128, context=64, batch=12, steps=10)


def gpt_large(side: str, threads: int) -> Repetition:
    """A training step of 6 layers, 6 heads, 384 channels, context 256, batch 16, vocabulary 65."""
    return _gpt(side, threads, layers=6, heads=6, channels=384, context=256, batch=16, steps=1)


def _gpt(
    side: str,
    threads: int,
    layers: int,
    heads: int,
    channels: int,
    context: int,
    batch: int,
    steps: int,
) -> Repetition:
    import groundup as gu

    config = gu.lm.GPTConfig(
        vocab_size=65, n_positions=context, n_embd=channels, n_layer=layers, n_head=heads
    )
    gu.manual_seed(0)
    ours = gu.lm.GPT(config)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 65, (batch, context))
    y = rng.integers(0, 65, (batch, context))
    options: dict[str, Any] = {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.1}
    if side.startswith("groundup"):
        if side == "groundup_numpy":
            state = {name: np.array(t) for name, t in ours.state_dict().items()}
            gu.backend("numpy")
            ours = gu.lm.GPT(config)
            ours.load_state_dict(state)
            steps = 1
        gu.set_num_threads(threads)
        optimizer = gu.optim.AdamW(ours.parameters(), **options)

        def step() -> float:
            loss = ours(x, y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return float(loss.item())
    else:
        import torch

        from groundup.bench.torch_gpt import TorchGPT

        torch.set_num_threads(threads)
        model: Any = TorchGPT(config)
        model.load_groundup({name: np.asarray(t) for name, t in ours.state_dict().items()})
        torch_optimizer = torch.optim.AdamW(model.parameters(), fused=True, **options)
        if side == "torch_compile":
            model = torch.compile(model)
        tx, ty = torch.from_numpy(x), torch.from_numpy(y)

        def step() -> float:
            loss = model(tx, ty)
            loss.backward()
            torch_optimizer.step()
            torch_optimizer.zero_grad(set_to_none=True)
            return float(loss.item())

    first = [step() for _ in range(3)]  # what the sides must agree on

    def repetition() -> Any:
        for _ in range(steps):
            step()
        return first

    return repetition, steps


def adamw_large(side: str, threads: int) -> Repetition:
    """An AdamW step over 10 million parameters in 20 tensors."""
    return _adamw(side, threads, [(1000, 500)] * 20)


def adamw_many(side: str, threads: int) -> Repetition:
    """An AdamW step over 1,000 tensors of 64 elements."""
    return _adamw(side, threads, [(64,)] * 1000)


def _adamw(side: str, threads: int, shapes: list[tuple[int, ...]]) -> Repetition:
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(s, dtype=np.float32) for s in shapes]
    grads = [rng.standard_normal(s, dtype=np.float32) for s in shapes]
    if side == "groundup":
        import groundup as gu

        gu.set_num_threads(threads)
        parameters = [gu.nn.Parameter(v) for v in values]
        for p, g in zip(parameters, grads, strict=True):
            p.grad = gu.tensor(g)
        optimizer: Any = gu.optim.AdamW(parameters, lr=1e-3)
        read: Callable[[], list[float]] = lambda: [float(np.asarray(p).ravel()[0]) for p in parameters[:5]]  # noqa: E731
    else:
        import torch

        torch.set_num_threads(threads)
        torch_parameters = [torch.nn.Parameter(torch.from_numpy(v.copy())) for v in values]
        for p, g in zip(torch_parameters, grads, strict=True):
            p.grad = torch.from_numpy(g.copy())
        fused: dict[str, Any] = {"fused": True} if side == "torch_fused" else {}
        optimizer = torch.optim.AdamW(torch_parameters, lr=1e-3, **fused)
        read = lambda: [float(p.detach().ravel()[0]) for p in torch_parameters[:5]]  # noqa: E731
    optimizer.step()
    first = read()

    def repetition() -> Any:
        optimizer.step()
        return first

    return repetition, 1


def scalar_mlp(side: str, threads: int) -> Repetition:  # noqa: ARG001 - one thread is all it has
    """Forward and backward of a 3–16–16–1 network of scalar values over 4 samples."""
    Value: Any = import_module("groundup.scalar" if side == "groundup" else "micrograd.engine").Value
    rng = np.random.default_rng(0)
    sizes = [3, 16, 16, 1]
    samples = rng.standard_normal((4, 3)).tolist()
    layers = [
        [[Value(w) for w in row] for row in rng.standard_normal((n_out, n_in + 1)).tolist()]
        for n_in, n_out in itertools.pairwise(sizes)
    ]

    def repetition() -> Any:
        total = Value(0.0)
        for sample in samples:
            signal = [Value(v) for v in sample]
            for depth, layer in enumerate(layers):
                outputs = []
                for *weights, bias in layer:
                    s = bias
                    for w, v in zip(weights, signal, strict=True):
                        s = s + w * v
                    outputs.append(s if depth == len(layers) - 1 else s.relu())
                signal = outputs
            total = total + (signal[0] - 1.0) ** 2
        total.backward()
        return [float(total.data)]

    return repetition, 1

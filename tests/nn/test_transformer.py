"""Attention and transformers: both backends agree, no token sees a later one, caches and padding change nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import groundup as gu
from groundup import nn
from groundup.nn.positions import SCHEMES

IDS = np.random.default_rng(0).integers(0, 11, (2, 7))
SIZES = (11, 16, 16, 2, 4)  # vocab_size, n_positions, n_embd, n_layer, n_head
VARIANTS: dict[str, dict[str, Any]] = {
    "pre-norm": {},
    "post-norm": {"pre_norm": False},
    "rms": {"norm": "rms", "norm_eps": 1e-3},
    "swiglu": {"activation": "swiglu", "bias": False},
    "multi-query": {"n_kv_head": 1},
    "grouped-query": {"n_kv_head": 2, "n_inner": 20},
    "relu": {"activation": "relu"},
}
CASES = [(name, "learned") for name in VARIANTS] + [("grouped-query", scheme) for scheme in SCHEMES[1:]]


def value(t: Any) -> Any:
    return np.array(t.detach())


def decoder(position: str = "learned", **options: Any) -> nn.TransformerDecoder:
    gu.manual_seed(1)
    model = nn.TransformerDecoder(*SIZES, position=position, **options)
    for p in model.parameters():
        nn.init.normal_(p, std=0.3)  # far from the start, where much is near zero
    return model


def gradients(model: nn.Module, *arguments: Any) -> tuple[Any, dict[str, Any]]:
    out = model(*(gu.tensor(a) for a in arguments))
    (out * out).mean().backward()
    return value(out), {name: value(p.grad) for name, p in model.named_parameters()}


def agree(make: Any, *arguments: Any) -> None:
    """Results and gradients of both backends, from the same parameters."""
    model = make()
    out, grads = gradients(model, *arguments)
    with gu.backend("numpy"):
        twin = make()
        twin.load_state_dict(model.state_dict())
        out_np, grads_np = gradients(twin, *arguments)
    np.testing.assert_allclose(out, out_np, rtol=1e-4, atol=1e-4 * np.abs(out).max())
    assert grads.keys() == grads_np.keys()
    for name, grad in grads.items():
        np.testing.assert_allclose(grad, grads_np[name], rtol=1e-3, atol=1e-4 * max(1e-3, np.abs(grad).max()))


@pytest.mark.parametrize(("variant", "position"), CASES)
def test_backends_agree_on_decoders(variant: str, position: str) -> None:
    agree(lambda: decoder(position, **VARIANTS[variant]), IDS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_backends_agree_on_the_others(variant: str) -> None:
    agree(lambda: nn.TransformerEncoder(*SIZES, **VARIANTS[variant]), IDS)
    agree(lambda: nn.EncoderDecoder(*SIZES, **VARIANTS[variant]), IDS, IDS[:, :4])


@pytest.mark.parametrize(("variant", "position"), CASES)
def test_no_token_sees_a_later_one(variant: str, position: str) -> None:
    model = decoder(position, **VARIANTS[variant])
    before = value(model(gu.tensor(IDS)))
    for t in range(IDS.shape[1] - 1):
        changed = IDS.copy()
        changed[:, t + 1] = (changed[:, t + 1] + 1) % 11
        after = value(model(gu.tensor(changed)))
        np.testing.assert_array_equal(after[:, : t + 1], before[:, : t + 1])
        assert np.any(after[:, t + 1] != before[:, t + 1])


@pytest.mark.parametrize("position", SCHEMES)
@pytest.mark.parametrize("lengths", [[1] * 7, [3, 1, 3], [7]])
def test_cache_equals_the_whole(position: str, lengths: list[int]) -> None:
    model = decoder(position, n_kv_head=2).eval()
    whole = value(model(gu.tensor(IDS)))
    cache, start, parts = model.new_cache(), 0, []
    with gu.no_grad():
        for length in lengths:
            parts.append(value(model(gu.tensor(IDS[:, start : start + length]), cache=cache)))
            start += length
            assert all(c.length == start for c in cache)
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, rtol=1e-4, atol=1e-5 * np.abs(whole).max())


@pytest.mark.parametrize("position", [s for s in SCHEMES if s != "none"])
def test_positions_tell_the_order(position: str) -> None:
    swapped = IDS[:, [1, 0, *range(2, 7)]]
    model = nn.TransformerEncoder(*SIZES, position=position)
    assert not np.allclose(
        value(model(gu.tensor(IDS)))[:, 2:], value(model(gu.tensor(swapped)))[:, 2:], atol=1e-4
    )
    blind = nn.TransformerEncoder(*SIZES, position="none")
    np.testing.assert_allclose(
        value(blind(gu.tensor(IDS)))[:, 2:], value(blind(gu.tensor(swapped)))[:, 2:], rtol=1e-4, atol=1e-5
    )


def test_padding_is_hidden() -> None:
    padding = np.ones((2, 7), bool)
    padding[1, 4:] = False
    changed = np.where(padding, IDS, (IDS + 3) % 11)
    encoder = nn.TransformerEncoder(*SIZES)
    outs = [value(encoder(gu.tensor(ids), gu.tensor(padding))) for ids in (IDS, changed)]
    np.testing.assert_array_equal(outs[0][padding], outs[1][padding])
    short = value(encoder(gu.tensor(IDS[1:, :4])))
    np.testing.assert_allclose(outs[0][1:, :4], short, rtol=1e-4, atol=1e-5)
    assert not np.allclose(value(encoder(gu.tensor(IDS)))[1, :4], value(encoder(gu.tensor(changed)))[1, :4])
    both = nn.EncoderDecoder(*SIZES)
    logits = [
        value(both(gu.tensor(ids), gu.tensor(IDS[:, :3]), gu.tensor(padding))) for ids in (IDS, changed)
    ]
    np.testing.assert_array_equal(*logits)


def test_dropout_acts_in_training_only() -> None:
    model = decoder(dropout=0.5)
    assert not np.array_equal(value(model(gu.tensor(IDS))), value(model(gu.tensor(IDS))))
    model.eval()
    np.testing.assert_array_equal(value(model(gu.tensor(IDS))), value(model(gu.tensor(IDS))))
    gu.manual_seed(0)
    attention = nn.MultiHeadAttention(16, 4, attn_dropout=0.5)
    x = gu.randn(2, 5, 16)
    assert not np.array_equal(value(attention(x)), value(attention(x)))


def test_tied_and_untied_heads() -> None:
    tied, untied = decoder(), decoder(tie_weights=False)
    assert tied.lm_head.weight is tied.embedding.weight
    assert untied.num_parameters() == tied.num_parameters() + 11 * 16


def test_the_last_norm_has_the_blocks_eps() -> None:
    assert {m.eps for m in decoder(norm_eps=0.5).modules() if isinstance(m, nn.LayerNorm)} == {0.5}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.MultiHeadAttention(16, 3), "n_head must divide n_embd, but got 3 and 16"),
        (lambda: nn.MultiHeadAttention(16, 0), "n_head must divide n_embd"),
        (lambda: nn.MultiHeadAttention(16, 4, 3), "n_kv_head must divide n_head, but got 3 and 4"),
        (lambda: nn.TransformerBlock(16, 4, norm="batch"), "norm must be 'layer' or 'rms', but got 'batch'"),
        (lambda: nn.TransformerEncoder(11, 16, 16, 0, 4, norm="batch"), "norm must be 'layer' or 'rms'"),
        (lambda: nn.TransformerBlock(16, 4, activation="cos"), "activation must be one of"),
        (lambda: nn.TransformerBlock(16, 4, n_inner=0), "out_features must be a positive int, but got 0"),
        (lambda: decoder("polar"), "position must be one of learned, .* got 'polar'"),
        (lambda: decoder()(gu.zeros(1, 17, dtype="int64")), "positions must be below 16, but got 0 to 16"),
        (lambda: decoder(cross=True)(gu.tensor(IDS)), "cross=True needs a memory, but got none"),
        (lambda: decoder()(gu.tensor(IDS), gu.zeros(2, 3, 16)), "cross=False needs no memory, but got one"),
    ],
)
def test_bad_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()

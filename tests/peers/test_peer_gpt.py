"""Our GPT and its parts against transformers and PyTorch: folders in both directions, and gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import groundup as gu
from groundup import nn
from groundup.lm import GPT, GPTConfig
from groundup.lm.gpt import tensors_on_disk

torch = pytest.importorskip("torch", reason="the peer suite needs torch")
transformers = pytest.importorskip("transformers", reason="the peer suite needs the transformers package")

IDS = np.random.default_rng(0).integers(0, 29, (2, 10))
SIZES: dict[str, Any] = {"vocab_size": 29, "n_positions": 16, "n_embd": 24, "n_layer": 2, "n_head": 4}
OPTIONS: dict[str, dict[str, Any]] = {
    "tied": {},
    "untied": {"tie_word_embeddings": False},
    "other sizes": {"n_inner": 40, "layer_norm_epsilon": 0.01, "activation_function": "relu"},
    "exact gelu": {"activation_function": "gelu"},
    "silu": {"activation_function": "silu", "resid_pdrop": 0.3, "embd_pdrop": 0.0, "attn_pdrop": 0.2},
    "ends": {"bos_token_id": 1, "eos_token_id": 2},
}


def close(got: Any, expected: Any, atol: float = 1e-4) -> None:
    np.testing.assert_allclose(np.asarray(got.detach()), expected.detach().numpy(), rtol=0, atol=atol)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_ours_loads_in_transformers(tmp_path: Path, options: dict[str, Any]) -> None:
    gu.manual_seed(0)
    ours = GPT(GPTConfig(**SIZES, initializer_range=0.3, **options)).eval()
    ours.save_pretrained(tmp_path)
    theirs, info = transformers.GPT2LMHeadModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    assert sum(p.numel() for p in theirs.parameters()) == ours.num_parameters()
    logits = theirs(torch.tensor(IDS)).logits
    assert logits.std() > 0.5
    close(ours(IDS), logits)
    auto = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(auto).__name__ == "GPT2LMHeadModel" and auto.config.eos_token_id == ours.config.eos_token_id


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_theirs_loads_in_ours(tmp_path: Path, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    theirs = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(**SIZES, initializer_range=0.3, **options)
    ).eval()
    for p in theirs.parameters():
        torch.nn.init.normal_(p, std=0.3)  # biases and norms too
    theirs.save_pretrained(tmp_path)
    ours = GPT.from_pretrained(tmp_path).eval()
    assert ours.num_parameters() == sum(p.numel() for p in theirs.parameters())
    for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop", "layer_norm_epsilon", "tie_word_embeddings"):
        assert getattr(ours.config, name) == getattr(theirs.config, name)
    logits = theirs(torch.tensor(IDS)).logits
    close(ours(IDS), logits, 1e-4 * max(1.0, float(logits.detach().abs().max())))
    # And back, after a trip through our files.
    ours.save_pretrained(tmp_path / "again")
    again = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "again")
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_loss_gradients_and_greedy_tokens_agree(tmp_path: Path) -> None:
    gu.manual_seed(0)
    ours = GPT(GPTConfig(**SIZES, initializer_range=0.2)).eval()
    ours.save_pretrained(tmp_path)
    theirs = transformers.GPT2LMHeadModel.from_pretrained(tmp_path).eval()
    targets = IDS[:, 1:].copy()
    targets[0, :3] = -100
    loss = ours(IDS[:, :-1], targets)
    expected = torch.nn.functional.cross_entropy(
        theirs(torch.tensor(IDS[:, :-1])).logits.flatten(0, 1), torch.tensor(targets).flatten()
    )
    close(loss, expected, 1e-5)
    loss.backward()
    expected.backward()
    grads = {name: p.grad for name, p in theirs.named_parameters()}
    on_disk = tensors_on_disk(ours.config)
    for name, p in ours.named_parameters():
        grad = grads[on_disk[name].name]
        close(p.grad, grad.T if on_disk[name].transposed else grad, 1e-5)
    tokens = ours.generate(IDS[:, :4], 12, temperature=0)
    with torch.no_grad():
        generated = theirs.generate(
            torch.tensor(IDS[:, :4]), attention_mask=torch.ones(2, 4), max_new_tokens=12, do_sample=False,
            pad_token_id=0, eos_token_id=None,
        )  # fmt: skip
    np.testing.assert_array_equal(tokens, generated.numpy())


def test_a_scheme_of_ours_is_not_taken_for_gpt2(tmp_path: Path) -> None:
    GPT(GPTConfig(**SIZES, position="rotary")).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="groundup"):
        transformers.AutoModelForCausalLM.from_pretrained(tmp_path)


# ------------------------------------------------------------------------------------------------- its parts


def copy_attention(ours: Any, theirs: Any) -> None:
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.tensor(np.asarray(ours.qkv.weight.detach())))
        theirs.in_proj_bias.copy_(torch.tensor(np.asarray(ours.qkv.bias.detach())))
        for name in ("weight", "bias"):
            getattr(theirs.out_proj, name).copy_(torch.tensor(np.asarray(getattr(ours.proj, name).detach())))


@pytest.mark.parametrize("case", ["plain", "causal", "padding", "cross"])
def test_attention(case: str) -> None:
    gu.manual_seed(0)
    ours = nn.MultiHeadAttention(12, 3, causal=case == "causal")
    theirs = torch.nn.MultiheadAttention(12, 3, batch_first=True)
    copy_attention(ours, theirs)
    rng = np.random.default_rng(1)
    x, memory = (rng.standard_normal((2, n, 12)).astype(np.float32) for n in (5, 7))
    padding = np.array([[True] * 5, [True] * 3 + [False] * 2])
    arguments: dict[str, Any] = {}
    expected: dict[str, Any] = {"need_weights": False}
    if case == "causal":
        expected["attn_mask"] = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
    if case == "padding":
        arguments["mask"] = gu.tensor(padding[:, None, None, :])
        expected["key_padding_mask"] = torch.tensor(~padding)
    a = gu.tensor(x, requires_grad=True)
    b = torch.tensor(x, requires_grad=True)
    if case == "cross":
        arguments["memory"] = gu.tensor(memory)
    keys = torch.tensor(memory) if case == "cross" else b
    y, z = ours(a, **arguments), theirs(b, keys, keys, **expected)[0]
    close(y, z, 1e-5)
    (y * y).sum().backward()
    (z * z).sum().backward()
    close(a.grad, b.grad, 1e-4)
    close(ours.qkv.weight.grad, theirs.in_proj_weight.grad, 1e-4)


@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_block(pre_norm: bool, activation: str) -> None:
    gu.manual_seed(0)
    ours = nn.TransformerBlock(12, 3, n_inner=20, pre_norm=pre_norm, activation=activation, norm_eps=1e-3)
    theirs = torch.nn.TransformerEncoderLayer(
        12,
        3,
        20,
        dropout=0.0,
        activation=activation,
        layer_norm_eps=1e-3,
        batch_first=True,
        norm_first=pre_norm,
    )
    for p in ours.parameters():
        nn.init.normal_(p, std=0.4)
    copy_attention(ours.attn, theirs.self_attn)
    pairs = {"ln_1": "norm1", "ln_2": "norm2", "mlp.fc": "linear1", "mlp.proj": "linear2"}
    with torch.no_grad():
        for mine, other in pairs.items():
            for name in ("weight", "bias"):
                source = getattr(ours.get_submodule(mine), name)
                getattr(theirs.get_submodule(other), name).copy_(torch.tensor(np.asarray(source.detach())))
    x = np.random.default_rng(1).standard_normal((2, 5, 12)).astype(np.float32)
    a, b = gu.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(a), theirs(b)
    close(y, z, 1e-4)
    (y * y).mean().backward()
    (z * z).mean().backward()
    close(a.grad, b.grad, 1e-4)
    close(ours.attn.qkv.weight.grad, theirs.self_attn.in_proj_weight.grad, 1e-4)
    close(ours.get_submodule("mlp.fc").weight.grad, theirs.linear1.weight.grad, 1e-4)


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("xavier_uniform_", {"gain": 2.0}),
        ("xavier_normal_", {}),
        ("kaiming_uniform_", {"a": 0.3}),
        ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "relu"}),
        ("trunc_normal_", {"mean": 0.5, "std": 2.0, "a": -1.0, "b": 1.0}),
    ],
)
def test_initial_values_have_the_same_quantiles(name: str, kwargs: dict[str, Any]) -> None:
    gu.manual_seed(0)
    torch.manual_seed(0)
    ours = np.asarray(getattr(nn.init, name)(gu.zeros(40, 30, 5, 5), **kwargs)).ravel()
    theirs = getattr(torch.nn.init, name)(torch.zeros(40, 30, 5, 5), **kwargs).numpy().ravel()
    at = np.linspace(0.05, 0.95, 19)
    # Kolmogorov's distance of two samples of 30,000: above 0.02 with a probability of 1e-5.
    shares = np.searchsorted(np.sort(ours), np.quantile(theirs, at)) / ours.size
    np.testing.assert_allclose(shares, at, atol=0.02)

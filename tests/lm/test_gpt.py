"""GPT: its configuration, its files and damage to them, sampling and generation, and training under both backends."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import groundup as gu
from groundup import safetensors
from groundup.lm import GPT, GPTConfig, sampling

SMALL: dict[str, Any] = {"vocab_size": 13, "n_positions": 12, "n_embd": 16, "n_layer": 2, "n_head": 4}
VARIANTS: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "untied": {"tie_word_embeddings": False, "n_inner": 24},
    "rotary": {"position": "rotary", "n_kv_head": 2, "activation_function": "swiglu"},
    "alibi": {"position": "alibi", "n_kv_head": 1},
    "sinusoidal": {"position": "sinusoidal", "tie_word_embeddings": False},
    "none": {"position": "none"},
}
IDS = np.random.default_rng(0).integers(0, 13, (3, 8))


def make(**options: Any) -> GPT:
    gu.manual_seed(0)
    return GPT(GPTConfig(**{**SMALL, "initializer_range": 0.3, **options}))


def logits_of(model: GPT, ids: Any) -> Any:
    with gu.no_grad():
        return np.array(model(np.atleast_2d(ids)))


# --------------------------------------------------------------------------------------------- configuration


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocab_size": 0}, "vocab_size must be a positive int, but got 0"),
        ({"n_layer": 2.0}, "n_layer must be a positive int, but got 2.0"),
        ({"n_embd": True}, "n_embd must be a positive int"),
        ({"n_positions": 2**31}, "n_positions must be a positive int"),
        ({"n_head": 3}, "n_head must divide n_embd 16, but got 3"),
        ({"n_head": "4"}, "n_head must be a positive int, but got '4'"),
        ({"n_inner": 0}, "n_inner must be a positive int or None"),
        ({"n_kv_head": 3}, "n_kv_head must divide n_head 4"),
        ({"attn_pdrop": 1.0}, r"attn_pdrop must be in \[0, 1\)"),
        ({"embd_pdrop": math.nan}, r"embd_pdrop must be in \[0, 1\)"),
        ({"layer_norm_epsilon": 0}, "layer_norm_epsilon must be positive"),
        ({"initializer_range": math.inf}, "initializer_range must be positive and finite"),
        ({"tie_word_embeddings": "no"}, "tie_word_embeddings must be True or False"),
        ({"eos_token_id": 13}, "eos_token_id must be an id below vocab_size 13"),
        ({"activation_function": ["gelu"]}, "activation_function must be one of"),
        ({"position": "polar"}, "position must be one of learned"),
        ({"position": "rotary", "n_embd": 12, "n_head": 4}, "even head size"),
    ],
)
def test_a_configuration_names_what_is_wrong(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"\[GPTConfig\] " + ".*" + message):
        GPTConfig(**{**SMALL, **options})


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_configuration_comes_back(variant: str) -> None:
    config = GPTConfig(**{**SMALL, **VARIANTS[variant], "attn_pdrop": 0.2, "eos_token_id": 3})
    fields = json.loads(json.dumps(config.to_dict()))
    assert fields["model_type"] == ("gpt2" if variant in ("gpt2", "untied") else "groundup")
    assert GPTConfig.from_dict(fields) == config


def test_what_a_gpt2_file_leaves_out_is_gpt2s() -> None:
    config = GPTConfig.from_dict({"model_type": "gpt2", **SMALL, "eos_token_id": 50256})
    assert (config.resid_pdrop, config.embd_pdrop, config.attn_pdrop) == (0.1, 0.1, 0.1)
    assert config.eos_token_id is None and config.tie_word_embeddings


@pytest.mark.parametrize("field", ["resid_pdrop", "embd_pdrop", "attn_pdrop"])
@pytest.mark.parametrize("position", ["learned", "rotary"])
def test_each_dropout_acts_alone(field: str, position: str) -> None:
    model = make(position=position, **{field: 0.5})
    assert not np.array_equal(logits_of(model, IDS), logits_of(model, IDS))
    model.eval()
    np.testing.assert_array_equal(logits_of(model, IDS), logits_of(model, IDS))


def test_the_first_loss_and_the_first_weights() -> None:
    gu.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=500, n_positions=32, n_embd=64, n_layer=8, n_head=4))
    ids = np.random.default_rng(0).integers(0, 500, (8, 32))
    # Hardly any preference at first, so about log V.
    assert abs(model(ids, np.roll(ids, 1)).item() - math.log(500)) < 0.05
    for name, std in {"attn.qkv": 0.02, "mlp.fc": 0.02, "attn.proj": 0.005, "mlp.proj": 0.005}.items():
        stds = [
            np.asarray(p.detach()).std() for n, p in model.named_parameters() if n.endswith(name + ".weight")
        ]
        np.testing.assert_allclose(stds, std, rtol=0.05)  # 0.005 = 0.02 / √(2 · 8)
    assert model.num_parameters() == 500 * 64 + 32 * 64 + 8 * (12 * 64 * 64 + 13 * 64) + 2 * 64


def test_loss_is_the_mean_over_what_counts() -> None:
    model, targets = make(), np.roll(IDS, -1, 1)
    targets[:, ::2] = -100
    scores = logits_of(model, IDS).astype(np.float64)
    log_p = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    picked = np.take_along_axis(log_p, np.maximum(targets, 0)[..., None], -1)[..., 0]
    assert model(IDS, targets).item() == pytest.approx(-picked[targets >= 0].mean(), rel=1e-5)


def test_forward_refuses() -> None:
    model = make()
    with pytest.raises(gu.ShapeError, match=r"ids must be \[B, T\], but got shape \(3,\)"):
        model(np.zeros(3, np.int64))
    with pytest.raises(gu.ShapeError, match="at most n_positions 12 tokens fit, but got 13"):
        model(np.zeros((1, 13), np.int64))
    with pytest.raises(gu.ShapeError, match="targets must have the shape"):
        model(IDS, IDS[:, 1:])
    for bad in (-1, 13):
        with pytest.raises(IndexError):
            model(np.full((1, 2), bad))


# ----------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_folder_comes_back_bit_for_bit(tmp_path: Path, variant: str) -> None:
    model = make(**VARIANTS[variant])
    model.save_pretrained(tmp_path / "m")
    model.save_pretrained(tmp_path / "m")  # replaces
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["config.json", "m", "model.safetensors"]
    again = GPT.from_pretrained(tmp_path / "m")
    assert again.config == model.config and again.num_parameters() == model.num_parameters()
    assert (again.lm_head.weight is again.wte.weight) == model.config.tie_word_embeddings
    for (name, a), (other, b) in zip(model.state_dict().items(), again.state_dict().items(), strict=True):
        assert name == other
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    np.testing.assert_array_equal(logits_of(again, IDS), logits_of(model, IDS))
    again(IDS, IDS).backward()  # what was loaded can be trained
    assert all(p.grad is not None for p in again.parameters())


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64"])
def test_other_float_types_and_older_names_load(tmp_path: Path, kind: str) -> None:
    model = make()
    model.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    arrays = {
        name.removeprefix("transformer."): np.array(a) for name, a in safetensors.load_file(file).items()
    }
    narrow = safetensors.float32_to_bfloat16 if kind == "bfloat16" else lambda a: a.astype(kind)
    widen = safetensors.bfloat16_to_float32 if kind == "bfloat16" else lambda a: a.astype(np.float32)
    mask = np.ones((1, 1, 12, 12), bool)  # a buffer of older files
    safetensors.save_file({**{n: narrow(a) for n, a in arrays.items()}, "h.0.attn.bias": mask}, file)
    loaded = GPT.from_pretrained(tmp_path)
    # Every weight is the narrowed one, widened again: exactly, and so are the logits.
    model.load_state_dict({name: widen(narrow(np.array(t))) for name, t in model.state_dict().items()})
    for (name, a), b in zip(model.state_dict().items(), loaded.state_dict().values(), strict=True):
        np.testing.assert_array_equal(np.asarray(b), np.asarray(a), err_msg=name)
    np.testing.assert_array_equal(logits_of(loaded, IDS), logits_of(model, IDS))


def edit_config(**fields: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return edit


def edit_arrays(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "model.safetensors"
        arrays = {name: np.array(a) for name, a in safetensors.load_file(path).items()}
        change(arrays)
        safetensors.save_file(arrays, path)

    return edit


def cut(name: str, keep: float) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * keep)])

    return edit


def write(text: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        (folder / "config.json").write_text(text)

    return edit


FC = "transformer.h.1.mlp.c_fc.weight"


@pytest.mark.parametrize(
    ("damage", "file", "message"),
    [
        (cut("model.safetensors", 0.0), "model.safetensors", "model.safetensors"),
        (cut("model.safetensors", 0.01), "model.safetensors", "model.safetensors"),
        (cut("model.safetensors", 0.9), "model.safetensors", "model.safetensors"),
        (edit_arrays(lambda a: a.pop(FC)), "model.safetensors", "missing are .*" + FC),
        (edit_arrays(lambda a: a.update(extra=a[FC])), "model.safetensors", "unexpected .*extra"),
        (
            edit_arrays(lambda a: a.update({FC: a[FC].T})),
            "model.safetensors",
            FC + r" must have shape \(16, 64\)",
        ),
        (
            edit_arrays(lambda a: a.update({FC: a[FC].astype(np.int32)})),
            "model.safetensors",
            "must hold floats",
        ),
        (edit_arrays(lambda a: a.clear()), "model.safetensors", "model.safetensors"),
        (cut("config.json", 0.5), "config.json", "config.json"),
        (cut("config.json", 0.0), "config.json", "config.json"),
        (write("[1]"), "config.json", "must be an object, but got list"),
        (write("[" * 100_000), "config.json", "config.json"),
        (write('{"n_embd": NaN, "model_type": "gpt2"}'), "config.json", "config.json"),
        (write("{}"), "config.json", "model_type must be 'gpt2' or 'groundup', but got None"),
        (edit_config(model_type="llama"), "config.json", "but got 'llama'"),
        (edit_config(model_type=["gpt2"]), "config.json", "model_type must be"),
        (edit_config(n_embd={"n": 16}), "config.json", "n_embd must be a positive int"),
        (edit_config(vocab_size="13", eos_token_id=5), "config.json", "vocab_size must be a positive int"),
        (edit_config(activation_function=["gelu"]), "config.json", "activation_function must be one of"),
        (edit_config(activation_function={"gelu": 1}), "config.json", "activation_function must be one of"),
        (edit_config(eos_token_id=[5]), "config.json", "eos_token_id must be"),
        (edit_config(scale_attn_by_inverse_layer_idx=True), "config.json", "scale_attn_by_inverse_layer_idx"),
        (edit_config(n_layer=3), "model.safetensors", "missing"),
        (edit_config(n_layer=2_000_000_000), "model.safetensors", "n_layer 2000000000"),
        (edit_config(vocab_size=2_000_000_000), "model.safetensors", "must have shape"),
        (edit_config(n_embd=2_000_000_000), "model.safetensors", "must have shape"),
        (edit_config(tie_word_embeddings=False), "model.safetensors", "missing are .*lm_head"),
    ],
)
def test_damage_names_the_file(tmp_path: Path, damage: Any, file: str, message: str) -> None:
    make().save_pretrained(tmp_path / "m")
    damage(tmp_path / "m")
    with pytest.raises(ValueError, match=message) as raised:
        GPT.from_pretrained(tmp_path / "m")
    assert str(tmp_path / "m" / file) in str(raised.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    make().save_pretrained(tmp_path / "m")
    (tmp_path / "m" / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        GPT.from_pretrained(tmp_path / "m")


# -------------------------------------------------------------------------------------------------- sampling

LOGITS = np.log([[0.5, 0.3, 0.15, 0.05], [0.05, 0.15, 0.3, 0.5]])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.5, 0.3, 0.15, 0.05]),
        ({"temperature": 0.5}, np.array([0.25, 0.09, 0.0225, 0.0025]) / 0.365),
        ({"temperature": 0.0}, [1, 0, 0, 0]),
        ({"temperature": 1e-320}, [1, 0, 0, 0]),
        ({"temperature": math.inf}, [0.25] * 4),
        ({"top_k": 2}, [0.625, 0.375, 0, 0]),
        ({"top_k": 9}, [0.5, 0.3, 0.15, 0.05]),
        ({"top_p": 0.51}, [0.625, 0.375, 0, 0]),
        ({"top_p": 0.49}, [1, 0, 0, 0]),
        ({"top_p": 1e-9}, [1, 0, 0, 0]),
        ({"top_p": 1.0}, [0.5, 0.3, 0.15, 0.05]),
        ({"top_k": 3, "top_p": 0.6}, [0.625, 0.375, 0, 0]),  # of 0.526, 0.316, 0.158
        ({"temperature": 0.5, "top_k": 2}, np.array([0.25, 0.09, 0, 0]) / 0.34),
    ],
)
def test_probabilities(options: dict[str, Any], expected: Any) -> None:
    expected = np.asarray(expected, np.float64)
    got = sampling.probabilities(LOGITS, **options)
    np.testing.assert_allclose(got, [expected, expected[::-1]], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(sampling.probabilities(LOGITS + 1e4, **options), got, rtol=1e-9)


def test_ties_go_to_the_lower_id_and_nan_is_refused() -> None:
    np.testing.assert_array_equal(sampling.probabilities(np.zeros((1, 4)), top_k=2), [[0.5, 0.5, 0, 0]])
    with pytest.raises(ValueError, match="logits must be numbers, but got NaN"):
        sampling.probabilities(np.array([[0.0, math.nan]]))


def test_samples_follow_the_probabilities() -> None:
    p = np.tile([[0.0, 0.5, 0.0, 0.3, 0.2, 0.0]], (40_000, 1))
    counts = np.bincount(sampling.sample(p, np.random.default_rng(0)), minlength=6) / len(p)
    assert np.all(counts[p[0] == 0] == 0)
    np.testing.assert_allclose(counts, p[0], atol=5 * math.sqrt(0.25 / len(p)))


# ------------------------------------------------------------------------------------------------ generation


@pytest.mark.parametrize("variant", VARIANTS)
def test_greedy_is_the_argmax_of_the_whole(variant: str) -> None:
    model = make(**VARIANTS[variant], attn_pdrop=0.3, resid_pdrop=0.3, embd_pdrop=0.3)
    tokens = model.generate(IDS[:, :4], 8, temperature=0)
    assert model.training
    model.eval()
    for t in range(4, 12):
        np.testing.assert_array_equal(tokens[:, t], logits_of(model, tokens[:, :t])[:, -1].argmax(-1))
    np.testing.assert_array_equal(model.generate(IDS[:, :4], 8, top_k=1, seed=3), tokens)
    np.testing.assert_array_equal(model.generate(IDS[:, :4], 8, top_p=1e-9, seed=3), tokens)
    assert not model.training


def test_seeds() -> None:
    model = make()
    first = model.generate(IDS, 10, seed=1)
    np.testing.assert_array_equal(model.generate(IDS, 10, seed=1), first)
    assert not np.array_equal(model.generate(IDS, 10, seed=2), first)
    assert not np.array_equal(model.generate(IDS, 10), model.generate(IDS, 10))


def test_the_kind_of_the_ids_comes_back() -> None:
    model = make()
    expected = model.generate(IDS, 5, seed=0)
    assert isinstance(expected, np.ndarray) and expected.shape == (3, 13)
    assert model.generate(IDS.tolist(), 5, seed=0) == expected.tolist()
    tensor = model.generate(gu.tensor(IDS), 5, seed=0)
    assert isinstance(tensor, gu.Tensor)
    np.testing.assert_array_equal(np.asarray(tensor), expected)
    one = model.generate([1, 2], 3, seed=0)
    assert isinstance(one, list) and len(one) == 5 and one[:2] == [1, 2]
    assert model.generate([1, 2], 0) == [1, 2]
    assert model.generate(IDS.astype(np.uint16), 5, seed=0).tolist() == expected.tolist()


@pytest.mark.parametrize("variant", VARIANTS)
def test_beyond_n_positions(variant: str) -> None:
    model = make(**VARIANTS[variant])
    tokens = model.generate(IDS, 40, temperature=0)
    assert tokens.shape == (3, 48) and np.array_equal(tokens[:, :8], IDS)
    # The tokens from 13 on come from what a fresh context of the last half gives.
    np.testing.assert_array_equal(tokens[:, 13], logits_of(model, tokens[:, 7:13])[:, -1].argmax(-1))
    long = np.tile(IDS, 3)
    np.testing.assert_array_equal(
        model.generate(long, 1, temperature=0)[:, -1], logits_of(model, long[:, -12:])[:, -1].argmax(-1)
    )


def test_stop_token() -> None:
    model = make()
    free = model.generate(IDS, 30, seed=4)
    stop = int(free[0, 10])
    stopped = model.generate(IDS, 30, seed=4, stop_token=stop)
    for row, unstopped in zip(stopped[:, 8:], free[:, 8:], strict=True):
        at = row.tolist().index(stop) if stop in row else len(row)
        np.testing.assert_array_equal(row[: at + 1], unstopped[: at + 1])
        assert np.all(row[at:] == stop)
    alone = model.generate(
        IDS[0], 30, temperature=0, stop_token=int(model.generate(IDS[0], 1, temperature=0)[-1])
    )
    assert len(alone) == 9


@pytest.mark.parametrize(
    ("ids", "options", "error", "message"),
    [
        ([1], {"temperature": -1.0}, ValueError, "temperature must be >= 0"),
        ([1], {"temperature": math.nan}, ValueError, "temperature must be >= 0"),
        ([1], {"top_k": 0}, ValueError, "top_k must be an int of at least 1"),
        ([1], {"top_k": 1.5}, ValueError, "top_k must be an int of at least 1"),
        ([1], {"top_p": 0.0}, ValueError, r"top_p must be in \(0, 1\]"),
        ([1], {"top_p": 1.1}, ValueError, r"top_p must be in \(0, 1\]"),
        ([1], {"max_new_tokens": -1}, ValueError, "max_new_tokens must be >= 0, but got -1"),
        ([1], {"stop_token": 13}, ValueError, "stop_token must be an id below vocab_size 13"),
        ([], {}, ValueError, "not empty"),
        ([[[1]]], {}, ValueError, r"ids must be \[B, T\] or \[T\]"),
        ([13], {}, IndexError, "13"),
        ([1, -1], {}, IndexError, "-1"),
        ([1.5], {}, TypeError, "ids must be ints"),
    ],
)
def test_generate_refuses(ids: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make().generate(ids, **{"max_new_tokens": 2, **options})


# -------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("variant", VARIANTS)
def test_five_steps_agree_under_both_backends(variant: str) -> None:
    def run() -> tuple[list[float], dict[str, Any]]:
        model = make(**VARIANTS[variant], initializer_range=0.02)
        # With this eps a step depends smoothly on the gradient, also on one that is all rounding.
        optimizer = gu.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1, eps=1e-4)
        losses = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = model(gu.tensor(IDS[:, :-1]), gu.tensor(IDS[:, 1:]))
            loss.backward()
            gu.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
        return losses, {name: np.array(t) for name, t in model.state_dict().items()}

    losses, state = run()
    with gu.backend("numpy"):
        losses_np, state_np = run()
    assert losses[-1] < losses[0] - 0.1
    np.testing.assert_allclose(losses, losses_np, rtol=0, atol=1e-4)
    for name, array in state.items():
        np.testing.assert_allclose(array, state_np[name], rtol=0, atol=1e-4, err_msg=name)

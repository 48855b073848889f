"""GPT: a decoder-only transformer in GPT-2's shape, saved as a Hugging Face folder.

Field names, tensor names and their layout on disk are those of ``transformers.GPT2LMHeadModel``, so folders load
there and give the same logits, and the other way round. Position schemes and head counts that GPT-2 does not
have are saved under the model type ``groundup`` and load here only.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import groundup as gu
from groundup import nn, safetensors
from groundup.files import atomic_folder, read_json, write_json
from groundup.lm import sampling
from groundup.nn.positions import SCHEMES

#: Hugging Face's names of activations -> ours.
ACTIVATIONS = {
    "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu", "relu": "relu", "silu": "silu",
    "swish": "silu", "swiglu": "swiglu",
}  # fmt: skip


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a GPT; fields are named as in Hugging Face's GPT-2 configuration.

    Raises:
        ValueError: a field is out of range, or n_head does not divide n_embd; names the field.

    >>> GPTConfig(vocab_size=65, n_layer=4, n_head=4, n_embd=128, n_positions=64).head_size
    32
    """

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None  # hidden size of the MLP; 4 n_embd if not given
    activation_function: str = "gelu_new"
    resid_pdrop: float = 0.0
    embd_pdrop: float = 0.0
    attn_pdrop: float = 0.0
    layer_norm_epsilon: float = 1e-5
    initializer_range: float = 0.02
    tie_word_embeddings: bool = True
    bos_token_id: int | None = None
    eos_token_id: int | None = None
    position: str = "learned"  # or sinusoidal, rotary, alibi, none
    n_kv_head: int | None = None  # fewer key/value heads than query heads

    def __post_init__(self) -> None:
        def fail(field: str, holds: str) -> ValueError:
            return ValueError(f"[GPTConfig] {field} {holds}, but got {getattr(self, field)!r}")

        for field in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head"):
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 2**31:
                raise fail(field, "must be a positive int")
        for field in ("n_inner", "n_kv_head"):
            value = getattr(self, field)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise fail(field, "must be a positive int or None")
        for field in ("bos_token_id", "eos_token_id"):
            value = getattr(self, field)
            if value is not None and (not isinstance(value, int) or not 0 <= value < self.vocab_size):
                raise fail(field, f"must be an id below vocab_size {self.vocab_size} or None")
        for field in ("resid_pdrop", "embd_pdrop", "attn_pdrop"):
            value = getattr(self, field)
            if not isinstance(value, (int, float)) or not 0 <= value < 1:
                raise fail(field, "must be in [0, 1)")
        for field in ("layer_norm_epsilon", "initializer_range"):
            value = getattr(self, field)
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < np.inf:
                raise fail(field, "must be positive and finite")
        if not isinstance(self.tie_word_embeddings, bool):
            raise fail("tie_word_embeddings", "must be True or False")
        for field, choices in (("activation_function", tuple(ACTIVATIONS)), ("position", SCHEMES)):
            if getattr(self, field) not in choices:
                raise fail(field, f"must be one of {', '.join(choices)}")
        if self.n_embd % self.n_head:
            raise fail("n_head", f"must divide n_embd {self.n_embd}")
        if self.n_kv_head is not None and self.n_head % self.n_kv_head:
            raise fail("n_kv_head", f"must divide n_head {self.n_head}")
        if self.position == "rotary" and self.head_size % 2:
            raise fail(
                "n_head", f"must leave an even head size for rotary positions, n_embd is {self.n_embd}"
            )

    @property
    def head_size(self) -> int:
        """Channels of one head."""
        return self.n_embd // self.n_head

    @property
    def is_gpt2(self) -> bool:
        """Whether the model is one that Hugging Face's GPT-2 can hold."""
        same_heads = self.n_kv_head in (None, self.n_head)
        return self.position == "learned" and same_heads and self.activation_function != "swiglu"

    def to_dict(self) -> dict[str, Any]:
        """The content of ``config.json``."""
        fields = dataclasses.asdict(self)
        if self.is_gpt2:
            del fields["position"], fields["n_kv_head"]
        kind = (
            {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}
            if self.is_gpt2
            else {"model_type": "groundup"}
        )
        return {**kind, "dtype": "float32", **fields}

    @classmethod
    def from_dict(cls, fields: dict[str, Any], where: str = "config.json") -> GPTConfig:
        """From the content of a ``config.json``; fields that do not change the computation are ignored.

        Raises:
            ValueError: another kind of model, or one of its options that we do not compute.
        """
        kind = fields.get("model_type")
        if kind not in ("gpt2", "groundup"):
            raise ValueError(f"[GPT] {where}: model_type must be 'gpt2' or 'groundup', but got {kind!r}")
        # Options of GPT-2 that change the result and that this class does not have.
        for option, usual in {
            "scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False,
        }.items():  # fmt: skip
            if fields.get(option, usual) != usual:
                raise ValueError(f"[GPT] {where}: {option} must be {usual}, but got {fields[option]!r}")
        known = {f.name for f in dataclasses.fields(cls)}
        chosen = {name: value for name, value in fields.items() if name in known}
        if kind == "gpt2":
            for pdrop in ("resid_pdrop", "embd_pdrop", "attn_pdrop"):
                chosen.setdefault(pdrop, 0.1)  # GPT-2's defaults, where the file leaves them out
            vocab_size = chosen.get("vocab_size", 50257)
            for token in ("bos_token_id", "eos_token_id"):
                # transformers writes GPT-2's 50256 into every small vocabulary's file.
                if (
                    all(isinstance(n, int) for n in (chosen.get(token), vocab_size))
                    and chosen[token] >= vocab_size
                ):
                    chosen[token] = None
        try:
            return cls(**chosen)
        except ValueError as error:
            raise ValueError(f"{error} ({where})") from None


class GPT(nn.Module):
    """A decoder-only transformer: ``model(ids)`` gives logits, ``model(ids, targets)`` the loss.

    Shapes: ids [B, T] int64 -> logits [B, T, V], or a scalar.

    >>> import groundup as gu
    >>> gu.manual_seed(0)
    >>> model = gu.lm.GPT(gu.lm.GPTConfig(vocab_size=5, n_positions=8, n_embd=8, n_layer=1, n_head=2))
    >>> model(gu.tensor([[1, 2, 3]])).shape
    (1, 3, 5)
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        C = config.n_embd
        self.wte = nn.Embedding(config.vocab_size, C)
        self.wpe: nn.Module | None = None
        if config.position == "learned":
            self.wpe = nn.LearnedPositions(config.n_positions, C)
        elif config.position == "sinusoidal":
            self.wpe = nn.SinusoidalPositions(C)
        self.drop = nn.Dropout(config.embd_pdrop)
        self.h = nn.ModuleList(
            [
                nn.TransformerBlock(
                    C,
                    config.n_head,
                    config.n_kv_head,
                    config.n_inner,
                    causal=True,
                    norm_eps=config.layer_norm_epsilon,
                    activation=ACTIVATIONS[config.activation_function],
                    dropout=config.resid_pdrop,
                    position=config.position,
                    attn_dropout=config.attn_pdrop,
                )
                for _ in range(config.n_layer)
            ]
        )
        self.ln_f = nn.LayerNorm(C, eps=config.layer_norm_epsilon)
        self.lm_head = nn.Linear(C, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.wte.weight
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """GPT-2's: weights N(0, range²), biases 0; what writes into the residual stream is 1/√(2 layers) smaller."""
        std = self.config.initializer_range
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)
            elif ".ln_" in name or name.startswith("ln_f"):
                nn.init.ones_(p)
            else:
                writes = name.endswith("proj.weight")
                nn.init.normal_(p, std=std / np.sqrt(2 * self.config.n_layer) if writes else std)

    def forward(self, ids: Any, targets: Any = None, cache: list[nn.KVCache] | None = None) -> Any:
        """ids [B, T] -> logits [B, T, V]; with targets [B, T], the mean cross-entropy in nats.

        Targets of −100 do not count.

        Raises:
            ShapeError: ids are not [B, T], or T is more than n_positions.
            IndexError: an id is outside the vocabulary.
        """
        ids = gu.as_tensor(ids)
        if len(ids.shape) != 2:
            raise gu.ShapeError(f"[GPT] ids must be [B, T], but got shape {tuple(ids.shape)}")
        start = cache[0].length if cache else 0
        T = ids.shape[1]
        if start + T > self.config.n_positions:
            raise gu.ShapeError(
                f"[GPT] at most n_positions {self.config.n_positions} tokens fit, but got {start + T}"
            )
        x = self.wte(ids)  # B,T,C
        if self.wpe is not None:
            x = self.wpe(x, start)
        x = self.drop(x)
        for i, block in enumerate(self.h):
            x = block(x, cache=cache[i] if cache else None)
        x = self.ln_f(x)
        logits = self.lm_head(x)  # B,T,V
        if targets is None:
            return logits
        targets = gu.as_tensor(targets)
        if tuple(targets.shape) != tuple(ids.shape):
            raise gu.ShapeError(
                f"[GPT] targets must have the shape {tuple(ids.shape)} of ids, but got {tuple(targets.shape)}"
            )
        return gu.cross_entropy(logits.reshape(-1, self.config.vocab_size), targets.reshape(-1))

    def new_cache(self) -> list[nn.KVCache]:
        """An empty key/value cache a block."""
        return [nn.KVCache() for _ in self.h]

    def generate(
        self,
        ids: Any,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop_token: int | None = None,
    ) -> Any:
        """Continue ``ids`` by up to ``max_new_tokens`` tokens.

        Beyond ``n_positions`` the oldest tokens are forgotten.

        Args:
            ids: [B, T], or [T] for one sequence; a tensor, array or list. The same kind comes back.
            temperature: 0 is greedy.
            seed: the same seed gives the same tokens; None draws from the operating system.
            stop_token: end once every sequence has produced it; it fills what follows.

        Raises:
            ValueError: an option out of range, or no ids.
            IndexError: an id is outside the vocabulary.
        """
        sampling.check(temperature, top_k, top_p)
        if max_new_tokens < 0:
            raise ValueError(f"[generate] max_new_tokens must be >= 0, but got {max_new_tokens}")
        vocab_size = self.config.vocab_size
        if stop_token is not None and not 0 <= stop_token < vocab_size:
            raise ValueError(
                f"[generate] stop_token must be an id below vocab_size {vocab_size}, but got {stop_token}"
            )
        tokens = np.asarray(ids)
        one = tokens.ndim == 1
        tokens = np.atleast_2d(tokens)
        if tokens.ndim != 2 or tokens.size == 0:
            raise ValueError(
                f"[generate] ids must be [B, T] or [T] and not empty, but got shape {np.shape(ids)}"
            )
        if tokens.dtype.kind not in "iu":
            raise gu.DTypeError(f"[generate] ids must be ints, but got {tokens.dtype}")
        tokens = tokens.astype(np.int64)
        rng = np.random.Generator(np.random.Philox(seed))
        done = np.zeros(len(tokens), bool)
        limit = self.config.n_positions
        was_training = self.training
        self.eval()
        try:
            with gu.no_grad():
                cache = self.new_cache()
                for _ in range(max_new_tokens):
                    held = cache[0].length
                    # A full cache starts anew: its tokens' positions would all have to move by one.
                    if held == 0 or held == limit:
                        cache = self.new_cache()
                        # After a restart half of the context is free again, so restarts are rare.
                        new = tokens[:, -limit:] if held == 0 else tokens[:, -max(1, limit // 2) :]
                    else:
                        new = tokens[:, -1:]
                    logits = self.forward(np.ascontiguousarray(new), cache=cache)
                    last = np.asarray(logits)[:, -1]  # B,V
                    chosen = sampling.sample(sampling.probabilities(last, temperature, top_k, top_p), rng)
                    if stop_token is not None:
                        chosen = np.where(done, stop_token, chosen)
                        done |= chosen == stop_token
                    tokens = np.concatenate([tokens, chosen[:, None]], axis=1)
                    if stop_token is not None and done.all():
                        break
        finally:
            self.train(was_training)
        if one:
            tokens = tokens[0]
        if isinstance(ids, list):
            return tokens.tolist()
        return tokens if isinstance(ids, np.ndarray) else gu.tensor(tokens)

    # ------------------------------------------------------------------------------------------------- files

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write ``config.json`` and ``model.safetensors``; an existing folder of this name is replaced, whole.

        Raises:
            OSError: something could not be written; an older folder is unchanged.
        """
        with atomic_folder(folder) as partial:
            self.write_files(partial)

    def write_files(self, folder: Path) -> None:
        """The files of `save_pretrained`, into a folder that exists."""
        state = self.state_dict()
        arrays = {}
        for ours, tensor in tensors_on_disk(self.config).items():
            array = np.asarray(state[ours])
            arrays[tensor.name] = np.ascontiguousarray(array.T) if tensor.transposed else array
        safetensors.save_file(arrays, folder / "model.safetensors", {"format": "pt"})
        write_json(folder / "config.json", self.config.to_dict())

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str]) -> GPT:
        """Read a folder from `save_pretrained` or from ``transformers``.

        Raises:
            FileNotFoundError: a file is missing; names it.
            ValueError: a file is damaged, of another shape or of another kind of model; names file and field.
        """
        path = Path(folder)
        config = GPTConfig.from_dict(
            _require_object(read_json(path / "config.json"), path), str(path / "config.json")
        )
        weights = path / "model.safetensors"
        arrays = safetensors.load_file(weights)
        _check_tensors(config, arrays, str(weights))
        model = cls(config)
        state = {
            ours: arrays[tensor.name].T if tensor.transposed else arrays[tensor.name]
            for ours, tensor in tensors_on_disk(config).items()
        }
        if config.tie_word_embeddings:
            state["lm_head.weight"] = state["wte.weight"]
        model.load_state_dict({name: _as_float(array) for name, array in state.items()})
        return model


class TensorOnDisk(NamedTuple):
    """A parameter as it lies in ``model.safetensors``."""

    name: str
    shape: tuple[int, ...]
    transposed: bool = False  # GPT-2's Conv1D keeps the weight of a linear layer as [in, out]


def tensors_on_disk(config: GPTConfig) -> dict[str, TensorOnDisk]:
    """Our parameter names -> what the file holds: Hugging Face's names and layout, for any configuration."""
    C, D = config.n_embd, config.head_size
    gated = config.activation_function == "swiglu"
    hidden = nn.MLP.inner_size(C, config.n_inner, gated)
    qkv = (config.n_head + 2 * (config.n_kv_head or config.n_head)) * D
    # Linear layers of a block: ours, theirs, inputs, outputs.
    linear = [
        ("attn.qkv", "attn.c_attn", C, qkv),
        ("attn.proj", "attn.c_proj", C, C),
        ("mlp.fc", "mlp.c_fc", C, hidden),
        ("mlp.proj", "mlp.c_proj", hidden, C),
    ]
    if gated:
        linear.append(("mlp.gate", "mlp.gate", C, hidden))

    tensors = {"wte.weight": TensorOnDisk("transformer.wte.weight", (config.vocab_size, C))}
    if config.position == "learned":
        tensors["wpe.weight"] = TensorOnDisk("transformer.wpe.weight", (config.n_positions, C))
    blocks = [f"h.{i}." for i in range(config.n_layer)]
    for block in blocks:
        for ours, theirs, n_in, n_out in linear:
            name = f"transformer.{block}{theirs}"
            tensors[f"{block}{ours}.weight"] = TensorOnDisk(f"{name}.weight", (n_in, n_out), transposed=True)
            tensors[f"{block}{ours}.bias"] = TensorOnDisk(f"{name}.bias", (n_out,))
    for norm in [f"{block}{ln}" for block in blocks for ln in ("ln_1", "ln_2")] + ["ln_f"]:
        for part in ("weight", "bias"):
            tensors[f"{norm}.{part}"] = TensorOnDisk(f"transformer.{norm}.{part}", (C,))
    if not config.tie_word_embeddings:
        tensors["lm_head.weight"] = TensorOnDisk("lm_head.weight", (config.vocab_size, C))
    return tensors


def _check_tensors(config: GPTConfig, arrays: dict[str, Any], where: str) -> None:
    """Bring older files' names up to date, then refuse ``arrays`` that are not what ``config`` describes.

    Nothing large is made before they are known to agree.
    """
    if config.n_layer > len(arrays):
        # Before a list of what is expected is made: a damaged number may be in the billions.
        raise ValueError(
            f"[GPT] {where}: must hold n_layer {config.n_layer} layers, but got {len(arrays)} tensors"
        )
    expected = {tensor.name: tensor.shape for tensor in tensors_on_disk(config).values()}
    # Older files leave the prefix out, and keep the causal mask as a buffer.
    if arrays and not any(name.startswith("transformer.") for name in arrays):
        for name in list(arrays):
            if name != "lm_head.weight":
                arrays["transformer." + name] = arrays.pop(name)
    for name in [n for n in arrays if n.endswith((".attn.bias", ".attn.masked_bias"))]:
        del arrays[name]
    if config.tie_word_embeddings and "lm_head.weight" in arrays:
        del arrays["lm_head.weight"]
    missing = sorted(expected.keys() - arrays.keys())
    unexpected = sorted(arrays.keys() - expected.keys())
    if missing or unexpected:
        raise ValueError(
            f"[GPT] {where}: tensors must be those of its config.json, but missing are {missing[:3]} and "
            f"unexpected {unexpected[:3]} ({len(missing)} and {len(unexpected)} in all)"
        )
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise gu.ShapeError(
                f"[GPT] {where}: {name} must have shape {shape} after config.json, but got {arrays[name].shape}"
            )
        if arrays[name].dtype.kind != "f" and not safetensors.is_bfloat16(arrays[name]):
            raise ValueError(f"[GPT] {where}: {name} must hold floats, but got {arrays[name].dtype}")


def _require_object(value: Any, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"[GPT] {path / 'config.json'}: must be an object, but got {type(value).__name__}")
    return value


def _as_float(array: Any) -> Any:
    """float16 and bfloat16 weights are widened; a model computes in float32."""
    if safetensors.is_bfloat16(array):
        return safetensors.bfloat16_to_float32(array)
    return array.astype(np.float32)

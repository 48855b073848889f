"""``groundup train``: a GPT from a text file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy.typing as npt

from groundup import lm
from groundup.text import BPETokenizer, CharTokenizer, Tokenizer, load, read_text

#: The command's names of what GPTConfig and TrainConfig call otherwise, with the defaults for a laptop.
MODEL = {
    "layers": ("n_layer", 4),
    "heads": ("n_head", 4),
    "channels": ("n_embd", 128),
    "position": ("position", "learned"),
}
TRAIN = {
    "batch": 12, "steps": 2000, "lr": 1e-3, "warmup": 100, "weight_decay": 0.1, "accumulate": 1, "seed": 0,
    "eval_every": 250, "save_every": 500,
}  # fmt: skip

VOCAB = 2048


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``groundup train``."""
    # A resumed run takes what is not given from its checkpoint, so the parser must see what was given.
    parser.formatter_class = argparse.HelpFormatter

    def number(flag: str, kind: type, default: Any, text: str) -> None:
        parser.add_argument(f"--{flag}", type=kind, metavar="N", help=f"{text} (default: {default})")

    parser.add_argument("--text", type=Path, required=True, metavar="FILE", help="the text to learn, UTF-8")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the run's folder; a model folder, too"
    )
    parser.add_argument(
        "--tokenizer",
        metavar="KIND",
        help="char: a token a character; bpe: learn tokens of several characters from the training part; or the "
        "file or folder of a tokenizer (default: char)",
    )
    number("vocab", int, VOCAB, "tokens that bpe learns, the 256 bytes included")
    number("layers", int, MODEL["layers"][1], "transformer blocks")
    number("heads", int, MODEL["heads"][1], "attention heads; must divide --channels")
    number("channels", int, MODEL["channels"][1], "width of the model")
    number("context", int, 64, "tokens the model sees at once")
    parser.add_argument(
        "--position",
        choices=["learned", "sinusoidal", "rotary", "alibi", "none"],
        help="position scheme (default: learned)",
    )
    number("dropout", float, 0.0, "share of activations dropped in training")
    number("batch", int, TRAIN["batch"], "windows a batch")
    number("accumulate", int, TRAIN["accumulate"], "batches a step")
    number("steps", int, TRAIN["steps"], "optimizer steps")
    number("lr", float, TRAIN["lr"], "largest learning rate")
    number("warmup", int, TRAIN["warmup"], "steps until the learning rate is reached")
    number("weight-decay", float, TRAIN["weight_decay"], "AdamW's weight decay")
    number("seed", int, TRAIN["seed"], "seed of everything random")
    number("eval-every", int, TRAIN["eval_every"], "steps between evaluations")
    number("save-every", int, TRAIN["save_every"], "steps between checkpoints")
    number("val-fraction", float, 0.1, "share of the text, at its end, that is kept for validation")
    parser.add_argument(
        "--resume", action="store_true", help="continue the run in --out from its last checkpoint"
    )
    parser.add_argument("--overwrite", action="store_true", help="begin anew although --out holds a run")


def split_text(text: str, val_fraction: float, context: int) -> tuple[str, str]:
    """The first part for training, the last for validation; both must be longer than the context."""
    if not 0 < val_fraction < 1:
        raise ValueError(f"[train] val-fraction must be between 0 and 1, but got {val_fraction}")
    if not text:
        raise ValueError("[train] the text is empty")
    cut = len(text) - int(len(text) * val_fraction)
    parts = text[:cut], text[cut:]
    for name, part in zip(("training", "validation"), parts, strict=True):
        if len(part) <= context:
            raise ValueError(
                f"[train] the {name} part must be longer than the context {context}, but has {len(part)} of the "
                f"text's {len(text)} characters"
            )
    return parts


def run(args: argparse.Namespace) -> int:
    """Train; write the run folder; say what came of it."""
    if args.resume and args.overwrite:
        raise ValueError("[train] --resume and --overwrite exclude each other")
    before = lm.run_settings(args.out) if args.resume else None

    def setting(name: str, group: str, field: str, default: Any) -> Any:
        given = getattr(args, name)
        if given is not None:
            return given
        return before[group].get(field, default) if before else default

    text = read_text(args.text)
    context = setting("context", "model", "n_positions", 64)
    dropout = setting("dropout", "model", "resid_pdrop", 0.0)
    val_fraction = 0.1 if args.val_fraction is None else args.val_fraction
    if context < 1:
        raise ValueError(f"[train] context must be at least 1, but got {context}")
    train_text, val_text = split_text(text, val_fraction, context)
    resumed = args.out if before else None
    tokenizer = make_tokenizer(args.tokenizer, args.vocab, text, train_text, resumed)
    model_config = lm.GPTConfig(
        vocab_size=tokenizer.vocab_size,
        n_positions=context,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
        **{field: setting(name, "model", field, default) for name, (field, default) in MODEL.items()},
    )
    train_config = lm.TrainConfig(**{
        name: setting(name, "train", name, default) for name, default in TRAIN.items()
    })  # fmt: skip
    train(args.out, tokenizer, train_text, val_text, model_config, train_config, args.resume, args.overwrite)
    print(f"model in {args.out}; try: groundup generate {args.out} --prompt 'The '")
    return 0


def make_tokenizer(
    kind: str | None, vocab: int | None, text: str, train_text: str, resumed: Path | None = None
) -> Tokenizer:
    """The tokenizer that was asked for; what is not given is that of the run in ``resumed``."""
    if kind is None and resumed is not None:
        before = load(resumed / "tokenizer.json")
        if isinstance(before, CharTokenizer):
            kind = "char"
        elif vocab in (None, before.vocab_size):
            return before
        else:
            kind = "bpe"
    if kind in (None, "char"):
        if vocab is not None:
            raise ValueError(
                "[train] --vocab is for --tokenizer bpe; characters are as many as the text holds"
            )
        return CharTokenizer.train(text)
    if kind == "bpe":
        # Not from the validation part: its words would come out as fewer tokens than unseen text has.
        return BPETokenizer.train(train_text, VOCAB if vocab is None else vocab)
    if vocab is not None:
        raise ValueError(f"[train] --vocab is for --tokenizer bpe; {kind} brings its own")
    assert kind is not None
    if not Path(kind).exists():
        raise ValueError(f"[train] --tokenizer must be char, bpe, or a file or folder, but got {kind!r}")
    return load(kind)


def encode(tokenizer: Tokenizer, text: str) -> npt.NDArray[Any]:
    """All of a text as ids; nothing in it is special."""
    return tokenizer.encode_to_numpy(text, disallowed_special=())


def train(
    folder: Path, tokenizer: Tokenizer, train_text: str, val_text: str, model_config: lm.GPTConfig,
    train_config: lm.TrainConfig, resume: bool = False, overwrite: bool = False,
) -> float:  # fmt: skip
    """Make, train and report a model; its validation loss in nats a token."""
    import groundup as gu

    gu.manual_seed(train_config.seed)
    model = lm.GPT(model_config)
    train_ids, val_ids = encode(tokenizer, train_text), encode(tokenizer, val_text)
    for name, ids in (("training", train_ids), ("validation", val_ids)):
        if len(ids) <= model_config.n_positions:
            raise ValueError(
                f"[train] the {name} part must be longer than the context {model_config.n_positions}, but has "
                f"{len(ids)} tokens"
            )
    trainer = lm.Trainer(
        model, train_ids, val_ids, folder, train_config, tokenizer, resume=resume, overwrite=overwrite
    )
    tokens = train_config.batch * train_config.accumulate * model_config.n_positions
    print(
        f"{model.num_parameters():,} parameters, {len(train_text):,} characters to learn, {tokens:,} tokens a step, "
        f"vocabulary {tokenizer.vocab_size:,}, {gu.num_threads()} threads, backend {gu.config()['backend']}",
        flush=True,
    )
    if trainer.step:
        print(f"resuming after step {trainer.step}")

    def report(record: dict[str, Any]) -> None:
        if "val_loss" in record:
            line = f"step {record['step']:6}  loss {record['loss']:.4f}  validation {record['val_loss']:.4f}"
            print(f"{line}  {record['seconds'] * 1000:.1f} ms a step", flush=True)

    records = trainer.run(report)
    nats = float(records[-1]["val_loss"])
    # The first token is read, not predicted.
    n_bytes = len(val_text.encode("utf-8")) - len(tokenizer.decode_bytes(val_ids[:1]))
    bits = lm.bits_per_byte(nats, tokens=len(val_ids) - 1, n_bytes=n_bytes)
    print(
        f"validation: {nats:.4f} nats a token, perplexity {lm.perplexity(nats):.2f}, {bits:.3f} bits a byte"
    )
    if not (folder / "loss.png").exists():
        print('for a picture of the losses: pip install "groundup[plot]"')
    return nats

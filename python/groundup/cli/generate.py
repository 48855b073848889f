"""``groundup generate``: let a trained model write."""

from __future__ import annotations

import argparse
from pathlib import Path

from groundup import lm
from groundup.cli.train import encode
from groundup.text import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``groundup generate``."""
    parser.add_argument(
        "folder", metavar="DIR", type=Path, help="a model folder, such as --out of groundup train"
    )
    parser.add_argument("--prompt", default="\n", help="the text to continue")
    parser.add_argument("--max-tokens", type=int, default=300, metavar="N", help="tokens to write")
    parser.add_argument(
        "--temperature", type=float, default=0.8, metavar="X", help="0 is greedy, 1 the model's own"
    )
    parser.add_argument("--top-k", type=int, metavar="N", help="choose among the N likeliest tokens only")
    parser.add_argument(
        "--top-p", type=float, metavar="X", help="choose among the likeliest that hold this probability"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed writes the same text")


def write(folder: Path, prompt: str, max_tokens: int, **options: float | None) -> str:
    """The prompt and what the model makes of it."""
    if not prompt:
        raise ValueError("[generate] the prompt must not be empty")
    if not folder.is_dir():
        raise FileNotFoundError(f"[generate] {folder} is no folder; train a model with: groundup train")
    model = lm.GPT.from_pretrained(folder)
    tokenizer = load(folder / "tokenizer.json")
    if tokenizer.vocab_size != model.config.vocab_size:
        raise ValueError(
            f"[generate] {folder}: tokenizer.json and config.json must agree on the vocabulary, but got "
            f"{tokenizer.vocab_size} and {model.config.vocab_size} tokens"
        )
    ids = model.generate(encode(tokenizer, prompt), max_tokens, **options)  # type: ignore[arg-type]
    return tokenizer.decode(ids)


def run(args: argparse.Namespace) -> int:
    """Print the prompt and its continuation."""
    print(
        write(
            args.folder, args.prompt, args.max_tokens, temperature=args.temperature, top_k=args.top_k,
            top_p=args.top_p, seed=args.seed,
        )
    )  # fmt: skip
    return 0

"""``groundup demo``: train a GPT on the prose of the user's own Python, judge it, read it, measure what ran."""

from __future__ import annotations

import argparse
from pathlib import Path

import groundup as gu
from groundup import lm
from groundup.cli.generate import write
from groundup.cli.train import split_text, train
from groundup.data import stdlib_text
from groundup.text import CharTokenizer

#: About three minutes on two cores, and the longer run that README documents.
SHORT = {"steps": 3500, "batch": 12, "n_positions": 128, "lr": 3e-3}
LONG = {"steps": 14000, "batch": 12, "n_positions": 128, "lr": 3e-3}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``groundup demo``."""
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), metavar="DIR", help="the demo's folder; replaced"
    )
    parser.add_argument(
        "--long", action="store_true", help="the longer run, about twelve minutes, which beats the 6-gram too"
    )
    parser.add_argument("--steps", type=int, metavar="N", help="another number of optimizer steps")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of everything random")
    parser.add_argument("--no-bench", action="store_true", help="leave the table of ops out")


def run(args: argparse.Namespace) -> int:
    """The whole demo."""
    facts = gu.config()
    print(
        f"groundup {facts['groundup']}: level {facts['isa']}, {facts['threads']} threads, {facts['blas']}\n"
    )

    corpus = stdlib_text()
    print(
        f"1. The text: {len(corpus):,} characters of prose, the documentation of your own Python {corpus.python}\n"
        f"   (sha256 {corpus.sha256[:16]}…)"
    )
    size = LONG if args.long else SHORT
    train_text, val_text = split_text(corpus.text, 0.1, int(size["n_positions"]))
    tokenizer = CharTokenizer.train(corpus.text)

    print("\n2. What to beat: n-grams that count characters, on the same split")
    bars = {}
    train_ids, val_ids = tokenizer.encode_to_numpy(train_text), tokenizer.encode_to_numpy(val_text)
    for order in (4, 6):
        bars[order] = lm.NGram(order).fit(train_ids, tokenizer.vocab_size).nll(val_ids)
        print(f"   interpolated {order}-gram: {bars[order]:.4f} nats a character", flush=True)

    print("\n3. The GPT: our C++ core trains it")
    model = lm.GPTConfig(
        vocab_size=tokenizer.vocab_size, n_positions=int(size["n_positions"]), n_embd=128, n_layer=4, n_head=4
    )
    settings = lm.TrainConfig(
        steps=args.steps or int(size["steps"]), batch=int(size["batch"]), lr=size["lr"], seed=args.seed
    )
    nats = train(args.out, tokenizer, train_text, val_text, model, settings, overwrite=True)

    print("\n4. The verdict, in nats a character on text that none of them has seen")
    for order, bar in bars.items():
        verdict = "beaten" if nats < bar else "not beaten"
        print(f"   {order}-gram {bar:.4f}, GPT {nats:.4f}: {verdict} by {abs(bar - nats):.4f}")
    if nats >= bars[6] and not args.long:
        print("   The 6-gram wants a longer run: groundup demo --long")

    print("\n5. What it writes\n")
    print(write(args.out, "The function returns ", 500, temperature=0.7, seed=1))

    if not args.no_bench:
        from groundup.bench import ops

        print("\n6. Every op against the NumPy that explains it\n")
        print(ops.table(ops.run()))
    picture = args.out / "loss.png"
    where = f"{args.out}, the curves in {picture}" if picture.exists() else args.out
    print(f"\nThe model is in {where}\nGo on: groundup generate {args.out} --prompt 'A list is '")
    return 0

"""``groundup tokenize train | encode | show``: learn a vocabulary, turn text into ids, look at tokens."""

from __future__ import annotations

import argparse
import html
import sys
from pathlib import Path
from typing import Any

from groundup.text import BPETokenizer, Tokenizer, UnigramTokenizer, WordPieceTokenizer, load, statistics
from groundup.text.trace import MOST


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``groundup tokenize``."""
    parser.epilog = (
        "for example: groundup tokenize train book.txt --vocab 4096 --out tokenizer.json; "
        "groundup tokenize show tokenizer.json 'The lowest tide' --trace"
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)

    def action(name: str, summary: str) -> argparse.ArgumentParser:
        return actions.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )

    train = action("train", "learn a byte-pair vocabulary from text files")
    train.add_argument("files", nargs="+", type=Path, metavar="FILE", help="text to learn from, of any size")
    train.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="where the tokenizer goes; a tokenizer.json"
    )
    train.add_argument(
        "--vocab", type=int, default=4096, metavar="N", help="tokens to have, the 256 bytes included"
    )
    train.add_argument(
        "--pattern", default="gpt2", metavar="NAME",
        help="how text is cut into words first: gpt2, cl100k, o200k, whitespace, none, or a regular expression",
    )  # fmt: skip
    train.add_argument(
        "--special", action="append", default=[], metavar="TOKEN",
        help="a token that is no text, such as '<|endoftext|>'; may be repeated",
    )  # fmt: skip
    train.add_argument(
        "--min-frequency", type=int, default=0, metavar="N", help="do not merge what occurs less often"
    )
    train.add_argument(
        "--tie-break", choices=["huggingface", "minbpe", "rustbpe"], default="huggingface",
        help="which of equally frequent pairs goes first: as in this library",
    )  # fmt: skip
    train.add_argument("--overwrite", action="store_true", help="replace --out if it is there")

    encode = action("encode", "print the ids of a text, or write those of a file")
    show = action("show", "print a text cut into its tokens")
    for sub in (encode, show):
        sub.add_argument(
            "tokenizer",
            type=Path,
            metavar="TOKENIZER",
            help="a tokenizer.json, a .tiktoken file, or a folder",
        )
        sub.add_argument(
            "text", nargs="?", metavar="TEXT", help="the text; without it, what comes in by a pipe"
        )
        sub.add_argument("--file", type=Path, metavar="FILE", help="take the text from this file instead")
        sub.add_argument(
            "--allow-special",
            action="store_true",
            help="special tokens in the text are tokens, not plain text",
        )
    encode.add_argument(
        "--out", type=Path, metavar="FILE",
        help="write the ids of --file to this .npy or .bin file, which may exceed memory",
    )  # fmt: skip
    show.add_argument(
        "--trace", action="store_true", help="show every step: merges, longest matches or spellings"
    )
    show.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page that needs nothing else instead"
    )


def run(args: argparse.Namespace) -> int:
    """Do what was asked."""
    return {"train": _train, "encode": _encode, "show": _show}[args.action](args)


def _train(args: argparse.Namespace) -> int:
    if args.out.exists() and not args.overwrite:
        raise FileExistsError(f"[tokenize] {args.out} exists; pass --overwrite to replace it")
    if not args.out.parent.is_dir():
        raise FileNotFoundError(f"[tokenize] the folder of --out, {args.out.parent}, does not exist")
    tokenizer = BPETokenizer.train_from_files(
        args.files, args.vocab, pattern=args.pattern, special_tokens=args.special,
        min_frequency=args.min_frequency, tie_break=args.tie_break,
    )  # fmt: skip
    tokenizer.save(args.out)
    n_bytes = sum(file.stat().st_size for file in args.files)
    print(f"{tokenizer.vocab_size:,} tokens learned from {n_bytes:,} bytes, in {args.out}")
    if tokenizer.vocab_size < args.vocab:
        print(f"the text holds no more pairs to merge, so there are fewer than the {args.vocab:,} asked for")
    with args.files[0].open("rb") as f:
        sample = f.read(1_000_000).decode("utf-8", "ignore")
    row = statistics.measure(tokenizer, {args.files[0].name: sample}).texts[0]
    print(f"{row.name}: {row.bytes_per_token:.2f} bytes a token, {row.fertility:.2f} tokens a word")
    print(f"look at them: groundup tokenize show {args.out} 'Some text' --trace")
    return 0


def _tokenizer(path: Path) -> Tokenizer:
    if not path.exists():
        raise FileNotFoundError(
            f"[tokenize] {path} does not exist; learn one with: groundup tokenize train FILE --out {path}"
        )
    return load(path)


def _text(args: argparse.Namespace) -> bytes:
    if args.file is not None:
        if args.text is not None:
            raise ValueError("[tokenize] give a text or --file, not both")
        data: bytes = args.file.read_bytes()
        return data
    if args.text is not None:
        return args.text.encode("utf-8", "surrogateescape")  # type: ignore[no-any-return]
    if sys.stdin.isatty():
        raise ValueError("[tokenize] there is no text: give one, or --file FILE, or send one through a pipe")
    return sys.stdin.buffer.read()


def _special(args: argparse.Namespace) -> dict[str, Any]:
    return {"allowed_special": "all" if args.allow_special else (), "disallowed_special": ()}


def _encode(args: argparse.Namespace) -> int:
    tokenizer = _tokenizer(args.tokenizer)
    if args.out is not None:
        if args.file is None:
            raise ValueError("[tokenize] --out is for the ids of a file: pass --file as well")
        count = tokenizer.encode_file(args.file, args.out, **_special(args))
        n_bytes = args.file.stat().st_size
        print(f"{count:,} ids of {n_bytes:,} bytes, in {args.out}; read them with gu.data.TokenStream")
        return 0
    text = _text(args)
    print(" ".join(map(str, tokenizer.encode(text, **_special(args)))))
    return 0


def _trace(tokenizer: Tokenizer, text: bytes, args: argparse.Namespace) -> Any:
    """Merges of byte-pair encoding, longest matches of WordPiece, most probable spellings of Unigram."""
    if isinstance(tokenizer, BPETokenizer):
        return tokenizer.trace(text, **_special(args))
    if not isinstance(tokenizer, WordPieceTokenizer | UnigramTokenizer):
        raise ValueError(
            "[tokenize] --trace is for byte-pair encoding, WordPiece and Unigram, but got a "
            f"{type(tokenizer).__name__}"
        )
    if len(text) > MOST:
        raise ValueError(f"[tokenize] text to trace must hold at most {MOST:,} bytes, but got {len(text):,}")
    return tokenizer.trace(text.decode("utf-8", "replace"))


def _show(args: argparse.Namespace) -> int:
    tokenizer = _tokenizer(args.tokenizer)
    text = _text(args)
    if args.trace:
        shown: Any = _trace(tokenizer, text, args)
    else:
        shown = tokenizer.show(text, **_special(args))
    if args.html is None:
        print(shown)
        return 0
    from groundup.files import write_text

    body = shown._repr_html_() if hasattr(shown, "_repr_html_") else f"<pre>{html.escape(str(shown))}</pre>"
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Tokens</title>'
        '<meta name="color-scheme" content="light dark"></head>'
        f'<body style="font-family:sans-serif;margin:2em">{body}</body></html>\n'
    )
    write_text(args.html, page)
    print(f"{getattr(shown, 'summary', 'every step')}, in {args.html}")
    return 0

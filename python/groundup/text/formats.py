"""The files that hold tokenizers: read with care, each error naming the file and the line or the field.

| format | read by |
| --- | --- |
| Hugging Face ``tokenizer.json`` | `read_bpe_json` for a byte-level BPE; `load` looks which tokenizer it is |
| tiktoken's rank files | `read_tiktoken` |
| GPT-2's ``encoder.json`` and ``vocab.bpe`` | `read_gpt2` |
| the others' files | their classes, with the helpers of `groundup.text.hf` |
"""

from __future__ import annotations

import binascii
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundup.files import read_json
from groundup.text import byte_level, normalize
from groundup.text.patterns import PATTERNS

if TYPE_CHECKING:
    from groundup.text.tokenizer import Tokenizer

#: JSON values a tokenizer file may hold: ids and merges of a vocabulary of a million tokens.
_MAX_VALUES = 8_000_000
_PATTERN_OF = {"r50k": "gpt2", "p50k": "gpt2", "gpt2": "gpt2", "cl100k": "cl100k", "o200k": "o200k"}
# Ids that a file may leave out: what is allocated stays in proportion to the file.
_GAPS = 1 << 16


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:60] + "…"


# ---------------------------------------------------------------------------------------------------- tiktoken


def read_tiktoken(path: str | os.PathLike[str]) -> list[bytes | None]:
    """The tokens of a ``.tiktoken`` file by rank."""
    where = os.fspath(path)

    def fail(line: int, expected: str, got: object) -> ValueError:
        return ValueError(f"[from_tiktoken] {where} line {line}: {expected}, but got {_short(got)}")

    ranks: dict[bytes, int] = {}
    lines: dict[int, int] = {}  # of each rank, for messages
    for number, line in enumerate(Path(path).read_bytes().splitlines(), 1):
        if not line:
            continue
        encoded, _, rank_text = line.partition(b" ")
        try:
            token = binascii.a2b_base64(encoded, strict_mode=True)
        except binascii.Error:
            raise fail(number, "must begin with a token in base64", line) from None
        if not token or not rank_text.isdigit() or len(rank_text) > 10:
            raise fail(number, "must be a token in base64, a space and a rank", line)
        rank = int(rank_text)
        if token in ranks:
            raise fail(
                number, f"tokens must differ, and that of line {lines[ranks[token]]} is the same", line
            )
        if rank in lines:
            raise fail(number, f"ranks must differ, and that of line {lines[rank]} is the same", line)
        ranks[token] = rank
        lines[rank] = number
    if missing := [byte for byte in range(256) if bytes([byte]) not in ranks]:
        raise ValueError(
            f"[from_tiktoken] {where}: must hold every single byte, but byte 0x{missing[0]:02x} is missing"
        )
    highest = max(lines)
    if highest >= 2 * len(ranks) + _GAPS:
        raise fail(
            lines[highest], f"ranks must lie below {2 * len(ranks) + _GAPS} in so short a file", highest
        )
    vocab: list[bytes | None] = [None] * (highest + 1)
    for token, rank in ranks.items():
        vocab[rank] = token
    return vocab


def tiktoken_lines(vocab: Sequence[bytes | None]) -> bytes:
    """The content of a ``.tiktoken`` file."""
    return b"".join(
        b"%s %d\n" % (binascii.b2a_base64(token, newline=False), rank)
        for rank, token in enumerate(vocab)
        if token is not None
    )


def pattern_by_name(path: str | os.PathLike[str]) -> str:
    """The pattern of OpenAI's rank files, by the file's name."""
    name = Path(path).name
    for part, pattern in (
        ("r50k", "gpt2"),
        ("p50k", "gpt2"),
        ("gpt2", "gpt2"),
        ("cl100k", "cl100k"),
        ("o200k", "o200k"),
    ):
        if part in name:
            return pattern
    raise ValueError(
        f"[from_tiktoken] {os.fspath(path)}: the name must tell the pattern, or pass it: one of {', '.join(PATTERNS)}"
    )


# ------------------------------------------------------------------------------------------------------- GPT-2


def _vocab_by_id(
    vocab: object, skip: set[int], fail: Any
) -> tuple[list[bytes | None], dict[str, int], dict[str, int]]:
    """Tokens by id out of a JSON object; their ids by text; and the texts that no bytes can be, with their ids."""
    if not isinstance(vocab, dict) or not vocab:
        raise fail("vocab must be an object that is not empty", vocab)
    ids: dict[str, int] = {}
    by_id: dict[int, str] = {}
    limit = 2 * len(vocab) + _GAPS
    for text, id_ in vocab.items():
        if type(id_) is not int or not 0 <= id_ < limit:
            raise fail(f"ids must be integers from 0 to {limit - 1}", {text: id_})
        if id_ in by_id:
            raise fail("ids must differ", {by_id[id_]: id_, text: id_})
        by_id[id_] = text
        ids[text] = id_
    tokens: list[bytes | None] = [None] * (max(by_id) + 1)
    others: dict[str, int] = {}
    for text, id_ in ids.items():
        if id_ in skip:
            continue
        token = byte_level.to_bytes(text)
        if token:
            tokens[id_] = token
        else:
            others[text] = id_
    return tokens, ids, others


def _pair(entry: object, ids: dict[str, int], fail: Any) -> tuple[int, int]:
    """A merge, as two texts or as one with a space between, as ids."""
    parts = entry.split(" ") if isinstance(entry, str) else entry
    if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(p, str) and p for p in parts):
        raise fail("must be two tokens", entry)
    left, right = parts
    for part in (left, right, left + right):
        if part not in ids:
            raise fail(f"must be of tokens and make one, and {_short(part)} is none", entry)
    return ids[left], ids[right]


def read_gpt2(
    encoder_json: str | os.PathLike[str], vocab_bpe: str | os.PathLike[str]
) -> tuple[list[bytes | None], list[tuple[int, int]], dict[str, int]]:
    """Tokens by id, merges, and the tokens that no merge makes, which are special."""
    where, where_merges = os.fspath(encoder_json), os.fspath(vocab_bpe)

    def fail(expected: str, got: object) -> ValueError:
        return ValueError(f"[from_gpt2] {where}: {expected}, but got {_short(got)}")

    content = read_json(encoder_json, max_values=_MAX_VALUES)
    vocab, ids, others = _vocab_by_id(content, set(), fail)
    try:
        text = Path(vocab_bpe).read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"[from_gpt2] {where_merges}: must be UTF-8, but is not at byte {error.start}"
        ) from None
    merges: list[tuple[int, int]] = []
    lines: dict[tuple[int, int], int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if not line or (number == 1 and line.startswith("#version")):
            continue

        def fail_line(expected: str, got: object, number: int = number) -> ValueError:
            return ValueError(f"[from_gpt2] {where_merges} line {number}: {expected}, but got {_short(got)}")

        pair = _pair(line, ids, fail_line)
        if pair in lines:
            raise fail_line(f"merges must differ, and that of line {lines[pair]} is the same", line)
        lines[pair] = number
        merges.append(pair)
    made = {vocab[a] + vocab[b] for a, b in merges}  # type: ignore[operator]
    special = dict(others)
    for id_, token in enumerate(vocab):
        if token is not None and len(token) > 1 and token not in made:
            special[token.decode("utf-8", "replace")] = id_
            vocab[id_] = None
    return vocab, merges, special


# ----------------------------------------------------------------------------------------------- tokenizer.json


def read_bpe_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The arguments of a `BPETokenizer` out of a ``tokenizer.json``."""
    where = os.fspath(path)

    def fail(expected: str, got: object) -> ValueError:
        return ValueError(f"[from_file] {where}: {expected}, but got {_short(got)}")

    content = read_json(path, max_values=_MAX_VALUES)
    if not isinstance(content, dict):
        raise fail("must be an object", content)
    model = content.get("model")
    if not isinstance(model, dict):
        raise fail("model must be an object", model)
    if model.get("type", "BPE") != "BPE":
        raise fail("model.type must be 'BPE'", model["type"])
    for field in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(field):
            raise fail(f"model.{field} must be empty in a byte-level BPE", model[field])
    if model.get("byte_fallback"):
        raise fail("model.byte_fallback must be false in a byte-level BPE", True)
    if model.get("dropout"):
        raise fail("model.dropout must be null, as encode always gives the same ids", model["dropout"])
    whole_pieces = model.get("ignore_merges", False)
    if not isinstance(whole_pieces, bool):
        raise fail("model.ignore_merges must be true or false", whole_pieces)
    added = _added_tokens(content.get("added_tokens") or [], fail)
    tokens, ids, others = _vocab_by_id(model.get("vocab"), {token["id"] for token in added}, fail)
    for text, id_ in others.items():
        raise fail("model.vocab must be of byte-level tokens", {text: id_})
    merges = model.get("merges")
    if not isinstance(merges, list):
        raise fail("model.merges must be a list", merges)
    pairs = []
    for i, entry in enumerate(merges):
        pairs.append(_pair(entry, ids, lambda e, g, i=i: fail(f"model.merges[{i}] {e}", g)))
    patterns, add_prefix_space = _pre_tokenizer(content.get("pre_tokenizer"), fail)
    post_processor = content.get("post_processor")
    if post_processor is not None and not isinstance(post_processor, dict):
        raise fail("post_processor must be an object or null", post_processor)
    try:
        normalizer = normalize.from_dict(content.get("normalizer"))
    except ValueError as error:
        raise ValueError(f"{error} (in {where})") from None
    return {
        "vocab": tokens,
        "merges": pairs,
        "pattern": patterns[0] if len(patterns) == 1 else patterns,
        "added_tokens": added,
        "whole_pieces": whole_pieces,
        "normalizer": normalizer,
        "add_prefix_space": add_prefix_space,
        "post_processor": post_processor,
    }


def _added_tokens(entries: object, fail: Any) -> list[dict[str, Any]]:
    """The arguments of each `AddedToken`."""
    if not isinstance(entries, list):
        raise fail("added_tokens must be a list", entries)
    result = []
    for i, entry in enumerate(entries):
        field = f"added_tokens[{i}]"
        if not isinstance(entry, dict):
            raise fail(f"{field} must be an object", entry)
        text, id_ = entry.get("content"), entry.get("id")
        if not isinstance(text, str) or not text or re.search("[\ud800-\udfff]", text):
            raise fail(f"{field}.content must be a text", text)
        if type(id_) is not int or id_ < 0:
            raise fail(f"{field}.id must be an id", id_)
        flags = {}
        for flag in ("special", "lstrip", "rstrip", "single_word", "normalized"):
            value = entry.get(flag, False)
            if not isinstance(value, bool):
                raise fail(f"{field}.{flag} must be true or false", value)
            flags[flag] = value
        result.append({"text": text, "id": id_, **flags})
    return result


def _pre_tokenizer(content: object, fail: Any) -> tuple[list[str], bool]:
    """The patterns that cut a text one after the other, and whether it gets a space in front."""
    steps = (
        content.get("pretokenizers")
        if isinstance(content, dict) and content.get("type") == "Sequence"
        else [content]
    )
    if not isinstance(steps, list) or not steps or not all(isinstance(step, dict) for step in steps):
        raise fail("pre_tokenizer must be ByteLevel, or a Sequence that ends in it", content)
    patterns: list[str] = []
    for i, step in enumerate(steps):
        if step.get("type") == "ByteLevel" and i == len(steps) - 1:
            prefix, use_regex = step.get("add_prefix_space", True), step.get("use_regex", True)
            if not isinstance(prefix, bool) or not isinstance(use_regex, bool):
                raise fail("pre_tokenizer's add_prefix_space and use_regex must be true or false", step)
            if prefix and patterns:
                raise fail("pre_tokenizer may add a space only where ByteLevel stands alone", content)
            if use_regex:
                patterns.append(PATTERNS["gpt2"])
            return patterns or ["none"], prefix
        if step.get("type") == "Digits" and step.get("individual_digits") is True:
            patterns.append(r"\p{N}")
            continue
        pattern = step.get("pattern")
        if step.get("type") != "Split" or not isinstance(pattern, dict) or len(pattern) != 1:
            raise fail("pre_tokenizer must be made of Split and ByteLevel", step)
        kind, text = next(iter(pattern.items()))
        if kind not in ("Regex", "String") or not isinstance(text, str) or not text:
            raise fail("pre_tokenizer's pattern must be a Regex or a String", pattern)
        behavior, invert = step.get("behavior"), step.get("invert", False)
        # What is between the matches of these is a piece as well; removing the rest of everything is the same.
        if (behavior, invert) not in (("Isolated", False), ("Isolated", True), ("Removed", True)):
            raise fail("pre_tokenizer's Split must isolate what it matches", step)
        patterns.append(text if kind == "Regex" else re.escape(text))
    raise fail("pre_tokenizer must end in ByteLevel", content)


# -------------------------------------------------------------------------------------------------------- load


def load(path: str | os.PathLike[str]) -> Tokenizer:
    """A tokenizer from a file or a folder of any of the formats.

    A file is a ``tokenizer.json``, a ``.tiktoken``, BERT's ``vocab.txt``, or llama2.c's ``tokenizer.bin``.
    A folder may hold ``tokenizer.json``, a ``.tiktoken`` file, or ``vocab.json``/``encoder.json`` with
    ``merges.txt``/``vocab.bpe``.

    Raises:
        OSError: the file cannot be read.
        ValueError: what is there is no tokenizer, or damaged; names the file.
    """
    from groundup.text.bpe import BPETokenizer

    path = Path(path)
    if path.is_dir():
        if (path / "tokenizer.json").exists():
            return load(path / "tokenizer.json")
        for vocab, merges in (("encoder.json", "vocab.bpe"), ("vocab.json", "merges.txt")):
            if (path / vocab).exists() and (path / merges).exists():
                return BPETokenizer.from_gpt2(path / vocab, path / merges)
        ranks = sorted(path.glob("*.tiktoken"))
        if len(ranks) == 1:
            return BPETokenizer.from_tiktoken(ranks[0])
        raise ValueError(
            f"[load] {path}: must hold tokenizer.json, one .tiktoken file, or vocab.json and merges.txt, but does not"
        )
    if path.suffix == ".tiktoken":
        return BPETokenizer.from_tiktoken(path)
    from groundup.text.char import CharTokenizer
    from groundup.text.sentencepiece_bpe import SentencePieceBPETokenizer
    from groundup.text.unigram import UnigramTokenizer
    from groundup.text.word import WordTokenizer
    from groundup.text.wordpiece import WordPieceTokenizer

    if path.suffix == ".bin":
        return SentencePieceBPETokenizer.from_llama2c(path)
    if path.suffix == ".txt":
        return WordPieceTokenizer.from_vocab(path)
    content = read_json(path, max_values=_MAX_VALUES)
    model = content.get("model") if isinstance(content, dict) else None
    kind = model.get("type", "BPE") if isinstance(model, dict) else None
    if kind == "WordPiece":
        return WordPieceTokenizer.from_file(path)
    if kind == "Unigram":
        return UnigramTokenizer.from_file(path)
    if kind == "WordLevel":
        splitter = content.get("pre_tokenizer")
        by_character = isinstance(splitter, dict) and splitter.get("type") == "Split"
        return CharTokenizer.load(path) if by_character else WordTokenizer.from_file(path)
    if isinstance(model, dict) and model.get("byte_fallback"):
        return SentencePieceBPETokenizer.from_file(path)
    return BPETokenizer.from_file(path)  # or its error

"""Fuzzing of tokenizers' loaders, encoders and decoders: what is read from outside never crashes, hangs or lies.

The suite runs a short, fixed part. For longer, with coverage as the guide if ``atheris`` is there:

    python tests/fuzz/test_fuzz_text_models.py unigram 300      # a target, seconds

Each target takes bytes and may end in two ways: silently, or in a ValueError that names the file.
"""

from __future__ import annotations

import copy
import json
import random
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundup.text import (
    CharTokenizer,
    SentencePieceBPETokenizer,
    Tokenizer,
    UnigramTokenizer,
    WordPieceTokenizer,
    WordTokenizer,
)
from groundup.text import normalize as nm

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
PIECES = ["<unk>", "<s>", "</s>", *BYTES, "▁", "a", "b", "▁a", "ab", "é", "日", "▁▁", "aba"]
SAMPLE = "Ab é 日本 ☃\x00\u0301 ab<s>aba  [CLS]."

TOKENIZERS: dict[str, Tokenizer] = {
    "wordpiece": WordPieceTokenizer(["[UNK]", "[CLS]", "[SEP]", "a", "b", "##b", "ab", "é", "日", "."]),
    "unigram": UnigramTokenizer(
        [(piece, -float(i % 7)) for i, piece in enumerate(PIECES)],
        byte_fallback=True,
        normalizer=nm.Sequence([nm.NFKC(), nm.Lowercase(), nm.Strip(), nm.Replace("é", "e")]),
        special_tokens=["<unk>", "<s>"],
    ),
    "sentencepiece": SentencePieceBPETokenizer(
        {piece: i for i, piece in enumerate(PIECES)},
        scores={piece: -float(i) for i, piece in enumerate(PIECES)},
        single=["<s>", "$A"],
    ),
    "word": WordTokenizer.train("a b, é 日 a", normalizer=nm.BertNormalizer()),
    "char": CharTokenizer.train("ab é日", unk=True),
}

# ------------------------------------------------------------------------------------------------------- mutations

ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**40, 0.5, -1e308, "", "a", "\x00", "▁", "\ud800", "[UNK]", "x" * 300,
    [], {}, [[]], [0], ["a", -1.0], {"type": "NFC"}, {"type": "Sequence", "normalizers": [{}]}, {"String": "a"},
]  # fmt: skip


def mutate_json(content: Any, rng: random.Random) -> Any:
    """A copy with some values replaced, removed, doubled or swapped."""
    content = json.loads(json.dumps(content))
    for _ in range(rng.randint(1, 3)):
        parent: Any = None
        key: Any = None
        value = content
        while isinstance(value, (dict, list)) and value and (parent is None or rng.random() < 0.85):
            parent, key = value, rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
            value = parent[key]
        if parent is None:
            return rng.choice(ODD)
        action = rng.randrange(4)
        if action == 0:
            del parent[key]
        elif action == 1 and isinstance(parent, list):
            parent.insert(rng.randrange(len(parent) + 1), rng.choice([value, rng.choice(ODD)]))
        elif action == 1:
            parent[rng.choice(["type", "id", "vocab", "é", "a", "content"])] = copy.deepcopy(value)
        else:
            others = list(content.values()) if isinstance(content, dict) else content
            parent[key] = copy.deepcopy(rng.choice([*ODD, rng.choice(others)]))
    return content


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """A copy with some bytes changed, removed or doubled."""
    result = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(result) + 1)
        end = min(at + rng.choice([1, 1, 4, 50]), len(result))
        action = rng.randrange(4)
        if action == 0:
            result[at:end] = bytes(
                rng.choice([0, 1, 34, 44, 91, 123, 127, 128, 255]) for _ in range(end - at)
            )
        elif action == 1:
            del result[at:end]
        elif action == 2:
            result[at:at] = result[at:end]
        else:
            del result[at + rng.randrange(200) :]
    return bytes(result)


# ---------------------------------------------------------------------------------------------------------- targets


def use(tokenizer: Tokenizer, text: str | bytes) -> None:
    """Whatever was loaded must work, and be the same after a round."""
    try:
        ids = tokenizer.encode(text, disallowed_special=())
    except ValueError:
        return  # no unknown token, a lone surrogate: said clearly
    assert all(0 <= id_ < tokenizer.vocab_size for id_ in ids)
    same, spans = tokenizer.encode_with_offsets(text, disallowed_special=())
    assert same == ids and all(0 <= start <= end <= len(text) for start, end in spans)
    assert "".join(tokenizer.decode_stream(ids)) == tokenizer.decode(ids)
    assert all(tokenizer.id_to_token(id_) is not None for id_ in ids)


def attempt(load: Callable[[Path], Any], path: Path) -> Any:
    """What is loaded, or None after an error that names the file."""
    try:
        return load(path)
    except ValueError as error:
        if str(path) not in str(error):
            raise AssertionError(f"no file is named in: {error}") from error
        return None


def load_json(name: str) -> Callable[[bytes], None]:
    """The loader of a class, on the content of a file."""
    cls: Any = type(TOKENIZERS[name])
    path = Path(tempfile.mkdtemp(), "tokenizer.json")

    def target(data: bytes) -> None:
        path.write_bytes(data)
        tokenizer = attempt(cls.load, path)
        if tokenizer is not None:
            use(tokenizer, SAMPLE)
            tokenizer.save(path)
            assert cls.load(path) == tokenizer

    return target


def load_vocab(data: bytes) -> None:
    """BERT's vocab.txt."""
    path = Path(tempfile.gettempdir(), "fuzz-vocab.txt")
    path.write_bytes(data)
    tokenizer = attempt(WordPieceTokenizer.from_vocab, path)
    if tokenizer is not None:
        use(tokenizer, SAMPLE)


def load_llama2c(data: bytes) -> None:
    """llama2.c's tokenizer.bin."""
    path = Path(tempfile.gettempdir(), "fuzz-tokenizer.bin")
    path.write_bytes(data)
    tokenizer = attempt(SentencePieceBPETokenizer.from_llama2c, path)
    if tokenizer is not None:
        use(tokenizer, SAMPLE)


def encode(data: bytes) -> None:
    """Any bytes through every encoder; as ids through every decoder."""
    for tokenizer in TOKENIZERS.values():
        use(tokenizer, data)
        use(tokenizer, data.decode("utf-8", "replace"))
        ids = [byte % tokenizer.vocab_size for byte in data]
        assert "".join(tokenizer.decode_stream(ids)) == tokenizer.decode(ids)
        if data and max(data) >= tokenizer.vocab_size:
            with pytest.raises(ValueError):
                tokenizer.decode(list(data))


def seeds(name: str) -> list[bytes]:
    """Good inputs to begin with."""
    if name == "vocab":
        return [b"[UNK]\na\nb\n##b\n\xc3\xa9\n"]
    if name == "llama2c":
        tokens = ["<unk>", "\n<s>\n", "\n</s>\n", *BYTES, "▁a", "a", "▁", "b", "ab"]
        encoded = [token.replace("▁", " ").encode() for token in tokens]
        return [
            struct.pack("<i", 8) + b"".join(struct.pack("<fi", -i, len(t)) + t for i, t in enumerate(encoded))
        ]
    if name == "encode":
        return [
            SAMPLE.encode(),
            "e\u0301\u0323 \ufb01 \u1112\u1161\u11ab ▁▁a <0x41> \U0001d165\u302e".encode(),
        ]
    return [json.dumps(TOKENIZERS[name].to_dict()).encode()]


TARGETS: dict[str, Callable[[bytes], None]] = {
    **{name: load_json(name) for name in TOKENIZERS},
    "vocab": load_vocab,
    "llama2c": load_llama2c,
    "encode": encode,
}


def inputs(name: str, rng: random.Random) -> bytes:
    """The next input without a guide: a mutation of a good one."""
    seed = rng.choice(seeds(name))
    if name in TOKENIZERS and rng.random() < 0.7:
        return json.dumps(mutate_json(json.loads(seed), rng)).encode()
    return mutate_bytes(seed, rng)


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_run(name: str) -> None:
    rng = random.Random(name)
    TARGETS[name](seeds(name)[0])
    for _ in range(300):
        TARGETS[name](inputs(name, rng))


def main(name: str, seconds: float) -> None:
    """Run one target for a while; a failing input is left in a file."""
    target = TARGETS[name]
    try:
        import atheris
    except ImportError:
        rng = random.Random(time.time_ns())
        end, count = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            data = inputs(name, rng)
            try:
                target(data)
            except BaseException:
                Path(f"crash-{name}").write_bytes(data)
                raise
            count += 1
        print(f"{name}: {count} inputs")
        return
    corpus = Path(tempfile.mkdtemp())
    for i, seed in enumerate(seeds(name)):
        (corpus / str(i)).write_bytes(seed)
    atheris.instrument_all()

    def mutate(data: bytes, size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        try:
            if rng.random() < 0.5 and name in TOKENIZERS:
                return json.dumps(mutate_json(json.loads(data), rng)).encode()[:size]
        except ValueError:
            pass
        mutated: bytes = atheris.Mutate(data, size)
        return mutated

    arguments = [sys.argv[0], str(corpus), f"-max_total_time={seconds:.0f}", "-timeout=20", "-max_len=20000"]
    atheris.Setup(arguments, target, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))

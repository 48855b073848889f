"""The jobs of `groundup.bench.peers` about encoding; see `groundup.bench.jobs`.

All sides have cl100k's ranks and encode the same text, which comes from the folder of test data: $GROUNDUP_TEST_DATA,
or ``shared/data`` beside the project. "Cold" is a tokenizer that has encoded nothing before, "first" one in a
process that has not; that it is made anew is not timed. NumPy is imported before: gigatoken's first call would import
it otherwise, which takes 45 of 53 ms.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import groundup as gu
from groundup.text.patterns import PATTERNS

Repetition = tuple[Callable[[], Any], int]
_PATTERN = PATTERNS["cl100k"].replace(r"\z", "$")  # the end of the text, as tiktoken's expressions name it


def folder() -> Path:
    """Where the test data should be."""
    return Path(os.environ.get("GROUNDUP_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))


def data() -> Path:
    """The folder of test data.

    Raises:
        FileNotFoundError: it is not there.
    """
    if not folder().is_dir():
        raise FileNotFoundError(
            f"[bench] {folder()}: must hold texts and cl100k's ranks: set GROUNDUP_TEST_DATA"
        )
    return folder()


def text_of(kind: str) -> str:
    """English prose or Python sources of 1 MB, or all the Chinese there is (0.3 MB)."""
    if kind == "english":
        return (data() / "text" / "moby_2701.txt").read_text(encoding="utf-8")[:1_000_000]
    if kind == "chinese":
        names = ("zh_tang300.json", "zh_lunyu.json", "udhr/udhr_cmn_hans.xml")
        return "".join((data() / "text" / name).read_text(encoding="utf-8") for name in names)
    sources = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    return "".join(path.read_bytes().decode("utf-8", "ignore") for path in sources)[:1_000_000]


def tokenizer_of(side: str) -> Any:
    """A tokenizer of one of the packages."""
    path = data() / "tokenizers" / "cl100k_base.tiktoken"
    if side.startswith("groundup"):
        return gu.text.BPETokenizer.from_tiktoken(path)
    if side.startswith("gigatoken"):
        return import_module("gigatoken").Tokenizer.from_tiktoken(
            path, special_tokens={}, pretokenizer="cl100k"
        )
    ours = gu.text.BPETokenizer.from_tiktoken(path)
    if side.startswith("tiktoken"):
        ranks = {token: id_ for id_ in range(ours.vocab_size) if (token := ours._token(id_)) is not None}
        tiktoken = import_module("tiktoken")
        return tiktoken.Encoding("cl100k", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens={})
    with tempfile.TemporaryDirectory() as scratch:
        ours.save(Path(scratch, "tokenizer.json"))
        return import_module("tokenizers").Tokenizer.from_file(str(Path(scratch, "tokenizer.json")))


def encoder(side: str, tokenizer: Any) -> Callable[[str], Any]:
    """Its function from a text to ids, in the form that costs it least."""
    if side.startswith("tokenizers"):
        return lambda text: tokenizer.encode(text, add_special_tokens=False)
    as_it_is = side.endswith("_list") or side.startswith("gigatoken")
    encode: Callable[[str], Any] = tokenizer.encode if as_it_is else tokenizer.encode_to_numpy
    return encode


def digest(ids: Any) -> list[int]:
    """Numbers that differ where ids do."""
    array = np.asarray(getattr(ids, "ids", ids), np.uint32)
    return list(hashlib.sha256(array.tobytes()).digest()[:8])


class Encoding:
    """A repetition that encodes one text; `before` readies it where each is to be a first one."""

    def __init__(self, side: str, text: str) -> None:
        self.side, self.text = side, text
        self.encode = encoder(side, tokenizer_of(side))
        self.answer = digest(self.encode(text))

    def before(self) -> None:
        """Nothing has been encoded yet."""
        if self.side.endswith("_cold"):
            self.encode = encoder(self.side, tokenizer_of(self.side))

    def __call__(self) -> list[int]:
        self.encode(self.text)
        return self.answer


# A process that holds the text and one package's tokenizer, says so, and encodes once when it is told to.
_CHILD = """
import sys
text = open(sys.argv[1], encoding="utf-8").read()[:1_000_000]
{load}
print(flush=True)
sys.stdin.readline()
encode(text)
print(flush=True)
"""
_LOAD = {
    "groundup": """
import groundup
encode = groundup.text.BPETokenizer.from_tiktoken(sys.argv[2]).encode_to_numpy
""",
    "gigatoken": """
import gigatoken
encode = gigatoken.Tokenizer.from_tiktoken(sys.argv[2], special_tokens={}, pretokenizer="cl100k").encode
""",
}


class FirstCall:
    """A repetition that is the first call in a process of its own, which has loaded the vocabulary and waits.

    ``imported`` beforehand is what the package's first call would import itself, which takes some of them longer
    than to encode.
    """

    def __init__(self, side: str, imported: str = "") -> None:
        load = _LOAD[side] if not imported else f"import {imported}{_LOAD[side]}"
        self.command = [
            sys.executable,
            "-c",
            _CHILD.replace("{load}", load),
            str(data() / "text" / "moby_2701.txt"),
            str(data() / "tokenizers" / "cl100k_base.tiktoken"),
        ]
        self.answer = digest(encoder(side, tokenizer_of(side))(text_of("english")))
        self.child: subprocess.Popen[str] | None = None
        self.finished: list[subprocess.Popen[str]] = []

    def before(self) -> None:
        """Start the process; the one before it has ended by now."""
        while self.finished:
            self.finished.pop().communicate()
        self.child = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.child.stdout is not None
        self.child.stdout.readline()

    def __call__(self) -> list[int]:
        if self.child is None:
            self.before()
        child, self.child = self.child, None
        assert child is not None and child.stdin is not None and child.stdout is not None
        child.stdin.write("\n")
        child.stdin.flush()
        child.stdout.readline()
        self.finished.append(child)
        return self.answer


def english_first(side: str, threads: int) -> Repetition:  # noqa: ARG001
    """1 MB of English, the first call in a process that has imported the package alone."""
    return FirstCall(side), 1


def english_first_numpy(side: str, threads: int) -> Repetition:  # noqa: ARG001
    """The same in a process that has imported NumPy as well."""
    return FirstCall(side, "numpy"), 1


def english(side: str, threads: int) -> Repetition:  # noqa: ARG001 - one text, one thread
    """1 MB of English."""
    return Encoding(side, text_of("english")), 1


def chinese(side: str, threads: int) -> Repetition:  # noqa: ARG001
    """0.3 MB of Chinese."""
    return Encoding(side, text_of("chinese")), 1


def code(side: str, threads: int) -> Repetition:  # noqa: ARG001
    """1 MB of Python sources."""
    return Encoding(side, text_of("code")), 1


def short_strings(side: str, threads: int) -> Repetition:  # noqa: ARG001
    """2,000 strings of 100 characters, one call each."""
    text = text_of("english")
    strings = [text[i : i + 100] for i in range(0, 200_000, 100)]
    encode = encoder(side, tokenizer_of(side))
    answer = digest(np.concatenate([np.asarray(getattr(x, "ids", x)) for x in map(encode, strings)]))

    def repetition() -> list[int]:
        for string in strings:
            encode(string)
        return answer

    return repetition, len(strings)


def batch(side: str, threads: int) -> Repetition:
    """2,000 documents of 4 kB on two threads or on one."""
    threads = 2 if side == "groundup_two" else 1
    gu.set_num_threads(threads)
    text = text_of("english")
    documents = [text[i : i + 4000] for i in range(0, 1_000_000, 4000)] * 8
    tokenizer = tokenizer_of("groundup")

    def repetition() -> list[int]:
        ids, _ = tokenizer.encode_batch_to_numpy(documents, threads=threads)
        return [len(ids), int(ids[0]), int(ids[-1])]

    return repetition, 1

"""`BPETokenizer.train`: from texts, iterators and files to a tokenizer, and what bad input gets."""

from __future__ import annotations

import inspect
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import groundup as gu
from groundup import _core
from groundup.reference import bpe
from groundup.reference.bpe import BPE, GPT2_BYTES, TieBreak
from groundup.text import BPETokenizer, bpe_training, load

PROSE = inspect.getsource(bpe)  # five kilobytes of English and code


def pieces_of(pattern: str, data: bytes) -> list[bytes]:
    ends = _core.split_offsets(pattern, data).tolist()
    return [data[a:b] for a, b in pairwise(ends)]


def test_byte_orders_agree() -> None:
    assert bpe_training.GPT2_BYTES == GPT2_BYTES


@pytest.mark.parametrize("tie_break", ["huggingface", "minbpe", "rustbpe"])
def test_merges_and_ids_are_those_of_the_reference(tie_break: TieBreak) -> None:
    reference = BPE.train(pieces_of("gpt2", PROSE.encode()), 44, tie_break=tie_break)
    tokenizer = BPETokenizer.train(PROSE, 300, tie_break=tie_break)
    assert [tokenizer.id_to_token(i) for i in range(300)] == reference.tokens
    assert tokenizer.merges[:, :2].tolist() == [list(pair) for pair in reference.merges]
    text = "A flower followed the glow.\n\tEt même là 字"
    expected = [i for piece in pieces_of("gpt2", text.encode()) for i in reference.encode(piece)]
    assert tokenizer.encode(text) == expected
    assert reference.decode(expected).decode() == tokenizer.decode(expected) == text


def test_special_tokens_come_first_or_last() -> None:
    special = ["<end>", "<pad>"]
    plain = BPETokenizer.train(PROSE, 300)
    first = BPETokenizer.train(PROSE, 302, special_tokens=special)
    last = BPETokenizer.train(PROSE, 302, special_tokens=special, tie_break="minbpe")
    assert first.special_tokens == {"<end>": 0, "<pad>": 1}
    assert last.special_tokens == {"<end>": 300, "<pad>": 301}
    assert first.encode(PROSE) == [i + 2 for i in plain.encode(PROSE)]
    assert last.decode(last.encode(PROSE + "<pad>", allowed_special="all")) == PROSE + "<pad>"


@pytest.mark.parametrize("pattern", ["gpt2", r"\w+|\W"])
def test_special_tokens_in_the_text_are_cut_out(pattern: str) -> None:
    pytest.importorskip("regex")
    texts = PROSE.split("\n")
    joined = "<end>".join(texts)
    cut = BPETokenizer.train(joined, 301, special_tokens=["<end>"], pattern=pattern)
    apart = BPETokenizer.train(texts, 301, special_tokens=["<end>"], pattern=pattern)
    assert cut.to_dict() == apart.to_dict()
    assert not any(b"<e" in cut.id_to_token(i) for i in range(1, 301))


def test_every_way_of_giving_the_text_learns_the_same(tmp_path: Path) -> None:
    texts = [PROSE, "", "one more", PROSE.upper()]
    paths = [tmp_path / f"{i}.txt" for i in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_bytes(text.encode())
    expected = BPETokenizer.train(texts, 320).to_dict()
    assert BPETokenizer.train(iter(texts), 320).to_dict() == expected
    assert BPETokenizer.train([text.encode() for text in texts], 320).to_dict() == expected
    assert BPETokenizer.train_from_files(paths, 320).to_dict() == expected
    one = BPETokenizer.train_from_files(str(paths[0]), 320).to_dict()
    assert (
        one == BPETokenizer.train(PROSE, 320).to_dict() == BPETokenizer.train(PROSE.encode(), 320).to_dict()
    )


def test_regular_expressions_of_ones_own(tmp_path: Path) -> None:
    pytest.importorskip("regex")
    expression = r" ?[a-z]+|[^a-z ]+| "
    tokenizer = BPETokenizer.train(PROSE, 300, pattern=expression)
    assert tokenizer.pattern == expression and tokenizer.decode(tokenizer.encode(PROSE)) == PROSE
    path = tmp_path / "text.txt"
    path.write_bytes(PROSE.encode())
    assert BPETokenizer.train_from_files(path, 300, pattern=expression).to_dict() == tokenizer.to_dict()


def test_threads_do_not_matter() -> None:
    text = gu.data.stdlib_text().text[:600_000]
    before = gu.num_threads()
    results = []
    for threads in (1, 2, 3):
        gu.set_num_threads(threads)
        results.append(BPETokenizer.train(text, 700, tie_break="minbpe").merges.tolist())
    gu.set_num_threads(before)
    assert results[0] == results[1] == results[2] and len(results[0]) == 444


def test_text_that_runs_out_of_pairs() -> None:
    tokenizer = BPETokenizer.train("abab", 1000)
    assert tokenizer.vocab_size == 258 and tokenizer.encode("abab") == [257]
    assert BPETokenizer.train("x", 1000).vocab_size == 256
    assert BPETokenizer.train(PROSE, 256).vocab_size == 256


def test_min_frequency() -> None:
    assert BPETokenizer.train("abab abab xy", 1000, min_frequency=2).encode("xy") == [87, 88]
    counts = bpe_training.Plan(2000, "gpt2", [], 5, "huggingface")
    counts.add_texts(PROSE, None)
    assert counts.learn(None).counts.min() == 5


def test_bytes_that_are_not_utf8() -> None:
    data = bytes(range(256)) * 4 + b"\xff\xfe" * 50
    tokenizer = BPETokenizer.train(data, 300)
    assert tokenizer.decode_bytes(tokenizer.encode(data)) == data


def test_saved_and_loaded(tmp_path: Path) -> None:
    tokenizer = BPETokenizer.train(PROSE, 300, special_tokens=["<end>"], pattern="cl100k")
    tokenizer.save(tmp_path / "tokenizer.json")
    again = load(tmp_path / "tokenizer.json")
    assert isinstance(again, BPETokenizer)
    assert again.to_dict() == tokenizer.to_dict()
    assert again.encode(PROSE + "<end>", allowed_special="all")[-1] == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"texts": ""}, ValueError, "texts must hold text besides special tokens, but are empty"),
        ({"texts": []}, ValueError, "texts must hold text besides special tokens, but are empty"),
        ({"texts": "<e><e>", "special_tokens": ["<e>"]}, ValueError, "texts must hold text besides special tokens"),
        ({"texts": 7}, TypeError, "texts must be a str, bytes, or several of them, but got int"),
        ({"texts": ["a", None]}, TypeError, "texts must be str or bytes, but got NoneType as text 1"),
        ({"texts": "a\ud800"}, ValueError, "text must be Unicode, but got the lone surrogate U+D800 at position 1"),
        ({"vocab_size": 255}, ValueError, "vocab_size must be at least 256 for 256 bytes, and below 2**31"),
        (
            {"vocab_size": 257, "special_tokens": ["a", "b"]}, ValueError,
            "vocab_size must be at least 258 for 2 special tokens and 256 bytes, and below 2**31, but got 257",
        ),
        ({"vocab_size": 2**31}, ValueError, "below 2**31, but got 2147483648"),
        ({"vocab_size": 300.0}, TypeError, "vocab_size must be an int, but got float"),
        ({"vocab_size": True}, TypeError, "vocab_size must be an int, but got bool"),
        ({"min_frequency": -1}, ValueError, "min_frequency must be at least 0, but got -1"),
        ({"tie_break": "random"}, ValueError, "tie_break must be 'huggingface', 'minbpe' or 'rustbpe'"),
        ({"special_tokens": ["x", "y", "x"]}, ValueError, "special_tokens must differ, but 'x' is there twice"),
        ({"special_tokens": "<end>"}, TypeError, "special_tokens must be several str, but got one str"),
        ({"special_tokens": [3]}, TypeError, "special_tokens must be str, but got int"),
        ({"special_tokens": [""]}, ValueError, "special_tokens must not be empty, but got ''"),
        ({"special_tokens": ["Ġ"]}, ValueError, "special tokens must differ from the tokens as a file writes them"),
        ({"pattern": "("}, ValueError, "the pattern must be a regular expression, but got '('"),
    ],
)  # fmt: skip
def test_bad_input(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    if "pattern" in arguments:
        pytest.importorskip("regex")
    with pytest.raises(error) as caught:
        BPETokenizer.train(**{"texts": PROSE, "vocab_size": 300, **arguments})
    assert str(caught.value).startswith("[BPETokenizer] ") and message in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        BPETokenizer.train_from_files(tmp_path / "nowhere.txt", 300)
    (tmp_path / "empty.txt").touch()
    with pytest.raises(ValueError, match="texts must hold text"):
        BPETokenizer.train_from_files([tmp_path / "empty.txt"], 300)


MEMORY = """
import resource, sys
from groundup.text import BPETokenizer
text = open(sys.argv[1]).read()
BPETokenizer.train(text, 600)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
BPETokenizer.train((text for _ in range(int(sys.argv[2]))), 600)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory in the unit that Linux gives")
def test_memory_is_bounded_by_the_pieces(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(gu.data.stdlib_text().text[:1_000_000], encoding="utf-8")
    # 150 MB of text whose distinct pieces are those of the first.
    command = [sys.executable, "-c", MEMORY, str(path), "150"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(result.stdout) < 30_000  # kB


# ------------------------------------------------------------------------------------- progress and interruption


def long_training(progress: Callable[[int, int], None] | None = None) -> None:
    """Some seconds of merging."""
    text = random.Random(0).randbytes(1_500_000)
    BPETokenizer.train(text, 2_000_000, pattern="none", progress=progress)


def test_progress_counts_up() -> None:
    told: list[tuple[int, int]] = []
    words = " ".join(f"{i:x}{i * 7:x}" for i in range(60_000))
    BPETokenizer.train(words, 30_000, progress=lambda done, total: told.append((done, total)))
    assert told[0] == (0, 29_744)
    assert told == sorted(told) and {total for _, total in told} == {29_744}


def test_a_bar_is_shown_where_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    BPETokenizer.train(PROSE, 300, progress=True)
    assert "merging pairs" in capsys.readouterr().err
    BPETokenizer.train(PROSE, 300)  # standard error is no terminal
    assert capsys.readouterr().err == ""


def test_what_progress_raises_ends_the_training() -> None:
    class EnoughError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done:
            raise EnoughError

    with pytest.raises(EnoughError):
        long_training(stop)


# A shell that runs the tests in its background has them, and so the child, ignore SIGINT.
INTERRUPTED = """
import random, signal
from groundup.text import BPETokenizer
signal.signal(signal.SIGINT, signal.default_int_handler)
said = False
def progress(done, total):
    global said
    if done and not said:
        said = True
        print("merging", flush=True)
BPETokenizer.train(random.Random(0).randbytes(8_000_000), 5_000_000, pattern="none", progress=progress)
print("done", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT, which Windows does not have")
def test_interrupt_ends_the_training() -> None:
    command = [sys.executable, "-c", INTERRUPTED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "merging\n"
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
    assert out == "" and "KeyboardInterrupt" in error and process.returncode != 0


def test_other_threads_run_meanwhile() -> None:
    ticks = 0
    done = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.wait(0.001):
            ticks += 1

    thread = threading.Thread(target=tick)
    thread.start()
    text = random.Random(0).randbytes(2_000_000)
    before = ticks
    BPETokenizer.train(text, 3000, pattern="none")
    during = ticks - before
    done.set()
    thread.join()
    assert during > 5


def test_an_iterator_that_fails_is_not_swallowed() -> None:
    def texts() -> Iterator[str]:
        yield PROSE
        raise RuntimeError("no more disk")

    with pytest.raises(RuntimeError, match="no more disk"):
        BPETokenizer.train(texts(), 300)

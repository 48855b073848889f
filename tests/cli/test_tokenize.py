"""``groundup tokenize``, and ``groundup train --tokenizer bpe``, as a user runs them."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundup import data, lm
from groundup.files import read_jsonl
from groundup.text import BPETokenizer, CharTokenizer, UnigramTokenizer, WordPieceTokenizer, load

TEXT = data.stdlib_text().text[:60_000]
SMALL = [
    "--layers", "1", "--heads", "2", "--channels", "16", "--context", "16", "--batch", "4",
    "--warmup", "5", "--eval-every", "20", "--steps", "40",
]  # fmt: skip


def groundup(*words: object, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [sys.executable, "-m", "groundup", *map(str, words)],
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )
    return subprocess.CompletedProcess(
        result.args, result.returncode, result.stdout.decode(), result.stderr.decode()
    )


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_bytes(TEXT.encode())
    return path


@pytest.fixture(scope="module")
def learned(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("learned") / "tokenizer.json"
    result = groundup(
        "tokenize", "train", text, "--out", out, "--vocab", 600, "--special", "<a>", "--special", "<b>"
    )
    assert result.returncode == 0, result.stderr
    assert "600 tokens learned from 60,000 bytes" in result.stdout and "bytes a token" in result.stdout
    return out


# ---------------------------------------------------------------------------------------------------------- tokenize


def test_train_learns_what_the_library_learns(text: Path, learned: Path, tmp_path: Path) -> None:
    expected = BPETokenizer.train(TEXT, 600, special_tokens=["<a>", "<b>"])
    assert json.loads(learned.read_text()) == expected.to_dict()
    options = ["--pattern", "cl100k", "--tie-break", "minbpe", "--min-frequency", "9", "--vocab", "500"]
    result = groundup("tokenize", "train", text, text, "--out", tmp_path / "t.json", *options)
    assert result.returncode == 0, result.stderr
    twice = BPETokenizer.train([TEXT, TEXT], 500, pattern="cl100k", tie_break="minbpe", min_frequency=9)
    assert json.loads((tmp_path / "t.json").read_text()) == twice.to_dict()


def test_train_says_when_pairs_ran_out(tmp_path: Path) -> None:
    (tmp_path / "small.txt").write_text("abab")
    result = groundup("tokenize", "train", tmp_path / "small.txt", "--out", tmp_path / "t.json")
    assert result.returncode == 0 and "fewer than the 4,096 asked for" in result.stdout


def test_encode_a_text_a_pipe_and_a_file(learned: Path, text: Path, tmp_path: Path) -> None:
    tokenizer = BPETokenizer.from_file(learned)
    words = "The function returns é 字."
    expected = " ".join(map(str, tokenizer.encode(words))) + "\n"
    assert groundup("tokenize", "encode", learned, words).stdout == expected
    assert groundup("tokenize", "encode", learned, stdin=words.encode()).stdout == expected
    (tmp_path / "words.txt").write_bytes(words.encode())
    assert groundup("tokenize", "encode", learned, "--file", tmp_path / "words.txt").stdout == expected
    result = groundup("tokenize", "encode", learned, "--file", text, "--out", tmp_path / "ids.npy")
    assert result.returncode == 0 and "in " in result.stdout
    assert np.load(tmp_path / "ids.npy").tolist() == tokenizer.encode(TEXT)


def test_special_tokens_are_text_unless_allowed(learned: Path) -> None:
    plain = groundup("tokenize", "encode", learned, "<a>").stdout.split()
    assert len(plain) > 1
    assert groundup("tokenize", "encode", learned, "<a>", "--allow-special").stdout == "0\n"


def test_encode_bytes_that_are_not_utf8(learned: Path) -> None:
    ids = groundup("tokenize", "encode", learned, stdin=b"\xff\xfe").stdout.split()
    assert BPETokenizer.from_file(learned).decode_bytes([int(i) for i in ids]) == b"\xff\xfe"


def test_show(learned: Path, tmp_path: Path) -> None:
    tokenizer = BPETokenizer.from_file(learned)
    shown = groundup("tokenize", "show", learned, "the function", NO_COLOR="1").stdout
    assert shown == str(tokenizer.show("the function")) + "\n"
    traced = groundup("tokenize", "show", learned, "the function", "--trace", NO_COLOR="1").stdout
    assert traced == str(tokenizer.trace("the function")) + "\n"
    assert "\x1b[" in groundup("tokenize", "show", learned, "the", FORCE_COLOR="1", NO_COLOR="").stdout
    CharTokenizer.train("the").save(tmp_path / "characters.json")
    shown = groundup("tokenize", "show", tmp_path / "characters.json", "het", NO_COLOR="1").stdout
    assert shown.startswith("h│e│t\n3 tokens")
    page = tmp_path / "page.html"
    assert groundup("tokenize", "show", learned, "<b>&", "--html", page).returncode == 0
    content = page.read_text(encoding="utf-8")
    assert content.startswith("<!doctype html>") and "<script" not in content and "http" not in content


@pytest.mark.parametrize(
    "tokenizer",
    [
        WordPieceTokenizer(["[UNK]", "a", "##b"]),
        UnigramTokenizer([("<unk>", 0), ("▁", -2), ("a", -1), ("▁a", -2), ("<b", -3)]),
    ],
    ids=["WordPiece", "Unigram"],
)
def test_traces_of_other_models(tmp_path: Path, tokenizer: Any) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    traced = groundup("tokenize", "show", tmp_path / "tokenizer.json", "ab a<b", "--trace").stdout
    assert traced == str(tokenizer.trace("ab a<b")) + "\n"
    page = tmp_path / "trace.html"
    groundup("tokenize", "show", tmp_path / "tokenizer.json", "ab a<b", "--trace", "--html", page)
    assert html.escape(str(tokenizer.trace("ab a<b"))) in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "TEXT", "--out", "OUT", "--vocab", "100"], "vocab_size must be at least 256 for 256 bytes"),
        (["train", "TEXT", "--out", "OUT", "--special", "x", "--special", "x"], "special_tokens must differ"),
        (["train", "TEXT", "--out", "OUT", "--pattern", "("], "the pattern must be a regular expression"),
        (["train", "TEXT", "--out", "LEARNED"], "exists; pass --overwrite"),
        (["train", "TEXT", "--out", "NOWHERE/t.json"], "NOWHERE, does not exist"),
        (["train", "NOWHERE", "--out", "OUT"], "NOWHERE: No such file"),
        (["train", "EMPTY", "--out", "OUT"], "texts must hold text"),
        (["encode", "NOWHERE", "x"], "NOWHERE does not exist; learn one with"),
        (["encode", "TEXT", "x"], "TEXT"),
        (["encode", "LEARNED", "x", "--file", "TEXT"], "give a text or --file, not both"),
        (["encode", "LEARNED", "x", "--out", "OUT"], "--out is for the ids of a file"),
        (["encode", "LEARNED", "--file", "TEXT", "--out", "OUT"], "must end in .npy or .bin"),
        (["show", "LEARNED", "--file", "TEXT", "--trace"], "text to trace must hold at most 4,096 bytes"),
        (["show", "CHARACTERS", "x"], "'x' (U+0078)"),
        (["encode", "CHARACTERS", "x"], "'x' (U+0078)"),
        (["show", "CHARACTERS", "abc", "--trace"], "--trace is for byte-pair encoding, WordPiece and Unigram"),
        (["show", "WORDPIECE", "--file", "TEXT", "--trace"], "text to trace must hold at most 4,096 bytes"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    text: Path, learned: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    if "(" in words:
        pytest.importorskip("regex")
    (tmp_path / "EMPTY").touch()
    CharTokenizer.train("abc").save(tmp_path / "CHARACTERS")
    WordPieceTokenizer(["[UNK]", "x"]).save(tmp_path / "WORDPIECE")
    names = {"TEXT": text, "LEARNED": learned}
    named = {
        name: str(names.get(name, tmp_path / name))
        for name in ("TEXT", "LEARNED", "OUT", "NOWHERE", "EMPTY", "CHARACTERS", "WORDPIECE")
    }
    before = learned.read_bytes()
    result = groundup(
        "tokenize", *[re.sub("^[A-Z]+", lambda m: named.get(m[0], m[0]), word) for word in words]
    )
    assert result.returncode == 1, result.stdout
    assert re.sub("^[A-Z]+", lambda m: named.get(m[0], m[0]), message).split("/")[-1] in result.stderr
    assert result.stderr.startswith("groundup tokenize: ") and result.stderr.count("\n") == 1
    assert learned.read_bytes() == before and not (tmp_path / "OUT").exists()


def test_help_and_usage() -> None:
    for action in ([], ["train"], ["encode"], ["show"]):
        result = groundup("tokenize", *action, "--help")
        assert result.returncode == 0 and "usage" in result.stdout
    assert groundup("tokenize").returncode == 2
    assert groundup("tokenize", "nonsense").returncode == 2


# ---------------------------------------------------------------------------------------------- a GPT on BPE tokens


@pytest.fixture(scope="module")
def trained(text: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("gpt") / "out"
    result = groundup("train", "--text", text, "--out", out, *SMALL, "--tokenizer", "bpe", "--vocab", 400)
    assert result.returncode == 0, result.stderr
    return out, result.stdout


def test_a_gpt_of_bpe_tokens(trained: tuple[Path, str]) -> None:
    out, printed = trained
    tokenizer = load(out)
    assert isinstance(tokenizer, BPETokenizer) and tokenizer.vocab_size == 400
    assert "vocabulary 400" in printed
    assert lm.GPT.from_pretrained(out).config.vocab_size == 400
    # Learned from the training part alone.
    assert tokenizer.to_dict() == BPETokenizer.train(TEXT[:54_000], 400).to_dict()


def test_bits_per_byte_are_those_of_the_bytes(trained: tuple[Path, str]) -> None:
    out, printed = trained
    tokenizer = load(out)
    assert isinstance(tokenizer, BPETokenizer)
    found = re.search(r"validation: ([\d.]+) nats a token, perplexity [\d.]+, ([\d.]+) bits a byte", printed)
    assert found
    ids = tokenizer.encode(TEXT[54_000:])
    nats = read_jsonl(out / "metrics.jsonl")[-1]["val_loss"]
    bits = nats / np.log(2) * (len(ids) - 1) / (6_000 - len(tokenizer.id_to_token(ids[0])))
    assert found[2] == f"{bits:.3f}" and found[1] == f"{nats:.4f}"


def test_generate_from_bpe_tokens(trained: tuple[Path, str]) -> None:
    out, _ = trained
    words = ["generate", out, "--prompt", "The é ", "--max-tokens", 30, "--seed", 3]
    one, two = groundup(*words), groundup(*words)
    assert one.returncode == 0, one.stderr
    assert one.stdout == two.stdout and one.stdout.startswith("The é ")


def test_a_bpe_run_resumes_with_its_own_tokenizer(
    text: Path, trained: tuple[Path, str], tmp_path: Path
) -> None:
    out, _ = trained
    for file in out.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    result = groundup("train", "--text", text, "--out", tmp_path, "--resume")
    assert result.returncode == 0 and "resuming after step 40" in result.stdout, result.stderr
    result = groundup("train", "--text", text, "--out", tmp_path, "--resume", "--vocab", 300)
    assert result.returncode == 1 and "vocab_size was 400, but now is 300" in result.stderr
    result = groundup("train", "--text", text, "--out", tmp_path, "--resume", "--tokenizer", "char")
    assert result.returncode == 1 and "vocab_size was 400" in result.stderr


def test_train_with_a_tokenizer_of_ones_own(learned: Path, text: Path, tmp_path: Path) -> None:
    result = groundup("train", "--text", text, "--out", tmp_path / "out", *SMALL, "--tokenizer", learned)
    assert result.returncode == 0, result.stderr
    assert lm.GPT.from_pretrained(tmp_path / "out").config.vocab_size == 600


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tokenizer", "bpe", "--vocab", "255"], "vocab_size must be at least 256"),
        (["--vocab", "300"], "--vocab is for --tokenizer bpe"),
        (["--tokenizer", "word"], "--tokenizer must be char, bpe, or a file or folder, but got 'word'"),
        (
            ["--tokenizer", "bpe", "--context", "3000"],
            "the validation part must be longer than the context 3000",
        ),
    ],
)
def test_bad_tokenizers_are_one_line(text: Path, tmp_path: Path, words: list[str], message: str) -> None:
    result = groundup("train", "--text", text, "--out", tmp_path / "out", *SMALL, *words)
    assert result.returncode == 1
    assert message in result.stderr and result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()

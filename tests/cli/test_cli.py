"""The command line as a user runs it: real processes, real files, real kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundup import safetensors
from groundup.files import read_jsonl

TEXT = "the quick brown fox jumps over the lazy dog. pack my box with five dozen liquor jugs!\n" * 60
SMALL = [
    "--layers", "1", "--heads", "2", "--channels", "16", "--context", "16", "--batch", "4",
    "--warmup", "5", "--eval-every", "20",
]  # fmt: skip


def groundup(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "groundup", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


def train(text: Path, out: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return groundup("train", "--text", text, "--out", out, *SMALL, *words, **environment)


def losses(out: Path) -> list[float]:
    return [record["loss"] for record in read_jsonl(out / "metrics.jsonl")]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of 60 steps with dropout, to compare with."""
    out = tmp_path_factory.mktemp("run") / "out"
    result = train(text, out, "--steps", 60, "--dropout", 0.1, "--save-every", 10)
    assert result.returncode == 0, result.stderr
    return out


def test_log_has_a_record_a_step(finished: Path) -> None:
    records = read_jsonl(finished / "metrics.jsonl")
    assert [r["step"] for r in records] == list(range(1, 61))
    assert [r["step"] for r in records if "val_loss" in r] == [20, 40, 60]
    assert records[-1]["loss"] < records[0]["loss"]
    assert records[-1]["val_loss"] < records[19]["val_loss"]


def test_generate_is_seeded(finished: Path) -> None:
    one = groundup("generate", finished, "--prompt", "the ", "--max-tokens", 40, "--seed", 3)
    two = groundup("generate", finished, "--prompt", "the ", "--max-tokens", 40, "--seed", 3)
    other = groundup("generate", finished, "--prompt", "the ", "--max-tokens", 40, "--seed", 4)
    assert one.returncode == 0 and one.stdout.startswith("the ")
    assert len(one.stdout) == len("the ") + 40 + 1
    assert one.stdout == two.stdout != other.stdout


def wait_for_steps(process: subprocess.Popen[bytes], out: Path, steps: int) -> None:
    """Until the run has logged so many steps."""
    log = out / "metrics.jsonl"
    for _ in range(6000):
        if log.exists() and len(log.read_bytes().splitlines()) > steps:
            return
        assert process.poll() is None, "the run ended early"
        time.sleep(0.005)
    raise AssertionError("the run did not get that far")


def start(text: Path, out: Path, steps: int) -> subprocess.Popen[bytes]:
    words = [*SMALL, "--steps", steps, "--dropout", 0.1, "--save-every", 10]
    return subprocess.Popen(
        [sys.executable, "-m", "groundup", "train", "--text", str(text), "--out", str(out), *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.fixture(scope="module")
def long_run(text: Path, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """The losses of 400 uninterrupted steps."""
    out = tmp_path_factory.mktemp("long") / "out"
    result = train(text, out, "--steps", 400, "--dropout", 0.1, "--save-every", 10)
    assert result.returncode == 0, result.stderr
    return losses(out)


@pytest.mark.parametrize("after", [3, 57, 140])
def test_killed_run_resumes_bit_for_bit(
    text: Path, tmp_path: Path, long_run: list[float], after: int
) -> None:
    out = tmp_path / "out"
    process = start(text, out, 400)
    wait_for_steps(process, out, after)
    process.kill()
    process.communicate()
    result = train(text, out, "--steps", 400, "--dropout", 0.1, "--save-every", 10, "--resume")
    assert result.returncode == 0, result.stderr
    assert losses(out) == long_run


def test_interrupt_writes_a_checkpoint(text: Path, tmp_path: Path, long_run: list[float]) -> None:
    out = tmp_path / "out"
    process = start(text, out, 400)
    wait_for_steps(process, out, 33)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"checkpoint is written" in message
    assert len(losses(out)) < 400
    # What is not given again is taken from the checkpoint.
    result = groundup("train", "--text", text, "--out", out, "--resume")
    assert result.returncode == 0, result.stderr
    assert losses(out) == long_run


def test_second_run_is_refused(text: Path, finished: Path) -> None:
    before = {p.name: p.read_bytes() for p in finished.iterdir()}
    result = train(text, finished, "--steps", 5)
    assert result.returncode == 1
    assert "already holds a run; pass --resume or --overwrite" in result.stderr
    assert {p.name: p.read_bytes() for p in finished.iterdir()} == before


def test_resume_refuses_another_setting(text: Path, finished: Path) -> None:
    result = train(text, finished, "--steps", 60, "--dropout", 0.1, "--channels", 32, "--resume")
    assert result.returncode == 1
    assert "n_embd was 16, but now is 32" in result.stderr


def test_resume_refuses_another_text(finished: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text(TEXT.replace("quick", "kciuq"), encoding="utf-8")
    result = train(other, finished, "--steps", 60, "--dropout", 0.1, "--resume")
    assert result.returncode == 1
    assert "the text differs" in result.stderr


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        (b"", [], "empty"),
        (b"short", [], "must be longer than the context 16"),
        (b"abc\xff\xfe" * 100, [], "UTF-8"),
        (TEXT.encode(), ["--heads", "3"], "n_head must divide n_embd 16"),
        (TEXT.encode(), ["--steps", "0"], "steps must be at least 1"),
        (TEXT.encode(), ["--lr", "nan"], "lr must be positive"),
        (TEXT.encode(), ["--context", "0"], "context must be at least 1"),
        (TEXT.encode(), ["--val-fraction", "1"], "val-fraction must be between 0 and 1"),
        (TEXT.encode(), ["--resume"], "nothing to resume"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, content: bytes, words: list[str], message: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    result = train(path, tmp_path / "out", *words)
    assert result.returncode == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_missing_text(tmp_path: Path) -> None:
    result = train(tmp_path / "none.txt", tmp_path / "out")
    assert result.returncode == 1
    assert "none.txt" in result.stderr


def test_unknown_character(finished: Path) -> None:
    result = groundup("generate", finished, "--prompt", "fox §")
    assert result.returncode == 1
    assert "'§' (U+00A7) at position 4" in result.stderr


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _reshape(path: Path) -> None:
    arrays = {k: np.array(v) for k, v in safetensors.load_file(path).items()}
    arrays["transformer.wte.weight"] = arrays["transformer.wte.weight"][:-1]
    safetensors.save_file(arrays, path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_truncate, "model.safetensors"),
        (_reshape, "must have shape"),
        (lambda p: p.write_text("no"), "safetensors"),
    ],
)
def test_damaged_model(finished: Path, tmp_path: Path, damage: Any, message: str) -> None:
    for file in finished.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    damage(tmp_path / "model.safetensors")
    result = groundup("generate", tmp_path)
    assert result.returncode == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_damaged_checkpoint(text: Path, finished: Path, tmp_path: Path) -> None:
    for file in finished.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    _truncate(tmp_path / "training.safetensors")
    result = train(text, tmp_path, "--steps", 60, "--dropout", 0.1, "--resume")
    assert result.returncode == 1
    assert "training.safetensors" in result.stderr


def test_full_disk(text: Path, tmp_path: Path) -> None:
    """Files may grow to 4 kB: the checkpoint cannot be written, and the command says so."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        "from groundup.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["train", "--text", text, "--out", tmp_path / "out", *SMALL, "--steps", 10]
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 1
    assert "model.safetensors" in result.stderr and "not written" in result.stderr


def test_numpy_backend_follows(text: Path, tmp_path: Path) -> None:
    assert train(text, tmp_path / "cpp", "--steps", 12).returncode == 0
    result = train(text, tmp_path / "numpy", "--steps", 12, GROUNDUP_BACKEND="numpy")
    assert result.returncode == 0, result.stderr
    assert "backend numpy" in result.stdout
    np.testing.assert_allclose(losses(tmp_path / "numpy"), losses(tmp_path / "cpp"), rtol=1e-4)


def test_config_and_help() -> None:
    facts = json.loads(groundup("config", "--json").stdout)
    assert facts["backend"] == "cpp" and facts["isa"] in facts["isa_available"]
    for command in ("demo", "train", "generate", "tokenize", "bench", "config", "notebooks"):
        result = groundup(command, "--help")
        assert result.returncode == 0 and command in result.stdout
    assert groundup("nonsense").returncode == 2
    assert groundup("train").returncode == 2


def test_bench_of_one_op(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    result = groundup("bench", "softmax", "--pairs", 3, "--json", path)
    assert result.returncode == 0, result.stderr
    (row,) = json.loads(path.read_text())["results"]
    assert row["op"] == "softmax" and row["speedup"] > 0 and row["share"] > 0
    assert groundup("bench", "nonsense").returncode == 1


def test_bench_of_encoding_says_which_data_it_wants(tmp_path: Path) -> None:
    result = groundup("bench", "--peers", "encode Chinese", GROUNDUP_TEST_DATA=str(tmp_path / "none"))
    assert result.returncode == 1
    assert "must hold texts and cl100k's ranks: set GROUNDUP_TEST_DATA" in result.stderr

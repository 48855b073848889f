"""The trainer by itself: what its folder may hold, what it logs, where it stops. Whole runs are in tests/cli."""

from pathlib import Path

import numpy as np
import pytest

import groundup as gu
from groundup import lm
from groundup.files import read_jsonl

IDS = np.tile(np.arange(5), 40)


def trainer(folder: Path, steps: int = 4, lr: float = 1e-2, **options: bool) -> lm.Trainer:
    gu.manual_seed(0)
    model = lm.GPT(lm.GPTConfig(vocab_size=5, n_positions=8, n_embd=8, n_layer=1, n_head=2))
    config = lm.TrainConfig(steps=steps, batch=2, lr=lr, warmup=1, eval_every=2, save_every=2)
    return lm.Trainer(model, IDS[:150], IDS[150:], folder, config, **options)


def losses(folder: Path) -> list[float]:
    return [record["loss"] for record in read_jsonl(folder / "metrics.jsonl")]


def test_it_learns_and_logs_every_step(tmp_path: Path) -> None:
    records = trainer(tmp_path / "run", steps=60).run(progress=False)
    assert [r["step"] for r in records] == list(range(1, 61))
    assert [r["step"] for r in records if "val_loss" in r] == list(range(2, 61, 2))
    assert records[-1]["val_loss"] < 0.5 < records[0]["loss"]  # who ignores the token before gets log 5 = 1.6


def test_somebody_elses_model_is_not_replaced(tmp_path: Path) -> None:
    lm.GPT(lm.GPTConfig(vocab_size=5, n_positions=4, n_embd=4, n_layer=1, n_head=1)).save_pretrained(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    for options in ({}, {"resume": True}):
        with pytest.raises(FileExistsError, match=r"holds config\.json of no run; pass --overwrite"):
            trainer(tmp_path, **options)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    trainer(tmp_path, overwrite=True).run(progress=False)
    assert len(losses(tmp_path)) == 4


@pytest.mark.parametrize("left", [[], ["metrics.jsonl"], ["metrics.jsonl", "config.json"]])
def test_a_run_killed_before_its_first_checkpoint_begins_anew(tmp_path: Path, left: list[str]) -> None:
    whole = tmp_path / "whole"
    trainer(whole).run(progress=False)
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in left:
        (killed / name).write_bytes(b"" if name == "metrics.jsonl" else (whole / name).read_bytes())
    trainer(killed, resume=True).run(progress=False)
    assert losses(killed) == losses(whole)


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing to resume: .*none does not exist"):
        trainer(tmp_path / "none", resume=True)
    assert not (tmp_path / "none").exists()


def test_a_loss_that_is_not_finite_stops_the_run_and_is_not_logged(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    with gu.no_grad():
        next(iter(run.model.parameters())).fill_(float("nan"))
    with pytest.raises(ValueError, match="the loss must be finite, but got nan at step 1: lower --lr"):
        run.run(progress=False)
    assert losses(tmp_path) == []

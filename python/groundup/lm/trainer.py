"""Trainer: a GPT from a text, with validation, a log, checkpoints and exact resumption.

What a run folder holds:

| file | for |
| --- | --- |
| ``config.json``, ``model.safetensors``, ``tokenizer.json`` | the model; a Hugging Face folder |
| ``training.safetensors`` | everything a resumed run needs, in one file that is replaced whole |
| ``metrics.jsonl`` | an object a step: ``step``, ``loss``, ``lr``, ``grad_norm``, ``seconds``, at times ``val_loss`` |
| ``loss.png`` | the two curves, if matplotlib is installed |

The batch of a step, its learning rate and its dropout masks depend on the seed and the step alone. So a run that
was killed and resumed gives bit for bit the losses of one that was not, with the same number of threads.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import groundup as gu
from groundup import safetensors
from groundup.data import TokenStream
from groundup.files import JsonlWriter, parse_json, read_jsonl, remove_partials
from groundup.lm.gpt import GPT

STATE_FILE = "training.safetensors"
MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json")


@dataclass(frozen=True)
class TrainConfig:
    """How a run trains.

    Raises:
        ValueError: a field is out of range; names it.
    """

    steps: int = 2000
    batch: int = 12
    lr: float = 1e-3
    final_lr: float = 0.1  # as a share of lr, where the cosine ends
    warmup: int = 100
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0  # largest norm of the gradient
    accumulate: int = 1  # batches a step
    eval_every: int = 250
    eval_windows: int = 200  # of the validation part, evenly spread; the last evaluation reads all of it
    save_every: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        def fail(field: str, holds: str) -> ValueError:
            return ValueError(f"[train] {field} must be {holds}, but got {getattr(self, field)!r}")

        for field in ("steps", "batch", "accumulate", "eval_every", "eval_windows", "save_every"):
            if getattr(self, field) < 1:
                raise fail(field, "at least 1")
        for field in ("warmup", "weight_decay", "seed"):
            if not getattr(self, field) >= 0:
                raise fail(field, "at least 0")
        for field in ("lr", "clip"):
            if not 0 < getattr(self, field) < math.inf:
                raise fail(field, "positive")
        if not 0 <= self.final_lr <= 1:
            raise fail("final_lr", "in [0, 1]")

    def learning_rate(self, step: int) -> float:
        """Linear warm-up to ``lr``, then half a cosine down to ``final_lr · lr``. Steps count from 1."""
        if step <= self.warmup:
            return self.lr * step / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * (
            self.final_lr + (1 - self.final_lr) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        )


class Interrupted(KeyboardInterrupt):
    """Ctrl-C: the checkpoint of ``step`` is written."""

    def __init__(self, step: int) -> None:
        super().__init__(f"interrupted after step {step}; its checkpoint is written, continue with --resume")
        self.step = step


class Trainer:
    """Trains ``model`` on ids and keeps the run in a folder.

    Args:
        model: what is trained.
        train_ids, val_ids: token ids.
        folder: made if it does not exist; it must not hold a run unless ``resume`` or ``overwrite``, nor anybody
            else's model unless ``overwrite``.
        tokenizer: saved beside the model.
        context: tokens of a window; the model's n_positions if not given.
        resume: continue the run in ``folder`` from its last checkpoint.
        overwrite: begin anew although ``folder`` holds a run or a model.

    Raises:
        FileExistsError: ``folder`` holds a run or a model.
        FileNotFoundError: the folder to resume does not exist.
        ValueError: a text shorter than the context, ids outside the vocabulary, a checkpoint of another run.
    """

    def __init__(
        self,
        model: GPT,
        train_ids: Any,
        val_ids: Any,
        folder: str | Path,
        config: TrainConfig | None = None,
        tokenizer: Any = None,
        context: int | None = None,
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.config = config or TrainConfig()
        self.model, self.tokenizer = model, tokenizer
        self.folder = Path(folder)
        context = context or model.config.n_positions
        vocab_size = model.config.vocab_size
        self.train_stream = TokenStream(
            train_ids, context, self.config.batch, seed=self.config.seed, vocab_size=vocab_size
        )
        self.val_stream = TokenStream(val_ids, context, self.config.batch, vocab_size=vocab_size)
        self._parameters = list(model.parameters())
        decays = [p for p in self._parameters if len(p.shape) >= 2]
        others = [p for p in self._parameters if len(p.shape) < 2]  # biases and norms are not decayed
        self.optimizer = gu.optim.AdamW(
            [
                {"params": decays, "weight_decay": self.config.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=self.config.lr,
            betas=self.config.betas,
        )
        self.step = 0
        self._identity = self._describe()
        self._prepare(resume, overwrite)

    # ----------------------------------------------------------------------------------------------- the run

    def run(
        self, on_step: Callable[[dict[str, Any]], None] | None = None, progress: bool | None = None
    ) -> list[dict[str, Any]]:
        """Train up to ``config.steps``; returns every record of the log.

        Args:
            on_step: called with each new record.
            progress: show a bar; by default when standard error is a terminal.

        Raises:
            Interrupted: after Ctrl-C, once the checkpoint is written.
        """
        from tqdm import tqdm

        config = self.config
        show = sys.stderr.isatty() if progress is None else progress
        with JsonlWriter(self.folder / "metrics.jsonl") as log, _stop_on_interrupt() as stopped:
            log.truncate_after(self.step)
            with tqdm(
                total=config.steps, initial=self.step, disable=not show, unit="step", leave=False
            ) as bar:
                while self.step < config.steps:
                    record = self._train_step()
                    if not math.isfinite(record["loss"]):
                        raise ValueError(
                            f"[train] the loss must be finite, but got {record['loss']} at step {self.step}: "
                            "lower --lr, or run under gu.anomaly() to see where it began"
                        )
                    last = self.step == config.steps
                    if last or self.step % config.eval_every == 0:
                        record["val_loss"] = self.evaluate(None if last else config.eval_windows)
                    log.write(record)
                    bar.update()
                    bar.set_postfix(loss=f"{record['loss']:.3f}", refresh=False)
                    if on_step is not None:
                        on_step(record)
                    if last or stopped() or self.step % config.save_every == 0:
                        log.sync()
                        self.save()
                    if stopped() and not last:
                        raise Interrupted(self.step)
        records = read_jsonl(self.folder / "metrics.jsonl")
        self.draw(records)
        return records

    def _train_step(self) -> dict[str, Any]:
        started = time.perf_counter()
        config = self.config
        self.step += 1
        lr = config.learning_rate(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        loss = 0.0
        for part in range(config.accumulate):
            x, y = self.train_stream.batch((self.step - 1) * config.accumulate + part)
            part_loss = self.model(x, y)
            (part_loss / config.accumulate if config.accumulate > 1 else part_loss).backward()
            loss += part_loss.item() / config.accumulate
        norm = gu.nn.utils.clip_grad_norm_(self._parameters, config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return {
            "step": self.step,
            "loss": loss,
            "lr": lr,
            "grad_norm": float(norm),
            "seconds": round(time.perf_counter() - started, 6),
        }

    def evaluate(self, windows: int | None = None) -> float:
        """Mean loss in nats a token over the validation part, or over so many of its windows."""
        self.model.eval()
        total, count = 0.0, 0
        try:
            with gu.no_grad():
                for x, y in self.val_stream.windows(limit=windows):
                    total += self.model(x, y).item() * y.size
                    count += y.size
        finally:
            self.model.train()
        return total / count

    # ----------------------------------------------------------------------------------------------- the folder

    def _prepare(self, resume: bool, overwrite: bool) -> None:
        state, log = self.folder / STATE_FILE, self.folder / "metrics.jsonl"
        begun = state.exists() or log.exists()
        foreign = [] if begun else [name for name in MODEL_FILES if (self.folder / name).exists()]
        if foreign and not overwrite:
            raise FileExistsError(
                f"[train] {self.folder} holds {foreign[0]} of no run; pass --overwrite to replace it"
            )
        if begun and not (resume or overwrite):
            raise FileExistsError(f"[train] {self.folder} already holds a run; pass --resume or --overwrite")
        if resume and not self.folder.exists():
            raise FileNotFoundError(f"[train] nothing to resume: {self.folder} does not exist")
        if resume and state.exists():
            self._load(state)
        # Otherwise a run that was killed before its first checkpoint begins anew, and gives the same losses.
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_partials(self.folder)
        if self.step == 0:
            gu.manual_seed(self.config.seed)  # dropout's stream; the model is already initialised
            state.unlink(missing_ok=True)
            log.write_bytes(b"")  # from here on this folder holds a run
            self._save_model()

    def _describe(self) -> dict[str, Any]:
        """What must not differ between a run and its resumption. Reads all of the text, so it is kept."""
        fixed = {
            k: v
            for k, v in dataclasses.asdict(self.config).items()
            if k not in ("eval_every", "save_every", "eval_windows")
        }
        digest = hashlib.sha256()
        for stream in (self.train_stream, self.val_stream):
            digest.update(np.ascontiguousarray(stream.ids).data)
        return {
            "model": dataclasses.asdict(self.model.config),
            "train": {**fixed, "betas": list(self.config.betas)},
            "context": self.train_stream.context,
            "data": digest.hexdigest(),
        }

    def save(self) -> None:
        """Write the checkpoint of this step: the model's files, then the state, each replaced whole."""
        self._save_model()
        arrays = {f"model.{name}": np.asarray(t) for name, t in self.model.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            for name, value in state.items():
                arrays[f"optimizer.{index}.{name}"] = np.asarray(value)
        about = {**self._identity, "step": self.step, "rng": list(gu.get_rng_state())}
        safetensors.save_file(
            arrays, self.folder / STATE_FILE, {"format": "pt", "groundup": json.dumps(about)}
        )

    def _save_model(self) -> None:
        self.model.write_files(self.folder)
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(self.folder)

    def _load(self, path: Path) -> None:
        def fail(message: str) -> ValueError:
            return ValueError(f"[train] {path}: {message}")

        about = _about(path)
        for name, value in self._identity.items():
            if about[name] != value:
                raise fail(f"{name} must be what the run began with: {_difference(about[name], value)}")
        step, rng = about["step"], about["rng"]
        if not 0 < step <= self.config.steps:
            raise fail(f"step must be in 1 to {self.config.steps}, but got {step}")
        arrays = safetensors.load_file(path)
        weights = {name[6:]: a for name, a in arrays.items() if name.startswith("model.")}
        optimizer: dict[int, dict[str, Any]] = {}
        for name, array in arrays.items():
            if name.startswith("optimizer."):
                _, index, field = name.split(".", 2)
                optimizer.setdefault(int(index), {})[field] = array
        try:
            self.model.load_state_dict(weights)
            self.optimizer.load_state_dict(
                {"state": optimizer, "param_groups": self.optimizer.state_dict()["param_groups"]}
            )
        except (KeyError, ValueError, TypeError) as error:
            raise fail(str(error)) from None
        gu.set_rng_state((rng[0], rng[1]))
        self.step = step

    def draw(self, records: list[dict[str, Any]]) -> Path | None:
        """Draw both losses into ``loss.png``; None where matplotlib is not installed."""
        from groundup import plot

        try:
            figure, axes = plot.figure()
        except ModuleNotFoundError:
            return None
        evaluated = [r for r in records if r.get("val_loss") is not None]
        steps = {"training": [r["step"] for r in records], "validation": [r["step"] for r in evaluated]}
        losses = {
            "training": [np.nan if r["loss"] is None else r["loss"] for r in records],
            "validation": [r["val_loss"] for r in evaluated],
        }
        plot.loss_curve(steps, losses, title=f"Validation loss {evaluated[-1]['val_loss']:.3f}", ax=axes)
        path = self.folder / "loss.png"
        figure.savefig(path)
        return path


def run_settings(folder: str | Path) -> dict[str, Any] | None:
    """How the run in ``folder`` was set up: ``model``, ``train`` and ``context``; None before its first checkpoint.

    Raises:
        ValueError: the checkpoint is damaged.
    """
    path = Path(folder) / STATE_FILE
    if not path.exists():
        return None
    return _about(path)


def _about(path: Path) -> dict[str, Any]:
    """The trainer's own part of a checkpoint's header."""
    header = safetensors.read_header(path)
    if "groundup" not in header.metadata:
        raise ValueError(
            f"[train] {path}: must be a checkpoint of groundup's trainer, but its header does not say so"
        )
    about = parse_json(header.metadata["groundup"], where=str(path))
    kinds = {"model": dict, "train": dict, "context": int, "data": str, "step": int, "rng": list}
    for name, kind in kinds.items():
        if not isinstance(about, dict) or type(about.get(name)) is not kind:
            raise ValueError(f"[train] {path}: {name} must be a {kind.__name__}, but the header has none")
    rng = about["rng"]
    if len(rng) != 2 or not all(type(n) is int and 0 <= n < 2**64 for n in rng):
        raise ValueError(f"[train] {path}: rng must be two unsigned 64-bit ints, but got {rng!r}")
    return about  # type: ignore[no-any-return]


def _difference(before: Any, now: Any) -> str:
    """The first entry in which two descriptions of a run differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in now:
            if before.get(name) != now[name]:
                return f"{name} was {before.get(name)!r}, but now is {now[name]!r}"
    if isinstance(before, str):
        return "the text differs"
    return f"was {before!r}, but now is {now!r}"


@contextlib.contextmanager
def _stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Ctrl-C asks the loop to stop after this step; a second one interrupts at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def handler(*_: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = signal.signal(signal.SIGINT, handler)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)

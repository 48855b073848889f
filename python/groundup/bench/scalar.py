"""The scalar engine against micrograd (``pip install micrograd``), operation by operation.

Both sides run the same Python statement in alternation, each on its own class, with the garbage collector on,
as it is in a program. A job is refused if the two disagree on data or gradients. Ratios say how many times
longer micrograd takes.
"""

from __future__ import annotations

import gc
import random
import statistics
import timeit
from collections.abc import Callable
from typing import Any

_STATEMENTS = {
    "create": "Value(2.0)",
    "add": "a + b",
    "add a number": "a + 2.0",
    "sub": "a - b",
    "mul": "a * b",
    "div": "a / b",
    "pow": "a ** 2",
    "neg": "-a",
    "relu": "a.relu()",
}
_UNROLL = 20  # copies of the statement in the timed loop, so that the loop itself hardly counts


def _mlp_loss(Value: Any, weights: list[Any], inputs: list[float]) -> Any:
    """The squared output of a network of 4, 16, 16 and 1 units on one example: about 1,100 values."""
    supply = iter(weights)
    units: list[Any] = [Value(x) for x in inputs]
    for width in (16, 16, 1):
        sums = []
        for _ in range(width):
            total = next(supply)
            for unit in units:
                total = total + next(supply) * unit
            sums.append(total)
        units = sums if width == 1 else [s.relu() for s in sums]
    return units[0] ** 2


def _paired(ours: Callable[[], float], theirs: Callable[[], float], pairs: int) -> tuple[float, float, float]:
    """Medians of both times and of their ratio, from runs in the order A B, B A, A B, …"""
    times = []
    for pair in range(pairs):
        if pair % 2 == 0:
            a = ours()
            b = theirs()
        else:
            b = theirs()
            a = ours()
        times.append((a, b, b / a))
    a, b, ratio = (statistics.median(column) for column in zip(*times, strict=True))
    return a, b, ratio


def run(pairs: int = 15) -> list[dict[str, Any]]:
    """Time every job on both sides.

    Args:
        pairs: alternating pairs of runs for each job.

    Returns:
        A dictionary a job: ``job``, ``ours_ns`` and ``theirs_ns`` (nanoseconds for one execution), ``ratio``.

    Raises:
        ImportError: micrograd is not installed.
        RuntimeError: the two sides gave different answers.
    """
    try:
        from micrograd.engine import Value as Theirs
    except ImportError as error:
        raise ImportError('micrograd is missing: pip install "micrograd"') from error
    from groundup.scalar import Value as Ours

    draw = random.Random(0)
    initial = [draw.uniform(-1, 1) for _ in range(16 * 5 + 16 * 17 + 17)]
    inputs = [draw.uniform(-1, 1) for _ in range(4)]

    def statement(cls: Any, code: str) -> Callable[[], float]:
        timer = timeit.Timer(
            "\n".join([code] * _UNROLL),
            "import gc; gc.enable(); Value, a, b = Class, Class(1.5), Class(-0.7)",
            globals={"Class": cls},
        )
        return lambda: timer.timeit(500) / (500 * _UNROLL)

    def network(cls: Any, job: str) -> Callable[[], float]:
        weights = [cls(w) for w in initial]
        if job == "MLP backward":
            timer = timeit.Timer(
                "backward()",
                "import gc; gc.enable()",
                globals={"backward": _mlp_loss(cls, weights, inputs).backward},
            )
        else:
            code = "loss(Value, weights, inputs)" + (".backward()" if job == "MLP both" else "")
            timer = timeit.Timer(
                code,
                "import gc; gc.enable()",
                globals={"loss": _mlp_loss, "Value": cls, "weights": weights, "inputs": inputs},
            )
        return lambda: timer.timeit(10) / 10

    _same_answers(Ours, Theirs, initial, inputs)
    jobs = [(job, statement(Ours, code), statement(Theirs, code)) for job, code in _STATEMENTS.items()]
    jobs += [
        (job, network(Ours, job), network(Theirs, job)) for job in ("MLP forward", "MLP backward", "MLP both")
    ]
    results = []
    gc.collect()
    gc.freeze()  # micrograd's graphs are cyclic garbage: its search should not depend on what else is there
    try:
        for job, ours, theirs in jobs:
            a, b, ratio = _paired(ours, theirs, pairs)
            results.append({"job": job, "ours_ns": a * 1e9, "theirs_ns": b * 1e9, "ratio": ratio})
    finally:
        gc.unfreeze()
    return results


def _same_answers(ours: Any, theirs: Any, initial: list[float], inputs: list[float]) -> None:
    answers = []
    for cls in (ours, theirs):
        weights = [cls(w) for w in initial]
        loss = _mlp_loss(cls, weights, inputs)
        loss.backward()
        a, b = cls(1.5), cls(-0.7)
        for code in _STATEMENTS.values():
            eval(code, {"Value": cls, "a": a, "b": b}).backward()
        answers.append([loss.data, a.grad, b.grad, *(w.grad for w in weights)])
    for mine, other in zip(*answers, strict=True):
        if abs(mine - other) > 1e-12 * max(1.0, abs(other)):
            raise RuntimeError(f"[bench scalar] the two sides differ: {mine} and {other}")


def main() -> None:
    """Print the table."""
    for row in run():
        print("{job:14} {ours_ns:12,.1f} ns  {theirs_ns:14,.1f} ns  {ratio:7.1f}x".format(**row))


if __name__ == "__main__":
    main()

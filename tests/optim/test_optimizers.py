"""Optimizers: both backends against each other and against steps worked by hand; groups, state, bad input."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import groundup as gu
from groundup import optim

BACKENDS = ("cpp", "numpy")
SHAPES: tuple[tuple[int, ...], ...] = ((72, 73), (5,), (), (0, 3), (129,), (3, 1, 2))

# Every option away from its default at least once.
CASES: dict[str, Callable[[Any], optim.Optimizer]] = {
    "sgd": functools.partial(optim.SGD, lr=0.1),
    "sgd-decay": functools.partial(optim.SGD, lr=0.1, weight_decay=0.05, maximize=True),
    "sgd-momentum": functools.partial(optim.SGD, lr=0.1, momentum=0.9, dampening=0.3),
    "sgd-nesterov": functools.partial(optim.SGD, lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.02),
    "rmsprop": functools.partial(optim.RMSprop),
    "rmsprop-momentum": functools.partial(optim.RMSprop, alpha=0.9, momentum=0.7, weight_decay=0.02),
    "rmsprop-centered": functools.partial(optim.RMSprop, alpha=0.8, eps=1e-3, centered=True, momentum=0.5),
    "rmsprop-maximize": functools.partial(optim.RMSprop, centered=True, eps=1e-3, maximize=True),
    "adagrad": functools.partial(optim.Adagrad),
    "adagrad-decay": functools.partial(
        optim.Adagrad, lr=0.1, lr_decay=0.03, weight_decay=0.02, initial_accumulator_value=0.5, maximize=True
    ),
    "adam": functools.partial(optim.Adam, lr=0.01),
    "adam-decay": functools.partial(optim.Adam, lr=0.01, betas=(0.8, 0.95), weight_decay=0.1, maximize=True),
    "adam-amsgrad": functools.partial(optim.Adam, lr=0.01, betas=(0.5, 0.9), eps=1e-4, amsgrad=True),
    "adamw": functools.partial(optim.AdamW, lr=0.01),
    "adamw-amsgrad": functools.partial(optim.AdamW, lr=0.03, weight_decay=0.3, amsgrad=True, maximize=True),
}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with gu.backend(request.param):
        yield request.param


def wrong(value: Any) -> Any:
    """A value of a type that the type checker would refuse as well."""
    return value


def parameter(*values: float, dtype: str = "float64") -> Any:
    return gu.tensor(np.array(values), dtype=dtype, requires_grad=True)


def parameters(dtype: str, shapes: tuple[tuple[int, ...], ...] = SHAPES) -> list[Any]:
    draw = np.random.default_rng(0)
    return [gu.tensor(draw.standard_normal(shape), dtype=dtype, requires_grad=True) for shape in shapes]


def give_gradients(params: list[Any], step: int, dtype: str) -> None:
    draw = np.random.default_rng(100 + step)
    for i, p in enumerate(params):
        grad = draw.standard_normal(tuple(p.shape))
        # The second parameter sits out every third step, so that the steps of a group differ.
        p.grad = None if i == 1 and step % 3 == 0 else gu.tensor(grad, dtype=dtype)


def train(
    make: Callable[[Any], optim.Optimizer], dtype: str, steps: int
) -> tuple[list[Any], optim.Optimizer]:
    params = parameters(dtype)
    optimizer = make(params)
    for step in range(steps):
        give_gradients(params, step, dtype)
        optimizer.step()
    return params, optimizer


def assert_close(a: Any, b: Any, dtype: str, what: str = "") -> None:
    # One scale for all elements: a parameter near zero has the absolute error of its steps.
    tolerance = 1e-12 if dtype == "float64" else 4e-6
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=tolerance, atol=tolerance, err_msg=what)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES)
def test_both_backends_agree_over_many_steps(case: str, dtype: str) -> None:
    runs = []
    for name in BACKENDS:
        with gu.backend(name):
            runs.append(train(CASES[case], dtype, 30))
    (params, optimizer), (reference_params, reference_optimizer) = runs
    start = parameters(dtype)
    for p, q, before in zip(params, reference_params, start, strict=True):
        assert_close(p, q, dtype)
        assert p.numpy().size == 0 or not np.array_equal(p.numpy(), before.numpy())
    state, reference_state = optimizer.state_dict()["state"], reference_optimizer.state_dict()["state"]
    assert state.keys() == reference_state.keys()
    for i in state:
        assert state[i].keys() == reference_state[i].keys()
        for key in state[i]:
            assert np.asarray(state[i][key]).dtype == np.asarray(reference_state[i][key]).dtype
            assert_close(state[i][key], reference_state[i][key], dtype, key)


def test_reference_keeps_float32() -> None:
    with gu.backend("numpy"):
        for make in CASES.values():
            params, optimizer = train(make, "float32", 2)
            arrays = [p.numpy() for p in params]
            arrays += [s[k].numpy() for s in optimizer.state.values() for k in s if k != "step"]
            assert {a.dtype for a in arrays} == {np.dtype("float32")}


# ------------------------------------------------------------------------------------------- by hand


def two_steps(optimizer: optim.Optimizer, p: Any, first: float, second: float) -> list[float]:
    values = []
    for grad in (first, second):
        p.grad = gu.tensor(np.array([grad]))
        optimizer.step()
        values.append(p.item())
    return values


@pytest.mark.usefixtures("backend")
def test_sgd_by_hand() -> None:
    p = parameter(1.0)
    # b = 0.5, p = 1 − 0.1 · 0.5;  b = 0.9 · 0.5 + 0.25 · 2 = 0.95, p = 0.95 − 0.095
    assert two_steps(optim.SGD([p], lr=0.1, momentum=0.9, dampening=0.75), p, 0.5, 2.0) == pytest.approx(
        [0.95, 0.855], rel=1e-14
    )
    p = parameter(1.0)
    # b = 0.5: 0.5 + 0.5 · 0.5 = 0.75;  b = 0.25 + 2 = 2.25: 2 + 0.5 · 2.25 = 3.125
    assert two_steps(optim.SGD([p], lr=0.1, momentum=0.5, nesterov=True), p, 0.5, 2.0) == pytest.approx(
        [0.925, 0.6125], rel=1e-14
    )


@pytest.mark.usefixtures("backend")
def test_rmsprop_by_hand() -> None:
    p = parameter(1.0)
    # v = 0.25 · 4 = 1, step 2 / 1;  v = 0.75 + 0.25 · 13 = 4, step √13 / 2
    values = two_steps(optim.RMSprop([p], lr=0.1, alpha=0.75, eps=0.0), p, 2.0, math.sqrt(13))
    assert values == pytest.approx([0.8, 0.8 - 0.05 * math.sqrt(13)], rel=1e-14)


@pytest.mark.usefixtures("backend")
def test_adagrad_by_hand() -> None:
    p = parameter(1.0)
    # s = 9, step 3 / 3;  s = 25, step 4 / 5 at lr 0.1 / (1 + 1)
    values = two_steps(optim.Adagrad([p], lr=0.1, lr_decay=1.0, eps=0.0), p, 3.0, 4.0)
    assert values == pytest.approx([0.9, 0.86], rel=1e-14)


@pytest.mark.usefixtures("backend")
def test_adam_by_hand() -> None:
    p = parameter(1.0)
    # m = 1, v = 2: m̂ = 2, v̂ = 4.  m = 0.5 + 0 = 0.5, v = 1: m̂ = 2/3, v̂ = 4/3
    values = two_steps(optim.Adam([p], lr=0.1, betas=(0.5, 0.5), eps=0.0), p, 2.0, 0.0)
    assert values == pytest.approx([0.9, 0.9 - 0.1 * (2 / 3) / math.sqrt(4 / 3)], rel=1e-14)
    p = parameter(1.0)
    # AMSGrad keeps the v of the first step: √(2 / 0.75)
    values = two_steps(optim.Adam([p], lr=0.1, betas=(0.5, 0.5), eps=0.0, amsgrad=True), p, 2.0, 0.0)
    assert values == pytest.approx([0.9, 0.9 - 0.1 * (2 / 3) / math.sqrt(8 / 3)], rel=1e-14)
    p = parameter(1.0)
    values = two_steps(optim.AdamW([p], lr=0.1, betas=(0.5, 0.5), eps=0.0, weight_decay=1.0), p, 2.0, 0.0)
    assert values == pytest.approx([0.8, 0.8 * 0.9 - 0.1 * (2 / 3) / math.sqrt(4 / 3)], rel=1e-14)


@pytest.mark.usefixtures("backend")
def test_not_a_number_stays_where_it_is() -> None:
    for make in CASES.values():
        params = parameters("float32", ((40,),))
        optimizer = make(params)
        grad = np.ones(40, "float32")
        grad[7] = np.nan
        params[0].grad = gu.tensor(grad)
        optimizer.step()
        assert np.flatnonzero(np.isnan(params[0].numpy())).tolist() == [7]


# ------------------------------------------------------------------------------- gradients and graphs


@pytest.mark.usefixtures("backend")
def test_minimizes_what_backward_differentiates() -> None:
    p = parameter(3.0, -2.0)
    optimizer = optim.Adam([p], lr=0.1)

    def closure() -> Any:
        optimizer.zero_grad()
        x = gu.exp(p) + gu.exp(p * -1.0)  # smallest at 0
        x.backward(gu.tensor(np.ones(2)))
        return "the loss"

    for _ in range(300):
        assert optimizer.step(closure) == "the loss"
    assert np.abs(p.numpy()).max() < 1e-2


@pytest.mark.usefixtures("backend")
def test_step_runs_the_closure_with_gradients_on() -> None:
    optimizer = optim.SGD([parameter(1.0)])
    with gu.no_grad():
        assert optimizer.step(gu.is_grad_enabled) is True
        assert not gu.is_grad_enabled()


@pytest.mark.usefixtures("backend")
def test_zero_grad() -> None:
    p, q = parameter(1.0), parameter(2.0)
    optimizer = optim.SGD([p, q])
    p.grad = gu.tensor(np.array([3.0]))
    kept = p.grad
    optimizer.zero_grad(set_to_none=False)
    assert kept.numpy().tolist() == [0.0] == p.grad.numpy().tolist() and q.grad is None
    optimizer.zero_grad()
    assert p.grad is None and q.grad is None


def test_a_step_is_an_in_place_write_that_the_tape_sees() -> None:
    p = parameter(1.0)
    y = gu.exp(p) * p  # backward needs p
    p.grad = gu.tensor(np.array([1.0]))
    before = p._version
    optim.AdamW([p]).step()
    assert p._version == before + 1
    with pytest.raises(ValueError, match="changed in place"):
        y.backward()


def test_a_skipped_parameter_counts_no_step() -> None:
    p, q = parameter(1.0), parameter(1.0)
    optimizer = optim.Adam([p, q])
    for _ in range(3):
        p.grad = gu.tensor(np.array([1.0]))
        optimizer.step()
    assert optimizer.state[p]["step"].item() == 3
    assert q not in optimizer.state and q.item() == 1.0
    q.grad = gu.tensor(np.array([5.0]))
    optimizer.step()
    assert q.item() == pytest.approx(1 - 1e-3, rel=1e-9)  # corrected as a first step


def test_bits_do_not_depend_on_threads() -> None:
    before = gu.num_threads()
    try:
        runs = []
        for threads in (1, 2, 3):
            gu.set_num_threads(threads)
            params = parameters("float32", ((70_001,), (33,), (50_000,)))
            optimizer = optim.AdamW(params)
            for step in range(3):
                give_gradients(params, step, "float32")
                optimizer.step()
            runs.append([p.numpy().tobytes() for p in params])
        assert runs[0] == runs[1] == runs[2]
    finally:
        gu.set_num_threads(before)


@pytest.mark.usefixtures("backend")
def test_micro_batches_add_up_to_one_batch() -> None:
    draw = np.random.default_rng(0)
    start, batch = draw.standard_normal((4,)), draw.standard_normal((6, 4))

    def gradient(rows: np.ndarray[Any, Any], p: Any, parts: int) -> None:
        # d/dp of the mean over rows of exp(row · p): the vector that backward starts from holds the mean
        y = gu.exp(gu.tensor(rows) * p)
        y.backward(gu.tensor(np.full(rows.shape, 1.0 / (len(rows) * parts))))

    results = []
    for parts in (1, 3):
        p = gu.tensor(start, requires_grad=True)
        optimizer = optim.AdamW([p], lr=0.1)
        for _ in range(5):
            for rows in np.split(batch, parts):
                gradient(rows, p, parts)
            optimizer.step()
            optimizer.zero_grad()
        results.append(p.numpy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-12)


# --------------------------------------------------------------------------------------------- groups


@pytest.mark.usefixtures("backend")
def test_groups_have_their_own_hyperparameters() -> None:
    p, q, r = parameter(1.0), parameter(1.0), parameter(1.0, dtype="float32")
    optimizer = optim.SGD([{"params": [p]}, {"params": q, "lr": 0.5, "name": "head"}], lr=0.25)
    optimizer.add_param_group({"params": [r], "lr": 2.0})
    for t in (p, q, r):
        t.grad = gu.tensor(np.array([1.0]), dtype=t.dtype)
    optimizer.step()
    assert (p.item(), q.item(), r.item()) == (0.75, 0.5, -1.0)
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.step()
    assert (p.item(), q.item(), r.item()) == (0.75, 0.0, -3.0)
    assert "group 1: 1 tensors, 1 parameters\n    lr: 0.5" in repr(optimizer)


@pytest.mark.usefixtures("backend")
def test_momentum_may_begin_later() -> None:
    p = parameter(1.0)
    optimizer = optim.SGD([p], lr=1.0)
    assert two_steps(optimizer, p, 1.0, 1.0) == [0.0, -1.0]
    assert optimizer.state == {}
    optimizer.param_groups[0]["momentum"] = 0.5
    assert two_steps(optimizer, p, 1.0, 1.0) == [-2.0, -3.5]  # b = 1, then 1.5


# ---------------------------------------------------------------------------------------------- state


@pytest.mark.parametrize("source", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_resumes_bit_for_bit(case: str, source: str) -> None:
    """Ten steps, or five, a save through plain arrays, and five more in a new optimizer."""
    with gu.backend(source):
        whole, _ = train(CASES[case], "float32", 10)
        params, optimizer = train(CASES[case], "float32", 5)
        saved = optimizer.state_dict()
        arrays = {i: {k: np.array(v) for k, v in state.items()} for i, state in saved["state"].items()}
        resumed = [gu.tensor(p.numpy(), requires_grad=True) for p in params]
        again = CASES[case](resumed)
        again.load_state_dict({"state": arrays, "param_groups": saved["param_groups"]})
        for step in range(5, 10):
            give_gradients(resumed, step, "float32")
            again.step()
        for p, q in zip(resumed, whole, strict=True):
            assert p.numpy().tobytes() == q.numpy().tobytes()


@pytest.mark.parametrize("case", CASES)
def test_state_moves_between_backends(case: str) -> None:
    with gu.backend("numpy"):
        params, optimizer = train(CASES[case], "float64", 4)
        state = optimizer.state_dict()
    with gu.backend("cpp"):
        moved = [gu.tensor(p.numpy(), requires_grad=True) for p in params]
        other = CASES[case](moved)
        other.load_state_dict(state)
        give_gradients(moved, 4, "float64")
        other.step()
    with gu.backend("numpy"):
        give_gradients(params, 4, "float64")
        optimizer.step()
    for p, q in zip(params, moved, strict=True):
        assert_close(p, q, "float64")


@pytest.mark.usefixtures("backend")
def test_state_dict_layout() -> None:
    params = parameters("float32", ((2, 3), (4,)))
    optimizer = optim.AdamW([{"params": params[0]}, {"params": params[1], "lr": 0.5}], amsgrad=True)
    assert optimizer.state_dict()["state"] == {}
    for step in (1, 2):
        give_gradients(params, step, "float32")
        optimizer.step()
    saved = optimizer.state_dict()
    assert [g["params"] for g in saved["param_groups"]] == [[0], [1]]
    assert [g["lr"] for g in saved["param_groups"]] == [1e-3, 0.5]
    assert list(saved["state"][0]) == ["step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"]
    assert saved["state"][0]["step"].item() == 2 and saved["state"][0]["exp_avg"].shape == (2, 3)
    # The tensors are the optimizer's own: another step shows in them.
    before = saved["state"][1]["exp_avg"].numpy().copy()
    optimizer.step()
    assert not np.array_equal(before, saved["state"][1]["exp_avg"].numpy())


@pytest.mark.usefixtures("backend")
def test_adagrad_has_its_sum_before_the_first_step() -> None:
    p = parameter(1.0, 2.0)
    optimizer = optim.Adagrad([p], initial_accumulator_value=0.25)
    assert (
        optimizer.state[p]["sum"].numpy().tolist() == [0.25, 0.25] and optimizer.state[p]["step"].item() == 0
    )


@pytest.mark.usefixtures("backend")
def test_loading_refuses_what_does_not_fit_and_changes_nothing() -> None:
    params, optimizer = train(functools.partial(optim.AdamW, lr=0.01), "float32", 3)
    saved = optimizer.state_dict()
    group = saved["param_groups"][0]
    state = {i: {k: np.array(v) for k, v in s.items()} for i, s in saved["state"].items()}

    def bad_state(i: int, **changes: Any) -> dict[str, Any]:
        entry = {k: v for k, v in {**state[i], **changes}.items() if v is not None}
        return {"state": {**state, i: entry}, "param_groups": [group]}

    refused: list[tuple[type[Exception], str, Any]] = [
        (KeyError, "[AdamW] the state must have 'state'", {"param_groups": [group]}),
        (KeyError, "[AdamW] the state must have 'param_groups'", {"state": state}),
        (ValueError, "[AdamW] the state must have 1 groups, but got 2", {"state": {}, "param_groups": [group] * 2}),
        (
            ValueError,
            "[AdamW] group 0 must have 6 parameters, but got 2",
            {"state": {}, "param_groups": [{"params": [0, 1]}]},
        ),
        (ValueError, "[AdamW] lr must be >= 0, but got -1", {"state": {}, "param_groups": [{**group, "lr": -1}]}),
        (
            ValueError,
            "[AdamW] the state must name parameters of its groups, but got 9",
            {"state": {9: {}}, "param_groups": [group]},
        ),
        (
            gu.ShapeError,
            "[AdamW] exp_avg of parameter 4 must have shape (129,), but got (128,)",
            bad_state(4, exp_avg=np.zeros(128)),
        ),
        (
            gu.DTypeError,
            "[AdamW] exp_avg of parameter 4 must hold floats, but got int64",
            bad_state(4, exp_avg=np.zeros(129, "int64")),
        ),
        (KeyError, "[AdamW] the state of parameter 4 must have 'exp_avg_sq'", bad_state(4, exp_avg_sq=None)),
        (KeyError, "[AdamW] the state of parameter 4 must have 'step'", bad_state(4, step=None)),
        (ValueError, "[AdamW] step of parameter 4 must be a count, but got -1", bad_state(4, step=-1)),
        (ValueError, "[AdamW] step of parameter 4 must be a count, but got 1.5", bad_state(4, step=1.5)),
        (ValueError, "[AdamW] step of parameter 4 must be a count, but got nan", bad_state(4, step=np.nan)),
        (ValueError, "but got 'momentum_buffer'", bad_state(4, momentum_buffer=np.zeros(129))),
    ]  # fmt: skip
    for error, message, given in refused:
        with pytest.raises(error) as caught:
            optimizer.load_state_dict(given)
        assert message in str(caught.value)
    for i, before in state.items():
        for key, value in before.items():
            assert np.array_equal(np.asarray(optimizer.state_dict()["state"][i][key]), value)
    assert optimizer.param_groups[0]["lr"] == 0.01 and optimizer.param_groups[0]["params"] == tuple(params)


@pytest.mark.usefixtures("backend")
def test_loading_forgets_what_was_there() -> None:
    _, optimizer = train(functools.partial(optim.Adam), "float32", 3)
    optimizer.load_state_dict({"state": {}, "param_groups": optimizer.state_dict()["param_groups"]})
    assert optimizer.state == {}


# ------------------------------------------------------------------------------------------ bad input


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.AdamW([p], lr=-1), "[AdamW] lr must be >= 0, but got -1"),
        (lambda p: optim.AdamW([p], lr=math.nan), "[AdamW] lr must be >= 0, but got nan"),
        (lambda p: optim.Adam([p], lr=math.inf), "[Adam] lr must be finite, but got inf"),
        (lambda p: optim.Adam([p], betas=(1.0, 0.9)), "[Adam] betas[0] must be in [0, 1), but got 1.0"),
        (lambda p: optim.Adam([p], betas=(0.9, -0.1)), "[Adam] betas[1] must be in [0, 1), but got -0.1"),
        (lambda p: optim.Adam([p], betas=(0.9, math.nan)), "[Adam] betas[1] must be in [0, 1), but got nan"),
        (lambda p: optim.Adam([p], eps=-1e-8), "[Adam] eps must be >= 0, but got -1e-08"),
        (lambda p: optim.AdamW([p], weight_decay=-0.1), "[AdamW] weight_decay must be >= 0, but got -0.1"),
        (lambda p: optim.SGD([p], momentum=-0.1), "[SGD] momentum must be >= 0, but got -0.1"),
        (lambda p: optim.SGD([p], dampening=math.inf), "[SGD] dampening must be finite, but got inf"),
        (
            lambda p: optim.SGD([p], nesterov=True),
            "[SGD] nesterov needs momentum > 0 and dampening 0, but got 0.0 and 0.0",
        ),
        (lambda p: optim.RMSprop([p], alpha=1.5), "[RMSprop] alpha must be in [0, 1], but got 1.5"),
        (lambda p: optim.Adagrad([p], lr_decay=-1), "[Adagrad] lr_decay must be >= 0, but got -1"),
        (
            lambda p: optim.Adagrad([p], initial_accumulator_value=-1),
            "[Adagrad] initial_accumulator_value must be >= 0, but got -1",
        ),
        (lambda _: optim.AdamW([]), "[AdamW] params must hold at least one tensor, but got none"),
        (lambda _: optim.AdamW([{"params": []}]), "[AdamW] params must hold at least one tensor, but got none"),
        (lambda p: optim.AdamW([p, p]), "[AdamW] a parameter must appear once, but number 1 is parameter 0 again"),
        (
            lambda p: optim.AdamW([{"params": [p]}, {"params": [p]}]),
            "[AdamW] a parameter must appear once, but number 1 is parameter 0 again",
        ),
        (lambda p: optim.AdamW([p, gu.exp(p)]), "[AdamW] parameters must be leaves, but parameter 1 was made by exp"),
        (
            lambda p: optim.SGD([{"params": [p], "learning_rate": 1}]),
            "[SGD] a group may have lr, momentum, dampening, weight_decay, nesterov, maximize, but got 'learning_rate'",
        ),
    ],
)  # fmt: skip
def test_refuses_values(make: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        make(parameter(1.0))
    assert str(caught.value).startswith(message)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (optim.AdamW, "[AdamW] params must be an iterable of tensors or of dictionaries, but got Tensor"),
        (lambda p: optim.AdamW({"params": [p]}), "[AdamW] params must be an iterable of tensors or of dictionaries"),
        (lambda _: optim.AdamW([1.0]), "[AdamW] params must hold tensors, but got float"),
        (lambda p: optim.AdamW([{"params": {p}}]), "[AdamW] params must be in a fixed order, but got set"),
        (lambda _: optim.AdamW([{"lr": 1.0}]), '[AdamW] a group must be a dictionary with "params", but got the keys'),
        (lambda p: optim.AdamW([p], lr=wrong("fast")), "[AdamW] lr must be a number, but got str"),
        (lambda p: optim.AdamW([p], betas=wrong(0.9)), "[AdamW] betas must be two numbers, but got 0.9"),
        (lambda p: optim.AdamW([p], amsgrad=wrong(1)), "[AdamW] amsgrad must be a bool, but got int"),
        (lambda _: optim.AdamW([gu.tensor([1, 2])]), "[AdamW] parameters must be float32 or float64, but got int64"),
        (
            lambda p: optim.AdamW([p, parameter(1.0, dtype="float32")]),
            "[AdamW] parameters of a group must have one dtype, but got float64 and float32",
        ),
    ],
)  # fmt: skip
def test_refuses_types(make: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        make(parameter(1.0))
    assert str(caught.value).startswith(message)


def test_refuses_a_mixture_of_backends() -> None:
    p = parameter(1.0)
    with gu.backend("numpy"), pytest.raises(TypeError, match="must all belong to one backend, but got both"):
        optim.AdamW([p, parameter(1.0)])


@pytest.mark.usefixtures("backend")
def test_refuses_read_only_memory() -> None:
    frozen = np.ones(3, "float32")
    frozen.flags.writeable = False
    with pytest.raises(
        ValueError, match=r"\[SGD\] parameters must be writable, but parameter 0 is read-only"
    ):
        optim.SGD([gu.from_numpy(frozen)])


def test_the_core_refuses_read_only_memory_too() -> None:
    frozen = np.ones(3, "float32")
    frozen.flags.writeable = False
    p = gu.tensor(np.ones(3, "float32"), requires_grad=True)
    p.grad = gu.from_numpy(frozen)
    with pytest.raises(ValueError, match=r"\[zero_grad\] a tensor's memory is read-only"):
        optim.SGD([p]).zero_grad(set_to_none=False)
    with pytest.raises(ValueError, match=r"\[clip_grad_norm_\] a tensor's memory is read-only"):
        optim.clip_grad_norm_([p], 0.1)
    with pytest.raises(ValueError, match=r"\[clip_grad_value_\] a tensor's memory is read-only"):
        optim.clip_grad_value_([p], 0.1)
    assert frozen.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.usefixtures("backend")
def test_a_failed_group_leaves_the_optimizer_as_it_was() -> None:
    p, q = parameter(1.0), parameter(1.0)
    optimizer = optim.SGD([p], lr=1.0)
    with pytest.raises(ValueError):
        optimizer.add_param_group({"params": [q, p]})
    optimizer.add_param_group({"params": [q]})
    assert len(optimizer.param_groups) == 2


@pytest.mark.usefixtures("backend")
def test_a_bad_rate_is_refused_before_anything_moves() -> None:
    p, q = parameter(1.0), parameter(1.0)
    optimizer = optim.SGD([{"params": p}, {"params": q}], lr=1.0)
    p.grad = q.grad = gu.tensor(np.array([1.0]))
    optimizer.param_groups[1]["lr"] = math.nan
    with pytest.raises(ValueError, match=r"\[SGD\] lr must be >= 0, but got nan"):
        optimizer.step()
    assert p.item() == q.item() == 1.0


# ------------------------------------------------------------------------------------------- clipping


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("norm_type", [1, 2, 3.5, 0.5, math.inf])
def test_clip_grad_norm(norm_type: float, dtype: str) -> None:
    params = parameters(dtype, (*SHAPES, (100, 101)))
    give_gradients(params, 1, dtype)
    params.append(parameter(1.0, dtype=dtype))  # without a gradient
    grads = [p.grad.numpy().copy() for p in params[:-1]]
    flat = np.concatenate([g.ravel() for g in grads]).astype("float64")
    inf = math.isinf(norm_type)
    norm = float(np.abs(flat).max() if inf else np.sum(np.abs(flat) ** norm_type) ** (1 / norm_type))
    tolerance = 1e-12 if dtype == "float64" else 3e-7
    returned = optim.clip_grad_norm_(iter(params), 2 * norm, norm_type)
    assert returned.shape == () and returned.dtype.name == dtype
    assert returned.item() == pytest.approx(norm, rel=tolerance)
    for p, g in zip(params, grads, strict=False):
        assert np.array_equal(p.grad.numpy(), g)  # below the limit nothing changes
    assert optim.clip_grad_norm_(params, norm / 3, norm_type).item() == pytest.approx(norm, rel=tolerance)
    for p, g in zip(params, grads, strict=False):
        np.testing.assert_allclose(p.grad.numpy(), g * (norm / 3 / (norm + 1e-6)), rtol=tolerance)


@pytest.mark.usefixtures("backend")
def test_clip_grad_norm_edges() -> None:
    p, q = parameter(0.0, 0.0), parameter(0.0, dtype="float32")
    assert optim.clip_grad_norm_([p, q], 1.0).item() == 0.0  # no gradients
    assert optim.clip_grad_norm_([], 1.0).item() == 0.0
    p.grad, q.grad = gu.tensor(np.array([3.0, 4.0])), gu.tensor([12.0])
    assert optim.clip_grad_norm_([p, q], math.inf).item() == 13.0  # float32 and float64 together
    assert optim.clip_grad_norm_(p, 0.0).item() == 5.0  # one tensor
    assert p.grad.numpy().tolist() == [0.0, 0.0] and q.grad.numpy().tolist() == [12.0]
    for size in (1e-200, 1e200, 1e308, 5e-324):  # squares of these are no doubles
        p.grad = gu.tensor(np.array([size, -size]))
        for norm_type in (2.0, 3.0):
            norm = optim.clip_grad_norm_([p], math.inf, norm_type).item()
            assert norm == pytest.approx(size * 2 ** (1 / norm_type), rel=1e-12, abs=5e-324)
    for value in (math.nan, math.inf):
        p.grad = gu.tensor(np.array([value, 1.0]))
        for norm_type in (1.0, 2.0, 3.0, math.inf):
            with pytest.raises(ValueError, match=rf"the total norm must be finite, but got {value}"):
                optim.clip_grad_norm_([p], 1.0, norm_type, error_if_nonfinite=True)
            assert p.grad.numpy().tolist()[1] == 1.0
        assert not math.isfinite(optim.clip_grad_norm_([p], 1.0).item())
        assert math.isnan(p.grad.numpy().tolist()[0])


def test_norm_does_not_depend_on_threads() -> None:
    params = parameters("float32", ((70_001,), (33,), (50_000,)))
    give_gradients(params, 1, "float32")
    before = gu.num_threads()
    try:
        norms = []
        for threads, norm_type in itertools.product((1, 2, 3), (1.0, 2.0, 3.0)):
            gu.set_num_threads(threads)
            norms.append(gu._core.clip_grad_norm(params, math.inf, norm_type, False))
        assert norms[:3] == norms[3:6] == norms[6:]
    finally:
        gu.set_num_threads(before)


@pytest.mark.usefixtures("backend")
def test_clip_grad_value() -> None:
    p, q = parameter(*[0.0] * 5), parameter(0.0)
    p.grad = gu.tensor(np.array([-3.0, -0.5, math.nan, math.inf, 0.25]))
    optim.clip_grad_value_([p, q], 0.5)
    np.testing.assert_array_equal(p.grad.numpy(), [-0.5, -0.5, math.nan, 0.5, 0.25])


@pytest.mark.usefixtures("backend")
def test_clipping_refuses_bad_input() -> None:
    p = parameter(1.0)
    with pytest.raises(ValueError, match=r"\[clip_grad_norm_\] max_norm must be >= 0, but got -1"):
        optim.clip_grad_norm_([p], -1)
    with pytest.raises(ValueError, match=r"\[clip_grad_norm_\] max_norm must be >= 0, but got nan"):
        optim.clip_grad_norm_([p], math.nan)
    with pytest.raises(ValueError, match=r"\[clip_grad_norm_\] norm_type must be > 0, but got 0"):
        optim.clip_grad_norm_([p], 1.0, 0)
    with pytest.raises(ValueError, match=r"\[clip_grad_value_\] clip_value must be >= 0, but got nan"):
        optim.clip_grad_value_([p], math.nan)
    with pytest.raises(TypeError, match=r"\[clip_grad_norm_\] parameters must be tensors, but got int"):
        optim.clip_grad_norm_([1], 1.0)
    with pytest.raises(TypeError, match=r"\[clip_grad_value_\] parameters must be tensors, but got int"):
        optim.clip_grad_value_(1, 1.0)


# --------------------------------------------------------------------------------- averages, stopping


def set_value(p: Any, value: Any) -> None:
    p.numpy()[...] = value


@pytest.mark.usefixtures("backend")
def test_plain_and_exponential_average() -> None:
    draw = np.random.default_rng(0)
    walk = draw.standard_normal((6, 40))
    for decay in (None, 0.75, 0.0):
        p, q = parameter(*np.zeros(40)), parameter(0.0, dtype="float32")
        average = optim.WeightAverage([p, q], decay=decay)
        for row in walk:
            set_value(p, row)
            set_value(q, row[0])
            average.update()
        expected = walk.mean(axis=0)
        if decay is not None:
            expected = walk[0]
            for row in walk[1:]:
                expected = decay * expected + (1 - decay) * row
        np.testing.assert_allclose(average.values[0].numpy(), expected, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(average.values[1].numpy(), expected[:1], rtol=2e-6)
        with average.applied():
            np.testing.assert_allclose(p.numpy(), expected, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(average.values[0].numpy(), walk[-1])
            with pytest.raises(ValueError, match="update needs the model's own weights"):
                average.update()
        np.testing.assert_array_equal(p.numpy(), walk[-1])


@pytest.mark.usefixtures("backend")
def test_average_state() -> None:
    p = parameter(1.0, 2.0)
    average = optim.WeightAverage([p])
    with pytest.raises(ValueError, match="swap needs an average"):
        average.swap()
    with pytest.raises(ValueError, match="restore needs a swap"):
        average.restore()
    average.update()
    state = {"values": [np.array(v) for v in average.state_dict()["values"]], "n_averaged": 1}
    other = optim.WeightAverage([parameter(5.0, 4.0)])
    other.load_state_dict(state)
    other.update()
    assert other.values[0].numpy().tolist() == [3.0, 3.0] and other.n_averaged == 2
    with pytest.raises(gu.ShapeError, match=r"value 0 must have shape \(2,\), but got \(3,\)"):
        other.load_state_dict({"values": [np.zeros(3)], "n_averaged": 1})
    with pytest.raises(ValueError, match="values must be 1 tensors, but got 0"):
        other.load_state_dict({"values": [], "n_averaged": 1})
    with pytest.raises(ValueError, match=r"n_averaged must be >= 0, but got -1"):
        other.load_state_dict({**state, "n_averaged": -1})
    with pytest.raises(KeyError):
        other.load_state_dict({})
    assert other.values[0].numpy().tolist() == [3.0, 3.0]
    with pytest.raises(ValueError, match=r"\[WeightAverage\] decay must be in \[0, 1\), but got 1"):
        optim.WeightAverage([p], decay=1)
    with pytest.raises(ValueError, match="at least one parameter"):
        optim.WeightAverage([])


def test_early_stopping() -> None:
    stopping = optim.EarlyStopping(patience=2, min_delta=0.1)
    history = [(loss, stopping.step(loss), stopping.improved) for loss in (1.0, 0.95, 0.8, math.nan, 0.75)]
    assert [stop for _, stop, _ in history] == [False, False, False, False, True]
    assert [improved for _, _, improved in history] == [True, False, True, False, False]
    assert (stopping.best, stopping.best_step, stopping.stopped) == (0.8, 3, True)
    up = optim.EarlyStopping(patience=1, mode="max")
    assert [up.step(gu.tensor(x)) for x in (0.5, 0.6, 0.6)] == [False, False, True]
    again = optim.EarlyStopping(patience=2, min_delta=0.1)
    again.load_state_dict(stopping.state_dict())
    assert again.stopped and again.best == 0.8
    for arguments, error in (
        ({"patience": 0}, "patience must be >= 1, but got 0"),
        ({"min_delta": -1.0}, "min_delta must be >= 0, but got -1.0"),
        ({"mode": "up"}, "mode must be 'min' or 'max', but got 'up'"),
    ):
        with pytest.raises(ValueError, match=error):
            optim.EarlyStopping(**arguments)
    with pytest.raises(TypeError, match="metric must be a number"):
        stopping.step("low")

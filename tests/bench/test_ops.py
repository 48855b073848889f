"""Every op can be measured: its sample binds, both faces run on it and agree."""

import numpy as np
import pytest

import groundup as gu
from groundup.bench import ops
from groundup.ops._spec import Sample


@pytest.mark.parametrize("name", sorted(gu.ops.specs()))
def test_both_faces_run_on_the_bench_sample(name: str) -> None:
    spec = gu.ops.spec(name)
    cpp, reference, work = ops.prepare(spec, ops.bench_sample(spec))
    assert work.bytes >= 0
    ours = cpp()
    with np.errstate(all="ignore"):
        theirs = reference()
    for a, b in zip(*(r if isinstance(r, (tuple, list)) else (r,) for r in (ours, theirs)), strict=True):
        assert np.asarray(a).shape == np.asarray(b).shape


def test_the_sample_is_float32() -> None:
    call = ops.bench_sample(gu.ops.spec("softmax"))
    assert isinstance(call, Sample)
    assert call.args[0].dtype == np.float32

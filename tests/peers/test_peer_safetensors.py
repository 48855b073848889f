"""Our safetensors files against the safetensors package, both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from groundup import safetensors as ours

theirs = pytest.importorskip("safetensors", reason="the peer suite needs the safetensors package")
theirs_numpy = pytest.importorskip("safetensors.numpy")
torch = pytest.importorskip("torch", reason="bfloat16 is compared through torch")
theirs_torch = pytest.importorskip("safetensors.torch")

RNG = np.random.default_rng(0)
TENSORS: dict[str, npt.NDArray[Any]] = {
    "transformer.wte.weight": RNG.standard_normal((7, 3)).astype(np.float32),
    "double": RNG.standard_normal(5),
    "half": RNG.standard_normal((2, 2)).astype(np.float16),
    "ids": RNG.integers(-9, 9, (3, 1)),
    "int": np.arange(3, dtype=np.int32),
    "bytes": np.arange(5, dtype=np.uint8),
    "mask": np.array([[True, False, True]]),
    "scalar": np.array(2.5, np.float32),
    "empty": np.zeros((0, 4), np.float32),
    "naïve 名": np.ones(1, np.float64),
}


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_same_bytes(metadata: dict[str, str] | None) -> None:
    assert ours.save(TENSORS, metadata) == theirs_numpy.save(TENSORS, metadata)


def test_theirs_reads_ours(tmp_path: Path) -> None:
    ours.save_file(TENSORS, tmp_path / "a.safetensors", {"format": "pt"})
    loaded = theirs_numpy.load_file(tmp_path / "a.safetensors")
    assert loaded.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(loaded[name], array, strict=True)


def test_ours_reads_theirs(tmp_path: Path) -> None:
    theirs_numpy.save_file(TENSORS, tmp_path / "a.safetensors", {"format": "pt"})
    loaded = ours.load_file(tmp_path / "a.safetensors")
    assert loaded.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(loaded[name], array, strict=True)


def test_bfloat16_against_torch(tmp_path: Path) -> None:
    wide = RNG.standard_normal((33, 5)).astype(np.float32)
    expected = torch.from_numpy(wide).to(torch.bfloat16)
    bits = ours.float32_to_bfloat16(wide)
    assert np.array_equal(bits, expected.view(torch.uint16).numpy())
    theirs_torch.save_file({"w": expected}, tmp_path / "t.safetensors")
    loaded = ours.load_file(tmp_path / "t.safetensors")["w"]
    assert ours.is_bfloat16(loaded) and np.array_equal(loaded, bits)
    assert np.array_equal(ours.bfloat16_to_float32(loaded), expected.float().numpy())
    ours.save_file({"w": bits}, tmp_path / "o.safetensors")
    assert torch.equal(theirs_torch.load_file(tmp_path / "o.safetensors")["w"], expected)

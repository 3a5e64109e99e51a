"""Shuffled batches are those of NumPy's permutation of the same seed, over more rows than are handled at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Run = Callable[..., Any]


@pytest.mark.parametrize("seed", [0, 1, 2**40])
@pytest.mark.parametrize(("rows", "size"), [(1, 1), (7, 3), (1_300_000, 400_000)])
def test_batches_are_those_of_the_permutation(run: Run, tmp_path: Path, rows: int, size: int, seed: int) -> None:
    # Integers, so that sums of squares are exact in int64.
    values = np.random.default_rng(5).integers(0, 100, rows)
    np.save(tmp_path / "p.npy", values)
    np.save(tmp_path / "t.npy", np.zeros(rows))
    words = ["--batch-size", size, "--shuffle", seed, "-r", "sum", "--format", "json"]
    ran = run("compute", tmp_path / "p.npy", tmp_path / "t.npy", *words)
    order = np.random.default_rng(seed).permutation(rows)
    expected = [int((values[order[start : start + size]] ** 2).sum()) for start in range(0, rows, size)]
    assert [batch["loss"] for batch in json.loads(ran.out)["batches"]] == expected

"""Columns of NPY arrays as labels, of any type; expected losses are hand arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("kind", "labels"),
    [("longdouble", ["0.0", "1.0"]), (">f8", ["0.0", "1.0"]), ("float16", ["0.0", "1.0"]), (">i2", ["0", "1"]),
     ("uint64", ["0", "1"]), ("bool", ["false", "true"])],
)  # fmt: skip
def test_a_column_of_any_type_divides_rows_into_groups(run: Run, tmp_path: Path, kind: str, labels: list[str]) -> None:
    np.save(tmp_path / "a.npy", np.array([[0, 1, 1], [1, 1, 0], [0, 0, 1], [1, 0, 0]]).astype(kind))
    ran = run("compute", tmp_path / "a.npy", "-p", "1", "-t", "2", "--by", "0")
    # Errors 0 and -1 in the first group, 1 and 0 in the other.
    assert (ran.code, ran.err) == (0, "")
    assert [line.split("\t") for line in ran.out.splitlines()[:2]] == [[label, "0.5"] for label in labels]


def test_long_floats_are_keys(run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", np.array([[0, 1], [1, 3]], dtype=np.longdouble))
    ran = run("compute", tmp_path / "a.npy", tmp_path / "b.npy", "-p", "1", "-t", "1", "--on", "0")
    assert (ran.code, ran.out) == (0, "0.0\n")

"""Parquet files whose footer describes other pages than those that are there, and columns that are no labels.

Expected losses are hand arithmetic, written beside the values.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

Run = Callable[..., Any]

LOSS = 1 / 3
"""Of predictions 1, 2, 3 against targets 1, 2, 4."""


def write(path: Path, prediction: list[float], last: Any, **options: Any) -> Path:
    columns = {"pred": prediction, "target": [1.0, 2.0, 4.0], "other": [0.0, 0.0, 0.0], "last": last}
    pq.write_table(pa.table(columns), path, **options)
    return path


LASTS = {
    "number": pa.array([1.0, 2.0, 3.0]),
    "text": pa.array(["a", "b", "c"]),
    "list": pa.array([[1, 2], [], None]),
    "struct": pa.array([{"a": 1, "b": "x"}] * 3),
}


@pytest.mark.parametrize("options", [{}, {"row_group_size": 1}, {"write_page_index": True}], ids=str)
@pytest.mark.parametrize("last", LASTS)
@pytest.mark.parametrize("target", ["target", "other", "last"])
def test_two_files_joined_by_cat_are_refused_whichever_columns_are_read(
    run: Run, tmp_path: Path, last: str, target: str, options: dict[str, Any]
) -> None:
    first = write(tmp_path / "a.parquet", [1.0, 2.0, 3.0], LASTS[last], **options)
    second = write(tmp_path / "b.parquet", [10.0, 20.0, 30.0], LASTS[last], **options)
    joined = tmp_path / "joined.parquet"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    if target == "target":
        assert float(run("compute", first, "-p", "pred", "-t", target).out) == LOSS
    ran = run("compute", joined, "-p", "pred", "-t", target)
    assert (ran.code, ran.out) == (3, "")
    assert target == "last" or "several Parquet files were joined into one" in ran.err


def test_joined_files_are_refused_where_the_last_column_cannot_be_read(run: Run, tmp_path: Path) -> None:
    options = {"write_page_checksum": True, "compression": "none", "use_dictionary": False}
    paths = [
        write(tmp_path / name, prediction, ["unreadable", "b", "c"], **options)
        for name, prediction in (("a.parquet", [1.0, 2.0, 3.0]), ("b.parquet", [10.0, 20.0, 30.0]))
    ]
    damaged = [path.read_bytes().replace(b"unreadable", b"UNREADABLE", 1) for path in paths]
    joined = tmp_path / "joined.parquet"
    joined.write_bytes(b"".join(damaged))
    ran = run("compute", joined, "-p", "pred", "-t", "target")
    assert (ran.code, ran.out) == (3, "")
    assert "several Parquet files were joined into one" in ran.err
    joined.write_bytes(damaged[0])
    assert float(run("compute", joined, "-p", "pred", "-t", "target").out) == LOSS

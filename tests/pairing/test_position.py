"""Rows of two files side by side.

The expected losses are those of NumPy on the arrays that were written; the first
row that disagrees is known from how the files were made.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from msecli.api import score
from msecli.errors import DataError
from msecli.formats import FORMATS
from msecli.results.score import Result
from tests.files import suffix, write
from tests.fuzz.sizes import reading_in

MIXTURES = [("csv", "tsv"), ("tsv", "parquet"), ("parquet", "npy"), ("npy", "csv")]
"""Every format on each side once: what pairs rows is blind to formats."""


def save(path: Path, values: NDArray[np.float64], index: list[Any] | None = None, name: str = "id") -> Path:
    """Write one column, v, with an index column before it where one is given."""
    return write(path, {"v": values} if index is None else {name: index, "v": values})


@pytest.fixture
def small_blocks() -> Iterator[None]:
    with reading_in({"part": 50, "array": 11, "rows": 5}):
        yield


def losses(result: Result) -> list[float]:
    found = asdict(result)["values"]
    return [float(value) for value in found.reshape(-1)]


def refusal(first: Path, second: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        score(first, second, **options)
    return str(caught.value)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(("first", "second"), MIXTURES)
@pytest.mark.usefixtures("small_blocks")
def test_rows_of_all_mixtures_of_formats_are_paired_in_order(
    tmp_path: Path, first: str, second: str, jobs: int
) -> None:
    prediction, target = np.arange(100.0), np.arange(100.0)[::-1].copy()
    paths = save(tmp_path / f"p.{first}", prediction), save(tmp_path / f"t.{second}", target)
    named = () if "npy" in (first, second) else "v"  # the same integers in both, in another order
    result = score(*paths, pred=named, reduction="none", jobs=jobs)
    assert losses(result) == ((prediction - target) ** 2).tolist()
    assert (result.rows.prediction, result.rows.target, result.rows.used) == (100, 100, 100)


@pytest.mark.parametrize("formats", [*MIXTURES, ("csv", "csv"), ("parquet", "parquet")])
@pytest.mark.parametrize(("rows", "other"), [(100, 99), (1, 100)])
@pytest.mark.usefixtures("small_blocks")
def test_different_numbers_of_rows_are_both_told(
    tmp_path: Path, formats: tuple[str, str], rows: int, other: int
) -> None:
    paths = save(tmp_path / f"p.{formats[0]}", np.zeros(rows)), save(tmp_path / f"t.{formats[1]}", np.zeros(other))
    message = refusal(*paths)
    assert f"{paths[0]} has {rows}" in message
    assert f"{paths[1]} has {other}" in message


def test_different_numbers_of_rows_are_told_before_missing_values(tmp_path: Path) -> None:
    paths = save(tmp_path / "p.csv", np.array([np.nan, 1.0])), save(tmp_path / "t.csv", np.array([1.0]))
    message = refusal(*paths)
    assert f"{paths[0]} has 2" in message
    assert f"{paths[1]} has 1" in message


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(
    rows=st.integers(1, 60),
    part=st.integers(1, 80),
    block=st.integers(1, 20),
    formats=st.tuples(*[st.sampled_from(list(FORMATS))] * 2),
    jobs=st.sampled_from([1, 2, 3]),
)
def test_blocks_of_any_sizes_are_paired_in_order(
    tmp_path_factory: pytest.TempPathFactory, *, rows: int, part: int, block: int, formats: tuple[str, str], jobs: int
) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    prediction, target = np.arange(float(rows)), np.sqrt(np.arange(float(rows)))
    paths = save(folder / f"p.{formats[0]}", prediction), save(folder / f"t.{formats[1]}", target)
    with reading_in({"part": part, "array": block, "rows": block + 1}):
        result = score(*paths, reduction="none", jobs=jobs)
    difference = prediction - target
    assert losses(result) == (difference * difference).tolist()


@pytest.mark.parametrize(("first", "second"), MIXTURES)
@pytest.mark.usefixtures("small_blocks")
def test_the_first_missing_row_of_each_side_is_told(tmp_path: Path, first: str, second: str) -> None:
    prediction, target = np.zeros(100), np.zeros(100)
    prediction[[30, 70]] = np.nan
    target[[99]] = np.nan
    paths = save(tmp_path / f"p.{first}", prediction), save(tmp_path / f"t.{second}", target)
    lines = refusal(*paths).splitlines()
    assert len(lines) == 2
    assert str(paths[0]) in lines[0]
    assert "2 of 100 values missing, the first in row 31" in lines[0]
    assert "nan_pred='omit'" in lines[0]
    assert str(paths[1]) in lines[1]
    assert "1 of 100 values missing, the first in row 100" in lines[1]
    assert "nan_target='omit'" in lines[1]


@pytest.mark.parametrize(("first", "second"), MIXTURES)
@pytest.mark.usefixtures("small_blocks")
def test_missing_rows_are_left_out_where_said(tmp_path: Path, first: str, second: str) -> None:
    prediction, target = np.full(100, 3.0), np.ones(100)
    prediction[[30, 70]] = np.nan
    target[[30, 99]] = np.nan
    paths = save(tmp_path / f"p.{first}", prediction), save(tmp_path / f"t.{second}", target)
    result = score(*paths, nan_target="omit", nan_pred="omit")
    elements = result.elements
    assert (result.loss, result.rows.used, elements.used) == (4.0, 97, 97)
    assert (elements.nan_prediction, elements.nan_target, elements.total) == (2, 2, 100)


INDEXED = [("csv", "tsv"), ("tsv", "parquet"), ("parquet", "csv"), ("parquet", "parquet"), ("csv", "csv")]
NAMES = ["id", "index", "row_id", "Unnamed: 0", "__index_level_0__", ""]


# Five mixtures and six names: ten cases, with each name once or twice.
@pytest.mark.parametrize(("formats", "name"), list(zip(INDEXED * 2, itertools.cycle(NAMES), strict=False)))
@pytest.mark.parametrize("kind", ["int", "text"])
@pytest.mark.usefixtures("small_blocks")
def test_an_index_of_both_files_must_agree(tmp_path: Path, formats: tuple[str, str], name: str, kind: str) -> None:
    first, second = formats
    index = [number if kind == "int" else f"r{number}" for number in range(50)]
    prediction = save(tmp_path / f"p.{first}", np.zeros(50), index, name)
    same = save(tmp_path / f"t.{second}", np.ones(50), index, name)
    assert score(prediction, same).loss == 1.0
    swapped = [*index[:40], index[41], index[40], *index[42:]]
    message = refusal(prediction, save(tmp_path / f"u.{second}", np.ones(50), swapped, name))
    assert f"{name!r}" in message
    assert ("row 41 (line 42)" in message) == bool({"csv", "tsv"}.intersection(formats))
    assert "row 41" in message
    assert f"{index[40]!r} in {prediction}" in message
    assert f"{index[41]!r} in {tmp_path / f'u.{second}'}" in message
    assert message.endswith(f"; to pair rows by {name!r}, use on={name!r}")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (pa.array([1, 2], pa.int8()), pa.array([1, 2], pa.uint64())),
        (pa.array([1, 2]), pa.array(["1", "2"])),
        (pa.array(["a", "b"]), pa.array(["a", "b"]).dictionary_encode()),
        (pa.array(["a", "b"]), pa.array(["a", "b"], pa.large_string())),
        (pa.array(["a", None]), pa.array(["a", None])),
    ],
    ids=lambda column: str(column.type),
)
def test_an_index_agrees_over_types(tmp_path: Path, ours: Any, theirs: Any) -> None:
    paths = tmp_path / "p.parquet", tmp_path / "t.parquet"
    for path, column in zip(paths, (ours, theirs), strict=True):
        pq.write_table(pa.table({"id": column, "v": [1.0, 2.0]}), path)
    assert score(*paths).loss == 0.0


@pytest.mark.parametrize(("ours", "theirs"), [(["a", None], ["a", "b"]), ([1, 2], [1, None]), ([1, 2], ["1", "x"])])
def test_an_index_disagrees_over_nulls_and_types(tmp_path: Path, ours: list[Any], theirs: list[Any]) -> None:
    paths = tmp_path / "p.parquet", tmp_path / "t.parquet"
    for path, column in zip(paths, (ours, theirs), strict=True):
        pq.write_table(pa.table({"id": column, "v": [1.0, 2.0]}), path)
    assert "row 2:" in refusal(*paths)


def test_an_index_of_numbers_that_turns_to_text_late_agrees_with_itself(tmp_path: Path) -> None:
    index = [str(number) for number in range(300)] + ["x1", "007"]
    paths = [save(tmp_path / name, np.zeros(302), index) for name in ("p.csv", "t.parquet")]
    assert score(*paths).loss == 0.0


def test_an_index_in_one_file_only_is_not_looked_at(tmp_path: Path) -> None:
    first = save(tmp_path / "p.csv", np.zeros(2), [7, 9])
    assert score(first, save(tmp_path / "t.csv", np.ones(2))).loss == 1.0


def test_an_index_that_is_scored_need_not_agree(tmp_path: Path) -> None:
    paths = save(tmp_path / "p.csv", np.zeros(2), [1, 2]), save(tmp_path / "t.csv", np.zeros(2), [1, 4])
    assert score(*paths, pred="id", target="id").loss == 2.0


def test_a_file_against_itself_is_zero(tmp_path: Path) -> None:
    for name in FORMATS:
        path = save(tmp_path / f"p{suffix(name)}", np.arange(1000.0) / 7)
        assert score(path, path).loss == 0.0


def test_columns_of_one_file_are_paired_in_pairs(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b,c,d\n1,2,3,5\n2,4,4,8\n")
    result = score(path, pred=("a", "b"), target=("c", "d"), reduction="none")
    assert losses(result) == [4.0, 9.0, 4.0, 16.0]
    assert (result.rows.used, result.elements.used) == (2, 4)

"""What holds for every source of rows: files of all formats, and tables and arrays in memory.

A format that is added to the table is tested here unasked, once `tests/files.py` can write it. Expected values are
those that went into the files; losses are hand arithmetic over them, or those of `fractions.Fraction`.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import msecli
from msecli.errors import DataError
from msecli.formats import FORMATS, open_source
from msecli.formats.base import Selection, Source
from msecli.text.reading import AS_FILES_SAY, Reading
from tests.files import WRITERS, Data, as_columns, held, opened, shards, suffix, write
from tests.fuzz.sizes import reading_in, tiny

Arrays = NDArray[Any]

FILES = list(FORMATS)


class Shared:
    """A table that shares its columns in one way alone."""

    def __init__(self, table: pa.Table, how: str) -> None:
        self._table, self._how = table, how

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") and name == self.__dict__.get("_how"):
            return getattr(self._table, name)
        raise AttributeError(name)


def table(data: Data) -> pa.Table:
    return pa.table({name: pa.array(values) for name, values in as_columns(data).items()})


MEMORY: dict[str, Callable[[Data], Any]] = {
    "DataFrame": lambda data: pd.DataFrame({name: _for_pandas(values) for name, values in as_columns(data).items()}),
    "Table": table,
    "stream": lambda data: Shared(table(data), "__arrow_c_stream__"),
    "interchange": lambda data: Shared(table(data), "__dataframe__"),
    "dict": lambda data: dict(as_columns(data)),
    **({"polars": lambda data: import_module("polars").from_arrow(table(data))} if find_spec("polars") else {}),
    "array": lambda data: data if isinstance(data, np.ndarray) else np.column_stack(list(data.values())),
}
FOLDERS = {f"folder of {format}": format for format in FILES}
"""Sources of several files, and the format of these."""
SOURCES = [*FILES, *FOLDERS, *MEMORY]
NAMED = [
    name for name in SOURCES if (WRITERS[FOLDERS.get(name, name)].named if name not in MEMORY else name != "array")
]
NAMELESS = [name for name in SOURCES if name not in NAMED]
UNCOUNTED = [
    *(name for name in SOURCES if name not in MEMORY and not WRITERS[FOLDERS.get(name, name)].counted),
    "stream",
]
"""Sources that do not tell their rows before they are read."""
UNDIVIDED = [*(name for name in FILES if not WRITERS[name].divided), "stream"]
"""Sources that are read in one part."""
TEXTS = [name for name in FILES if WRITERS[name].first_line]
"""The formats that have lines."""
KINDS = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]

sources = pytest.mark.parametrize("source", SOURCES)
files = pytest.mark.parametrize("format", FILES)


def _for_pandas(values: Any) -> Any:
    return values.to_pandas() if isinstance(values, pa.Array) else values


def made(folder: Path, source: str, data: Data, name: str = "x") -> Any:
    """Return a path of a file, or data in memory."""
    if source in MEMORY:
        return MEMORY[source](data)
    if source in FOLDERS:
        return str(shards(folder / f"{name} of {FOLDERS[source]}", FOLDERS[source], data))
    return str(write(folder / f"{name}{suffix(source)}", data))


def taken(data: Any) -> Source:
    return open_source(data, AS_FILES_SAY, "data")


def called(source: str, columns: Mapping[str, Any], name: str) -> str:
    """Return what a column is called in a source: the columns of an array are called by their numbers."""
    return name if source in NAMED else str(list(columns).index(name))


def numbers_of(found: Source, *names: str, jobs: int = 1) -> list[list[float | None]]:
    """Return the numbers of columns, None where one is missing."""
    values = held(found, names, jobs=jobs).numbers
    return [[None if math.isnan(value) else value for value in values[name].tolist()] for name in names]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("conformance")


def test_every_format_of_the_table_can_be_written_here() -> None:
    assert set(WRITERS) == set(FORMATS)
    assert {name for name in FILES if FORMATS[name].delimited} <= {n for n in FILES if not WRITERS[n].whole}


@sources
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_any_type_are_their_float64(tmp_path: Path, source: str, kind: str) -> None:
    dtype = np.dtype(kind)
    values = [0, 1] if kind == "?" else [1.5, -0.1, 6e4] if dtype.kind == "f" else [0, 7, np.iinfo(dtype).max]
    array = np.array(values, dtype)
    data = {"v": array, "w": array[::-1].copy()}
    expected = [float(value) for value in array.tolist()]
    assert numbers_of(taken(made(tmp_path, source, data)), called(source, data, "v")) == [expected]


@sources
@pytest.mark.parametrize("full", [False, True])
def test_a_look_tells_what_went_in(tmp_path: Path, source: str, full: bool) -> None:
    data = {"v": np.array([0.5, math.nan, -2.25] * 9), "w": np.arange(27.0)}
    (file,) = msecli.inspect(made(tmp_path, source, data), full=full).files
    found = {column.name: column for column in file.columns}
    numbers, counts = (found[called(source, data, name)] for name in "vw")
    assert file.rows in ({27} if full else {27, None})
    assert numbers.numeric
    told = {"missing": 9, "infinite": 0, "minimum": -2.25, "maximum": 0.5, "mean": -0.875, "distinct": 2}
    for name, value in told.items():
        # What is told of all values is true of them, and all of it is told where all were read.
        assert getattr(numbers.known, name) in ({value} if file.whole else {value, None})
    assert (counts.known.minimum, counts.known.maximum) in ({(0, 26)} if file.whole else {(0, 26), (None, None)})
    assert file.whole or not full


@sources
def test_infinities_subnormals_and_signed_zeros_are_kept(tmp_path: Path, source: str) -> None:
    writer = WRITERS.get(FOLDERS.get(source, source))
    zero = -0.0 if writer is None or writer.signed_zero else 0.0
    array = np.array([math.inf, -math.inf, 5e-324, zero, 1.7976931348623157e308])
    data = {"v": array, "w": array}
    found = held(taken(made(tmp_path, source, data)), [called(source, data, "v")])
    (values,) = found.numbers.values()
    assert values.tobytes() == array.tobytes()


@sources
def test_a_row_is_told_its_line_where_there_are_lines(tmp_path: Path, source: str) -> None:
    found = taken(made(tmp_path, source, {"a": [1.0, 2.0], "b": [3.0, 4.0]}))
    writer = WRITERS.get(FOLDERS.get(source, source))
    if writer and source in FOLDERS:
        begins = [block.begin for block in held(found, [called(source, {"a": 0, "b": 0}, "a")]).blocks]
        # One row in each file; nothing is known of files that neither have lines nor count their rows.
        place = f"line {writer.first_line}" if writer.first_line else "row 1" if writer.counted else None
        where = [place and f"{found.path}/part-{number}{suffix(found.format)}, {place}" for number in (9, 10)]
        assert [found.line(0 if begin else row, begin) for row, begin in enumerate(begins)] == where
        return
    lines = [writer.first_line, writer.first_line + writer.lines] if writer and writer.first_line else [None, None]
    assert [found.line(row) for row in range(2)] == lines


@sources
def test_missing_values_are_nan_in_their_places(tmp_path: Path, source: str) -> None:
    values = [1.0, math.nan, 3.0, math.nan]
    data = {"v": np.array(values), "w": np.array([math.nan, 2.0, 2.0, 2.0])}
    names = [called(source, data, name) for name in data]
    assert numbers_of(taken(made(tmp_path, source, data)), *names) == [[1.0, None, 3.0, None], [None, 2.0, 2.0, 2.0]]


@pytest.mark.parametrize("source", NAMED)
def test_columns_are_there_by_name_in_their_order_with_what_they_hold(tmp_path: Path, source: str) -> None:
    data = {"b": np.array([1.0, 2.0]), "a b": np.array([3, 4]), "é": pa.array(["x", "y"])}
    found = taken(made(tmp_path, source, data))
    assert [(column.name, column.numeric) for column in found.columns or ()] == [
        ("b", True), ("a b", True), ("é", False),
    ]  # fmt: skip
    assert found.item is None
    read = held(found, ["a b", "b"], ["é"])
    assert {name: values.tolist() for name, values in read.numbers.items()} == {"a b": [3.0, 4.0], "b": [1.0, 2.0]}
    assert read.labels == {"é": ["x", "y"]}


@pytest.mark.parametrize("source", NAMED)
@pytest.mark.parametrize(
    "labels", [["a", None, "b,c", "007", 'say "x"'], [3, -7, 0, 10**15, -(10**17)]], ids=["text", "integers"]
)
def test_labels_are_what_was_written(tmp_path: Path, source: str, labels: list[Any]) -> None:
    data = {"v": np.arange(5.0), "k": pa.array(labels)}
    found = held(taken(made(tmp_path, source, data)), ["v"], ["k"])
    assert found.labels["k"] == labels


@sources
def test_a_column_may_be_read_as_numbers_and_as_labels(tmp_path: Path, source: str) -> None:
    data = {"v": np.arange(9.0) / 2, "k": np.arange(9) % 4}
    name = called(source, data, "k")
    found = held(taken(made(tmp_path, source, data)), [name], [name])
    # An array has one type for all: its labels are those of floats, as 3.0.
    assert found.numbers[name].tolist() == list(map(float, found.labels[name])) == (np.arange(9) % 4).tolist()


@pytest.mark.parametrize("source", NAMELESS)
@pytest.mark.parametrize("shape", [(5,), (5, 1), (4, 3), (2, 3, 2), (1, 2, 1, 3)], ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_keeps_its_shape(tmp_path: Path, source: str, shape: tuple[int, ...], order: Any) -> None:
    array = np.asarray(np.sqrt(np.arange(np.prod(shape))).reshape(shape), order=order)
    found = taken(made(tmp_path, source, array))
    assert (found.rows, found.item) == (shape[0], shape[1:])
    columns = found.columns if len(shape) == 2 else ()
    assert [column.name for column in columns or ()] == [str(n) for n in range(shape[1] if len(shape) == 2 else 0)]
    assert np.array_equal(held(found).array, array)


TABLES = st.integers(1, 40).flatmap(
    lambda rows: st.lists(
        st.lists(st.floats(-1e9, 1e9) | st.just(math.nan), min_size=rows, max_size=rows), min_size=2, max_size=3
    )
)


@pytest.mark.slow
@sources
@settings(deadline=None, max_examples=60)
@given(table=TABLES, seed=st.integers(0, 10**6), jobs=st.sampled_from([1, 2, 3]))
def test_tiny_parts_give_the_same_bits_and_the_same_score(
    folder: Path, source: str, *, table: list[list[float]], seed: int, jobs: int
) -> None:
    columns = {f"c{number}": np.array(values) for number, values in enumerate(table)}
    # In a sheet, a row without any value is none.
    columns["n"] = np.arange(float(len(table[0])))
    data = made(folder, source, columns)
    names = [called(source, columns, name) for name in columns]
    way: dict[str, Any] = {"pred": names[0], "target": names[1], "nan_target": "propagate", "nan_pred": "propagate"}
    whole = msecli.score(data, **way)
    with reading_in(tiny(Random(seed))):  # noqa: S311 - sizes, not secrets
        found = held(taken(data), names, jobs=jobs)
        score = msecli.score(data, **way, jobs=jobs)
    for name, values in zip(names, columns.values(), strict=True):
        assert found.numbers[name].tobytes() == values.tobytes() or np.array_equal(
            found.numbers[name], values, equal_nan=True
        )
    assert repr(score) == repr(whole)


LABELS = st.lists(st.none() | st.text('a7",\n\ré ', min_size=1, max_size=6), min_size=1, max_size=30)


@pytest.mark.parametrize("source", NAMED)
@settings(deadline=None, max_examples=60)
@given(labels=LABELS, seed=st.integers(0, 10**6), jobs=st.sampled_from([1, 2, 3]))
def test_tiny_parts_hold_the_same_labels(
    folder: Path, source: str, labels: list[str | None], seed: int, jobs: int
) -> None:
    data = made(folder, source, {"v": np.arange(len(labels)), "k": pa.array(labels, pa.string())})
    with reading_in(tiny(Random(seed))):  # noqa: S311 - sizes, not secrets
        found = held(taken(data), ["v"], ["k"], jobs)
    assert found.numbers["v"].tolist() == [*range(len(labels))]
    # Where all labels of a part are whole numbers they are integers, which mean the same.
    assert [None if label is None else str(label) for label in found.labels["k"]] == labels


@sources
def test_parts_and_cuts_say_the_same(tmp_path: Path, source: str) -> None:
    data = {"v": np.arange(50.0), "w": np.arange(50.0)}
    name = called(source, data, "v")
    with reading_in({"part": 40, "array": 16, "rows": 8}):
        found = taken(made(tmp_path, source, data))
        parts, cuts = found.parts(Selection((name,))), found.cuts()
        assert (len(parts) > 1) == (source not in UNDIVIDED)
        assert (cuts is None) == (found.rows is None) == (source in UNCOUNTED)
        if cuts is None:
            return
        assert (cuts[0], cuts[-1], len(cuts)) == (0, 50, len(parts) + 1)
        assert found.rows == 50
        read = [[value for block in part.read() for value in block.numbers[name].tolist()] for part in parts]
        assert read == [data["v"][start:stop].tolist() for start, stop in pairwise(cuts)]
        if found.divisible:
            some = found.parts(Selection((name,)), range(5, 23))
            assert [v for part in some for block in part.read() for v in block.numbers[name].tolist()] == [
                *range(5, 23)
            ]


@sources
def test_the_work_of_the_blocks_is_that_of_the_source(tmp_path: Path, source: str) -> None:
    data = {"v": np.arange(50.0), "w": np.arange(50.0)}
    with reading_in({"part": 40, "array": 16, "rows": 8}):
        found = taken(made(tmp_path, source, data))
        blocks = held(found, [called(source, data, "v")]).blocks
    # The header of a text is read, but is no work; three files have three.
    delimited = found.format in FORMATS and FORMATS[found.format].delimited
    header = (len("v,w\n") if delimited else 0) * (3 if source in FOLDERS else 1)
    assert sum(block.work for block in blocks) + header == (found.work or 0)
    assert sum(block.rows for block in blocks) == 50


@sources
def test_no_rows_are_an_error(tmp_path: Path, source: str) -> None:
    with pytest.raises(DataError):
        held(taken(made(tmp_path, source, {"v": np.empty(0), "w": np.empty(0)})))


@files
def test_an_empty_file_is_an_error(tmp_path: Path, format: str) -> None:
    path = tmp_path / f"x{suffix(format)}"
    path.touch()
    with pytest.raises(DataError, match="empty"):
        opened(path)


@pytest.mark.slow
@files
def test_a_file_cut_off_anywhere_is_never_scored(tmp_path: Path, format: str) -> None:
    values = np.sqrt(np.arange(1.0, 10.0))
    content = WRITERS[format].content({"v": values, "w": values})
    path = tmp_path / f"x{suffix(format)}"
    # Text says nothing of its own size: there it is the number of rows that differs from that of the targets.
    last = len(content) if WRITERS[format].whole else content.rstrip().rindex(b"\n")
    names = {"v": values, "w": values}
    for size in range(1, last):
        path.write_bytes(content[:size])
        with pytest.raises(DataError):
            msecli.score(path, values, pred=called(format, names, "v"))
    path.write_bytes(content)
    assert msecli.score(path, values, pred=called(format, names, "v")).loss == 0.0


@files
def test_standard_input_is_read_like_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    data = {"pred": np.array([1.0, 4.0]), "target": np.array([2.0, 2.0])}
    content = WRITERS[format].content(data)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    way = {name: called(format, data, name) for name in data}
    result = msecli.score("-", pred=way["pred"], target=way["target"], reading=Reading(format=format))
    # The mean of 1 and 4.
    assert (result.loss, result.inputs[0].format) == (2.5, format)


ROWS = {
    "k": np.array([4, 1, 3, 2, 9]),
    "g": np.array([1, 2, 1, 2, 1]),
    "w": np.array([1.0, 0.5, 2.0, 0.0, 4.0]),
    "p": np.array([0.1, 0.2, 0.3, 0.4, 0.5]),
    "t": np.array([1.0, 1.5, 0.25, 7.0, 0.5]),
}
SQUARES = (ROWS["p"] - ROWS["t"]) * (ROWS["p"] - ROWS["t"])


def exactly(losses: Arrays, divisor: float) -> float:
    """Return the sum of float64 numbers over a divisor, rounded once."""
    return float(sum(map(Fraction, losses.tolist())) / Fraction(divisor))


@sources
def test_keys_groups_and_weights_are_columns_like_others(tmp_path: Path, source: str) -> None:
    order = [3, 0, 4, 2, 1]
    prediction = {"k": ROWS["k"], "p": ROWS["p"], "g": ROWS["g"]}
    target = {name: ROWS[name][order] for name in ("k", "t", "w")}
    data = made(tmp_path, source, prediction, "p"), made(tmp_path, source, target, "t")
    # The key is the first column on both sides, and so has the same name in arrays, too.
    on, pred, by = (called(source, prediction, name) for name in ("k", "p", "g"))
    aim, weight = (called(source, target, name) for name in ("t", "w"))
    matched = msecli.score(*data, pred=pred, target=aim, on=on)
    assert matched.loss == exactly(SQUARES, 5)
    assert matched.rows.matched == 5
    one = made(tmp_path, source, ROWS, "one")
    by, pred, aim, weight = (called(source, ROWS, name) for name in ("g", "p", "t", "w"))
    result = msecli.score(one, pred=pred, target=aim, weight=weight, by=by)
    found = {float(next(iter(entry.label.values()))): entry.score.loss for entry in result.groups}
    # The weights of the groups are 1 + 2 + 4 and 0.5 + 0.
    losses = ROWS["w"] * SQUARES
    assert found == {1.0: exactly(losses[[0, 2, 4]], 7.0), 2.0: exactly(losses[[1, 3]], 0.5)}


@sources
def test_weights_may_be_in_a_source_of_their_own(tmp_path: Path, source: str) -> None:
    weights = made(tmp_path, source, {"w": ROWS["w"]}, "weights")
    result = msecli.score(ROWS["p"], ROWS["t"], weight_file=weights)
    assert result.loss == exactly(ROWS["w"] * SQUARES, 7.5)


@sources
def test_sources_and_parts_are_read_alike_once_pickled(tmp_path: Path, source: str) -> None:
    data = {"v": np.sqrt(np.arange(50.0)), "w": np.arange(50.0)}
    names = [called(source, data, name) for name in data]
    with reading_in({"part": 100, "array": 16, "rows": 8}):
        found = taken(made(tmp_path, source, data))
        again = pickle.loads(pickle.dumps(found))
        assert (again.path, again.format, again.rows, again.columns) == (
            found.path, found.format, found.rows, found.columns,
        )  # fmt: skip
        assert numbers_of(again, *names) == [column.tolist() for column in data.values()]
        parts = found.parts(Selection(tuple(names)))
        there = pickle.loads(pickle.dumps(parts))
        for part, other in zip(parts, there, strict=True):
            ours, theirs = list(part.read()), list(other.read())
            assert [block.begin for block in ours] == [block.begin for block in theirs]
            assert [block.numbers[name].tolist() for block in ours for name in names] == [
                block.numbers[name].tolist() for block in theirs for name in names
            ]


READ = """
import pickle, sys
for parts in pickle.load(sys.stdin.buffer):
    print(sum(sum(values) for part in parts for block in part.read() for values in block.numbers.values()))
"""


def test_parts_are_read_in_other_processes_too(tmp_path: Path) -> None:
    data = {"v": np.arange(50.0), "w": np.arange(50.0)}
    found = [taken(made(tmp_path, name, data)) for name in SOURCES]
    # Files that were streamed here have no name.
    spooled = [stream(tmp_path, format, data) for format in FILES]
    selected = [
        source.parts(Selection((called(name, data, "v"),)))
        for name, source in zip([*SOURCES, *FILES], [*found, *spooled], strict=True)
    ]
    ran = subprocess.run([sys.executable, "-c", READ], input=pickle.dumps(selected), capture_output=True, check=True)
    # 0 + 1 + … + 49
    assert [float(line) for line in ran.stdout.split()] == [1225.0] * len(selected)


def stream(folder: Path, format: str, data: Data) -> Source:
    """Return the source of a file that comes through a pipe."""
    read, end = os.pipe()
    with os.fdopen(end, "wb") as writer:
        writer.write(WRITERS[format].content(data))
    try:
        return opened(f"/dev/fd/{read}", Reading(format=format))
    finally:
        os.close(read)


@files
def test_a_change_is_noticed_also_by_what_was_pickled_before(tmp_path: Path, format: str) -> None:
    data = {"v": np.arange(50.0), "w": np.arange(50.0)}
    path = tmp_path / f"x{suffix(format)}"
    found = opened(write(path, data))
    pickled = pickle.dumps(found)
    found.verify()
    with path.open("ab") as file:
        file.write(b"\n")
    with pytest.raises(DataError, match="changed"):
        found.verify()
    del found
    with pytest.raises(DataError, match="changed"):
        pickle.loads(pickled)


@files
def test_the_format_can_be_said_whatever_the_name_is(tmp_path: Path, format: str) -> None:
    path = tmp_path / "x.unknown"
    path.write_bytes(WRITERS[format].content({"v": np.arange(3.0), "w": np.arange(3.0)}))
    assert opened(path, Reading(format=format)).format == format

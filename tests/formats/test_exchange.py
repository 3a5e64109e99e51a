"""Tables of other libraries, shared through Arrow's PyCapsule interface or the interchange protocol; and readers.

Expected losses are hand arithmetic, or sums of `fractions.Fraction`.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import msecli
from msecli.errors import DataError
from msecli.formats import open_source
from msecli.text.reading import AS_FILES_SAY
from tests.files import held

ROWS = 1000
P, T = np.sqrt(np.arange(1.0, ROWS + 1)), np.cbrt(np.arange(1.0, ROWS + 1))
SQUARES = (P - T) * (P - T)
E = np.sin(np.arange(3.0 * ROWS)).reshape(ROWS, 3)
TABLE = pa.table({
    "pred": P, "target": T, "w": np.arange(ROWS) % 3, "g": ["a", "b"] * (ROWS // 2), "id": range(ROWS),
    "e": pa.array(E.tolist()),
})  # fmt: skip


def exactly(values: Any, divisor: float) -> float:
    """Return the sum of float64 numbers over a divisor, rounded once."""
    return float(sum(map(Fraction, np.ravel(values).tolist())) / Fraction(divisor))


LOSS = exactly(SQUARES, ROWS)


class Shared:
    """A table that shares its columns in one way alone, as often as it is asked to."""

    def __init__(self, table: Any, how: str) -> None:
        self._table, self._how = table, how

    def __getattr__(self, name: str) -> Any:
        if name == self._how:
            return getattr(self._table, name)
        raise AttributeError(name)


def polars(table: pa.Table) -> Any:
    return pytest.importorskip("polars").from_arrow(table)


def duckdb(table: pa.Table) -> Any:
    connection = pytest.importorskip("duckdb").connect()
    connection.register("rows", table)
    return connection.sql("select * from rows")


def nanoarrow(table: pa.Table) -> Any:
    return pytest.importorskip("nanoarrow").ArrayStream(table)


def batch(table: pa.Table) -> Any:
    (found,) = table.combine_chunks().to_batches()
    return found


KINDS: dict[str, Callable[[pa.Table], Any]] = {
    "Table": lambda table: table,
    "RecordBatch": batch,
    "RecordBatchReader": lambda table: table.to_reader(max_chunksize=100),
    "StructArray": lambda table: batch(table).to_struct_array(),
    "__arrow_c_stream__": lambda table: Shared(table, "__arrow_c_stream__"),
    "__arrow_c_array__": lambda table: Shared(batch(table), "__arrow_c_array__"),
    "__dataframe__": lambda table: Shared(table.drop(["e"]) if "e" in table.schema.names else table, "__dataframe__"),
    "polars": polars,
    "duckdb": duckdb,
    "nanoarrow": nanoarrow,
    "dict": lambda table: {name: table[name].to_pylist() for name in table.schema.names},
}
kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
@pytest.mark.parametrize("jobs", [1, 3])
def test_tables_of_every_library_are_scored(kind: str, jobs: int) -> None:
    result = msecli.score(KINDS[kind](TABLE), weight="w", by="g", jobs=jobs)
    weight = np.arange(ROWS) % 3
    assert result.loss == exactly(weight * SQUARES, float(weight.sum()))
    assert result.rows.prediction == ROWS
    assert [entry.score.loss for entry in result.groups] == [
        exactly((weight * SQUARES)[first::2], float(weight[first::2].sum())) for first in (0, 1)
    ]
    assert result.inputs[0].format == "memory"


@kinds
def test_two_tables_are_paired_by_position_and_by_key(kind: str) -> None:
    make = KINDS[kind]
    order = np.random.default_rng(3).permutation(ROWS)
    predictions, targets = TABLE.select(["id", "pred"]), TABLE.select(["id", "target"])
    ways: list[tuple[dict[str, Any], pa.Table]] = [({}, targets), ({"on": "id"}, targets.take(order))]
    for way, theirs in ways:
        assert msecli.score(make(predictions), make(theirs), pred="pred", target="target", **way).loss == LOSS
    with pytest.raises(DataError, match="column 'id' differs between"):
        msecli.score(make(predictions), make(targets.take(order)), pred="pred", target="target")
    with pytest.raises(DataError, match="different numbers of rows"):
        msecli.score(make(predictions), make(targets.slice(1)), pred="pred", target="target", row_check=False)


def test_queries_of_one_connection_are_scored_together() -> None:
    connection = pytest.importorskip("duckdb").connect()
    connection.register("rows", TABLE)
    predictions, targets = (f"select {name}, id from rows order by id" for name in ("pred", "target"))
    for key in ((), "id"):
        assert msecli.score(connection.sql(predictions), connection.sql(targets), on=key).loss == LOSS
    found = msecli.compare({name: connection.sql(predictions) for name in "ab"}, connection.sql(targets), test="none")
    assert [system.loss for system in found.systems] == [LOSS, LOSS]
    weights = "select w from rows order by id"
    assert msecli.score(connection.sql("select * from rows"), weight_file=connection.sql(weights)).loss == exactly(
        (np.arange(ROWS) % 3) * SQUARES, float((np.arange(ROWS) % 3).sum())
    )
    # The connection is free again, and the relations can be read again.
    assert connection.sql("select count(*) from rows").fetchall() == [(ROWS,)]


@pytest.mark.parametrize("kind", [name for name in KINDS if name != "__dataframe__"])
def test_lists_are_rows_of_elements(kind: str) -> None:
    assert msecli.score(KINDS[kind](TABLE), np.zeros_like(E), pred="e").loss == exactly(E * E, E.size)


@kinds
def test_what_needs_several_passes_is_read_as_often(kind: str) -> None:
    make = KINDS[kind]
    expected = msecli.score(TABLE, by_bins="id:4")
    assert [entry.score.loss for entry in msecli.score(make(TABLE), by_bins="id:4").groups] == [
        entry.score.loss for entry in expected.groups
    ]
    found = msecli.score(make(TABLE), batch_size=300, shuffle=5, drop_last=True)
    assert [entry.score.loss for entry in found.batches] == [
        entry.score.loss for entry in msecli.score(TABLE, batch_size=300, shuffle=5, drop_last=True).batches
    ]
    assert found.rows.dropped == 100
    assert [row.row for row in msecli.score(make(TABLE), worst=2).worst or ()] == [ROWS, ROWS - 1]


@kinds
def test_other_commands_take_them_too(kind: str) -> None:
    make = KINDS[kind]
    compared = msecli.compare({"a": make(TABLE.select(["pred"])), "b": T}, make(TABLE.select(["target"])))
    assert [system.loss for system in compared.systems] == [LOSS, 0.0]
    # The largest prediction is the square root of 1000.
    assert msecli.norm(make(TABLE), columns="pred", ord=float("inf")).norms["inf"] == P[-1]
    assert msecli.linear(make(TABLE), coef=[1.0], inputs="pred", target="target").loss == LOSS


@pytest.mark.parametrize("kind", ["RecordBatchReader", "nanoarrow", "__arrow_c_stream__", "duckdb"])
def test_what_comes_in_batches_is_pickled_with_all_of_them(kind: str) -> None:
    source = open_source(KINDS[kind](TABLE), AS_FILES_SAY, "x")
    for _ in range(2):
        there = pickle.loads(pickle.dumps(source))
        assert held(there, ["pred"]).numbers["pred"].tolist() == P.tolist()
    assert held(source, ["pred"]).numbers["pred"].tolist() == P.tolist()


def counting(batches: int, most: list[int]) -> pa.RecordBatchReader:
    """Return a reader of so many batches of 8 MB, which records how many of them are alive at once."""
    rows = 1 << 19
    schema = pa.schema({"pred": pa.float64(), "target": pa.float64()})

    def made() -> Iterator[pa.RecordBatch]:
        for _ in range(batches):
            most.append(pa.total_allocated_bytes() - before)
            columns = [pa.nulls(rows, pa.float64()).fill_null(value) for value in (3.0, 1.0)]
            yield pa.record_batch(columns, schema)

    before = pa.total_allocated_bytes()
    return pa.RecordBatchReader.from_batches(schema, made())


def test_a_reader_is_read_as_it_comes_in_bounded_memory() -> None:
    allocated: list[int] = []
    result = msecli.score(counting(40, allocated), jobs=2)
    assert (result.loss, result.rows.prediction) == (4.0, 40 << 19)
    # 320 MB in all; a few batches at a time.
    assert max(allocated) < 80 << 20
    allocated.clear()
    assert msecli.norm(counting(40, allocated), columns="pred").norms["2"] == (9.0 * (40 << 19)) ** 0.5
    assert max(allocated) < 80 << 20


def test_a_reader_is_consumed_once() -> None:
    reader = TABLE.to_reader()
    assert msecli.score(reader).loss == LOSS
    with pytest.raises(DataError, match="no rows"):
        msecli.score(reader)


def test_a_reader_that_fails_is_told_with_its_reason() -> None:
    schema = pa.schema({"pred": pa.float64(), "target": pa.float64()})

    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch([[1.0], [2.0]], schema)
        raise RuntimeError("the warehouse\nis closed")

    for jobs in (1, 2):
        with pytest.raises(DataError, match=r"^predictions: the batches cannot be read \(.*the warehouse is closed"):
            msecli.score(pa.RecordBatchReader.from_batches(schema, batches()), jobs=jobs)


class Failing:
    """A connection that is gone."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        raise RuntimeError("no connection")


class Lazy:
    """A query."""

    def collect(self) -> None:
        """Return nothing; it is not called."""


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (Failing(), r"the Failing cannot be read \(no connection\)"),
        (Lazy(), r"a Lazy is yet to be computed; pass what its collect\(\) returns"),
        (pa.table({"a": [1.0]}).slice(1), "no rows"),
        (pa.table([pa.array([1.0]), pa.array([2.0])], names=["p", "p"]), "2 columns are named 'p'"),
        (pa.table([pa.array([1.0]), pa.array([2.0])], names=["p", "p"]).to_reader(), "2 columns are named 'p'"),
        ({"a": [1.0, 2.0], "b": [1.0]}, "different numbers of rows: 'a' has 2, 'b' has 1"),
        ({"a": np.empty((0, 3))}, r"column 'a': the array of shape \(0, 3\) has no rows"),
        ({"a": 3.0}, r"column 'a': the array of shape \(\) has no rows"),
        ({"a": object()}, "column 'a'"),
        ({}, "no rows"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_read_is_told(data: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        msecli.score(data, pred="a", target="a")


def test_a_polars_lazy_frame_is_collected_by_whoever_has_it() -> None:
    with pytest.raises(DataError, match=r"a LazyFrame is yet to be computed; pass what its collect\(\) returns"):
        msecli.score(polars(TABLE).lazy())


def test_columns_of_polars_are_numbers_texts_and_lists() -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({
        "p": pl.Series([1, None, 3], dtype=pl.Int64),
        "t": pl.Series([2.0, 2.0, 5.0], dtype=pl.Float32),
        "c": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
        "a": pl.Series([[1, 2], [3, 4], [5, 6]], dtype=pl.Array(pl.Int16, 2)),
        "b": pl.Series([[1.0, 3.0], None, [5.0, 8.0]], dtype=pl.List(pl.Float64)),
        "s": [{"v": 1.0}, {"v": 2.0}, {"v": 6.0}],
    })  # fmt: skip
    # 1 and 4, both of x
    result = msecli.score(frame, pred="p", target="t", by="c", nan_pred="omit")
    assert [(entry.label["c"], entry.score.loss) for entry in result.groups] == [("x", 2.5), ("y", None)]
    # The mean of 0, 1, 0 and 4.
    assert msecli.score(frame, pred="a", target="b", nan_target="omit").loss == 1.25
    # The mean of 1, 0 and 1.
    assert msecli.score(frame, pred="s.v", target="t").loss == 2 / 3
    # Columns alone: the mean of 1 and 4.
    assert msecli.score(frame["p"], frame["t"], nan_pred="omit").loss == 2.5


def test_arrays_by_name_are_columns_of_any_kind() -> None:
    data = {
        "pred": np.array([1.0, 2.0], ">f8"),
        "target": pd.Series([2.0, 4.0]),
        "g": np.array(["a", "b"]),
        "e": np.arange(12.0).reshape(2, 3, 2),
        "z": pa.chunked_array([[1], [2]]),
        "m": np.ma.masked_array([1.0, 2.0], [False, True]),
        "f": np.array([0.5, 1.0], np.float16),
    }
    result = msecli.score(data, pred="pred", target="target", by="g")
    assert (result.loss, [entry.score.loss for entry in result.groups]) == (2.5, [1.0, 4.0])
    # The mean of the squares of 0 to 11.
    assert msecli.score(data, np.zeros((2, 3, 2)), pred="e").loss == 506 / 12
    assert msecli.score(data, pred="m", target="z", nan_pred="omit").loss == 0.0
    assert msecli.score(data, pred="f", target="z").loss == 0.625

"""Columns that hold lists of numbers are read as the rows of an array, whatever the source.

Expected losses are sums of `fractions.Fraction`, rounded once, or hand arithmetic.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray

import msecli
from msecli.errors import DataError
from msecli.formats import open_source
from msecli.formats.base import shape_of
from msecli.text.reading import AS_FILES_SAY
from tests.files import arrow_bytes, held, parquet_bytes
from tests.fuzz.sizes import reading_in

NAN = math.nan
P = np.sqrt(np.arange(1.0, 61.0)).reshape(20, 3)
T = np.cbrt(np.arange(1.0, 61.0)).reshape(20, 3)
W = np.arange(60.0).reshape(20, 3) % 5
KINDS: dict[str, Any] = {
    "list": pa.list_(pa.float64()),
    "large_list": pa.large_list(pa.float64()),
    "fixed_size_list": pa.list_(pa.float64(), 3),
    "list_view": pa.list_view(pa.float64()),
}


def in_parquet(folder: Path, table: pa.Table, name: str) -> str:
    return written(folder, f"{name}.parquet", parquet_bytes(table, row_group_size=7))


def written(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


SOURCES: dict[str, Callable[[Path, pa.Table, str], Any]] = {
    "parquet": in_parquet,
    "arrow": lambda folder, table, name: written(folder, f"{name}.arrow", arrow_bytes(table)),
    "arrows": lambda folder, table, name: written(folder, f"{name}.arrows", arrow_bytes(table, stream=True)),
    "Table": lambda _, table, __: table,
    "reader": lambda _, table, __: table.to_reader(max_chunksize=6),
    "DataFrame": lambda _, table, __: table.to_pandas(),
}
sources = pytest.mark.parametrize("source", SOURCES)
Arrays = NDArray[np.float64]


def lists(values: Arrays | list[Any], kind: str = "list") -> pa.Array:
    return pa.array(values.tolist() if isinstance(values, np.ndarray) else values, KINDS[kind])


def elements(source: Any, name: str = "e") -> Arrays:
    """Return what a column of lists holds, once the length of the lists is known."""
    found = open_source(source, AS_FILES_SAY, "x")
    shape = shape_of(found, name)
    values = held(found, [name]).numbers[name]
    assert values.shape[1:] == shape
    return values


def exactly(values: Arrays, divisor: float) -> float:
    """Return the sum of float64 numbers over a divisor, rounded once."""
    return float(sum(map(Fraction, values.ravel().tolist())) / Fraction(divisor))


SQUARES = (P - T) * (P - T)


@sources
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("jobs", [1, 3])
def test_a_column_of_lists_is_scored_element_by_element(tmp_path: Path, source: str, kind: str, jobs: int) -> None:
    if kind == "list_view" and source in {"parquet", "DataFrame"}:
        pytest.skip("pyarrow writes no views to Parquet, and makes no objects of them")
    data = [
        SOURCES[source](tmp_path, pa.table({"embedding": lists(values, kind), "id": range(20)}), name)
        for values, name in ((P, "p"), (T, "t"))
    ]
    result = msecli.score(*data, pred="embedding", target="embedding", jobs=jobs)
    assert result.loss == exactly(SQUARES, 60)
    assert (result.rows.used, result.elements.total) == (20, 60)
    assert [each.columns for each in result.inputs] == [("embedding",)] * 2


@sources
def test_the_name_of_the_prediction_alone_is_enough(tmp_path: Path, source: str) -> None:
    data = [SOURCES[source](tmp_path, pa.table({"e": lists(v)}), name) for v, name in ((P, "p"), (T, "t"))]
    assert msecli.score(*data, pred="e").loss == exactly(SQUARES, 60)


@sources
def test_lists_with_known_names_are_chosen_and_others_are_not(tmp_path: Path, source: str) -> None:
    make = SOURCES[source]
    one = pa.table({"id": range(20), "pred": lists(P), "target": lists(T), "other": lists(T)})
    assert msecli.score(make(tmp_path, one, "one")).loss == exactly(SQUARES, 60)
    assert msecli.score(make(tmp_path, one.drop(["target"]), "p"), T).loss == exactly(SQUARES, 60)
    other = [make(tmp_path, pa.table({"id": range(20), "e": lists(v)}), name) for v, name in ((P, "x"), (T, "y"))]
    with pytest.raises(DataError, match=r"lists are scored only if they are named: .*; for example, use pred='e'"):
        msecli.score(*other)
    numbers = pa.table({"e": lists(P), "y_pred": P[:, 0], "y": T[:, 0]})
    assert msecli.score(make(tmp_path, numbers, "numbers")).loss == exactly(SQUARES[:, 0], 20)


@sources
def test_lists_are_scored_against_an_array_of_the_same_rows(tmp_path: Path, source: str) -> None:
    np.save(tmp_path / "t.npy", T)
    table = pa.table({"e": lists(P), "v": P[:, 0]})
    for target in (str(tmp_path / "t.npy"), T):
        assert msecli.score(SOURCES[source](tmp_path, table, "p"), target, pred="e").loss == exactly(SQUARES, 60)
        assert msecli.score(target, SOURCES[source](tmp_path, table, "p"), target="e").loss == exactly(SQUARES, 60)


@sources
def test_lists_of_one_value_are_numbers(tmp_path: Path, source: str) -> None:
    table = pa.table({"p": lists(P[:, :1]), "t": T[:, 0]})
    assert msecli.score(SOURCES[source](tmp_path, table, "p"), pred="p", target="t").loss == exactly(SQUARES[:, 0], 20)


DEEP = np.sqrt(np.arange(48.0)).reshape(4, 2, 3, 2)


@sources
@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.list_(pa.list_(pa.float64()))),
        pa.list_(pa.large_list(pa.list_(pa.float64(), 2))),
        pa.list_(pa.list_(pa.list_(pa.float64(), 2), 3), 2),
        pa.list_(pa.list_(pa.list_(pa.float64())), 2),
    ],
    ids=str,
)
def test_lists_of_lists_are_arrays_of_more_dimensions(tmp_path: Path, source: str, kind: Any) -> None:
    table = pa.table({"e": pa.array(DEEP.tolist(), kind)})
    assert np.array_equal(elements(SOURCES[source](tmp_path, table, "x")), DEEP)
    result = msecli.score(SOURCES[source](tmp_path, table, "y"), np.zeros_like(DEEP), pred="e", axis=(1, 3))
    assert result.values is not None  # noqa: PD011 - not pandas
    assert np.allclose(result.values, np.mean(DEEP**2, axis=(1, 3)), rtol=1e-15)


@sources
def test_a_tensor_type_gives_its_shape_in_its_order(tmp_path: Path, source: str) -> None:
    if source == "DataFrame":
        pytest.skip("pandas holds flat lists, whatever the shape was")
    # Stored as (3, 2), meant as (2, 3): the axes of the type are permuted.
    kind = pa.fixed_shape_tensor(pa.float64(), [3, 2], permutation=[1, 0])
    stored = np.arange(24.0).reshape(4, 3, 2)
    flat = pa.FixedSizeListArray.from_arrays(pa.array(stored.ravel()), 6)
    table = pa.table({"e": pa.ExtensionArray.from_storage(kind, flat)})
    assert np.array_equal(elements(SOURCES[source](tmp_path, table, "x")), stored.transpose(0, 2, 1))


HOLEY = [[1.0, None, 3.0], None, [4.0, 5.0, 6.0], [None, None, None], None]
HOLES = [[1.0, NAN, 3.0], [NAN] * 3, [4.0, 5.0, 6.0], [NAN] * 3, [NAN] * 3]


@sources
@pytest.mark.parametrize("kind", ["list", "large_list", "fixed_size_list"])
@pytest.mark.parametrize("first", [0, 1, 3], ids=["a list first", "a null first", "a list of nulls first"])
def test_a_null_list_is_a_row_of_missing_values(tmp_path: Path, source: str, kind: str, first: int) -> None:
    rows, expected = HOLEY[first:] + HOLEY[:first], HOLES[first:] + HOLES[:first]
    table = pa.table({"e": lists(rows, kind)})
    with reading_in({"rows": 2}):
        found = elements(SOURCES[source](tmp_path, table, "x"))
    assert np.array_equal(found, np.array(expected), equal_nan=True)
    data = SOURCES[source](tmp_path, table, "y")
    result = msecli.score(data, np.zeros((5, 3)), pred="e", nan_pred="omit")
    # 1 + 9 + 16 + 25 + 36
    assert (result.loss, result.elements.nan_prediction) == (87 / 5, 10)


def test_what_lies_under_a_null_list_is_no_value() -> None:
    offsets, values = pa.array([0, 2, 5, 7], pa.int32()), pa.array([1.0, 2.0, 7.0, 8.0, 9.0, 3.0, 4.0])
    hidden = pa.ListArray.from_arrays(offsets, values, mask=pa.array([False, True, False]))
    fixed = pa.FixedSizeListArray.from_arrays(values[:6], 2, mask=pa.array([False, True, False]))
    for array, last in ((hidden, [3.0, 4.0]), (fixed, [9.0, 3.0]), (hidden.slice(0, 3), [3.0, 4.0])):
        assert np.array_equal(elements(pa.table({"e": array})), [[1.0, 2.0], [NAN, NAN], last], equal_nan=True)


@sources
@pytest.mark.parametrize("rows", [2, 1 << 17])
@pytest.mark.parametrize(("row", "length"), [(1, 2), (7, 4), (12, 0), (19, 1)])
def test_the_first_list_of_another_length_is_told_with_both(
    tmp_path: Path, source: str, rows: int, row: int, length: int
) -> None:
    values = P.tolist()
    values[row] = [0.5] * length
    data = SOURCES[source](tmp_path, pa.table({"e": pa.array(values)}), "p")
    with reading_in({"rows": rows}), pytest.raises(DataError) as caught:
        msecli.score(data, T, pred="e")
    message = str(caught.value)
    assert f"column 'e': row {row + 1} holds a list of " in message
    counts = (f"({length},)", "(3,)") if source == "DataFrame" else (f"{length} value", "3 values")
    assert all(count in message for count in counts)


@pytest.mark.parametrize("source", [name for name in SOURCES if name != "DataFrame"])
def test_an_inner_list_of_another_length_is_told_by_its_row(tmp_path: Path, source: str) -> None:
    values = [None, [[1.0, 2.0], [3.0, 4.0]], None, [[1.0, 2.0], None], [[1.0, 2.0], [3.0]]]
    data = SOURCES[source](tmp_path, pa.table({"e": pa.array(values)}), "p")
    with pytest.raises(DataError, match="row 5 holds a list of 1 value, but the first list has 2 values"):
        msecli.score(data, np.zeros((5, 2, 2)), pred="e", nan_pred="omit")


@sources
def test_lists_of_other_lengths_in_the_two_files_are_told_with_both_shapes(tmp_path: Path, source: str) -> None:
    table = pa.table({"a": lists(P), "b": lists(T[:, :2]), "c": T[:, 0]})
    for target, shape in (("b", r"\(2,\)"), ("c", r"\(\)")):
        with pytest.raises(DataError, match=rf"'a', has rows of shape \(3,\), .*{shape}"):
            msecli.score(SOURCES[source](tmp_path, table, "p"), pred="a", target=target)


@sources
@pytest.mark.parametrize("values", [[[], [], []], [None, None, None], [[], None, []]], ids=["empty", "null", "either"])
def test_lists_that_hold_nothing_are_refused(tmp_path: Path, source: str, values: list[Any]) -> None:
    data = SOURCES[source](tmp_path, pa.table({"e": lists(values), "y": [1.0, 2.0, 3.0]}), "p")
    with pytest.raises(DataError):
        msecli.score(data, pred="e", target="y", nan_pred="omit")


@sources
def test_lists_stand_alone(tmp_path: Path, source: str) -> None:
    table = pa.table({"a": lists(P), "b": lists(T), "c": P[:, 0], "d": T[:, 0]})
    for pred, target in (("a,c", "b,d"), ("a,b", "b,a")):
        with pytest.raises(DataError, match=r"column 'a' holds lists .* which cannot stand beside other columns"):
            msecli.score(SOURCES[source](tmp_path, table, "p"), pred=pred, target=target)


@sources
@pytest.mark.parametrize("role", ["by", "cluster", "where", "metrics", "on", "by_bins"])
def test_lists_neither_pair_group_nor_choose_rows(tmp_path: Path, source: str, role: str) -> None:
    data = SOURCES[source](tmp_path, pa.table({"e": lists(P), "pred": P[:, 0], "target": T[:, 0], "k": range(20)}), "p")
    way: dict[str, Any] = {
        "by": "e", "cluster": "e", "where": "e > 1", "metrics": "skill:e", "on": "e", "by_bins": "e:2",
    }  # fmt: skip
    other = [pa.table({"e": lists(T), "target": T[:, 0]})] if role == "on" else []
    if role == "cluster":
        way |= {"ci": 0.9}
    wanted = {name: way[name] for name in (role, *(["ci"] if role == "cluster" else []))}
    with pytest.raises(DataError):
        msecli.score(data, *other, **wanted)


@sources
def test_weights_are_one_per_row_or_one_per_element(tmp_path: Path, source: str) -> None:
    table = pa.table({"e": lists(P), "t": lists(T), "w": W[:, 1], "v": lists(W), "short": lists(W[:, :2])})

    def data() -> Any:
        return SOURCES[source](tmp_path, table, "p")

    result = msecli.score(data(), pred="e", target="t", weight="w")
    assert result.loss == exactly(W[:, 1:2] * SQUARES, 3 * float(W[:, 1].sum()))
    result = msecli.score(data(), pred="e", target="t", weight="v")
    assert result.loss == exactly(W * SQUARES, float(W.sum()))
    with pytest.raises(DataError, match=r"'short',: rows of weights have shape \(2,\)"):
        msecli.score(data(), pred="e", target="t", weight="short")
    weights = SOURCES[source](tmp_path, table.select(["v"]), "w")
    assert msecli.score(P, T, weight_file=weights).loss == result.loss


@sources
def test_axes_values_and_gradients_are_those_of_arrays(tmp_path: Path, source: str) -> None:
    table = pa.table({"e": lists(P), "t": lists(T)})

    def data() -> Any:
        return SOURCES[source](tmp_path, table, "p")

    way: dict[str, Any] = {"pred": "e", "target": "t"}
    for axis in (0, 1, (0, 1)):
        ours, arrays = msecli.score(data(), **way, axis=axis), msecli.score(P, T, axis=axis)
        assert [entry.score.loss for entry in ours.entries] == [entry.score.loss for entry in arrays.entries]
        assert np.array_equal(np.asarray(ours.values), np.asarray(arrays.values))
    values = msecli.score(data(), **way, reduction="none").values  # noqa: PD011 - not pandas
    assert values is not None
    assert np.array_equal(values, SQUARES)
    assert msecli.score(data(), **way, worst=1).worst == msecli.score(P, T, worst=1).worst


@sources
def test_rows_of_lists_are_paired_by_key_and_grouped(tmp_path: Path, source: str) -> None:
    order = np.random.default_rng(7).permutation(20)
    prediction = pa.table({"k": range(20), "e": lists(P), "g": ["a", "b"] * 10})
    target = pa.table({"k": order, "e": lists(T[order])})
    with reading_in({"rows": 8}):
        result = msecli.score(
            SOURCES[source](tmp_path, prediction, "p"), SOURCES[source](tmp_path, target, "t"), pred="e", on="k", by="g"
        )
    assert result.loss == exactly(SQUARES, 60)
    assert [entry.score.loss for entry in result.groups] == [exactly(SQUARES[first::2], 30) for first in (0, 1)]


def test_gradients_of_lists_are_arrays(tmp_path: Path, run: Callable[..., Any]) -> None:
    path = in_parquet(tmp_path, pa.table({"e": lists(P), "t": lists(T)}), "p")
    ran = run("compute", path, "-p", "e", "-t", "t", "-r", "sum", "--grad", str(tmp_path / "g.npy"))
    assert ran.code == 0, ran.err
    # 2 (p - t), the derivative of the sum of (p - t)**2
    assert np.array_equal(np.load(tmp_path / "g.npy"), 2 * (P - T))


def test_systems_of_lists_are_compared(tmp_path: Path) -> None:
    target = in_parquet(tmp_path, pa.table({"target": lists(T)}), "t")
    systems = {
        name: in_parquet(tmp_path, pa.table({"pred": lists(values)}), name) for name, values in (("a", P), ("b", T + 1))
    }
    result = msecli.compare(systems, target)
    assert [system.loss for system in result.systems] == [
        exactly(SQUARES, 60), exactly((T + 1 - T) * (T + 1 - T), 60),
    ]  # fmt: skip


def test_norms_of_lists_are_those_of_all_their_values(tmp_path: Path) -> None:
    table = pa.table({"e": lists([[3.0, 4.0], [0.0, 12.0]])})
    # The square root of 9 + 16 + 144.
    assert msecli.norm(in_parquet(tmp_path, table, "x"), columns="e").norms["2"] == 13.0


def test_a_model_takes_its_inputs_from_lists(tmp_path: Path) -> None:
    table = pa.table({"x": lists([[1.0, 2.0], [3.0, 4.0]]), "y": [5.0, 6.0]})
    result = msecli.linear(in_parquet(tmp_path, table, "x"), coef=[1.0, 0.5], inputs="x", target="y")
    # 1 + 1 and 3 + 2 against 5 and 6: (9 + 1) / 2
    assert result.loss == 5.0


@sources
def test_lists_in_structs_are_found_by_their_path(tmp_path: Path, source: str) -> None:
    if source == "DataFrame":
        pytest.skip("pandas holds a dictionary for each row")
    values = [{"embedding": row, "pred": row[0]} for row in P.tolist()]
    table = pa.table({"out": pa.array([*values[:-1], None]), "t": lists(T), "y": T[:, 0]})

    def data() -> Any:
        return SOURCES[source](tmp_path, table, "p")

    result = msecli.score(data(), pred="out.embedding", target="t", nan_pred="omit")
    assert (result.loss, result.elements.nan_prediction) == (exactly(SQUARES[:-1], 57), 3)
    result = msecli.score(data(), pred="out.pred", target="y", nan_pred="omit")
    assert result.loss == exactly(SQUARES[:-1, 0], 19)


VALUES = [[0.5, 1.5], [-2.0, 0.0]]


@pytest.mark.parametrize("source", ["parquet", "arrow", "Table"])
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        *((kind, VALUES) for kind in (pa.float16(), pa.float32(), pa.float64())),
        *((kind, [[1, 0], [7, 100]]) for kind in (pa.int8(), pa.uint8(), pa.int32(), pa.uint64())),
        (pa.bool_(), [[True, False], [False, True]]),
        (pa.decimal128(5, 2), [[decimal.Decimal("0.10"), decimal.Decimal("-1.25")]] * 2),
        (pa.dictionary(pa.int8(), pa.float64()), VALUES),
    ],
    ids=str,
)
def test_lists_of_any_numbers_are_their_float64(tmp_path: Path, source: str, kind: Any, values: list[Any]) -> None:
    for outer in (pa.list_(kind), pa.list_(kind, 2)):
        if pa.types.is_dictionary(kind):
            flat = pa.array([v for row in values for v in row]).dictionary_encode()
            array = (
                pa.FixedSizeListArray.from_arrays(flat, 2)
                if pa.types.is_fixed_size_list(outer)
                else pa.ListArray.from_arrays(pa.array([0, 2, 4], pa.int32()), flat)
            )
        else:
            array = pa.array(values, outer)
        assert elements(SOURCES[source](tmp_path, pa.table({"e": array}), "x")).tolist() == [
            [float(v) for v in row] for row in values
        ]


@sources
def test_lists_of_anything_else_are_refused(tmp_path: Path, source: str) -> None:
    for values in ([["a", "b"]] * 20, [[{"x": 1.0}]] * 20):
        data = SOURCES[source](tmp_path, pa.table({"e": pa.array(values), "y": T[:, 0]}), "p")
        with pytest.raises(DataError, match="'e'"):
            msecli.score(data, pred="e", target="y")


def test_arrays_and_frames_of_lists_go_into_the_functions_too() -> None:
    assert msecli.mse_loss(lists(P), T) == msecli.mse_loss(P, T)
    assert msecli.mse_loss(pa.chunked_array([lists(P[:7]), lists(P[7:])]), lists(T, "fixed_size_list")) == exactly(
        SQUARES, 60
    )


def test_pandas_holds_lists_tuples_and_arrays(tmp_path: Path) -> None:
    rows = [[1.0, 2.0], (3.0, 4.0), np.array([5, 6]), None, [None, 1.0], NAN]
    frame = pd.DataFrame({"e": pd.Series(rows, dtype=object)})
    found = elements(frame)
    expected = [[1, 2], [3, 4], [5, 6], [NAN, NAN], [NAN, 1], [NAN, NAN]]
    assert np.array_equal(found, np.array(expected), equal_nan=True)
    nested = pd.DataFrame({"e": [np.ones((2, 2)), [[1, 2], [3, 4]], np.array([np.ones(2), np.zeros(2)], dtype=object)]})
    assert elements(nested).shape == (3, 2, 2)


def test_blocks_of_wide_rows_hold_few_of_them(tmp_path: Path) -> None:
    rows, width = 600, 8192
    values = np.arange(rows * width, dtype=np.float32).reshape(rows, width)
    array = pa.ListArray.from_arrays(np.arange(0, rows * width + 1, width, dtype=np.int32), pa.array(values.ravel()))
    table = pa.table({"e": array})
    for make in SOURCES.values():
        found = open_source(make(tmp_path, table, "x"), AS_FILES_SAY, "x")
        assert shape_of(found, "e") == (width,)
        blocks = held(found, ["e"]).blocks
        # 2**21 values, as many as two blocks of a whole million rows of numbers.
        assert max(block.rows for block in blocks) * width <= 1 << 21
        assert sum(block.rows for block in blocks) == rows

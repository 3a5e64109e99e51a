"""What Python callers pass as arrays. Expected values are the numbers that were put in."""

from __future__ import annotations

import datetime as dt
import decimal
import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from msecli import DataError, mse_loss
from msecli.formats.arrays import aligned, as_array

NAN = math.nan


def assert_array(values: Any, expected: Any) -> None:
    """Check values and shape; NaN equals NaN."""
    converted = as_array(values, "x")
    assert converted.dtype == np.float64
    np.testing.assert_array_equal(converted, np.array(expected, dtype=np.float64), strict=True)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2.5], [1, 2.5]),
        ((1, 2), [1, 2]),
        (range(3), [0, 1, 2]),
        ([True, False], [1, 0]),
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ([1, None, 3], [1, NAN, 3]),
        ([[1, None], [None, 4]], [[1, NAN], [NAN, 4]]),
        ([None, None], [NAN, NAN]),
        ([True, None], [1, NAN]),
        ([], []),
        (5, 5),
        (np.float32(0.5), 0.5),
        ([np.array([1, 2]), np.array([3, 4])], [[1, 2], [3, 4]]),
        (np.array([1, None], dtype=object), [1, NAN]),
        (np.arange(6, dtype=">i2").reshape(2, 3), [[0, 1, 2], [3, 4, 5]]),
        pytest.param(memoryview(b"\x00\x07"), [0, 7], id="memoryview"),
    ],
    ids=repr,
)
def test_sequences_and_arrays_become_float64(values: Any, expected: Any) -> None:
    assert_array(values, expected)


@pytest.mark.parametrize("values", [[[1, 2], [3]], [1, [2, 3]], [[1, None], None], [[[1], [2]], [[3]]]], ids=repr)
def test_ragged_lists_are_refused(values: Any) -> None:
    with pytest.raises(DataError, match="x: the values do not form a rectangular array"):
        as_array(values, "x")


@pytest.mark.parametrize(
    "values",
    [
        ["1", "2"],
        [b"1"],
        ["a", None],
        [1j],
        [1j, None],
        [dt.datetime(2020, 1, 1, tzinfo=dt.UTC)],
        [np.datetime64("2020-01-01")],
        [decimal.Decimal(1)],
        [2**70],
        {1, 2},
        {1: 2},
        "abc",
        iter([1, 2]),
        object(),
        np.zeros(2, dtype=[("a", "f8")]),
    ],
    ids=lambda values: type(values).__name__,
)
def test_what_is_not_numbers_is_refused_by_name(values: Any) -> None:
    with pytest.raises(DataError, match=r"^my values: dtype .* cannot be scored: "):
        as_array(values, "my values")


def test_things_with_an_array_protocol_are_taken() -> None:
    class Column:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.array([1, 2, 3], dtype=dtype)

    assert_array(Column(), [1, 2, 3])


@pytest.mark.parametrize("kind", ["f8", "f4", "i8", "u1", "?"])
def test_masked_elements_are_missing(kind: str) -> None:
    assert_array(np.ma.array([1, 0, 1], mask=[False, True, False], dtype=kind), [1, NAN, 1])


def test_masked_arrays_keep_their_shape_and_their_data() -> None:
    masked = np.ma.masked_equal(np.arange(6).reshape(2, 3), 4)
    assert_array(masked, [[0, 1, 2], [3, NAN, 5]])
    assert masked.data.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert_array(np.ma.array([1.0, 2.0]), [1, 2])


def test_masked_arrays_in_a_list_keep_their_masks() -> None:
    rows = [np.ma.array([1.0, 2.0], mask=[False, True]), np.ma.array([3.0, 4.0])]
    assert_array(rows, [[1, NAN], [3, 4]])


def test_a_masked_element_is_scored_as_missing() -> None:
    prediction = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])
    with pytest.raises(DataError, match="prediction: 1 of 3 values missing, the first in row 2"):
        mse_loss(prediction, [0, 0, 0])
    assert mse_loss(prediction, [0, 0, 0], nan_pred="omit") == 5.0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.Series([1.5, NAN]), [1.5, NAN]),
        (pd.Series([1, 2]), [1, 2]),
        (pd.Series([1, 2], index=[5, 3]), [1, 2]),
        (pd.Series([1, 2], dtype="uint8"), [1, 2]),
        (pd.Series([True, False]), [1, 0]),
        (pd.Series([1, None], dtype="Int64"), [1, NAN]),
        (pd.Series([1.5, None], dtype="Float32"), [1.5, NAN]),
        (pd.Series([True, None], dtype="boolean"), [1, NAN]),
        (pd.Series([1, None], dtype="int64[pyarrow]"), [1, NAN]),
        (pd.Series([0.5, None], dtype="double[pyarrow]"), [0.5, NAN]),
        (pd.Series([], dtype="float64"), []),
        (pd.Index([3, 4]), [3, 4]),
        (pd.RangeIndex(3), [0, 1, 2]),
        (pd.array([1, None], dtype="Int8"), [1, NAN]),
    ],
    ids=lambda values: f"{type(values).__name__}-{getattr(values, 'dtype', '')}",
)
def test_pandas_columns_become_float64_with_nan_for_na(values: Any, expected: list[float]) -> None:
    assert_array(values, expected)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pd.Series([1, "a"], dtype=object), "object"),
        (pd.Series([1, 2j], dtype=object), "object"),
        (pd.Series(["a", "b"]), "str"),
        (pd.Series([1, 2], dtype="category"), "category"),
        (pd.Series(pd.to_datetime(["2020-01-01"])), "datetime64"),
        (pd.Series(pd.to_datetime(["2020-01-01"]).tz_localize("UTC")), "datetime64"),
        (pd.Series(pd.to_timedelta([1], unit="s")), "timedelta64"),
        (pd.Series([1j]), "complex128"),
        (pd.Series(pd.period_range("2020", periods=1)), "period"),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")),
)
def test_pandas_columns_that_are_not_numbers_are_refused(values: Any, kind: str) -> None:
    with pytest.raises(DataError, match=rf"^x: dtype {kind}.* is not a real number"):
        as_array(values, "x")


def test_a_frame_is_its_columns_side_by_side() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, NAN], "c": pd.array([None, 7], dtype="Int64"), "d": [True, False]})
    assert_array(frame, [[1, 0.5, NAN, 1], [2, NAN, 7, 0]])
    assert_array(pd.DataFrame(index=range(3)), np.empty((3, 0)))


def test_a_frame_may_have_columns_of_the_same_name() -> None:
    frame = pd.DataFrame([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], columns=["a", "a", "b"])
    assert_array(frame, [[1, 2, 3], [4, 5, 6]])


def test_a_frame_with_a_column_of_text_is_refused_by_the_columns_name() -> None:
    with pytest.raises(DataError, match=r"^x, column 'b': dtype"):
        as_array(pd.DataFrame({"a": [1.0], "b": ["text"]}), "x")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([1.5, None, 3]), [1.5, NAN, 3]),
        (pa.array([1, None], pa.int8()), [1, NAN]),
        (pa.array([2**53, None], pa.uint64()), [2**53, NAN]),
        (pa.array([True, None, False]), [1, NAN, 0]),
        (pa.array([0.5, None], pa.float32()), [0.5, NAN]),
        (pa.array([np.float16(0.5), None], pa.float16()), [0.5, NAN]),
        (pa.array([decimal.Decimal("1.25"), None]), [1.25, NAN]),
        (pa.array([None, None]), [NAN, NAN]),
        (pa.nulls(2, pa.float64()), [NAN, NAN]),
        (pa.array([], pa.float64()), []),
        (pa.array([3, None, 3]).dictionary_encode(), [3, NAN, 3]),
        (pa.array([0.0, 1.0, None, 3.0]).slice(1, 2), [1, NAN]),
        (pa.array([True, False, None, True] * 5).slice(9, 3), [0, NAN, 1]),
        (pa.chunked_array([[1, 2], [], [None, 4]]), [1, 2, NAN, 4]),
        (pa.chunked_array([], pa.int64()), []),
    ],
    ids=lambda values: str(getattr(values, "type", "")),
)
def test_arrow_columns_become_float64_with_nan_for_null(values: Any, expected: list[float]) -> None:
    assert_array(values, expected)


def test_arrow_nan_and_null_are_both_missing() -> None:
    assert_array(pa.array([NAN, None, 1.0], from_pandas=False), [NAN, NAN, 1])


@pytest.mark.parametrize("make", [pa.table, pa.RecordBatch.from_pydict], ids=["table", "batch"])
def test_an_arrow_table_is_its_columns_side_by_side(make: Any) -> None:
    assert_array(make({"a": pa.array([1, None]), "b": pa.array([0.5, 2])}), [[1, 0.5], [NAN, 2]])


def test_an_arrow_table_may_have_columns_of_the_same_name() -> None:
    assert_array(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), [[1, 2]])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (pa.array(["1"]), "text is not a number"),
        (pa.array([b"1"]), "bytes are not numbers"),
        (pa.array([["a"]]), "it holds lists or structs"),
        (pa.array([[1], [2, 3]]), "row 2 holds a list of 2 values, but the first list has 1 value"),
        (pa.table({"a": [[1, 2]], "b": [3]}), "column 'a': the column holds lists"),
        (pa.array([{"a": 1}]), "it holds lists or structs"),
        (pa.array([dt.date(2020, 1, 1)]), "dates and times are not numbers"),
        (pa.array(["a"]).dictionary_encode(), "text is not a number"),
        (pa.table({"b": ["1"]}), "column 'b'"),
    ],
    ids=lambda values: str(getattr(values, "type", "table"))[:20],
)
def test_arrow_columns_that_are_not_numbers_are_refused(values: Any, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        as_array(values, "x")


def test_containers_of_all_kinds_score_alike() -> None:
    prediction, target = [1.0, 2.5, None], [1, 2, 3]
    containers: list[Any] = [
        list, np.array, pd.Series, pa.array,
        lambda values: pd.Series(values, dtype="Float64"), lambda values: pa.chunked_array([values]),
    ]  # fmt: skip
    losses = [
        mse_loss(container(prediction), container(target), nan_pred="omit", weight=container([1, 3, 1]))
        for container in containers
    ]
    assert losses == [0.1875] * len(containers)


@pytest.mark.parametrize(
    "other",
    [pd.Series([1.0, 2.0], index=[1, 0]), pd.DataFrame({"a": [1.0, 2.0]}, index=[1, 0])],
    ids=["series", "frame"],
)
def test_a_different_index_is_refused(other: Any) -> None:
    with pytest.raises(DataError, match="the indexes of prediction and target differ"):
        mse_loss(pd.Series([1.0, 2.0]), other)


def test_weights_of_a_different_index_are_refused() -> None:
    series = pd.Series([1.0, 2.0])
    with pytest.raises(DataError, match="index"):
        mse_loss(series, series + 1, weight=pd.Series([1.0, 0.5], index=[1, 0]))


def test_columns_in_a_different_order_are_refused() -> None:
    frame = pd.DataFrame({"a": [1.0], "b": [2.0]})
    with pytest.raises(DataError, match="the columns of prediction and target differ"):
        mse_loss(frame, frame[["b", "a"]])


def test_equal_labels_pair_and_an_index_against_an_array_goes_by_position() -> None:
    series = pd.Series([1.0, 2.0], index=["x", "y"])
    assert mse_loss(series, pd.Series([0.0, 0.0], index=["x", "y"])) == 2.5
    assert mse_loss(series, np.zeros(2)) == mse_loss([1.0, 2.0], series * 0) == 2.5
    assert mse_loss(pd.Series([1.0, 2.0]), pd.Series([0.0, 0.0], index=[0, 1])) == 2.5
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=["x", "y"])
    assert mse_loss(series, frame) == 0.0


def test_labels_of_other_containers_are_not_asked_for() -> None:
    with pytest.raises(DataError, match="differ"):
        aligned(pd.Series([1], index=[0]), pd.Series([1], index=[9]), align=False)
    assert mse_loss(pa.array([1.0]), pd.Series([2.0], index=[9])) == 1.0


@pytest.mark.parametrize("kind", ["float64", "float32", "float16", "int64", "uint8", "bool"])
def test_tensors_become_float64(kind: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    assert_array(torch.tensor([[0, 1], [1, 0]], dtype=getattr(torch, kind)), [[0, 1], [1, 0]])


def test_tensors_score_against_lists() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    assert mse_loss(torch.tensor([[1.0], [2.0]]), [0.0, 0.0]) == 2.5

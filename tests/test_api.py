"""The functions of the Python API on paths, DataFrames, tables, arrays and lists: the same bits from all of them.

What is expected is the result on a Parquet file, whose formats' own tests say that it is right.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import msecli
from msecli import DataError, MsecliError, ReadWriteError, UsageError
from msecli.results.base import Report

ROWS = 60
NAMES = ("pred", "x", "w", "id", "g")


def data(seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    numbers = [np.ldexp(random.normal(size=ROWS), random.integers(-20, 20, ROWS)) for _ in range(2)]
    key = np.arange(ROWS) * 7 % ROWS
    return {"pred": numbers[0], "x": numbers[1], "w": np.arange(ROWS) / 8, "id": key, "g": key % 3}


LEFT, RIGHT = data(1), data(2)
ORDER = np.random.default_rng(3).permutation(ROWS)
SHUFFLED = {name: values[ORDER] for name, values in RIGHT.items()}


class Made(NamedTuple):
    """Data as some library or format has it, and whether its columns have names."""

    predictions: Any
    targets: Any
    shuffled: Any
    named: bool = True


def _parquet(columns: dict[str, Any], path: Path) -> Path:
    pq.write_table(pa.table(columns), path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


def _csv(columns: dict[str, Any], path: Path) -> Path:
    pd.DataFrame(columns).to_csv(path.with_suffix(".csv"), index=False)
    return path.with_suffix(".csv")


def _npy(columns: dict[str, Any], path: Path) -> Path:
    np.save(path.with_suffix(".npy"), _array(columns, path))
    return path.with_suffix(".npy")


def _array(columns: dict[str, Any], path: Path) -> Any:
    return np.stack([values.astype(np.float64) for values in columns.values()], axis=1)


TABLES: dict[str, Callable[[dict[str, Any], Path], Any]] = {
    "csv": _csv,
    "text path": lambda columns, path: str(_csv(columns, path)),
    "frame": lambda columns, _: pd.DataFrame(columns),
    "frame with an index of rows": lambda columns, _: pd.DataFrame(columns, index=range(100, 100 + ROWS)),
    "frame with the key as index": lambda columns, _: pd.DataFrame(columns).set_index("id"),
    "frame with two keys as index": lambda columns, _: pd.DataFrame(columns).set_index(["id", "g"]),
    "frame of other types": lambda columns, _: pd.DataFrame(columns).convert_dtypes(),
    "frame of Arrow": lambda columns, _: pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype),
    "table": lambda columns, _: pa.table(columns),
    "table of chunks": lambda columns, _: pa.concat_tables([pa.table(columns)[:7], pa.table(columns)[7:]]),
    "batch": lambda columns, _: pa.record_batch(columns),
}
ARRAYS: dict[str, Callable[[dict[str, Any], Path], Any]] = {
    "npy": _npy,
    "array": _array,
    "array in columns": lambda columns, path: np.asfortranarray(_array(columns, path)),
    "lists": lambda columns, path: _array(columns, path).tolist(),
}


def made(make: Callable[[dict[str, Any], Path], Any], folder: Path, *, named: bool = True) -> Made:
    sides = ((LEFT, "p"), (RIGHT, "t"), (SHUFFLED, "s"))
    predictions, targets, shuffled = (make(columns, folder / name) for columns, name in sides)
    return Made(predictions, targets, shuffled, named)


def bits(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes()
    return repr(value)


def said(report: Report) -> dict[str, Any]:
    """Return all that a result says but for where the data came from."""
    document = report.to_dict()
    gone = {"inputs", "signature"}
    document = {name: bits(value) for name, value in document.items() if name not in gone}
    values = {"values": bits(getattr(report, "values", None))}
    return document | values | {name: bits(array) for name, array in getattr(report, "arrays", {}).items()}


def calls(data: Made) -> dict[str, Callable[[], Report]]:
    """Return each thing there is to compute; the columns of arrays are numbered."""
    name = {name: name if data.named else str(number) for number, name in enumerate(NAMES)}
    sides, keyed = (data.predictions, data.targets), (data.predictions, data.shuffled)
    one: dict[str, Any] = {"pred": name["pred"], "target": name["pred"]}
    two: dict[str, Any] = {"pred": [name["pred"], name["x"]], "target": [name["pred"], name["x"]]}
    model: dict[str, Any] = {"inputs": two["pred"], "target": name["pred"], "coef": [0.5, -2.0], "intercept": 1.0}
    return {
        "score": partial(msecli.score, *sides, **two, metrics=["mae", "r2", "lp:3"], keep="grad"),
        "one side": partial(msecli.score, data.predictions, pred=name["pred"], target=name["x"], weight=name["w"]),
        "key": partial(msecli.score, *keyed, **one, on=name["id"], batch_size=7),
        "groups": partial(msecli.score, *sides, **one, by=name["g"], weight_file=LEFT["w"]),
        "groups by key": partial(msecli.score, *keyed, **two, on=name["id"], by=name["g"]),
        "none": partial(msecli.score, *sides, **two, reduction="none"),
        "linear": partial(msecli.linear, *sides, **model, l2=0.5, grad_norm=True, keep=["grad_params", "predictions"]),
        "norm": partial(msecli.norm, data.predictions, columns=[name["pred"], name["x"]], ord=[1, 2, 3]),
        "norm of a difference": partial(msecli.norm, *sides, columns=[name["pred"], name["x"]]),
        "gradcheck": partial(msecli.gradcheck, *keyed, **one, on=name["id"], samples=20),
        "gradcheck of a model": partial(msecli.gradcheck, *sides, **model),
    }


@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_every_library_give_the_bits_of_a_file(tmp_path: Path, kind: str) -> None:
    expected = {case: said(call()) for case, call in calls(made(_parquet, tmp_path)).items()}
    found = {case: said(call()) for case, call in calls(made(TABLES[kind], tmp_path)).items()}
    assert [case for case in expected if found[case] != expected[case]] == []


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_and_lists_give_the_bits_of_an_array_file_and_of_a_table(tmp_path: Path, kind: str) -> None:
    expected = calls(made(_npy, tmp_path, named=False))
    table = calls(made(_parquet, tmp_path))
    for case, call in calls(made(ARRAYS[kind], tmp_path, named=False)).items():
        found = call()
        assert said(found) == said(expected[case]()), case
        assert repr(found.numbers()) == repr(table[case]().numbers()), case


def test_sides_of_different_kinds_are_paired(tmp_path: Path) -> None:
    expected = msecli.score(_parquet(LEFT, tmp_path / "p"), _parquet(SHUFFLED, tmp_path / "s"), pred="pred", on="id")
    left = pd.DataFrame(LEFT).set_index("id")
    for right in (_csv(SHUFFLED, tmp_path / "s"), pa.table(SHUFFLED), pd.DataFrame(SHUFFLED)):
        found = msecli.score(left, right, pred="pred", target="pred", on="id")
        assert found.loss == expected.loss
    assert [item.path for item in found.inputs] == ["predictions", "targets"]
    assert {item.format for item in found.inputs} == {"memory"}


def test_vectors_of_every_library_are_scored() -> None:
    prediction, target = [2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0]
    for convert in (list, tuple, np.array, pd.Series, pa.array, lambda values: pa.chunked_array([values])):
        assert msecli.score(convert(prediction), convert(target)).loss == 0.375
        assert float(msecli.norm(convert(prediction), convert(target))) == 1.5**0.5
        assert msecli.gradcheck(convert(prediction), convert(target)).passed
        assert msecli.linear(convert(prediction), convert(target), coef=[1.0]).loss == 0.375


SERIES = pd.Series([1.0, 2.0, 4.0])
OTHER = pd.Series([0.0, 2.0, 4.0], index=[2, 1, 0])
"""By position, the squares of 1, 0 and 0; by label, of 3, 0 and 4."""


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("targets", lambda **more: msecli.score(SERIES, OTHER, **more)),
        ("targets", lambda **more: msecli.score(SERIES.to_frame("y"), OTHER.to_frame("y"), **more)),
        (
            "targets",
            lambda **more: msecli.score(SERIES.to_frame("y").rename_axis("id"), OTHER.rename_axis("i"), **more),
        ),
        ("targets", lambda **more: msecli.score(SERIES.rename_axis("id"), OTHER.rename_axis("id"), **more)),
        ("weight_file", lambda **more: msecli.score(SERIES, SERIES, weight_file=OTHER, **more)),
        ("targets", lambda **more: msecli.compare({"a": SERIES, "b": OTHER}, SERIES, fail_fast=True, **more)),
        ("targets", lambda **more: msecli.gradcheck(SERIES, OTHER, **more)),
        ("targets", lambda **more: msecli.linear(SERIES, OTHER, coef=[1.0], **more)),
        ("other", lambda **more: msecli.norm(SERIES, OTHER, **more)),
    ],
)
def test_rows_whose_labels_differ_are_paired_by_position_only_when_asked_to(
    name: str, call: Callable[..., Any]
) -> None:
    with pytest.raises(DataError, match=f"the indexes of .* and {name} differ.*reindex.*use row_check=False"):
        call()
    call(row_check=False)


def test_labels_of_rows_may_be_unlike_where_nothing_is_paired_by_them() -> None:
    assert msecli.score(SERIES, OTHER, row_check=False).loss == 1 / 3
    assert msecli.score(SERIES, OTHER.reindex(SERIES.index)).loss == 25 / 3
    assert msecli.score(SERIES, OTHER.to_numpy()).loss == 1 / 3
    assert msecli.score(SERIES.to_frame(), pa.table({"y": OTHER.to_numpy()})).loss == 1 / 3
    assert msecli.score(SERIES, SERIES.set_axis([0.0, 1.0, 2.0])).loss == 0.0
    keys = [frame.to_frame("y").assign(k=[1, 2, 3]) for frame in (SERIES, OTHER)]
    assert msecli.score(*keys, on="k").loss == 1 / 3
    with pytest.raises(DataError, match="different numbers of rows"):
        msecli.score(SERIES, OTHER[:2])
    named = [frame.to_frame("y").rename_axis("id") for frame in (SERIES, OTHER)]
    with pytest.raises(DataError, match=r"column 'id' differs between .* use on='id'"):
        msecli.score(*named)
    assert msecli.score(*named, on="id").loss == 25 / 3


def test_data_in_memory_are_left_as_they_are() -> None:
    frame, array = pd.DataFrame(LEFT), np.arange(6.0)
    before = frame.copy(), array.copy()
    msecli.score(frame, pred="pred", target="x", keep="grad")
    msecli.linear(array, array, coef=[2.0], l2=1.0)
    pd.testing.assert_frame_equal(frame, before[0])
    assert array.tolist() == before[1].tolist()


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda frame: msecli.score(frame, pred="prod", target="x"), DataError, "no column 'prod'"),
        (lambda frame: msecli.score(frame, frame, on="key"), DataError, "no column 'key'"),
        (lambda frame: msecli.score(frame[:3], frame[:2], pred="x"), DataError, "rows"),
        (lambda frame: msecli.score(frame, pred="g", target="x"), DataError, "predictions"),
        (lambda frame: msecli.score(frame[:0], frame), DataError, "the table has no rows"),
        (lambda _: msecli.score([], []), DataError, "no elements"),
        (lambda _: msecli.score(3.0, 3.0), UsageError, "3.0 is neither a path"),
        (lambda frame: msecli.score("no.csv", frame), ReadWriteError, "no.csv: no such file"),
        (lambda frame: msecli.linear(frame, inputs="x", target="g", coef=[1.0]), DataError, "text|number"),
        (lambda _: msecli.linear([[1.0, 2.0]], [1.0], coef=[1.0]), DataError, "inputs=COLUMN"),
        (lambda frame: msecli.norm(frame, ord=0.5), UsageError, "order 0.5"),
        (lambda frame: msecli.norm(frame, columns="z"), DataError, "no column 'z'"),
        (lambda _: msecli.norm([1.0, None]), DataError, "a number is missing in row 2"),
        (lambda _: msecli.gradcheck([1.0], [1.0], samples=0), UsageError, "samples: 0 is not at least 1"),
        (lambda _: msecli.gradcheck([1.0], [1.0], tolerance=-1), UsageError, "tolerance: -1 is not at least 0"),
        (lambda _: msecli.gradcheck([1.0], [1.0], inputs="x"), UsageError, "inputs requires coef"),
        (lambda _: msecli.gradcheck([1.0], [1.0], coef=[1.0], pred="x"), UsageError, "inputs=COLUMN"),
        (lambda _: msecli.gradcheck([1.0], [1.0], reduction="none"), UsageError, "no gradient"),
        (lambda frame: msecli.score(frame, frame, unmatched="skip"), UsageError, "unmatched='skip' requires on"),
    ],
)
def test_messages_name_parameters_as_python_has_them(
    call: Callable[[Any], Any], kind: type[MsecliError], message: str
) -> None:
    frame = pd.DataFrame({"pred": [1.0, 2.0, 3.0], "x": [1.0, 2.0, 4.0], "g": ["a", "b", "c"]})
    with pytest.raises(kind, match=message) as raised:
        call(frame)
    text = str(raised.value)
    assert "`" not in text
    assert " --" not in text
    assert isinstance(raised.value, OSError if kind is ReadWriteError else ValueError)


def test_the_old_flags_of_pytorch_are_taken_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="use reduction='sum'"):
        assert msecli.score([3.0, 1.0], [0.0, 0.0], size_average=False).loss == 10.0

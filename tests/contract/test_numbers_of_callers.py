"""Numbers out of range on the command line, and parameters of any type from Python: taken, or an error of msecli's.

Expected losses are hand arithmetic over the rows 1 against 2 and 3 against 5.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import msecli
from msecli import DataError, MsecliError, ReadWriteError, UsageError

Run = Callable[..., Any]

HUGE = "99999999999999999999"
BEYOND = str(2**63)


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "x.csv"
    file.write_text("pred,target\n1,2\n3,5\n")
    return str(file)


@pytest.mark.parametrize("number", [HUGE, BEYOND])
@pytest.mark.parametrize(
    "words",
    [
        ["compute", "--batch-size", "{}"],
        ["compute", "--batch-size", "1", "--shuffle", "{}"],
        ["compute", "--axis", "{}"],
        ["compute", "--axis=-{}0"],
        ["compute", "--jobs", "{}"],
        ["compute", "--precision", "{}"],
        ["linear", "--coef", "coef.npy", "--batch-size", "{}"],
        ["norm", "--jobs", "{}"],
        ["gradcheck", "--samples", "{}"],
        ["gradcheck", "--seed", "{}"],
        ["gradcheck", "--jobs", "{}"],
    ],
    ids=" ".join,
)
def test_an_integer_beyond_64_bits_is_a_usage_error(run: Run, path: str, words: list[str], number: str) -> None:
    command, *options = (word.format(number) for word in words)
    ran = run(command, path, *options)
    assert (ran.code, ran.out) == (2, "")
    assert "Traceback" not in ran.err


def test_the_largest_integer_is_one(run: Run, path: str) -> None:
    ran = run("compute", path, "--batch-size", 2**63 - 1, "--shuffle", 2**63 - 1)
    # The mean of errors 1 and 4.
    assert (ran.code, ran.out.splitlines()[0]) == (0, "0\t2.5\t2.5")


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": np.int64(1)},
        {"batch_size": np.uint8(1), "shuffle": np.int32(3)},
        {"ignore_index": [7.0]},
        {"ignore_index": np.array([7.0, 8.0])},
        {"ignore_index": np.float32(7.0)},
        {"ignore_index": np.array(7.0)},
        {"ignore_index": {7}},
        {"ignore_index": None},
        {"pred": None, "target": None},
        {"pred": ["pred"], "target": {"target": None}.keys()},
        {"on": None, "by": None, "axis": None, "metrics": None},
        {"metrics": ["mae", "rmse"]},
        {"jobs": np.int64(2)},
    ],
    ids=str,
)
def test_what_means_a_value_is_taken(path: str, options: dict[str, Any]) -> None:
    result = msecli.score(path, **options)
    assert result.loss == 2.5
    result.to_dict()


def test_elements_of_any_list_are_left_out(path: str) -> None:
    several: list[Any] = [[2.0, 9.0], (2,), np.array([2]), 2, np.float64(2), frozenset({2})]
    for values in several:
        result = msecli.score(path, ignore_index=values)
        assert (result.loss, result.elements.ignored) == (4.0, 1)
        assert msecli.mse_loss([1, 3], [2, 5], ignore_index=values) == 4.0


@pytest.mark.parametrize("axis", [0, np.int64(0), [0], np.array([0])], ids=repr)
def test_an_axis_of_any_integer_type(tmp_path: Path, axis: Any) -> None:
    np.save(tmp_path / "p.npy", np.array([[1.0, 3.0]]))
    np.save(tmp_path / "t.npy", np.array([[2.0, 5.0]]))
    result = msecli.score(tmp_path / "p.npy", tmp_path / "t.npy", axis=axis)
    assert [entry.score.loss for entry in result.columns] == [1.0, 4.0]


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 1.5},
        {"batch_size": "2"},
        {"batch_size": [2]},
        {"batch_size": 10**5000},
        {"batch_size": 1, "shuffle": 1.5},
        {"jobs": "2"},
        {"jobs": 1.5},
        {"axis": 1.0},
        {"axis": "0"},
        {"axis": ["a"]},
        {"axis": 2**64},
        {"ignore_index": "a"},
        {"ignore_index": ["a"]},
        {"ignore_index": [None]},
        {"ignore_index": 2j},
        {"ignore_index": np.array([2j])},
        {"ignore_index": np.complex64(2)},
        {"ignore_index": 10**5000},
        {"pred": 5},
        {"pred": [5]},
        {"on": b"id"},
        {"by": 1},
        {"metrics": 5},
        {"metrics": [None]},
        {"reduction": 5},
        {"reduction": []},
        {"nan_target": []},
        {"nan_pred": None},
        {"unmatched": []},
        {"weight": 5},
        {"weight_file": 5},
        {"reading": "csv"},
        {"target": 5},
        {"target": b"x.csv"},
    ],
    ids=lambda options: ascii(sorted(options)),
)
def test_what_means_none_is_a_usage_error(path: str, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        msecli.score(path, **options)


@pytest.mark.parametrize("predictions", [None, 5, 2.5, b"x.csv"], ids=repr)
def test_what_is_neither_a_path_nor_data_is_a_usage_error(predictions: Any) -> None:
    with pytest.raises(UsageError, match="predictions"):
        msecli.score(predictions)


def test_none_is_no_data_where_data_are_needed() -> None:
    with pytest.raises(UsageError, match="coef"):
        msecli.linear([[1.0]], [1.0], coef=None)
    with pytest.raises(UsageError, match="values"):
        msecli.norm(None)
    with pytest.raises(UsageError, match="predictions"):
        msecli.gradcheck(None)


def test_parameters_are_a_path_or_several_of_anything(path: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", [1.0, -2.0])
    file = tmp_path / "a.npy"
    several: list[Any] = [file, str(file), [file], (np.array([1.0, -2.0]),), iter([[3.0]])]
    # 2.5 + 1 + 2
    assert [msecli.score(path, params=params, l1=1.0).objective for params in several] == [5.5] * 5
    assert msecli.score(path, params=None).objective is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "predictions", [["x.csv", 1.0], np.array(5.0), object(), []], ids=lambda predictions: type(predictions).__name__
)
def test_data_in_memory_that_hold_no_numbers_are_bad_data(predictions: Any) -> None:
    with pytest.raises(DataError, match="predictions"):
        msecli.score(predictions, [1.0])


def test_data_in_memory_are_named_by_what_they_are_for(path: str) -> None:
    # There are no targets in memory here: their column is in the file.
    with pytest.raises(DataError, match="weight_file"):
        msecli.score(path, weight_file=np.array(5.0))


@pytest.mark.parametrize("where", ["predictions", "targets", "weight_file"])
def test_a_path_cannot_hold_nul(path: str, where: str) -> None:
    data = {"predictions": path, "targets": None, "weight_file": None} | {where: "a\0b"}
    with pytest.raises(ReadWriteError, match="NUL"):
        msecli.score(data["predictions"], data["targets"], weight_file=data["weight_file"])


@pytest.mark.parametrize("size", [1.5, "2", None])
def test_batches_of_arrays_have_whole_sizes(size: Any) -> None:
    with pytest.raises(MsecliError):
        list(msecli.iter_batches([1.0], [2.0], size))
    assert len(list(msecli.iter_batches([1.0, 2.0], [2.0, 3.0], np.int64(1)))) == 2  # type: ignore[arg-type]

"""Which rows count, by known answers: from the command line and from Python, in CSV, Parquet and NPY.

Every case is scored twice, by `msecli compute --format json` and by `msecli.score`, and the two documents must be the
same. Expected values are hand algebra, written beside the cases, or `fractions.Fraction` sums; those of the diabetes
files were computed with scikit-learn 1.9 and pandas 3.1 and are compared to the digits that were printed.
"""

from __future__ import annotations

import json
import math
import shlex
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import msecli
from msecli import DataError, MsecliError, UsageError
from msecli.cli.wording import as_options
from tests.files import write

Run = Callable[..., Any]

FORMATS = ("csv", "parquet", "npy")
DATA, USAGE = 3, 2
NAN = math.nan

V: dict[str, list[float]] = {"p": [2.5, 0.0, 2.0, 8.0], "t": [3.0, -0.5, 2.0, 7.0], "w": [1.0, 2.0, 3.0, 4.0]}
MATRIX_P, MATRIX_T = [[0.0, 2.0], [-1.0, 2.0], [8.0, -5.0]], [[0.5, 1.0], [-1.0, 1.0], [7.0, -6.0]]
RMSE_FLAT, RMSE_OF_COLUMNS = 0.8416254115301731, [0.6454972243679028, 1.0]
"""The correctly rounded roots of 17/24, 5/12 and 1; the root of the rounded 17/24 is one float64 above the first."""

OPTIONS = {
    "pred": "--pred", "target": "--target", "on": "--on", "unmatched": "--unmatched",
    "weight": "--weight", "weight_file": "--weight-file", "by": "--by", "axis": "--axis", "batch_size": "--batch-size",
    "shuffle": "--shuffle", "reduction": "--reduction", "metrics": "--metrics", "ignore_index": "--ignore-index",
    "nan_target": "--nan-target", "nan_pred": "--nan-pred",
}  # fmt: skip
"""The parameters of `msecli.score`, and the options that they are on the command line."""


@dataclass(frozen=True, slots=True)
class Table:
    """A file of columns, and what each of them is called in it: the columns of an array are numbers."""

    path: Path
    names: Mapping[str, str]

    def roles(self, *, weighted: bool) -> dict[str, Any]:
        """Return the options that say which column is which."""
        roles = {"pred": self.names["p"], "target": self.names["t"]}
        return roles | ({"weight": self.names["w"]} if weighted else {})


def table(folder: Path, suffix: str, columns: Mapping[str, Sequence[Any]]) -> Table:
    names = {name: str(number) if suffix == "npy" else name for number, name in enumerate(columns)}
    return Table(write(folder / f"table.{suffix}", columns), names)


def matrices(folder: Path, suffix: str) -> tuple[Path, Path]:
    """Write P and T of the matrix case as two files with the columns a and b."""
    paths = folder / f"p.{suffix}", folder / f"t.{suffix}"
    for path, matrix in zip(paths, (MATRIX_P, MATRIX_T), strict=True):
        write(path, dict(zip("ab", zip(*matrix, strict=True), strict=True)))
    return paths


def arguments(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield parameters of `msecli.score` as words of the command line."""
    for name, value in options.items():
        if name == "drop_last":
            yield "--drop-last"
            continue
        for item in value if isinstance(value, tuple) else (value,):
            yield from (OPTIONS[name], str(item))


SAID = "every prediction equals its target; is this the same column?"


def scored(run: Run, *files: Path, **options: Any) -> Any:
    """Return the document of the command line, having seen that Python gives the same."""
    ran = run("compute", *files, *arguments(options), "--format", "json")
    # Which columns were scored is said where a rule chose several; that they are equal may be meant here.
    told = [line for line in ran.err.splitlines() if not line.endswith(SAID) and "and were scored: " not in line]
    assert (ran.code, told) == (0, [])
    document = json.loads(ran.out)
    assert msecli.score(*map(str, files), **options).to_dict() == document
    return document


def refused(run: Run, code: int, *files: Path, **options: Any) -> str:
    """Return the message with which the command line ends, having seen that Python raises it."""
    ran = run("compute", *files, *arguments(options))
    assert (ran.code, ran.out) == (code, "")
    with pytest.raises(MsecliError) as raised:
        msecli.score(*map(str, files), **options)
    assert isinstance(raised.value, DataError if code == DATA else UsageError)
    assert isinstance(raised.value, ValueError)
    command = shlex.join(["compute", *map(str, files), *map(str, arguments(options))])
    assert ran.err == f"Error: {raised.value.worded(as_options, lambda added: f'run: msecli {command} {added}')}\n"
    return str(raised.value)


# Weights


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("reduction", "loss", "denominator", "name"),
    [("mean", 0.475, 10, "weights"), ("sum", 4.75, None, None), ("batchmean", 4.75 / 4, 4, "rows")],
)
def test_weighted_losses_divide_by_what_they_name(
    run: Run, tmp_path: Path, suffix: str, *, reduction: str, loss: float, denominator: int | None, name: str | None
) -> None:
    case = table(tmp_path, suffix, V)
    document = scored(run, case.path, **case.roles(weighted=True), reduction=reduction)
    assert document["loss"] == loss
    assert (document["denominator"], document["denominator_name"]) == (denominator, name)


@pytest.mark.parametrize("suffix", FORMATS)
def test_weighted_elements_are_w_times_the_square(run: Run, tmp_path: Path, suffix: str) -> None:
    case = table(tmp_path, suffix, V)
    document = scored(run, case.path, **case.roles(weighted=True), reduction="none")
    assert (document["values"], document["shape"]) == ([0.25, 0.5, 0.0, 4.0], [4])
    assert (document["loss"], document["denominator"]) == (None, None)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("reduction", "expected"),
    [("mean", [-0.1, 0.2, 0.0, 0.8]), ("sum", [-1.0, 2.0, 0.0, 8.0]), ("batchmean", [-0.25, 0.5, 0.0, 2.0])],
)
def test_weighted_gradients_carry_their_weights(
    run: Run, tmp_path: Path, suffix: str, reduction: str, expected: list[float]
) -> None:
    case, grad, back = table(tmp_path, suffix, V), tmp_path / "g.npy", tmp_path / "gt.npy"
    options = [*arguments(case.roles(weighted=True)), "-r", reduction, "--grad", grad, "--grad-target", back]
    assert run("compute", case.path, *options).code == 0
    assert np.load(grad).tolist() == expected
    assert np.load(back).tolist() == [0.0 - value for value in expected]
    assert msecli.mse_loss_grad(V["p"], V["t"], weight=V["w"], reduction=reduction).tolist() == expected


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_weight_of_zero_takes_its_row_out(run: Run, tmp_path: Path, suffix: str) -> None:
    case = table(tmp_path, suffix, V | {"w": [0.0, 0.0, 0.0, 1.0]})
    document = scored(run, case.path, **case.roles(weighted=True))
    assert (document["loss"], document["denominator"]) == (1.0, 1)
    # A weight of 0 is a weight, not a missing element.
    assert document["elements"]["used"] == 4


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("weights", "row"),
    [
        ([0.0, 0.0, 0.0, 0.0], None),
        ([1.0, -1.0, 1.0, 1.0], 2),
        ([1.0, 1.0, math.inf, -1.0], 3),
        ([1.0, 1.0, 1.0, NAN], 4),
    ],
    ids=["zero", "negative", "infinite", "nan"],
)
def test_impossible_weights_name_the_first_row(
    run: Run, tmp_path: Path, suffix: str, weights: list[float], row: int | None
) -> None:
    case = table(tmp_path, suffix, V | {"w": weights})
    found = refused(run, DATA, case.path, **case.roles(weighted=True))
    line = f" (line {row + 1})" if suffix == "csv" and row else ""
    message = "the weight in row {}{} is negative, infinite or missing" if row else "all weights are 0"
    assert found.startswith(f"{case.path}, column {case.names['w']!r}: {message.format(row, line)}")
    with pytest.raises(DataError, match=message.format(row, "")):
        msecli.mse_loss(V["p"], V["t"], weight=weights)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_missing_weight_is_no_weight(run: Run, tmp_path: Path, suffix: str) -> None:
    case = table(tmp_path, suffix, V | {"w": [1.0, None, 1.0, 1.0]})
    message = refused(run, DATA, case.path, **case.roles(weighted=True))
    assert f"the weight in row 2{' (line 3)' if suffix == 'csv' else ''} is negative, infinite or missing" in message


@pytest.mark.parametrize("weights_suffix", FORMATS)
@pytest.mark.parametrize("suffix", FORMATS)
def test_weights_may_be_in_a_file_of_their_own(run: Run, tmp_path: Path, suffix: str, weights_suffix: str) -> None:
    prediction, target = (write(tmp_path / f"{name}.{suffix}", {name: V[name]}) for name in "pt")
    weights = write(tmp_path / f"w.{weights_suffix}", {"w": V["w"]})
    document = scored(run, prediction, target, weight_file=weights)
    assert (document["loss"], document["denominator"]) == (0.475, 10)
    assert document["settings"]["weights"] == "file"
    assert [(item["role"], item["path"]) for item in document["inputs"]] == [
        ("prediction", str(prediction)),
        ("target", str(target)),
        ("weight", str(weights)),
    ]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_weight_file_of_the_wrong_length_is_refused(run: Run, tmp_path: Path, suffix: str, count: int) -> None:
    prediction, target = (write(tmp_path / f"{name}.{suffix}", {name: V[name]}) for name in "pt")
    weights = write(tmp_path / f"w.{suffix}", {"w": [1.0] * count})
    message = refused(run, DATA, prediction, target, weight_file=weights)
    assert f"{prediction} has 4" in message
    assert f"{weights} has {count}" in message


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_first_impossible_weight_of_a_file_is_named(run: Run, tmp_path: Path, suffix: str) -> None:
    prediction, target = (write(tmp_path / f"{name}.{suffix}", {name: V[name]}) for name in "pt")
    weights = write(tmp_path / f"w.{suffix}", {"w": [1.0, 1.0, -1.0, -2.0]})
    message = refused(run, DATA, prediction, target, weight_file=weights)
    assert message.startswith(str(weights))
    assert f"the weight in row 3{' (line 4)' if suffix == 'csv' else ''} is negative" in message


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_row_weight_counts_for_every_element_of_the_row(run: Run, tmp_path: Path, suffix: str) -> None:
    weights = write(tmp_path / f"w.{suffix}", {"w": [1.0, 2.0, 3.0]})
    document = scored(run, *matrices(tmp_path, suffix), weight_file=weights)
    # (0.25 + 0 + 3) + (1 + 2 + 3) over 2 * (1 + 2 + 3)
    assert document["loss"] == float(Fraction(37, 48)) == pytest.approx(0.7708333333333334, rel=2e-16)
    assert document["denominator"] == 12
    assert msecli.mse_loss(MATRIX_P, MATRIX_T, weight=[1, 2, 3]) == document["loss"]


@pytest.mark.parametrize("name", ["a", "b", "id", "pred", "target"])
def test_the_name_of_a_weight_files_column_does_not_matter(run: Run, tmp_path: Path, name: str) -> None:
    weights = write(tmp_path / "w.csv", {name: [1.0, 2.0, 3.0]})
    document = scored(run, *matrices(tmp_path, "csv"), weight_file=weights)
    assert (document["loss"], document["denominator"]) == (float(Fraction(37, 48)), 12)


def test_a_weight_file_may_have_the_shape_of_the_data(run: Run, tmp_path: Path) -> None:
    files = matrices(tmp_path, "npy")
    weight = [[1.0, 0.0], [2.0, 0.5], [0.0, 4.0]]
    weights = tmp_path / "w.npy"
    np.save(weights, np.array(weight))
    # The squares are 0.25 and 1, 0 and 1, 1 and 1.
    document = scored(run, *files, weight_file=weights)
    assert (document["loss"], document["denominator"]) == (4.75 / 7.5, 7.5)
    assert scored(run, *files, weight_file=weights, reduction="none")["values"] == [[0.25, 0], [0, 0.5], [0, 4]]
    assert msecli.mse_loss(MATRIX_P, MATRIX_T, weight=weight) == 4.75 / 7.5


def test_weights_in_one_column_are_the_same_as_a_vector(run: Run, tmp_path: Path) -> None:
    prediction, target = (write(tmp_path / f"{name}.npy", {name: V[name]}) for name in "pt")
    weights = tmp_path / "w.npy"
    np.save(weights, np.array(V["w"]).reshape(4, 1))
    assert scored(run, prediction, target, weight_file=weights)["loss"] == 0.475
    assert msecli.mse_loss(V["p"], V["t"], weight=np.array(V["w"]).reshape(4, 1)) == 0.475


@pytest.mark.parametrize("weights_suffix", ["csv", "parquet"])
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_table_of_weights_may_have_the_shape_of_the_data_too(
    run: Run, tmp_path: Path, suffix: str, weights_suffix: str
) -> None:
    files = matrices(tmp_path, suffix)
    weights = write(tmp_path / f"w.{weights_suffix}", {"a": [1.0, 2.0, 0.0], "b": [0.0, 0.5, 4.0]})
    assert scored(run, *files, weight_file=weights)["loss"] == 4.75 / 7.5


@pytest.mark.parametrize("suffix", FORMATS)
def test_weights_far_apart_are_added_exactly(run: Run, tmp_path: Path, suffix: str) -> None:
    case = table(tmp_path, suffix, {"p": [1.0] * 4, "t": [0.0] * 4, "w": [2.0**53, 1.0, 1.0, 0.0]})
    document = scored(run, case.path, **case.roles(weighted=True), reduction="sum", metrics="sse")
    assert document["loss"] == document["metrics"]["sse"] == 9007199254740994.0
    mean = scored(run, case.path, **case.roles(weighted=True))
    assert (mean["loss"], mean["denominator"]) == (1.0, 9007199254740994)
    assert msecli.mse_loss([1] * 4, [0] * 4, weight=[2.0**53, 1, 1, 0], reduction="sum") == 9007199254740994.0


def test_weights_come_from_either_file(run: Run, tmp_path: Path) -> None:
    plain = {name: write(tmp_path / f"{name}.csv", {name: V[name]}) for name in "pt"}
    weighted = {name: write(tmp_path / f"{name}w.csv", {name: V[name], "w": V["w"]}) for name in "pt"}
    assert scored(run, plain["p"], weighted["t"], weight="w")["loss"] == 0.475
    assert scored(run, weighted["p"], plain["t"], weight="w")["loss"] == 0.475
    message = refused(run, DATA, weighted["p"], weighted["t"], weight="w")
    assert message == "weight: both files have a column 'w'; rename it in one of them"


def test_a_weight_column_that_is_not_there_is_an_error_with_the_columns(run: Run, tmp_path: Path) -> None:
    case = table(tmp_path, "csv", V)
    message = refused(run, DATA, case.path, pred="p", target="t", weight="weights")
    assert message.startswith("weight: no file has a column 'weights'")
    assert "'w' (number)" in message


# Axes


@pytest.mark.parametrize("suffix", FORMATS)
def test_axis_0_gives_a_loss_for_each_column(run: Run, tmp_path: Path, suffix: str) -> None:
    document = scored(run, *matrices(tmp_path, suffix), axis=0, metrics="rmse")
    assert [entry["loss"] for entry in document["columns"]] == [5 / 12, 1.0]
    names = ["0", "1"] if suffix == "npy" else ["a", "b"]
    assert [entry["column"] for entry in document["columns"]] == names
    assert [entry["metrics"]["rmse"] for entry in document["columns"]] == RMSE_OF_COLUMNS
    assert (document["loss"], document["metrics"]["rmse"]) == (17 / 24, RMSE_FLAT)
    assert document["metrics"]["rmse"] == pytest.approx(0.8416254115301732, rel=2e-16)
    assert document["macro"] == {
        "loss": float((Fraction(5 / 12) + 1) / 2), "status": "ok", "metrics": {"rmse": 0.8227486121839513},
        "entries": 2, "left_out": 0,
    }  # fmt: skip


@pytest.mark.parametrize("suffix", FORMATS)
def test_weighted_rows_weigh_every_column(run: Run, tmp_path: Path, suffix: str) -> None:
    weights = write(tmp_path / f"w.{suffix}", {"w": [1.0, 2.0, 3.0]})
    document = scored(run, *matrices(tmp_path, suffix), axis=0, weight_file=weights)
    assert [entry["loss"] for entry in document["columns"]] == [13 / 24, 1.0]
    assert [entry["denominator"] for entry in document["columns"]] == [6, 6]
    assert document["loss"] == float(Fraction(37, 48))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("reduction", "expected"), [("mean", [0.625, 0.5, 1.0]), ("sum", [1.25, 1.0, 2.0])]
)  # fmt: skip
def test_axis_1_gives_a_loss_for_each_row(
    run: Run, tmp_path: Path, suffix: str, reduction: str, expected: list[float]
) -> None:
    document = scored(run, *matrices(tmp_path, suffix), axis=1, reduction=reduction)
    assert (document["values"], document["shape"]) == (expected, [3])
    assert document["loss"] == {"mean": 17 / 24, "sum": 4.25}[reduction]


# Missing values


@pytest.mark.parametrize("suffix", FORMATS)
def test_omitted_targets_leave_the_mean(run: Run, tmp_path: Path, suffix: str) -> None:
    prediction = write(tmp_path / f"p.{suffix}", {"a": [1.0, 3.0], "b": [2.0, 4.0]})
    target = write(tmp_path / f"t.{suffix}", {"a": [1.0, 5.0], "b": [NAN, 6.0]})
    document = scored(run, prediction, target, nan_target="omit")
    assert (document["loss"], document["elements"]["used"], document["elements"]["total"]) == (8 / 3, 3, 4)
    assert document["elements"]["nan_target"] == 1
    assert document["rows"]["used"] == 2
    message = refused(run, DATA, prediction, target)
    assert "1 of 4 values missing, the first in row 1" in message
    assert "nan_target='omit'" in message
    propagated = scored(run, prediction, target, nan_target="propagate")
    assert (propagated["loss"], propagated["status"]) == (None, "nan")


@pytest.mark.parametrize(
    ("suffix", "gap"),
    [*(("csv", text) for text in ("", "NA", "N/A", "null", "nan", "NaN")), ("parquet", None), ("parquet", NAN)],
)
def test_whatever_says_missing_is_counted(run: Run, tmp_path: Path, suffix: str, gap: Any) -> None:
    case = table(tmp_path, suffix, {"p": [1.0, gap, 3.0, gap], "t": [gap, 2.0, 5.0, gap]})
    document = scored(run, case.path, **case.roles(weighted=False), nan_target="omit", nan_pred="omit")
    assert document["loss"] == 4.0
    assert document["elements"] == {
        "total": 4, "used": 1, "ignored": 0, "nan_target": 2, "nan_prediction": 2, "infinite": 0,
    }  # fmt: skip
    message = refused(run, DATA, case.path, **case.roles(weighted=False))
    assert "column 'p': 2 of 4 values missing, the first in row 2" in message
    assert "column 't': 2 of 4 values missing, the first in row 1" in message


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("policy", ["raise", "omit", "propagate"])
def test_predictions_that_are_all_missing_never_give_a_number(
    run: Run, tmp_path: Path, suffix: str, policy: str
) -> None:
    case = table(tmp_path, suffix, {"p": [NAN, NAN], "t": [1.0, 2.0]})
    options = case.roles(weighted=False) | {"nan_pred": policy}
    if policy == "propagate":
        document = scored(run, case.path, **options)
        assert (document["loss"], document["status"]) == (None, "nan")
        assert run("compute", case.path, *arguments(options)).out == "nan\n"
    else:
        message = refused(run, DATA, case.path, **options)
        assert ("2 of 2 values missing" if policy == "raise" else "nothing left to score") in message


@pytest.mark.parametrize("suffix", FORMATS)
def test_omitted_elements_take_their_weights_along(run: Run, tmp_path: Path, suffix: str) -> None:
    columns = {
        "p": [10.0, 20.0, 30.0, 40.0, 50.0, NAN],
        "t": [12.0, 25.0, 29.0, 42.0, NAN, 50.0],
        "w": [1.0, 0.0, 1.0, 2.0, 3.0, 4.0],
    }
    case, grad = table(tmp_path, suffix, columns), tmp_path / "g.npy"
    policies = {"nan_target": "omit", "nan_pred": "omit"}
    document = scored(run, case.path, **case.roles(weighted=True), **policies)
    # 1 * 4 + 0 * 25 + 1 * 1 + 2 * 4 = 13, over 1 + 0 + 1 + 2
    assert (document["loss"], document["denominator"]) == (3.25, 4)
    assert document["rows"]["used"] == 4
    run("compute", case.path, *arguments(case.roles(weighted=True) | policies), "--grad", grad)
    assert np.load(grad).tolist() == [-1.0, 0.0, 0.5, -2.0, 0.0, 0.0]
    assert not np.signbit(np.load(grad)[4:]).any()
    assert msecli.mse_loss(columns["p"], columns["t"], weight=columns["w"], nan_target="omit", nan_pred="omit") == 3.25


@pytest.mark.parametrize("suffix", FORMATS)
def test_weights_of_unused_elements_do_not_matter(run: Run, tmp_path: Path, suffix: str) -> None:
    case = table(tmp_path, suffix, {"p": [1.0, 2.0, 3.0], "t": [0.0, NAN, -1.0], "w": [2.0, -1.0, NAN]})
    document = scored(run, case.path, **case.roles(weighted=True), nan_target="omit", ignore_index=-1.0)
    assert (document["loss"], document["denominator"]) == (1.0, 2)


# ignore_index


@pytest.mark.parametrize("suffix", FORMATS)
def test_ignored_targets_leave_the_mean_and_the_gradient(run: Run, tmp_path: Path, suffix: str) -> None:
    columns = {"p": [1.0, NAN, 30.0, 4.0, math.inf], "t": [2.0, -1.0, NAN, 6.0, 255.0]}
    case, grad = table(tmp_path, suffix, columns), tmp_path / "g.npy"
    options = case.roles(weighted=False) | {"ignore_index": (-1.0, NAN, 255.0)}
    document = scored(run, case.path, **options)
    assert document["loss"] == 2.5
    # An ignored element is not looked at further: neither missing nor infinite.
    assert document["elements"] == {
        "total": 5, "used": 2, "ignored": 3, "nan_target": 0, "nan_prediction": 0, "infinite": 0,
    }  # fmt: skip
    assert run("compute", case.path, *arguments(options), "--grad", grad).code == 0
    assert np.load(grad).tolist() == [-1.0, 0.0, 0.0, -2.0, 0.0]
    assert msecli.mse_loss(columns["p"], columns["t"], ignore_index=(-1, NAN, 255)) == 2.5


# Keys


def keyed(folder: Path, suffix: str, name: str, rows: Mapping[str, Sequence[Any]]) -> Path:
    return write(folder / f"{name}.{suffix}", rows)


@pytest.mark.parametrize("target_suffix", ["csv", "parquet"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_duplicate_keys_are_refused_with_examples(run: Run, tmp_path: Path, suffix: str, target_suffix: str) -> None:
    prediction = keyed(tmp_path, suffix, "p", {"id": [1, 2], "pred": [1.0, 2.0]})
    target = keyed(tmp_path, target_suffix, "t", {"id": [1, 1, 2], "target": [1.0, 3.0, 2.0]})
    message = refused(run, DATA, prediction, target, on="id")
    lines = " (lines 2 and 3)" if target_suffix == "csv" else ""
    assert message.startswith(f"{target}: 1 duplicate key in 'id': 1 in rows 1 and 2{lines}; ")


@pytest.mark.parametrize("target_suffix", ["csv", "parquet"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_unmatched_keys_are_refused_or_skipped(run: Run, tmp_path: Path, suffix: str, target_suffix: str) -> None:
    prediction = keyed(tmp_path, suffix, "p", {"id": [1, 3], "pred": [1.0, 99.0]})
    target = keyed(tmp_path, target_suffix, "t", {"id": [1, 2], "target": [1.0, 3.0]})
    message = refused(run, DATA, prediction, target, on="id")
    assert f"keys ('id') has no match in {target}: 3" in message
    assert f"keys ('id') has no match in {prediction}: 2" in message
    assert message.endswith("; to leave them out, use unmatched='skip'")
    document = scored(run, prediction, target, on="id", unmatched="skip")
    assert (document["loss"], document["denominator"]) == (0.0, 1)
    assert document["rows"] == {
        "prediction": 2, "target": 2, "matched": 1, "unmatched_prediction": 1, "unmatched_target": 1, "dropped": 0,
        "used": 1, "checked_by": [],
    }  # fmt: skip


@pytest.mark.parametrize("suffix", FORMATS)
def test_arrays_pair_by_a_column_of_keys_too(run: Run, tmp_path: Path, suffix: str) -> None:
    """The issue: rows are aligned by key across files of any two formats."""
    prediction = write(tmp_path / "p.npy", {"0": [3, 1, 2], "1": [30, 10, 20]})
    target = write(tmp_path / f"t.{suffix}", {"0": [1, 2, 3], "1": [10, 20, 33]})
    for files in ((prediction, target), (target, prediction)):
        ran = run("compute", *files, "--on", "0", "-p", "1", "-t", "1", "--header")
        assert (ran.code, ran.out) == (0, "3.0\n")


@pytest.mark.parametrize("role", ["on", "by", "weight"])
def test_columns_of_arrays_with_another_part_are_not_scored(run: Run, tmp_path: Path, role: str) -> None:
    """The design: columns named by -w, --by, --on are no candidates."""
    data = {"0": [10, 20, 30], "1": [7, 8, 9]}
    prediction = write(tmp_path / "p.npy", data | ({"2": [1, 2, 3]} if role != "weight" else {}))
    target = write(tmp_path / "t.npy", {"0": [10, 20, 33], "1": [7, 8, 9], "2": [1, 2, 3]})
    document = scored(run, prediction, target, **{role: "2"}, reduction="sum")
    assert document["elements"]["total"] == 6
    assert document["loss"] == (27.0 if role == "weight" else 9.0)


def test_the_diabetes_files_pair_by_their_id(run: Run, sample_data: Path) -> None:
    files = sample_data / "diabetes_forest_shuffled.parquet", sample_data / "diabetes_target.csv"
    # 3321.273615510306 to pandas, which rounds at every addition; the correctly rounded mean is its neighbour.
    assert scored(run, *files, on="id")["loss"] == pytest.approx(3321.273615510306, rel=2e-16)
    scores = sample_data / "diabetes_scores.parquet"
    by_position = scored(run, scores, pred="forest", target="target")
    assert scored(run, *files, on="id")["loss"] == by_position["loss"]


def test_the_diabetes_files_do_not_pair_by_position(run: Run, sample_data: Path) -> None:
    files = sample_data / "diabetes_forest_shuffled.parquet", sample_data / "diabetes_target.csv"
    message = refused(run, DATA, *files)
    assert f"column 'id' differs between row 1 of {files[0]} and row 1 (line 2) of {files[1]}: 204 in " in message
    assert message.endswith("; to pair rows by 'id', use on='id'")


# Groups


def test_the_diabetes_scores_have_their_known_losses_by_age(run: Run, sample_data: Path) -> None:
    document = scored(run, sample_data / "diabetes_scores.parquet", pred="ridge", target="target", by="age_band")
    losses = {entry["group"]["age_band"]: round(entry["loss"], 6) for entry in document["groups"]}
    assert losses == {"40-54": 3174.322264, "55+": 2721.020369, "<40": 3097.652296}
    assert list(losses) == sorted(losses)
    assert document["loss"] == 3006.503469511205
    assert document["macro"]["loss"] == pytest.approx(sum(losses.values()) / 3, rel=1e-8)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_groups_have_losses_ledgers_and_metrics_of_their_own(run: Run, tmp_path: Path, suffix: str) -> None:
    case = table(tmp_path, suffix, V | {"g": ["b", "a", "b", "a"]})
    document = scored(run, case.path, **case.roles(weighted=True), by="g", metrics=("rmse", "bias"))
    a, b = document["groups"]
    assert (a["group"], b["group"]) == ({"g": "a"}, {"g": "b"})
    # In group a (2 * 0.25 + 4 * 1) / 6, and in b (1 * 0.25 + 3 * 0) / 4.
    assert (a["loss"], a["denominator"], b["loss"], b["denominator"]) == (0.75, 6, 0.0625, 4)
    assert b["metrics"] == {"rmse": 0.25, "bias": -0.125}
    assert (a["rows"]["used"], b["elements"]["used"]) == (2, 2)
    assert (document["loss"], document["metrics"]["rmse"]) == (0.475, math.sqrt(0.475))
    assert document["macro"]["loss"] == 0.40625


def test_an_array_can_be_grouped_by_one_of_its_columns(run: Run, tmp_path: Path) -> None:
    """The issue: the whole row contract for every format."""
    path = write(tmp_path / "x.npy", {"p": [1, 2, 3, 4], "t": [0, 0, 1, 1], "w": [1, 2, 3, 1], "g": [1, 0, 1, 0]})
    ran = run("compute", path, "-p", "0", "-t", "1", "-w", "2", "--by", "3")
    # 0: (2 * 4 + 1 * 9) / 3; 1: (1 * 1 + 3 * 4) / 4
    assert (ran.code, ran.out.splitlines()[:2]) == (0, [f"0\t{17 / 3!r}", "1\t3.25"])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("owner", ["prediction", "target", "both"])
def test_labels_of_groups_come_from_either_file(run: Run, tmp_path: Path, suffix: str, owner: str) -> None:
    labels: dict[str, list[Any]] = {"g": ["b", "a", "b"]}
    prediction = write(tmp_path / f"p.{suffix}", (labels if owner != "target" else {}) | {"v": [1.0, 2.0, 3.0]})
    target = write(tmp_path / f"t.{suffix}", (labels if owner != "prediction" else {}) | {"v": [0.0, 0.0, 0.0]})
    document = scored(run, prediction, target, by="g")
    assert [(entry["group"]["g"], entry["loss"]) for entry in document["groups"]] == [("a", 4.0), ("b", 5.0)]


@pytest.mark.parametrize("target_suffix", ["csv", "parquet"])
def test_labels_of_groups_that_disagree_between_the_files_are_refused(
    run: Run, tmp_path: Path, target_suffix: str
) -> None:
    prediction = write(tmp_path / "p.csv", {"id": [1, 2, 3], "g": ["a", "b", "c"], "v": [1.0, 2.0, 3.0]})
    target = write(tmp_path / f"t.{target_suffix}", {"id": [1, 2, 3], "g": ["a", "x", "c"], "v": [0.0, 0.0, 0.0]})
    where = {
        "csv": "the files at row 2 (line 3)",
        "parquet": f"row 2 (line 3) of {prediction} and row 2 of {target}",
    }[target_suffix]
    message = f"column 'g' differs between {where}: 'b' in {prediction}, 'x' in {target}"
    assert refused(run, DATA, prediction, target, by="g").startswith(message)
    # Paired by key there is nothing to advise.
    assert refused(run, DATA, prediction, target, by="g", on="id") == message


def test_labels_of_keyed_rows_follow_their_rows(run: Run, tmp_path: Path) -> None:
    prediction = write(tmp_path / "p.csv", {"id": [1, 2, 3], "h": ["x", "x", "y"], "v": [1.0, 2.0, 3.0]})
    target = write(tmp_path / "t.parquet", {"id": [3, 1, 2], "g": ["c", "a", "b"], "v": [0.0, 0.0, 0.0]})
    document = scored(run, prediction, target, on="id", by=("g", "h"))
    assert [(tuple(entry["group"].values()), entry["loss"]) for entry in document["groups"]] == [
        (("a", "x"), 1.0), (("b", "x"), 4.0), (("c", "y"), 9.0),
    ]  # fmt: skip


def test_a_key_may_also_be_the_label_of_a_group(run: Run, tmp_path: Path) -> None:
    prediction = write(tmp_path / "p.csv", {"day": [1, 1, 2], "store": ["n", "s", "n"], "v": [1.0, 2.0, 3.0]})
    target = write(tmp_path / "t.csv", {"day": [2, 1, 1], "store": ["n", "s", "n"], "v": [0.0, 0.0, 0.0]})
    document = scored(run, prediction, target, on=("day", "store"), by="day")
    assert [(entry["group"]["day"], entry["loss"]) for entry in document["groups"]] == [(1, 2.5), (2, 9.0)]


# Batches


@pytest.mark.parametrize("suffix", FORMATS)
def test_fifteen_rows_of_three_inputs_make_five_batches(run: Run, tmp_path: Path, suffix: str) -> None:
    # Residuals of 0, 3, 6, 9 and 12: nine of these squares are a multiple of 9, and all 45 are 9 times 270.
    residual = 3.0 * (np.arange(45) % 5).reshape(15, 3)
    target = np.arange(45.0).reshape(15, 3)
    prediction = target + residual
    files = [
        write(tmp_path / f"{name}.{suffix}", dict(zip("abc", array.T, strict=True)))
        for name, array in (("p", prediction), ("t", target))
    ]
    document = scored(run, *files, batch_size=3)
    expected = [Fraction(int(np.square(rows).sum()), 9) for rows in residual.reshape(5, 9)]
    assert [Fraction(entry["loss"]) for entry in document["batches"]] == expected
    assert Fraction(document["loss"]) == 54 == sum(3 * loss for loss in expected) / 15
    running = [float(sum(expected[: number + 1]) / (number + 1)) for number in range(5)]
    assert [entry["running_mean"] for entry in document["batches"]] == running
    assert [(entry["batch"], entry["rows"]["used"]) for entry in document["batches"]] == [(n, 3) for n in range(5)]


@pytest.mark.parametrize("suffix", FORMATS)
def test_batches_of_any_numbers_average_to_the_total_as_fractions(run: Run, tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(15)
    prediction, target = rng.standard_normal((15, 3)), rng.standard_normal((15, 3))
    files = [
        write(tmp_path / f"{name}.{suffix}", dict(zip("abc", array.T.tolist(), strict=True)))
        for name, array in (("p", prediction), ("t", target))
    ]
    document = scored(run, *files, batch_size=3)
    squares = np.square(prediction - target).reshape(5, 9).tolist()
    exact = [sum(map(Fraction, batch)) / 9 for batch in squares]
    assert [entry["loss"] for entry in document["batches"]] == list(map(float, exact))
    assert document["loss"] == float(sum(exact) / 5)


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_last_batch_is_smaller_or_dropped(run: Run, tmp_path: Path, suffix: str) -> None:
    case = table(tmp_path, suffix, {"p": [1.0, 2.0, 3.0, 4.0, 5.0], "t": [0.0] * 5})
    whole = scored(run, case.path, **case.roles(weighted=False), batch_size=2)
    assert [entry["loss"] for entry in whole["batches"]] == [2.5, 12.5, 25.0]
    assert [entry["running_mean"] for entry in whole["batches"]] == [2.5, 7.5, 11.0]
    assert (whole["loss"], whole["rows"]["dropped"]) == (11.0, 0)
    dropped = scored(run, case.path, **case.roles(weighted=False), batch_size=2, drop_last=True)
    assert [entry["loss"] for entry in dropped["batches"]] == [2.5, 12.5]
    assert (dropped["loss"], dropped["denominator"]) == (7.5, 4)
    assert (dropped["rows"]["prediction"], dropped["rows"]["dropped"], dropped["rows"]["used"]) == (5, 1, 4)
    assert dropped["elements"]["total"] == 4


@pytest.mark.parametrize("suffix", FORMATS)
def test_shuffled_batches_are_numpys_permutation(run: Run, tmp_path: Path, suffix: str) -> None:
    case = table(tmp_path, suffix, {"p": [float(2**row) for row in range(7)], "t": [0.0] * 7})
    options = case.roles(weighted=False) | {"batch_size": 3, "shuffle": 5, "reduction": "sum"}
    document = scored(run, case.path, **options)
    order = np.random.default_rng(5).permutation(7)
    expected = [float(sum(4 ** int(row) for row in order[start : start + 3])) for start in (0, 3, 6)]
    assert [entry["loss"] for entry in document["batches"]] == expected
    assert document["loss"] == float(sum(4**row for row in range(7)))
    dropped = scored(run, case.path, **options, drop_last=True)
    assert [entry["loss"] for entry in dropped["batches"]] == expected[:2]
    assert dropped["loss"] == sum(expected[:2])


# Legacy flags


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("flags", "options", "reduction", "loss"),
    [
        (["--size-average"], {"size_average": True}, "mean", 0.375),
        (["--no-size-average"], {"size_average": False}, "sum", 1.5),
        (["--reduce"], {"reduce": True}, "mean", 0.375),
        (["--no-reduce"], {"reduce": False}, "none", None),
        (["--no-reduce", "--no-size-average"], {"reduce": False, "size_average": False}, "none", None),
        (["--reduce", "--no-size-average"], {"reduce": True, "size_average": False}, "sum", 1.5),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_legacy_flags_mean_a_reduction_and_warn(
    run: Run,
    tmp_path: Path,
    suffix: str,
    *,
    flags: list[str],
    options: dict[str, Any],
    reduction: str,
    loss: float | None,
) -> None:
    case = table(tmp_path, suffix, {"p": V["p"], "t": V["t"]})
    ran = run("compute", case.path, *arguments(case.roles(weighted=False)), *flags, "--format", "json")
    message = f"size_average and reduce are deprecated; use reduction='{reduction}'"
    assert (ran.code, ran.err) == (0, f"Warning: {message}\n")
    with pytest.warns(DeprecationWarning, match=message) as caught:
        result = msecli.score(case.path, **case.roles(weighted=False), **options)
    assert caught[0].filename == __file__
    document = json.loads(ran.out)
    assert document == result.to_dict()
    assert (document["reduction"], document["loss"]) == (reduction, loss)


def test_legacy_flags_overrule_the_reduction_as_in_pytorch(tmp_path: Path) -> None:
    case = table(tmp_path, "csv", {"p": V["p"], "t": V["t"]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = msecli.score(case.path, **case.roles(weighted=False), reduction="mean", size_average=False)
    assert (result.reduction, result.loss) == ("sum", 1.5)


def test_legacy_flags_are_not_in_the_help(run: Run) -> None:
    help_text = run("compute", "--help").out
    assert "--size-average" not in help_text
    assert "--reduce " not in help_text


# All together

EVERYTHING: dict[str, Sequence[Any]] = {
    "id": [7, 3, 5, 1, 9, 2, 8],
    "pred": [1.0, 2.0, NAN, 4.0, 5.0, 6.0, 100.0],
}
EVERYTHING_TARGETS: dict[str, Sequence[Any]] = {
    "id": [1, 2, 3, 5, 7, 9, 4],
    "target": [2.0, -1.0, 1.0, 3.0, 3.0, NAN, 50.0],
    "w": [1.0, 5.0, 2.0, 7.0, 0.5, 9.0, 11.0],
    "g": ["a", "a", "b", "a", "a", "b", "c"],
}
# In the predictions' order, without the unmatched 8: ids 7 3 5 1 9 2, squares 4 1 - 4 - -, weights 0.5 2 - 1 - -.
EVERYTHING_OPTIONS: dict[str, Any] = {
    "on": "id", "unmatched": "skip", "weight": "w", "by": "g", "batch_size": 2, "nan_target": "omit",
    "nan_pred": "omit", "ignore_index": -1.0,
}  # fmt: skip


@pytest.mark.parametrize("target_suffix", ["csv", "parquet"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_everything_goes_together(run: Run, tmp_path: Path, suffix: str, target_suffix: str) -> None:
    prediction = keyed(tmp_path, suffix, "p", EVERYTHING)
    target = keyed(tmp_path, target_suffix, "t", EVERYTHING_TARGETS)
    document = scored(run, prediction, target, **EVERYTHING_OPTIONS)
    assert (document["loss"], document["denominator"]) == (8 / 3.5, 3.5)
    assert document["rows"] == {
        "prediction": 7, "target": 7, "matched": 6, "unmatched_prediction": 1, "unmatched_target": 1, "dropped": 0,
        "used": 3, "checked_by": [],
    }  # fmt: skip
    assert document["elements"] == {
        "total": 6, "used": 3, "ignored": 1, "nan_target": 1, "nan_prediction": 1, "infinite": 0,
    }  # fmt: skip
    groups = [(entry["group"]["g"], entry["loss"], entry["denominator"]) for entry in document["groups"]]
    # a: ids 7 and 1, (0.5 * 4 + 1 * 4) / 1.5; b: id 3.
    assert groups == [("a", 4.0, 1.5), ("b", 1.0, 2)]
    batches = [(entry["loss"], entry["running_mean"], entry["status"]) for entry in document["batches"]]
    assert batches == [(4 / 2.5, 4 / 2.5, "ok"), (4.0, 8 / 3.5, "ok"), (None, 8 / 3.5, "empty")]
    assert (document["macro"]["loss"], document["macro"]["entries"]) == (2.5, 2)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_everything_has_a_gradient_of_matched_rows(run: Run, tmp_path: Path, suffix: str) -> None:
    prediction = keyed(tmp_path, suffix, "p", EVERYTHING)
    target, grad = keyed(tmp_path, suffix, "t", EVERYTHING_TARGETS), tmp_path / "g.parquet"
    ran = run("compute", prediction, target, *arguments(EVERYTHING_OPTIONS), "-r", "sum", "--grad", grad)
    assert ran.code == 0
    assert pq.read_table(grad).to_pydict() == {
        "id": [7, 3, 5, 1, 9, 2],
        "grad": [2 * 0.5 * -2.0, 2 * 2.0 * 1.0, 0.0, 2 * 1.0 * 2.0, 0.0, 0.0],
    }


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_everything_but_the_last_batch(run: Run, tmp_path: Path, suffix: str) -> None:
    prediction = keyed(tmp_path, suffix, "p", EVERYTHING)
    target, grad = keyed(tmp_path, suffix, "t", EVERYTHING_TARGETS), tmp_path / "g.npy"
    options = EVERYTHING_OPTIONS | {"batch_size": 4, "drop_last": True}
    document = scored(run, prediction, target, **options)
    assert (document["rows"]["matched"], document["rows"]["dropped"], document["rows"]["used"]) == (6, 2, 3)
    # Neither the missing target of id 9 nor the ignored one of id 2 is there any more.
    assert document["elements"] == {
        "total": 4, "used": 3, "ignored": 0, "nan_target": 0, "nan_prediction": 1, "infinite": 0,
    }  # fmt: skip
    assert [entry["loss"] for entry in document["batches"]] == [8 / 3.5]
    assert run("compute", prediction, target, *arguments(options), "-r", "sum", "--grad", grad).code == 0
    assert np.load(grad).tolist() == [-2.0, 4.0, 0.0, 4.0, 0.0, 0.0]

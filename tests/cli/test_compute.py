"""`msecli compute` on real files.

The losses of the sample files are exact: `fractions.Fraction` sums of the float64 losses, rounded once. The small
cases are worked out by hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from msecli import kernel

Run = Callable[..., Any]

PREDICTION = np.array([[1.0, 2, 3], [2, 1, 3], [3, 1, 2]])
TARGET = np.eye(3)


def _exact_mean(prediction: np.ndarray[Any, Any], target: np.ndarray[Any, Any]) -> float:
    losses = np.square(prediction.astype(np.float64) - target.astype(np.float64)).reshape(-1).tolist()
    return float(sum(map(Fraction, losses), Fraction(0)) / len(losses))


def _write(path: Path, values: np.ndarray[Any, Any], names: tuple[str, ...] = ("a", "b", "c")) -> Path:
    if path.suffix == ".npy":
        np.save(path, values)
        return path
    columns = values.reshape(len(values), -1).T
    table = pa.Table.from_arrays([pa.array(column) for column in columns], list(names[: len(columns)]))
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        delimiter = "\t" if path.suffix == ".tsv" else ","
        pa_csv.write_csv(table, path, pa_csv.WriteOptions(delimiter=delimiter))
    return path


FORMATS = ("csv", "tsv", "parquet", "npy")


@pytest.mark.parametrize("target_format", FORMATS)
@pytest.mark.parametrize("prediction_format", FORMATS)
@pytest.mark.parametrize(
    ("reduction", "expected"),
    [("mean", 37 / 9), ("sum", 37.0), ("batchmean", 37 / 3)],
    ids=["mean", "sum", "batchmean"],
)
def test_formats_mix_and_give_the_same_bits(
    run: Run, tmp_path: Path, prediction_format: str, target_format: str, reduction: str, expected: float
) -> None:
    prediction = _write(tmp_path / f"p.{prediction_format}", PREDICTION)
    target = _write(tmp_path / f"t.{target_format}", TARGET)
    ran = run("compute", prediction, target, "--reduction", reduction)
    assert (ran.code, ran.out) == (0, f"{expected!r}\n")
    named = "npy" not in (prediction_format, target_format)
    assert ("have the same names in both files and were scored: a, b, c" in ran.err) == named


@pytest.mark.parametrize("suffix", FORMATS)
def test_none_keeps_the_shape_and_the_order(run: Run, tmp_path: Path, suffix: str) -> None:
    prediction = _write(tmp_path / f"p.{suffix}", PREDICTION)
    target = _write(tmp_path / f"t.{suffix}", TARGET)
    ran = run("compute", prediction, target, "-r", "none", "--format", "json")
    document = json.loads(ran.out)
    assert document["values"] == [[0, 4, 9], [4, 0, 9], [9, 1, 1]]
    assert document["shape"] == [3, 3]
    assert document["loss"] is None


def test_the_sample_files_have_their_known_losses(run: Run, sample_data: Path) -> None:
    ridge = np.loadtxt(sample_data / "diabetes_ridge.csv", delimiter=",", skiprows=1)[:, 1]
    target = np.loadtxt(sample_data / "diabetes_target.csv", delimiter=",", skiprows=1)[:, 1]
    ran = run("compute", sample_data / "diabetes_ridge.csv", sample_data / "diabetes_target.csv")
    assert float(ran.out) == _exact_mean(ridge, target) == pytest.approx(3006.503469511205, rel=1e-15)
    ran = run("compute", sample_data / "diabetes_scores.parquet", "-p", "forest", "-t", "target")
    assert float(ran.out) == pytest.approx(3321.273615510306, rel=1e-15)


def test_images_have_their_known_loss(run: Run, sample_data: Path) -> None:
    files = sample_data / "digits_pca16.npy", sample_data / "digits_target.npy"
    ran = run("compute", *files)
    assert float(ran.out) == _exact_mean(*map(np.load, files)) == pytest.approx(2.8271828588149592, rel=1e-15)


@pytest.mark.parametrize(
    ("column", "expected"), [("weight", 1026.60586297), ("waist", 10.05179226), ("pulse", 92.12057484)]
)
def test_a_column_can_be_named(run: Run, sample_data: Path, column: str, expected: float) -> None:
    files = sample_data / "linnerud_pred.csv", sample_data / "linnerud_target.csv"
    assert float(run("compute", *files, "-p", column, "-t", column).out) == pytest.approx(expected, abs=5e-9)


def test_several_columns_give_one_pooled_loss(run: Run, sample_data: Path) -> None:
    files = sample_data / "linnerud_pred.csv", sample_data / "linnerud_target.csv"
    assert float(run("compute", *files).out) == pytest.approx(376.2594100230711, rel=1e-15)


@pytest.mark.parametrize(
    ("prediction", "target", "expected"),
    [
        (np.array([0], np.uint8), np.array([16], np.uint8), "256.0"),
        (np.array([-128], np.int8), np.array([127], np.int8), "65025.0"),
        (np.array([300], np.float16), np.array([0], np.float16), "90000.0"),
        (np.array([0.1], np.float32), np.array([0.1]), "2.220446032706701e-18"),
        (np.array([1.0, 2, 3]), np.array([[1.0], [2], [3]]), "0.0"),
    ],
    ids=["uint8", "int8", "float16", "float32", "column"],
)
def test_values_are_converted_before_subtracting(
    run: Run, tmp_path: Path, prediction: np.ndarray[Any, Any], target: np.ndarray[Any, Any], expected: str
) -> None:
    ran = run("compute", _write(tmp_path / "p.npy", prediction), _write(tmp_path / "t.npy", target))
    assert ran.out == f"{expected}\n"


@pytest.mark.parametrize(
    ("prediction", "target"),
    [((4,), (3,)), ((3, 2), (3, 3)), ((2, 3), (3,)), ((), (3,)), ((3, 1, 2), (3, 2))],
    ids=str,
)
def test_shapes_are_never_broadcast(
    run: Run, tmp_path: Path, prediction: tuple[int, ...], target: tuple[int, ...]
) -> None:
    ran = run("compute", _write(tmp_path / "p.npy", np.ones(prediction)), _write(tmp_path / "t.npy", np.ones(target)))
    assert ran.code == 3
    assert ran.out == ""
    assert ran.err.startswith("Error: ")


@pytest.mark.parametrize("suffix", ["npy", "csv", "tsv", "parquet"])
@pytest.mark.parametrize(("reduction", "divisor"), [("mean", 9), ("sum", 1), ("batchmean", 3)])
def test_gradients_are_written(run: Run, tmp_path: Path, suffix: str, reduction: str, divisor: int) -> None:
    prediction, target = _write(tmp_path / "p.csv", PREDICTION), _write(tmp_path / "t.csv", TARGET)
    grad, grad_target = tmp_path / f"g.{suffix}", tmp_path / f"gt.{suffix}"
    ran = run("compute", prediction, target, "-r", reduction, "--grad", grad, "--grad-target", grad_target)
    assert ran.code == 0
    expected = 2 * (PREDICTION - TARGET) / divisor
    assert _read(grad) == expected.tolist()
    assert _read(grad_target) == (-expected + 0.0).tolist()
    assert "-0" not in str(_read(grad_target)).replace("-0.", "")


def _read(path: Path) -> Any:
    if path.suffix == ".npy":
        return np.load(path).tolist()
    if path.suffix == ".parquet":
        table = pq.read_table(path)
    else:
        parse = pa_csv.ParseOptions(delimiter="\t" if path.suffix == ".tsv" else ",")
        table = pa_csv.read_csv(path, parse_options=parse)
    assert table.column_names == ["a", "b", "c"]
    return [list(row.values()) for row in table.to_pylist()]


def test_the_gradient_known_from_pytorch_is_reproduced(run: Run, tmp_path: Path) -> None:
    """Values printed by a NumPy exercise on `RandomState(123)` that cites PyTorch's `MSELoss`."""
    random = np.random.RandomState(123)
    prediction = _write(tmp_path / "p.npy", random.random(27))
    target = _write(tmp_path / "t.npy", random.random(27))
    ran = run("compute", prediction, target, "--grad", tmp_path / "g.npy")
    assert float(ran.out) == pytest.approx(0.1169601165663142, rel=2e-16)
    assert np.load(tmp_path / "g.npy")[:4].round(6).tolist() == [0.034682, -0.000561, -0.029935, 0.034016]


def test_missing_values_follow_their_own_policies(run: Run, tmp_path: Path) -> None:
    prediction = _write(tmp_path / "p.npy", np.array([[1.0, 2], [3, 4]]))
    target = _write(tmp_path / "t.npy", np.array([[1, np.nan], [5, 6]]))
    refused = run("compute", prediction, target)
    assert refused.code == 3
    assert "1 of 4 values missing, the first in row 1" in refused.err
    omitted = run(
        "compute", prediction, target, "--nan-policy", "omit", "--format", "json", "--grad", tmp_path / "g.npy"
    )
    document = json.loads(omitted.out)
    assert document["loss"] == 8 / 3
    assert document["elements"] == {
        "total": 4, "used": 3, "ignored": 0, "nan_target": 1, "nan_prediction": 0, "infinite": 0,
    }  # fmt: skip
    assert np.load(tmp_path / "g.npy").tolist() == [[0, 0], [-4 / 3, -4 / 3]]
    propagated = run("compute", prediction, target, "--nan-policy", "propagate")
    assert (propagated.code, propagated.out) == (0, "nan\n")


def test_ignored_targets_are_left_out(run: Run, tmp_path: Path) -> None:
    prediction = _write(tmp_path / "p.npy", np.array([1.0, 2, 30, 4]))
    target = _write(tmp_path / "t.npy", np.array([2.0, -1, np.nan, 6]))
    ran = run("compute", prediction, target, "--ignore-index", "-1", "--ignore-index", "nan", "--format", "json")
    document = json.loads(ran.out)
    assert document["loss"] == 2.5
    assert document["elements"]["ignored"] == 2
    assert "|ignore:-1.0,nan|" in document["signature"]


def test_nothing_left_is_an_error(run: Run, tmp_path: Path) -> None:
    files = _write(tmp_path / "p.npy", np.ones(2)), _write(tmp_path / "t.npy", np.ones(2))
    ran = run("compute", *files, "--ignore-index", "1")
    assert (ran.code, ran.out) == (3, "")
    assert "nothing left to score" in ran.err


def test_infinities_are_counted_and_make_the_loss_infinite(run: Run, tmp_path: Path) -> None:
    prediction = _write(tmp_path / "p.npy", np.array([1.0, np.inf]))
    target = _write(tmp_path / "t.npy", np.array([1.0, 2]))
    document = json.loads(run("compute", prediction, target, "-m", "rmse", "--format", "json").out)
    assert (document["loss"], document["status"], document["elements"]["infinite"]) == (None, "inf", 1)
    assert run("compute", prediction, target).out == "inf\n"


def test_standard_input_is_read(run: Run, sample_data: Path) -> None:
    stdin = (sample_data / "diabetes_ridge.csv").read_bytes()
    assert run("compute", "-", sample_data / "diabetes_target.csv", stdin=stdin).out == "3006.503469511205\n"


@pytest.mark.parametrize("name", ["digits_pca16.npy", "diabetes_forest_shuffled.parquet"])
def test_binary_formats_come_through_standard_input_too(run: Run, sample_data: Path, name: str) -> None:
    ran = run("compute", "-", sample_data / name, stdin=(sample_data / name).read_bytes())
    assert ran.out == "0.0\n"


def test_options_come_from_the_environment(run: Run, sample_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSECLI_COMPUTE_REDUCTION", "sum")
    monkeypatch.setenv("MSECLI_COMPUTE_METRICS", "mae,bias")
    ran = run("compute", sample_data / "linnerud_pred.csv", sample_data / "linnerud_target.csv")
    assert [line.split("\t")[0] for line in ran.out.splitlines()] == ["loss", "mae", "bias"]
    assert float(ran.out.split()[1]) == pytest.approx(60 * 376.2594100230711, rel=1e-15)


def test_the_json_document_has_the_promised_shape(run: Run, sample_data: Path) -> None:
    files = [str(sample_data / "diabetes_ridge.csv"), str(sample_data / "diabetes_target.csv")]
    document = json.loads(run("compute", *files, "-m", "rmse", "--format", "json").out)
    assert document == {
        "schema": "msecli/1",
        "loss": 3006.503469511205,
        "status": "ok",
        "reduction": "mean",
        "metrics": {"rmse": 54.83159189291521},
        "denominator": 442,
        "denominator_name": "elements",
        "rows": {
            "prediction": 442, "target": 442, "matched": 442, "unmatched_prediction": 0, "unmatched_target": 0,
            "dropped": 0, "used": 442, "checked_by": ["id"],
        },
        "elements": {
            "total": 442, "used": 442, "ignored": 0, "nan_target": 0, "nan_prediction": 0, "infinite": 0,
        },
        "inputs": [
            {"role": role, "path": path, "format": "csv", "columns": ["progression"], "files": 1, "skipped": 0}
            for role, path in zip(("prediction", "target"), files, strict=True)
        ],
        "settings": {
            "reduction": "mean", "metrics": ["rmse"], "nan_target": "raise", "nan_pred": "raise",
            "ignore_index": [], "weights": "none", "pairing": "position", "unmatched": "error", "row_check": True,
            "by": [], "axis": [], "batch_size": None, "shuffle": None, "drop_last": False,
        },
        "signature": "mse|columns:progression~progression|reduction:mean|weights:none|nan:raise|nan_pred:raise|"
        "pairing:position|used:442/442|acc:exact|msecli:0.2.0",
        "warnings": [],
        "version": "0.2.0",
        "kernel": kernel.name(),
    }  # fmt: skip


def test_both_problems_are_reported_together(run: Run, tmp_path: Path) -> None:
    ran = run("compute", tmp_path / "p.csv", tmp_path / "t.csv")
    assert ran.code == 4
    assert "p.csv: no such file" in ran.err
    assert "t.csv: no such file" in ran.err


def test_a_warning_goes_to_standard_error_and_into_the_document(run: Run, tmp_path: Path) -> None:
    prediction = _write(tmp_path / "p.npy", np.array([2**53 + 1, 2]))
    target = _write(tmp_path / "t.npy", np.array([0, 2]))
    ran = run("compute", prediction, target, "--format", "json")
    assert "integers beyond 2**53 were rounded" in ran.err
    assert [(w["code"], w["count"]) for w in json.loads(ran.out)["warnings"]] == [("rounded_integers", 1)]

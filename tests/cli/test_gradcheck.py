"""`msecli gradcheck` on real files.

The loss is a quadratic of every prediction and every parameter of a linear model, so its central differences are
exact but for rounding: the analytic gradients are hand algebra and the known answers of PyTorch 2.13.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from msecli import mse_loss_grad

Run = Callable[..., Any]
Array = NDArray[np.float64]

X = np.array([[75.0, 69, 45], [93, 90, 61], [89, 136, 70], [104, 45, 39], [72, 98, 81]])
Y = np.array([[64.0, 73], [93, 104], [111, 125], [36, 45], [110, 113]])
W = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
B = np.array([0.5, -0.5])


def _save(path: Path, values: Any) -> Path:
    np.save(path, np.asarray(values, dtype=np.float64))
    return path


def _text(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def _model(folder: Path, inputs: Array = X, target: Array = Y) -> list[Any]:
    values = (("x", inputs), ("y", target), ("w", W), ("b", B))
    x, y, w, b = (_save(folder / f"{name}.npy", array) for name, array in values)
    return [x, y, "--coef", w, "--intercept", b]


def _checks(ran: Any) -> dict[str, tuple[float, float]]:
    assert ran.code == 0
    return {check["coordinate"]: (check["analytic"], check["numeric"]) for check in json.loads(ran.out)["checks"]}


def test_good_gradients_pass_and_the_largest_error_is_printed(run: Run, sample_data: Path) -> None:
    ran = run("gradcheck", sample_data / "diabetes_ridge.csv", sample_data / "diabetes_target.csv")
    assert (ran.code, ran.err) == (0, "")
    assert 0 <= float(ran.out) < 1e-9


def test_every_parameter_of_the_known_model_is_checked(run: Run, tmp_path: Path) -> None:
    checks = _checks(run("gradcheck", *_model(tmp_path), "--format", "json"))
    expected = {
        "coef 0": -3185.84, "coef 1": -3876.98, "coef 2": -2558.48, "coef 3": 1953.12, "coef 4": 1683.36,
        "coef 5": 1154.44, "intercept 0": -38.36, "intercept 1": 21.46,
    }  # fmt: skip
    assert {name: analytic for name, (analytic, _) in checks.items()} == pytest.approx(expected, rel=1e-12)
    assert {name: numeric for name, (_, numeric) in checks.items()} == pytest.approx(expected, rel=1e-9)


def test_the_document_has_a_stable_shape(run: Run, tmp_path: Path) -> None:
    prediction, target = _save(tmp_path / "p.npy", [1.0, 4.0]), _save(tmp_path / "t.npy", [1.0, 2.0])
    document = json.loads(run("gradcheck", prediction, target, "--tolerance", 0.5, "--format", "json").out)
    assert document.pop("version")
    assert document.pop("kernel") in {"native", "python"}
    assert document == {
        "schema": "msecli/1",
        "max_relative_error": 0.0,
        "tolerance": 0.5,
        "passed": True,
        "status": "ok",
        "checks": [
            {"coordinate": "prediction row 1", "analytic": 0.0, "numeric": 0.0, "relative_error": 0.0},
            {"coordinate": "prediction row 2", "analytic": 2.0, "numeric": 2.0, "relative_error": 0.0},
        ],
        "warnings": [],
    }


def test_the_gate_fails_after_the_result_is_printed(run: Run, tmp_path: Path) -> None:
    ran = run("gradcheck", *_model(tmp_path), "--tolerance", 0)
    assert ran.code == 5
    assert 0 < float(ran.out) < 1e-9
    assert ran.err.startswith("Error: ")
    assert "is above 0" in ran.err
    assert run("gradcheck", *_model(tmp_path), "--tolerance", ran.out.strip()).code == 0


def test_the_gate_fails_after_the_file_is_written(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "check.json"
    ran = run("gradcheck", *_model(tmp_path), "--tolerance", 0, "-o", out)
    assert (ran.code, ran.out) == (5, "")
    assert json.loads(out.read_text())["passed"] is False


def test_a_table_has_a_line_for_every_coordinate(run: Run, tmp_path: Path) -> None:
    csv = run("gradcheck", *_model(tmp_path), "--format", "csv").out.splitlines()
    assert csv[0] == "coordinate,analytic,numeric,relative_error"
    assert [line.split(",")[0] for line in csv[1:]] == [f"coef {n}" for n in range(6)] + ["intercept 0", "intercept 1"]
    table = run("gradcheck", *_model(tmp_path), "--format", "table").out.splitlines()
    assert ["coef", "0", "-3185.84", "-3185.84"] in [line.split()[:4] for line in table]


@pytest.mark.parametrize("reduction", ["mean", "sum", "batchmean"])
def test_predictions_are_checked_under_every_reduction(run: Run, tmp_path: Path, reduction: str) -> None:
    prediction = X @ W.T
    files = _save(tmp_path / "p.npy", prediction), _save(tmp_path / "t.npy", Y)
    checks = _checks(run("gradcheck", *files, "-r", reduction, "--samples", 99, "--format", "json"))
    expected = mse_loss_grad(prediction, Y, reduction=reduction).reshape(-1).tolist()
    assert [analytic for analytic, _ in checks.values()] == expected
    assert [numeric for _, numeric in checks.values()] == pytest.approx(expected, rel=1e-9)
    assert list(checks)[:3] == ["prediction row 1, 0", "prediction row 1, 1", "prediction row 2, 0"]


def test_a_sample_is_chosen_by_its_seed(run: Run, sample_data: Path) -> None:
    files = sample_data / "diabetes_ridge.csv", sample_data / "diabetes_target.csv"

    def chosen(*options: object) -> list[str]:
        return list(_checks(run("gradcheck", *files, *options, "--format", "json")))

    assert len(chosen()) == 10
    assert len(chosen("--samples", 3)) == 3
    assert chosen("--seed", 1) == chosen("--seed", 1) != chosen("--seed", 2)


def test_a_sample_does_not_depend_on_how_the_data_are_cut_or_on_the_file(run: Run, tmp_path: Path) -> None:
    """The rank of an element depends on its number and the seed; parts of NPY and of CSV end in different rows."""
    values = np.arange(300_000.0)
    array, text = _save(tmp_path / "p.npy", values), tmp_path / "p.csv"
    text.write_text("pred\n" + "\n".join(map(str, values.tolist())) + "\n")
    target = _save(tmp_path / "t.npy", values[::-1])
    found = [
        _checks(run("gradcheck", file, target, "--samples", 50, "--jobs", jobs, "--format", "json"))
        for file in (array, text)
        for jobs in (1, 3)
    ]
    assert len(found[0]) == 50
    assert found == [found[0]] * 4


def test_rows_far_into_the_file_are_checked_in_their_own_place(run: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    prediction, target = random.normal(size=200_000), random.normal(size=200_000)
    files = _save(tmp_path / "p.npy", prediction), _save(tmp_path / "t.npy", target)
    checks = _checks(run("gradcheck", *files, "--samples", 4, "-r", "sum", "--format", "json"))
    rows = [int(name.rsplit(maxsplit=1)[1]) - 1 for name in checks]
    expected = (2 * (prediction - target))[rows].tolist()
    assert rows == sorted(rows)
    assert rows[-1] > 131072
    assert [analytic for analytic, _ in checks.values()] == expected
    assert [numeric for _, numeric in checks.values()] == pytest.approx(expected, rel=1e-9)


def test_weights_and_missing_values_are_part_of_the_gradient(run: Run, tmp_path: Path) -> None:
    data = _text(tmp_path / "d.csv", "pred,y,w\n1,3,2\n2,,9\n5,4,0.5\n8,-1,3\n")
    options = ["-w", "w", "--nan-policy", "omit", "--ignore-index", "-1"]
    checks = _checks(run("gradcheck", data, *options, "--format", "json"))
    assert [analytic for analytic, _ in checks.values()] == [2 * 2 * -2 / 2.5, 0.0, 2 * 0.5 / 2.5, 0.0]
    assert [numeric for _, numeric in checks.values()] == [-3.2, 0.0, 0.4, 0.0]


def test_rows_that_are_paired_by_key_are_checked(run: Run, tmp_path: Path) -> None:
    prediction = _text(tmp_path / "p.csv", "id,pred\n3,1\n1,3\n2,5\n")
    target = _text(tmp_path / "t.csv", "id,y\n1,10\n2,20\n3,30\n")
    checks = _checks(run("gradcheck", prediction, target, "--on", "id", "-r", "sum", "--format", "json"))
    assert list(checks.values()) == [(-58.0, -58.0), (-14.0, -14.0), (-30.0, -30.0)]


@pytest.mark.parametrize("options", [["--batch-size", "2"], ["--by", "g"], ["--shuffle", "1"], ["--drop-last"]])
def test_options_that_divide_rows_have_no_part_in_a_check(run: Run, tmp_path: Path, options: list[str]) -> None:
    ran = run("gradcheck", *_model(tmp_path), *options)
    assert (ran.code, ran.out) == (2, "")
    assert f"No such option '{options[0]}'" in ran.err or f"No such option: {options[0]}" in ran.err


def test_inputs_are_columns_of_a_table(run: Run, tmp_path: Path) -> None:
    data = _text(tmp_path / "d.csv", "b,a,y\n1,10,100\n2,20,150\n")
    coef = _save(tmp_path / "w.npy", [10.0, 20.0])
    checks = _checks(run("gradcheck", data, "-x", "a", "-x", "b", "-t", "y", "--coef", coef, "--format", "json"))
    # The predictions are 120 and 240, the residuals 20 and 90.
    assert {name: analytic for name, (analytic, _) in checks.items()} == {"coef 0": 2000.0, "coef 1": 200.0}


def test_large_and_small_parameters_are_checked(run: Run, tmp_path: Path) -> None:
    coef = _save(tmp_path / "w.npy", [1e150, 1e-150])
    inputs, target = _save(tmp_path / "x.npy", [[1e-150, 1.0]]), _save(tmp_path / "y.npy", [3.0])
    checks = _checks(run("gradcheck", inputs, target, "--coef", coef, "--format", "json"))
    for analytic, numeric in checks.values():
        assert analytic == pytest.approx(numeric, rel=1e-6)


def test_a_gradient_that_is_no_number_is_never_passed(run: Run, tmp_path: Path) -> None:
    """An infinite prediction has an infinite derivative and no central difference; null stands for it in JSON."""
    files = _save(tmp_path / "p.npy", [math.inf, 1.0]), _save(tmp_path / "t.npy", [1.0, 1.0])
    ran = run("gradcheck", *files, "--format", "json")
    assert ran.code == 5
    document = json.loads(ran.out)
    assert (document["passed"], document["max_relative_error"], document["status"]) == (False, None, "nan")


def test_a_missing_number_that_propagates_is_never_passed(run: Run, tmp_path: Path) -> None:
    files = _save(tmp_path / "p.npy", [2.0, 1.0]), _save(tmp_path / "t.npy", [1.0, math.nan])
    ran = run("gradcheck", *files, "--nan-policy", "propagate")
    assert (ran.code, ran.out) == (5, "nan\n")


@pytest.mark.parametrize(
    "options",
    [
        ["-r", "none"],
        ["--samples", "0"],
        ["--tolerance", "-1"],
        ["--tolerance", "nan"],
        ["--seed", "-1"],
        ["-o", "x.xyz"],
        ["--intercept", "t.npy"],
        ["-x", "0"],
    ],
    ids=" ".join,
)
def test_what_no_data_could_make_valid_is_a_usage_error(run: Run, tmp_path: Path, options: list[str]) -> None:
    """An intercept, or inputs, without coefficients would be left out in silence."""
    files = _save(tmp_path / "p.npy", [[1.0], [2.0]]), _save(tmp_path / "t.npy", [[1.0], [3.0]])
    ran = run("gradcheck", *files, *options)
    assert (ran.code, ran.out) == (2, "")


def test_predictions_have_no_part_in_the_check_of_a_model(run: Run, tmp_path: Path) -> None:
    ran = run("gradcheck", *_model(tmp_path), "-p", "0")
    assert (ran.code, ran.out) == (2, "")


def test_bad_data_is_bad_data_here_too(run: Run, tmp_path: Path) -> None:
    files = _save(tmp_path / "p.npy", [1.0, math.nan]), _save(tmp_path / "t.npy", [1.0, 1.0])
    assert run("gradcheck", *files).code == 3
    assert run("gradcheck", *_model(tmp_path, X[:, :2])).code == 3
    assert run("gradcheck", tmp_path / "none.npy").code == 4

"""`msecli linear`, and the penalties of `msecli compute`, on real files.

Expected values are the known answers of PyTorch 2.13 (float64), hand algebra on small files, and `linear_loss` on the
same arrays, which `tests/test_learning.py` holds against PyTorch and NumPy.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from msecli import linear_loss

Run = Callable[..., Any]
Array = NDArray[np.float64]

NAN = math.nan
X = np.array([[75.0, 69, 45], [93, 90, 61], [89, 136, 70], [104, 45, 39], [72, 98, 81]])
Y = np.array([[64.0, 73], [93, 104], [111, 125], [36, 45], [110, 113]])
W = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
B = np.array([0.5, -0.5])
GRAD_COEF = np.array([[-3185.84, -3876.98, -2558.48], [1953.12, 1683.36, 1154.44]])
GRAD_INTERCEPT = np.array([-38.36, 21.46])
FORMATS = ["npy", "csv", "tsv", "parquet"]


def _write(path: Path, values: Array, names: str = "abc") -> Path:
    if path.suffix == ".npy":
        np.save(path, values)
        return path
    table = pd.DataFrame(values.reshape(len(values), -1))
    table.columns = list(names[: table.shape[1]])
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


def _read(path: Path) -> Any:
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".parquet":
        return pd.read_parquet(path).to_numpy()
    return np.loadtxt(path, delimiter="\t" if path.suffix == ".tsv" else ",", skiprows=1, ndmin=2)


def _files(folder: Path, suffix: str = "npy", inputs: Array = X, target: Array = Y) -> list[Any]:
    """Write the known model and its data, and return the arguments that name them."""
    coef, intercept = _write(folder / f"w.{suffix}", W), _write(folder / f"b.{suffix}", B)
    data = [_write(folder / f"x.{suffix}", inputs), _write(folder / f"y.{suffix}", target, "pq")]
    return [*data, "--coef", coef, "--intercept", intercept]


def _text(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def _close(found: Any, expected: Any, rtol: float = 1e-12) -> None:
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=0)


# known answers


def test_one_weight_has_its_known_loss_and_gradient(run: Run, tmp_path: Path) -> None:
    one, two, zero = (_write(tmp_path / f"{value}.npy", np.array([value])) for value in (1.0, 2.0, 0.0))
    grad = tmp_path / "g.npy"
    ran = run("linear", one, one, "--coef", two, "--intercept", zero, "--grad-coef", grad)
    assert (ran.code, ran.out, ran.err) == (0, "1.0\n", "")
    assert np.load(grad).tolist() == [2.0]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(("reduction", "scale"), [("mean", 1), ("sum", 10), ("batchmean", 2)])
def test_the_known_model_has_its_known_loss_and_gradients(
    run: Run, tmp_path: Path, suffix: str, reduction: str, scale: int
) -> None:
    coef, intercept = tmp_path / f"gw.{suffix}", tmp_path / f"gb.{suffix}"
    ran = run("linear", *_files(tmp_path, suffix), "-r", reduction, "--grad-coef", coef, "--grad-intercept", intercept)
    assert (ran.code, ran.err) == (0, "")
    _close(float(ran.out), 1216.769 * scale)
    _close(_read(coef), GRAD_COEF * scale)
    _close(_read(intercept).reshape(-1), GRAD_INTERCEPT * scale)


def test_the_command_has_the_bits_of_the_function(run: Run, tmp_path: Path) -> None:
    grad, bias = tmp_path / "g.npy", tmp_path / "h.npy"
    ran = run("linear", *_files(tmp_path), "--l1", 0.3, "--l2", 0.7, "--grad-coef", grad, "--grad-intercept", bias,
              "--format", "json")  # fmt: skip
    expected = linear_loss(X, Y, W, B, l1=0.3, l2=0.7)
    document = json.loads(ran.out)
    assert (document["loss"], document["objective"]) == (expected.loss, expected.objective)
    assert document["penalties"] == {"l1": expected.penalties.l1, "l2": expected.penalties.l2}
    assert np.load(grad).tolist() == expected.grad_coef.tolist()
    assert expected.grad_intercept is not None
    assert np.load(bias).tolist() == expected.grad_intercept.tolist()


@pytest.mark.parametrize("suffix", ["npy", "csv", "parquet"])
def test_the_known_model_has_its_known_objective(run: Run, tmp_path: Path, suffix: str) -> None:
    coef, intercept = tmp_path / "gw.npy", tmp_path / "gb.npy"
    ran = run(
        "linear", *_files(tmp_path, suffix), "--l1", "0.01", "--l2", "0.1", "--regularize-intercept",
        "--grad-coef", coef, "--grad-intercept", intercept, "--format", "json",
    )  # fmt: skip
    document = json.loads(ran.out)
    _close(document["loss"], 1216.769)
    _close([document["penalties"]["l1"], document["penalties"]["l2"]], [0.031, 0.141])
    _close(document["objective"], 1216.941)
    _close(np.load(coef), [[-3185.81, -3876.93, -2558.41], [1953.21, 1683.47, 1154.57]])
    _close(np.load(intercept), [-38.25, 21.35])


def test_the_intercept_is_not_penalized_unless_told(run: Run, tmp_path: Path) -> None:
    grad = tmp_path / "gb.npy"
    ran = run("linear", *_files(tmp_path), "--l1", 0.01, "--grad-intercept", grad, "--format", "json")
    _close(json.loads(ran.out)["penalties"]["l1"], 0.021)
    _close(np.load(grad), GRAD_INTERCEPT)


def test_the_known_batches_have_their_known_losses_and_running_means(run: Run, tmp_path: Path) -> None:
    inputs = np.array([[75.0, 69, 45], [93, 90, 66], [89, 136, 60], [104, 45, 39], [71, 98, 72]] * 3)
    target = np.array([[58.0, 72], [83, 103], [121, 135], [24, 39], [105, 121]] * 3)
    ran = run("linear", *_files(tmp_path, "npy", inputs, target), "--batch-size", 3, "--grad-norm", "--format", "json")
    document = json.loads(ran.out)
    losses = [entry["loss"] for entry in document["batches"]]
    _close(losses, [6890.11 / 6, 6397.3 / 6, 1395.93, 937.265, 9946.78 / 6])
    _close(document["loss"], 1241.112)
    _close(document["batches"][-1]["running_mean"], 1241.112)
    _close(document["macro"]["loss"], 1241.112)
    for number, entry in enumerate(document["batches"]):
        rows = slice(3 * number, 3 * number + 3)
        _close(entry["gradient_norm"], _gradient_norm(inputs[rows], target[rows]))
    _close(document["gradient_norm"], _gradient_norm(inputs, target))


def _gradient_norm(inputs: Array, target: Array) -> float:
    derivative = 2 * (inputs @ W.T + B - target) / target.size
    return float(np.linalg.norm(np.concatenate([(derivative.T @ inputs).reshape(-1), derivative.sum(axis=0)])))


def test_batches_are_plain_lines_with_their_gradient_norms_on_request(run: Run, tmp_path: Path) -> None:
    arguments = ["linear", *_files(tmp_path), "--batch-size", 3]
    without, norms = run(*arguments), run(*arguments, "--grad-norm")
    assert [line.split("\t")[0] for line in without.out.splitlines()] == ["0", "1", "pooled", "macro"]
    assert [len(line.split("\t")) for line in without.out.splitlines()] == [3, 3, 3, 3]
    assert [len(line.split("\t")) for line in norms.out.splitlines()] == [4, 4, 4, 4]


def test_without_an_intercept_the_gradient_norm_is_that_of_the_coefficients(run: Run, tmp_path: Path) -> None:
    grad = tmp_path / "g.npy"
    ran = run("linear", *_files(tmp_path)[:4], "--grad-norm", "--grad-coef", grad, "--format", "json")
    _close(json.loads(ran.out)["gradient_norm"], np.linalg.norm(np.load(grad)))


def test_a_gradient_with_a_missing_part_has_no_norm(run: Run, tmp_path: Path) -> None:
    target = Y.copy()
    target[0, 0] = NAN
    ran = run("linear", *_files(tmp_path, target=target), "--nan-policy", "propagate", "--grad-norm", "--batch-size", 2,
              "--format", "json")  # fmt: skip
    document = json.loads(ran.out)
    assert (document["loss"], document["status"], document["gradient_norm"]) == (None, "nan", None)
    norms = [entry.get("gradient_norm") for entry in document["batches"]]
    assert [value is None for value in norms] == [True, False, False]


# files and columns


def test_inputs_and_targets_of_different_formats_give_the_same_number(run: Run, tmp_path: Path) -> None:
    coef, intercept = _write(tmp_path / "w.csv", W), _write(tmp_path / "b.parquet", B)
    outs = set()
    for first in FORMATS:
        for second in FORMATS:
            inputs, target = _write(tmp_path / f"x.{first}", X), _write(tmp_path / f"y.{second}", Y)
            outs.add(run("linear", inputs, target, "--coef", coef, "--intercept", intercept).out)
    assert outs == {"1216.769\n"}


def test_a_column_of_coefficients_is_a_single_output(run: Run, tmp_path: Path) -> None:
    coef = _text(tmp_path / "w.csv", "coef\n1\n2\n")
    inputs = _text(tmp_path / "x.csv", "a,b\n1,1\n2,0\n")
    target = _text(tmp_path / "y.csv", "y\n1\n4\n")
    grad = tmp_path / "g.csv"
    ran = run("linear", inputs, target, "--coef", coef, "--grad-coef", grad)
    # The residuals are 2 and -2; the derivatives (2 * 2 * (1, 1) - 2 * 2 * (2, 0)) / 2.
    assert (ran.code, ran.out) == (0, "4.0\n")
    assert _read(grad).reshape(-1).tolist() == [-2.0, 2.0]


def test_inputs_are_named_in_the_order_of_the_coefficients(run: Run, tmp_path: Path) -> None:
    data = _text(tmp_path / "d.csv", "b,a,junk,y\n1,10,7,120\n2,20,7,240\n")
    coef = _write(tmp_path / "w.npy", np.array([10.0, 20.0]))
    ran = run("linear", data, "-x", "a", "-x", "b", "-t", "y", "--coef", coef, "--format", "json")
    document = json.loads(ran.out)
    assert document["loss"] == 0.0
    assert [(item["role"], item["columns"]) for item in document["inputs"]] == [
        ("inputs", ["a", "b"]), ("target", ["y"]),
    ]  # fmt: skip


def test_all_numeric_columns_are_inputs_but_those_with_another_part(run: Run, tmp_path: Path) -> None:
    data = _text(tmp_path / "d.csv", "id,a,b,w,region,y\n1,1,2,1,n,5\n2,3,4,3,s,9\n")
    coef = _write(tmp_path / "w.npy", np.array([1.0, 2.0]))
    ran = run("linear", data, "--coef", coef, "-w", "w", "--by", "region", "--format", "json")
    document = json.loads(ran.out)
    assert document["inputs"][0]["columns"] == ["a", "b"]
    # The residuals are 0 and 2, the second with weight 3 of 4.
    assert (document["loss"], document["denominator"], document["denominator_name"]) == (3.0, 4, "weights")
    assert [(entry["group"]["region"], entry["loss"]) for entry in document["groups"]] == [("n", 0.0), ("s", 4.0)]


def test_inputs_come_from_standard_input(run: Run, tmp_path: Path) -> None:
    files = _files(tmp_path, "csv")
    ran = run("linear", "-", *files[1:], stdin=files[0].read_bytes())
    assert (ran.code, ran.out) == (0, "1216.769\n")


@pytest.mark.parametrize(
    ("inputs", "target", "coef", "intercept", "message"),
    [
        (X, Y, W[:, :2], B, "3 inputs, but the coefficients have 2"),
        (X, Y, W[0], B[:1], "shapes differ"),
        (X, Y[:4], W, B, "rows"),
        (X, Y, W, B[:1], "2 outputs need as many intercepts"),
        (X, Y, W, np.array([NAN, 1.0]), "missing in row 1"),
        (X, Y, np.ones((2, 3, 1)), B, "coefficients have shape (2, 3, 1)"),
        (X.reshape(5, 3, 1), Y, W, B, "inputs"),
    ],
)
def test_what_does_not_fit_is_bad_data(
    run: Run, tmp_path: Path, *, inputs: Array, target: Array, coef: Array, intercept: Array, message: str
) -> None:
    values = (("x", inputs), ("y", target), ("w", coef), ("b", intercept))
    x, y, w, b = (_write(tmp_path / f"{name}.npy", array) for name, array in values)
    ran = run("linear", x, y, "--coef", w, "--intercept", b)
    assert (ran.code, ran.out) == (3, "")
    assert message in ran.err


def test_a_file_of_parameters_that_is_not_there_cannot_be_read(run: Run, tmp_path: Path) -> None:
    files = _files(tmp_path)
    ran = run("linear", *files[:2], "--coef", tmp_path / "no.npy", "--intercept", tmp_path / "neither.npy")
    assert (ran.code, ran.out) == (4, "")
    assert "no.npy" in ran.err
    assert "neither.npy" in ran.err


# rows


def _masked(folder: Path, suffix: str) -> list[Any]:
    inputs = np.vstack([X[:2], np.full(3, NAN), X[2:]])
    return _files(folder, suffix, inputs, np.vstack([Y[:2], [-1.0, -1.0], Y[2:]]))


@pytest.mark.parametrize("suffix", FORMATS)
def test_ignored_rows_contribute_exactly_nothing_even_where_inputs_are_missing(
    run: Run, tmp_path: Path, suffix: str
) -> None:
    names = ("gw.npy", "gb.npy", "g.npy")
    coef, intercept, grad = (tmp_path / name for name in names)
    ran = run(
        "linear", *_masked(tmp_path, suffix), "--ignore-index", -1, "--grad-coef", coef, "--grad-intercept", intercept,
        "--grad", grad, "--format", "json",
    )  # fmt: skip
    document = json.loads(ran.out)
    expected = linear_loss(X, Y, W, B)
    assert document["loss"] == expected.loss
    assert (document["elements"]["ignored"], document["elements"]["used"], document["rows"]["used"]) == (2, 10, 5)
    assert np.load(coef).tolist() == expected.grad_coef.tolist()
    assert expected.grad_intercept is not None
    assert np.load(intercept).tolist() == expected.grad_intercept.tolist()
    assert np.load(grad)[2].tolist() == [0.0, 0.0]


def test_missing_inputs_follow_the_policy_of_predictions(run: Run, tmp_path: Path) -> None:
    inputs = X.copy()
    inputs[1, 2] = NAN
    files = _files(tmp_path, "csv", inputs)
    refused = run("linear", *files)
    assert refused.code == 3
    assert "--nan-pred omit" in refused.err
    omitted = run("linear", *files, "--nan-pred", "omit")
    rest = [0, 2, 3, 4]
    assert float(omitted.out) == linear_loss(X[rest], Y[rest], W, B).loss
    assert run("linear", *files, "--nan-pred", "propagate").out == "nan\n"


def test_missing_targets_follow_their_own_policy(run: Run, tmp_path: Path) -> None:
    target = Y.copy()
    target[1, 0] = NAN
    files = _files(tmp_path, "parquet", target=target)
    assert run("linear", *files).code == 3
    grad = tmp_path / "g.npy"
    ran = run("linear", *files, "--nan-policy", "omit", "--grad-coef", grad)
    expected = linear_loss(X, target, W, B, nan_target="omit")
    assert float(ran.out) == expected.loss
    assert np.load(grad).tolist() == expected.grad_coef.tolist()


def test_weights_of_a_file_are_those_of_the_function(run: Run, tmp_path: Path) -> None:
    weight = np.array([1.0, 0.0, 2.0, 3.0, 0.5])
    grad = tmp_path / "g.npy"
    weights = _write(tmp_path / "weight.npy", weight)
    ran = run("linear", *_files(tmp_path), "--weight-file", weights, "--grad-coef", grad)
    expected = linear_loss(X, Y, W, B, weight=weight)
    assert float(ran.out) == expected.loss
    assert np.load(grad).tolist() == expected.grad_coef.tolist()


KEYED = "id,a,b,w,g\n3,1,2,1,u\n1,3,4,2,v\n2,5,6,1,u\n"
KEYS = "id,y\n1,10\n2,20\n3,30\n"


def test_rows_are_paired_by_key_and_scored_by_group(run: Run, tmp_path: Path) -> None:
    """The predictions are 5, 11, 17 for the targets 30, 10, 20: the squares 625, 1, 9 have the weights 1, 2, 1."""
    inputs, target = _text(tmp_path / "x.csv", KEYED), _text(tmp_path / "y.csv", KEYS)
    coef = _write(tmp_path / "w.npy", np.array([1.0, 2.0]))
    grad, predictions, elements = (tmp_path / name for name in ("g.npy", "p.csv", "e.csv"))
    ran = run(
        "linear", inputs, target, "--on", "id", "-w", "w", "--by", "g", "--coef", coef, "--grad-coef", grad,
        "--predictions", predictions, "--grad", elements, "--format", "json",
    )  # fmt: skip
    document = json.loads(ran.out)
    assert document["loss"] == 636 / 4
    assert [entry["loss"] for entry in document["groups"]] == [317.0, 1.0]
    # 2 * (w * residual) . inputs / 4, the residuals being -25, 1 and -3.
    assert np.load(grad).tolist() == [(-50 + 12 - 30) / 4, (-100 + 16 - 36) / 4]
    assert predictions.read_text() == "id,prediction\n3,5\n1,11\n2,17\n"
    assert elements.read_text() == "id,grad\n3,-12.5\n1,1\n2,-1.5\n"


def test_unmatched_rows_may_be_skipped(run: Run, tmp_path: Path) -> None:
    inputs, target = _text(tmp_path / "x.csv", KEYED), _text(tmp_path / "y.csv", KEYS.replace("3,30", "7,70"))
    coef = _write(tmp_path / "w.npy", np.array([1.0, 2.0]))
    arguments = ["linear", inputs, target, "--on", "id", "-x", "a", "-x", "b", "--coef", coef]
    assert run(*arguments).code == 3
    document = json.loads(run(*arguments, "--unmatched", "skip", "--format", "json").out)
    assert (document["loss"], document["rows"]["matched"], document["rows"]["unmatched_target"]) == (5.0, 2, 1)


def test_shuffled_batches_without_the_last_have_the_gradient_of_their_rows(run: Run, tmp_path: Path) -> None:
    grad = tmp_path / "g.npy"
    ran = run("linear", *_files(tmp_path), "--batch-size", 2, "--shuffle", 5, "--drop-last", "--grad-coef", grad)
    rows = np.random.default_rng(5).permutation(5)[:4]
    expected = linear_loss(X[rows], Y[rows], W, B)
    assert f"pooled\t{expected.loss!r}\t" in ran.out.splitlines()
    assert np.load(grad).tolist() == expected.grad_coef.tolist()


@pytest.mark.parametrize("jobs", [1, 4])
def test_many_rows_have_the_same_bits_for_any_number_of_threads(run: Run, tmp_path: Path, jobs: int) -> None:
    random = np.random.default_rng(8)
    inputs, target = random.normal(size=(150_000, 3)), random.normal(size=(150_000, 2))
    grad = tmp_path / "g.npy"
    ran = run("linear", *_files(tmp_path, "npy", inputs, target), "--jobs", jobs, "--grad-coef", grad)
    expected = linear_loss(inputs, target, W, B)
    assert float(ran.out) == expected.loss
    assert np.load(grad).tolist() == expected.grad_coef.tolist()


# outputs


@pytest.mark.parametrize("suffix", FORMATS)
def test_predictions_are_written(run: Run, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"p.{suffix}"
    assert run("linear", *_files(tmp_path), "--predictions", path).code == 0
    _close(_read(path), X @ W.T + B)


def test_files_of_tables_have_the_names_of_their_columns(run: Run, tmp_path: Path) -> None:
    coef, predictions = tmp_path / "gw.csv", tmp_path / "p.csv"
    run("linear", *_files(tmp_path, "csv"), "--grad-coef", coef, "--predictions", predictions)
    assert coef.read_text().splitlines()[0] == "a,b,c"
    assert predictions.read_text().splitlines()[0] == "p,q"


def test_predictions_scored_by_compute_have_the_loss_of_the_model(run: Run, tmp_path: Path) -> None:
    files, path = _files(tmp_path), tmp_path / "p.npy"
    linear = run("linear", *files, "--predictions", path)
    assert run("compute", path, files[1]).out == linear.out


def test_the_objective_is_in_plain_lines(run: Run, tmp_path: Path) -> None:
    ran = run("linear", *_files(tmp_path), "--l1", 0.01, "--l2", 0.1, "--regularize-intercept")
    names, values = zip(*(line.split("\t") for line in ran.out.splitlines()), strict=True)
    assert names == ("loss", "l1_penalty", "l2_penalty", "objective")
    _close([float(value) for value in values], [1216.769, 0.031, 0.141, 1216.941])


def test_the_objective_is_in_the_table(run: Run, tmp_path: Path) -> None:
    ran = run("linear", *_files(tmp_path), "--l1", 0.01, "--l2", 0.1, "--regularize-intercept", "--format", "table")
    words = [line.split() for line in ran.out.splitlines()]
    assert ["l1", "penalty", "0.031"] in words
    assert ["l2", "penalty", "0.141"] in words
    assert ["objective", "1216.94"] in words


def test_the_signature_says_that_a_model_made_the_predictions(run: Run, tmp_path: Path) -> None:
    document = json.loads(run("linear", *_files(tmp_path), "--format", "json").out)
    assert document["signature"].startswith("mse(linear)|columns:none|reduction:mean|weights:none|")
    assert document["settings"]["coef"] == str(tmp_path / "w.npy")
    assert "penalties" not in document


@pytest.mark.parametrize("suffix", FORMATS)
def test_axis_zero_gives_a_loss_for_every_output(run: Run, tmp_path: Path, suffix: str) -> None:
    ran = run("linear", *_files(tmp_path, suffix), "--axis", 0, "--format", "json")
    assert ran.code == 0
    document = json.loads(ran.out)
    _close([entry["loss"] for entry in document["columns"]], np.square(X @ W.T + B - Y).mean(axis=0))
    names = ["0", "1"] if suffix == "npy" else ["p", "q"]
    assert [entry["column"] for entry in document["columns"]] == names


def test_none_gives_the_loss_of_every_element_under_the_names_of_the_targets(run: Run, tmp_path: Path) -> None:
    ran = run("linear", *_files(tmp_path, "csv"), "-r", "none", "--format", "csv")
    header, *rows = ran.out.splitlines()
    assert header == "p,q"
    _close([[float(cell) for cell in row.split(",")] for row in rows], np.square(X @ W.T + B - Y))


def test_outputs_are_not_replaced_in_silence(run: Run, tmp_path: Path) -> None:
    files, grad = _files(tmp_path), _text(tmp_path / "g.npy", "mine")
    assert run("linear", *files, "--grad-coef", grad).code == 2
    assert run("linear", *files, "--grad-coef", tmp_path / "w.npy", "--overwrite").code == 2
    assert run("linear", *files, "--grad-coef", tmp_path / "h.npy", "--grad-intercept", tmp_path / "h.npy").code == 2
    assert grad.read_text() == "mine"
    assert run("linear", *files, "--grad-coef", grad, "--overwrite").code == 0


@pytest.mark.parametrize(
    "options",
    [
        ["-r", "none", "--grad-coef", "g.npy"],
        ["-r", "none", "--grad-norm"],
        ["-r", "none", "--l2", "1"],
        ["--axis", "0", "--grad-intercept", "g.npy"],
        ["--l1", "-1"],
        ["--l2", "nan"],
        ["--l2", "inf"],
        ["--l1", "many"],
        ["--grad-coef", "g.xyz"],
        ["--batch-size", "0"],
    ],
    ids=" ".join,
)
def test_what_no_data_could_make_valid_is_a_usage_error(run: Run, tmp_path: Path, options: list[str]) -> None:
    ran = run("linear", *_files(tmp_path), *options)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("Error: ") == 1


def test_coefficients_are_required(run: Run, tmp_path: Path) -> None:
    ran = run("linear", *_files(tmp_path)[:2])
    assert ran.code == 2
    assert "--coef" in ran.err


# penalties on parameters of any origin, in compute


def _scores(folder: Path) -> list[Any]:
    return [_write(folder / "p.npy", np.array([1.0, 2.0])), _write(folder / "t.npy", np.array([0.0, 2.0]))]


@pytest.mark.parametrize("suffix", FORMATS)
def test_compute_adds_penalties_on_files_of_parameters(run: Run, tmp_path: Path, suffix: str) -> None:
    params = [_write(tmp_path / f"one.{suffix}", W), _write(tmp_path / f"two.{suffix}", B)]
    grads = [tmp_path / f"g1.{suffix}", tmp_path / f"g2.{suffix}"]
    ran = run(
        "compute", *_scores(tmp_path), "--l1", 0.01, "--l2", 0.1, "--params", params[0], "--params", params[1],
        "--grad-params", grads[0], "--grad-params", grads[1], "--format", "json",
    )  # fmt: skip
    document = json.loads(ran.out)
    assert document["loss"] == 0.5
    _close([document["penalties"]["l1"], document["penalties"]["l2"], document["objective"]], [0.031, 0.141, 0.672])
    _close(_read(grads[0]), 0.01 + 0.2 * W)
    _close(_read(grads[1]).reshape(-1), [0.11, -0.11])


def test_the_subgradient_at_zero_is_zero(run: Run, tmp_path: Path) -> None:
    params, grad = _write(tmp_path / "w.npy", np.array([0.0, -0.0, 2.0, -2.0])), tmp_path / "g.npy"
    run("compute", *_scores(tmp_path), "--l1", 3, "--params", params, "--grad-params", grad)
    assert np.load(grad).tolist() == [0.0, 0.0, 3.0, -3.0]


def test_the_model_is_penalized_together_with_other_parameters(run: Run, tmp_path: Path) -> None:
    params = _write(tmp_path / "more.npy", np.array([-1.0]))
    ran = run("linear", *_files(tmp_path), "--l1", 1, "--params", params, "--format", "json")
    _close(json.loads(ran.out)["penalties"]["l1"], 3.1)


def test_the_objective_of_batches_is_that_of_all_rows(run: Run, tmp_path: Path) -> None:
    ran = run("linear", *_files(tmp_path), "--l1", 1, "--batch-size", 2, "--format", "json")
    document = json.loads(ran.out)
    _close(document["objective"], 1216.769 + 2.1)
    assert "objective" not in document["batches"][0]


def test_large_parameters_are_not_squared_without_need(run: Run, tmp_path: Path) -> None:
    """Where --l2 is not given, an overflow of the squares is no concern: 0 * inf would be NaN."""
    params = _write(tmp_path / "w.npy", np.array([1e200]))
    ran = run("compute", *_scores(tmp_path), "--l1", 1, "--params", params, "--format", "json")
    assert ran.code == 0
    document = json.loads(ran.out)
    assert (document["penalties"], document["objective"]) == ({"l1": 1e200, "l2": 0.0}, 1e200)


def test_an_infinite_penalty_is_null_in_json(run: Run, tmp_path: Path) -> None:
    params = _write(tmp_path / "w.npy", np.array([1e200]))
    ran = run("compute", *_scores(tmp_path), "--l2", 1, "--params", params, "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    document = json.loads(ran.out)
    assert (document["loss"], document["penalties"]["l2"], document["objective"]) == (0.5, None, None)


def test_an_infinite_objective_is_inf_in_plain_lines(run: Run, tmp_path: Path) -> None:
    params = _write(tmp_path / "w.npy", np.array([1e200]))
    ran = run("compute", *_scores(tmp_path), "--l2", 1, "--params", params)
    assert ran.out == "loss\t0.5\nl2_penalty\tinf\nobjective\tinf\n"


@pytest.mark.parametrize(
    "options",
    [
        ["--l1", "1"],
        ["--l1", "-1", "--params", "p.npy"],
        ["--l1", "1", "--params", "p.npy", "--grad-params", "g.npy", "--grad-params", "h.npy"],
        ["--grad-params", "g.npy"],
        ["-r", "none", "--l1", "1", "--params", "p.npy"],
    ],
    ids=" ".join,
)
def test_penalties_without_parameters_and_the_like_are_usage_errors(
    run: Run, tmp_path: Path, options: list[str]
) -> None:
    ran = run("compute", *_scores(tmp_path), *options)
    assert (ran.code, ran.out) == (2, "")


def test_a_missing_parameter_is_bad_data(run: Run, tmp_path: Path) -> None:
    params = _text(tmp_path / "w.csv", "a,b\n1,2\n3,\n")
    ran = run("compute", *_scores(tmp_path), "--l1", 1, "--params", params)
    assert (ran.code, ran.out) == (3, "")
    assert "missing in row 2" in ran.err

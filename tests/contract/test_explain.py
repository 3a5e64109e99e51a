"""What a loss is made of: --explain; expected values are exact fractions, or those of scikit-learn 1.5 and later."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import mean_squared_error, r2_score

import msecli
from tests.files import write

Run = Callable[..., Any]

RANDOM = np.random.default_rng(8)
COLUMNS = {
    "yhat": RANDOM.normal(1, 1, 500),
    "y": RANDOM.normal(size=500),
    "w": RANDOM.uniform(0.1, 2, 500),
}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write(tmp_path / "table.csv", COLUMNS)


def explained(run: Run, *arguments: object, command: str = "compute") -> dict[str, Any]:
    ran = run(command, *arguments, "--explain", "--format", "json")
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)["explain"]
    return found


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_bias_and_variance_add_up_to_the_mse(run: Run, table: Path, weighted: bool, reduction: str) -> None:
    found = explained(run, table, "-p", "yhat", "-t", "y", "-r", reduction, *(("-w", "w") if weighted else ()))
    weights = [Fraction(w) if weighted else Fraction(1) for w in COLUMNS["w"].tolist()]
    errors = [Fraction(error) for error in (COLUMNS["yhat"] - COLUMNS["y"]).tolist()]
    bias = sum(w * e for w, e in zip(weights, errors, strict=True)) / sum(weights)
    mse = sum(w * e * e for w, e in zip(weights, errors, strict=True)) / sum(weights)
    expected = [float(each) for each in (mse, bias, bias**2, mse - bias**2)]
    assert [found[name] for name in ("mse", "bias", "bias_squared", "variance")] == expected


def test_the_skill_is_against_predicting_the_mean(run: Run, table: Path) -> None:
    found = explained(run, table, "-p", "yhat", "-t", "y", "-w", "w")
    mean = np.full(500, np.average(COLUMNS["y"], weights=COLUMNS["w"]))
    assert found["mean_mse"] == pytest.approx(mean_squared_error(COLUMNS["y"], mean, sample_weight=COLUMNS["w"]))
    assert found["skill"] == pytest.approx(r2_score(COLUMNS["y"], COLUMNS["yhat"], sample_weight=COLUMNS["w"]))


def test_the_worst_elements_have_their_shares(run: Run, table: Path) -> None:
    found = explained(run, table, "-p", "yhat", "-t", "y")
    losses = np.sort((COLUMNS["yhat"] - COLUMNS["y"]) ** 2)[::-1]
    assert [(each["part"], each["elements"]) for each in found["worst"]] == [(0.001, 1), (0.01, 5), (0.1, 50)]
    for each in found["worst"]:
        assert each["share"] == pytest.approx(losses[: each["elements"]].sum() / losses.sum(), rel=found["accuracy"])


def test_columns_have_means_of_their_own() -> None:
    target = np.array([[0.0, 10.0], [2.0, 14.0], [4.0, 12.0]])
    found = msecli.score(target + 1, target, explain=True).explanation
    # By hand: variances 8/3 and 8/3, squared errors 1.
    assert found is not None
    assert (found.mean_mse, found.skill, found.bias, found.variance) == (8 / 3, 1 - 3 / 8, 1.0, 0.0)


@pytest.mark.parametrize(
    ("options", "formula"),
    [
        ((), "loss = Σ (p - t)² ÷ n = 5.0 ÷ 2 = 2.5"),
        ((), "derivative of the loss by p = 2 (p - t) ÷ n = 1.0 (p - t); by t it is the negative"),
        (("-r", "sum"), "loss = Σ (p - t)² = 5.0"),
        (("-r", "sum"), "derivative of the loss by p = 2 (p - t); by t it is the negative"),
        (("-r", "batchmean"), "loss = Σ (p - t)² ÷ rows = 5.0 ÷ 2 = 2.5"),
        (("-r", "none"), "loss of an element = (p - t)²"),
        (("-w", "w"), "loss = Σ w (p - t)² ÷ Σ w = 7.0 ÷ 4 = 1.75"),
        (("-w", "w"), "derivative of the loss by p = 2 w (p - t) ÷ Σ w = 0.5 w (p - t); by t it is the negative"),
    ],
)
def test_formulas_hold_the_numbers(run: Run, tmp_path: Path, options: tuple[str, ...], formula: str) -> None:
    (tmp_path / "t.csv").write_text("yhat,y,w\n1,0,3\n2,0,1\n")
    assert formula in explained(run, tmp_path / "t.csv", "-p", "yhat", "-t", "y", *options)["formulas"]


def test_models_have_formulas_of_their_penalties_and_gradients(run: Run, tmp_path: Path) -> None:
    for name, values in {"x": [1.0, 2.0], "y": [1.0, 1.0], "w": [2.0], "b": [1.0]}.items():
        np.save(tmp_path / f"{name}.npy", np.array(values))
    x, y, coef, intercept = (tmp_path / f"{name}.npy" for name in "xywb")
    arguments = (x, y, "--coef", coef, "--intercept", intercept)
    found = explained(run, *arguments, "--l1", 0.5, "--l2", 0.25, command="linear")["formulas"]
    # By hand: predictions 3 and 5, errors 2 and 4, loss 20 / 2, penalties 0.5 * 2 and 0.25 * 4.
    assert found == [
        "p = Σ coef x + intercept",
        "loss = Σ (p - t)² ÷ n = 20.0 ÷ 2 = 10.0",
        "objective = loss + l1 Σ |θ| + l2 Σ θ² = 10.0 + 1.0 + 1.0 = 12.0; θ = coef, l1 = 0.5, l2 = 0.25",
        "derivative of the loss by p = 2 (p - t) ÷ n = 1.0 (p - t); by t it is the negative",
        "derivative of the objective by coef = Σ 2 (p - t) x ÷ n + l1 sign(θ) + 2 l2 θ",
        "derivative of the objective by intercept = Σ 2 (p - t) ÷ n",
    ]
    more = explained(run, *arguments, "--l2", 0.25, "--regularize-intercept", command="linear")["formulas"]
    assert more[-1] == "derivative of the objective by intercept = Σ 2 (p - t) ÷ n + 2 l2 θ"
    given = explained(run, x, y, "--params", coef, "--l1", 1)["formulas"]
    assert given[-1] == "derivative of the objective by θ = l1 sign(θ)"


def test_what_is_not_finite_is_null(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("yhat,y\ninf,0\n1,2\n")
    found = explained(run, tmp_path / "t.csv")
    assert [found[name] for name in ("mse", "variance", "skill")] == [None] * 3
    assert [each["share"] for each in found["worst"]] == [None] * 3


def test_people_see_a_table_and_the_formulas(run: Run, table: Path) -> None:
    for format in ("table", "markdown"):
        out = run("compute", table, "-p", "yhat", "-t", "y", "--explain", "--format", format).out
        for text in ("= bias²", "share of the worst 10 % (50 elements)", "skill against it", "within 0.05 %", "÷ n ="):
            assert text in out
    ran = run("compute", table, "-p", "yhat", "-t", "y", "--explain")
    assert len(ran.out.splitlines()) == 1
    assert "--explain: not in plain output" in ran.err


def test_groups_jobs_and_batches_change_nothing(run: Run, table: Path) -> None:
    arguments = (table, "-p", "yhat", "-t", "y")
    plain = explained(run, *arguments)
    for more in (("--by", "w"), ("--jobs", 1), ("--batch-size", 7)):
        assert explained(run, *arguments, *more) == plain

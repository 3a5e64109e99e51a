"""Gates: what fails a run, what is said about it, and that the result is printed as always.

Expected numbers are worked out by hand: the residuals of DATA are -1 and -2 in "north", 0 and 4 in "south east".
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import msecli
from msecli.errors import UsageError
from msecli.results.gates import gate_named

Run = Callable[..., Any]

DATA = "yhat,y,region,year\n1,2,north,2023\n2,4,north,2024\n3,3,south east,2023\n8,4,south east,2024\n"
"""Squares 1, 4, 0 and 16: the loss is 21 / 4 = 5.25, 2.5 in the north and 8 in the south east."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder that holds x.csv."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text(DATA)
    return tmp_path


def gates(run: Run, *arguments: str) -> list[dict[str, Any]]:
    document = json.loads(run("compute", "x.csv", "--format", "json", *arguments).out)
    return list(document["gates"])


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ("loss > 5.25", 0),
        ("loss >= 5.25", 5),
        ("loss < 5.25", 0),
        ("loss <= 5.25", 5),
        ("loss>5", 5),
        ("  LOSS  >  +5.0E0 ", 5),
        ("mae > 1.75", 0),  # (1 + 2 + 0 + 4) / 4
        ("mae >= 1.75", 5),
        ("bias < 0.25", 0),  # (-1 - 2 + 0 + 4) / 4
        ("bias > -.5", 5),
        ("lp:1 > 6.9", 5),
        ("coverage < 1", 0),
    ],
)
def test_a_gate_fails_where_its_condition_holds(run: Run, condition: str, code: int) -> None:
    ran = run("compute", "x.csv", "--fail-if", condition)
    assert (ran.code, ran.out) == (code, "5.25\n")
    assert ran.err.startswith("gate failed: ") == (code == 5)


def test_the_message_names_the_number_and_the_limit(run: Run) -> None:
    ran = run("compute", "x.csv", "--fail-if", "mae > 1.5", "--fail-if", "loss>9", "--fail-if", "MAX_ERROR >= 4")
    assert (ran.code, ran.err) == (5, "gate failed: mae 1.75 > 1.5\ngate failed: max_error 4.0 >= 4\n")


def test_a_metric_that_only_a_gate_needs_changes_nothing_else_in_the_result(run: Run) -> None:
    asked = run("compute", "x.csv", "--by", "region", "-m", "bias")
    gated = run("compute", "x.csv", "--by", "region", "-m", "bias", "--fail-if", "mae > 0", "--fail-if", "r2[any] < -9")
    assert (gated.code, gated.out) == (5, asked.out)
    document = json.loads(run("compute", "x.csv", "--format", "json", "--fail-if", "mae > 0").out)
    assert (document["metrics"], document["settings"]["metrics"]) == ({}, [])


def test_json_holds_every_gate_with_its_value(run: Run) -> None:
    found = gates(run, "--fail-if", "mae > 1.5", "--fail-if", "loss[region=north] > 2.5", "--by", "region")
    assert found == [
        {"gate": "mae > 1.5", "metric": "mae", "scope": None, "value": 1.75, "limit": 1.5, "passed": False},
        {
            "gate": "loss[region=north] > 2.5",
            "metric": "loss",
            "scope": {"region": "north"},
            "value": 2.5,
            "limit": 2.5,
            "passed": True,
        },
    ]
    assert "gates" not in json.loads(run("compute", "x.csv", "--format", "json").out)


@pytest.mark.parametrize("format", ["table", "markdown"])
def test_people_see_the_number_that_failed(run: Run, format: str) -> None:
    ran = run("compute", "x.csv", "--format", format, "--fail-if", "mae > 1.5", "--fail-if", "rmse > 9")
    lines = [" ".join(line.replace("|", " ").split()) for line in ran.out.splitlines()]
    assert "failed mae > 1.5 1.75" in lines
    assert "passed rmse > 9 2.29129" in lines


def test_failed_gates_are_red(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    ran = run("compute", "x.csv", "--format", "table", "--fail-if", "mae > 1.5")
    assert "\x1b[1;31mfailed\x1b[0m" in ran.out
    assert ran.err.startswith("\x1b[31m\x1b[1mgate failed:\x1b[0m mae 1.75")


@pytest.mark.parametrize(
    ("scope", "by", "scopes"),
    [
        ("region=north", ["region"], [{"region": "north"}]),
        ('region="south east"', ["region"], [{"region": "south east"}]),
        (" Region = south east ", ["region"], [{"region": "south east"}]),
        ('region="nor\\u0074h", year = 2024', ["region", "year"], [{"region": "north", "year": 2024}]),
        ("year=2024,region=north", ["region", "year"], [{"region": "north", "year": 2024}]),
        ("any", ["region"], [{"region": "north"}, {"region": "south east"}]),
        (
            "region=north",
            ["region", "year"],
            [{"region": "north", "year": 2023}, {"region": "north", "year": 2024}],
        ),
    ],
)
def test_a_scope_selects_groups(run: Run, scope: str, by: list[str], scopes: list[dict[str, Any]]) -> None:
    found = gates(run, "--fail-if", f"loss[{scope}] > 99", *(word for name in by for word in ("--by", name)))
    assert [gate["scope"] for gate in found] == scopes
    assert all(gate["passed"] for gate in found)


def test_labels_that_hold_brackets_commas_and_relations_are_quoted(run: Run, folder: Path) -> None:
    (folder / "x.csv").write_text('yhat,y,"a>=b, [c]"\n1,2,"x,]>1"\n2,4,z\n')
    condition = 'loss["a>=b, [c]"="x,]>1"] >= 1'
    ran = run("compute", "x.csv", "-p", "yhat", "-t", "y", "--by", "a>=b, [c]", "--fail-if", condition)
    assert (ran.code, ran.err) == (5, "gate failed: loss[a>=b, [c]=x,]>1] 1.0 >= 1\n")


def test_numbers_as_labels_are_compared_by_value(folder: Path) -> None:
    import pandas as pd

    table = pd.DataFrame({"pred": [1.0, 2.0, 2.0], "target": 0.0, "h": [1, 2, 24]})
    result = msecli.score(table, by="h", fail_if=["loss[h=24] > 1", "loss[h=2.0] > 1", "loss[h=1e0] > 1"])
    assert [gate.value for gate in result.gates] == [4.0, 4.0, 1.0]


def test_a_missing_label_is_selected_as_it_is_shown(run: Run, folder: Path) -> None:
    (folder / "x.csv").write_text("yhat,y,g\n1,2,a\n2,4,\n")
    (found,) = gates(run, "--by", "g", "--fail-if", "loss[g=(missing)] >= 4")
    assert (found["scope"], found["value"], found["passed"]) == ({"g": None}, 4.0, False)


def test_a_scope_selects_columns_and_batches(run: Run, folder: Path) -> None:
    (folder / "p.csv").write_text("a,b\n1,2\n3,5\n")
    (folder / "t.csv").write_text("a,b\n2,2\n3,2\n")
    ran = run("compute", "p.csv", "t.csv", "--axis", "0", "--fail-if", "loss[column=b] > 4", "--fail-if", "mae[any]>9")
    assert (ran.code, ran.err.splitlines()[-1]) == (5, "gate failed: loss[column=b] 4.5 > 4")  # 9 / 2
    ran = run("compute", "x.csv", "--batch-size", "3", "--fail-if", "loss[batch=1] > 15")
    assert (ran.code, ran.err) == (5, "gate failed: loss[batch=1] 16.0 > 15\n")


def test_linear_has_gates_objective_and_gradient_included(run: Run, folder: Path) -> None:
    (folder / "x.csv").write_text("x,y\n1,1\n2,5\n")
    (folder / "w.csv").write_text("w\n2\n")
    # Predictions 2 and 4, residuals 1 and -1; the penalty is 0.5 * 4; the gradient is 2 * (1 - 2) / 2 = -1.
    gated = ("--fail-if", "objective >= 3", "--fail-if", "gradient_norm >= 1", "--fail-if", "mae >= 1")
    ran = run("linear", "x.csv", "--coef", "w.csv", "-t", "y", "--l2", "0.5", "--grad-norm", *gated)
    assert (ran.code, ran.err) == (
        5,
        "gate failed: objective 3.0 >= 3\ngate failed: gradient_norm 1.0 >= 1\ngate failed: mae 1.0 >= 1\n",
    )


@pytest.mark.parametrize("relation", [">", ">=", "<", "<="])
@pytest.mark.parametrize(("row", "word"), [("nan,1", "nan"), ("inf,1", "inf")])
def test_what_is_no_finite_number_fails_every_gate(run: Run, folder: Path, row: str, word: str, relation: str) -> None:
    (folder / "x.csv").write_text(f"yhat,y,g\n1,2,a\n{row},b\n")
    options = ("--nan-pred", "propagate", "--by", "g")
    ran = run("compute", "x.csv", *options, "--fail-if", f"mae {relation} 1", "--fail-if", f"mae[g=b] {relation} 1")
    assert ran.code == 5
    failed = [line for line in ran.err.splitlines() if line.startswith("gate failed")]
    assert failed == [
        f"gate failed: mae is {word}; the gate is mae {relation} 1",
        f"gate failed: mae[g=b] is {word}; the gate is mae[g=b] {relation} 1",
    ]
    found = gates(run, *options, "--fail-if", f"mae {relation} 1")
    assert (found[0]["value"], found[0]["not_finite"], found[0]["passed"]) == (None, {"value": word}, False)


def test_a_group_that_is_empty_or_missing_fails(run: Run, folder: Path) -> None:
    (folder / "x.csv").write_text("yhat,y,g\n1,2,north\n2,,south\n")
    options = ("--nan-target", "omit", "--by", "g", "--fail-if")
    ran = run("compute", "x.csv", *options, "mae[g=south] > 9", "--fail-if", "loss[any] > 9")
    assert (ran.code, ran.err.splitlines()[-2:]) == (
        5,
        [
            "gate failed: mae[g=south] has nothing to score; the gate is mae[g=south] > 9",
            "gate failed: loss[g=south] has nothing to score; the gate is loss[any] > 9",
        ],
    )
    ran = run("compute", "x.csv", *options, "mae[g=norht] > 9")
    assert ran.code == 5
    assert ran.err.endswith("mae[g=norht] is missing; did you mean 'north'?; the gate is mae[g=norht] > 9\n")


def test_of_very_many_failures_some_are_said(run: Run, folder: Path) -> None:
    rows = "".join(f"1,2,{number}\n" for number in range(30))
    (folder / "x.csv").write_text(f"yhat,y,g\n{rows}")
    ran = run(
        "compute", "x.csv", "-p", "yhat", "-t", "y", "--by", "g", "--fail-if", "loss[any] > 0", "--format", "table"
    )
    assert len(ran.err.splitlines()) == 21
    assert ran.err.endswith("gate failed: 10 more; use --format json or -o FILE.json\n")
    assert "10 more failed; use --format json or -o FILE.json" in ran.out


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("", ["there is no condition", "'rmse > 0.31'"]),
        ("rmse", ["none of > >= < <= is in it"]),
        ("rmse >", ["there is no number at the end"]),
        ("> 3", ["there is no metric in front"]),
        ("rmse = 3", ["equality is no gate"]),
        ("rmse == 3", ["equality is no gate"]),
        ("rmse != 3", ["equality is no gate"]),
        ("rmse => 3", ["equality is no gate"]),
        ("rmse > x", ["'x' after '>' is not a finite number"]),
        ("mape > 5%", ["'5%'", "5% is 0.05"]),
        ("rmse > inf", ["not a finite number", "fail every gate"]),
        ("rmse > 1e999", ["not a finite number"]),
        ("rmse > 1_000", ["not a finite number"]),
        ("rmse[] > 3", ["no label is in []", "'rmse[region=EU] > 0.31'"]),
        ("rmse[north] > 3", ["'north' in the brackets is not NAME=LABEL, nor 'any'"]),
        ("rmse[a=1,] > 3", ["there are no groups"]),
        ("rmse[a=1,a=2] > 3", ["'a' stands twice"]),
        ("rmse[a=1 > 3", ["neither a metric nor a metric with a scope"]),
        ('rmse[a="1] > 3', ["neither a metric nor a metric with a scope"]),
        ("rmsee > 3", ["unknown metric 'rmsee'", "did you mean 'rmse'?"]),
        ("lss > 3", ["unknown metric 'lss'", "did you mean 'loss'?"]),
        ("all > 3", ["unknown metric 'all'"]),
        ("psnr < 30", ["--peak X"]),
        ("lp:0 > 3", ["lp:P"]),
        ("objective > 3", ["there are none; use loss"]),
        ("gradient_norm > 3", ["--grad-norm"]),
        ("loss[region=north] > 3", ["there are no groups or columns for [region=north]"]),
        ("loss[any] > 3", ["there are no groups or columns for [any]"]),
    ],
)
def test_a_condition_that_cannot_be_is_refused(run: Run, condition: str, words: list[str]) -> None:
    ran = run("compute", "x.csv", "--fail-if", condition)
    assert (ran.code, ran.out) == (2, "")
    assert f"Error: --fail-if: {condition!r}: " in ran.err
    assert [word for word in words if word not in ran.err] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--by region --fail-if 'loss[regoin=north] > 3'", ["no score has a 'regoin'", "did you mean 'region'?"]),
        ("--by region --fail-if 'loss[column=yhat] > 3'", ["no score has a 'column'"]),
        ("--by region --batch-size 2 --fail-if 'loss[region=north,batch=0] > 3'", ["of a group and of a batch"]),
        ("--by region --l1 1 --params w.csv --fail-if 'objective[any] > 3'", ["leave out [any]"]),
        ("-r none --fail-if 'loss > 3'", ["'none' gives no single loss"]),
        ("--min-coverage 1.5", ["--min-coverage: 1.5 is not between 0 and 1"]),
        ("--min-coverage x", ["--min-coverage: 'x' is not a share, such as 0.99 or 99%"]),
        ("--max-increase 2%", ["--max-increase", "--baseline FILE"]),
        ("--baseline-metric mae", ["--baseline-metric", "--baseline FILE"]),
        ("--baseline o.json --max-increase two", ["'two' is not an increase, such as 2% or 0.05"]),
        ("--baseline o.json --baseline-metric skil", ["unknown metric 'skil'", "did you mean 'skill'?"]),
        ("--baseline o.json --baseline-metric r2", ["higher is better", "--fail-if 'r2 < 0.9'"]),
        ("--baseline o.json --baseline-metric coverage", ["higher is better"]),
        ("--baseline o.json --baseline-metric bias", ["best at 0"]),
    ],
)
def test_options_that_cannot_be_are_refused(run: Run, arguments: str, words: list[str]) -> None:
    ran = run("compute", "x.csv", *shlex.split(arguments))
    assert (ran.code, ran.out) == (2, "")
    assert [word for word in words if word not in ran.err] == []


def test_gates_do_without_a_loss_where_they_are_about_a_metric(run: Run) -> None:
    ran = run("compute", "x.csv", "-r", "none", "--fail-if", "mae > 1")
    assert (ran.code, ran.out, ran.err) == (5, "1\n4\n0\n16\n", "gate failed: mae 1.75 > 1\n")


def test_conditions_in_the_environment_are_separated_by_semicolons(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSECLI_COMPUTE_FAIL_IF", "mae > 1;loss > 9;bias > 0")
    ran = run("compute", "x.csv")
    assert (ran.code, ran.err) == (5, "gate failed: mae 1.75 > 1\ngate failed: bias 0.25 > 0\n")


def test_files_are_written_whatever_the_gates_say(run: Run, folder: Path) -> None:
    ran = run("compute", "x.csv", "--fail-if", "mae > 1", "-o", "o.json", "--grad", "g.npy")
    assert (ran.code, ran.out) == (5, "")
    assert json.loads((folder / "o.json").read_text())["loss"] == 5.25
    assert (folder / "g.npy").exists()


# Coverage


def test_coverage_counts_all_elements_of_the_target(run: Run, folder: Path) -> None:
    (folder / "p.csv").write_text("id,yhat\n1,1\n2,2\n3,\n")
    (folder / "t.csv").write_text("id,y\n1,1\n2,2\n3,3\n4,4\n")
    options = ("--on", "id", "--unmatched", "skip", "--nan-pred", "omit", "--min-coverage")
    ran = run("compute", "p.csv", "t.csv", *options, "0.75")
    assert (ran.code, ran.err) == (5, "gate failed: coverage 0.5 < 0.75\n")
    assert run("compute", "p.csv", "t.csv", *options, "50%").code == 0
    assert run("compute", "p.csv", "t.csv", *options, "0").code == 0


def test_coverage_has_scopes(run: Run, folder: Path) -> None:
    (folder / "x.csv").write_text("yhat,y,g\n1,2,a\n2,,b\n3,3,b\n")
    ran = run("compute", "x.csv", "--nan-target", "omit", "--by", "g", "--fail-if", "coverage[any] < 0.9")
    assert (ran.code, ran.err) == (5, "gate failed: coverage[g=b] 0.5 < 0.9\n")


# Baselines


@pytest.fixture(name="old")
def _old(run: Run, folder: Path) -> Path:
    """Write the result of other predictions: squares 1, 4, 0 and 9, so 14 / 4 = 3.5, and mae 6 / 4 = 1.5."""
    (folder / "old.csv").write_text(DATA.replace("\n8,", "\n7,"))
    assert run("compute", "old.csv", "-m", "mae,r2", "-o", "old.json").code == 0
    return folder / "old.json"


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ((), 3.5),
        (("--max-increase", "50%"), 5.25),
        (("--max-increase", "49.9%"), 5.2465),
        (("--max-increase", "1.75"), 5.25),
        (("--max-increase", "1"), 4.5),
        (("--max-increase", "-1"), 2.5),
        (("--baseline-metric", "MAE"), 1.5),
        (("--baseline-metric", "mae", "--max-increase", "0.25"), 1.75),
    ],
)
def test_the_result_may_be_worse_than_the_baseline_by_so_much(
    run: Run, old: Path, options: tuple[str, ...], limit: float
) -> None:
    ran = run("compute", "x.csv", "--baseline", "old.json", "--format", "json", *options)
    (found,) = json.loads(ran.out)["gates"]
    assert (found["limit"], found["passed"], ran.code) == (
        limit,
        found["value"] <= limit,
        0 if found["value"] <= limit else 5,
    )


def test_the_message_names_the_baseline(run: Run, old: Path) -> None:
    ran = run("compute", "x.csv", "--baseline", "old.json", "--max-increase", "2%")
    assert (ran.code, ran.out) == (5, "5.25\n")
    assert ran.err == "gate failed: loss 5.25 > 3.57 (old.json: 3.5 + 2%)\n"


def test_a_result_that_is_not_finite_fails_against_a_baseline(run: Run, old: Path, folder: Path) -> None:
    (folder / "x.csv").write_text(DATA.replace("\n8,", "\ninf,"))
    ran = run("compute", "x.csv", "--baseline", "old.json", "--max-increase", "1e9")
    assert (ran.code, ran.err.splitlines()[-1]) == (
        5,
        "gate failed: loss is inf; the gate is loss > old.json + 1e9",
    )


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        (("-r", "sum"), "reduction: mean there, sum here"),
        (("--by", "region"), "by: none there, region here"),
        (
            ("-w", "year", "--nan-pred", "omit"),
            "weights: none there, column(year) here; nan_pred: raise there, omit here",
        ),
    ],
)
def test_a_baseline_under_another_signature_is_refused_with_the_difference(
    run: Run, old: Path, options: tuple[str, ...], fields: str
) -> None:
    ran = run("compute", "x.csv", "-p", "yhat", "-t", "y", "--baseline", "old.json", *options)
    assert (ran.code, ran.out) == (3, "")
    assert f"old.json: the baseline is another score, the signatures differ in {fields}\n" in ran.err


def test_how_many_elements_are_used_and_the_version_may_differ(run: Run, old: Path) -> None:
    old.write_text(old.read_text().replace("used:4/4", "used:3/9").replace("msecli:0", "msecli:9"))
    assert run("compute", "x.csv", "--baseline", "old.json", "--max-increase", "9").code == 0


def test_a_baseline_of_another_season_is_refused(run: Run, folder: Path) -> None:
    run("compute", "x.csv", "-m", "mase", "--season", "2", "-o", "old.json")
    ran = run("compute", "x.csv", "--baseline", "old.json", "--baseline-metric", "mase")
    assert (ran.code, "season: 2 there, 1 here" in ran.err) == (3, True)
    assert run("compute", "x.csv", "--baseline", "old.json", "--baseline-metric", "mase", "--season", "2").code == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["the file is empty"]),
        ("loss 3\n", ["no result of msecli in JSON"]),
        ("[1]", ["it has no schema"]),
        ('{"schema": "msecli/9"}', ["its schema is 'msecli/9'"]),
        ('{"schema": "msecli/1", "norms": {"2": 1.0}}', ["no loss to compare with"]),
        ('{"schema": "msecli/1", "loss": null, "status": "nan", "metrics": {}}', ["the loss", "it is nan"]),
        ('{"schema": "msecli/1", "loss": true}', ["it is True"]),
        ('{"schema": "msecli/1", "loss": 1.0}', ["signatures differ"]),
        ("\udcff", ["no result of msecli in JSON"]),
    ],
)
def test_a_file_that_is_no_baseline_is_refused(run: Run, folder: Path, text: str, words: list[str]) -> None:
    (folder / "old.json").write_bytes(text.encode(errors="surrogateescape"))
    ran = run("compute", "x.csv", "--baseline", "old.json")
    assert (ran.code, ran.out) == (3, "")
    assert [word for word in words if word not in ran.err] == []


def test_a_baseline_without_the_metric_or_without_a_file_is_refused(run: Run, old: Path) -> None:
    ran = run("compute", "x.csv", "--baseline", "old.json", "--baseline-metric", "rmse")
    assert (ran.code, "the baseline has no 'rmse'; it has loss, mae, r2" in ran.err) == (3, True)
    ran = run("compute", "x.csv", "--baseline", "odl.json")
    assert (ran.code, "odl.json: no such file" in ran.err) == (4, True)


def test_the_baseline_is_an_input_that_no_output_replaces(run: Run, old: Path) -> None:
    ran = run("compute", "x.csv", "--baseline", "old.json", "-o", "old.json", "--overwrite")
    assert (ran.code, "this is also the input old.json" in ran.err) == (2, True)


# From Python


def test_python_callers_get_the_gates_and_no_exception() -> None:
    result = msecli.score([1.0, 3.0], [0.0, 0.0], fail_if=["loss > 4.9", "mae > 9"], min_coverage=1)
    assert (result.passed, [gate.passed for gate in result.gates]) == (False, [False, True, True])
    assert result.gates[0][:6] == ("loss > 4.9", "loss", None, 5.0, 4.9, False)
    earlier = msecli.score([1.0, 2.0], [0.0, 0.0])
    again = msecli.score([1.0, 3.0], [0.0, 0.0], baseline=earlier, max_increase=2.5)
    assert (again.passed, again.gates[0].limit) == (True, 5.0)
    assert not msecli.score([1.0, 3.0], [0.0, 0.0], baseline=earlier.to_dict(), max_increase="99%").passed
    assert earlier.passed
    increase = msecli.score([1.0, 3.0], [0.0, 0.0], baseline=earlier, max_increase=np.float64(2.5), min_coverage=1.0)
    assert [gate.gate for gate in increase.gates] == ["coverage < 1", "loss > baseline + 2.5"]


@pytest.mark.parametrize("wrong", [{"fail_if": 3}, {"fail_if": [None]}, {"max_increase": "x", "baseline": {}}])
def test_python_callers_are_told_what_a_condition_is(wrong: dict[str, Any]) -> None:
    with pytest.raises((UsageError, TypeError)):
        msecli.score([1.0], [0.0], **wrong)


def test_limits_are_computed_without_rounding_on_the_way() -> None:
    # 0.1 * 1.1 in float64 is 0.11000000000000001; the nearest double to 11/10 of the double 0.1 is 0.11.
    earlier = msecli.score([0.1**0.5], [0.0], reduction="mean")
    assert earlier.loss is not None
    limit = msecli.score([0.0], [0.0], baseline=earlier, max_increase="10%").gates[0].limit
    from fractions import Fraction

    assert limit == float(Fraction(earlier.loss) * Fraction(11, 10))
    assert math.isfinite(limit)


def test_gates_see_bins_and_groups_that_are_not_listed(run: Run) -> None:
    Path("bins.csv").write_text("yhat,y,h\n1,1,1\n1,1,2\n3,0,3\n5,0,4\n")
    # The bins hold h of 1 and 2, without error, and of 3 and 4, with squared errors 9 and 25.
    command = ("bins.csv", "-p", "yhat", "-t", "y", "--by-bins", "h:2")
    conditions = ("--fail-if", "loss[any] > 20", "--fail-if", 'loss[h="[1, 3)"] > 0')
    found = json.loads(run("compute", *command, *conditions, "--format", "json").out)["gates"]
    assert [(gate["scope"], gate["value"], gate["passed"]) for gate in found] == [
        ({"h": "[1, 3)"}, 0.0, True),
        ({"h": "[3, 4]"}, 17.0, True),
        ({"h": "[1, 3)"}, 0.0, True),
    ]
    # Only the worst group is listed, but the other one fails.
    ran = run("compute", *command, "--top", "1", "--fail-if", "loss[any] < 1")
    assert (ran.code, ran.err) == (5, "gate failed: loss[h=[1, 3)] 0.0 < 1\n")
    assert "[1, 3)" not in ran.out


def test_gates_can_be_pickled_and_compared() -> None:
    import pickle

    gate = gate_named("rmse[region=EU] > 0.31")
    assert pickle.loads(pickle.dumps(gate)) == gate == gate_named("rmse[region=EU] > 0.31")

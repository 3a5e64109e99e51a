"""`msecli compare` from outside: systems in files and in columns, their order, failing ones, what is printed.

Numbers of the diabetes sample are those of SciPy 1.17.1: `scipy.stats.ttest_rel` on the squared errors of both columns,
and for `dm` the formula of Harvey, Leybourne and Newbold (1997) in plain NumPy. Others are worked out by hand.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

SCORES = ("-p", "ridge,forest", "-t", "target")
RIDGE, FOREST = 3006.503469511205, 3321.2736155103066

TARGET = "id,y,g,w\n1,1,odd,1\n2,2,even,2\n3,3,odd,3\n4,4.5,even,4\n"
SYSTEMS = {
    "a": "id,yhat\n1,1.5\n2,2\n3,3\n4,5\n",  # squared errors 0.25, 0, 0, 0.25
    "b": "id,yhat\n1,1\n2,3\n3,3\n4,5.5\n",  # 0, 1, 0, 1
    "c": "id,yhat\n1,\n2,2\n3,3.5\n4,4.5\n",  # missing, 0, 0.25, 0
    "short": "id,yhat\n1,1.5\n2,2\n",
    "words": "id,name\n1,x\n2,y\n",
}
COLUMNS = ("-p", "yhat", "-t", "y")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, text in {**SYSTEMS, "target": TARGET}.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return tmp_path


def paths(files: Path, *names: str) -> list[Path]:
    return [files / f"{name}.csv" for name in (*names, "target")]


def systems(ran: Any) -> dict[str, Any]:
    return {system["system"]: system for system in json.loads(ran.out)["systems"]}


def test_a_line_for_each_column_of_a_table(run: Run, sample_data: Path) -> None:
    ran = run("compare", sample_data / "diabetes_scores.parquet", *SCORES)
    ridge, forest = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    assert ridge.split("\t") == ["ridge", repr(RIDGE), *[""] * 6]
    name, *numbers = forest.split("\t")
    assert (name, float(numbers[0])) == ("forest", FOREST)
    expected = [FOREST - RIDGE, 68.14888560725348, 561.3914063909499, 0.012484292545510011, 0.012484292545510011]
    assert [float(number) for number in numbers[1:6]] == pytest.approx(expected, rel=1e-12)
    assert float(numbers[6]) == 205 / 442


def test_dm_of_the_diabetes_sample(run: Run, sample_data: Path) -> None:
    ran = run("compare", sample_data / "diabetes_scores.parquet", *SCORES, "--test", "dm", "--horizon", 3)
    assert float(ran.out.splitlines()[1].split("\t")[5]) == pytest.approx(0.019101850242147847, rel=1e-9)


def test_files_are_paired_by_key(run: Run, sample_data: Path) -> None:
    files = [sample_data / f"diabetes_{name}" for name in ("ridge.csv", "forest_shuffled.parquet", "target.csv")]
    ran = run("compare", *files, "--on", "id", "--format", "json")
    found = systems(ran)
    assert [system["loss"] for system in found.values()] == [RIDGE, FOREST]
    assert list(found) == ["diabetes_ridge", "diabetes_forest_shuffled"]
    difference = found["diabetes_forest_shuffled"]["difference"]
    assert difference["p"] == pytest.approx(0.012484292545510011, rel=1e-9)


def test_the_signature_names_the_method(run: Run, sample_data: Path) -> None:
    options = ["--test", "bootstrap", "--resamples", 50, "--seed", 7, "--cluster", "sex", "--confidence", 0.9]
    ran = run("compare", sample_data / "diabetes_scores.parquet", *SCORES, *options, "--format", "json")
    signature = json.loads(ran.out)["signature"]
    assert signature.startswith("mse(compare)|columns:ridge~target,forest~target|reduction:mean|weights:none|")
    method = "|reference:ridge|test:bootstrap|resamples:50|seed:7|cluster:sex|confidence:0.9|adjust:holm|"
    assert f"{method}used:442/442|acc:exact|" in signature


def test_differences_are_to_the_reference(run: Run, files: Path) -> None:
    found = systems(run("compare", *paths(files, "a", "b"), *COLUMNS, "--reference", "b", "--format", "json"))
    assert found["b"]["difference"] is None
    assert (found["a"]["loss"], found["b"]["loss"]) == (0.125, 0.5)
    assert found["a"]["difference"]["value"] == -0.375
    # a wins rows 2 and 4, loses row 1, and ties row 3.
    assert (found["a"]["won"], found["a"]["tied"]) == (0.5, 0.25)


@pytest.mark.parametrize(("reduction", "factor"), [("sum", 4), ("batchmean", 1)])
def test_a_sum_differs_by_as_many_times_the_mean(run: Run, files: Path, reduction: str, factor: int) -> None:
    mean, other = (
        systems(run("compare", *paths(files, "a", "b"), *COLUMNS, "-r", name, "--format", "json"))["b"]["difference"]
        for name in ("mean", reduction)
    )
    for name in ("value", "low", "high"):
        assert other[name] == pytest.approx(factor * mean[name])
    assert other["p"] == mean["p"]


def test_systems_are_named_by_the_user_or_by_what_tells_their_paths_apart(run: Run, files: Path) -> None:
    for folder in ("x", "y"):
        (files / folder).mkdir()
        (files / folder / "pred.csv").write_text(SYSTEMS["a"])
    (files / "k=v.csv").write_text(SYSTEMS["a"])
    given = [files / "x/pred.csv", files / "y/pred.csv", f"best={files / 'b.csv'}", files / "k=v.csv"]
    ran = run("compare", *given, files / "target.csv", *COLUMNS, "--test", "none")
    assert [line.split("\t")[0] for line in ran.out.splitlines()] == ["x/pred", "y/pred", "best", "k=v"]


def test_two_systems_of_one_name_are_refused(run: Run, files: Path) -> None:
    ran = run("compare", f"x={files / 'a.csv'}", f"x={files / 'b.csv'}", files / "target.csv")
    assert (ran.code, ran.out) == (2, "")
    assert "two systems are named 'x'" in ran.err


def test_the_best_come_first(run: Run, files: Path) -> None:
    def order(*options: str) -> list[str]:
        ran = run("compare", *paths(files, "b", "a"), *COLUMNS, "-m", "r2,bias", *options)
        return [line.split("\t")[0] for line in ran.out.splitlines()]

    assert order() == ["b", "a"]
    assert order("--reverse") == ["a", "b"]
    assert order("--sort", "loss") == order("--sort", "r2") == ["a", "b"]  # the smallest loss, the largest r2
    assert order("--sort", "loss", "--reverse") == ["b", "a"]
    assert order("--sort", "bias") == ["a", "b"]  # 0.25 is nearer to 0 than 0.5


def test_systems_that_cannot_be_scored_are_listed_and_the_others_scored(run: Run, files: Path) -> None:
    names = ["a", "c", "b", "missing", "short", "words"]
    ran = run("compare", *paths(files, *names), *COLUMNS, "--format", "json")
    found = systems(ran)
    assert ran.code == 4  # of 4 and 3
    assert {name: system["status"] for name, system in found.items()} == {
        name: "ok" if name in "ab" else "error" for name in names
    }
    assert [found[name]["loss"] for name in ("a", "b")] == [0.125, 0.5]
    assert found["c"]["error"].endswith("to leave them out, use --nan-pred omit")
    assert "different numbers of rows" in found["short"]["error"]
    assert "no column 'yhat'" in found["words"]["error"]
    assert ran.err.count("Error: ") == 4
    assert found["missing"]["rows"] is None


@pytest.mark.parametrize("format", ["table", "plain", "json", "csv", "tsv", "markdown"])
def test_every_format_lists_a_failed_system(run: Run, files: Path, format: str) -> None:
    ran = run("compare", *paths(files, "a", "words", "b"), *COLUMNS, "--format", format)
    assert ran.code == 3
    assert all(name in ran.out for name in ("a", "words", "b"))


def test_fail_fast_ends_with_the_first_error(run: Run, files: Path) -> None:
    ran = run("compare", *paths(files, "a", "words", "b"), *COLUMNS, "--fail-fast")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("Error: words: ")


def test_without_its_targets_there_is_no_comparison(run: Run, files: Path) -> None:
    ran = run("compare", *paths(files, "a", "b")[:2], files / "nothing.csv")
    assert (ran.code, ran.out) == (4, "")


def test_a_failed_reference_names_another(run: Run, files: Path) -> None:
    ran = run("compare", *paths(files, "c", "a", "b"), *COLUMNS)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.rstrip().endswith("-p yhat -t y --reference a")


@pytest.mark.parametrize("options", [[], ["--fail-fast"]])
def test_a_system_without_columns_to_score_is_told_so(run: Run, files: Path, options: list[str]) -> None:
    ran = run("compare", *paths(files, "words", "a"), "-t", "y", *options)
    assert (ran.code, ran.out) == (3, "")
    assert "cannot tell which columns to score" in ran.err


def test_rows_that_do_not_belong_together_fail_their_system_alone(run: Run, files: Path) -> None:
    (files / "moved.csv").write_text("id,yhat\n2,2\n1,1\n3,3\n4,5\n")
    ran = run("compare", *paths(files, "a", "moved", "b"), *COLUMNS, "--format", "json")
    found = systems(ran)
    assert ran.code == 3
    assert "--on id" in found["moved"]["error"]
    assert found["b"]["loss"] == 0.5


def test_what_one_system_lacks_is_left_out_for_all(run: Run, files: Path) -> None:
    ran = run("compare", *paths(files, "a", "b", "c"), *COLUMNS, "--nan-pred", "omit", "--format", "json")
    found = systems(ran)
    # Without row 1: squared errors 0, 0, 0.25 and 1, 0, 1 and 0, 0.25, 0.
    assert [found[name]["loss"] for name in "abc"] == pytest.approx([0.25 / 3, 2 / 3, 0.25 / 3])
    assert [found[name]["elements"]["used"] for name in "abc"] == [3, 3, 3]
    assert [found[name]["elements"]["nan_prediction"] for name in "abc"] == [0, 0, 1]
    assert json.loads(ran.out)["signature"].find("|used:3/4|") > 0


def test_what_a_failed_system_lacks_is_not_left_out(run: Run, files: Path) -> None:
    (files / "c.csv").write_text("id,yhat\n1,\n1,2\n3,3.5\n4,4.5\n")  # its ids differ, too
    ran = run("compare", *paths(files, "a", "b", "c"), *COLUMNS, "--nan-pred", "omit", "--format", "json")
    assert ran.code == 3
    assert [systems(ran)[name]["loss"] for name in "ab"] == [0.125, 0.5]


def test_the_rows_that_all_have_are_compared(run: Run, files: Path) -> None:
    given = paths(files, "a", "short", "b")
    ran = run("compare", *given, *COLUMNS, "--on", "id", "--unmatched", "skip", "--format", "json")
    found = systems(ran)
    assert ran.code == 0
    assert [system["loss"] for system in found.values()] == [0.125, 0.125, 0.5]  # of rows 1 and 2
    assert [system["rows"]["unmatched_target"] for system in found.values()] == [0, 2, 0]
    assert [system["rows"]["dropped"] for system in found.values()] == [2, 0, 2]
    assert json.loads(ran.out)["signature"].find("|pairing:on(id),unmatched:skip|") > 0
    assert json.loads(ran.out)["signature"].find("|used:2/4|") > 0


def test_a_system_with_unmatched_keys_fails(run: Run, files: Path) -> None:
    ran = run("compare", *paths(files, "a", "short", "b"), *COLUMNS, "--on", "id", "--format", "json")
    assert ran.code == 3
    assert "--unmatched skip" in systems(ran)["short"]["error"]


def test_groups_and_weights_are_those_of_the_targets(run: Run, files: Path) -> None:
    ran = run("compare", *paths(files, "a", "b"), *COLUMNS, "--by", "g", "-w", "w", "--format", "json")
    found = systems(ran)
    # The weights of the two squared errors of 0.25 are 1 of 4 odd ones and 4 of 6 even ones.
    assert found["a"]["loss"] == 0.125
    groups = {group["group"]["g"]: group["loss"] for group in found["a"]["groups"]}
    assert groups == {"even": 1 / 6, "odd": 0.0625}


def test_a_single_system_still_has_its_name(run: Run, files: Path) -> None:
    assert run("compare", *paths(files, "a"), *COLUMNS).out == "a\t0.125\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--reference", "z"], "no system is named 'z'"),
        (["--sort", "rmse"], "is not one of loss"),
        (["--seed", "1"], "bootstrap and permutation, not for t"),
        (["--test", "dm", "--nan-pred", "omit"], "needs every row, in order"),
        (["--test", "dm", "--cluster", "g"], "--cluster does not go with the test dm"),
        (["--test", "none", "--fail-if-worse"], "--fail-if-worse needs a test"),
        (["--alpha", "0.1"], "--alpha is for --fail-if-worse"),
        (["--confidence", "95"], "is not between 0 and 1"),
        (["-r", "none"], "one loss for each system"),
    ],
)
def test_what_contradicts_itself_is_refused(run: Run, files: Path, options: list[str], message: str) -> None:
    ran = run("compare", *paths(files, "a", "b"), *COLUMNS, *options)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_a_system_that_is_worse_fails_its_gate(run: Run, sample_data: Path) -> None:
    command = ["compare", sample_data / "diabetes_scores.parquet", *SCORES, "--fail-if-worse"]
    ran = run(*command, "--format", "json")
    (gate,) = json.loads(ran.out)["gates"]
    assert (ran.code, gate["passed"], gate["scope"]) == (5, False, {"system": "forest"})
    assert ran.err.startswith("gate failed: p[system=forest] 0.0124")
    assert run(*command, "--alpha", "0.01").code == 0
    assert run(*command, "--reference", "forest").code == 0  # ridge is better


def test_a_loss_that_is_no_number_fails_the_gate(run: Run, files: Path) -> None:
    ran = run("compare", *paths(files, "a", "c"), *COLUMNS, "--nan-pred", "propagate", "--fail-if-worse")
    assert ran.code == 5
    assert "gate failed: p[system=c]" in ran.err


def test_an_error_comes_before_a_gate(run: Run, files: Path) -> None:
    ran = run("compare", *paths(files, "a", "c", "words"), *COLUMNS, "--nan-pred", "propagate", "--fail-if-worse")
    assert ran.code == 3


def test_p_values_are_adjusted_for_the_number_of_systems(run: Run, files: Path) -> None:
    (files / "d.csv").write_text("id,yhat\n1,2\n2,3.1\n3,4.2\n4,5.6\n")
    command = ["compare", *paths(files, "a", "b", "d"), *COLUMNS, "--format", "json"]
    p = [system["difference"]["p"] for system in systems(run(*command)).values() if system["difference"]]
    adjusted = [s["difference"]["p_adjusted"] for s in systems(run(*command)).values() if s["difference"]]
    assert adjusted == [max(p), min(1.0, 2 * min(p))] if p[0] > p[1] else [min(1.0, 2 * min(p)), max(p)]
    alone = systems(run(*command, "--adjust", "none"))
    assert [s["difference"]["p_adjusted"] for s in alone.values() if s["difference"]] == p


def test_infinite_predictions_are_told_and_not_tested(run: Run, files: Path) -> None:
    (files / "i.csv").write_text("id,yhat\n1,inf\n2,2\n3,3\n4,5\n")
    ran = run("compare", *paths(files, "a", "i"), *COLUMNS, "--format", "json")
    found = systems(ran)["i"]
    assert (found["loss"], found["status"], found["difference"]["p"]) == (None, "inf", None)
    assert "infinite values" in ran.err
    assert math.isfinite(systems(ran)["a"]["loss"])


def test_gates_hold_for_every_system(run: Run, sample_data: Path) -> None:
    command = ("compare", sample_data / "diabetes_scores.parquet", "-p", "ridge,forest", "-t", "target")
    # The mean absolute errors are 44.6… and 46.8…, those of `compute` for each column.
    ran = run(*command, "--fail-if", "mae > 45", "--format", "json")
    assert ran.code == 5
    assert re.fullmatch(r"gate failed: mae\[system=forest\] 46\.8\d+ > 45\n", ran.err)
    gates = json.loads(ran.out)["gates"]
    assert [(gate["scope"], gate["passed"]) for gate in gates] == [
        ({"system": "ridge"}, True),
        ({"system": "forest"}, False),
    ]
    assert run(*command, "--fail-if", "mae > 47").code == 0
    refused = run(*command, "--fail-if", "mae[region=x] > 47")
    assert (refused.code, refused.out) == (2, "")


def test_gates_see_groups_of_every_system(run: Run, sample_data: Path) -> None:
    command = ("compare", sample_data / "diabetes_scores.parquet", "-p", "ridge,forest", "-t", "target")
    ran = run(*command, "--by", "age_band", "--fail-if", "rmse[any] > 60", "--format", "json")
    scopes = [gate["scope"] for gate in json.loads(ran.out)["gates"]]
    assert len(scopes) == 2 * 3
    assert {tuple(scope) for scope in scopes} == {("system", "age_band")}


def test_a_baseline_is_compared_with_every_system(run: Run, sample_data: Path, tmp_path: Path) -> None:
    scores, saved = sample_data / "diabetes_scores.parquet", tmp_path / "ridge.json"
    assert run("compute", scores, "-p", "ridge", "-t", "target", "-o", saved).code == 0
    ran = run("compare", scores, "-p", "ridge,forest", "-t", "target", "--baseline", saved)
    # The columns are in the signature, so the second system is another score.
    assert (ran.code, "the signatures differ in columns" in ran.err) == (3, True)

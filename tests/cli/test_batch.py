"""`msecli batch`: manifests and patterns, results of several runs, errors, totals, resuming.

Squared errors are worked out by hand: run `a` has the residuals 1 and 2, run `b` has 3.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import msecli

Run = Callable[..., Any]

TOML = """\
[defaults]
metrics = "mae"

[[run]]
name = "a"
predictions = "a/p.csv"
targets = "a/t.csv"

[[run]]
name = "b"
predictions = "b/p.csv"
targets = "b/t.csv"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with two pairs of files, and a manifest of them."""
    monkeypatch.chdir(tmp_path)
    for name, predictions, targets in (("a", "2\n4", "1\n2"), ("b", "4", "1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "p.csv").write_text(f"yhat\n{predictions}\n")
        (tmp_path / name / "t.csv").write_text(f"y\n{targets}\n")
    (tmp_path / "runs.toml").write_text(TOML)
    return tmp_path


def losses(text: str) -> dict[str, float | None]:
    return {run["run"]: run["loss"] for run in json.loads(text)["runs"]}


def manifest(folder: Path, *runs: str, name: str = "m.toml") -> str:
    (folder / name).write_text("\n".join(f"[[run]]\n{run}" for run in runs))
    return name


PAIR = 'predictions = "a/p.csv"\ntargets = "a/t.csv"\n'


def test_every_run_has_its_numbers_and_all_have_totals(run: Run) -> None:
    ran = run("batch", "runs.toml")
    # Squares 1 and 4, and 9; pooled 14 / 3, the mean of the means (2.5 + 9) / 2.
    expected = f"a\t2.5\t1.5\nb\t9.0\t3.0\npooled\t{14 / 3!r}\t2.0\nmacro\t5.75\t2.25\n"
    assert (ran.code, ran.out, ran.err) == (0, expected, "")


def test_tables_have_a_row_for_each_run(run: Run) -> None:
    ran = run("batch", "runs.toml", "--format", "table")
    lines = [line.split() for line in ran.out.splitlines() if line]
    assert lines[0] == ["2", "runs"]
    assert lines[1:6] == [
        ["run", "loss", "mae", "used"],
        ["a", "2.5", "1.5", "2"],
        ["b", "9", "3", "1"],
        ["pooled", "4.66667", "2", "3"],
        ["macro", "5.75", "2.25"],
    ]


FORMATS = {
    "runs.csv": "name,predictions,targets,metrics\na,a/p.csv,a/t.csv,mae\nb,b/p.csv,b/t.csv,mae\n",
    "runs.tsv": "name\tpredictions\ttargets\tmetrics\na\ta/p.csv\ta/t.csv\tmae\nb\tb/p.csv\tb/t.csv\tmae\n",
    "runs.jsonl": '{"name": "a", "predictions": "a/p.csv", "targets": "a/t.csv", "metrics": ["mae"]}\n\n'
    '{"name": "b", "predictions": "b/p.csv", "targets": "b/t.csv", "metrics": "mae"}\n',
    "runs.yaml": "defaults: {metrics: mae}\nrun:\n- {name: a, predictions: a/p.csv, targets: a/t.csv}\n"
    "- {name: b, predictions: b/p.csv, targets: b/t.csv}\n",
}


@pytest.mark.parametrize("name", FORMATS)
def test_manifests_of_every_format_say_the_same(run: Run, folder: Path, name: str) -> None:
    if name.endswith("yaml"):
        pytest.importorskip("yaml")
    (folder / name).write_text(FORMATS[name])
    assert run("batch", name, "--format", "json").out == run("batch", "runs.toml", "--format", "json").out


def test_paths_are_relative_to_the_manifest(run: Run, folder: Path) -> None:
    (folder / "a" / "runs.csv").write_text(f"name,predictions,targets\na,p.csv,{folder}/a/t.csv\n")
    assert losses(run("batch", "a/runs.csv", "--format", "json").out) == {"a": 2.5}


def test_a_run_without_a_name_has_that_of_its_predictions(run: Run, folder: Path) -> None:
    assert list(losses(run("batch", manifest(folder, PAIR), "--format", "json").out)) == ["a/p.csv"]


def test_options_of_a_run_precede_the_command_line_which_precedes_the_defaults(run: Run, folder: Path) -> None:
    runs = (f'name = "one"\nreduction = "mean"\n{PAIR}', f'name = "two"\n{PAIR}')
    name = manifest(folder, *runs)
    (folder / name).write_text(f'[defaults]\nreduction = "batchmean"\n{(folder / name).read_text()}')
    found = {each: losses(run("batch", name, *options, "--format", "json").out) for each, options in
             {"file": (), "line": ("-r", "sum")}.items()}  # fmt: skip
    assert found == {"file": {"one": 2.5, "two": 2.5}, "line": {"one": 2.5, "two": 5.0}}
    assert [each["reduction"] for each in json.loads(run("batch", name, "--format", "json").out)["runs"]] == [
        "mean", "batchmean",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("extra", "loss"),
    [
        ('delimiter = ";"\ndecimal = ","', 2.5),
        ('delimiter = ["pred=;", "target=;"]\ndecimal = "both=,"', 2.5),
        ('delimiter = {both = ";"}\ndecimal = {pred = ",", target = ","}', 2.5),
    ],
)
def test_how_files_are_read_is_said_as_on_the_command_line(run: Run, folder: Path, extra: str, loss: float) -> None:
    (folder / "p.csv").write_text("id;yhat\n1;2,0\n2;4,0\n")
    (folder / "t.csv").write_text("id;y\n1;1,0\n2;2,0\n")
    name = manifest(folder, f'predictions = "p.csv"\ntargets = "t.csv"\n{extra}\n')
    assert list(losses(run("batch", name, "--format", "json").out).values()) == [loss]


@pytest.mark.parametrize("extra", ["no-header = true", "header = false", 'no_header = "pred,target"'])
def test_files_without_headers(run: Run, folder: Path, extra: str) -> None:
    (folder / "p.csv").write_text("2\n4\n")
    name = manifest(folder, f'predictions = "p.csv"\ntargets = "p.csv"\n{extra}\n')
    assert list(losses(run("batch", name, "--format", "json").out).values()) == [0.0]


def test_every_option_of_a_run_can_be_in_a_table_of_text(run: Run, folder: Path) -> None:
    (folder / "d.csv").write_text("id,p,t,w,g\n1,2,1,2,x\n2,4,2,1,y\n3,9,-1,1,y\n")
    (folder / "m.csv").write_text(
        "predictions,pred,target,weight,by,ignore_index,row_check,drop_last,axis,peak\nd.csv,p,t,w,g,-1,false,,,\n"
    )
    (found,) = json.loads(run("batch", "m.csv", "--format", "json").out)["runs"]
    # Weights 2 and 1, squares 1 and 4.
    assert (found["loss"], found["settings"]["row_check"], len(found["groups"])) == (2.0, False, 2)


# Matrices


def test_a_matrix_makes_a_run_of_every_combination(run: Run, folder: Path) -> None:
    name = manifest(
        folder,
        'name = "{f}"\npredictions = "{f}/p.csv"\ntargets = "{f}/t.csv"\nmatrix = {f = ["a", "b"]}',
        f'name = "r"\n{PAIR}matrix = {{reduction = ["sum", "mean"], metrics = [["mae", "rmse"], "bias"]}}',
    )
    assert losses(run("batch", name, "--format", "json").out) == {
        "a": 2.5, "b": 9.0, "r[sum,mae,rmse]": 5.0, "r[sum,bias]": 5.0, "r[mean,mae,rmse]": 2.5, "r[mean,bias]": 2.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("matrix", "told"),
    [
        ("{speed = [1, 2]}", "'speed' is neither an option nor {speed} in the name or a path"),
        ("{f = []}", "a matrix has a list of values for each key"),
        ("{f = 1}", "a matrix has a list of values for each key"),
        ("{fold = [1], f = [2]}", "'fold' is neither an option nor {fold}"),
        ('{reduction = ["sum"]}', "there is no 'f' in the matrix for {f}"),
    ],
)
def test_a_matrix_that_makes_no_sense_is_refused(run: Run, folder: Path, matrix: str, told: str) -> None:
    ran = run("batch", manifest(folder, f'name = "{{f}}"\n{PAIR}matrix = {matrix}'))
    assert (ran.code, ran.err.startswith("Error: m.toml, line 5: ")) == (3, True)
    assert told in ran.err


# Patterns


def test_two_patterns_pair_files(run: Run) -> None:
    assert losses(run("batch", "*/p.csv", "{1}/t.csv", "--format", "json").out) == {"a": 2.5, "b": 9.0}
    assert losses(run("batch", "{run}/p.csv", "{run}/t.csv", "--format", "json").out) == {"a": 2.5, "b": 9.0}
    assert losses(run("batch", "[ab]/?.csv", "{1}/t.csv", "--format", "json").out) == {
        "a/p": 2.5, "a/t": 0.0, "b/p": 9.0, "b/t": 0.0,
    }  # fmt: skip
    assert losses(run("batch", "**/p.csv", "{1}/t.csv", "--format", "json").out) == {"a": 2.5, "b": 9.0}
    # Parts with names are not numbered.
    assert losses(run("batch", "{run}/[p].csv", "{run}/{1}.csv", "--format", "json").out) == {"a/p": 0.0, "b/p": 0.0}
    assert losses(run("batch", "{run}/*.csv", "{run}/{1}.csv", "--format", "json").out) == {
        "a/p": 0.0, "a/t": 0.0, "b/p": 0.0, "b/t": 0.0,
    }  # fmt: skip


def test_advice_for_runs_of_patterns_names_options_and_that_for_a_manifest_its_keys(run: Run, folder: Path) -> None:
    for name in "ab":
        (folder / name / "p.csv").write_text("yhat\n1\n\n")
        (folder / name / "t.csv").write_text("y\n1\n2\n")
    patterns = ("batch", "*/p.csv", "{1}/t.csv")
    ran = run(*patterns)
    assert ran.err.count("to leave them out, use --nan-pred omit\n") == 2
    assert run(*patterns, "--nan-pred", "omit").code == 0
    assert "use --nan-pred omit" in run(*patterns, "--format", "json").out
    assert "--unmatched skip requires --on" in run(*patterns, "--unmatched", "skip").err
    (error, _) = (each.error for each in msecli.batch("*/p.csv", "{1}/t.csv").runs)
    assert error is not None
    assert error.endswith("use nan_pred='omit'")
    assert "use nan_pred = 'omit'" in run("batch", manifest(folder, PAIR)).err


def test_one_target_file_serves_all_predictions(run: Run) -> None:
    assert losses(run("batch", "a/*.csv", "a/t.csv", "--format", "json").out) == {"p": 2.5, "t": 0.0}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("*/p.csv", "{2}/t.csv"), 2, "has {2}, but of */p.csv there is {1}"),
        (("{model}/p.csv", "{modle}/t.csv"), 2, "did you mean 'model'?"),
        (("{model}/p.csv", "{1}/t.csv"), 2, "has {1}, but of {model}/p.csv there is {model}"),
        (("{model}/*.csv", "{2}/t.csv"), 2, "has {2}, but of {model}/*.csv there is {model}, {1}"),
        (("*/p.csv", "*/t.csv"), 2, "use {1} for the first *"),
        (("{model}/p.csv", "*/t.csv"), 2, "use {model} for what it matched"),
        (("a/p.csv", "a/t.csv"), 2, "this is no pattern"),
        (("*/nothing.csv", "{1}/t.csv"), 4, "no file matches this pattern"),
        (("a/p.csv", "b/p.csv", "{1}/t.csv"), 2, "3 files are too many"),
        (("a/p.csv",), 2, "Missing"),
    ],
)
def test_patterns_that_pair_nothing_are_refused(run: Run, arguments: tuple[str, ...], code: int, told: str) -> None:
    if len(arguments) == 1:
        code, told = 3, "there is no 'run' in it"
        arguments, told = ("a/p.csv",), "no option of a run"
    ran = run("batch", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert told in ran.err


# What is wrong with a manifest


def test_all_that_is_wrong_is_told_with_its_lines(run: Run, folder: Path) -> None:
    (folder / "m.toml").write_text(
        '[defaults]\nmetrcs = "mae"\n\n[[run]]\nname = "a"\n' + PAIR + 'text = """\n[[run]]\nreduction = 1\n"""\n'
        '[[run]]\nname = "b"\n' + PAIR + 'reduction = "meen"\n[[run]]\nname = "c"\n' + PAIR + "axis = true\n"
        '[[run]]\nname = "c"\n' + PAIR + "drop_last = 1\n[[run]]\ntargets = 3\n[[run]]\nname = 'd'\n" + PAIR +
        "[[run]]\nname = 'd'\n" + PAIR + '[[run]]\npredictions = [3]\n[[run]]\npredictions = "-"\n'
    )  # fmt: skip
    ran = run("batch", "m.toml")
    assert (ran.code, ran.out) == (3, "")
    beginnings = [
        "Error: m.toml, line 2: 'metrcs' is no option of a run; did you mean 'metrics'?",
        "m.toml, line 8: 'text' is no option of a run",
        "m.toml, line 16: run 'b': unknown reduction 'meen'",
        "m.toml, line 21: run 'c': axis: True is not a number",
        "m.toml, line 26: run 'c': drop_last: 1 is neither true nor false",
        "m.toml, line 27: name the file of the predictions",
        "m.toml, line 34: the name 'd' is also that of line 29",
        "m.toml, line 38: predictions: 3 is not a path",
        "m.toml, line 40: predictions: a batch does not read standard input",
    ]
    lines = ran.err.splitlines()
    assert [line[: len(start)] for line, start in zip(lines, beginnings, strict=True)] == beginnings


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("m.toml", "", "the file is empty"),
        ("m.toml", "# nothing\n", "there is no run in it"),
        ("m.toml", "[defaults]\nmetrics = 'mae'\n", "there is no run in it"),
        ("m.toml", "[[run]]\nname = \n", "m.toml, line 2: Invalid value"),
        ("m.toml", "[[runs]]\nname = 'a'\n", "'runs' is neither 'defaults' nor 'run'; did you mean 'run'?"),
        ("m.toml", "[run]\nname = 'a'\n", "'run' is a list of tables: write [[run]] above each"),
        ("m.toml", "defaults = 3\n", "'defaults' is '3', not a table"),
        ("m.csv", "predictions,targets\n", "there is no run in it"),
        ("m.csv", "predictions,targets\na\n", "m.csv, line 2: 1 fields, the header has 2"),
        ("m.csv", "predictions,predictions\na,b\n", "the column 'predictions' is there 2 times"),
        ("m.csv", "predictions,l1\na/p.csv,x\n", "m.csv, line 2: l1: 'x' is not a number"),
        ("m.csv", "predictions,row_check\na/p.csv,maybe\n", "row_check: 'maybe' is neither true nor false"),
        ("m.jsonl", "{}\n[]\n{\n", "m.jsonl, line 2: '[]' is not an object\nm.jsonl, line 3: this is not JSON"),
        ("m.xml", "<runs/>", "the suffix '.xml' names no format of manifests"),
    ],
)
def test_what_is_no_manifest_is_refused(run: Run, folder: Path, name: str, content: str, told: str) -> None:
    (folder / name).write_text(content)
    ran = run("batch", name)
    assert (ran.code, ran.out) == (3, "")
    assert told in ran.err


def test_an_unreadable_manifest_has_exit_code_4(run: Run) -> None:
    assert run("batch", "none.toml").code == 4


# Runs that fail


def test_a_failing_run_does_not_stop_the_others(run: Run, folder: Path) -> None:
    runs = (f'name = "ok"\n{PAIR}', 'name = "short"\npredictions = "a/p.csv"\ntargets = "b/t.csv"')
    ran = run("batch", manifest(folder, *runs), "--format", "json")
    document = json.loads(ran.out)
    assert (ran.code, losses(ran.out), document["failed"]) == (3, {"ok": 2.5, "short": None}, 1)
    assert ran.err.startswith("Error: run 'short': the files have different numbers of rows: ")
    assert document["runs"][1]["error"].startswith("the files have different numbers of rows: ")
    # The totals are over the runs that could be scored.
    assert (document["loss"], document["macro"]["loss"], document["macro"]["left_out"]) == (2.5, 2.5, 1)


def test_the_worst_exit_code_wins(run: Run, folder: Path) -> None:
    missing, short = 'predictions = "none.csv"\n', 'predictions = "b/p.csv"\ntargets = "a/t.csv"\n'
    assert run("batch", manifest(folder, short, missing, PAIR)).code == 4
    assert run("batch", manifest(folder, short, PAIR)).code == 3


def test_tables_of_text_hold_the_error(run: Run, folder: Path) -> None:
    out = run("batch", manifest(folder, PAIR, 'predictions = "none.csv"'), "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["scope"], row["status"], row["loss"], row["error"]) for row in rows] == [
        ("run", "ok", "2.5", ""), ("run", "error", "", "none.csv: no such file"),
        ("pooled", "ok", "2.5", ""), ("macro", "ok", "2.5", ""),
    ]  # fmt: skip


def test_advice_is_spelled_as_in_a_manifest(run: Run, folder: Path) -> None:
    (folder / "a" / "p.csv").write_text("yhat\n2\nnan\n")
    ran = run("batch", manifest(folder, PAIR))
    assert "to leave them out, use nan_pred = 'omit'" in ran.err
    assert losses(run("batch", manifest(folder, f"{PAIR}nan_pred = 'omit'\n"), "--format", "json").out) == {
        "a/p.csv": 1.0
    }


def test_fail_fast_leaves_out_what_follows(run: Run, folder: Path) -> None:
    ran = run("batch", manifest(folder, 'predictions = "none.csv"', PAIR), "--fail-fast", "--format", "json")
    assert (ran.code, losses(ran.out)) == (4, {"none.csv": None, "a/p.csv": None})
    assert "not run, because an earlier run failed" in ran.out
    assert ran.err.count("Error") == 1


# Totals, order, threads


def test_runs_that_compute_different_things_have_no_totals(run: Run, folder: Path) -> None:
    name = manifest(folder, f'name = "m"\n{PAIR}', f'name = "s"\nreduction = "sum"\n{PAIR}')
    ran = run("batch", name)
    assert ran.out == "m\t2.5\ns\t5.0\n"
    assert "so there are no totals" in run("batch", name, "--format", "table").out


def test_metrics_that_need_every_value_have_means_only(run: Run) -> None:
    assert run("batch", "runs.toml", "-m", "medae").code == 0
    ran = run("batch", "*/p.csv", "{1}/t.csv", "-m", "medae")
    assert ran.out == "a\t2.5\t1.5\nb\t9.0\t3.0\nmacro\t5.75\t2.25\n"


@pytest.mark.parametrize(
    ("metric", "first"), [("loss", "a"), ("mae", "a"), ("bias", "a"), ("RMSE", "a"), ("explained_variance", "a")]
)
def test_runs_are_sorted_the_best_first(run: Run, metric: str, first: str) -> None:
    ran = run("batch", "runs.toml", "--sort", metric, "--format", "json")
    assert next(iter(losses(ran.out))) == first
    if metric == "loss":
        assert list(losses(run("batch", "runs.toml", "--sort", "loss", "--reverse", "--format", "json").out)) == [
            "b", "a",
        ]  # fmt: skip


def test_of_a_score_the_largest_is_best_and_failures_come_last(run: Run, folder: Path) -> None:
    (folder / "c.csv").write_text("id,p,q,t\n1,1,2,1\n2,2,2,2\n3,4,2,3\n")
    runs = [f'name = "{n}"\npredictions = "c.csv"\npred = "{n}"\ntarget = "t"' for n in ("q", "p", "none")]
    ran = run("batch", manifest(folder, *runs), "--sort", "r2", "--format", "json")
    # r2 of p: 1 - 1 / 2, of q: 1 - 2 / 2.
    assert list(losses(ran.out)) == ["p", "q", "none"]


def test_an_unknown_metric_to_sort_by_is_a_usage_error(run: Run) -> None:
    ran = run("batch", "runs.toml", "--sort", "rmsee")
    assert (ran.code, "did you mean 'rmse'?" in ran.err) == (2, True)


def test_the_sizes_of_files_named_by_urls_are_told(run: Run, folder: Path) -> None:
    pair = f'name = "a"\npredictions = "{(folder / "a/p.csv").as_uri()}"\ntargets = "{(folder / "a/t.csv").as_uri()}"\n'
    # "yhat", two numbers of one digit, "y" and two more, each with a line end.
    assert run("batch", manifest(folder, pair), "--dry-run").out == "a\t15\n"


def test_the_number_of_threads_changes_nothing(run: Run, folder: Path) -> None:
    rows = "\n".join(f"{number / 7},{number / 9}" for number in range(60_000))
    for name in ("x", "y", "z"):
        (folder / f"{name}.csv").write_text(f"yhat,y\n{rows}\n")
    (folder / "m.csv").write_text("predictions,targets\nx.csv,\na/p.csv,a/t.csv\ny.csv,\nb/p.csv,b/t.csv\nz.csv,\n")
    outs = {run("batch", "m.csv", "--jobs", jobs, "--format", "json").out for jobs in (1, 2, 3, 8)}
    assert len(outs) == 1
    assert len(losses(outs.pop())) == 5


def test_warnings_of_several_runs_are_told_once(run: Run, folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name / "p.csv").write_text("yhat\ninf\n4\n"[: None if name == "a" else -2])
    ran = run("batch", "runs.toml")
    assert (ran.code, ran.err.count("Warning")) == (0, 1)
    assert "infinite values, the first in row 1 (line 2) (2 in all)" in ran.err


# What would be scored


def test_a_dry_run_opens_headers_only(run: Run, folder: Path) -> None:
    (folder / "a" / "t.csv").write_text("y\n" + "1\n" * 200 + "this is no number\n")
    ran = run("batch", manifest(folder, PAIR, 'predictions = "none.csv"'), "--dry-run", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert ran.code == 4
    assert rows[0] == {
        "run": "a/p.csv", "predictions": "a/p.csv", "targets": "a/t.csv", "pred": "yhat", "target": "y",
        "bytes": str(9 + 420), "error": "",
    }  # fmt: skip
    assert (rows[1]["run"], rows[1]["error"]) == ("none.csv", "none.csv: no such file")


def test_a_dry_run_writes_no_journal(run: Run, folder: Path) -> None:
    assert run("batch", "runs.toml", "--dry-run", "--resume", "j.jsonl").code == 0
    assert not (folder / "j.jsonl").exists()


# Journals


def taken(run: Run, *options: str) -> int:
    ran = run("batch", "runs.toml", "--resume", "j.jsonl", "--format", "json", *options)
    assert ran.code == 0
    count: int = json.loads(ran.out)["taken"]
    return count


def test_unchanged_runs_are_taken_from_the_journal(run: Run, folder: Path) -> None:
    fresh = run("batch", "runs.toml", "--format", "json").out
    assert taken(run) == 0
    ran = run("batch", "runs.toml", "--resume", "j.jsonl", "--format", "json")
    assert ran.out == fresh.replace('"taken": 0', '"taken": 2')
    (folder / "b" / "p.csv").write_text("yhat\n5\n")
    assert taken(run) == 1
    assert taken(run) == 2
    # Other settings are other runs.
    assert taken(run, "-r", "sum") == 0


def test_a_line_that_was_cut_off_is_repeated(run: Run, folder: Path) -> None:
    assert taken(run) == 0
    journal = folder / "j.jsonl"
    journal.write_bytes(journal.read_bytes()[:-30])
    assert taken(run) == 1
    assert taken(run) == 2
    assert len(journal.read_bytes().splitlines()) == 3


def test_inputs_can_be_told_apart_by_what_they_hold(run: Run, folder: Path) -> None:
    assert taken(run, "--hash") == 0
    os.utime(folder / "a" / "p.csv", (1, 1))
    assert taken(run, "--hash") == 2
    (folder / "a" / "p.csv").write_text("yhat\n2\n5\n")
    assert taken(run, "--hash") == 1


def test_failed_runs_are_tried_again(run: Run, folder: Path) -> None:
    name = manifest(folder, 'name = "late"\npredictions = "late.csv"\ntargets = "a/t.csv"')
    assert run("batch", name, "--resume", "j.jsonl").code == 4
    (folder / "late.csv").write_text("yhat\n1\n2\n")
    assert losses(run("batch", name, "--resume", "j.jsonl", "--format", "json").out) == {"late": 0.0}


def test_groups_penalties_and_numbers_that_are_not_finite_come_back_as_they_were(run: Run, folder: Path) -> None:
    (folder / "d.csv").write_text("id,p,t,g\n1,2,1,x\n2,inf,2,\n3,nan,3,7\n")
    (folder / "w.csv").write_text("w\n1\n2\n")
    options = 'nan_pred = "omit"\nby = "g"\nmetrics = ["mae", "r2"]\nparams = ["w.csv"]\nl1 = 2.0\n'
    name = manifest(folder, f'predictions = "d.csv"\npred = "p"\ntarget = "t"\n{options}')
    first = run("batch", name, "--resume", "j.jsonl", "--format", "json")
    second = run("batch", name, "--resume", "j.jsonl", "--format", "json")
    assert (first.code, second.out) == (0, first.out.replace('"taken": 0', '"taken": 1'))


def test_another_file_is_no_journal(run: Run, folder: Path) -> None:
    (folder / "notes.txt").write_text("mine\n")
    ran = run("batch", "runs.toml", "--resume", "notes.txt")
    assert (ran.code, "this is no journal of a batch" in ran.err) == (3, True)
    assert (folder / "notes.txt").read_text() == "mine\n"
    assert run("batch", "runs.toml", "--resume", "a/p.csv").code == 2
    assert run("batch", "runs.toml", "--hash").code == 2


def test_gates_hold_for_every_run(run: Run) -> None:
    # The losses are (1 + 4) / 2 and 9, their roots 1.58… and 3; the absolute errors 1.5 and 3.
    ran = run("batch", "runs.toml", "--fail-if", "rmse > 2", "--fail-if", "loss > 10", "--format", "json")
    assert ran.code == 5
    assert ran.err.splitlines() == ["gate failed: rmse[run=b] 3.0 > 2"]
    a, b = json.loads(ran.out)["runs"]
    assert [[gate["passed"] for gate in each["gates"]] for each in (a, b)] == [[True, True], [False, True]]
    assert "rmse" not in a["metrics"]
    assert run("batch", "runs.toml", "--fail-if", "rmse > 3").code == 0


def test_intervals_of_all_runs_are_asked_for_on_the_command_line(run: Run) -> None:
    ran = run("batch", "runs.toml", "--ci", "0.95", "--worst", "1", "--format", "json")
    a, b = json.loads(ran.out)["runs"]
    # Of one element there is no interval.
    assert (a["interval"]["status"], b["interval"]["status"]) == ("ok", "too_few")
    assert [run["worst"][0]["loss"] for run in (a, b)] == [4.0, 9.0]


def test_a_manifest_has_gates_of_its_own(run: Run, folder: Path) -> None:
    name = manifest(folder, f'name = "strict"\nfail_if = "loss > 1"\n{PAIR}', f'name = "lax"\n{PAIR}')
    ran = run("batch", name)
    assert (ran.code, ran.err) == (5, "gate failed: loss[run=strict] 2.5 > 1\n")


def test_runs_with_gates_intervals_and_worst_elements_come_back_from_the_journal(run: Run, folder: Path) -> None:
    name = manifest(folder, f'name = "all"\nci = 0.9\nworst = 1\nfail_if = ["loss > 1", "mae < 9"]\n{PAIR}')
    first = run("batch", name, "--resume", "j.jsonl", "--format", "json")
    assert first.code == 5
    (folder / "a" / "p.csv").chmod(0o444)  # its time of change stays
    document = json.loads(run("batch", name, "--resume", "j.jsonl", "--format", "json").out)
    assert document["taken"] == 1
    assert document["runs"] == json.loads(first.out)["runs"]


def test_the_worst_elements_of_rows_paired_by_key_have_their_keys(run: Run, folder: Path) -> None:
    (folder / "p.csv").write_text("id,yhat\n7,1\n8,5\n")
    (folder / "t.csv").write_text("id,y\n8,1\n7,1\n")
    name = manifest(folder, 'name = "k"\npredictions = "p.csv"\ntargets = "t.csv"\non = "id"\nworst = 1')
    (only,) = json.loads(run("batch", name, "--format", "json").out)["runs"]
    assert [(each["row"], each["key"], each["error"]) for each in only["worst"]] == [(2, {"id": 8}, 4.0)]

"""`--save-state` and `msecli merge`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with two pairs of files: residuals 1 and 2, and 3; and a linear model."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p1.csv").write_text("yhat\n2\n4\n")
    (tmp_path / "t1.csv").write_text("y\n1\n2\n")
    (tmp_path / "p2.csv").write_text("yhat\n4\n")
    (tmp_path / "t2.csv").write_text("y\n1\n")
    (tmp_path / "coef.csv").write_text("2\n")
    return tmp_path


def save(run: Run, number: int, *options: str) -> None:
    assert run("compute", f"p{number}.csv", f"t{number}.csv", "--save-state", f"{number}.json", *options).code == 0


def test_saving_a_state_leaves_standard_output_as_it_is(run: Run, folder: Path) -> None:
    ran = run("compute", "p1.csv", "t1.csv", "--save-state", "s.json", "--format", "json")
    assert ran.out == run("compute", "p1.csv", "t1.csv", "--format", "json").out
    assert json.loads((folder / "s.json").read_text())["schema"] == "msecli-state/1"


def test_states_merge_to_the_result_of_all_inputs(run: Run) -> None:
    for number in (1, 2):
        save(run, number, "-m", "mae")
    # Squares 1, 4 and 9; residuals 1, 2 and 3.
    assert run("merge", "1.json", "2.json").out == f"loss\t{14 / 3!r}\nmae\t2.0\n"
    assert run("merge", "2.json", "1.json", "--format", "csv", "-o", "o.npy").out.split("\n")[1].startswith("4.666")


def test_merged_states_are_saved_and_merge_again(run: Run, folder: Path) -> None:
    for number in (1, 2):
        save(run, number)
    (folder / "p3.csv").write_text("yhat\n5\n")
    assert run("compute", "p3.csv", "t2.csv", "--save-state", "3.json").code == 0
    assert run("merge", "1.json", "2.json", "--save-state", "12.json").out == "4.666666666666667\n"
    # Squares 1, 4, 9 and 16.
    assert run("merge", "12.json", "3.json").out == "7.5\n"
    ran = run("merge", "12.json", "2.json")
    assert (ran.code, ran.err) == (3, "Error: p2.csv is in 12.json and in 2.json; each input counts once\n")


def test_a_table_names_the_first_file_of_each_side(run: Run) -> None:
    for number in (1, 2):
        save(run, number)
    title = run("merge", "1.json", "2.json", "--format", "table").out.splitlines()[0]
    assert title.split("  ")[:2] == ["yhat vs y", "p1.csv, … (2 files) vs t1.csv, … (2 files)"]


def test_a_linear_model_is_merged(run: Run) -> None:
    for number in (1, 2):
        options = ("--coef", "coef.csv", "--l2", "3", "--grad-norm", "--no-header", "coef")
        assert run("linear", f"p{number}.csv", f"t{number}.csv", *options, "--save-state", f"{number}.json").code == 0
    # Predictions 4, 8 and 8, residuals 3, 6 and 7; the gradient 2 / 3 * (3 * 2 + 6 * 4 + 7 * 4); the penalty 3 * 4.
    lines = dict(line.split("\t") for line in run("merge", "1.json", "2.json").out.splitlines())
    assert {name: float(text) for name, text in lines.items()} == {
        "loss": 94 / 3, "l2_penalty": 12.0, "objective": 94 / 3 + 12, "gradient_norm": 116 / 3,
    }  # fmt: skip


def test_an_existing_state_is_replaced_only_if_asked(run: Run) -> None:
    save(run, 1)
    ran = run("compute", "p1.csv", "t1.csv", "--save-state", "1.json")
    assert (ran.code, "the file exists" in ran.err) == (2, True)
    save(run, 1, "--overwrite")
    ran = run("merge", "1.json", "--save-state", "1.json", "--overwrite")
    assert (ran.code, "this is also the input 1.json" in ran.err) == (2, True)


def test_a_failed_run_leaves_no_state(run: Run, folder: Path) -> None:
    assert run("compute", "p1.csv", "t2.csv", "--save-state", "1.json").code == 3
    assert not (folder / "1.json").exists()
    assert run("compute", "p1.csv", "t1.csv", "-m", "medae", "--save-state", "1.json").code == 2


def test_other_settings_and_missing_states_have_their_exit_codes(run: Run) -> None:
    save(run, 1)
    save(run, 2, "-r", "sum")
    ran = run("merge", "1.json", "2.json")
    told = "Error: 2.json: a state of other settings than 1.json: reduction is 'sum', not 'mean'\n"
    assert (ran.code, ran.err) == (3, told)
    assert run("merge", "1.json", "none.json").code == 4
    assert run("merge", "1.json", "p1.csv").code == 3

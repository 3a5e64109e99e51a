"""Whether the first line of a text holds names is seen, or said, for each file by itself.

Expected losses are worked out by hand from residuals that are written beside them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import msecli
from msecli import DataError, Reading, UsageError

Run = Callable[..., Any]

SEEN = "the first line was read as data, because it holds only numbers, like the lines below it"


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(**files: str) -> None:
    for name, text in files.items():
        Path(f"{name}.csv").write_text(text)


@pytest.mark.usefixtures("folder")
def test_predictions_of_savetxt_go_with_a_target_of_pandas(run: Run) -> None:
    np.savetxt("p.txt", [1.5, 2.0, 4.0])
    pd.DataFrame({"id": [1, 2, 3], "y": [1.0, 2.0, 3.0]}).to_csv("t.csv", index=False)
    ran = run("compute", "p.txt", "t.csv", "-r", "sum")
    # 0.5² + 0² + 1²
    assert (ran.code, ran.out) == (0, "1.25\n")
    assert ran.err == f"Warning: p.txt: {SEEN}\n"
    assert msecli.score("p.txt", "t.csv", reduction="sum").loss == 1.25
    warning = json.loads(run("compute", "p.txt", "t.csv", "--format", "json").out)["warnings"][0]
    assert (warning["code"], warning["where"]) == ("no_header", "p.txt")


@pytest.mark.parametrize(
    ("first", "below", "data"),
    [
        ("1,2.5", ["3,4.5", "5,6.5"], True),
        ("1,2.5", ["3,", "NA,6.5"], True),
        ("-1,1e3", ["3,4.5", "+5,.5"], True),
        ("1,2", ["3,4.5"], False),  # an integer over a decimal
        ("1.0,2.5", ["3,4.5"], False),  # a decimal over an integer
        ("1,2", ["3,4", "5,6.0"], False),
        ("1,1", ["3,4"], False),  # a number twice
        ("0,1", ["3,4"], False),  # as pandas calls columns
        ("1,2", ["3,x"], False),  # text below
        ("1,2", ["3,4,5"], False),  # another width
        ("1,2", [",NA"], False),  # nothing to compare with
        ("1,nan", ["3,4.5"], False),
        ("1,2", [], False),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_first_line_of_numbers_is_data_if_the_others_look_the_same(
    first: str, below: list[str], *, data: bool, run: Run
) -> None:
    save(x="\n".join([first, *below]) + "\n")
    ran = run(
        "compute", "x.csv", "-p", "0", "-t", "1", "--nan-target", "omit", "--nan-pred", "omit", "--format", "json"
    )
    if data:
        assert json.loads(ran.out)["rows"]["prediction"] == 1 + len(below)
        assert SEEN in ran.err
    else:
        assert (ran.code, ran.out) == (3, "")
        assert "the first line holds only numbers" in ran.err
        assert "use --no-header if it is data, --header if these are names" in ran.err


@pytest.mark.usefixtures("folder")
def test_a_header_of_words_above_numbers_stays_one(run: Run) -> None:
    save(x="yhat,y\n1,2\n3,4\n")
    ran = run("compute", "x.csv")
    assert (ran.code, ran.out, ran.err) == (0, "1.0\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--no-header", "pred", "p.csv", "t.csv"),
        ("p.csv", "t.csv", "--no-header", "pred"),
        ("p.csv", "--no-header=pred", "t.csv"),
        ("p.csv", "t.csv", "--no-header", "PRED"),
        ("p.csv", "t.csv", "--no-header", "--header", "target"),
        ("--no-header", "p.csv", "t.csv", "--header", "target"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_one_file_is_said_to_have_no_header(arguments: tuple[str, ...], run: Run) -> None:
    # An integer over a decimal: nothing is seen. Residuals 1 and 0.5.
    save(p="1\n2.5\n", t="y\n2\n3\n")
    ran = run("compute", *arguments)
    assert (ran.code, ran.out, ran.err) == (0, "0.625\n", "")


@pytest.mark.parametrize("option", [("--no-header",), ("--no-header", "both"), ("--no-header", "pred,target")])
@pytest.mark.parametrize("files_first", [False, True])
@pytest.mark.usefixtures("folder")
def test_all_files_are_said_to_have_no_header(option: tuple[str, ...], run: Run, *, files_first: bool) -> None:
    save(p="1\n2.5\n", t="2\n3.5\n")
    files = ("p.csv", "t.csv")
    ran = run("compute", *((*files, *option) if files_first else (*option, *files)))
    assert (ran.code, ran.out, ran.err) == (0, "1.0\n", "")


@pytest.mark.usefixtures("folder")
def test_a_file_that_is_called_as_an_option_s_word_is_ambiguous(run: Run) -> None:
    Path("pred").write_text("1\n2.5\n")
    ran = run("compute", "--no-header", "pred", "pred")
    assert ran.code == 2
    assert "write --no-header=pred, or ./pred for the file" in ran.err
    assert run("compute", "--no-header=pred", "pred", "pred", "--no-header=target").code == 0
    assert run("compute", "--no-header", "./pred", "pred").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--no-header", "--header"), 2, "--header and --no-header contradict each other"),
        (("--no-header=first",), 2, "'first' is not one of pred, target, weight"),
        (("--no-header", "weight"), 2, "how to read 'weight' is set, but there is no such file"),
        (("--no-header", "target"), 3, "t.csv: the first line is 'y', above numbers; if these are names, use --"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("folder")
def test_headers_that_cannot_be_are_refused(arguments: tuple[str, ...], code: int, words: str, run: Run) -> None:
    save(p="yhat\n1\n2\n", t="y\n2\n3\n")
    ran = run("compute", "p.csv", "t.csv", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert words in ran.err


@pytest.mark.parametrize(
    ("value", "loss"), [("1", 1.0), ("true", 1.0), ("pred,target", 1.0), ("both", 1.0), ("0", None), ("target", None)]
)
@pytest.mark.usefixtures("folder")
def test_headers_are_said_in_the_environment(
    value: str, loss: float | None, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(p="1\n2.5\n", t="2\n3.5\n")
    monkeypatch.setenv("MSECLI_COMPUTE_NO_HEADER", value)
    ran = run("compute", "p.csv", "t.csv")
    assert (ran.code, ran.out) == ((3, "") if loss is None else (0, f"{loss}\n"))


@pytest.mark.usefixtures("folder")
def test_coefficients_and_weights_need_no_header(run: Run) -> None:
    save(x="a,b\n1,2\n3,4\n", y="y\n1\n2\n", c="0.5\n", w="1\n3\n", c2="0.5,0.25\n")
    # 0.5 a + 0.25 b is 1 and 2.5.
    ran = run(
        "linear", "x.csv", "y.csv", "--coef", "c2.csv", "--no-header", "coef", "--weight-file", "w.csv", "-r", "sum"
    )
    assert (ran.code, ran.out) == (0, "0.75\n")
    assert ran.err == f"Warning: w.csv: {SEEN}\n"
    save(c="0.5\n0.25\n", x="a\n2\n4\n")
    ran = run("compute", "x.csv", "y.csv", "--params", "c.csv", "--l1", "1", "-r", "sum")
    # 1² + 2², and 0.75 for the parameters.
    assert ran.out == "loss\t5.0\nl1_penalty\t0.75\nobjective\t5.75\n"
    assert f"c.csv: {SEEN}" in ran.err
    ran = run("linear", "x.csv", "y.csv", "--coef", "c2.csv")
    assert (ran.code, ran.out) == (3, "")
    assert "use --no-header coef if it is data" in ran.err


@pytest.mark.parametrize("arguments", [("cut.csv", "t.csv"), ("cut.csv",), ("t.csv", "cut.csv")])
@pytest.mark.usefixtures("folder")
def test_a_header_that_was_cut_off_is_told_and_no_column_is_advised(arguments: tuple[str, ...], run: Run) -> None:
    save(cut="17,0.5,north\n18,0.75,south\n19,1.5,north\n", t="id,y\n17,0.5\n18,1.0\n19,1.5\n")
    ran = run("compute", *arguments)
    assert (ran.code, ran.out) == (3, "")
    word = {0: " pred", 1: " target"}[arguments.index("cut.csv")] if len(arguments) > 1 else ""
    assert "cut.csv: the column names '17' and '0.5' are numbers like those below" in ran.err
    assert f"use --no-header{word} if the first line is data, --header{word} if it holds names" in ran.err
    ran = run("compute", *arguments, "--no-header", *word.split())
    assert ran.code == 3
    assert "'0' (number such as 17), '1' (number such as 0.5), '2' (text such as 'north')" in ran.err
    assert "-p 0" not in ran.err


@pytest.mark.usefixtures("folder")
def test_a_single_column_of_a_cut_file_loses_no_row(run: Run) -> None:
    # The names are 'north' and '0.5': with the latter scored, the first row would be lost.
    save(cut="north,0.5\nsouth,0.75\nnorth,1.5\n", t="y\n1.0\n1.5\n")
    ran = run("compute", "cut.csv", "t.csv")
    assert (ran.code, ran.out) == (3, "")
    assert "the column name '0.5' is a number like those below" in ran.err


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.usefixtures("folder")
def test_columns_that_pandas_counts_have_names(run: Run, *, index: bool) -> None:
    pd.DataFrame([[1, 2], [3, 5]]).to_csv("p.csv", index=index)
    np.save("t.npy", [[1.0, 2.0], [3.0, 3.0]])
    ran = run("compute", "p.csv", "t.npy", *(() if index else ("--header",)))
    assert (ran.code, ran.out) == (0, "1.0\n")
    save(t="y\n1\n3\n")
    found = run("compute", "p.csv", "t.csv", *(() if index else ("--header", "pred")))
    assert "cannot tell which columns to score" in found.err
    assert "--no-header" not in found.err


@pytest.mark.usefixtures("folder")
def test_years_are_names_where_they_are_named_or_in_both_files(run: Run) -> None:
    save(p="n,2020,2021\na,1,2\nb,3,5\n", t="n,2020,2021\na,1,3\nb,2,5\n")
    assert run("compute", "p.csv", "-p", "2020", "-t", "2021").out == "2.5\n"
    # 0, 1, 1, 0
    assert run("compute", "p.csv", "t.csv").out == "0.5\n"
    assert run("norm", "p.csv").code == 3
    # 1 + 4 + 9 + 25
    assert run("norm", "p.csv", "--header", "--ord", "1").out == "11.0\n"


@pytest.mark.usefixtures("folder")
def test_in_python_each_file_has_a_reading(folder: Path) -> None:
    save(p="1\n2.5\n", t="y;z\n2;1\n3;1\n")
    target = Reading(delimiter=";")
    result = msecli.score("p.csv", "t.csv", reading={"pred": Reading(header=False), "target": target}, target="y")
    assert (result.loss, result.warnings) == (0.625, ())
    with pytest.raises(DataError, match=r"use reading=\{'pred': Reading\(header=False\)\} if it is data"):
        msecli.score("p.csv", "t.csv", reading={"target": target}, target="y")
    with pytest.raises(DataError, match=r"use reading=\{'target': Reading\(delimiter=';'\)\}"):
        msecli.score("p.csv", "t.csv", reading={"pred": Reading(header=False)})
    for wrong in ({"first": target}, {"weight": target}, {"pred": ";"}, ";"):
        with pytest.raises(UsageError):
            msecli.score("p.csv", "t.csv", reading=wrong)  # type: ignore[arg-type]

"""Numbers with marks between thousands, and truth values.

Expected losses are those of the numbers written beside them, by hand, or of `fractions.Fraction`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import msecli
from msecli import DataError, Reading
from tests.fuzz.sizes import reading_in

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def save(text: str) -> None:
    Path("x.csv").write_text(text)


def numbers(fields: list[str], reading: Reading) -> list[float]:
    """Return what fields are read as, without their signs: the roots of the losses against 0."""
    save("yhat|y\n" + "".join(f"{field}|0\n" for field in fields))
    losses = msecli.score("x.csv", reading=reading._replace(delimiter="|"), reduction="none").to_dict()["values"]
    return [float(loss) ** 0.5 for loss in losses]


@pytest.mark.parametrize(
    ("thousands", "decimal", "fields"),
    [
        (",", ".", ["1,896.25", "12,345,678", "-1,000", " +999 ", "1234567.5", ".5", "0.125", "1,000e3", "1,000."]),
        (".", ",", ["1.896,25", "12.345.678", "-1.000", "+999", "1234567,5", ",5", "0,125", "1.000e3", "1.000,"]),
        (" ", ".",
         ["1 896.25", "12 345\u00a0678", "-1\u202f000", "+999", "1234567.5", ".5", "0.125", "1\u2009000e3", "1 000."]),
        ("\u00a0", ".",
         ["1 896.25", "12 345\u00a0678", "-1\u202f000", "+999", "1234567.5", ".5", "0.125", "1 000e3", "1 000."]),
        ("'", ".", ["1'896.25", "12'345\u2019678", "-1'000", "+999", "1234567.5", ".5", "0.125", "1'000e3", "1'000."]),
        ("_", ".", ["1_896.25", "12_345_678", "-1_000", "+999", "1234567.5", ".5", "0.125", "1_000e3", "1_000."]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("part", [7, 2 << 20])
def test_marks_between_thousands_are_left_out(thousands: str, decimal: str, fields: list[str], part: int) -> None:
    expected = [1896.25, 12345678.0, 1000.0, 999.0, 1234567.5, 0.5, 0.125, 1e6, 1000.0]
    with reading_in({"part": part}):
        assert numbers(fields, Reading(thousands=thousands, decimal=decimal)) == expected


@pytest.mark.parametrize(
    "field",
    ["1,23", "1,2345", "12,34,567", ",123", "1,,000", "0,123", "1234,567", "1,000,00", "1.000,5", "1,000.5.5",
     "--1,000", "1,000x", "1,000\n", "\uff11,000", "1,0\u0660\u0660", "nan(ind)", "0x1F", "1 000"],
)  # fmt: skip
def test_groups_of_other_than_three_digits_are_refused(field: str, run: Run) -> None:
    save(f'yhat,y\n"1,000",1\n"{field}",2\n"2,000",1\n')
    ran = run("compute", "x.csv", "--thousands", ",")
    assert (ran.code, ran.out) == (3, "")
    assert "x.csv, line 3: column 'yhat'" in ran.err
    assert "is not a number" in ran.err


def test_a_point_or_comma_that_is_not_between_thousands_is_told_from_one_that_is(run: Run) -> None:
    save('yhat,y\n"1,000",1\n"1,23",2\n')
    ran = run("compute", "x.csv", "--thousands", ",")
    assert "'1,23' is not a number; ',' has three digits behind it where it stands between thousands" in ran.err


@pytest.mark.parametrize(
    ("field", "advice"),
    [
        ("1.896,04", "to read it as 1896.04, use --thousands . --decimal ,"),
        ("1.896.000", "to read it as 1896000, use --thousands . --decimal ,"),
        ("1,896.04", "to read it as 1896.04, use --thousands ,"),
        ("1'896", "to read it as 1896, use --thousands ''\"'\"''"),
        ("1 896", "to read it as 1896, use --thousands ' '"),
        ("1,5", "to read it as 1.5, use --decimal ,"),
        ("1,896", "to read it as 1.896, use --decimal ,; as 1896, use --thousands ,"),
    ],
)
def test_a_number_in_another_notation_is_told_how_to_read_it(field: str, advice: str, run: Run) -> None:
    # Enough plain numbers that this is the notation of the file.
    save(f"yhat;y\n1;1\n2;2\n{field};3\n")
    ran = run("compute", "x.csv", "--delimiter", ";")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == f"Error: x.csv, line 4: column 'yhat': {field!r} is not a number; {advice}\n".replace(
        '"1\'896"', '"1\'896"'
    )
    assert "--na-values" not in ran.err


def test_missing_words_and_infinities_go_with_marks(run: Run) -> None:
    save('yhat,y\n"1,000",1000\nNA,1\n,1\ninf,inf\n-nan,3\n"2,000",2001\n')
    ran = run("compute", "x.csv", "--thousands", ",", "--nan-pred", "omit", "--format", "json", "--nan-target", "omit")
    document = json.loads(ran.out)
    assert document["elements"]["nan_prediction"] == 3
    assert document["status"] == "nan"  # inf - inf
    save('yhat,y\n"1,000",1000\nNA,1\n"2,000",2001\n')
    assert run("compute", "x.csv", "--thousands", ",", "--nan-pred", "omit").out == "0.5\n"


def test_what_float64_cannot_hold_is_counted_with_marks_too(run: Run) -> None:
    save('yhat,y\n"9,007,199,254,740,993",9007199254740992\n"1,000e400",inf\n')
    ran = run("compute", "x.csv", "--thousands", ",", "--nan-target", "omit")
    assert "integers beyond 2**53 were rounded to the nearest float64" in ran.err
    assert "numbers too large for float64 were read as infinite" in ran.err


def test_long_files_with_marks_are_read_in_parts(run: Run) -> None:
    count = 150_000
    save("yhat;y\n" + "".join(f"{number:,};{number + number % 3}\n".replace(",", ".") for number in range(count)))
    expected = float(Fraction(sum((number % 3) ** 2 for number in range(count)), count))
    ran = run("compute", "x.csv", "--delimiter", ";", "--thousands", ".", "--decimal", ",")
    assert (ran.code, ran.out, ran.err) == (0, f"{expected!r}\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--thousands", "."), "--decimal and --thousands cannot both be '.'"),
        (("--decimal", ",", "--delimiter", ";", "--thousands", ","), "cannot both be ','"),
        (("--thousands", ",,"), "--thousands must be one mark"),
        (("--thousands", "0"), "--thousands must be one mark"),
    ],
)
def test_impossible_marks_are_usage_errors(arguments: tuple[str, ...], words: str, run: Run) -> None:
    save("yhat;y\n1;2\n")
    ran = run("compute", "x.csv", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err


# Truth values


@pytest.mark.parametrize(("true", "false"), [("True", "False"), ("true", "false"), ("TRUE", "FALSE")])
@pytest.mark.parametrize("rows", [1, 70_000])
def test_truth_values_are_one_and_zero(true: str, false: str, rows: int, run: Run) -> None:
    save("prob,y\n" + f"0.75,{true}\n0.5,{false}\n,{true}\n0.25, {false}\n0.5,\n" * rows)
    # The Brier score: 0.0625, 0.25 and 0.0625, so 0.125.
    ran = run(
        "compute", "x.csv", "-p", "prob", "-t", "y", "--nan-pred", "omit", "--nan-target", "omit", "--format", "json"
    )
    document = json.loads(ran.out)
    assert (document["loss"], document["elements"]["used"]) == (0.125, 3 * rows)
    assert document["elements"]["nan_target"] == rows


def test_truth_values_of_pandas_are_found_and_equal_those_of_parquet(run: Run) -> None:
    frame = pd.DataFrame({"yhat": [0.9, 0.2, 0.4], "y": [True, False, True], "n": ["a", "b", "c"]})
    frame.to_csv("x.csv", index=False)
    frame.to_parquet("x.parquet")
    assert run("compute", "x.csv").out == run("compute", "x.parquet").out == f"{msecli.score(frame).loss!r}\n"


def test_truth_values_as_labels_are_text(run: Run) -> None:
    save("yhat,y,late\n1,2,True\n1,1,False\n1,4,True\n")
    assert run("compute", "x.csv", "--by", "late").out.splitlines()[:2] == ["False\t0.0", "True\t5.0"]


@pytest.mark.parametrize("other", ["true", "FALSE", "1", "0", "0.5", "yes", "T", "inf"])
@pytest.mark.parametrize("rows", [200, 300_000])
def test_a_column_of_truth_values_holds_nothing_else(other: str, rows: int, run: Run) -> None:
    save("yhat,y\n" + "1,True\n" * rows + f"1,{other}\n1,True\n")
    ran = run("compute", "x.csv")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == (
        f"Error: x.csv, line {rows + 2}: column 'y': '{other}' is neither True nor False, as the fields above it are\n"
    )


def test_a_truth_value_among_numbers_is_none() -> None:
    save("yhat,y\n1,1\n0,0\n1,True\n")
    with pytest.raises(DataError, match=r"line 4: column 'y': 'True' is not a number; a truth value: write 1 and 0"):
        msecli.score("x.csv")


def test_a_word_said_to_be_missing_may_stand_among_truth_values(run: Run) -> None:
    save("yhat,y\n1,True\n0,?\n0,False\n")
    ran = run("compute", "x.csv", "--na-values", "?", "--nan-target", "omit")
    assert (ran.code, ran.out) == (0, "0.0\n")


def test_a_missing_word_of_spreadsheets_is_never_taken_for_a_comment(run: Run) -> None:
    save("yhat,y\n#N/A,1\n2,#N/A\n3,4\n")
    ran = run("compute", "x.csv")
    assert ran.code == 3
    assert "--comment" not in ran.err
    assert run("compute", "x.csv", "--nan-pred", "omit", "--nan-target", "omit").out == "1.0\n"
    save("yhat\n#N/A\n#N/A\n3\n")
    assert run("compute", "x.csv", "x.csv", "--nan-pred", "omit", "--nan-target", "omit").out == "0.0\n"

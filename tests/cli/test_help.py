"""The help in its two lengths, and what is said of options that are misspelt or set in the environment."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from msecli.cli.grouped import GROUPS, GroupedOption
from msecli.cli.main import cli

Run = Callable[..., Any]

COMMANDS = sorted(cli.commands)
SCORING = [name for name in COMMANDS if name != "completion"]
FEW_OPTIONS = ("diff", "selftest")
"""Commands that score nothing, so they have the options of outputs alone."""


@pytest.fixture(autouse=True)
def screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with one table, on a terminal of the usual width."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "x.csv").write_text("yhat,y\n1,2\n3,4\n")
    return tmp_path


def visible_options(command: click.Command) -> list[click.Option]:
    return [each for each in command.params if isinstance(each, click.Option) and not each.hidden]


@pytest.mark.parametrize("words", [(), *((name,) for name in COMMANDS)], ids=" ".join)
def test_the_short_help_fits_on_a_screen(run: Run, words: tuple[str, ...]) -> None:
    ran = run(*words, "-h")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert ran.out.startswith("Usage: msecli")
    assert "..." not in re.sub(r"^Usage: .*", "", ran.out)
    assert "Example" in ran.out


@pytest.mark.parametrize("name", SCORING)
def test_the_short_help_has_some_options_and_names_the_long_one(run: Run, name: str) -> None:
    ran = run(name, "-h")
    shown = [each for each in visible_options(cli.commands[name]) if f"{each.opts[-1]} " in ran.out]
    assert (2 if name in FEW_OPTIONS else 3) <= len(shown) <= 15
    assert f"msecli {name} --help" in ran.out


@pytest.mark.parametrize("name", COMMANDS)
def test_the_long_help_has_every_option_in_the_order_of_the_groups(run: Run, name: str) -> None:
    ran = run(name, "--help")
    assert (ran.code, ran.err) == (0, "")
    for option in visible_options(cli.commands[name]):
        assert option.opts[-1] in ran.out
    titles = [line.removesuffix(":") for line in ran.out.splitlines() if line.removesuffix(":") in GROUPS]
    assert titles == sorted(set(titles), key=GROUPS.index)
    assert titles[-1] == "Help"


def test_the_long_help_begins_with_what_most_people_need(run: Run) -> None:
    text = run("compute", "--help").out
    places = [
        text.index(f"  {name}") for name in ("-p, --pred", "--on", "-r, --reduction", "--grad ", "-o,", "--decimal")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_a_group_and_has_help(name: str) -> None:
    for option in visible_options(cli.commands[name]):
        if "--help" not in option.opts:
            assert isinstance(option, GroupedOption)
            assert option.group in GROUPS
        assert option.help


def test_without_anything_the_commands_are_listed_and_nothing_is_called_an_error(run: Run) -> None:
    ran = run()
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == run("--help").out
    assert "Error" not in ran.err


def test_the_commands_have_whole_summaries_and_an_example(run: Run) -> None:
    for name in COMMANDS:
        summary = cli.commands[name].short_help
        assert summary is not None
        assert f"{name:<11} {summary}\n" in run("--help").out
    assert re.search(r"Example: msecli compute ", run("--help").out)
    assert re.search(r"man msecli.*README", run("--help").out)


@pytest.mark.parametrize("name", [name for name in SCORING if name != "selftest"])
def test_without_arguments_a_command_shows_its_usage(run: Run, name: str) -> None:
    ran = run(name)
    lines = [line for line in ran.err.splitlines() if line]
    assert (ran.code, ran.out, len(lines)) == (2, "", 3)
    assert lines[0].startswith(f"Usage: msecli {name} [OPTIONS] ")
    assert lines[2].startswith("Error: Missing argument ")


# The values of choices.


@pytest.mark.parametrize(
    "options",
    [
        ("-r", "Sum"),
        ("-m", "RMSE,Lp:3"),
        ("--format", "JSON"),
        ("--unmatched", "ERROR"),
        ("--nan-target", "Omit"),
        ("--nan-policy", "OMIT"),
        ("--nan-pred", "OMIT"),
        ("--input-format", "CSV"),
    ],
    ids=" ".join,
)
def test_words_are_taken_in_any_case(run: Run, options: tuple[str, str]) -> None:
    name, value = options
    ran = run("compute", "x.csv", name, value)
    assert (ran.code, ran.err) == (0, "")
    assert ran == run("compute", "x.csv", name, value.lower())


def test_names_of_columns_are_not_taken_in_any_case(run: Run, screen: Path) -> None:
    (screen / "two.csv").write_text("a,A,y\n1,2,1\n1,2,1\n")
    assert run("compute", "two.csv", "-p", "A", "-t", "y").out == "1.0\n"
    assert run("compute", "two.csv", "-p", "a", "-t", "y").out == "0.0\n"


# Suggestions.


@pytest.mark.parametrize(
    ("typed", "suggested"),
    [
        ("--reductoin", "--reduction"),
        ("--weigth", "--weight"),
        ("--precison", "--precision"),
        ("--nan-polcy", "--nan-policy"),
        ("--targt", "--target"),
    ],
)
def test_a_slip_of_the_hand_is_corrected(run: Run, typed: str, suggested: str) -> None:
    ran = run("compute", "x.csv", typed, "1")
    assert (ran.code, ran.out) == (2, "")
    assert f"No such option '{typed}'. Did you mean '{suggested}'?" in ran.err


@pytest.mark.parametrize("typed", ["--max-loss", "--best", "--reduc", "--size-averag", "--l3x", "--no-reduc", "-z"])
def test_what_is_not_similar_is_not_suggested_and_neither_is_a_hidden_option(run: Run, typed: str) -> None:
    ran = run("compute", "x.csv", typed, "1")
    assert (ran.code, ran.out) == (2, "")
    assert typed in ran.err
    assert "mean" not in ran.err


def test_a_misspelt_command_is_corrected(run: Run) -> None:
    ran = run("comptue", "x.csv")
    assert (ran.code, ran.out) == (2, "")
    assert "No such command 'comptue'. Did you mean 'compute'?" in ran.err
    ran = run("train")
    assert ran.code == 2
    assert "mean" not in ran.err


# Options from the environment.


def test_a_bad_value_from_the_environment_names_the_variable(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSECLI_COMPUTE_REDUCTION", "bogus")
    monkeypatch.setenv("MSECLI_COMPUTE_NAN_PRED", "omit")
    ran = run("compute", "x.csv")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.endswith("\nset in the environment: MSECLI_COMPUTE_REDUCTION=bogus\n")
    assert run("compute", "x.csv", "-r", "sum").out == "2.0\n"


def test_an_error_of_the_run_names_all_options_from_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSECLI_COMPUTE_PRED", "nothing")
    monkeypatch.setenv("MSECLI_COMPUTE_TARGET", "y")
    ran = run("compute", "x.csv")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.endswith(
        "\nset in the environment: MSECLI_COMPUTE_PRED=nothing\nset in the environment: MSECLI_COMPUTE_TARGET=y\n"
    )


def test_an_error_that_has_nothing_to_do_with_options_names_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSECLI_COMPUTE_REDUCTION", "sum")
    assert "environment" not in run("compute", "missing.csv").err
    assert "environment" not in run("compute", "x.csv", "-p", "nothing", "-r", "mean").err


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("MSECLI_COMPUTE_REDUCTOIN", "; did you mean MSECLI_COMPUTE_REDUCTION?"),
        ("MSECLI_COMPUTE_ZEBRA", ""),
        ("MSECLI_COMPUTE_REDUC", ""),
    ],
)
def test_a_misspelt_variable_is_a_warning(run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, hint: str) -> None:
    monkeypatch.setenv(variable, "sum")
    ran = run("compute", "x.csv")
    assert (ran.code, ran.out) == (0, "1.0\n")
    assert ran.err == f"Warning: {variable} is set, but compute has no such option{hint}\n"


@pytest.mark.parametrize(
    "variable", ["MSECLI_COMPUTE_REDUCE", "MSECLI_LINEAR_ZEBRA", "MSECLI_COMPUTER", "OTHER_COMPUTE_X"]
)
def test_other_variables_are_no_warning(run: Run, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    assert "has no such option" not in run("compute", "x.csv").err


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("MSECLI_COMPTE_REDUCTION", "; did you mean MSECLI_COMPUTE_REDUCTION?"),
        ("MSECLI_GRADCHEK_SAMPLES", "; did you mean MSECLI_GRADCHECK_SAMPLES?"),
        ("MSECLI_ZEBRA", "; options are set as MSECLI_COMMAND_OPTION"),
    ],
)
def test_a_variable_of_no_command_is_a_warning(
    run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, hint: str
) -> None:
    monkeypatch.setenv(variable, "sum")
    ran = run("compute", "x.csv")
    assert (ran.code, ran.out) == (0, "1.0\n")
    assert ran.err == f"Warning: {variable} is set, but no command has such an option{hint}\n"


def test_a_version_in_the_environment_is_no_request_for_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSECLI_VERSION", "0.2.0")
    assert run("compute", "x.csv").out == "1.0\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-r", "summ"), "did you mean 'sum'?"),
        (("--format", "jsn"), "did you mean 'json'?"),
        (("--nan-pred", "omitt"), "did you mean 'omit'?"),
        (("--unmatched", "skp"), "did you mean 'skip'?"),
        (("-m", "rmsee"), "did you mean 'rmse'?"),
        (("-p", "yhatt"), "did you mean 'yhat'?"),
        (("-w", "yhatt"), "did you mean 'yhat'?"),
        (("--by", "yhatt"), "did you mean 'yhat'?"),
        (("--input-format", "parket"), "did you mean 'parquet'?"),
        (("-o", "result.jsn"), "did you mean '.json'?"),
    ],
)
def test_a_slip_in_a_value_names_the_value_that_was_meant(run: Run, arguments: tuple[str, ...], expected: str) -> None:
    ran = run("compute", "x.csv", *arguments)
    assert ran.code in (2, 3)
    assert f"; {expected}" in ran.err


@pytest.mark.parametrize("arguments", [("-r", "variance"), ("--format", "xml"), ("-m", "zebra"), ("-p", "sales")])
def test_another_value_suggests_nothing(run: Run, arguments: tuple[str, ...]) -> None:
    assert "did you mean" not in run("compute", "x.csv", *arguments).err


@pytest.mark.parametrize("variable", ["MSECLI_COMPUTE_NAN_TARGET", "MSECLI_COMPUTE_NAN_POLICY"])
def test_either_name_of_an_option_may_be_in_the_environment(
    run: Run, screen: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    (screen / "m.csv").write_text("yhat,y\n1,2\n3,\n")
    monkeypatch.setenv(variable, "omit")
    ran = run("compute", "m.csv")
    assert (ran.code, ran.out, ran.err) == (0, "1.0\n", "")
    monkeypatch.setenv(variable, "bogus")
    assert f"\nset in the environment: {variable}=bogus\n" in run("compute", "m.csv").err


def test_a_flag_may_be_in_the_environment(run: Run, screen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (screen / "o.txt").write_text("old")
    monkeypatch.setenv("MSECLI_COMPUTE_OVERWRITE", "1")
    assert run("compute", "x.csv", "-o", "o.txt").code == 0
    monkeypatch.setenv("MSECLI_COMPUTE_OVERWRITE", "0")
    assert run("compute", "x.csv", "-o", "o.txt").code == 2


def test_files_in_the_environment_may_have_blanks(run: Run, screen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSECLI_COMPUTE_OUTPUT", "my result.json:csv=other result")
    ran = run("compute", "x.csv")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert {path.name for path in screen.iterdir()} == {"x.csv", "my result.json", "other result"}

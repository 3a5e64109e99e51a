"""The options that say how text files are written, for all of them or for some, and their translation for the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click
from click.types import StringParamType

from msecli.cli.grouped import ALONE, GroupedOption
from msecli.errors import BOTH, FILES, UsageError, not_one_of
from msecli.formats import FORMATS
from msecli.text.reading import TAKEN, Readings, by_file, files_named

if TYPE_CHECKING:
    from click.decorators import FC
    from click.shell_completion import CompletionItem

WORDS = (*FILES, BOTH)
"""What files are called on the command line."""

YES, NO = ("1", "true", "yes", "on", ALONE), ("0", "false", "no", "off")
"""What the environment may say of an option that stands alone."""


class FileValue(StringParamType):
    """A value for all files, or as FILE=VALUE for one."""

    name = "value"

    def split_envvar_value(self, rv: str) -> list[str]:
        """Return what a variable says as one value: a delimiter may be a blank."""
        return [rv]


class FileWords(StringParamType):
    """What some files are called, separated by commas."""

    name = "files"

    def split_envvar_value(self, rv: str) -> list[str]:
        """Return what a variable says as one value."""
        return [rv]

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the words in lower case, or `ALONE`."""
        word = value.lower()
        if word in YES + NO:
            return ALONE if word in YES else ""
        if not are_words(word):
            self.fail(not_one_of(value, WORDS), param, ctx)
        return word

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        """Return the words, and leave the names of files to the shell."""
        from click.shell_completion import CompletionItem

        from msecli.cli.completion import files

        return [*(CompletionItem(word) for word in WORDS if word.startswith(incomplete)), *files(incomplete)]


def are_words(text: str) -> bool:
    """Tell whether a text is what some files are called, separated by commas."""
    return all(word in WORDS for word in text.lower().split(","))


def _by_file(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Return the values by the words of the files; those for all files have the word ""."""
    return by_file(parameter.name or "", values)


def _files(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words of the files; "" stands for all."""
    words = [word for value in values if value for word in value.split(",")]
    return tuple(each for word in words for each in (files_named(word) if word != ALONE else ("",)))


def _option(name: str, metavar: str, help: str, **settings: Any) -> Callable[[FC], FC]:
    given = {"type": FileValue(), "callback": _by_file, **settings}
    return click.option(name, cls=GroupedOption, group="Reading", metavar=metavar, multiple=True, help=help, **given)


READING = (
    _option(
        "--input-format",
        "[INPUT=]FORMAT",
        f"Format of the input files, if their content and suffix mislead: {', '.join(FORMATS)}. INPUT= is for one of "
        f"them, here and below: {', '.join(WORDS)}.",
    ),
    _option("--delimiter", "[INPUT=]CHAR", "Column delimiter of text files. [default: , or tab for TSV]"),
    _option(
        "--no-header",
        "[INPUTS]",
        "Text files do not begin with the column names: all of them, or those named, separated by commas. Their "
        "columns are named 0, 1, … [default: if the first line holds only numbers, like those below it]",
        type=FileWords(),
        callback=_files,
        words=are_words,
    ),
    _option(
        "--header",
        "[INPUTS]",
        "Text files do begin with the column names, even if these are numbers.",
        type=FileWords(),
        callback=_files,
        words=are_words,
    ),
    _option("--decimal", "[INPUT=]CHAR", "Decimal mark of text files. [default: .]"),
    _option(
        "--thousands",
        "[INPUT=]CHAR",
        "Mark between groups of three digits in text files: , . ' or a blank, which stands for all kinds of blanks.",
    ),
    _option(
        "--na-values",
        "[INPUT=]WORDS",
        "More missing words in text files, besides NA, N/A, n/a, #N/A, NaN, NaT, null, None, <NA> and empty fields.",
    ),
    _option("--encoding", "[INPUT=]NAME", "Encoding of text files. [default: utf-8]"),
    _option("--comment", "[INPUT=]CHAR", "Skip lines of text files that begin with CHAR."),
)


def readings_from(values: Mapping[str, Any]) -> Readings:
    """Return how to read each file from the values of the reading options.

    Raises
    ------
    UsageError
        If a file has a header, and has none.
    """
    headers = dict.fromkeys(values["no_header"], False) | dict.fromkeys(values["header"], True)
    if len(headers) < len({*values["no_header"]}) + len({*values["header"]}):
        raise UsageError("--header and --no-header contradict each other")
    return Readings.of_settings({name: values[name] for name in TAKEN} | {"header": headers})

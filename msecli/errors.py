"""The errors that msecli raises, each with its exit code, and its warnings.

`DataError` and `UsageError` are also `ValueError`s, and `ReadWriteError` is also an `OSError`, so Python callers
can catch them by the built-in name they expect.

A message names a setting in backticks, as "use `nan_pred=omit`". Python callers read "use nan_pred='omit'"; the
command line reads "use --nan-pred omit". "`+on=id`" becomes "use on='id'", and on the command line "run:" with the
whole command and the option. "`decimal=pred=,`" is the decimal mark of the predictions alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Self

from msecli.tuples import NamedTuple

EXIT_BUG = 1
EXIT_USAGE = 2
EXIT_DATA = 3
EXIT_READ_WRITE = 4
EXIT_GATE = 5
EXIT_INTERRUPTED = 130
EXIT_CLOSED_PIPE = 141


SHOWN = 40
"""Characters of a field, a name or a line that an error shows."""


UNSEEN = "[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]"
"""Control characters, line ends, bidirectional controls, and bytes of file names that are not UTF-8.

Like the patterns below it is compiled when it is first used, which is in few runs.
"""

USER = r"(?<!abfs)(?<!abfss)(://)([^/\s'\"]*|[^/\s'\"]*(?<!:):(?![:\d/])[^\s'\"]*)@"
"""The user and the password in a URL; in those of Azure a container."""

QUERY = r"(?i)(\bhttps?://[^\s?'\"]*)\?[^\s'\"]*?(?=:?(?:[\s'\"]|$))"
"""What follows the question mark of a link, which may be a signature; in other URLs the mark is a wild character."""

ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}

SETTING = r"(?<!['\"])`(\+?)(\w+)(?:=([^`]*))?`(?!['\"])"
"""A setting in backticks; in quotes they are those of a name in the data."""

SETTINGS = rf"{SETTING}(?: {SETTING})*"
"""One setting, or several that follow each other."""

SIMILAR = 0.75
"""The ratio of `difflib` from which on a name is suggested for another: a slip of the hand, not another word."""


class MsecliError(Exception):
    """Base of every error that msecli raises on purpose."""

    exit_code = EXIT_BUG
    source: int | None = None
    """The number of the source whose rows could not be read, where several are read side by side."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(redacted(each) if isinstance(each, str) else each for each in arguments))

    def __str__(self) -> str:
        return self.worded(parameters)

    def worded(
        self,
        spell: Callable[[Sequence[Setting]], str],
        add: Callable[[str], str] = "use {}".format,
    ) -> str:
        """Return the message with settings in words.

        Parameters
        ----------
        spell : callable
            Spells settings that follow each other.
        add : callable
            Makes advice of settings that are to be added to what was asked.
        """

        def worded(match: re.Match[str]) -> str:
            spelled = spell(_settings(match[0]))
            return add(spelled) if match[0].startswith("`+") else spelled

        return re.sub(SETTINGS, worded, str(self.args[0]) if self.args else "")


READING = frozenset({
    "input_format", "delimiter", "header", "decimal", "thousands", "na_values", "encoding", "comment",
})  # fmt: skip
"""The settings that Python callers pass in a `Reading`."""

FILES = {
    "pred": ("predictions", "values"),
    "target": ("targets", "other"),
    "weight": ("weight_file",),
    "coef": ("coef",),
    "intercept": ("intercept",),
    "params": ("params",),
}
"""What settings of reading call a file, and the parameters that it comes from."""

BOTH = "both"
"""The files of the predictions and of the targets."""

NUMBERS = frozenset({"local", "worker_timeout", "jobs"})
"""Settings that are numbers: Python callers write them without quotes."""

PLACEHOLDERS = frozenset({"COLUMN", "FILE", "CHAR", "X"})
"""Values for which readers put their own."""


def setting(name: str, value: str, *, added: bool = False) -> str:
    """Mark a setting for a message; the value may come from the data."""
    return f"`{'+' if added else ''}{name}={value.replace('`', '')}`"


class Setting(NamedTuple):
    """A setting in a message; one of reading may be for one file."""

    name: str
    value: str | None
    file: str = ""

    @classmethod
    def of(cls, name: str, value: str | None) -> Self:
        """Return a setting as it stands in a message; the value of one file has the file in front."""
        file, equals, rest = (value or "").partition("=")
        return cls(name, rest, file) if equals and name in READING and file in {*FILES, BOTH} else cls(name, value)


def _settings(text: str) -> list[Setting]:
    return [Setting.of(name, value) for _, name, value in (found.groups() for found in re.finditer(SETTING, text))]


def for_file(message: str, file: str) -> str:
    """Return a message whose settings of how numbers are written, and of the header, are for one file.

    Words that mean missing in one file seldom mean anything else in another.
    """

    def narrowed(match: re.Match[str]) -> str:
        sign, name, value = match.groups()
        return f"`{sign}{name}={file}={value}`" if value is not None and name in READING - {"na_values"} else match[0]

    return re.sub(SETTING, narrowed, message) if file else message


@contextmanager
def about_file(file: str) -> Iterator[None]:
    """Make the settings in errors of the block those of one file; see `for_file`."""
    try:
        yield
    except UsageError:
        raise  # about what was set, and for which file
    except MsecliError as error:
        error.args = (for_file(str(error.args[0]), file),)
        raise


def parameters(settings: Sequence[Setting]) -> str:
    """Spell settings as Python parameters; a placeholder stays as it is.

    Examples
    --------
    >>> parameters([Setting("nan_pred", "omit"), Setting("decimal", ","), Setting("header", "False")])
    "nan_pred='omit' reading=Reading(decimal=',', header=False)"
    >>> parameters([Setting("header", "False", "pred")])
    "reading={'pred': Reading(header=False)}"
    """
    words, readings = [], dict[str, list[str]]()
    for name, value, file in settings:
        own = {"input_format": "format"}.get(name, name) if name in READING else name
        if value is None:
            words.append(f"Reading.{own}" if name in READING else name)
            continue
        bare = name in NUMBERS or value in {*PLACEHOLDERS, "True", "False"}
        given = f"{own}={value if bare else repr(value)}"
        if name in READING:
            readings.setdefault(file, []).append(given)
        else:
            words.append(given)
    spelled = {file: f"Reading({', '.join(given)})" for file, given in readings.items()}
    if "" in spelled:
        words.append(f"reading={spelled.pop('')}")
    if spelled:
        words.append(f"reading={{{', '.join(f'{file!r}: {reading}' for file, reading in spelled.items())}}}")
    return " ".join(words)


class UsageError(MsecliError, ValueError):
    """A value, or a combination of values, that is wrong whatever the data."""

    exit_code = EXIT_USAGE


class DataError(MsecliError, ValueError):
    """A problem in the data: a shape, a column, a missing value."""

    exit_code = EXIT_DATA


class NoRowsError(DataError):
    """A file or data in memory that is sound, but has no rows; beside others in a folder it may be left out."""


class ReadWriteError(MsecliError, OSError):
    """A file that cannot be opened, read or written."""

    exit_code = EXIT_READ_WRITE


class GateError(MsecliError):
    """A requested check has failed; the result itself was written."""

    exit_code = EXIT_GATE


class Problems:
    """Collects the errors of independent steps, to report all of them together."""

    def __init__(self) -> None:
        self._found: list[MsecliError] = []

    @contextmanager
    def collect(self, passing: tuple[type[MsecliError], ...] = ()) -> Iterator[None]:
        """Record a `MsecliError` raised in the block, and continue; those of the types in `passing` stay raised."""
        try:
            yield
        except passing:
            raise
        except MsecliError as error:
            self.add(error)

    def add(self, error: MsecliError) -> None:
        """Record an error."""
        self._found.append(error)

    def __bool__(self) -> bool:
        return bool(self._found)

    def raise_found(self, most: int | None = None) -> None:
        """Raise the collected error, or one error with the messages of several, of many only with the first.

        The joined error has the type with the highest exit code, so "cannot read" wins over "bad data".
        """
        if not self._found:
            return
        worst = max(self._found, key=lambda error: error.exit_code)
        if len(self._found) == 1:
            raise worst
        messages = unique([str(error.args[0]) for error in self._found])
        more = messages[most:] if most is not None else []
        told = [f"and {many(len(more), 'more problem')} of this kind"] if more else []
        raise type(worst)("\n".join([*messages[: len(messages) - len(more)], *told])) from worst


def unique(items: Sequence[str]) -> list[str]:
    """Return the items in order, without duplicates."""
    return list(dict.fromkeys(items))


def similar(name: str, known: Iterable[str], beginning: str = "") -> str | None:
    """Return the known name that another was probably meant to be, in any case; None if none is similar.

    Parameters
    ----------
    name : str
    known : iterable of str
    beginning : str
        What all names begin with; it would make any two of them similar.

    Examples
    --------
    >>> similar("--reductoin", ["--reduction", "--grad"], "--"), similar("--max-loss", ["--axis"], "--")
    ('--reduction', None)
    """
    import difflib

    by_rest = {each.removeprefix(beginning).casefold(): each for each in known}
    near = difflib.get_close_matches(name.removeprefix(beginning).casefold(), by_rest, n=1, cutoff=SIMILAR)
    return by_rest[near[0]] if near else None


def meant(name: str, known: Iterable[str], beginning: str = "", spelled: Callable[[str], str] = repr) -> str:
    """Return "; did you mean …?", or nothing if no known name is similar.

    Examples
    --------
    >>> meant("rmsee", ["mse", "rmse", "mae"]), meant("loss", ["mse", "rmse", "mae"])
    ("; did you mean 'rmse'?", '')
    """
    near = similar(name, known, beginning)
    return "" if near is None else f"; did you mean {spelled(near)}?"


def not_one_of(value: str, known: Collection[str]) -> str:
    """Return that a value is none of the known ones, and which one it was probably meant to be."""
    return f"{value!r} is not one of {', '.join(known)}{meant(value, known)}"


def numbered(*rows: int, lines: Sequence[int | str | None] = ()) -> str:
    """Return how messages name rows of data, which are counted from 0 here and from 1 there.

    Parameters
    ----------
    *rows : int
    lines : sequence of int, str or None
        The lines of a text file on which the rows begin, counted from 1; or where they are in words.

    Examples
    --------
    >>> numbered(2), numbered(2, lines=[4]), numbered(0, 6, lines=[2, 9])
    ('row 3', 'row 3 (line 4)', 'rows 1 and 7 (lines 2 and 9)')
    >>> numbered(6, lines=["part-1.csv, line 2"])
    'row 7 (part-1.csv, line 2)'
    """
    known: list[tuple[str, Sequence[int | str | None]]] = [("row", [row + 1 for row in rows])]
    if lines and all(isinstance(line, str) for line in lines):
        return f"{numbered(*rows)} ({' and '.join(map(str, lines))})"
    if lines and None not in lines:
        known.append(("line", lines))
    texts = [f"{noun}{'s' if len(numbers) > 1 else ''} {' and '.join(map(str, numbers))}" for noun, numbers in known]
    return texts[0] + "".join(f" ({text})" for text in texts[1:])


def many(count: int, noun: str) -> str:
    """Return a number of things.

    Examples
    --------
    >>> many(1, "row"), many(0, "row")
    ('1 row', '0 rows')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def shown(text: str) -> str:
    """Quote a text for an error, and cut it if it is long."""
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "…")


def escaped(text: str) -> str:
    r"""Return a label or a name for tables and plain lines: on one line, escaped as in JSON.

    >>> print(escaped("a" + chr(9) + "b"))
    a\tb
    """
    return visible(text.replace("\\", "\\\\"))


def visible(message: str, kept: str = "") -> str:
    """Escape the characters that control a terminal or end a line, except those in `kept`."""
    if message.isprintable():
        return message
    return re.sub(UNSEEN, lambda found: found[0] if found[0] in kept else _escape(found[0]), message)


def redacted(text: str) -> str:
    """Return a text without the secrets in its URLs: user and password, and what follows the question mark.

    Examples
    --------
    >>> redacted("https://me:secret@host/p.csv?X-Amz-Signature=abc: no such file")
    'https://...@host/p.csv?...: no such file'
    >>> redacted("s3://bucket/part-?.csv"), redacted("abfs://box@account.dfs.core.windows.net/p.csv")
    ('s3://bucket/part-?.csv', 'abfs://box@account.dfs.core.windows.net/p.csv')
    """
    return re.sub(QUERY, r"\1?...", re.sub(USER, r"\1...@", text)) if "://" in text else text


def _escape(character: str) -> str:
    return ESCAPES.get(character, f"\\u{ord(character):04x}")


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning: its code, where it was found, what it means, and how often."""

    code: str
    where: str
    meaning: str
    count: int = 1


class Warnings:
    """Distinct warnings, each with its count."""

    def __init__(self, warnings: Iterable[Warned] = ()) -> None:
        self._found: dict[tuple[str, str, str], Warned] = {}
        self.add(warnings)

    def add(self, warnings: Iterable[Warned]) -> None:
        """Add warnings; equal ones are counted."""
        for warning in warnings:
            key = (warning.code, warning.where, warning.meaning)
            seen = self._found.get(key)
            self._found[key] = warning if seen is None else replace(warning, count=warning.count + seen.count)

    def add_new(self, warnings: Iterable[Warned]) -> None:
        """Add those warnings that are not there yet; the others come from reading the same rows again."""
        known = set(self._found)
        self.add(each for each in warnings if (each.code, each.where, each.meaning) not in known)

    def all(self) -> tuple[Warned, ...]:
        """Return the warnings in order of first appearance."""
        return tuple(self._found.values())

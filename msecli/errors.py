"""The errors msecli raises. Each knows the exit code it ends a command with.

`DataError` and `UsageError` are also `ValueError`s, and `ReadWriteError` is also an `OSError`, so Python callers
can catch them by the built-in name they expect.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

EXIT_BUG = 1
EXIT_USAGE = 2
EXIT_DATA = 3
EXIT_READ_WRITE = 4
EXIT_GATE = 5
EXIT_INTERRUPTED = 130
EXIT_CLOSED_PIPE = 141


SHOWN = 40
"""Characters of a cell, a name or a line that an error shows."""


UNSEEN = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
"""Controls, ends of lines, changes of the direction of writing, and bytes of file names that are not UTF-8."""

ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}


class MsecliError(Exception):
    """Base of every error msecli raises on purpose."""

    exit_code = EXIT_BUG


class UsageError(MsecliError, ValueError):
    """A value, or a combination of values, that no data could make valid."""

    exit_code = EXIT_USAGE


class DataError(MsecliError, ValueError):
    """Something the data show to be wrong: a shape, a column, a missing value."""

    exit_code = EXIT_DATA


class ReadWriteError(MsecliError, OSError):
    """A file that cannot be opened, read or written."""

    exit_code = EXIT_READ_WRITE

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class GateError(MsecliError):
    """A check that was asked for has failed; the result itself was written."""

    exit_code = EXIT_GATE


class Problems:
    """Collects the errors of independent steps so that all of them are reported together."""

    def __init__(self) -> None:
        self._found: list[MsecliError] = []

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Keep a `MsecliError` raised in the block and go on behind it."""
        try:
            yield
        except MsecliError as error:
            self._found.append(error)

    def raise_found(self) -> None:
        """Raise what was collected: the error itself if it is one, else one error with all the messages.

        The joined error is of the kind with the highest exit code, so "cannot read" wins over "bad data".
        """
        if not self._found:
            return
        worst = max(self._found, key=lambda error: error.exit_code)
        if len(self._found) == 1:
            raise worst
        raise type(worst)("\n".join(unique([str(error) for error in self._found]))) from worst


def unique(items: Sequence[str]) -> list[str]:
    """Return the items in order, each once."""
    return list(dict.fromkeys(items))


def shown(text: str) -> str:
    """Return a text as an error shows it: quoted, and cut when long."""
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "…")


def escaped(text: str) -> str:
    r"""Return a label or a name as people and plain lines are shown it: on one line, with the escapes of JSON.

    >>> print(escaped("a" + chr(9) + "b"))
    a\tb
    """
    return visible(text.replace("\\", "\\\\"))


def visible(message: str, kept: str = "") -> str:
    """Return a message with the characters that steer a terminal or end a line escaped, but for those `kept`."""
    return UNSEEN.sub(lambda found: found[0] if found[0] in kept else _escape(found[0]), message)


def _escape(character: str) -> str:
    return ESCAPES.get(character, f"\\u{ord(character):04x}")

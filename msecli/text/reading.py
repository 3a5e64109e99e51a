"""How to read files: the user's settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

from msecli.errors import BOTH, FILES, UsageError, not_one_of


class Reading(NamedTuple):
    """How to read files that do not describe themselves.

    Parameters
    ----------
    format : str, optional
        A name in the `FORMATS` table. By default the content decides, then the suffix.
    delimiter : str, optional
        The column delimiter of text files, one character. By default a comma, or a tab for TSV.
    header : bool, optional
        Whether the first line of text files holds the column names. By default it does, unless it holds only numbers
        like those in the lines below it.
    decimal : str
        The decimal mark of text files.
    thousands : str, optional
        The mark between groups of three digits in text files. A blank stands for other spaces, too.
    na_values : str or several
        Further words that mean "missing" in text files.
    encoding : str, optional
        The encoding of text files. By default UTF-8.
    comment : str, optional
        Skip the lines of text files that begin with this character.
    """

    format: str | None = None
    delimiter: str | None = None
    header: bool | None = None
    decimal: str = "."
    thousands: str | None = None
    na_values: str | Iterable[str] = ()
    encoding: str | None = None
    comment: str | None = None


AS_FILES_SAY = Reading()
"""The defaults."""


class Readings(NamedTuple):
    """How to read each of several files.

    Parameters
    ----------
    others : Reading
        For the files that `own` does not have.
    own : mapping of str to Reading
        By the words in `msecli.errors.FILES`.
    """

    others: Reading = AS_FILES_SAY
    own: Mapping[str, Reading] = {}

    @classmethod
    def taken(cls, name: str, value: Any) -> Self:
        """Return how to read files as Python callers write it: one `Reading`, or a mapping of words to some.

        Raises
        ------
        UsageError
        """
        if value is None or isinstance(value, Reading):
            return cls(_with_words(value or AS_FILES_SAY))
        if isinstance(value, Readings):
            return cls(*value)
        if not isinstance(value, Mapping) or not all(isinstance(each, Reading) for each in value.values()):
            raise UsageError(f"`{name}`: {value!r} is neither a msecli.Reading nor a mapping of files to such")
        own: dict[str, Reading] = {}
        for word, reading in value.items():
            own.update((file, _with_words(reading)) for file in files_named(word))
        return cls(own=own)

    @classmethod
    def of_settings(cls, given: Mapping[str, Mapping[str, Any]]) -> Self:
        """Return how to read files from settings, each by the words of the files; those for all have the word ""."""
        words = {word: None for values in given.values() for word in values if word}
        own = {word: _reading({name: each.get(word, each.get("")) for name, each in given.items()}) for word in words}
        return cls(_reading({name: each.get("") for name, each in given.items()}), own)

    def of(self, parameter: str) -> Reading:
        """Return how to read the file of a parameter."""
        return self.own.get(word_of(parameter), self.others)

    def check(self, parameters: Iterable[str]) -> None:
        """Refuse ways of reading files that are not there.

        Raises
        ------
        UsageError
        """
        words = [word_of(parameter) for parameter in parameters]
        for word in self.own:
            if word not in words:
                raise UsageError(f"how to read {word!r} is set, but there is no such file; there is {', '.join(words)}")


ALL_AS_FILES_SAY = Readings()
"""The defaults for all files."""


def _with_words(reading: Reading) -> Reading:
    """Return the same with a tuple of words for missing, of which Python callers may give one alone."""
    from msecli.core.parameters import names  # the command line needs no NumPy for its help

    return reading._replace(na_values=names("na_values", reading.na_values))


def word_of(parameter: str) -> str:
    """Return what settings call the file of a parameter."""
    return next((word for word, parameters in FILES.items() if parameter in parameters), parameter)


def files_named(word: str) -> tuple[str, ...]:
    """Return the files that a word means.

    Raises
    ------
    UsageError
        If it means none.
    """
    if word != BOTH and word not in FILES:
        raise UsageError(f"`reading`: {not_one_of(word, (*FILES, BOTH))}")
    return ("pred", "target") if word == BOTH else (word,)


TAKEN = ("input_format", "delimiter", "decimal", "thousands", "na_values", "encoding", "comment")
"""The settings that are texts, by the names of their options."""

LISTS = ("na_values",)
"""The settings whose values are lists."""


def by_file(name: str, values: Iterable[str]) -> dict[str, str]:
    """Return the values of a setting, each for all files or FILE=VALUE, by the words of the files.

    Those for all files have the word "".

    Examples
    --------
    >>> by_file("decimal", [".", "pred=,"])
    {'': '.', 'pred': ','}
    """
    found: dict[str, str] = {}
    for value in values:
        word, equals, rest = value.partition("=")
        named = bool(equals) and word.lower() in (*FILES, BOTH)
        text = rest if named else value
        words = files_named(word.lower()) if named else ("",)
        found |= {each: f"{found[each]},{text}" if name in LISTS and each in found else text for each in words}
    return found


def _reading(given: Mapping[str, Any]) -> Reading:
    """Return how to read a file; what is None was not given."""
    return Reading(
        given.get("input_format") and given["input_format"].lower(),
        "\t" if given.get("delimiter") == "\\t" else given.get("delimiter"),
        given.get("header"),
        given.get("decimal") or ".",
        given.get("thousands"),
        _words(given.get("na_values") or ""),
        given.get("encoding"),
        given.get("comment"),
    )


def _words(text: str) -> tuple[str, ...]:
    """Split words at commas, without the blanks around them; blanks alone are a word."""
    return tuple(word.strip() or word for word in text.split(",") if word)

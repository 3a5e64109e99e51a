"""Open the files of a run, each to be read in its own way, and report the problems of all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from msecli.errors import BOTH, DataError, MsecliError, Problems, for_file, setting
from msecli.formats import FORMATS, open_source
from msecli.formats.base import Source
from msecli.places import paths_of
from msecli.places.ahead import ahead
from msecli.places.file import check_streams
from msecli.text.dialects import OtherDialectError
from msecli.text.reading import Readings, files_named, word_of


def open_all(data: Sequence[Any], readings: Readings, names: Sequence[str], *, alone: bool) -> tuple[Source, ...]:
    """Open several sources.

    Parameters
    ----------
    data : sequence of str or data in memory
    readings : Readings
    names : sequence of str
        The parameters that the data come from.
    alone : bool
        Whether the run reads no other files than these.

    Raises
    ------
    MsecliError
        With the problems of all of them.
    """
    found, problems = open_each(data, readings, names, alone=alone)
    problems.raise_found()
    return tuple(each for each in found if not isinstance(each, MsecliError))


def open_each(
    data: Sequence[Any], readings: Readings, names: Sequence[str], *, alone: bool
) -> tuple[list[Source | MsecliError], Problems]:
    """Open several sources as `open_all` does; return for each the source or its error, and the problems of all."""
    check_streams(paths_of(data))
    problems, found = Problems(), list[Source | MsecliError]()
    other_dialects: dict[str, OtherDialectError] = {}
    single = alone and len(data) == 1
    words = ["" if single else word_of(name) for name in names]
    opening = [partial(_open, *each, readings) for each in zip(data, names, words, strict=False)]
    for opened, word in zip(ahead(paths_of(data), opening), words, strict=False):
        try:
            found.append(opened())
        except OtherDialectError as error:
            other_dialects[word] = error
            found.append(_with_advice({word: error}, everywhere=single, whole=False))
        except MsecliError as error:
            problems.add(error)
            found.append(error)
    if other_dialects:
        formats = [each.format for each in found if not isinstance(each, MsecliError)]
        texts = any(format in FORMATS and FORMATS[format].delimited for format in formats)
        problems.add(_with_advice(other_dialects, everywhere=alone and not texts and not problems, whole=not problems))
    return found, problems


def _open(data: Any, name: str, word: str, readings: Readings) -> Source:
    return open_source(data, readings.of(name), name, word)


def open_one(data: Any, readings: Readings, name: str) -> Source:
    """Open one of several files of a run, as `open_all` does."""
    return open_all([data], readings, [name], alone=False)[0]


def _with_advice(found: dict[str, OtherDialectError], *, everywhere: bool, whole: bool) -> MsecliError:
    """Return one error about files in other dialects, with the settings that read them.

    Parameters
    ----------
    found : dict
        By the words of the files.
    everywhere : bool
        Whether no other text file is read, so that settings may be for all.
    whole : bool
        Whether nothing else is wrong, so that the command would run.
    """
    dialects = {word: error.settings for word, error in found.items()}
    first = next(iter(dialects.values()))
    alike = all(dialect == first for dialect in dialects.values())
    if alike and (everywhere or set(dialects) == {*files_named(BOTH)}):
        dialects = {"" if everywhere else BOTH: first}
    settings = [
        (name, f"{word}={value}" if word else value)
        for word, dialect in dialects.items()
        for name, value in dialect.items()
    ]
    advice = " ".join(setting(*each, added=whole and not number) for number, each in enumerate(settings))
    lines = "\n".join(error.args[0] for error in found.values())
    return DataError(f"{lines}; {advice if whole else f'use {advice}'}")


def refuse_rows_as_names(source: Source, columns: Iterable[str], word: str) -> None:
    """Refuse columns that nobody named if their names may be numbers of the first row.

    Raises
    ------
    DataError
    """
    chosen = set(columns)
    names = [repr(each.name) for each in source.columns or () if each.like_data and each.name in chosen]
    if names:
        numbers = f"names {' and '.join(names)} are numbers" if len(names) > 1 else f"name {names[0]} is a number"
        message = (
            f"{source.path}: the column {numbers} like those below; "
            "use `header=False` if the first line is data, `header=True` if it holds names"
        )
        raise DataError(for_file(message, word))

"""Several files of one format as one source: those of a folder, of a pattern, or of a list of paths."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

from msecli.errors import DataError, NoRowsError, Problems, ReadWriteError, UsageError, Warned, many, shown
from msecli.formats.base import Column, FileCount, Source
from msecli.formats.joined import MOST_SHOWN, Joined, JoinedSource, JoinedText, Member, Value
from msecli.places import INNER, open_input, split_inner
from msecli.places.ahead import ahead
from msecli.places.compressed import codec_of, decompressed
from msecli.places.listing import Listing, below
from msecli.places.several import OneOfMany
from msecli.text.dialects import OtherDialectError
from msecli.text.reading import Reading
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    from msecli.places.base import InputFile

Opener = Callable[[str, "Callable[[str, str, str], InputFile]"], Source]
"""From the path of one of the files, and what opens it, to its source."""

MOST_COLUMNS = 1 << 15
"""Columns, times parts, of the files whose sources stay open: metadata of Parquet take up to 2 KiB for each."""

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""What stands for a missing value in the name of a folder."""

WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
"""A value that is an integer, as pyarrow, DuckDB and Spark read it: zeros may lead."""


class Shard(NamedTuple):
    """One of the files.

    Parameters
    ----------
    path : str
        With the name after "::", if there is one.
    values : mapping of str to int, str or None
        What the folders are named that it is in, as "region=north": columns whose value is the same in the whole file.
    """

    path: str
    values: Mapping[str, Value]


def open_several(paths: Sequence[tuple[str, Listing | None]], name: str, opener: Opener, reading: Reading) -> Source:
    """Open what paths name together.

    Parameters
    ----------
    paths : sequence of (str, Listing or None)
        Files, and folders and patterns with what they name.
    name : str
        What messages call all of them.
    opener : callable
    reading : Reading
        If it does not say of which format the files are, the names of all must end alike.

    Raises
    ------
    ReadWriteError
        If there is no file, or one cannot be read.
    DataError
        If a file is named twice, or the files do not go together.
    """
    shards: list[Shard] = []
    for path, listing in paths:
        outer, inner = split_inner(path)
        mark = f"{INNER}{inner}" if inner else ""
        if listing is None:
            shards.append(Shard(path, {}))
        elif not listing.files:
            raise ReadWriteError(f"{outer}: {_nothing(listing, folder=listing.root == outer)}")
        else:
            shards += [Shard(f"{below(listing.root, file)}{mark}", _values(file)) for file in listing.files]
    _check_twice(name, [shard.path for shard in shards])
    if reading.format is None:
        _check_suffixes(name, [file for _, listing in paths if listing for file in listing.files])
    if len(shards) == 1 and not shards[0].values:
        return opener(shards[0].path, open_input)
    _check_keys(name, shards)
    listings = [(split_inner(path)[0], listing) for path, listing in paths if listing is not None]
    # Text in another encoding is a stream, which keeps what has come for as long as its source is there.
    members, schema = _opened(name, _typed(shards), opener, light=reading.encoding is None)
    joined = schema.joined(name, [member.values for member in members])
    empty = len(shards) - len(members)
    if empty:
        more = Warned("files_without_rows", name, "a file without rows was passed over", empty)
        joined = joined._replace(warnings=(*joined.warnings, more))
    count = FileCount(len(shards), sum(each.skipped for _, each in listings))
    source = JoinedText if all(member.countable for member in members) else JoinedSource
    return source(name, members, joined, count, listings)


def _nothing(listing: Listing, *, folder: bool) -> str:
    """Return that a folder or a pattern has no files."""
    nothing = "the folder holds no file to read" if folder else "no file matches this pattern"
    skipped = many(listing.skipped, "hidden file") + " or marker" + ("" if listing.skipped == 1 else "s")
    more = (
        f"; {skipped} such as _SUCCESS {'was' if listing.skipped == 1 else 'were'} skipped" if listing.skipped else ""
    )
    return nothing + more


def _values(file: str) -> dict[str, Value]:
    """Return the values in the names of the folders that a file is in."""
    pairs = [folder.partition("=") for folder in file.split("/")[:-1]]
    named = [(unquote(key), unquote(value)) for key, equals, value in pairs if key and equals]
    return {key: None if value in {NO_VALUE, ""} else value for key, value in named}


def _check_twice(name: str, files: Sequence[str]) -> None:
    """Refuse files that are named twice."""
    twice = next((file for file, count in Counter(map(os.path.normpath, files)).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{name}: {twice} is named twice; each file counts once")


def _check_suffixes(name: str, files: Sequence[str]) -> None:
    """Refuse names with several suffixes, unless each file was named."""
    suffixes = Counter(map(_suffix, files))
    if len(suffixes) > 1:
        counts = ", ".join(
            f"{count} named *{suffix}" if suffix else f"{count} without a suffix"
            for suffix, count in suffixes.most_common()
        )
        usual = next(suffix for suffix, _ in suffixes.most_common() if suffix)
        raise DataError(
            f"{name}: files of several kinds: {counts}; name those to read by a pattern in quotes, such as '*{usual}'"
        )


def _suffix(file: str) -> str:
    """Return how the name of a file ends; ".00" and ".01" only number files."""
    suffix = os.path.splitext(file)[1].lower()
    return suffix if any(map(str.isalpha, suffix)) else ""


def _check_keys(name: str, shards: Sequence[Shard]) -> None:
    """Refuse files that are in folders named after different columns."""
    first = shards[0]
    other = next((shard for shard in shards if shard.values.keys() != first.values.keys()), None)
    if other is not None:
        keys = [", ".join(f"{key}=…" for key in shard.values) or "no such folder" for shard in (first, other)]
        raise DataError(
            f"{name}: the folders are not named after the same columns: {first.path} is in {keys[0]}, "
            f"{other.path} in {keys[1]}"
        )


def _typed(shards: Sequence[Shard]) -> list[Shard]:
    """Return the files with the values of a column that are all integers as such."""
    texts = {key: [shard.values[key] for shard in shards] for key in shards[0].values}
    for key, values in texts.items():
        known = [value for value in values if value is not None]
        if known and all(WHOLE.fullmatch(str(value)) for value in known):
            texts[key] = [None if value is None else int(value) for value in values]
    return [
        shard._replace(values={key: values[number] for key, values in texts.items()})
        for number, shard in enumerate(shards)
    ]


def _opened(name: str, shards: Sequence[Shard], opener: Opener, *, light: bool) -> tuple[list[Member], Schema]:
    """Return the files that have rows, and their columns; a job that writes many files leaves some without rows.

    Raises
    ------
    MsecliError
        With the problems of some files, and the number of the others.
    """
    members: list[Member] = []
    schema, problems, room = Schema(), Problems(), MOST_COLUMNS if light else 0
    paths = [shard.path for shard in shards]
    opening = ahead(paths, (partial(_opened_with_file, opener, path) for path in paths))
    for shard, opened in zip(shards, opening, strict=True):
        with problems.collect(passing=(UsageError, OtherDialectError)), suppress(NoRowsError):
            source, file = opened()
            schema.check(source)
            compressed = codec_of(file) is not None
            member = Member(
                source,
                file,
                shard.values,
                partial(_again, opener, shard.path),
                held=room > 0 and not compressed,
                compressed=compressed,
            )
            schema.add(source)
            members.append(member)
            room -= max(1, len(member.cuts or ()) - 1) * len(source.columns or ("",))
    problems.raise_found(MOST_SHOWN)
    if not members:
        raise NoRowsError(f"{name}: there are no rows in any of the {many(len(shards), 'file')}")
    return members, schema


def _opened_with_file(opener: Opener, path: str) -> tuple[Source, OneOfMany]:
    files: list[OneOfMany] = []

    def opened(path: str, word: str, shown: str) -> InputFile:
        files.append(OneOfMany(path, word, shown))
        return decompressed(files[-1])

    return opener(path, opened), files[0]


def _again(opener: Opener, path: str, file: OneOfMany) -> Source:
    """Return the source of a file that is known already."""
    return opener(path, lambda *_: decompressed(file))


class Schema:
    """The columns and the warnings of all files: a column is numeric, or not, as it is in most of them."""

    def __init__(self) -> None:
        self.first: Source | None = None
        self._count = 0
        self._examples: dict[tuple[str, bool], Column] = {}
        self._not_numeric: dict[str, list[tuple[str, str]]] = {}
        self._warnings: dict[tuple[str, str], Warned] = {}

    def check(self, source: Source) -> None:
        """Refuse a file that does not hold what the first one holds.

        Raises
        ------
        DataError
        """
        if self.first is None:
            self.first = source
        _check_source(source, self.first)

    def add(self, source: Source) -> None:
        """Take in a file that has rows: without any a column of text may look like one of numbers."""
        self._count += 1
        for column in source.columns or ():
            self._examples.setdefault((column.name, column.numeric), column)
            if not column.numeric:
                self._not_numeric.setdefault(column.name, []).append((source.path, column.kind))
        for warning in source.warnings:
            seen = self._warnings.setdefault((warning.code, warning.meaning), warning)
            if seen is not warning:
                self._warnings[warning.code, warning.meaning] = replace(seen, count=seen.count + warning.count)

    def joined(self, name: str, values: Sequence[Mapping[str, Value]]) -> Joined:
        """Return what holds for all files, with the values in the names of their folders.

        Parameters
        ----------
        name : str
            What messages call all files.
        values : sequence of mapping
        """
        keys, unlike, columns = values[0], dict[str, list[str]](), list[Column]()
        own = [column.name for column in (self.first.columns if self.first else None) or ()]
        for column in own:
            if column not in keys:
                columns.append(self._usual(column, unlike))
        for key in keys:
            known = [each[key] for each in values if each[key] is not None]
            whole = bool(known) and all(isinstance(value, int) for value in known)
            kind = "integers" if whole else f"text such as {shown(str(known[0]))}" if known else "no value"
            columns.append(Column(key, f"{kind} in the names of folders", numeric=whole, outside=True))
            if not whole:
                unlike[key] = [f"{name}: column {key!r} holds {kind} in the names of folders, no numbers"]
        warnings = [each if each.count == 1 else replace(each, where=name) for each in self._warnings.values()]
        meaning = "the files have this column, too; the values in the names of their folders were used"
        warnings += [Warned("column_in_folders", f"{name}, column {key!r}", meaning) for key in keys if key in own]
        nameless = self.first is not None and self.first.columns is None and not keys
        return Joined(None if nameless else tuple(columns), unlike, tuple(warnings))

    def _usual(self, name: str, unlike: dict[str, list[str]]) -> Column:
        """Return a column as it is in most files; tell why it is not numeric in others."""
        others = self._not_numeric.get(name, [])
        numeric = 2 * len(others) <= self._count
        usual = self._examples[name, numeric]
        if numeric and others:
            unlike[name] = [
                f"{path}: column {name!r} holds {kind}, unlike in other files ({usual.kind})" for path, kind in others
            ]
        return usual


def _check_source(source: Source, first: Source) -> None:
    """Refuse a file that does not hold what the first one holds.

    Raises
    ------
    DataError
    """
    if source.format != first.format:
        raise DataError(f"{source.path}: this is {source.format}, but {first.path} is {first.format}")
    if source.item != first.item:
        kinds = ["a table" if each.item is None else f"rows of shape {each.item}" for each in (source, first)]
        raise DataError(f"{source.path}: {kinds[0]}, but {first.path} holds {kinds[1]}")
    ours, theirs = (Counter(column.name for column in each.columns or ()) for each in (source, first))
    if any(column.numbered for column in source.columns or ()) and ours != theirs:
        raise DataError(f"{source.path}: the first line holds no names of columns, unlike that of {first.path}")
    missing, others = [*(theirs - ours)], [*(ours - theirs)]
    if missing or others:
        found = [f"no {_listed(missing)}"] if missing else []
        found += [f"also {_listed(others)}"] if others else []
        raise DataError(f"{source.path}: the columns are not those of {first.path}: {', but '.join(found)}")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(map(shown, names[:MOST_SHOWN])) + more

"""Several files of one format as one source: those of a folder, of a pattern, or of a list of paths."""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

import numpy as np

from msecli.errors import DataError, NoRowsError, Problems, ReadWriteError, UsageError, Warned, many, shown
from msecli.formats.base import Block, Column, FileCount, LabelArray, Part, Selection, Source
from msecli.places import INNER, listed, open_input, split_inner
from msecli.places.listing import Listing, below
from msecli.places.several import OneOfMany
from msecli.text.dialects import OtherDialectError

if TYPE_CHECKING:
    from msecli.core.exact import FloatArray
    from msecli.places.base import InputFile

Opener = Callable[[str, "Callable[[str, str, str], InputFile]"], Source]
"""From the path of one of the files, and what opens it, to its source."""

MOST_SHOWN = 3
"""Problems of single files that an error shows."""

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""What stands for a missing value in the name of a folder."""

WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
"""A value that is an integer, as pyarrow, DuckDB and Spark read it: zeros may lead."""

FILE_BITS = 48
"""Where a row begins is told by the number of the file, and the byte in it below these bits."""

Value = int | str | None


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


def open_several(paths: Sequence[tuple[str, Listing | None]], name: str, opener: Opener, *, alike: bool) -> Source:
    """Open what paths name together.

    Parameters
    ----------
    paths : sequence of (str, Listing or None)
        Files, and folders and patterns with what they name.
    name : str
        What messages call all of them.
    opener : callable
    alike : bool
        Whether the names of all files must end alike, because nobody said of which format they are.

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
    _check_twice(name, [split_inner(shard.path)[0] for shard in shards])
    if alike:
        _check_suffixes(name, [file for _, listing in paths if listing for file in listing.files])
    if len(shards) == 1 and not shards[0].values:
        return opener(shards[0].path, open_input)
    _check_keys(name, shards)
    listings = [(split_inner(path)[0], listing) for path, listing in paths if listing is not None]
    files = _opened(name, _typed(shards), opener)
    return FolderSource(name, files, FileCount(len(shards), sum(each.skipped for _, each in listings)), listings)


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


def _opened(name: str, shards: Sequence[Shard], opener: Opener) -> list[tuple[Shard, Source]]:
    """Return the files with their sources, without those that have no rows: a job leaves some if it writes many.

    Raises
    ------
    MsecliError
        With the problems of some files, and the number of the others.
    """
    found: list[tuple[Shard, Source]] = []
    problems = Problems()
    for shard in shards:
        with problems.collect(passing=(UsageError, OtherDialectError)), suppress(NoRowsError):
            source = opener(shard.path, OneOfMany)
            if found:
                _check_source(source, found[0][1])
            if source.rows is None:
                source.parts(Selection())  # raises an error of text without rows
            found.append((shard, source))
    problems.raise_found(MOST_SHOWN)
    if not found:
        raise NoRowsError(f"{name}: there are no rows in any of the {many(len(shards), 'file')}")
    return found


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


class FolderSource:
    """The rows of several files, one file after the other. See `msecli.formats.base.Source`.

    Parameters
    ----------
    path : str
    files : sequence of (Shard, Source)
        The files that have rows.
    count : FileCount
    listings : sequence of (str, Listing)
        Folders and patterns, and what they named when they were opened.
    """

    def __init__(
        self,
        path: str,
        files: Sequence[tuple[Shard, Source]],
        count: FileCount,
        listings: Sequence[tuple[str, Listing]],
    ) -> None:
        self.path, self.file_count = path, count
        self._sources = sources = [source for _, source in files]
        self._values = [shard.values for shard, _ in files]
        self._listings = listings
        first = sources[0]
        self.format, self.item = first.format, first.item
        self.work = sum(source.work for source in sources)
        counts = [source.rows for source in sources if source.rows is not None]
        self._firsts = list(accumulate(counts, initial=0)) if len(counts) == len(sources) else None
        self.rows = None if self._firsts is None else self._firsts[-1]
        self.divisible = all(source.divisible for source in sources)
        self._unlike: dict[str, list[str]] = {}
        """Why columns cannot be read as numbers from all files."""
        self.columns: tuple[Column, ...] | None = self._all_columns()
        self.warnings: Sequence[Warned] = tuple(self._all_warnings())

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[FolderPart]:
        """Return the parts of all files in order.

        Raises
        ------
        DataError
            If a file has no rows, or a column that is to be read as numbers holds none.
        """
        self._check_numbers(selection.numbers)
        own = self._own(selection)
        return [
            FolderPart(part, selection, self._values[number], number, (self._sources[number].path, self.path))
            for number, inside in self._touched(rows)
            for part in self._sources[number].parts(own, inside)
        ]

    def _touched(self, rows: range | None) -> Iterator[tuple[int, range | None]]:
        """Yield the numbers of the files that hold some of these rows, each with its share of them."""
        if rows is None or self._firsts is None:
            yield from ((number, None) for number in range(len(self._sources)))
            return
        for number in range(self._file_of(rows.start), self._file_of(rows.stop - 1) + 1):
            start, stop = self._firsts[number : number + 2]
            yield number, range(max(rows.start, start) - start, min(rows.stop, stop) - start)

    def _file_of(self, row: int) -> int:
        """Return the number of the file of a row."""
        return min(bisect_right(self._firsts or (), row), len(self._sources)) - 1

    def cuts(self) -> Sequence[int] | None:
        """Return the first row of each part, followed by the number of rows; None if these are unknown."""
        found = [source.cuts() for source in self._sources]
        known = [cuts for cuts in found if cuts is not None]
        if self._firsts is None or len(known) < len(found):
            return None
        return [first + cut for first, cuts in zip(self._firsts, known, strict=False) for cut in cuts[:-1]] + [
            self._firsts[-1]
        ]

    def line(self, row: int, begin: int | None = None) -> str | None:
        """Return the file of a row, and where it is in it; None if that is unknown."""
        if begin is not None:
            number, at = begin >> FILE_BITS, begin % (1 << FILE_BITS)
            line = self._sources[number].line(row, at)
            return None if line is None else f"{self._sources[number].path}, line {line}"
        if self._firsts is None:
            return None
        number = self._file_of(row)
        return f"{self._sources[number].path}, row {row - self._firsts[number] + 1}"

    def verify(self) -> None:
        """Raise `DataError` if a file has changed since it was opened, or if there are others by now.

        Raises
        ------
        DataError
        """
        for source in self._sources:
            source.verify()
        for path, listing in self._listings:
            if listed(path) != listing:
                raise DataError(
                    f"{path}: files were added or removed while the others were read; run again once all are complete"
                )

    def _all_columns(self) -> tuple[Column, ...] | None:
        keys = self._values[0]
        if self._sources[0].columns is None and not keys:
            return None
        by_name = [{column.name: column for column in source.columns or ()} for source in self._sources]
        own = [
            self._usual([columns[column.name] for columns in by_name])
            for column in self._sources[0].columns or ()
            if column.name not in keys
        ]
        return (*own, *(self._of_folders(key) for key in keys))

    def _usual(self, columns: Sequence[Column]) -> Column:
        """Return a column as it is in most files, numeric or not; remember the others."""
        numeric = 2 * sum(column.numeric for column in columns) >= len(columns)
        usual = next(column for column in columns if column.numeric == numeric)
        for source, column in zip(self._sources, columns, strict=True):
            if numeric and not column.numeric:
                message = (
                    f"{source.path}: column {usual.name!r} holds {column.kind}, unlike in other files ({usual.kind})"
                )
                self._unlike.setdefault(usual.name, []).append(message)
        return usual

    def _of_folders(self, key: str) -> Column:
        values = [values[key] for values in self._values if values[key] is not None]
        whole = bool(values) and all(isinstance(value, int) for value in values)
        kind = "integers" if whole else f"text such as {shown(str(values[0]))}" if values else "no value"
        if not whole:
            self._unlike[key] = [f"{self.path}: column {key!r} holds {kind} in the names of folders, no numbers"]
        return Column(key, f"{kind} in the names of folders", numeric=whole, outside=True)

    def _all_warnings(self) -> Iterator[Warned]:
        """Yield the warnings of the files; those of several files are of all."""
        found: dict[tuple[str, str], list[Warned]] = {}
        for source in self._sources:
            for warning in source.warnings:
                found.setdefault((warning.code, warning.meaning), []).append(warning)
        for (code, meaning), alike in found.items():
            yield alike[0] if len(alike) == 1 else Warned(code, self.path, meaning, sum(each.count for each in alike))
        empty = self.file_count.files - len(self._sources)
        if empty:
            yield Warned("files_without_rows", self.path, "a file without rows was passed over", empty)
        own = {column.name for column in self._sources[0].columns or ()}
        for key in self._values[0]:
            if key in own:
                meaning = "the files have this column, too; the values in the names of their folders were used"
                yield Warned("column_in_folders", f"{self.path}, column {key!r}", meaning)

    def _own(self, selection: Selection) -> Selection:
        """Return what to read of the files; something, so that their rows are counted."""
        numbers, labels = (tuple(name for name in names if name not in self._values[0]) for names in selection)
        if numbers or labels or self.item is not None:
            return Selection(numbers, labels)
        columns = [column for column in self._sources[0].columns or () if column.name not in self._values[0]]
        first = next((column.name for column in columns if column.numeric), columns[0].name)
        return Selection((), (first,))

    def _check_numbers(self, names: Sequence[str]) -> None:
        """Refuse to read as numbers what holds none in some files, as far as they tell before they are read."""
        problems = Problems()
        for message in (message for name in names for message in self._unlike.get(name, ())):
            problems.add(DataError(message))
        problems.raise_found(MOST_SHOWN)


class FolderPart(NamedTuple):
    """Rows of one of the files. See `msecli.formats.base.Part`.

    Parameters
    ----------
    part : Part
    selection : Selection
    values : mapping
        The columns in the names of the folders.
    number : int
        That of the file.
    paths : tuple of str
        What warnings call the file, and all of them.
    """

    part: Part
    selection: Selection
    values: Mapping[str, Value]
    number: int
    paths: tuple[str, str]

    def read(self) -> Iterator[Block]:
        """Yield the blocks of the file, with the columns in the names of its folders."""
        for block in self.part.read():
            yield block._replace(
                numbers=self._numbers(block) if self.values else block.numbers,
                labels=self._labels(block) if self.values else block.labels,
                warnings=tuple(map(self._of_all, block.warnings)),
                begin=None if block.begin is None else (self.number << FILE_BITS) + block.begin,
            )

    def _numbers(self, block: Block) -> dict[str | None, FloatArray]:
        selected = self.selection.numbers
        if not selected:
            return dict(block.numbers)
        return {
            name: _repeated_number(self.values[name], block.rows) if name in self.values else block.numbers[name]
            for name in selected
        }

    def _labels(self, block: Block) -> dict[str, LabelArray]:
        return {
            name: _repeated_label(self.values[name], block.rows) if name in self.values else block.labels[name]
            for name in self.selection.labels
        }

    def _of_all(self, warning: Warned) -> Warned:
        """Return the same warning of all files, which are counted together."""
        file, together = self.paths
        where = warning.where
        return Warned(
            warning.code,
            together + where.removeprefix(file) if where.startswith(file) else where,
            warning.meaning,
            warning.count,
        )


def _repeated_number(value: Value, rows: int) -> FloatArray:
    return np.full(rows, np.nan if value is None else float(value))


def _repeated_label(value: Value, rows: int) -> LabelArray:
    if isinstance(value, int):
        return np.full(rows, value, np.int64)
    from msecli.arrow.functions import strings

    word = b"" if value is None else value.encode(errors="surrogateescape")
    ends = np.arange(0, (rows + 1) * len(word), len(word), dtype=np.int32) if word else np.zeros(rows + 1, np.int32)
    missing = np.ones(rows, np.bool_) if value is None else None
    return strings(np.frombuffer(word * rows, np.uint8), ends, missing)

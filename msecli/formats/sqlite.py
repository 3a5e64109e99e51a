"""Tables and views of SQLite databases, read by Python's own module in one read-only connection."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from msecli.arrays import FloatArray
from msecli.errors import DataError, ReadWriteError, Warned, many, numbered
from msecli.formats.base import ROUNDED, Block, Column, LabelArray, Selection
from msecli.formats.named import chosen
from msecli.formats.values import Rules, UnreadableValueError, column_of, labels, numbers, rules_of
from msecli.places.base import InputFile
from msecli.places.file import CHUNK_BYTES, copying
from msecli.text.reading import Reading
from msecli.tuples import NamedTuple

ROWS_PER_BLOCK = 65536
SAMPLE_ROWS = 100
COUNTED_TABLES = 20
"""How many tables of several are counted for the message that lists them."""

TABLES = (
    "SELECT name, type, sql FROM sqlite_master WHERE type IN ('table', 'view') "
    "AND name NOT LIKE 'sqlite@_%' ESCAPE '@' ORDER BY rowid"
)

WAIT_SECONDS = 3.0
"""How long to wait for a program that is writing to the database."""

HEADER = struct.Struct(">16s H 6x I I")
"""The start of the file: the magic number, the size of a page, the number of changes, and that of pages."""
VERSIONS = slice(18, 20)
"""Where the versions for writing and for reading stand."""
HEADER_BYTES = 100
CHANGES_COUNTED = 92
"""Where the number of changes stands with which the number of pages was written."""
SMALLEST_PAGE, LARGEST_PAGE = 1 << 9, 1 << 16
WITH_LOG = 2
"""The version of databases with a write-ahead log."""

NOT_READ = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM,
            sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_FULL}  # fmt: skip
"""The errors that say nothing of what the database holds."""

ROWIDS = ("rowid", "oid", "_rowid_")
"""What the number of a row is called, unless a column has the name."""

DATES, TEXTS = ("DATE", "TIME"), ("CHAR", "CLOB", "TEXT")
"""Words in the declared types of dates and of texts. What a column holds decides, except of dates and of nothing."""

NO_ORDER = "the view has no ORDER BY, and its rows were paired as they came; pair them by a key"


class Table(NamedTuple):
    """A table or a view.

    Parameters
    ----------
    name : str
    order : str
        What orders its rows in a query; "" for a view.
    ordered : bool
        Whether its rows have an order.
    """

    name: str
    order: str = ""
    ordered: bool = True


class SqliteSource:
    """A table in a database. See `msecli.formats.base.Source`."""

    format = "sqlite"
    divisible = False

    def __init__(self, file: InputFile, reading: Reading, inner: str = "") -> None:
        self.path = file.path
        self._file = file
        self._rules = rules_of(reading)
        _check_size(file)
        with _connected(file) as database:
            self._log = _log_of(file)
            self._table = _chosen(database, file.path, inner)
            name = _quoted(self._table.name)
            self.rows: int | None = database.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            found = database.execute(f"SELECT * FROM {name} {self._table.order} LIMIT {SAMPLE_ROWS}")
            names, sample = [each[0] for each in found.description], found.fetchall()
            declared = dict(
                database.execute("SELECT name, upper(type) FROM pragma_table_xinfo(?)", [self._table.name]).fetchall()
            )
        if not self.rows:
            raise DataError(f"{file.path}: the table {self._table.name!r} has no rows")
        self.columns: tuple[Column, ...] | None = tuple(
            _column(name, [row[number] for row in sample], declared.get(name) or "", self._rules)
            for number, name in enumerate(names)
        )
        self.item: tuple[int, ...] | None = None
        self.work = self.rows
        self.warnings: Sequence[Warned] = ()
        self.if_by_position: Sequence[Warned] = ()
        if not self._table.ordered:
            self.if_by_position = (Warned("no_order", self.path, NO_ORDER),)

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[SqlitePart]:
        """Return one part: connections of several threads see several states of the database, and are not faster."""
        return [SqlitePart(self._file, self._table, selection, self._rules, self.work)]

    def cuts(self) -> Sequence[int]:
        """Return 0 and the number of rows."""
        return [0, self.work]

    def line(self, row: int, begin: int | None = None) -> None:
        """Return None: there are no lines."""

    def verify(self) -> None:
        """Raise `DataError` if the database has changed since it was opened."""
        self._file.verify()
        if _log_of(self._file) != self._log:
            raise _changed(self.path)


def _changed(path: str) -> DataError:
    return DataError(f"{path}: the database was changed while it was read; run again")


def _column(name: str, values: Sequence[Any], declared: str, rules: Rules) -> Column:
    """Return a column by the first of its values, and by its declared type."""
    found = column_of(name, values, rules)
    empty = all(value is None for value in values)
    if any(word in declared for word in (*DATES, *(TEXTS if empty else ()))):
        return Column(name, declared.lower(), numeric=False)
    return found._replace(kind=declared.lower() or found.kind) if found.numeric else found


class SqlitePart(NamedTuple):
    """The whole table. See `msecli.formats.base.Part`."""

    file: InputFile
    table: Table
    selection: Selection
    rules: Rules
    rows: int

    def read(self) -> Iterator[Block]:
        """Yield blocks of `ROWS_PER_BLOCK`, all of one state of the database."""
        names = tuple(dict.fromkeys((*self.selection.numbers, *self.selection.labels)))
        query = f"SELECT {', '.join(map(_quoted, names))} FROM {_quoted(self.table.name)} {self.table.order}"
        first = 0
        with _connected(self.file) as database:
            found = database.execute(query)
            while rows := found.fetchmany(ROWS_PER_BLOCK):
                yield self._block(first, dict(zip(names, zip(*rows, strict=True), strict=True)), len(rows))
                first += len(rows)
        if first != self.rows:
            raise _changed(self.file.path)

    def _block(self, first: int, columns: dict[str, Sequence[Any]], rows: int) -> Block:
        found: dict[str | None, FloatArray] = {}
        texts: dict[str, LabelArray] = {}
        warnings: list[Warned] = []
        name = ""
        try:
            for name in self.selection.numbers:
                read = numbers(columns[name], self.rules)
                found[name] = read.values
                if read.rounded:
                    where = f"{self.file.path}, column {name!r}"
                    warnings.append(Warned("rounded_integers", where, ROUNDED, read.rounded))
            for name in self.selection.labels:
                texts[name] = labels(columns[name])
        except UnreadableValueError as error:
            place = numbered(first + error.row)
            raise DataError(f"{self.file.path}, {place}, column {name!r}: {error.reason}") from error
        return Block(rows, found, texts, tuple(warnings), work=rows)


def _quoted(name: str) -> str:
    """Return a name as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def names(file: InputFile) -> Sequence[str]:
    """Return the names of the tables and views."""
    _check_size(file)
    with _connected(file) as database:
        return [name for name, _, _ in database.execute(TABLES)]


def _chosen(database: sqlite3.Connection, path: str, inner: str) -> Table:
    """Return the table that is meant, or the only one."""
    kinds = {name: (kind, sql or "") for name, kind, sql in database.execute(TABLES)}
    known = dict.fromkeys(kinds, "")
    if inner not in known and len(known) > 1:
        known |= {name: _size(database, name) for name in [*kinds][:COUNTED_TABLES]}
    name = chosen(path, inner, "table", known)
    kind, sql = kinds[name]
    if kind == "view":
        return Table(name, "", ordered="order by" in " ".join(sql.lower().split()))
    columns = database.execute("SELECT lower(name), name, pk FROM pragma_table_xinfo(?)", [name]).fetchall()
    number = next((each for each in ROWIDS if each not in {lower for lower, _, _ in columns}), None)
    if number is not None and _has(database, name, number):
        return Table(name, f"ORDER BY {number}")
    keys = [_quoted(key) for _, key, place in sorted(columns, key=lambda column: column[2]) if place]
    return Table(name, f"ORDER BY {', '.join(keys)}" if keys else "", ordered=bool(keys))


def _has(database: sqlite3.Connection, table: str, number: str) -> bool:
    """Tell whether the rows of a table have numbers."""
    try:
        database.execute(f"SELECT {number} FROM {_quoted(table)} LIMIT 0")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        return False
    return True


def _size(database: sqlite3.Connection, name: str) -> str:
    try:
        (rows,) = database.execute(f"SELECT count(*) FROM {_quoted(name)}").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        return "(cannot be read)"  # a view of a table that is gone
    return f"({many(rows, 'row')})"


def _check_size(file: InputFile) -> None:
    """Refuse a database of which pages are missing; those of a write-ahead log are not in it yet.

    SQLite itself takes what is missing of the last page for zeros.
    """
    head = file.read(HEADER_BYTES, 0)
    if len(head) < HEADER_BYTES:
        raise DataError(f"{file.path}: the database is cut off: {file.size} bytes are there; is it an incomplete copy?")
    _, page, changes, pages = HEADER.unpack_from(head)
    page = LARGEST_PAGE if page == 1 else page
    counted = struct.unpack_from(">I", head, CHANGES_COUNTED)[0] == changes
    whole = page >= SMALLEST_PAGE and file.size % page == 0 and not (counted and file.size < page * pages)
    if not whole and not _log_of(file):
        raise DataError(
            f"{file.path}: the database has {file.size} bytes, but its header says {pages} pages of {page} bytes; "
            "is it an incomplete copy?"
        )


def _named(file: InputFile) -> str | None:
    """Return the path of a file that SQLite can open by its name, None for streams and other places."""
    opened = file.for_arrow()
    if not isinstance(opened, str):
        return None
    path = os.path.realpath(opened)
    return path if os.path.exists(path) and os.path.samefile(path, opened) else None


def _log_of(file: InputFile) -> tuple[int, int] | None:
    """Return the size and the time of the write-ahead log beside a database, None if there is none."""
    path = _named(file)
    try:
        status = os.stat(f"{path}-wal") if path else None
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns) if status and status.st_size else None


@contextmanager
def _connected(file: InputFile) -> Iterator[sqlite3.Connection]:
    """Connect to a database, and read one state of it; any thread may go on with what another one has begun to read.

    A database with a write-ahead log makes SQLite keep another file beside it. If there is no log, nobody is writing
    to it, so that it can be read as it stands; if there is one that no program has open, both are copied.
    """
    path, log = _named(file), _log_of(file)
    logged = WITH_LOG in file.read(HEADER_BYTES, 0)[VERSIONS]
    with ExitStack() as stack:
        if path is None or (log and not os.path.exists(f"{path}-shm")):
            with copying(file.path):
                path = _copied(file, path, stack.enter_context(tempfile.TemporaryDirectory(prefix="msecli-")))
        still = "&immutable=1" if logged and not log else ""
        try:
            database = stack.enter_context(
                closing(
                    sqlite3.connect(
                        f"{Path(path).as_uri()}?mode=ro{still}",
                        uri=True,
                        timeout=WAIT_SECONDS,
                        isolation_level=None,
                        check_same_thread=False,
                    )
                )
            )
            for setting in ("PRAGMA query_only = ON", "PRAGMA trusted_schema = OFF", "PRAGMA cell_size_check = ON"):
                database.execute(setting)
            database.execute("BEGIN")
            yield database
        except sqlite3.Error as error:
            raise _explained(file.path, error) from error
        except UnicodeDecodeError as error:
            raise DataError(f"{file.path}: a name in the database is not UTF-8; is it damaged?") from error


def _copied(file: InputFile, path: str | None, folder: str) -> str:
    """Copy a database, and the log beside it if it has a path, into a folder; return the path of the copy."""
    copy, position = os.path.join(folder, "copy.db"), 0
    with open(copy, "wb") as stream:
        while file.reaches(position):
            position += stream.write(file.read(CHUNK_BYTES, position))
    if path is not None:
        shutil.copyfile(f"{path}-wal", f"{copy}-wal")
    return copy


def _explained(path: str, error: sqlite3.Error) -> DataError | ReadWriteError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    reason = " ".join(str(error).split())
    if code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return ReadWriteError(f"{path}: another program is writing to the database; run again when it has ended")
    if code & 0xFF in NOT_READ:
        return ReadWriteError(
            f"{path}: cannot read the database ({reason}); if a program that wrote to it was interrupted, "
            "open it once with sqlite3"
        )
    if code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return DataError(f"{path}: the database is damaged ({reason}); copy or export it again")
    return DataError(f"{path}: the table cannot be read ({reason})")

"""SQLite databases.

Expected values are those that were inserted; losses are hand arithmetic over them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

import msecli
from msecli.errors import DataError, ReadWriteError
from msecli.formats import sqlite
from msecli.text.reading import Reading
from tests.files import held, opened, sqlite_bytes

Run = Callable[..., Any]

SCORES = (
    "CREATE TABLE scores (id INTEGER PRIMARY KEY, pred REAL, target REAL, name TEXT)",
    "INSERT INTO scores VALUES (1, 1.5, 2, 'a'), (2, 2, 4, 'b')",
)
LOSS = 2.125
"""The mean of 0.25 and 4."""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield the folder of temporary files, which is empty in the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def put(name: str, *statements: str) -> str:
    with closing(sqlite3.connect(name)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()
    return name


def refusal(name: str, **way: Any) -> str:
    with pytest.raises(DataError) as caught:
        msecli.score(name, **way)
    return str(caught.value)


@pytest.mark.parametrize("name", ["x.db", "x.sqlite", "x.sqlite3", "x.unknown", "a?b#c%20.db", "é x.db"])
def test_the_only_table_needs_no_name_and_the_content_tells_the_format(name: str, run: Run) -> None:
    put(name, *SCORES)
    ran = run("compute", name)
    assert (ran.code, ran.out, ran.err) == (0, f"{LOSS}\n", "")


@pytest.mark.parametrize("name", ["scores", "SCORES"])
def test_a_table_or_a_view_is_named_in_any_case(name: str) -> None:
    view = "CREATE VIEW best AS SELECT pred, target FROM scores WHERE id = 1"
    put("x.db", *SCORES, "CREATE TABLE runs (x)", view)
    assert msecli.score(f"x.db::{name}").loss == LOSS
    assert msecli.score("x.db::best").loss == 0.25


def test_tables_are_listed_with_their_rows_and_the_nearest_name() -> None:
    put("x.db", *SCORES, "CREATE TABLE runs (x)", "CREATE VIEW broken AS SELECT y FROM runs")
    listed = "'scores' (2 rows), 'runs' (0 rows), 'broken' (cannot be read)"
    several = f"x.db: the file holds several tables: {listed}; name one of them: x.db::scores"
    assert refusal("x.db") == several
    assert refusal("x.db::").endswith("; name one of them: x.db::scores")
    assert refusal("x.db::score") == f"x.db::score: no table 'score'; did you mean 'scores'?; there is {listed}"
    assert refusal("x.db::broken") == "x.db::broken: the table cannot be read (no such column: y)"
    assert refusal("x.db::runs") == "x.db::runs: the table 'runs' has no rows"
    put("none.db", "CREATE TABLE x (y)", "DROP TABLE x")
    assert refusal("none.db") == "none.db: the file holds no table"


def test_names_are_never_taken_for_sql() -> None:
    table, column = 'a"b; DROP TABLE scores; --', "t'\"; --é"
    quoted = ['"' + name.replace('"', '""') + '"' for name in (table, column)]
    put(
        "x.db",
        *SCORES,
        f"CREATE TABLE {quoted[0]} (pred, {quoted[1]})",
        f"INSERT INTO {quoted[0]} VALUES (1, 3)",
    )
    assert msecli.score(f"x.db::{table}", pred="pred", target=column).loss == 4.0
    assert "no table" in refusal("x.db::scores; DROP TABLE scores")
    assert msecli.score("x.db::scores").loss == LOSS


def test_rows_come_in_the_order_of_their_numbers_or_of_their_key() -> None:
    put("x.db", "CREATE TABLE t (x, y)", "INSERT INTO t (rowid, x, y) VALUES (9, 1, 1), (-3, 2, 2), (4, 3, 3)")
    put("x.db", "CREATE INDEX i ON t (x)")  # which SQLite reads instead of the table where it may
    assert held(opened("x.db"), ["x"]).numbers["x"].tolist() == [2.0, 3.0, 1.0]
    # A column called rowid is none.
    put("y.db", "CREATE TABLE t (rowid, x)", "INSERT INTO t (oid, rowid, x) VALUES (2, 1, 1), (1, 2, 2)")
    assert held(opened("y.db"), ["x"]).numbers["x"].tolist() == [2.0, 1.0]
    put("k.db", "CREATE TABLE t (x, a, b, PRIMARY KEY (b, a DESC)) WITHOUT ROWID")
    put("k.db", "INSERT INTO t VALUES (1, 1, 2), (2, 2, 1), (3, 1, 1)")
    assert held(opened("k.db"), ["x"]).numbers["x"].tolist() == [3.0, 2.0, 1.0]


def test_views_without_an_order_are_told_where_rows_are_paired_by_position() -> None:
    put(
        "x.db",
        *SCORES,
        "CREATE VIEW p AS SELECT id, pred FROM scores",
        "CREATE VIEW o AS SELECT id, pred FROM scores ORDER BY id",
        "CREATE VIEW one AS SELECT pred, target FROM scores",
    )

    def codes(*paths: str, **way: Any) -> list[str]:
        return [warning.code for warning in msecli.score(*paths, **way).warnings]

    assert "no_order" in codes("x.db::p", "x.db::scores", pred="pred", target="target")
    assert "no_order" not in codes("x.db::p", "x.db::scores", pred="pred", target="target", on="id")
    assert "no_order" not in codes("x.db::o", "x.db::scores", pred="pred", target="target")
    assert "no_order" not in codes("x.db::one")


def test_columns_are_what_they_hold_and_dates_are_no_numbers() -> None:
    put(
        "x.db",
        "CREATE TABLE t (i INTEGER, r REAL, n NUMERIC(10, 2), t TEXT, b BOOLEAN, d DATE, e, m VARCHAR(9), z TEXT)",
        "INSERT INTO t VALUES (1, 1.5, 2.25, 'x', 1, '2020-01-02', 5, '7', NULL)",
    )
    assert [(column.name, column.kind, column.numeric) for column in opened("x.db").columns or ()] == [
        ("i", "integer", True), ("r", "real", True), ("n", "numeric(10, 2)", True), ("t", "text such as 'x'", False),
        ("b", "boolean", True), ("d", "date", False), ("e", "number", True), ("m", "text such as '7'", False),
        ("z", "text", False),
    ]  # fmt: skip


def test_generated_columns_are_read() -> None:
    put("x.db", "CREATE TABLE t (pred REAL, target REAL GENERATED ALWAYS AS (pred * 2))", "INSERT INTO t VALUES (3)")
    assert msecli.score("x.db").loss == 9.0


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("'abc'", "row 3, column 'pred': 'abc' is a text, not a number; if it means missing, use na_values='abc'"),
        ("'1.5 '", "row 3, column 'pred': '1.5 ' is a text, not a number; store it as a number"),
        ("x'00'", "row 3, column 'pred': bytes are not numbers"),
        ("NULL", "column 'pred': 1 of 3 values missing, the first in row 3"),
        ("''", "column 'pred': 1 of 3 values missing, the first in row 3"),
        ("'NA'", "column 'pred': 1 of 3 values missing, the first in row 3"),
    ],
)
def test_what_is_no_number_is_told_with_its_row(value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put("x.db", SCORES[0].replace("REAL", ""), SCORES[1], f"INSERT INTO scores VALUES (3, {value}, 1, 'c')")
    for rows in (1, 2, 65536):
        monkeypatch.setattr(sqlite, "ROWS_PER_BLOCK", rows)
        message = refusal("x.db")
        assert said in message.replace("reading=Reading(na_values='abc')", "na_values='abc'")
    if value != "x'00'":
        reading = Reading(na_values=("abc", "1.5 "))
        assert msecli.score("x.db", nan_pred="omit", reading=reading).loss == LOSS


def test_integers_and_infinities_are_exact_or_told() -> None:
    put("x.db", "CREATE TABLE t (pred, target)", f"INSERT INTO t VALUES ({2**53 + 1}, 0), (9e999, -9e999), (2, 3)")
    read = held(opened("x.db"), ["pred", "target"], ["pred"])
    assert read.numbers["pred"].tolist() == [2.0**53, float("inf"), 2.0]
    assert read.labels["pred"] == [str(2**53 + 1), "inf", "2"]
    assert [(warning.code, warning.count) for warning in read.warnings] == [("rounded_integers", 1)]


def test_keys_of_64_bits_are_exact() -> None:
    keys = [2**63 - 1, 2**63 - 2, -(2**63)]
    put("x.db", "CREATE TABLE t (k INTEGER, pred)", f"INSERT INTO t VALUES ({'),('.join(f'{k}, 1' for k in keys)})")
    assert held(opened("x.db"), ["pred"], ["k"]).labels["k"] == keys


def test_a_log_beside_the_database_is_read_and_nothing_is_left_behind(temporary: Path) -> None:
    with closing(sqlite3.connect("x.db")) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        for statement in SCORES:
            writer.execute(statement)
        writer.commit()
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        writer.execute("INSERT INTO scores VALUES (3, 5, 1, 'c')")
        writer.commit()
        # The mean of 0.25, 4 and 16, while a program has the database open.
        assert msecli.score("x.db").loss == 6.75
        # A copy that was made meanwhile, of both files, is read too; and without its log as it was before.
        shutil.copy("x.db", "both.db")
        shutil.copy("x.db-wal", "both.db-wal")
        shutil.copy("x.db", "alone.db")
    assert msecli.score("both.db").loss == 6.75
    assert msecli.score("alone.db").loss == LOSS
    assert msecli.score("x.db").loss == 6.75
    assert sorted(os.listdir()) == ["alone.db", "both.db", "both.db-wal", "temporary", "x.db"]


def test_a_change_in_the_log_is_noticed() -> None:
    with closing(sqlite3.connect("x.db")) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        for statement in SCORES:
            writer.execute(statement)
        writer.commit()
        found = opened("x.db")
        found.verify()
        writer.execute("INSERT INTO scores VALUES (3, 5, 1, 'c')")
        writer.commit()
        with pytest.raises(DataError, match="changed while it was read"):
            found.verify()


def test_a_locked_database_is_told_and_an_interrupted_write_too(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setattr(sqlite, "WAIT_SECONDS", 0.01)
    put("x.db", *SCORES)
    with closing(sqlite3.connect("x.db", isolation_level=None)) as writer:
        writer.execute("PRAGMA cache_size = 1")
        writer.execute("BEGIN EXCLUSIVE")
        ran = run("compute", "x.db")
        assert (ran.code, ran.out) == (4, "")
        assert "another program is writing to the database" in ran.err
        writer.execute("UPDATE scores SET name = zeroblob(100000)")
        shutil.copy("x.db", "y.db")
        shutil.copy("x.db-journal", "y.db-journal")
        writer.execute("ROLLBACK")
    with pytest.raises((ReadWriteError, DataError), match=r"open it once with sqlite3|incomplete copy"):
        msecli.score("y.db")
    assert msecli.score("x.db").loss == LOSS


def test_a_database_is_only_read(run: Run) -> None:
    put("x.db", *SCORES)
    Path("x.db").chmod(0o444)
    Path.cwd().chmod(0o555)
    before = Path("x.db").read_bytes()
    try:
        assert run("compute", "x.db").out == f"{LOSS}\n"
    finally:
        Path.cwd().chmod(0o755)
    assert Path("x.db").read_bytes() == before


def test_a_database_that_cannot_be_copied_is_an_error_of_reading(
    temporary: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("x.db", *SCORES)
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.tempdir", "/nonexistent")
        ran = run("compute", "-", stdin=Path("x.db").read_bytes())
    assert (ran.code, ran.out) == (4, "")
    assert ran.err == "Error: -: cannot be copied to a temporary file: No such file or directory; see TMPDIR\n"


def test_a_database_may_come_through_a_pipe(temporary: Path, run: Run) -> None:
    put("x.db", *SCORES, "CREATE TABLE runs (pred, target)", "INSERT INTO runs VALUES (1, 4)")
    assert run("compute", "--", "-::runs", stdin=Path("x.db").read_bytes()).out == "9.0\n"
    ran = run("compute", "-", stdin=Path("x.db").read_bytes())
    assert (ran.code, ran.err.endswith("name one of them: /dev/stdin::scores\n")) == (3, True)


def test_damage_is_an_error_or_changes_no_number_of_rows(temporary: Path) -> None:
    values = [float(n) for n in range(60)]
    whole = sqlite_bytes({"pred": values, "target": values})
    random = Random(1)  # noqa: S311 - bytes, not secrets
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(random.choice([1, 3])):
            content[random.randrange(len(content))] = random.randrange(256)
        Path("x.db").write_bytes(content)
        # Databases have no checksums: what is left of a number cannot be told from it.
        with contextlib.suppress(DataError, ReadWriteError):
            way: dict[str, Any] = {"nan_pred": "propagate", "nan_target": "propagate"}
            assert msecli.score("x.db", pred="pred", target="target", **way).rows.prediction > 0


def test_a_database_of_duckdb_is_told_how_to_export_it(run: Run) -> None:
    for name in ("x.db", "x.duckdb", "x"):
        Path(name).write_bytes(bytes(8) + b"DUCK" + bytes(4000))
        ran = run("compute", name)
        assert (ran.code, ran.out) == (3, "")
        assert "DuckDB database; export the table: COPY name TO 'name.parquet'" in ran.err

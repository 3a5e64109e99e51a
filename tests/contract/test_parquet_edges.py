"""Parquet files whose footer describes other pages than those that are there, and columns that are no labels.

Expected losses are hand arithmetic, written beside the values.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

Run = Callable[..., Any]

LOSS = 1 / 3
"""Of predictions 1, 2, 3 against targets 1, 2, 4."""


def write(path: Path, prediction: list[float], last: Any, **options: Any) -> Path:
    columns = {"pred": prediction, "target": [1.0, 2.0, 4.0], "other": [0.0, 0.0, 0.0], "last": last}
    pq.write_table(pa.table(columns), path, **options)
    return path


LASTS = {
    "number": pa.array([1.0, 2.0, 3.0]),
    "text": pa.array(["a", "b", "c"]),
    "list": pa.array([[1, 2], [], None]),
    "struct": pa.array([{"a": 1, "b": "x"}] * 3),
}


@pytest.mark.parametrize("options", [{}, {"row_group_size": 1}, {"write_page_index": True}], ids=str)
@pytest.mark.parametrize("last", LASTS)
@pytest.mark.parametrize("target", ["target", "other", "last"])
def test_two_files_joined_by_cat_are_refused_whichever_columns_are_read(
    run: Run, tmp_path: Path, last: str, target: str, options: dict[str, Any]
) -> None:
    first = write(tmp_path / "a.parquet", [1.0, 2.0, 3.0], LASTS[last], **options)
    second = write(tmp_path / "b.parquet", [10.0, 20.0, 30.0], LASTS[last], **options)
    joined = tmp_path / "joined.parquet"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    if target == "target":
        assert float(run("compute", first, "-p", "pred", "-t", target).out) == LOSS
    ran = run("compute", joined, "-p", "pred", "-t", target)
    assert (ran.code, ran.out) == (3, "")
    assert target == "last" or "several Parquet files were joined into one" in ran.err


def test_joined_files_are_refused_where_the_last_column_cannot_be_read(run: Run, tmp_path: Path) -> None:
    options = {"write_page_checksum": True, "compression": "none", "use_dictionary": False}
    paths = [
        write(tmp_path / name, prediction, ["unreadable", "b", "c"], **options)
        for name, prediction in (("a.parquet", [1.0, 2.0, 3.0]), ("b.parquet", [10.0, 20.0, 30.0]))
    ]
    damaged = [path.read_bytes().replace(b"unreadable", b"UNREADABLE", 1) for path in paths]
    joined = tmp_path / "joined.parquet"
    joined.write_bytes(b"".join(damaged))
    ran = run("compute", joined, "-p", "pred", "-t", "target")
    assert (ran.code, ran.out) == (3, "")
    assert "several Parquet files were joined into one" in ran.err
    joined.write_bytes(damaged[0])
    assert float(run("compute", joined, "-p", "pred", "-t", "target").out) == LOSS


@pytest.mark.parametrize("option", ["--by", "--on"])
@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([[1, 2], [], None]), "list<element: int64>"),
        (pa.array([{"a": 1}] * 3), "struct<a: int64>"),
        (pa.array([b"a", b"\xff", b"b"]), "binary"),
        (pa.array([b"\xfe\xff"] * 3, pa.binary(2)), "fixed_size_binary[2]"),
        (pa.array([[("a", 1)]] * 3, pa.map_(pa.string(), pa.int64())), "map<string, int64>"),
    ],
    ids=["list", "struct", "bytes", "fixed bytes", "map"],
)
def test_a_column_that_cannot_be_a_label_is_named_with_its_type(
    run: Run, tmp_path: Path, option: str, column: Any, kind: str
) -> None:
    path = write(tmp_path / "a.parquet", [1.0, 2.0, 3.0], column)
    files = [path] if option == "--by" else [path, path]
    ran = run("compute", *files, "-p", "pred", "-t", "target", option, "last")
    assert (ran.code, ran.out) == (3, "")
    assert f"{path}, column 'last': the column is of type " in ran.err
    assert kind.partition("<")[0] in ran.err
    assert "upload" not in ran.err


def test_bytes_that_are_text_are_labels(run: Run, tmp_path: Path) -> None:
    # Older writers leave out that a column of bytes is text.
    path = write(tmp_path / "a.parquet", [1.0, 2.0, 3.0], pa.array([b"a", b"b", b"a"]))
    ran = run("compute", path, "-p", "pred", "-t", "target", "--by", "last")
    # Errors 0 and 1 in group a, 0 in group b.
    assert (ran.code, ran.out.splitlines()[:2]) == (0, ["a\t0.5", "b\t0.0"])


UUIDS = [uuid.UUID(int=number) for number in (1, 1 << 100, (1 << 128) - 1)]


def with_uuids(path: Path, column: str, values: list[float], identities: Sequence[uuid.UUID | None]) -> Path:
    storage = pa.array([None if each is None else each.bytes for each in identities], pa.binary(16))
    identity = pa.ExtensionArray.from_storage(pa.uuid(), storage)
    pq.write_table(pa.table({"who": identity, column: values}), path)
    return path


@pytest.mark.parametrize("text", [False, True], ids=["UUIDs", "text"])
def test_uuids_are_keys_and_show_that_rows_belong_together(run: Run, tmp_path: Path, text: bool) -> None:
    prediction = with_uuids(tmp_path / "p.parquet", "pred", [1.0, 2.0, 3.0], [*UUIDS])
    target = with_uuids(tmp_path / "t.parquet", "target", [4.0, 2.0, 1.0], UUIDS[::-1])
    if text:
        rows = zip(reversed(UUIDS), [4.0, 2.0, 1.0], strict=True)
        target = tmp_path / "t.csv"
        target.write_text("who,target\n" + "".join(f"{each},{value}\n" for each, value in rows))
    # Errors 0, 0 and 1.
    assert run("compute", prediction, target, "--on", "who").out == f"{LOSS}\n"
    refused = run("compute", prediction, target)
    assert (refused.code, "--on who" in refused.err, str(UUIDS[0]) in refused.err) == (3, True, True)
    assert run("compute", prediction, target, "--no-row-check").code == 0


def test_a_missing_uuid_is_a_missing_key(run: Run, tmp_path: Path) -> None:
    prediction = with_uuids(tmp_path / "p.parquet", "pred", [1.0, 2.0, 3.0], [UUIDS[0], None, UUIDS[2]])
    target = with_uuids(tmp_path / "t.parquet", "target", [1.0, 2.0, 4.0], [*UUIDS])
    assert "missing" in run("compute", prediction, target, "--on", "who").err
    # 0 and 1 over two rows.
    assert run("compute", prediction, target, "--on", "who", "--unmatched", "skip").out == "0.5\n"

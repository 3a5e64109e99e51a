"""Compressed text is scored by the workers of a Dask cluster, a file by one of them, as by threads of this process.

The scheduler and two workers are processes of their own. What is expected is the result of the local engine.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import msecli
from tests.conftest import Ran
from tests.engines.cluster import Cluster
from tests.engines.test_agreement import all_of
from tests.engines.test_dask import TEXT, texts_of

pytest.importorskip("distributed")

ROWS = 900
SIZES = (300, 1, 0, 599)
OTHER_SIZES = (500, 400)
NOTES = ("plain", '"a\n1,2,b\n"', '"' + "3,4,c\n" * 70 + '"')
CODECS: Mapping[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda text: pa.compress(text, "zstd", asbytes=True),
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make many tasks of small files."""
    for constant, value in {
        "msecli.formats.csv.PART_BYTES": 2_000,
        "msecli.scoring.spans.BYTES_PER_SECOND": 5_000,
        "msecli.scoring.spans.VALUES_PER_SECOND": 200,
    }.items():
        monkeypatch.setattr(constant, value)


def rows() -> list[tuple[object, ...]]:
    return [(row % 7 + 0.25, row % 5, NOTES[row % 97 % 3 if row % 3 else 0]) for row in range(ROWS)]


def compressed(path: Path, text: str, codec: str = "gz") -> Path:
    path = path.with_name(f"{path.name}.{codec}")
    path.write_bytes(CODECS[codec](text.encode()))
    return path


def folder_of(path: Path, texts: Sequence[str], codec: str = "gz") -> Path:
    path.mkdir()
    for number, text in enumerate(texts):
        compressed(path / f"{number}.csv", text, codec)
    return path


@pytest.mark.parametrize("codec", CODECS)
def test_a_file_and_a_folder_are_scored_as_here(cluster: Cluster, tmp_path: Path, codec: str) -> None:
    (whole,) = texts_of(rows(), (ROWS,))
    file = compressed(tmp_path / "x.csv", whole, codec)
    folder = folder_of(tmp_path / "f", texts_of(rows(), SIZES), codec)
    np.save(tmp_path / "w.npy", np.random.default_rng(3).random(ROWS))
    cases: tuple[dict[str, Any], ...] = (
        {"metrics": "all", "by": "note"},
        {"weight_file": tmp_path / "w.npy", "worst": 3},
        {"batch_size": 64},
    )
    for data in (file, folder):
        for more in cases:
            found = msecli.score(data, engine="dask", scheduler=cluster.address, **more)
            assert all_of(found) == all_of(msecli.score(data, **more))


@pytest.mark.parametrize("other", ["folder.gz", "file.gz", "file.csv", "key"])
def test_rows_of_a_folder_are_paired_with_those_of_files_cut_elsewhere(
    cluster: Cluster, tmp_path: Path, other: str
) -> None:
    lines = [(row % 7 + 0.25, row % 5, row) for row in range(ROWS)]
    folder = folder_of(tmp_path / "f", texts_of(lines, SIZES))
    (whole,) = texts_of(lines, (ROWS,))
    more: dict[str, Any] = {"pred": "pred", "target": "target", "metrics": "all"}
    if other == "folder.gz":
        target: Path = folder_of(tmp_path / "t", texts_of(lines, OTHER_SIZES))
    elif other == "file.csv":
        target = tmp_path / "t.csv"
        target.write_text(whole)
    elif other == "key":
        target, more["on"] = folder_of(tmp_path / "t", texts_of(lines[::-1], OTHER_SIZES)), "note"
    else:
        target = compressed(tmp_path / "t.csv", whole)
    found = msecli.score(folder, target, engine="dask", scheduler=cluster.address, **more)
    assert all_of(found) == all_of(msecli.score(folder, target, **more))


@pytest.mark.parametrize(("row", "bad"), [(3, "1,two,x"), (450, "1,2"), (700, '1,2,"open'), (ROWS - 1, ",2,x")])
@pytest.mark.parametrize("sizes", [(ROWS,), SIZES], ids=["file", "folder"])
def test_a_bad_row_has_the_same_message(
    cluster: Cluster, tmp_path: Path, run: Callable[..., Ran], row: int, bad: str, sizes: tuple[int, ...]
) -> None:
    lines: list[tuple[object, ...]] = [(each + 0.5, each % 7, "x") for each in range(ROWS)]
    lines[row] = tuple(bad.split(","))
    texts = texts_of(lines, sizes)
    data = compressed(tmp_path / "x.csv", texts[0]) if len(sizes) == 1 else folder_of(tmp_path / "f", texts)
    expected = run("compute", data)
    assert run("compute", data, "--engine", "dask", "--scheduler", cluster.address) == expected
    assert expected.code == 3


@pytest.mark.parametrize("bad", [None, 100], ids=["alone", "behind a bad row"])
def test_a_damaged_file_has_the_same_message(
    cluster: Cluster, tmp_path: Path, run: Callable[..., Ran], bad: int | None
) -> None:
    random = np.random.default_rng(4).normal(size=(200_000, 2)).tolist()
    lines: list[tuple[object, ...]] = [(*pair, "x") for pair in random]
    if bad is not None:
        lines[bad] = ("no number", 2, "x")
    path = compressed(tmp_path / "x.csv", texts_of(lines, (len(lines),))[0])
    path.write_bytes(path.read_bytes()[:-1000])
    expected = run("compute", path)
    assert run("compute", path, "--engine", "dask", "--scheduler", cluster.address) == expected
    assert (expected.code, ("data are damaged" in expected.err) == (bad is None)) == (3, True)


def test_a_file_is_one_task_that_is_planned_and_counted_as_one(
    cluster: Cluster, tmp_path: Path, run: Callable[..., Ran]
) -> None:
    folder = folder_of(tmp_path / "f", texts_of([(1.25, 2, 20 * "x")] * ROWS, (300, 300, 300)))
    words = ("compute", folder, "--engine", "dask", "--scheduler", cluster.address, "--explain-plan")
    ran = run(*words)
    told = {name: int(value) for name, value in (line.split("\t") for line in ran.out.splitlines())}
    assert (told["surveys"], told["tasks"]) == (3, 3)


def test_what_is_no_text_and_what_has_no_name_are_refused(
    cluster: Cluster, tmp_path: Path, run: Callable[..., Ran]
) -> None:
    np.save(tmp_path / "x.npy", np.ones(100))
    (tmp_path / "x.npy.gz").write_bytes(gzip.compress((tmp_path / "x.npy").read_bytes()))
    engine = ("--engine", "dask", "--scheduler", cluster.address)
    ran = run("compute", tmp_path / "x.npy.gz", tmp_path / "x.npy", *engine)
    assert (ran.code, "reads npy files in parts, and" in ran.err, "x.npy.gz is compressed" in ran.err) == (
        2,
        True,
        True,
    )
    text = gzip.compress(("\n".join([",".join(TEXT), "1,2,x"]) + "\n").encode())
    ran = run("compute", "-", *engine, stdin=text)
    assert (ran.code, "- is a stream; write it to a file" in ran.err) == (2, True)

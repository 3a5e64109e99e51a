"""HDF5 files. Expected values are those that were written with h5py; damage is done to the bytes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import msecli
from msecli.errors import DataError, ReadWriteError
from msecli.formats import FORMATS
from msecli.formats.base import ARRAY, Selection
from tests.files import held, opened, write

h5py = pytest.importorskip("h5py", reason="h5py is not installed")

Run = Callable[..., Any]

PREDICTION, TARGET = np.array([1.0, 2.5, -3.0]), np.array([2.0, 2.5, -1.0])
# The mean of 1, 0 and 4.
LOSS = 5 / 3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.h5"


def refusal(path: Path | str) -> str:
    with pytest.raises(DataError) as caught:
        held(opened(path))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_a_dataset_is_chosen_by_its_path(path: Path, run: Run) -> None:
    with h5py.File(path, "w") as file:
        file["run 1/pred"] = PREDICTION
        file["target"] = TARGET
    assert msecli.score(f"{path}::run 1/pred", f"{path}::target").loss == LOSS
    assert msecli.score(f"{path}::/run 1//pred", f"{path}::/target").loss == LOSS
    ran = run("compute", f"{path}::run 1/pred", f"{path}::target")
    assert (ran.code, ran.out) == (0, f"{LOSS!r}\n")
    message = refusal(path)
    assert "'run 1/pred' (3,) float64, 'target' (3,) float64; name one of them: " in message
    assert message.endswith(f"; name one of them: '{path}::run 1/pred'")
    assert refusal(f"{path}::run 1/prd").endswith("did you mean 'run 1/pred'?")
    assert "no dataset or group 'target/x'" in refusal(f"{path}::target/x")


def test_the_group_that_is_suggested_is_a_table(path: Path, run: Run) -> None:
    with h5py.File(path, "w") as file:
        file["about"] = "text"
        file["other/short"], file["other/long"] = [1.0], TARGET
        file["runs/first/pred"], file["runs/first/target"] = PREDICTION, TARGET
    ran = run("compute", path)
    one, group = (
        ran.err.partition("; name one of them: ")[2].strip().split(", or a group, whose datasets are columns: ")
    )
    assert (one, group) == (f"{path}::other/long", f"{path}::runs/first")
    assert run("compute", group).out == f"{LOSS!r}\n"
    with h5py.File(path, "a") as file:
        del file["runs"]
    assert "or a group" not in refusal(path)


def test_the_only_dataset_needs_no_path(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["deep/down/x"] = PREDICTION
    assert msecli.score(path, TARGET).loss == LOSS


OPTIONS: list[dict[str, Any]] = [
    {},
    {"chunks": (4, 2)},
    {"chunks": (100, 3), "maxshape": (None, 3)},
    {"chunks": (3, 3), "compression": "gzip", "shuffle": True, "fletcher32": True},
    {"chunks": (3, 3), "compression": "lzf"},
    {"chunks": (3, 1), "fletcher32": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_chunks_and_compression_make_no_difference(path: Path, options: dict[str, Any], libver: str) -> None:
    array = np.sqrt(np.arange(60.0)).reshape(20, 3)
    with h5py.File(path, "w", libver=libver) as file:
        file.create_dataset("x", data=array, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("msecli.formats.stored.PART_ELEMENTS", 15)
        source = opened(path)
        assert np.array_equal(held(source, jobs=2).array, array)
        # A part of up to 5 rows has whole chunks.
        step = {4: 4, 3: 3}.get(options.get("chunks", (5,))[0], 5)
        assert list(source.cuts() or ())[:2] == [0, 20 if options.get("maxshape") else step]


@pytest.mark.parametrize("kind", [">f8", ">i4", "<u2", "f2", "?", "i8", "u8", "<f4"])
@pytest.mark.parametrize("shape", [(6,), (3, 2), (1, 2, 3)])
def test_numbers_of_any_type_and_shape_are_read(path: Path, kind: str, shape: tuple[int, ...]) -> None:
    array = np.arange(6).astype(kind).reshape(shape)
    with h5py.File(path, "w") as file:
        file["x"] = array
    source = opened(path)
    assert (source.rows, source.item) == (shape[0], shape[1:])
    assert np.array_equal(held(source).array, array.astype(np.float64))


def test_the_bfloat16_of_hdf5_is_read_exactly(path: Path) -> None:
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_size(2)
    kind.set_ebias(127)
    values = np.array([1.0078125, -2.0, 3.0], "f4")
    with h5py.File(path, "w") as file:
        h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple((3,))).write(h5py.h5s.ALL, h5py.h5s.ALL, values)
    assert held(opened(path)).array.tolist() == values.tolist()


def test_bytes_without_a_type_are_not_guessed_at(path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    with h5py.File(path, "w") as file:
        file["x"] = PREDICTION.astype(ml_dtypes.bfloat16)  # kept as opaque bytes, without a word on what they are
    assert "bytes, not numbers" in refusal(path)


def test_rounded_integers_are_counted(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = [2**53 + 1, 1]
    assert [(each.code, each.count) for each in held(opened(path)).warnings] == [("rounded_integers", 1)]


RECORDS = np.array(
    [(7, (0.5, 1), "a", b"x", [1, 2]), (2**60 + 1, (2.5, 2), "é", b"", [3, 4])],
    dtype=[
        ("id", "i8"), ("out", [("pred", ">f4"), ("n", "u1")]), ("name", h5py.string_dtype()), ("code", "S2"),
        ("emb", "f4", (2,)),
    ],
)  # fmt: skip


def test_the_fields_of_records_are_columns(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = RECORDS
    source = opened(path)
    assert [(column.name, column.numeric) for column in source.columns or ()] == [
        ("id", True), ("out.pred", True), ("out.n", True), ("name", False), ("code", False), ("emb", False),
    ]  # fmt: skip
    found = held(source, ["out.pred"], ["id", "name", "code"])
    assert found.numbers["out.pred"].tolist() == [0.5, 2.5]
    assert found.labels == {"id": [7, 2**60 + 1], "name": ["a", "é"], "code": ["x", ""]}
    assert held(source, ["emb"]).numbers["emb"].tolist() == [[1, 2], [3, 4]]
    with pytest.raises(DataError, match=r"column 'emb': every row holds an array of shape \(2,\), which is no label"):
        held(source, [], ["emb"])


def test_datasets_of_a_group_are_columns(path: Path, run: Run) -> None:
    with h5py.File(path, "w") as file:
        group = file.create_group("val")
        group["yhat"], group["y"] = PREDICTION, TARGET
        group["id"] = ["c", "a", "b"]
        group["ok"] = np.array([True, False, True])
        group["step"] = 3
        group.create_group("more")["x"] = [1]
        group.attrs["note"] = "x"
        file["y"] = TARGET[[1, 2, 0]]
        file["id"] = ["a", "b", "c"]
    source = opened(f"{path}::val")
    assert {column.name: column.numeric for column in source.columns or ()} == {
        "id": False, "ok": True, "y": True, "yhat": True,
    }  # fmt: skip
    assert msecli.score(f"{path}::val", pred="yhat", target="y").loss == LOSS
    with pytest.raises(DataError, match="column 'id': it holds text"):
        msecli.score(f"{path}::val", pred="id", target="y")
    # Another group, paired by key; the root is one, too.
    assert msecli.score(f"{path}::val", f"{path}::/", pred="yhat", target="y", on="id").loss == LOSS
    ran = run("compute", f"{path}::val", "-p", "yhat", "-t", "y", "--by", "ok", "-r", "sum")
    assert ran.out.splitlines()[:2] == ["false\t0.0", "true\t5.0"]


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 100])
def test_datasets_of_a_group_are_read_in_parts(path: Path, rows: int) -> None:
    array = np.arange(20.0)
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=array, chunks=(4,), compression="gzip")
        file.create_dataset("b", data=array * 2, chunks=(6,))
        file["c"] = [f"n{n}" for n in range(20)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("msecli.formats.stored.PART_ELEMENTS", rows)
        found = held(opened(f"{path}::/"), ["a", "b"], ["c"], jobs=2)
    assert found.numbers["b"].tolist() == (2 * array).tolist()
    assert found.labels["c"] == [f"n{n}" for n in range(20)]


def test_datasets_of_different_lengths_are_no_table(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["g/a"], file["g/b"] = [1.0, 2.0], [1.0]
    assert f"'a' (2,), 'b' (1,); name one of them: {path}::g/a" in refusal(f"{path}::g")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.array([1j]), "complex"),
        (["a", "b"], "text, not numbers"),
        (np.array([b"a"]), "text, not numbers"),
        (3.0, "0-dimensional"),
        (np.empty((0, 2)), "no elements"),
        (np.array([b"ab"], "V2"), "bytes"),
    ],
    ids=["complex", "text", "bytes", "single", "empty", "opaque"],
)
def test_what_cannot_be_scored_is_refused(path: Path, data: Any, words: str) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = data
    assert words in refusal(path)


def test_lists_of_any_length_and_references_are_refused(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("lists", (1,), h5py.vlen_dtype("f4"))[0] = [1.0, 2.0]
        file.create_dataset("refs", (1,), h5py.ref_dtype)[0] = file["lists"].ref
        file["null"] = h5py.Empty("f4")
    assert "cannot be scored" in refusal(f"{path}::lists")
    assert "cannot be scored" in refusal(f"{path}::refs")
    assert "is empty" in refusal(f"{path}::null")


def test_only_what_is_in_the_file_itself_is_read(path: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = PREDICTION
    (tmp_path / "raw").write_bytes(PREDICTION.tobytes())
    with h5py.File(path, "w") as file:
        file["link"] = h5py.ExternalLink(str(secret), "/x")
        file["g/soft"] = h5py.SoftLink("/link")
        file.create_dataset("raw", (3,), "f8", external=[(str(tmp_path / "raw"), 0, 24)])
        layout = h5py.VirtualLayout((3,), "f8")
        layout[:] = h5py.VirtualSource(str(secret), "x", (3,))
        file.create_virtual_dataset("virtual", layout)
    assert "a link to another file" in refusal(f"{path}::link")
    assert "a link to another file" in refusal(f"{path}::g/soft")
    assert "lie in another file" in refusal(f"{path}::raw")
    assert "made of others" in refusal(f"{path}::virtual")
    # Neither does a list of what is there, nor a group of columns, follow links.
    assert "link" not in refusal(path).removeprefix(f"{path}: ").partition("name one")[0]
    assert "no dataset with rows" in refusal(f"{path}::g")


def test_a_link_to_another_file_is_not_even_looked_at(path: Path, tmp_path: Path) -> None:
    # Whoever opened the named pipe, where nobody writes, would wait forever.
    os.mkfifo(tmp_path / "pipe")
    with h5py.File(path, "w") as file:
        file["x"], file["link"] = PREDICTION, h5py.ExternalLink(str(tmp_path / "pipe"), "/x")
    code = "import msecli, sys; print(msecli.score(sys.argv[1], [0, 0, 0]).loss)"
    for name in ("", "::x", "::/", "::nothing", "::link", "::link/x"):
        ran = subprocess.run(
            [sys.executable, "-c", code, f"{path}{name}"], capture_output=True, check=False, timeout=60
        )
        assert (ran.returncode == 0) == (name in {"", "::x", "::/"})


def test_links_within_the_file_are_followed(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["a/x"] = PREDICTION
        file["b"] = h5py.SoftLink("/a")
        file["c"] = h5py.SoftLink("b/x")
        file["loop"] = h5py.SoftLink("/loop")
        file["hard"] = file["a"]
        file["a/up"] = file["/"]
    for name in ("b/x", "c", "hard/x", "a/up/a/x"):
        assert held(opened(f"{path}::{name}")).array.tolist() == PREDICTION.tolist()
    assert held(opened(path)).array.tolist() == PREDICTION.tolist()
    assert "lead back" in refusal(f"{path}::loop")


def test_values_that_were_never_written_are_no_values(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (10,), "f8", chunks=(3,))[:4] = 1.0
        file.create_dataset("y", (10,), "f8")
        file.create_dataset("z", (10,), "f8", chunks=(3,), fillvalue=np.nan)[:4] = 1.0
    assert "2 of 4 chunks of the dataset 'x' were never written, so that its values there are 0.0" in refusal(
        f"{path}::x"
    )
    assert "were never written" in refusal(f"{path}::y")
    # NaN is a missing value, which no score takes in silence.
    found = held(opened(f"{path}::z")).array
    assert found[:4].tolist() == [1.0] * 4
    assert np.isnan(found[6:]).all()


def test_scales_that_other_programs_apply_are_said(path: Path, run: Run) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = np.array([1, 2], "i2")
        file["x"].attrs["scale_factor"] = 0.1
    (warning,) = opened(path).warnings
    assert (warning.code, "scale_factor" in warning.meaning) == ("attributes_not_applied", True)
    write(path.with_suffix(".csv"), "y\n1\n2\n")
    ran = run("compute", path, path.with_suffix(".csv"))
    assert "its attributes scale_factor are not applied" in ran.err


def test_a_frame_of_pandas_is_told_how_to_be_written(path: Path) -> None:
    # As pandas marks its groups; writing one needs PyTables.
    with h5py.File(path, "w") as file:
        file.create_group("df").attrs["pandas_type"] = "frame"
        file["df/block0_values"] = np.zeros((2, 2))
    for name in (path, f"{path}::df"):
        assert f"pandas.read_hdf('{path}', 'df').to_parquet(FILE)" in refusal(name)
    assert pd.read_hdf is not None


def test_a_filter_that_is_missing_is_named(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(9.0), chunks=(3,), compression="gzip")
    content = path.read_bytes()
    # The message of the filters in the header of the dataset: 1 is deflate, 32004 is LZ4.
    place = content.index(b"deflate") - 8
    path.write_bytes(content[:place] + (32004).to_bytes(2, "little") + content[place + 2 :])
    message = refusal(path)
    assert "number 32004" in message
    assert "pip install hdf5plugin" in message


def test_a_missing_library_is_told_with_the_extra(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = PREDICTION
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.delitem(sys.modules, "msecli.formats.hdf5", raising=False)
    with pytest.raises(ReadWriteError, match=r"hdf5 needs another library; run: pip install 'msecli\[hdf5\]'"):
        opened(path)
    assert FORMATS["hdf5"].extra == "hdf5"


def test_a_file_cut_off_while_it_is_read_is_refused(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(100_000.0)
    source = opened(path)
    with path.open("r+b") as stream:
        stream.truncate(5000)
    with pytest.raises(DataError, match="changed while it was read"):
        held(source)


def small(kind: str) -> bytes:
    stream = io.BytesIO()
    array = np.arange(60.0).reshape(20, 3)
    with h5py.File(stream, "w", libver="latest" if kind == "latest" else "earliest") as file:
        if kind == "records":
            file["x"] = np.zeros(5, dtype=[("a", "i4"), ("s", "S3"), ("v", "f4", (2,))])
        elif kind == "plain":
            file["x"] = array
        else:
            file.create_dataset("x", data=array, chunks=(7, 3), compression="gzip", shuffle=True, fletcher32=True)
    return stream.getvalue()


READ = """
import faulthandler, random, sys
import msecli
from msecli.formats import open_source
from msecli.formats.base import Selection
from msecli.text.reading import AS_FILES_SAY
faulthandler.enable()
path, step = sys.argv[1], int(sys.argv[2])
whole = open(path, "rb").read()
for place in range(0, len(whole), step):
    for change in (0x01, 0x80, 0xff, whole[place]):
        content = bytearray(whole)
        content[place] ^= change
        with open(path, "wb") as file:
            file.write(content)
        try:
            source = open_source(path, AS_FILES_SAY, "x")
            names = tuple(column.name for column in source.columns or () if column.numeric)
            for part in source.parts(Selection(names)):
                for block in part.read():
                    block.numbers
        except msecli.DataError:
            pass
print("done")
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "chunks", "records", "latest"])
def test_no_changed_byte_brings_the_process_down(path: Path, kind: str) -> None:
    path.write_bytes(small(kind))
    ran = subprocess.run([sys.executable, "-c", READ, path, "3"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "done\n", "")


@pytest.mark.parametrize("size", [b"\x00\x00\x00\x00", b"\x01\x00\x00\x00", b"\xff\xff\xff\x7f"])
def test_a_wrong_size_of_a_chunk_is_refused(path: Path, size: bytes) -> None:
    # HDF5 2.0 crashes where a chunk is smaller than its checksum.
    content = small("chunks")
    # Below the head of the tree, of 24 bytes, are a key of 32 bytes and an address of 8 for each chunk; a key begins
    # with the chunk's size in the file.
    for number in range(3):
        place = content.index(b"TREE\x01") + 24 + number * 40
        path.write_bytes(content[:place] + size + content[place + 4 :])
        assert "do not lie where the file says" in refusal(path)


def test_parts_begin_where_chunks_do(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(60.0).reshape(20, 3), chunks=(4, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("msecli.formats.stored.PART_ELEMENTS", 15)
        parts = opened(path).parts(Selection(), range(5, 15))
        assert [len(next(iter(part.read())).numbers[ARRAY]) for part in parts] == [3, 4, 3]


def test_the_bytes_of_a_file_elsewhere_are_enough(path: Path) -> None:
    # What h5py is given is no path: the file has lost its name by now.
    with h5py.File(path, "w") as file:
        file["x"] = PREDICTION
    source = opened(path)
    path.unlink()
    assert held(source).array.tolist() == PREDICTION.tolist()
    assert len(source.parts(Selection())) == 1

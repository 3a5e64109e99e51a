"""NPZ archives. Expected values are those of the arrays that were saved; archives are damaged here byte by byte."""

from __future__ import annotations

import io
import os
import shlex
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import msecli
from msecli.errors import DataError, UsageError
from msecli.formats.base import ARRAY, Selection
from msecli.places import open_input
from tests.files import held, npy_bytes, npz_bytes, opened

Run = Callable[..., Any]

PREDICTION, TARGET = np.array([1.0, 2.5, -3.0]), np.array([2.0, 2.5, -1.0])
# The mean of 1, 0 and 4.
LOSS = 5 / 3

both = pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "deflated"])


def refusal(path: Path | str) -> str:
    with pytest.raises(DataError) as caught:
        held(opened(path))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as file:
        # The standard library warns of names that occur twice.
        warnings.simplefilter("ignore")
        for name, content in members.items():
            file.writestr(name.rstrip("*"), content)
    return path


@both
def test_an_array_is_chosen_by_its_name(tmp_path: Path, save: Any, run: Run) -> None:
    path = tmp_path / "x.npz"
    save(path, pred=PREDICTION, target=TARGET, other=np.zeros(7))
    assert msecli.score(f"{path}::pred", f"{path}::target").loss == LOSS
    # As the member of the archive is called.
    assert msecli.score(f"{path}::pred.npy", f"{path}::target").loss == LOSS
    ran = run("compute", f"{path}::pred", f"{path}::target", "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    assert f'"path": "{path}::pred"' in ran.out


@both
def test_the_only_array_needs_no_name(tmp_path: Path, save: Any) -> None:
    path = tmp_path / "x.npz"
    save(path, PREDICTION)
    assert msecli.score(path, TARGET).loss == LOSS
    assert msecli.score(f"{path}::arr_0", TARGET).loss == LOSS


@both
def test_several_arrays_are_listed_with_their_shapes(tmp_path: Path, save: Any) -> None:
    path = tmp_path / "x.npz"
    save(path, pred=PREDICTION, images=np.zeros((2, 3), "f4"), who=np.array(["a"]), made=np.array([None]))
    message = refusal(path)
    assert "'pred' (3,) float64, 'images' (2, 3) float32, 'who' (1,) <U1, 'made' (not an array of numbers)" in message
    assert message.endswith(f"; name one of them: {path}::pred")


@both
def test_a_name_that_is_not_there_is_told_the_nearest(tmp_path: Path, save: Any) -> None:
    path = tmp_path / "x.npz"
    save(path, pred=PREDICTION, target=TARGET)
    message = refusal(f"{path}::taget")
    told = "no array 'taget'; did you mean 'target'?; there is 'pred' (3,) float64, 'target' (3,) float64"
    assert message.endswith(told)


@both
def test_the_array_that_is_suggested_can_be_scored(run: Run, tmp_path: Path, save: Any) -> None:
    save(tmp_path / "my x.npz", who=np.array(["a", "b", "c"]), **{"the pred": PREDICTION, "target": TARGET})
    save(tmp_path / "t.npz", TARGET)
    ran = run("compute", tmp_path / "my x.npz", tmp_path / "t.npz")
    assert ran.code == 3
    (suggested,) = shlex.split(ran.err.partition("; name one of them: ")[2])
    assert suggested == f"{tmp_path / 'my x.npz'}::the pred"
    assert run("compute", suggested, tmp_path / "t.npz").out == f"{LOSS!r}\n"


@pytest.mark.skipif(not os.path.exists("/dev/stdin"), reason="there is no name for standard input")
@both
def test_an_array_of_standard_input_has_a_name(run: Run, tmp_path: Path, save: Any) -> None:
    save(tmp_path / "x.npz", pred=PREDICTION, target=TARGET)
    save(tmp_path / "t.npz", TARGET)
    ran = run("compute", "-", tmp_path / "t.npz", stdin=(tmp_path / "x.npz").read_bytes())
    assert (ran.code, ran.err.endswith("; name one of them: /dev/stdin::pred\n")) == (3, True)


@pytest.mark.parametrize("name", ["a/b", "é ü", "x.npy", "a,b", "pred.", "-", "a=b"])
@both
def test_names_may_hold_any_characters(tmp_path: Path, name: str, save: Any) -> None:
    path = tmp_path / "x.npz"
    save(path, **{name: PREDICTION, "t": TARGET})
    assert msecli.score(f"{path}::{name}", f"{path}::t").loss == LOSS


@both
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_any_shape_are_read_in_parts(tmp_path: Path, save: Any, order: Any) -> None:
    array = np.asarray(np.sqrt(np.arange(210.0)).reshape(7, 5, 6), order=order)
    path = tmp_path / "x.npz"
    save(path, a=array, b=array)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("msecli.formats.stored.PART_ELEMENTS", 60)
        source = opened(f"{path}::b")
        assert len(source.parts(Selection())) == 4
        assert np.array_equal(held(source, jobs=2).array, array)


def test_records_in_an_archive_are_a_table(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, table=np.array([(1.0, 2.0), (3.0, 3.0)], dtype=[("p", "f8"), ("t", "f8")]), other=TARGET)
    assert msecli.score(f"{path}::table", pred="p", target="t").loss == 0.5


def test_a_stored_array_is_read_in_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msecli.formats.npz.spooled", lambda *_: pytest.fail("copied"))
    path = tmp_path / "x.npz"
    np.savez(path, a=PREDICTION)
    assert held(opened(path)).array.tolist() == PREDICTION.tolist()


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, a=np.array([None, 1.0]), b=TARGET)
    assert "never loaded" in refusal(f"{path}::a")


def test_a_sparse_matrix_is_told_how_to_be_saved(tmp_path: Path) -> None:
    scipy = pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    path = tmp_path / "x.npz"
    scipy.save_npz(path, scipy.eye(4).tocsr())
    assert refusal(path).endswith("this is a sparse matrix; save it as an array: numpy.save(FILE, matrix.toarray())")


def test_other_files_beside_the_array_are_passed_over(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", {"a.npy": npy_bytes(PREDICTION), "readme.txt": b"hello"})
    assert held(opened(path)).array.tolist() == PREDICTION.tolist()
    nothing = archive(tmp_path / "y.npz", {"a.npy.txt": b"hello"})
    assert "holds no array" in refusal(nothing)


def test_two_arrays_of_one_name_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", {"a.npy": npy_bytes(PREDICTION), "a.npy*": npy_bytes(TARGET)})
    assert "2 arrays are named 'a.npy'" in refusal(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(tmp_path: Path, method: int) -> None:
    path = archive(tmp_path / "x.npz", {"a.npy": npy_bytes(PREDICTION)}, method)
    assert f"number {method}" in refusal(path)


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    content = bytearray(npz_bytes(PREDICTION))
    central = content.index(b"PK\x01\x02")
    content[6] |= 1
    content[central + 8] |= 1
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    assert "encrypted" in refusal(path)


def bomb(shape: int, size: int, method: int) -> bytes:
    """Return an archive whose array has `size` bytes, but claims a shape of so many float64 numbers."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (shape,)})
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as file:
        file.writestr("a.npy", stream.getvalue() + bytes(size))
    return packed.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("shape", [10**12, 10**5 - 1, 10**5 + 1])
def test_sizes_are_compared_before_anything_is_decompressed(
    tmp_path: Path, method: int, shape: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msecli.formats.npz.spooled", lambda *_: pytest.fail("decompressed"))
    path = tmp_path / "x.npz"
    path.write_bytes(bomb(shape, 8 * 10**5, method))
    assert ("truncated" if shape > 10**5 else "bytes follow") in refusal(path)


def test_more_bytes_than_the_archive_declares_are_not_decompressed(tmp_path: Path) -> None:
    # The archive says that the array has 80 bytes, as its header does; the compressed stream holds 100 MB.
    content = bytearray(bomb(10, 10**8, zipfile.ZIP_DEFLATED))
    honest = struct.pack("<I", 128 + 80)
    central = content.index(b"PK\x01\x02")
    content[22:26] = honest
    content[central + 24 : central + 28] = honest
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    assert "CRC" in refusal(path)


@both
def test_a_changed_byte_anywhere_in_the_array_is_noticed(tmp_path: Path, save: Any) -> None:
    path = tmp_path / "x.npz"
    save(path, a=np.arange(6.0))
    whole = path.read_bytes()
    found = {"read": 0, "refused": 0}
    for place in range(len(whole)):
        for change in (0x01, 0x80):
            content = bytearray(whole)
            content[place] ^= change
            path.write_bytes(content)
            try:
                # Names and dates may change; numbers may not.
                assert held(opened(path)).array.tolist() == [*range(6)]
                found["read"] += 1
            except DataError:
                found["refused"] += 1
    assert found["refused"] > len(whole)


@both
def test_an_archive_cut_off_anywhere_is_refused(tmp_path: Path, save: Any) -> None:
    path = tmp_path / "x.npz"
    save(path, a=np.arange(6.0), b=np.arange(6.0))
    whole = path.read_bytes()
    for size in range(4, len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError):
            held(opened(f"{path}::a"))


def test_a_wrong_checksum_is_said_to_be_damage(tmp_path: Path) -> None:
    content = bytearray(npz_bytes(np.arange(20_000.0)))
    content[content.index(np.float64(19_000).tobytes())] ^= 1
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    # The header is whole, so that the file can be opened; no number of it is used.
    source = opened(path)
    with pytest.raises(DataError, match="checksum"):
        next(iter(source.parts(Selection())[0].read())).numbers[ARRAY].sum()


def test_files_that_are_no_archive_of_arrays_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    for content in (b"PK\x05\x06" + bytes(18), b"PK\x03\x04" + b"x" * 99, npy_bytes(TARGET)[:40] * 3, b"p\n1\n"):
        path.write_bytes(content)
        with pytest.raises(DataError):
            opened(path)


def test_an_archive_may_come_through_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, pred=PREDICTION, other=TARGET)
    read, end = os.pipe()
    with os.fdopen(end, "wb") as writer:
        writer.write(path.read_bytes())
    assert held(opened(f"/dev/fd/{read}::pred")).array.tolist() == PREDICTION.tolist()
    os.close(read)


def test_the_bytes_of_a_member_are_a_file_for_arrow_too(tmp_path: Path) -> None:
    from msecli.formats.npz import Member

    path = tmp_path / "x"
    path.write_bytes(b"ab" + b"0123456789" + b"cd")
    member = Member(open_input(str(path)), 2, 10, zlib.crc32(b"0123456789"))
    with member.for_arrow() as file:
        assert file.read() == b"0123456789"
        file.seek(4)
        assert file.read(3) == b"456"
    assert (member.read(100, 8), member.reaches(9), member.reaches(10)) == (b"89", True, False)


def test_an_output_must_not_replace_the_file_of_an_input(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, pred=PREDICTION, target=TARGET)
    ran = run("compute", f"{path}::pred", f"{path}::target", "-o", f"csv={path}", "--overwrite")
    assert ran.code == 2
    assert f"this is also the input {path}::target" in ran.err
    assert msecli.score(f"{path}::pred", f"{path}::target").loss == LOSS


def test_two_arrays_of_one_stream_are_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="the same stream, which can be read only once"):
        msecli.score(f"{pipe}::pred", f"{pipe}::target")

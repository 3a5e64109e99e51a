"""Text that comes through a pipe gives the same bits and the same errors as the file, wherever its chunks end."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import msecli
from msecli.errors import MsecliError
from msecli.formats import open_source
from msecli.formats.base import Selection
from msecli.formats.csv import CsvSource
from msecli.places.stream import ForgottenError
from msecli.text.reading import AS_FILES_SAY
from tests.fuzz.sizes import reading_in
from tests.fuzz.test_text import scored
from tests.fuzz.text import text_case

LINE = re.compile(r" \(lines? [^)]*\)")


def piped(patch: pytest.MonkeyPatch, random: Random, largest: int) -> None:
    """Have all files come through pipes, in chunks of up to so many bytes."""

    def received(path: str) -> Iterator[bytes]:
        content = Path(path).read_bytes()
        while content:
            size = random.randint(1, largest)
            yield content[:size]
            content = content[size:]

    patch.setattr("msecli.places.local._is_stream", lambda _: True)
    patch.setattr("msecli.places.local._received", received)


@settings(deadline=None)
@given(st.integers(0, 1 << 40), st.sampled_from([1, 3, 20, 1000]))
def test_a_stream_gives_what_the_file_gives(seed: int, largest: int) -> None:
    random = Random(seed)  # noqa: S311 - chooses cases
    case = text_case(random)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for name, content in case.files.items():
            Path(folder, name).write_bytes(content)
        expected = told(scored(case, Path(folder)))
        piped(patch, random, largest)
        assert told(scored(case, Path(folder))) == expected
        # What is copied to a file is one, too.
        with reading_in({"kept": 1}):
            assert told(scored(case, Path(folder))) == expected


@settings(deadline=None)
@given(st.integers(0, 1 << 40), st.sampled_from([1, 3, 20]), st.integers(1, 300))
def test_a_stream_that_is_forgotten_gives_what_the_file_gives(seed: int, largest: int, kept: int) -> None:
    random = Random(seed)  # noqa: S311 - chooses cases
    case = text_case(random)
    case = case._replace(sizes={**case.sizes, "part": random.choice([1, 7, 16, 40]), "head": 16, "margin": 2})
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for name, content in case.files.items():
            Path(folder, name).write_bytes(content)
        expected = told(scored(case, Path(folder)))
        piped(patch, random, largest)
        patch.setattr("msecli.places.stream.StreamFile.forget", forgetting(kept))
        found = told(scored(case, Path(folder)))
        # Lines of rows may be unknown, and keys are not tried again.
        found, expected = (LINE.sub("", each) for each in (found, expected))
        if not expected.startswith("{"):
            found, expected = (each.partition("; ")[0] for each in (found, expected))
        assert found == expected


def told(found: msecli.Result | str) -> str:
    """Return a result as JSON, in which values that are no numbers are equal, or the message of a refusal."""
    return found if isinstance(found, str) else json.dumps(found.to_dict(), default=str)


def forgetting(kept: int) -> object:
    """Return a method that forgets more than streams do: what is kept of any stream is to be larger than its head."""
    from msecli.places.stream import StreamFile

    forget = StreamFile.forget

    def forget_more(file: StreamFile, offset: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("msecli.places.stream.KEPT_BYTES", kept)
            forget(file, offset)

    return forget_more


def opened(path: Path) -> CsvSource:
    source = open_source(str(path), AS_FILES_SAY, "predictions")
    assert isinstance(source, CsvSource)
    return source


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"a,b\n1,2\n3,4\n5,6\n7,8\n", [2, 3, 4, 5]),
        (b"\n\n# odd\r\na,b\r\n1,2\r\n3,4\r\n5,6", [5, 6, 7]),
        (b"a\n1\n\n3\n", [2, 3, 4]),
        # Only what is read whole line by line is known once it is forgotten.
        (b'a,b\n1,"2\n"\n3,4\n', [None, 4]),
        (b"a,b\n1,2\n\n\n3,4\n5,6\n\n\n", [2, None, 6]),
        (b"a,b\n1,2\n\r\r\n\r\n3,44\n", [2, 6]),
    ],
)
def test_lines_are_known_of_rows_that_are_forgotten(
    content: bytes, lines: list[int | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content.replace(b"# odd", b""))
    piped(monkeypatch, Random(0), 3)  # noqa: S311 - chunks
    with reading_in({"part": 4, "head": 16, "margin": 1}):
        source = opened(path)
        source.once()
        monkeypatch.setattr("msecli.places.stream.KEPT_BYTES", 0)
        blocks = [block for part in source.parts(Selection(("a",))) for block in part.read()]
        assert [source.line(row, block.begin) for block in blocks for row in range(block.rows)] == lines
        with pytest.raises(ForgottenError):
            next(iter(source.parts(Selection(("a",)))[0].read()))


def test_a_bad_line_is_named_where_what_comes_before_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b'yhat,y,s\n1,2,"a\nb"\n' + b"3,4,c\r\n" * 50 + b"\n5,x,c\n" + b"7,8,c\n" * 50)
    piped(monkeypatch, Random(0), 9)  # noqa: S311 - chunks
    monkeypatch.setattr("msecli.places.stream.StreamFile.forget", forgetting(20))
    for jobs in (1, 2, 3):
        with reading_in({"part": 16, "head": 16, "margin": 2}), pytest.raises(MsecliError, match=r"x\.csv, line 55: "):
            msecli.score(path, jobs=jobs)


def test_keys_are_not_tried_on_streams_that_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [b"%d,%d\n" % (row, row % 7) for row in range(900)]
    (tmp_path / "p.csv").write_bytes(b"id,yhat\n" + b"".join(lines))
    (tmp_path / "t.csv").write_bytes(b"id,y\n" + b"".join([*lines[:-2], lines[-1], lines[-2]]))
    files, found = (tmp_path / "p.csv", tmp_path / "t.csv"), r"column 'id' differs .* at row 899 \(line 900\)"
    piped(monkeypatch, Random(0), 200)  # noqa: S311 - chunks
    with reading_in({"part": 500, "head": 300}):
        with pytest.raises(MsecliError, match=f"{found}.*; to pair rows by 'id', use on='id'"):
            msecli.score(*files)
        monkeypatch.setattr("msecli.places.stream.StreamFile.forget", forgetting(1000))
        with pytest.raises(MsecliError, match=f"{found}.*; to be told how the rows can be paired, write the streams"):
            msecli.score(*files)


def test_a_stream_is_not_read_beyond_what_has_to_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def endless(_: str) -> Iterator[bytes]:
        yield b"yhat,y\n"
        while True:
            taken.append(1)
            assert len(taken) < 1000
            yield b"1,2\n" * 1000 + b"1,x\n"

    monkeypatch.setattr("msecli.places.local._is_stream", lambda _: True)
    monkeypatch.setattr("msecli.places.local._received", endless)
    with reading_in({"part": 4000}), pytest.raises(MsecliError, match=r"x\.csv, line 1002: .*'x'"):
        msecli.score(tmp_path / "x.csv", jobs=2)

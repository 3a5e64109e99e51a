"""JSON that comes through a pipe gives the same bits and the same errors as the file, wherever its chunks end."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import msecli
from msecli.errors import MsecliError
from msecli.formats.base import ReadOnce, Selection
from msecli.places.stream import ForgottenError
from tests.files import opened
from tests.fuzz.sizes import Sizes, reading_in, tiny
from tests.text.test_streamed import LINE, forgetting, piped, told

NAMES = ["x.jsonl", "x.json"]
both = pytest.mark.parametrize("name", NAMES)

VALUES = [1, 2.5, -3, 0.1, 1e300, 2**53 + 1, 2**70, None, 4, 7]
BAD = ['{"p": "x", "t": 1}', '{"p": 1 "t": 2}', '{"p": 1, "t": [1]}', '{"p": 1, "t": 2', "5", '{"p": "é\\u00e9"', "[]"]
LABELS = ["a", "b", "}\\n,{", "},{", "é", "[{}]", '"']
BETWEEN = [",", ", ", ",\n", "\n,\n", ",\r\n ", ",\n\n  "]


def text_of(name: str, random: Random) -> bytes:
    """Return records, among them perhaps one that cannot be read, and perhaps cut off."""
    records = [
        json.dumps(
            {"p": random.choice(VALUES), "t": random.choice(VALUES), "g": random.choice(LABELS), "id": number},
            ensure_ascii=random.random() < 0.5,
            indent=1 if name == "x.json" and random.random() < 0.1 else None,
        )
        for number in range(random.choice([1, 2, 7, 30, 100]))
    ]
    if random.random() < 0.4:
        records.insert(random.randint(1, len(records)), random.choice(BAD))
    if name == "x.jsonl":
        text = "".join(record + random.choice(["\n", "\n", "\n", "\r\n", "\n\n"]) for record in records)
    else:
        between = random.choice(BETWEEN)
        joined = "".join(
            record + (between if random.random() < 0.95 else random.choice(BETWEEN)) for record in records[:-1]
        )
        text = (
            f"[{random.choice(['', chr(10)])}{joined}{records[-1]}\n]{random.choice(['', chr(10), chr(10) * 9, '[]'])}"
        )
    content = text.encode()
    return content if random.random() < 0.9 else content[: random.randint(1, len(content))]


def scored(path: Path, sizes: Sizes, jobs: int) -> str:
    """Return the result, or the message of a refusal."""
    with reading_in(sizes):
        try:
            found: msecli.Result | str = msecli.score(
                path, pred="p", target="t", by="g", nan_target="omit", nan_pred="omit", metrics="bias", jobs=jobs
            )
        except MsecliError as error:
            found = str(error)
    return told(found)


@both
@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1 << 40), st.sampled_from([1, 3, 20, 1000]))
def test_a_stream_gives_what_the_file_gives(name: str, seed: int, largest: int) -> None:
    random = Random(seed)  # noqa: S311 - chooses cases
    sizes, jobs = tiny(random), random.choice([1, 2, 3])
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder, name)
        path.write_bytes(text_of(name, random))
        expected = scored(path, sizes, jobs)
        piped(patch, random, largest)
        assert scored(path, sizes, jobs) == expected
        # What is copied to a file is one, too.
        assert scored(path, {**sizes, "kept": 1}, jobs) == expected


@both
@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1 << 40), st.sampled_from([1, 3, 20]), st.integers(1, 300))
def test_a_stream_that_is_forgotten_gives_what_the_file_gives(name: str, seed: int, largest: int, kept: int) -> None:
    random = Random(seed)  # noqa: S311 - chooses cases
    sizes = {**tiny(random), "part": random.choice([1, 7, 16, 40, 100, 300]), "head": 16, "margin": 2, "sample_rows": 1}
    jobs = random.choice([1, 2, 3])
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder, name)
        path.write_bytes(text_of(name, random))
        expected = scored(path, sizes, jobs)
        piped(patch, random, largest)
        patch.setattr("msecli.places.stream.StreamFile.forget", forgetting(kept))
        found = scored(path, sizes, jobs)
        if expected.startswith("{"):
            # Lines of rows may be unknown; those of errors are not.
            found, expected = LINE.sub("", found), LINE.sub("", expected)
        assert found == expected


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("x.jsonl", '{"a":1}\n{"a":2}\n{"a":3}\n{"a":4}', [1, 2, 3, 4]),
        ("x.jsonl", '{"a":1}\r\n{"a":22222222222}\r\n{"a":3}\r\n', [1, 2, 3]),
        # Only what is read whole line by line is known once it is forgotten.
        ("x.jsonl", '\n{"a":1}\n{"a":2}\n{"a":3}\n\n\n{"a":4}\n', [None, 3, 4, None]),
        ("x.json", '[{"a":1},\n{"a":2},\n{"a":3},\n{"a":4}]', [1, 2, 3, 4]),
        ("x.json", '[\n{"a":1}\n,\n{"a":2},\n{"a":3}\n]\n', [2, 4, 5]),
        ("x.json", '[{"a":\n1,"b":\n2},{"a":2},{"a":3}]', [None, None, None]),
        ("x.json", '[{"a":\n1},{"a":2},\r\n{"a":3},\n\n\n{"a":4}\n]\n\n', [None, 2, None, None]),
    ],
)
def test_lines_are_known_of_rows_that_are_forgotten(
    name: str, text: str, lines: list[int | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    piped(monkeypatch, Random(0), 3)  # noqa: S311 - chunks
    with reading_in(
        {"part": 8 if name == "x.jsonl" else 40 if '"b"' in text else 24, "head": 8, "margin": 1, "sample_rows": 1}
    ):
        source = opened(path)
        assert isinstance(source, ReadOnce)
        source.once()
        monkeypatch.setattr("msecli.places.stream.KEPT_BYTES", 0)
        blocks = [block for part in source.parts(Selection(("a",))) for block in part.read()]
        assert [source.line(row, block.begin) for block in blocks for row in range(block.rows)] == lines
        with pytest.raises(ForgottenError):
            next(iter(source.parts(Selection(("a",)))[0].read()))


ROWS = [f'{{"id": {row}, "p": 1, "t": {row % 7}}}' for row in range(900)]


def put(path: Path, rows: list[str]) -> Path:
    text = "\n".join(rows) if path.suffix == ".jsonl" else "[\n" + ",\n".join(rows) + "\n]\n"
    path.write_bytes(text.encode(errors="surrogateescape"))
    return path


@both
@pytest.mark.parametrize("forgets", [False, True])
def test_the_line_of_a_row_that_differs_is_told(
    name: str, forgets: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prediction = put(tmp_path / f"p{name}", ROWS)
    target = put(tmp_path / f"t{name}", [*ROWS[:-2], ROWS[-1], ROWS[-2]])
    piped(monkeypatch, Random(0), 200)  # noqa: S311 - chunks
    if forgets:
        monkeypatch.setattr("msecli.places.stream.StreamFile.forget", forgetting(5000))
    advice = "to be told how the rows can be paired, write the streams" if forgets else "to pair rows by 'id'"
    line = 899 if name == "x.jsonl" else 900
    with (
        reading_in({"part": 1000, "head": 300, "sample_rows": 5}),
        pytest.raises(MsecliError, match=rf"column 'id' differs .* at row 899 \(line {line}\).*; {advice}"),
    ):
        msecli.score(prediction, target, pred="p", target="t")


SPOILT: dict[str, Callable[[str], str]] = {
    "a text": lambda row: row.replace('"p": 1', '"p": "x"'),
    "no JSON": lambda row: row.replace('"p": 1', '"p" 1'),
    "no record": lambda _: "5",
    "not UTF-8": lambda row: row.replace('"p": 1', '"p": "\udcff"'),
}


@both
@pytest.mark.parametrize("jobs", [1, 2, 3])
@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_bad_record_is_named_where_what_comes_before_is_forgotten(
    name: str, jobs: int, spoil: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [*ROWS[:700], spoil(ROWS[700]), *ROWS[701:]]
    path = put(tmp_path / name, rows)
    piped(monkeypatch, Random(0), 300)  # noqa: S311 - chunks
    taken = forgotten(monkeypatch)
    line = 701 if name == "x.jsonl" else 702
    with (
        reading_in({"part": 400, "head": 100, "margin": 20, "sample_rows": 2}),
        pytest.raises(MsecliError, match=rf"{name}, (row 701 \()?line {line}\b"),
    ):
        msecli.score(path, pred="p", target="t", jobs=jobs)
    assert max(taken) > 15_000


def forgotten(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have streams forget soon; return up to where."""
    forget: Any = forgetting(1500)
    found: list[int] = []

    def noted(file: Any, offset: int) -> None:
        found.append(offset)
        forget(file, offset)

    monkeypatch.setattr("msecli.places.stream.StreamFile.forget", noted)
    return found


@both
def test_a_stream_is_not_read_beyond_what_has_to_be_seen(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    end, begin = ("\n", "") if name == "x.jsonl" else (",\n", "[")

    def endless(_: str) -> Iterator[bytes]:
        yield begin.encode()
        while True:
            taken.append(1)
            assert len(taken) < 1000
            yield (f'{{"p": 1, "t": 2}}{end}' * 1000 + f'{{"p": 1, "t": "x"}}{end}').encode()

    monkeypatch.setattr("msecli.places.local._is_stream", lambda _: True)
    monkeypatch.setattr("msecli.places.local._received", endless)
    with reading_in({"part": 4000}), pytest.raises(MsecliError, match=rf"{name}, (row 1001 \()?line 1001\b.*'x'"):
        msecli.score(tmp_path / name, pred="p", target="t", jobs=2)

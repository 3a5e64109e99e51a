"""Random delimited text: usual, odd and damaged."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from tests.fuzz.sizes import Sizes, tiny


class Way(NamedTuple):
    """How the text of a case is to be read."""

    delimiter: str = ","
    comment: str | None = None
    decimal: str = "."
    header: bool | None = None
    na_values: tuple[str, ...] = ()
    thousands: str | None = None


class TextCase(NamedTuple):
    """One or two files of text; the columns to score are p and t, the one of groups is g."""

    files: dict[str, bytes]
    columns: dict[str, tuple[str, str]]
    """The file and the name there of p, t and perhaps g."""
    way: Way
    sizes: Sizes
    jobs: int


NUMBERS = ["0", "1", "-2.5", "7", "3.25", "1e3", "-0", "12345.678901234567", "2.2250738585072014e-308"]
ODD_NUMBERS = ["+1", " 4", "4 ", "\t5 ", "1.", ".5", "1E5", "1e400", "-1e400", "1e-400", "inf", "-Infinity", "+INF",
               "9007199254740993", "-9007199254740995", "9007199254740993.0", "0.1" + "0" * 30, "007", "1e+05",
               "100000000000000000000000"]  # fmt: skip
MISSING = ["", "", "NA", "N/A", "null", "NULL", "nan", "NaN", "-nan", " nan"]
NO_NUMBERS = ["1,23", "1.23.4", "1'000", "0,125", "1 000 00", "1,000", "1.000,5",
              "x", "0x1F", "1_000", "1,5", "1.5.2", "--1", "1e", "e5", " ", "NA ", "5%", "1 2", "nan(ind)", "nan(abc)",
              "infinit", "\u22121", "\uff11", "\ufeff1", "1d5", "#1", "\x0b1", "1\n"]  # fmt: skip
LABELS = ["a", "b", "7", "-3", "12", "007", " 7", "7 ", "1.50", "", "NA", "é", "a b", "a,b", "a;b", 'say "x"', '"', "#",
          "# 1", "two\nlines", "two\r\nlines", "x\ry", "9" * 25, 'a"b', "''"]  # fmt: skip
COMMENTS = ["#", "# a comment", '# it"s', '#"', '#1,"2', "# 1,2,3", '#""', '#a,"b"']
NA_VALUES = ["-", "?", "#N/A", "-999", "7"]
LINE_ENDS = ["\n", "\r\n", "\r"]
SOUP = ["1", "2.5", ",", ",", '"', "\n", "\n", "\r\n", "\r", "a", '""', '",', '\n"', " ", "NA", "\n3,", "nan", "1e999",
        "#", "\n#", "\n\n", '"\n', ";", "0,1\n", "é"]  # fmt: skip


def text_case(random: Random) -> TextCase:
    """Return a case."""
    delimiter = random.choice([",", ",", ",", ";", "\t"])
    way = Way(
        delimiter,
        comment="#" if random.random() < 0.3 else None,
        decimal="," if delimiter != "," and random.random() < 0.2 else ".",
        na_values=tuple(random.sample(NA_VALUES, random.choice([1, 2]))) if random.random() < 0.15 else (),
    )
    if random.random() < 0.2:
        marks = [mark for mark in ",. '" if mark != way.decimal]
        way = way._replace(thousands=random.choice(marks))
    tables, rows = _tables(random), random.choice([0, 1, 2, 3, 5, 8, 13, 30])
    if rows and random.random() < 0.1 and (len(tables) == 1 or all(len(names) == 1 for names in tables.values())):
        way = way._replace(header=False)
    lines_end = random.choice([*LINE_ENDS, *LINE_ENDS, "mixed", "first"])
    strange = random.choice([0.0, 0.0, 0.0, 0.02, 0.2])
    files = {file: _content(random, names, rows, way, lines_end, strange) for file, names in tables.items()}
    places = {name: (file, name) for file, names in tables.items() for name in names if name in "ptg"}
    if way.header is False:
        places = {name: (file, str(tables[file].index(name))) for name, (file, _) in places.items()}
    return TextCase(files, places, way, tiny(random), random.choice([1, 2, 3]))


def _tables(random: Random) -> dict[str, list[str]]:
    """Return the columns of each file: names that begin with n are numbers, with s text."""
    roles = ["p", "t"] + ["g"] * (random.random() < 0.4)
    if random.random() < 0.5:
        more = random.choice([0, 0, 1, 1, 2, 4, 30])
        names = roles + [random.choice("ns") + str(number) for number in range(more)]
        random.shuffle(names)
        return {"p.csv": names}
    tables = {"p.csv": ["p"], "t.csv": ["t"]}
    for file, names in tables.items():
        for number in range(random.choice([0, 0, 1, 2])):
            names.append(random.choice("ns") + file[0] + str(number))
        random.shuffle(names)
    if "g" in roles:
        random.choice(list(tables.values())).append("g")
    return tables


def _content(random: Random, names: Sequence[str], rows: int, way: Way, lines_end: str, strange: float) -> bytes:
    """Return a file, perhaps with a place where it is damaged, below its first line."""
    quoting = random.choice([0.0, 0.0, 0.1, 1.0])
    extra = random.choice([0.0, 0.0, 0.1, 0.5])
    first_end = _line_end(random, lines_end)
    if lines_end == "first":
        lines_end = random.choice(LINE_ENDS)
    text = _extra_lines(random, way, extra, lines_end)
    header = way.delimiter.join(_header(random, name, quoting) for name in names) + first_end
    lines = [] if way.header is False else [header]
    for _ in range(rows):
        cells = [_cell(random, name, way, strange) for name in names]
        written = [_written(random, cell, way, quoting, first=not number) for number, cell in enumerate(cells)]
        lines.append(way.delimiter.join(written) + _line_end(random, lines_end))
        lines[-1] += _extra_lines(random, way, extra, lines_end)
    text, body = text + lines[0], _damaged(random, "".join(lines[1:]))
    if random.random() < 0.2:
        body = body.rstrip("\r\n")
    elif random.random() < 0.1:
        body += _line_end(random, lines_end) * random.choice([1, 2, 40])
    mark = b"\xef\xbb\xbf" if random.random() < 0.15 else b""
    return mark + (text + body).encode("utf-8", "surrogateescape")


def _damaged(random: Random, text: str) -> str:
    chance = random.random()
    if chance < 0.1:
        return "".join(random.choices(SOUP, k=random.randrange(40)))
    if chance < 0.3 and text:
        at = random.randrange(len(text))
        return text[:at] + random.choice([*SOUP, ""]) + text[at + random.choice([0, 0, 1, 2]) :]
    return text


def _line_end(random: Random, kind: str) -> str:
    return random.choice(LINE_ENDS) if kind in ("mixed", "first") else kind


def _extra_lines(random: Random, way: Way, chance: float, lines_end: str) -> str:
    """Return blank lines and comments."""
    text = ""
    while random.random() < chance:
        text += random.choice(COMMENTS) if way.comment and random.random() < 0.7 else ""
        text += _line_end(random, lines_end)
    return text


def _header(random: Random, name: str, quoting: float) -> str:
    if name not in ("p", "t", "g"):
        name += random.choice(["", "", " w", "é", "x" * 40, ",", "\n", '"'])
    return _in_quotes(name) if random.random() < quoting or any(mark in name for mark in ',\n"') else name


def _cell(random: Random, name: str, way: Way, strange: float) -> str:
    if name.startswith(("s", "g")):
        if name == "g" and random.random() < strange / 10:
            return random.choice(["\udcff", "\ufeffb"])
        return random.choice(LABELS)
    if random.random() < strange / 4:
        return random.choice(NO_NUMBERS)
    if random.random() < strange:
        cell = random.choice(ODD_NUMBERS + MISSING + list(way.na_values))
    else:
        cell = random.choice([*NUMBERS, repr(random.uniform(-1e3, 1e3)), str(random.randrange(-999, 999)), ""])
    if (
        way.thousands
        and cell.lstrip("-").isdecimal()
        and not cell.lstrip("-").startswith("0")
        and random.random() < 0.5
    ):
        return f"{int(cell) * random.choice([1, 1000]):,}".replace(",", way.thousands)
    return cell.replace(".", way.decimal)


def _written(random: Random, cell: str, way: Way, quoting: float, *, first: bool) -> str:
    marks = ['"', "#"] if first else ['"']
    must = cell[:1] in marks or any(mark in cell for mark in way.delimiter + "\r\n")
    return _in_quotes(cell) if must or random.random() < quoting else cell


def _in_quotes(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'

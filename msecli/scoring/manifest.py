"""Manifests: files that list the runs of a batch, read with the lines on which things stand."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msecli.errors import DataError, MsecliError, Problems, ReadWriteError, Setting, UsageError, meant, shown
from msecli.places import name_in, open_input
from msecli.places.compressed import without_suffix
from msecli.tuples import NamedTuple

DEFAULTS, RUNS = "defaults", "run"
"""The tables of a manifest in TOML or YAML."""


def as_keys(error: MsecliError) -> str:
    """Return the message of an error with settings spelled as in a manifest.

    Examples
    --------
    >>> as_keys(UsageError("use `nan_target=omit` or `decimal=pred=,`"))
    "use nan_target = 'omit' or decimal = 'pred=,'"
    """

    def spelled(settings: Sequence[Setting]) -> str:
        return " ".join(map(_spelled, settings))

    return error.worded(spelled)


def _spelled(setting: Setting) -> str:
    name, value, file = setting
    if value is None:
        return name
    if value in {"True", "False"} and not file:
        return f"{name} = {value.lower()}"
    if value in {"True", "False"}:
        return f"{'header' if value == 'True' else 'no_header'} = {file!r}"
    written = f"{file}={value}" if file else value
    return f"{name} = {written!r}"


Told = Callable[[MsecliError], str]
"""Words an error of a run."""


class Entry(NamedTuple):
    """What a manifest says of a run.

    Parameters
    ----------
    values : mapping of str to object
    place : str
        Where it stands, for messages.
    lines : mapping of str to int
        The lines of the values, as far as they are known.
    """

    values: Mapping[str, Any]
    place: str
    lines: Mapping[str, int] = {}

    def at(self, key: str) -> str:
        """Return where a value stands."""
        return f"line {self.lines[key]}" if key in self.lines else self.place


class Manifest(NamedTuple):
    """The runs of a batch.

    Parameters
    ----------
    path : str
        What messages call it.
    folder : str
        What paths are relative to.
    defaults : Entry
        What holds for all runs that do not say otherwise.
    runs : sequence of Entry
    textual : bool
        Whether all values are texts, as in CSV.
    error : type
        Of the errors about it.
    told : callable
        Words the errors of runs.
    """

    path: str
    folder: str
    defaults: Entry
    runs: Sequence[Entry]
    textual: bool = False
    error: type[MsecliError] = DataError
    told: Told = as_keys


def read_manifest(path: str) -> Manifest:
    """Return the runs in a manifest.

    Raises
    ------
    DataError
        If it is no manifest, or lists no run; with the lines.
    ReadWriteError
        If it cannot be read.
    """
    suffix = os.path.splitext(without_suffix(name_in(path)))[1].lower()
    if suffix not in READERS:
        raise DataError(
            f"{path}: the suffix {suffix!r} names no format of manifests; use one of {', '.join(READERS)}; "
            "to score one pair of files there is `msecli compute`, and two patterns are quoted: "
            "msecli batch 'PREDICTIONS' 'TARGETS'"
        )
    file = open_input(path)
    content = file.read(file.size, 0)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, line {line}: byte 0x{content[error.start]:02X} is not UTF-8") from error
    read, textual = READERS[suffix]
    defaults, runs = read(path, text)
    if not runs:
        raise DataError(f"{path}: there is no run in it")
    return Manifest(path, os.path.dirname(path), defaults, runs, textual)


Read = tuple[Entry, list[Entry]]
NOTHING = Entry({}, "")


def _toml(path: str, text: str) -> Read:
    import tomllib

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem, line = _split(str(error))
        raise DataError(f"{path}{f', line {line}' if line else ''}: {problem}") from error
    return _tables(path, document, *_lines_of_toml(text))


TOML_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def _split(message: str) -> tuple[str, str | None]:
    """Return a message of the parser, and the line that it names."""
    place = TOML_PLACE.search(message)
    return (message, None) if place is None else (message[: place.start()], place[1])


QUOTED_OR_COMMENT = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*', re.DOTALL
)
HEADING = re.compile(r"\s*\[\[?\s*(\w+)(?:\s*\.\s*([\w-]+))?\s*\]\]?")
KEY = re.compile(r"\s*([\w-]+)\s*[=.]")

Lines = dict[str, int]


def _lines_of_toml(text: str) -> tuple[Lines, list[Lines]]:
    """Return the lines of the defaults' keys, and of the runs' keys; "" is the line where a run begins."""
    bare = QUOTED_OR_COMMENT.sub(lambda found: re.sub(r"[^\n]", "'", found[0]), text)
    defaults: Lines = {}
    runs: list[Lines] = []
    keys: Lines | None = {}
    for number, line in enumerate(bare.split("\n"), 1):
        heading, key = HEADING.match(line), KEY.match(line)
        if heading is not None and heading[1] in {DEFAULTS, RUNS}:
            if heading[1] == RUNS and heading[2] is None:
                runs.append({"": number})
            keys = defaults if heading[1] == DEFAULTS else runs[-1] if runs else None
            if heading[2] is not None and keys is not None:
                keys.setdefault(heading[2], number)
                keys = None
        elif heading is not None:
            keys = None
        elif key is not None and keys is not None:
            keys.setdefault(key[1], number)
    return defaults, runs


def _yaml(path: str, text: str) -> Read:
    try:
        import yaml
    except ImportError as error:
        raise ReadWriteError(f"{path}: YAML needs another library; run: pip install 'msecli[yaml]'") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise DataError(f"{path}{where}: {getattr(error, 'problem', None) or error}") from error

    def lines(node: Any) -> Lines:
        keys = node.value if isinstance(node, yaml.MappingNode) else ()
        return {"": node.start_mark.line + 1, **{str(key.value): key.start_mark.line + 1 for key, _ in keys}}

    tables = {key.value: node for key, node in root.value} if isinstance(root, yaml.MappingNode) else {}
    runs = tables[RUNS].value if isinstance(tables.get(RUNS), yaml.SequenceNode) else []
    return _tables(path, document, lines(tables[DEFAULTS]) if DEFAULTS in tables else {}, list(map(lines, runs)))


def _tables(path: str, document: Any, defaults: Lines, lines: Sequence[Lines]) -> Read:
    """Return the entries of a document with the tables `defaults` and `run`."""
    if not isinstance(document, Mapping):
        raise DataError(f"{path}: a manifest has the tables {DEFAULTS!r} and {RUNS!r}")
    problems = Problems()
    for name in document:
        if name not in {DEFAULTS, RUNS}:
            hint = meant(str(name), (DEFAULTS, RUNS))
            problems.add(DataError(f"{path}: {str(name)!r} is neither {DEFAULTS!r} nor {RUNS!r}{hint}"))
    given, runs = document.get(DEFAULTS) or {}, document.get(RUNS)
    runs = [] if runs is None else runs
    if not isinstance(given, Mapping):
        problems.add(DataError(f"{path}: {DEFAULTS!r} is {shown(str(given))}, not a table"))
    if not isinstance(runs, list) or not all(isinstance(each, Mapping) for each in runs):
        problems.add(DataError(f"{path}: {RUNS!r} is a list of tables: write [[run]] above each of them"))
    problems.raise_found()
    places = lines if len(lines) == len(runs) else [{} for _ in runs]
    entries = [
        Entry(each, f"line {known['']}" if known else f"run {number}", known)
        for number, (each, known) in enumerate(zip(runs, places, strict=True), 1)
    ]
    return Entry(given, DEFAULTS, defaults), entries


def _json_lines(path: str, text: str) -> Read:
    import json

    problems, entries = Problems(), []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except ValueError as error:
            problems.add(DataError(f"{path}, line {number}: this is not JSON ({error})"))
            continue
        if isinstance(values, dict):
            entries.append(Entry(values, f"line {number}", dict.fromkeys(values, number)))
        else:
            problems.add(DataError(f"{path}, line {number}: {shown(line)} is not an object"))
    problems.raise_found()
    return NOTHING, entries


def _delimited(delimiter: str) -> Callable[[str, str], Read]:
    def read(path: str, text: str) -> Read:
        import csv

        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        try:
            return NOTHING, list(_rows(path, [(lines.line_num, fields) for fields in lines]))
        except csv.Error as error:
            raise DataError(f"{path}, line {lines.line_num}: {error}") from error

    return read


def _rows(path: str, lines: Sequence[tuple[int, Sequence[str]]]) -> Iterator[Entry]:
    """Yield the entries of a table; an empty field says nothing."""
    (_, names), *rows = [each for each in lines if any(each[1])] or [(1, [])]
    names = [name.strip() for name in names]
    problems = Problems()
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            problems.add(DataError(f"{path}, line 1: the column {name!r} is there {names.count(name)} times"))
    for line, fields in rows:
        if len(fields) != len(names):
            problems.add(DataError(f"{path}, line {line}: {len(fields)} fields, the header has {len(names)}"))
    problems.raise_found()
    for line, fields in rows:
        values = {name: field for name, field in zip(names, fields, strict=True) if field}
        yield Entry(values, f"line {line}", dict.fromkeys(values, line))


READERS: dict[str, tuple[Callable[[str, str], Read], bool]] = {
    ".toml": (_toml, False),
    ".csv": (_delimited(","), True),
    ".tsv": (_delimited("\t"), True),
    ".jsonl": (_json_lines, False),
    ".ndjson": (_json_lines, False),
    ".yaml": (_yaml, False),
    ".yml": (_yaml, False),
}
"""The formats of manifests by suffix, and whether all their values are texts."""


def manifest_of(runs: Sequence[Mapping[str, Any]]) -> Manifest:
    """Return the runs that a Python caller lists."""
    entries = [Entry(values, f"run {number}") for number, values in enumerate(runs, 1)]
    if not entries:
        raise UsageError("`runs`: there is no run")
    return Manifest("runs", "", NOTHING, entries, error=UsageError)

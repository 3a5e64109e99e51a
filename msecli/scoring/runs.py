"""From the entries of a manifest, or from two patterns, to the runs of a batch, checked before any of them begins."""

from __future__ import annotations

import glob
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import product
from typing import Any

from msecli.errors import (
    MsecliError,
    Problems,
    ReadWriteError,
    UsageError,
    meant,
)
from msecli.places import is_url, shown_path
from msecli.places.file import STDIN
from msecli.scoring.manifest import NOTHING, Entry, Manifest, Told, as_keys
from msecli.scoring.request import TAKEN_AS, Request
from msecli.text.reading import TAKEN as READ_AS
from msecli.text.reading import Readings, by_file, files_named
from msecli.tuples import NamedTuple

HEADERS = {"header": True, "no_header": False}
SPELLINGS = {"nan_policy": "nan_target"}
"""Other names of options."""

NOT_OF_RUNS = frozenset({
    "predictions", "targets", "reading", "coef", "intercept", "regularize_intercept", "grad_norm", "keep", "engine",
    "jobs", "scheduler", "scheduler_file", "local", "worker_timeout", "resume",
})  # fmt: skip
"""The parameters of requests that are no options of `compute`, or not of a single run."""

OPTIONS = tuple(each.name for each in fields(Request) if each.name not in NOT_OF_RUNS)
OWN = ("name", "predictions", "targets", "matrix")
KEYS = (*OWN, *OPTIONS, "no_row_check", *SPELLINGS, *READ_AS, *HEADERS)
"""What an entry may say."""

PATHS = ("predictions", "targets", "weight_file", "params", "baseline")
"""The values that are paths, relative to the manifest."""

FLAGS = frozenset({"row_check", "no_row_check", "drop_last", "explain", "reverse"})
NUMBERS = frozenset(
    {
        "batch_size",
        "shuffle",
        "axis",
        "season",
        "ignore_index",
        "peak",
        "l1",
        "l2",
        "ci",
        "bootstrap",
        "seed",
        "worst",
        "top",
    }
)
"""The options that are not texts, for manifests in which all values are."""

TRUTHS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}

LOSS = "loss"
"""What runs can be sorted by besides metrics."""

PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Run(NamedTuple):
    """A run of a batch: its name, what to score, where it was asked for, and how errors of it are worded."""

    name: str
    request: Request
    place: str = ""
    told: Told = as_keys


class _ProblemError(Exception):
    """What is wrong with a value of an entry."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def runs_of(manifest: Manifest, given: Mapping[str, Any] | None = None, sort: str | None = None) -> list[Run]:
    """Return the runs that a manifest lists.

    Parameters
    ----------
    manifest : Manifest
    given : mapping of str to object, optional
        Values for all runs that take the place of the manifest's defaults.
    sort : str, optional
        A metric that is computed for all runs, so that they can be sorted by it.

    Raises
    ------
    MsecliError
        With all that is wrong, and where.
    """
    problems, found = Problems(), list[Run]()
    _check_keys(manifest, problems)
    named: dict[str, str] = {}
    for entry in manifest.runs:
        if not all(map(_is_known, entry.values)):
            continue
        layers = (manifest.defaults.values, given or {}, entry.values)
        values = {_key(key): each for source in layers for key, each in source.items() if _is_known(key)}
        if sort is not None and sort != LOSS:
            values["metrics"] = [*_listed(values.get("metrics", [])), sort]
        try:
            made = [_request(one, manifest) for one in _combinations(values)]
        except _ProblemError as problem:
            name = values.get("name", "")
            key = next((each for each in entry.values if _key(each) == problem.key), problem.key)
            who = f"run {name!r}: " if isinstance(name, str) and name and problem.key != "name" else ""
            problems.add(_error(manifest, entry, key, f"{who}{problem}"))
            continue
        for name, request in made:
            if name in named:
                problems.add(_error(manifest, entry, "name", f"the name {name!r} is also that of {named[name]}"))
            named.setdefault(name, entry.place)
            found.append(Run(name, request, f"{manifest.path}, {entry.place}", manifest.told))
    problems.raise_found()
    return found


def _check_keys(manifest: Manifest, problems: Problems) -> None:
    """Add what entries say that no run understands to the problems."""
    for entry in (manifest.defaults, *manifest.runs):
        for key in entry.values:
            if not _is_known(key):
                message = f"{key!r} is no option of a run{meant(_key(key), KEYS)}"
                problems.add(_error(manifest, entry, key, message))


def _error(manifest: Manifest, entry: Entry, key: str, message: str) -> MsecliError:
    """Return an error about a value of an entry, or of the defaults."""
    found = manifest.defaults if key in manifest.defaults.values and key not in entry.values else entry
    return manifest.error(f"{manifest.path}, {found.at(key)}: {message}")


def _key(key: str) -> str:
    """Return an option's name as that of a parameter: dashes are taken as well."""
    return str(key).replace("-", "_")


def _is_known(key: str) -> bool:
    return _key(key) in KEYS


def _combinations(values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the values of every combination of a matrix; without one, the values."""
    if "matrix" not in values:
        yield dict(values)
        return
    matrix = values["matrix"]
    if not isinstance(matrix, Mapping) or not matrix or not all(isinstance(m, list) and m for m in matrix.values()):
        raise _ProblemError("matrix", "a matrix has a list of values for each key, as in matrix = {seed = [1, 2]}")
    plain = {key: each for key, each in values.items() if key != "matrix"}
    template = plain.get("name", plain.get("predictions", ""))
    texts = [plain.get("name"), *(plain.get(name) for name in PATHS)]
    used = {name for text in _texts(texts) for name in PLACEHOLDER.findall(text)}
    for key in matrix:
        if _key(key) not in KEYS and key not in used:
            raise _ProblemError("matrix", f"{key!r} is neither an option nor {{{key}}} in the name or a path")
    for key in used - set(matrix):
        raise _ProblemError("matrix", f"there is no {key!r} in the matrix for {{{key}}}{meant(key, matrix)}")
    for chosen in product(*matrix.values()):
        texts_of = {key: _text(value) for key, value in zip(matrix, chosen, strict=True)}
        one = {**plain, **{_key(key): each for key, each in zip(matrix, chosen, strict=True) if _key(key) in KEYS}}
        for name in ("name", *PATHS):
            if name in one:
                one[name] = _filled(one[name], texts_of)
        if isinstance(template, str) and _filled(template, texts_of) == template:
            one["name"] = f"{one.get('name', template)}[{','.join(texts_of.values())}]"
        yield one


def _texts(values: Sequence[Any]) -> Iterator[str]:
    for value in values:
        yield from _texts(value) if isinstance(value, list) else [value] if isinstance(value, str) else []


def _text(value: Any) -> str:
    """Return a value in a name."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(_text, value)) if isinstance(value, list) else str(value)


def _filled(value: Any, texts: Mapping[str, str]) -> Any:
    """Return a text, or a list of some, with the values for {key}."""
    if isinstance(value, list):
        return [_filled(each, texts) for each in value]
    if not isinstance(value, str):
        return value
    return PLACEHOLDER.sub(lambda found: texts.get(found[1], found[0]), value)


def _request(values: Mapping[str, Any], manifest: Manifest) -> tuple[str, Request]:
    """Return the name and the request of a run."""
    if manifest.textual:
        values = {key: _of_text(key, each) for key, each in values.items()}
    if values.get("predictions") is None:
        raise _ProblemError("predictions", "name the file of the predictions: predictions = FILE")
    name = values.get("name", shown_path(values["predictions"]) if isinstance(values["predictions"], str) else None)
    values = {key: _path(key, each, manifest) if key in PATHS else each for key, each in values.items()}
    _check_kinds(values)
    if not isinstance(name, str) or not name:
        raise _ProblemError("name", "a run needs a name" if name is None else f"name: {name!r} is not a text")
    taken: dict[str, Any] = {}
    for key, value in values.items():
        if key in {"name", "no_row_check", *HEADERS, *READ_AS}:
            continue
        own = SPELLINGS.get(key, key)
        try:
            taken[own] = TAKEN_AS[own](own, value)
        except MsecliError as error:
            raise _ProblemError(key, manifest.told(error)) from error
    if "no_row_check" in values:
        taken["row_check"] = not values["no_row_check"]
    try:
        return name, Request(**taken, reading=_readings(values), jobs=1)
    except MsecliError as error:
        raise _ProblemError(_about(error, values), manifest.told(error)) from error


def _check_kinds(values: Mapping[str, Any]) -> None:
    """Refuse values that Python would take for others, and what a batch does not score."""
    for key in FLAGS & set(values):
        if not isinstance(values[key], bool):
            raise _ProblemError(key, f"{key}: {values[key]!r} is neither true nor false")
    for key in NUMBERS & set(values):
        if any(isinstance(each, bool) for each in _listed(values[key])):
            raise _ProblemError(key, f"{key}: {values[key]!r} is not a number")
    if values.get("reduction") == "none":
        raise _ProblemError("reduction", "reduction 'none' gives no single loss of a run; use sum, mean or batchmean")


def _about(error: MsecliError, values: Mapping[str, Any]) -> str:
    """Return the key that an error names first."""
    text = str(error.args[0]) if error.args else ""
    found = ((re.search(rf"\b{key.removesuffix('s')}s?\b", text), key) for key in values)
    named = [(match.start(), key) for match, key in found if match is not None]
    return min(named)[1] if named else ""


def _path(key: str, value: Any, manifest: Manifest) -> Any:
    """Return a path relative to the manifest; data in memory are for Python callers alone."""
    if isinstance(value, list) and key in LISTS:
        return [_path(key, each, manifest) for each in value]
    if not isinstance(value, str):
        if manifest.error is UsageError:
            return value
        raise _ProblemError(key, f"{key}: {value!r} is not a path")
    if value == STDIN:
        raise _ProblemError(key, f"{key}: a batch does not read standard input; write it to a file")
    return value if is_url(value) else os.path.join(manifest.folder, value)


def _of_text(key: str, text: Any) -> Any:
    """Return the value that a text means."""
    if not isinstance(text, str):
        return text
    if key in FLAGS:
        return TRUTHS.get(text.strip().lower(), text)
    if key not in NUMBERS:
        return text
    try:
        numbers = [float(each) for each in text.split(",")]
    except ValueError as error:
        raise _ProblemError(key, f"{key}: {text!r} is not a number") from error
    whole = [int(each) if math.isfinite(each) and each.is_integer() else each for each in numbers]
    return whole[0] if len(whole) == 1 else whole


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _readings(values: Mapping[str, Any]) -> Readings:
    """Return how to read the files of a run: settings for all, or FILE=VALUE, or a table by file."""
    given: dict[str, dict[str, Any]] = {}
    for name in READ_AS:
        value = values.get(name, [])
        if isinstance(value, Mapping):
            texts = [f"{file}={each}" if file else each for file, each in value.items()]
        else:
            texts = _listed(value)
        if not all(isinstance(each, str) for each in texts):
            raise _ProblemError(name, f"{name}: {value!r} is not a text")
        given[name] = dict(by_file(name, texts))
    headers: dict[str, bool] = {}
    for name, header in HEADERS.items():
        value = values.get(name, [])
        if value in (True, False) or (isinstance(value, str) and value.lower() in TRUTHS):
            headers[""] = header == (value if isinstance(value, bool) else TRUTHS[value.lower()])
            continue
        try:
            words = [word.strip() for text in _listed(value) for word in text.split(",")]
            files = [each for word in words for each in (files_named(word) if word else ("",))]
        except (AttributeError, UsageError) as error:
            raise _ProblemError(
                name, f"{name}: {value!r} is neither true nor false nor what files are called"
            ) from error
        headers |= dict.fromkeys(files, header)
    return Readings.of_settings({**given, "header": headers})


# Patterns

LISTS = frozenset({"params", "predictions", "targets", "weight_file"})
"""The keys whose values may be lists of files."""

WILD = re.compile(r"\*\*/?|\*|\?|\[!?\]?[^\]]*\]|\{(\w+)\}")
"""What stands for parts of a path in a pattern."""


def manifest_of_patterns(predictions: str, targets: str, told: Told) -> Manifest:
    """Return the runs of the files that a pattern matches, each with the targets that a second pattern makes of them.

    In a pattern of predictions `*`, `?` and `[…]` match as in a shell, `**` also folders, and `{name}` matches a part
    of a path. In the pattern of targets `{name}` is what the part of this name matched, and `{1}` what the first one
    without a name did. `told` words the errors of runs.

    Raises
    ------
    UsageError
        If a pattern has no such parts, or not those that the other one needs.
    ReadWriteError
        If no file matches.
    """
    if is_url(predictions):
        raise UsageError(
            f"{predictions}: the pattern of a batch is for files of this machine; list the runs in a manifest"
        )
    pattern, names = _compiled(predictions)
    named = set(pattern.groupindex.values())
    numbered = [number for number in range(1, pattern.groups + 1) if number not in named]
    known = [*names, *(str(number) for number in range(1, len(numbered) + 1))]
    for name in PLACEHOLDER.findall(targets):
        if name not in known:
            there = f"there is {', '.join(f'{{{each}}}' for each in known)}" if known else "there is nothing to fill in"
            raise UsageError(f"the pattern {targets} has {{{name}}}, but of {predictions} {there}{meant(name, known)}")
    if re.search(r"[*?]", targets) and not os.path.exists(targets):
        first = "{1} for the first *" if numbered else f"{{{names[0]}}} for what it matched"
        raise UsageError(f"the pattern {targets} is made of what {predictions} matched: use {first}")
    wild = WILD.sub(lambda found: "*" if found[1] else found[0], predictions)
    entries = []
    for path in sorted(glob.glob(wild, recursive=True)):
        match = pattern.fullmatch(path)
        if match is None or os.path.isdir(path):
            continue
        captured = match.groups(default="")
        fills = {str(number): match[group].rstrip("/") for number, group in enumerate(numbered, 1)}
        fills |= match.groupdict()
        name = "/".join(text.strip("/") for text in captured if text.strip("/")) or path
        values = {"name": name, "predictions": path, "targets": _filled(targets, fills)}
        entries.append(Entry(values, f"{path}"))
    if not entries:
        raise ReadWriteError(f"{predictions}: no file matches this pattern")
    return Manifest("the pattern", "", NOTHING, entries, error=UsageError, told=told)


def _compiled(pattern: str) -> tuple[re.Pattern[str], list[str]]:
    """Return the regular expression of a pattern with a group for each wild part, and the names of those with one."""
    names: list[str] = []
    pieces, end = [], 0
    for found in WILD.finditer(pattern):
        pieces.append(re.escape(pattern[end : found.start()]))
        end = found.end()
        if found[1]:
            pieces.append(f"(?P={found[1]})" if found[1] in names else f"(?P<{found[1]}>[^/]+)")
            names.append(found[1])
        else:
            pieces.append(_part(found[0]))
    if not pieces:
        raise UsageError(
            f"{pattern}: this is no pattern; use * for what differs between runs, in quotes, as in 'runs/*/pred.csv', "
            "or score one pair of files with msecli compute"
        )
    try:
        return re.compile("".join([*pieces, re.escape(pattern[end:])]), re.DOTALL), list(dict.fromkeys(names))
    except re.error as error:
        raise UsageError(f"{pattern}: this is no pattern ({error})") from error


WILD_PARTS: dict[str, str] = {"*": "([^/]*)", "?": "([^/])", "**": "(.*)", "**/": "(.*/|)"}


def _part(wild: str) -> str:
    if wild in WILD_PARTS:
        return WILD_PARTS[wild]
    inside = wild[1:-1]
    return (
        f"([{'^' if inside.startswith('!') else ''}{re.escape(inside.removeprefix('!')).replace(chr(92) + '-', '-')}])"
    )

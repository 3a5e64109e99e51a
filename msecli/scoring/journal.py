"""The journal of a batch: a line of JSON for each run that has ended, so that a killed batch resumes.

A line has `schema` ("msecli-journal/1"), `run` (the name), `fingerprint` (of the inputs and the settings), `result`
(the JSON document of the result) and `sums` (exact, as in saved states; null if there are no totals for what the run
computes). Failed runs are not in it. A line that a killed process has cut off is ignored.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from msecli._version import __version__
from msecli.core.cells import Cells
from msecli.core.state import Rules
from msecli.errors import DataError, ReadWriteError
from msecli.places import files_of, is_path, is_url
from msecli.places.state import file_state
from msecli.results.batch import Run
from msecli.results.restored import restored
from msecli.scoring.batch import Done, Sums
from msecli.scoring.request import Request
from msecli.scoring.runs import Run as Asked

SCHEMA = "msecli-journal/1"
LINE_END = b"\n"


class BatchJournal:
    """The runs that have ended, in a file.

    Parameters
    ----------
    path : str
        Need not exist.
    hashes : bool
        Whether inputs are told apart by what they hold, instead of by their sizes and the times of their last changes.

    Raises
    ------
    DataError
        If the file is no journal.
    ReadWriteError
        If it cannot be read or written.
    """

    def __init__(self, path: str, *, hashes: bool = False) -> None:
        self.path, self._hashes = path, hashes
        self._known: dict[str, Mapping[str, Any]] = {}
        self._fingerprints: dict[str, str | None] = {}
        try:
            content = self._read()
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            if content and not content.endswith(LINE_END):
                os.write(self._file, LINE_END)
        except OSError as error:
            raise ReadWriteError(f"{path}: cannot write: {error.strerror or error}") from error

    def _read(self) -> bytes:
        import json

        try:
            with open(self.path, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return b""
        for number, line in enumerate(content.split(LINE_END)):
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if isinstance(entry, dict) and entry.get("schema") == SCHEMA:
                self._known[str(entry.get("run"))] = entry
            elif number == 0 and line.strip():
                raise DataError(f"{self.path}: this is no journal of a batch; name another file to resume from")
        return content

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def taken(self, asked: Asked) -> Done | None:
        """Return what is known of a run, if its inputs and its settings are unchanged."""
        self._fingerprints[asked.name] = fingerprint = fingerprint_of(asked.request, hashes=self._hashes)
        entry = self._known.get(asked.name)
        if entry is None or fingerprint is None or entry.get("fingerprint") != fingerprint:
            return None
        try:
            sums = entry["sums"]
            return Done(Run(asked.name, restored(entry["result"])), None if sums is None else _read_sums(sums))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            return None  # as good as unknown

    def keep(self, asked: Asked, done: Done) -> None:
        """Append a run that has ended; a single write, so that a line is there as a whole or cut off at the end.

        Raises
        ------
        ReadWriteError
        """
        import json

        fingerprint = self._fingerprints.get(asked.name)
        if done.run.result is None or fingerprint is None:
            return
        document = done.run.result.to_dict()
        if restored(document).to_dict() != document:
            return  # it would not come back as it was
        entry = {
            "schema": SCHEMA,
            "run": asked.name,
            "fingerprint": fingerprint,
            "result": document,
            "sums": None if done.sums is None else _written_sums(done.sums),
        }
        line = json.dumps(entry, allow_nan=False, separators=(",", ":")).encode() + LINE_END
        try:
            while line:
                line = line[os.write(self._file, line) :]
        except OSError as error:
            raise ReadWriteError(f"{self.path}: cannot write: {error.strerror or error}") from error


def fingerprint_of(request: Request, *, hashes: bool) -> str | None:
    """Return what changes with the inputs and the settings of a run; None if nothing tells when an input does."""
    if not all(map(is_path, (*request.inputs, *request.params))):
        return None
    settings = {each.name: getattr(request, each.name) for each in fields(request)}
    settings |= {"jobs": None, "keep": sorted(request.keep)}
    try:
        files = [_state(file, hashes=hashes) for path in request.files for file in files_of(path)]
    except OSError:
        return None
    if None in files:
        return None
    return hashlib.sha256(repr((__version__, settings, files)).encode(errors="surrogateescape")).hexdigest()


def _state(path: str, *, hashes: bool) -> tuple[str, tuple[Any, ...]] | None:
    found = file_state(path)
    if found is None:
        return None
    if not hashes or is_url(found.path):
        return found.path, found[1:]
    with open(found.path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return found.path, (digest.hexdigest(),)


def _written_sums(sums: Sums) -> dict[str, Any]:
    rules = sums.rules
    kept = {"terms": rules.terms, "largest": rules.largest, "columns": rules.columns, "weighted": sums.weighted}
    return {**kept, "groups": sums.cells.to_json()}


def _read_sums(written: Mapping[str, Any]) -> Sums:
    rules = Rules(tuple(written["terms"]), tuple(written["largest"]), int(written["columns"]))
    return Sums(rules, bool(written["weighted"]), Cells.of_json(written["groups"]))

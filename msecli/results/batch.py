"""The results of a batch of runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msecli import kernel
from msecli._version import __version__
from msecli.results.base import SCHEMA, Case, Line, Number, Report, Row, Section, jsonable, plural
from msecli.results.gates import GateResult
from msecli.results.score import SIGNATURE_FIELD, Input, Macro, Result, Score
from msecli.tuples import NamedTuple

ERROR = "error"
"""The status of a run that could not be scored."""

NOT_RUN = "not run, because an earlier run failed"
"""What a run says that was left out after a failure."""


class Run(NamedTuple):
    """A run of a batch.

    Attributes
    ----------
    name : str
    result : Result or None
        None if it failed.
    error : str or None
        Why it failed.
    exit_code : int
        What the command would have exited with for this run alone, gates apart.
    """

    name: str
    result: Result | None
    error: str | None = None
    exit_code: int = 0

    @property
    def status(self) -> str:
        """Whether the loss is a number: "ok", "nan" or "inf"; or "error"."""
        return ERROR if self.result is None else self.result.status

    def numbers(self) -> dict[str, Number]:
        """Return the loss and the metrics; none if it failed."""
        return {} if self.result is None else self.result.numbers()

    def to_dict(self) -> dict[str, Any]:
        """Return the run in the shape of the JSON output."""
        if self.result is None:
            return {"run": self.name, "loss": None, "status": ERROR, "error": self.error, "exit_code": self.exit_code}
        document = self.result.to_dict()
        for name in ("schema", "version", "kernel"):
            del document[name]
        return {"run": self.name, **document, "error": None}


@dataclass(frozen=True, slots=True, repr=False)
class Batch(Report):
    """The results of a batch of runs.

    Attributes
    ----------
    runs : tuple of Run
        In the order of the manifest, or sorted.
    pooled : Score or None
        Over all rows of all runs that could be scored, if these have the same reduction and the same metrics.
    macro : Macro or None
        The plain means of the runs' losses and metrics, under the same condition.
    taken : int
        How many of the runs were taken from a journal.
    """

    runs: tuple[Run, ...]
    pooled: Score | None = None
    macro: Macro | None = None
    taken: int = 0
    version: str = __version__

    @property
    def failed(self) -> tuple[Run, ...]:
        """The runs that could not be scored."""
        return tuple(run for run in self.runs if run.result is None)

    @property
    def exit_code(self) -> int:
        """The exit code of the worst run, gates apart: 4 before 3 before 2 before 0."""
        return max((run.exit_code for run in self.runs), default=0)

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """The gates of all runs, in their order, with the run in their scopes."""
        return tuple(
            gate._replace(scope={"run": run.name, **(gate.scope or {})})
            for run in self.runs
            if run.result is not None
            for gate in run.result.gates
        )

    def cases(self) -> list[Case]:
        """Return a case for each run."""
        found = []
        for run in self.runs:
            if run.result is None:
                found.append(Case(run.name, {}, ERROR, run.error))
            else:
                (case,) = run.result.cases()
                found.append(case._replace(name=run.name))
        return found

    @property
    def what(self) -> Row:
        """How many runs there are."""
        failed = len(self.failed)
        more: Row = (", ", failed, " failed") if failed else ()
        return (len(self.runs), f" {plural('run', len(self.runs))}", *more)

    @property
    def footer(self) -> str | None:
        """The signature, if all runs have the same up to the elements used."""
        found = {_comparable(run.result.signature) for run in self.runs if run.result is not None}
        return found.pop() if len(found) == 1 else None

    def numbers(self) -> dict[str, Number]:
        """Return the numbers over all runs together; without them those of the runs' means."""
        total = self.pooled or self.macro
        return {"loss": None} if total is None else total.numbers()

    def main_numbers(self) -> list[Number]:
        """Return the losses of the runs."""
        return [run.numbers().get("loss") for run in self.runs]

    def lines(self) -> list[Line]:
        """Return a line per run, then the lines "pooled" and "macro"."""
        rows = [Line(run.name, run.numbers(), from_data=True) for run in self.runs]
        return [*rows, *(Line(name, numbers) for name, numbers in self._totals())]

    def records(self, missing_label: str | None = None) -> list[dict[str, Any]]:
        """Return a row for each run, and the rows "pooled" and "macro", told apart by `scope`."""
        records: list[dict[str, Any]] = []
        for run in self.runs:
            own = {} if run.result is None else run.result.records()[_POOLED if run.result.entries else 0]
            own = {name: value for name, value in own.items() if name not in {"scope", "checked_by"}}
            records.append({"scope": "run", "run": run.name, **own, "status": run.status, "error": run.error})
        for name, total in (("pooled", self.pooled), ("macro", self.macro)):
            if total is not None:
                records.append({"scope": name, "status": total.status, **total.numbers()})
        if self.pooled is not None:
            used = {"rows_used": self.pooled.rows.used, "elements_used": self.pooled.elements.used}
            records[len(self.runs)] |= {"denominator": self.pooled.denominator, **used}
        columns = dict.fromkeys(["scope", "run", "loss", "status", *self._names()])
        columns |= dict.fromkeys(name for record in records for name in record if name != "error")
        return [{**columns, "error": None, **record} for record in records]

    def sections(self) -> list[Section]:
        """Return one table, with a row for each run."""
        names = self._names()

        def row(label: str, numbers: Mapping[str, Number], used: int | str) -> Row:
            return (label, *(numbers.get(name, "") for name in names), used)

        rows: list[Row] = []
        for run in self.runs:
            if run.result is None:
                rows.append((run.name, "failed", *[""] * len(names)))
            else:
                rows.append(row(run.name, run.numbers(), run.result.elements.used))
        used = {"pooled": self.pooled.elements.used if self.pooled is not None else ""}
        totals = [row(name, numbers, used.get(name, "")) for name, numbers in self._totals()]
        header = ("run", *(name.replace("_", " ") for name in names), "used")
        return [Section(header, rows, totals, self._note(), kind="run")]

    def to_dict(self) -> dict[str, Any]:
        """Return the results in the shape of the JSON output; nan and infinities are None."""
        document: dict[str, Any] = {"schema": SCHEMA, "loss": None}
        if self.pooled is not None:
            document |= self.pooled.to_dict()
            del document["rows"]["checked_by"]  # each run says its own
        if self.macro is not None:
            document["macro"] = self.macro.to_dict()
        document |= {
            "runs": [run.to_dict() for run in self.runs],
            "failed": len(self.failed),
            "taken": self.taken,
            "version": self.version,
            "kernel": kernel.name(),
        }
        return dict(jsonable(document))

    def __str__(self) -> str:
        failed = f", {len(self.failed)} failed" if self.failed else ""
        total = "" if self.pooled is None else f", pooled {Report.__str__(self)}"
        return f"{len(self.runs)} {plural('run', len(self.runs))}{failed}{total}"

    def _names(self) -> list[str]:
        """Return the names of all numbers of the runs."""
        return list(dict.fromkeys(["loss", *(name for run in self.runs for name in run.numbers())]))

    def _totals(self) -> list[tuple[str, dict[str, Number]]]:
        totals = (("pooled", self.pooled), ("macro", self.macro))
        return [(name, total.numbers()) for name, total in totals if total is not None]

    def _note(self) -> Row:
        taken: Row = (self.taken, " of the runs are unchanged and were not repeated") if self.taken else ()
        if self.macro is not None or len(self.runs) - len(self.failed) < 2:
            return taken
        return (*taken, "; " if taken else "", "the runs differ in what they compute, so there are no totals")


class Planned(NamedTuple):
    """What a run of a batch would score.

    Attributes
    ----------
    name : str
    inputs : tuple of Input
    size : int
        Of its files on this machine, in bytes.
    error : str or None
        Why it would fail.
    exit_code : int
    """

    name: str
    inputs: tuple[Input, ...]
    size: int
    error: str | None = None
    exit_code: int = 0

    def of(self, role: str) -> Input | None:
        """Return the input with a role."""
        return next((each for each in self.inputs if each.role == role), None)


@dataclass(frozen=True, slots=True, repr=False)
class Preview(Report):
    """What a batch would score.

    Attributes
    ----------
    runs : tuple of Planned
    """

    runs: tuple[Planned, ...]
    version: str = __version__

    @property
    def exit_code(self) -> int:
        """The exit code of the worst run: 4 before 3 before 2 before 0."""
        return max((run.exit_code for run in self.runs), default=0)

    @property
    def what(self) -> Row:
        """How many runs there are."""
        failed = sum(run.error is not None for run in self.runs)
        more: Row = (", ", failed, " would fail") if failed else ()
        return (len(self.runs), f" {plural('run', len(self.runs))}, nothing scored", *more)

    def numbers(self) -> dict[str, Number]:
        """Return the sizes of the runs' files on this machine in bytes, by name."""
        return {run.name: run.size for run in self.runs}

    def lines(self) -> list[Line]:
        """Return a line for each run: its name, and the size of its files in bytes."""
        return [Line(run.name, {"bytes": run.size}, from_data=True) for run in self.runs]

    def records(self, missing_label: str | None = None) -> list[dict[str, Any]]:
        """Return a row for each run."""
        found = []
        for run in self.runs:
            ours, theirs = run.of("prediction"), run.of("target")
            found.append({
                "run": run.name,
                "predictions": None if ours is None else ours.path,
                "targets": None if theirs is None else theirs.path,
                "pred": None if ours is None else ",".join(ours.columns),
                "target": None if theirs is None else ",".join(theirs.columns),
                "bytes": run.size,
                "error": run.error,
            })  # fmt: skip
        return found

    def sections(self) -> list[Section]:
        """Return one table, with a row for each run."""
        rows: list[Row] = []
        for record in self.records():
            named = (record[name] or "" for name in ("run", "pred", "target", "predictions", "targets"))
            rows.append((*named, record["bytes"]) if record["error"] is None else (record["run"], *[""] * 4, "failed"))
        return [Section(("run", "pred", "target", "predictions", "targets", "bytes"), rows, kind="run")]

    def to_dict(self) -> dict[str, Any]:
        """Return the preview in the shape of the JSON output."""
        runs = [
            {"run": run.name, "inputs": [each._asdict() for each in run.inputs], "bytes": run.size, "error": run.error}
            for run in self.runs
        ]
        return dict(jsonable({"schema": SCHEMA, "dry_run": True, "runs": runs, "version": self.version}))


_POOLED = -2
"""The place of the pooled row in the records of a result with entries; behind it are the means."""


def _comparable(signature: str) -> str:
    """Return the fields of a signature that comparable losses have in common."""
    fields = re.findall(SIGNATURE_FIELD, signature)
    return "|".join(field for field in fields if not field.startswith("used:"))

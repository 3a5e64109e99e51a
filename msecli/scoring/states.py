"""Saved states: the exact sums of a run in a file, which merge to the result of one run over all inputs.

A state is a JSON document ("schema": "msecli-state/1"):

* `settings`, `columns`, `item` and, with a model or penalties, `parameters` say what was computed. States merge if
  these agree.
* `inputs` are the files, each with its role, format and columns, and what tells it from others: its whole path, its
  size in bytes and the time of its last change in nanoseconds; for data that are no file a random `id`.
* `rows` is the ledger in rows; `warnings` are those of the run.
* `groups` holds the sums and counts of each group, or of all rows as one group without labels: `labels` (text, or null
  where one is missing), `rows`, `rows_used` and `columns`; each column has `counts` (the ledger in elements), `sums`
  and, where metrics need them, the `largest` values. A sum is exact: an integer, or "m*2^e", or "inf", "-inf", "nan".
  `gradients` are the sums of the derivatives with respect to the parameters of a model.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, Self, cast

import numpy as np

from msecli._version import __version__
from msecli.arrays import FloatArray
from msecli.core.axes import kept_axes
from msecli.core.cells import Cells, read_number, written_number
from msecli.core.linear import LinearModel, ParameterSums
from msecli.core.partition import Partition
from msecli.core.state import LossState
from msecli.errors import DataError, ReadWriteError, UsageError, Warned, Warnings, many, shown
from msecli.formats.base import Source
from msecli.pairing.labels import sort_key
from msecli.pairing.roles import Place, Roles
from msecli.places import files_of, open_input, paths_of, split_inner
from msecli.places.state import FileState, file_state
from msecli.results.score import Input, Result, Rows
from msecli.scoring.finish import finish
from msecli.scoring.fold import Folded, Tally
from msecli.scoring.ledger import Ledger
from msecli.scoring.plan import Plan, penalized_of, rules_of
from msecli.scoring.request import Request
from msecli.tuples import NamedTuple

SCHEMA = "msecli-state/1"

KEPT = (
    "reduction", "metrics", "peak", "ignore_index", "nan_target", "nan_pred", "unmatched", "row_check", "by", "axis",
    "weight", "l1", "l2", "regularize_intercept", "grad_norm",
)  # fmt: skip
"""The parameters of a request that a state keeps as they are."""

BESIDE = frozenset({
    "predictions", "targets", "pred", "target", "reading", "on", "weight_file", "coef", "intercept", "params", "keep",
    "engine", "jobs", "fail_if", "min_coverage", "baseline", "baseline_metric", "max_increase", "scheduler",
    "scheduler_file", "local", "worker_timeout", "resume",
})  # fmt: skip
"""The parameters that are kept in another form, or do not matter to the sums. There is no place for any others."""

OF_THE_WHOLE = frozenset({"left_out_of_macro", "perfect_baseline"})
"""Warnings that follow from the sums, so that they are found again."""

IDENTIFYING = frozenset({"prediction", "inputs"})
"""The roles of the files that may be in one state only."""


PARAMETERS = ("coef", "intercept", "params")
"""What a header holds as arrays."""


class Part(NamedTuple):
    """An input of a state, and what tells it from others."""

    input: Input
    identity: tuple[tuple[str, Any], ...]

    @property
    def counted(self) -> bool:
        """Whether its rows are those of the state, so that it must not be in another."""
        return self.input.role in IDENTIFYING


class State(NamedTuple):
    """The exact sums of a run.

    Parameters
    ----------
    header : mapping
        What was computed; states whose headers agree may merge.
    parts : tuple of Part
    rows : Rows
    warnings : tuple of Warned
    partition : Partition
        The sums by group, or of all rows.
    name : str
        What messages call it.
    """

    header: Mapping[str, Any]
    parts: tuple[Part, ...]
    rows: Rows
    warnings: tuple[Warned, ...]
    partition: Partition
    name: str = "a state"

    def to_json(self) -> dict[str, Any]:
        """Return the document."""
        cells, sums = self.partition.state.cells().to_json(), self.partition.parameters
        gradients = [{} for _ in cells] if sums is None else [{"gradients": each} for each in sums.to_json()]
        groups = zip(self.partition.keys, cells, gradients, strict=True)
        return {
            "schema": SCHEMA,
            "version": __version__,
            **self.header,
            "inputs": [{**part.input._asdict(), "file": dict(part.identity)} for part in self.parts],
            "rows": self.rows.to_dict(),
            "warnings": [asdict(warning) for warning in self.warnings],
            # In one order, so that equal states are equal files.
            "groups": [{"labels": key, **cell, **more} for key, cell, more in sorted(groups, key=_order)],
        }

    @classmethod
    def of_json(cls, document: Mapping[str, Any], name: str) -> Self:
        """Return the state in a document.

        Raises
        ------
        DataError
            If it holds none.
        """
        schema = document.get("schema") if isinstance(document, Mapping) else None
        if schema != SCHEMA:
            found = f"its schema is {shown(str(schema))}" if schema else "it has no schema"
            raise DataError(f"{name}: this is no state of msecli: {found}, not {SCHEMA!r}; write one with `save_state`")
        try:
            return cls._read(document, name)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{name}: this state is damaged: {shown(str(error))}") from error

    @classmethod
    def _read(cls, document: Mapping[str, Any], name: str) -> Self:
        header = {key: document[key] for key in ("settings", "columns", "item", "parameters")}
        parts = tuple(
            Part(
                Input(
                    each["role"],
                    each["path"],
                    each["format"],
                    tuple(each["columns"]),
                    # States of earlier versions are of single files.
                    int(each.get("files", 1)),
                    int(each.get("skipped", 0)),
                ),
                tuple(sorted(each["file"].items())),
            )
            for each in document["inputs"]
        )
        rows = Rows(**{**document["rows"], "checked_by": tuple(document["rows"]["checked_by"])})
        warnings = tuple(Warned(**warning) for warning in document["warnings"])
        groups = document["groups"]
        keys = [None if group["labels"] is None else tuple(group["labels"]) for group in groups]
        plan = _plan(header, parts)
        cells = Cells.of_json(groups)
        if {*cells.sums} - {*plan.rules.terms} or (groups and {*plan.rules.terms} - {*cells.sums}):
            raise ValueError("the sums are not those of the metrics")
        state = LossState.of_cells(cells, plan.rules, weighted=plan.request.weighted)
        sums = None
        if plan.model is not None and plan.request.wants_parameter_gradients:
            sums = ParameterSums(plan.model, len(groups))
            sums.restore_json([group["gradients"] for group in groups])
        return cls(header, parts, rows, warnings, Partition.restored(keys, state, sums), name)

    def result(self) -> Result:
        """Return the result: that of a run over all inputs."""
        plan = _plan(self.header, self.parts)
        ledger = Ledger(plan.sources, self.warnings)
        ledger.rows[plan.roles.target.file] = self.rows.target
        ledger.rows[0] = self.rows.prediction
        if plan.roles.keys:
            counted = _Counted(self.rows.matched, self.rows.unmatched_prediction, self.rows.unmatched_target)
            ledger.matched = cast("Any", counted)
        by = bool(plan.roles.by)
        tally = Tally(whole=None if by else self.partition, groups=self.partition if by else None)
        result = finish(plan, Folded(tally, ledger))
        rows = result.rows._replace(checked_by=self.rows.checked_by)
        return replace(result, score=result.score._replace(rows=rows), inputs=tuple(part.input for part in self.parts))


def _order(group: tuple[Any, ...]) -> tuple[Any, ...]:
    return sort_key(group[0] or ())


class _Counted(NamedTuple):
    """How many rows were matched by key."""

    rows: int
    unmatched_prediction: int
    unmatched_target: int


class _File(NamedTuple):
    """A source of which only the name is known."""

    path: str
    format: str
    warnings: tuple[Warned, ...] = ()
    work: int = 1


def refuse_unsavable(request: Request) -> None:
    """Refuse a request whose state cannot be saved.

    Raises
    ------
    UsageError
        It names what needs more than sums.
    """
    for metric in request.chosen_metrics(weighted=request.weighted):
        why = "every error" if metric.holds else "the rows in order" if metric.season else ""
        if why:
            raise UsageError(f"`save_state`: the metric {metric.name!r} needs {why}, and a state holds only sums")
    if request.chosen_reduction.keeps_elements or 0 not in (request.axis or (0,)):
        what = f"reduction {request.reduction!r}" if request.chosen_reduction.keeps_elements else "this `axis`"
        raise UsageError(f"`save_state`: {what} keeps a loss for every row, and a state holds only sums")
    for each in fields(Request):
        value = getattr(request, each.name)
        if each.name not in {*KEPT, *BESIDE} and value != each.default:
            raise UsageError(f"`save_state`: a state has no place for what `{each.name}` needs; leave one of them out")


def state_of(plan: Plan, folded: Folded, result: Result) -> State:
    """Return the state of a run."""
    request, roles = plan.request, plan.roles
    settings = {name: getattr(request, name) for name in KEPT}
    settings["metrics"] = [metric.name for metric in plan.metrics]
    settings["weight_file"] = request.weight_file is not None
    settings["gradient"] = request.wants_parameter_gradients
    header = {
        "settings": settings,
        "columns": {
            "prediction": _written(roles.prediction),
            "target": _written(roles.target),
            "weight": None if roles.weight is None else _written(roles.weight),
            "by": [_written(place) for place in roles.by],
            "baselines": [[name, _written(place)] for name, place in roles.baselines],
            "keys": roles.keys,
        },
        "item": plan.item,
        "parameters": {
            "coef": _array(None if plan.model is None else plan.model.coef),
            "intercept": _array(None if plan.model is None else plan.model.intercept),
            "params": [_array(each) for each in plan.penalized[: len(request.params)]],
        },
    }
    identities = [_identity(data) for data in request.inputs]
    weight = [] if roles.weight is None else [roles.weight]
    places = [roles.prediction, roles.target, *weight, *(place for _, place in roles.baselines)]
    parts = [Part(each, identities[place.file]) for each, place in zip(result.inputs, places, strict=True)]
    warnings = tuple(warning for warning in result.warnings if warning.code not in OF_THE_WHOLE)
    return State(_plain(header), tuple(parts), result.rows, warnings, folded.tally.pooled)


def merged(states: Sequence[State]) -> State:
    """Return the state of all inputs together: the same, to the last bit, in any order and over any tree.

    Raises
    ------
    DataError
        If their settings differ, or an input is in two of them.
    """
    first = states[0]
    problems = [*_differences(states), *_repeated(states)]
    if problems:
        raise DataError("\n".join(problems))
    plan = _plan(first.header, first.parts)
    model = plan.model if plan.request.wants_parameter_gradients else None
    partition = Partition(plan.rules, weighted=plan.request.weighted, model=model)
    for state in states:
        partition.merge(state.partition)
    if not plan.roles.by and not partition.keys:
        partition = first.partition
    rows = Rows.total([state.rows for state in states])
    warnings = Warnings(warning for state in states for warning in state.warnings)
    parts = tuple(dict.fromkeys(part for state in states for part in state.parts))
    return State(first.header, parts, rows, warnings.all(), partition)


def _differences(states: Sequence[State]) -> list[str]:
    """Return what was computed otherwise in one of the states than in the first."""
    first, *others = states
    ours, found = _flat(first.header), []
    for state in others:
        theirs = _flat(state.header)
        differing = [name for name in dict.fromkeys([*ours, *theirs]) if ours.get(name) != theirs.get(name)]
        told = [_difference(name, theirs.get(name), ours.get(name)) for name in differing]
        if told:
            found.append(f"{state.name}: a state of other settings than {first.name}: {'; '.join(told)}")
    return found


def _difference(name: str, value: Any, other: Any) -> str:
    if name in PARAMETERS and value and other:
        return f"{name} holds other numbers"
    return f"{name} is {_short(value)}, not {_short(other)}"


def _flat(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must agree, by what users call it."""
    columns = {"pred" if name == "prediction" else name: each for name, each in header["columns"].items()}
    weight, by = columns.pop("weight"), columns.pop("by")
    settings = {**header["settings"], "weight": weight, "by": by}
    named = {"keys": "on"}
    return {
        **settings,
        **{named.get(name, name): each for name, each in columns.items()},
        "the shape of a row": header["item"],
        **header["parameters"],
    }


def _short(value: Any) -> str:
    """Return a setting for a message."""
    if isinstance(value, Mapping):
        return _short(value.get("columns", "given"))
    if isinstance(value, list):
        return ",".join(map(_short, value)) or "none"
    return "none" if value is None else shown(value) if isinstance(value, str) else str(value)


def _repeated(states: Sequence[State]) -> list[str]:
    """Return which inputs are in two of the states; a copy of a state has the same inputs."""
    seen: dict[tuple[tuple[str, Any], ...], State] = {}
    found = []
    for state in states:
        for part in state.parts:
            if not part.counted:
                continue
            other = seen.setdefault(part.identity, state)
            if other is not state:
                found.append(f"{part.input.path} is in {other.name} and in {state.name}; each input counts once")
    more = len(found) - 1
    return [found[0] + (f" ({many(more, 'more input')} too)" if more else "")] if found else []


def read_state(data: Any) -> State:
    """Return a state from a file, or from a document in memory.

    Raises
    ------
    DataError
        If it is none.
    ReadWriteError
        If the file cannot be read.
    """
    if isinstance(data, State):
        return data
    if isinstance(data, Mapping):
        return State.of_json(data, "a state in memory")
    import json

    file = open_input(data)
    content = file.read(file.size, 0)
    try:
        document = json.loads(content)
    except ValueError as error:  # also of bytes that are no text
        raise DataError(f"{data}: this is no state of msecli: it is not JSON ({error})") from error
    return State.of_json(document, data)


def merge_states(given: Sequence[Any]) -> State:
    """Return the state of several files or documents together.

    Raises
    ------
    UsageError, DataError, ReadWriteError
    """
    if not given:
        raise UsageError("name at least one state")
    return merged([read_state(each) for each in given])


def written_state(state: State) -> bytes:
    """Return a state as the content of a file."""
    import json

    return (json.dumps(state.to_json(), allow_nan=False, separators=(",", ":"), ensure_ascii=False) + "\n").encode(
        errors="surrogateescape"
    )


def _written(place: Place) -> dict[str, Any]:
    return {"file": place.file, "columns": place.columns}


def _place(written: Mapping[str, Any]) -> Place:
    return Place(int(written["file"]), tuple(map(str, written["columns"])))


def _array(array: FloatArray | None) -> dict[str, Any] | None:
    if array is None:
        return None
    return {"shape": array.shape, "values": [written_number(value) for value in array.reshape(-1).tolist()]}


def _read_array(written: Mapping[str, Any] | None) -> FloatArray | None:
    if written is None:
        return None
    return np.array([read_number(value) for value in written["values"]]).reshape(written["shape"])


def _identity(data: Any) -> tuple[tuple[str, Any], ...]:
    """Return what tells an input from others."""
    named = [(file, split_inner(path)[1]) for path in paths_of([data]) for file in files_of(path)]
    found = [(state, inner) for file, inner in named if (state := _state(file)) is not None]
    if not found or len(found) < len(named):
        return (("id", os.urandom(16).hex()),)
    (first, inner), *others = found
    if others:
        told = [(*state, *([inner] if inner else [])) for state, inner in found]
        digest = hashlib.sha256(repr(told).encode(errors="surrogateescape")).hexdigest()
        paths = [state.path for state, _ in found]
        folder = os.path.commonpath(paths) if all(map(os.path.isabs, paths)) else os.path.dirname(first.path)
        return tuple(sorted({"path": folder, "files": len(found), "sha256": digest}.items()))
    changed = "changed_ns" if isinstance(first.version, int) else "version"
    identity = {"path": first.path, "size": first.size, changed: first.version, **({"inner": inner} if inner else {})}
    return tuple(sorted(identity.items()))


def _state(file: str) -> FileState | None:
    """Return the state of an input that was read; None if it is a stream, or gone."""
    try:
        return file_state(file)
    except ReadWriteError:
        return None


def _plain(value: Any) -> Any:
    """Return the same with lists for tuples, and words for numbers that JSON lacks, as it is read back."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return written_number(value) if isinstance(value, float) and not math.isfinite(value) else value


def _plan(header: Mapping[str, Any], parts: Sequence[Part]) -> Plan:
    """Return a plan that leads from the sums to the result as the one of the run does; it reads nothing."""
    settings, columns, parameters = dict(header["settings"]), header["columns"], header["parameters"]
    roles = Roles(
        _place(columns["prediction"]),
        _place(columns["target"]),
        None if columns["weight"] is None else _place(columns["weight"]),
        by=tuple(map(_place, columns["by"])),
        baselines=tuple((name, _place(place)) for name, place in columns["baselines"]),
        keys=tuple(tuple(names) for names in columns["keys"]),
    )
    paths = {each.input.role: each.input for each in reversed(parts)}
    first = paths.get("inputs") or paths["prediction"]
    files = {0: first, roles.target.file: paths["target"] if roles.target.file else first}
    weighed_by_file = settings.pop("weight_file")
    if weighed_by_file and roles.weight is not None:
        files[roles.weight.file] = paths["weight"]
    coef, intercept = (_read_array(parameters[name]) for name in ("coef", "intercept"))
    params = tuple(_read_array(each) for each in parameters["params"])
    settings["ignore_index"] = [read_number(value) for value in settings["ignore_index"]]
    gradient = settings.pop("gradient")
    request = Request.of(
        predictions=first.path,
        targets=files[roles.target.file].path if roles.target.file else None,
        weight_file=paths["weight"].path if weighed_by_file else None,
        on=roles.on,
        coef=coef,
        intercept=intercept,
        params=params,
        keep=("grad_params",) if gradient else (),
        **settings,
    )
    model = None if coef is None else LinearModel(coef, intercept)
    item = tuple(header["item"])
    kept = kept_axes(request.axis, 1 + len(item)) if request.axis else ()
    return Plan(
        request,
        cast("tuple[Source, ...]", tuple(_File(files[number].path, files[number].format) for number in sorted(files))),
        roles,
        rules_of(request, item, kept, weighted=request.weighted),
        item,
        kept,
        model,
        penalized_of(request, tuple(each for each in params if each is not None), model),
    )

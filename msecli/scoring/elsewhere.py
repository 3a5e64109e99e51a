"""Scores whose rows are read by the workers of a distributed engine: what they cannot do, and what they must see."""

from __future__ import annotations

import codecs
import os
import pickle
from functools import partial
from typing import TYPE_CHECKING

from msecli.engines import ENGINES, Engine, engine_named
from msecli.errors import DataError, ReadWriteError, UsageError, setting
from msecli.formats.base import Source
from msecli.places import is_path, paths_of
from msecli.places.file import STDIN
from msecli.scoring.spans import count_rows
from msecli.text.encoding import PLAIN

if TYPE_CHECKING:
    from msecli.scoring.plan import Plan
    from msecli.scoring.request import Request

ADDRESSES = ("scheduler", "scheduler_file", "local")
"""The parameters that say where workers are."""


def check_engine(request: Request) -> None:
    """Refuse what the engine of a request cannot do, and the address of workers that none would work for.

    Raises
    ------
    UsageError
    """
    name, given = request.engine, [each for each in ADDRESSES if getattr(request, each) is not None]
    if not engine_named(name).distributed:
        if given:
            engine = next(entry.name for entry in ENGINES.values() if entry.distributed)
            raise UsageError(f"`{given[0]}` is for an engine with workers: `+engine={engine}`")
        return
    if len(given) > 1:
        raise UsageError(f"`{given[0]}` and `{given[1]}` both say where the workers are; choose one")
    if request.local is not None and request.local < 1:
        raise UsageError(f"`local`: {request.local} is not a number of at least 1")
    if not request.worker_timeout > 0:
        raise UsageError(f"`worker_timeout`: {request.worker_timeout:g} is not a number of seconds above 0")
    if request.jobs is not None:
        raise UsageError(f"`jobs` is for threads of this process; {setting('engine', name)} has those of its workers")
    numbered = request.batch_size is not None or request.bootstrap is not None
    for wanted, task in (
        (bool(request.on) and numbered, "number rows that are paired by a key (`on`)"),
        (request.chosen_reduction.keeps_elements, f"write the losses of elements (`reduction={request.reduction}`)"),
        (not request.keep <= {"grad_params"}, "write gradients and predictions of rows"),
        (request.where is not None and numbered, "number the rows that meet a condition (`where`)"),
    ):
        if wanted:
            raise UsageError(f"{setting('engine', name)} does not {task} yet; use `engine=local`")
    for data, parameter in zip(request.inputs, request.input_names, strict=True):
        _check_input(name, data, parameter, request.reading.of(parameter).encoding)


def _check_input(name: str, data: object, parameter: str, encoding: str | None) -> None:
    """Refuse what only this process can read."""
    if not is_path(data):
        raise UsageError(f"{setting('engine', name)} reads files that all workers see, and `{parameter}` is in memory")
    for path in paths_of([data]):
        if path == STDIN or (os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))):
            raise UsageError(
                f"{setting('engine', name)} reads files that all workers see, and {path} is a stream; "
                "write it to a file"
            )
        if encoding is not None and codecs.lookup(encoding).name not in PLAIN:
            raise UsageError(
                f"{setting('engine', name)} reads text in UTF-8; convert {path} first, for example with iconv"
            )


def refuse_distributed(name: str, task: str) -> None:
    """Refuse an engine with workers for a task that they cannot do.

    Raises
    ------
    UsageError
    """
    if engine_named(name).distributed:
        raise UsageError(f"{setting('engine', name)} does not {task} yet; use `engine=local`")


def prepare(plan: Plan, engine: Engine) -> None:
    """See that the workers of a distributed engine can read what a plan needs, and have them count rows.

    Raises
    ------
    UsageError
        If the plan asks for what they cannot do.
    ReadWriteError
        If one lacks a library, or does not see a file as it is here.
    """
    if not engine.distributed:
        return
    name = setting("engine", plan.request.engine)
    if plan.request.on and plan.rules.season:
        raise UsageError(f"{name} does not put rows in order that are paired by a key (`on`) yet; use `engine=local`")
    if plan.kept_values:
        raise UsageError(f"{name} does not write the losses of rows (`axis`) yet; use `engine=local`")
    engine.check(partial(_see, [(source.path, pickle.dumps(source)) for source in plan.sources]))
    count_rows(plan.sources, engine)


def _see(sources: list[tuple[str, bytes]]) -> None:
    """Open the files again that another machine has opened, unchanged."""
    for path, pickled in sources:
        try:
            _: Source = pickle.loads(pickled)  # noqa: S301 - of the process that runs this
        except ReadWriteError as error:
            raise ReadWriteError(f"{error.args[0]}; all workers must see the files under the same paths") from error
        except DataError as error:
            raise ReadWriteError(
                f"{path}: the file there has another size or time of change than here; "
                "all workers must see the same files"
            ) from error

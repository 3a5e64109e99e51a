"""From a request to what its run would do, without doing it: headers, footers and first rows are read."""

from __future__ import annotations

import os
from itertools import pairwise

from msecli.core.processor import arithmetic
from msecli.engines import engine_named
from msecli.formats.base import Countable, Selection, Source, file_count
from msecli.places import files_of, open_input, paths_of
from msecli.places.file import STDIN
from msecli.results.outline import MIB, Outline, OutlinedInput
from msecli.scoring.buckets import bucket_count, held_bytes
from msecli.scoring.elsewhere import ADDRESSES, check_plan, streamed
from msecli.scoring.gates import check_scopes
from msecli.scoring.look import first_block, rows_about
from msecli.scoring.plan import Plan, make_plan
from msecli.scoring.request import Request
from msecli.scoring.rows import selections_of
from msecli.scoring.spans import Cutting, cutting_alone, cutting_of

PROCESS_BYTES = {False: 70 * MIB, True: 100 * MIB}
"""What a process takes before it reads rows: this one, and a worker elsewhere, with the libraries they have loaded."""

COPIES = 4
"""Arrays of the size of a block that a thread holds: columns as they are read, as numbers, and as losses."""

ROWS_OF_BLOCK = 1 << 20
"""Larger parts are read in blocks of about so many rows, or fewer."""

VALUE_BYTES = 8


def outline_of(request: Request) -> Outline:
    """Return what the run of a request would do.

    A cluster is asked for its threads if the request says where it is, and none is started.

    Raises
    ------
    MsecliError
        As a run would before it reads rows.
    """
    with arithmetic():
        plan = make_plan(request)
        check_scopes(plan)
        check_plan(plan)
        return _outlined(plan)


def _outlined(plan: Plan) -> Outline:
    request, sources = plan.request, plan.sources
    distributed = engine_named(request.engine).distributed
    threads, selections = _threads(request), selections_of(plan)
    streams = any(streamed(source) is not None for source in sources)
    keyed = distributed and bool(request.on)
    if keyed:
        each = [cutting_alone(*pair, threads or 1) for pair in zip(sources, selections, strict=True)]
        parts = tuple(one.parts[0] for one in each)
        cutting = Cutting(sum(one.spans or 0 for one in each), parts, exact=all(one.exact for one in each))
    elif streams and not distributed:
        cutting = Cutting(None, (), exact=True)
    else:
        cutting = cutting_of(sources, selections, threads or 1, distributed=distributed)
    inputs = tuple(
        _outlined_input(data, source, selection, cutting.parts[number] if cutting.parts else None)
        for number, (data, source, selection) in enumerate(zip(request.inputs, sources, selections, strict=True))
    )
    memory = sum(map(_memory, inputs, sources, selections))
    buckets = None
    if keyed:
        held = sum(map(_held, inputs, sources, selections))
        buckets = bucket_count(held, cutting.spans or 1, threads or 1)
        # A bucket, of which there are copies, and a share of all rows, which wait to be paired.
        memory = max(memory, COPIES * held // buckets) + held // (threads or 1)
    surveys = 0
    if distributed:
        surveys = sum(len(source.stretches()) for source in sources if isinstance(source, Countable))
    return Outline(
        request.engine,
        distributed,
        threads,
        inputs,
        "key" if request.on else "position" if len(sources) > 1 else "one file",
        tuple(plan.roles.on),
        surveys,
        cutting.spans if keyed or not request.on else None,
        not cutting.exact,
        PROCESS_BYTES[distributed],
        memory,
        buckets,
        ordered=keyed and (plan.numbers_rows or plan.rules.season > 0 or bool(plan.kept_values)),
    )


def _threads(request: Request) -> int | None:
    """Return how many tasks would run at once; None if nothing says where the workers are."""
    entry = engine_named(request.engine)
    if entry.distributed and request.local is not None:
        return request.local
    if entry.distributed and not any(getattr(request, name) is not None for name in ADDRESSES):
        return None
    with entry.start(request.jobs, request.workers) as engine:
        return engine.jobs


def _outlined_input(data: object, source: Source, selection: Selection, parts: int | None) -> OutlinedInput:
    about = None
    if source.rows is None:
        block, whole = first_block(source, selection)
        about = block.rows if whole else rows_about(source, block)
    files = [file for path in paths_of([data]) for file in files_of(path)]
    size = None if STDIN in files else sum(map(_size, files))
    return OutlinedInput(source.path, source.format, file_count(source).files, size, source.rows, about, parts)


def _size(path: str) -> int:
    """Return the size of a file as it is stored, wherever that is."""
    return os.stat(path).st_size if os.path.exists(path) else open_input(path).size


def _held(outlined: OutlinedInput, source: Source, selection: Selection) -> int:
    """Return what all rows of a source take that workers hold between them."""
    return held_bytes(source, selection, outlined.rows or outlined.rows_about or 0)


def _memory(outlined: OutlinedInput, source: Source, selection: Selection) -> int:
    """Return what a thread holds of a source: its largest part, or a block of that."""
    rows, bytes = outlined.rows or outlined.rows_about or 0, outlined.bytes or 0
    cuts = source.cuts()
    parts = max(1, outlined.parts or 1)
    largest = rows // parts if cuts is None else max(stop - start for start, stop in pairwise(cuts))
    width = len(selection.numbers) + len(selection.labels)
    for length in (source.item or ()) if not width else ():
        width = max(1, width) * length
    text = bytes // parts if isinstance(source, Countable) else 0
    return text + COPIES * VALUE_BYTES * min(largest, ROWS_OF_BLOCK) * max(1, width)

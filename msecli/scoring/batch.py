"""Score the runs of a batch: many at once, each on its own, so that a failing one does not stop the others."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from msecli.core.cells import Cells
from msecli.core.metrics import Options, badness, metric_named
from msecli.core.parameters import data
from msecli.core.state import LossState, Rules
from msecli.engines import NOWHERE, Engine, Workers, engine_named
from msecli.errors import MsecliError, UsageError, meant
from msecli.places import LOCAL, files_of, local_path, place_of
from msecli.results.batch import NOT_RUN, Batch, Planned, Run
from msecli.results.score import Result, Rows, Score
from msecli.scoring.elsewhere import check_workers
from msecli.scoring.finish import inputs_of, macro_of, score_of
from msecli.scoring.fold import Folded
from msecli.scoring.ledger import Progress
from msecli.scoring.manifest import Told, manifest_of, read_manifest
from msecli.scoring.plan import Plan, make_plan
from msecli.scoring.request import Request
from msecli.scoring.run import run
from msecli.scoring.runs import KEYS, LOSS, manifest_of_patterns, runs_of
from msecli.scoring.runs import Run as Asked
from msecli.tuples import NamedTuple

SMALL_BYTES = 1 << 20
"""Runs of smaller files spend their time in the interpreter, which runs one thread at a time: they share a thread."""

RUNS_ELSEWHERE = 4
"""Runs at once whose rows are read by the workers of a cluster: while one is planned here, these have work."""

RUN_BYTES = 1 << 17
"""What a run costs besides its bytes, in bytes, to tell how much of a batch is done."""


TOLD_SECONDS = 0.1
"""How often progress is told while no run ends."""


class Sums(NamedTuple):
    """The sums over all rows of a run, from which totals over runs follow."""

    rules: Rules
    weighted: bool
    cells: Cells


class Done(NamedTuple):
    """A run that has ended, and its sums if there are totals for what it computes."""

    run: Run
    sums: Sums | None = None


Ended = Generator[tuple[int, Done], None, None]


class _StopError(Exception):
    """Ends a run that is no longer wanted."""


def score_batch(
    asked: Sequence[Asked],
    *,
    jobs: int | None = None,
    engine: str = "local",
    workers: Workers = NOWHERE,
    sort: str | None = None,
    reverse: bool = False,
    fail_fast: bool = False,
    taken: Callable[[Asked], Done | None] = lambda _: None,
    keep: Callable[[Asked, Done], None] = lambda *_: None,
    progress: Progress = lambda _: None,
) -> Batch:
    """Score the runs of a batch.

    Parameters
    ----------
    asked : sequence of Run
    jobs : int, optional
        How many threads to use; by default one per available core.
    engine : str
        A name in the `ENGINES` table.
    workers : Workers
        Where those of a distributed engine are; all runs use the same connection.
    sort : str, optional
        A metric, or "loss", to sort the runs by, the best first.
    reverse : bool
        Sort the other way round.
    fail_fast : bool
        Leave out what has not ended when a run fails.
    taken : callable
        Returns what is known of a run that need not be repeated.
    keep : callable
        Called with each run as it ends.
    progress : callable
        Called with the share of the work done, from 0 to 1.
    """
    check_workers(engine, workers, jobs)
    known = {number: found for number, each in enumerate(asked) if (found := taken(each)) is not None}
    left = [number for number in range(len(asked)) if number not in known]
    done: dict[int, Done] = dict(known)
    failed = any(each.run.exit_code for each in known.values()) and fail_fast
    if left and not failed:
        # Closed at once, so that an error or Ctrl-C ends what runs.
        with closing(_runs(asked, left, progress, jobs=jobs, name=engine, workers=workers)) as ended:
            for number, each in ended:
                done[number] = each
                keep(asked[number], each)
                if fail_fast and each.run.result is None:
                    break
    runs = [done.get(number, Done(Run(each.name, None, NOT_RUN))) for number, each in enumerate(asked)]
    batch = _with_totals(asked, runs)
    ordered = batch.runs if sort is None else _sorted(batch.runs, sort, reverse=reverse)
    return replace(batch, runs=ordered, taken=len(known))


def runs_named(
    runs: Any,
    targets: str | None = None,
    given: Mapping[str, Any] | None = None,
    sort: str | None = None,
    told: Told = str,
) -> list[Asked]:
    """Return the runs of a manifest, of a sequence of mappings, or of two patterns, whose errors `told` words.

    Raises
    ------
    MsecliError
    """
    if sort is not None and sort != LOSS:
        sort = metric_named(sort, Options(peak=1.0)).name
    if targets is not None:
        manifest = manifest_of_patterns(data("runs", runs), targets, told)
    elif isinstance(runs, str | bytes | os.PathLike):
        manifest = read_manifest(data("runs", runs))
    else:
        manifest = manifest_of(runs)
    unknown = [name for name in given or {} if name not in KEYS]
    if unknown:
        raise UsageError(f"`{unknown[0]}` is no option of a run{meant(unknown[0], KEYS)}")
    return runs_of(manifest, given, sort)


def batched(
    asked: Sequence[Asked],
    *,
    resume: str | None = None,
    hashes: bool = False,
    scheduler: str | None = None,
    scheduler_file: str | None = None,
    local: int | None = None,
    worker_timeout: float = 30.0,
    progress: Progress = lambda _: None,
    **options: Any,
) -> Batch:
    """Score the runs of a batch, with a journal if its path is given; see `score_batch` and `Request`.

    Raises
    ------
    MsecliError
        About the journal.
    """
    workers = Workers(scheduler, scheduler_file, local, worker_timeout)
    options |= {"workers": workers, "progress": progress}
    if resume is None:
        return score_batch(asked, **options)
    from msecli.scoring.journal import BatchJournal

    journal = BatchJournal(resume, hashes=hashes)
    try:
        return score_batch(asked, taken=journal.taken, keep=journal.keep, **options)
    finally:
        journal.close()


class _Shares:
    """How much of all runs is done, and whether they are to end."""

    def __init__(self, sizes: Mapping[int, int]) -> None:
        self._sizes, self._whole = sizes, sum(sizes.values())
        self._shares: dict[int, float] = {}
        self._ended = 0
        self.stopped = False

    def tell(self, number: int, share: float) -> None:
        """Note how much of a run is done; called in its thread."""
        if self.stopped:
            raise _StopError
        self._shares[number] = share

    def end(self, number: int) -> None:
        """Note that a run has ended; called where the runs are awaited."""
        self._shares.pop(number, None)
        self._ended += self._sizes[number]

    @property
    def share(self) -> float:
        """The share of all work that is done."""
        begun = sum(share * self._sizes[number] for number, share in list(self._shares.items()))
        return min(1.0, (self._ended + begun) / self._whole)


class Means(NamedTuple):
    """What runs are scored with: an engine for all of them, or threads of their own.

    Parameters
    ----------
    runs : int
        How many at once.
    jobs : int, optional
        The threads of each.
    engine : str
    started : Engine, optional
    """

    runs: int
    jobs: int | None
    engine: str = "local"
    started: Engine | None = None


def _runs(
    asked: Sequence[Asked],
    left: Sequence[int],
    progress: Progress,
    *,
    jobs: int | None,
    name: str,
    workers: Workers,
) -> Ended:
    """Yield the runs as they end, scored by an engine of this name."""
    with engine_named(name).start(jobs, workers) as engine:
        if engine.distributed:
            shares = _Shares({number: _size(asked[number].request) for number in left})
            means = Means(RUNS_ELSEWHERE, None, name, engine)
            yield from _side_by_side(asked, [[number] for number in left], means, shares, progress)
            return
    yield from _ended(asked, left, engine.jobs, progress)


def _ended(asked: Sequence[Asked], left: Sequence[int], jobs: int, progress: Progress) -> Ended:
    """Yield the runs as they end: small ones one after another in one thread, large ones side by side."""
    sizes = {number: _size(asked[number].request) for number in left}
    small = [number for number in left if sizes[number] < SMALL_BYTES]
    large = sorted(set(left) - set(small), key=lambda number: -sizes[number])
    shares = _Shares(sizes)
    groups = [*([small] if small else []), *([number] for number in large)]
    if jobs == 1 or len(groups) == 1:
        threads = {**dict.fromkeys(small, 1), **dict.fromkeys(large, jobs)}
        yield from _in_turn(asked, threads, shares, progress)
    else:
        yield from _side_by_side(asked, groups, Means(jobs, max(1, jobs // len(groups))), shares, progress)


def _in_turn(
    asked: Sequence[Asked], threads: Mapping[int, int], shares: _Shares, progress: Progress
) -> Iterator[tuple[int, Done]]:
    """Yield runs one after another, each scored with so many threads."""
    for number, jobs in threads.items():

        def tell(share: float, number: int = number) -> None:
            shares.tell(number, share)
            progress(shares.share)

        done = scored(asked[number], Means(1, jobs), tell)
        shares.end(number)
        progress(shares.share)
        yield number, done


def _side_by_side(
    asked: Sequence[Asked],
    groups: Sequence[Sequence[int]],
    means: Means,
    shares: _Shares,
    progress: Progress,
) -> Iterator[tuple[int, Done]]:
    """Yield runs as they end in the threads of a pool; those of a group run one after another."""
    waiting, ends = SimpleQueue[Sequence[int]](), SimpleQueue[tuple[int, Done] | BaseException]()
    work = partial(_work, asked, waiting, ends, shares, means)
    workers = [Thread(target=work, name=f"msecli-run-{number}") for number in range(min(means.runs, len(groups)))]
    for numbers in groups:
        waiting.put(numbers)
    try:
        for worker in workers:
            worker.start()
        left = sum(map(len, groups))
        while left:
            try:
                found = ends.get(timeout=TOLD_SECONDS)
            except Empty:
                progress(shares.share)
                continue
            if isinstance(found, BaseException):
                raise found
            left -= 1
            shares.end(found[0])
            progress(shares.share)
            yield found
    finally:
        shares.stopped = True
        for worker in workers:
            worker.join()


def previewed(asked: Asked) -> Planned:
    """Return what one run would score; its headers are opened, its rows are not read."""
    size = sum(map(_file_size, asked.request.files))
    try:
        plan = make_plan(asked.request)
    except MsecliError as error:
        return Planned(asked.name, (), size, asked.told(error), error.exit_code)
    return Planned(asked.name, inputs_of(plan), size)


def _work(
    asked: Sequence[Asked],
    waiting: SimpleQueue[Sequence[int]],
    ends: SimpleQueue[tuple[int, Done] | BaseException],
    shares: _Shares,
    means: Means,
) -> None:
    """Score groups of runs until none is waiting."""
    try:
        while not waiting.empty():
            for number in waiting.get_nowait():
                shares.tell(number, 0.0)
                ends.put((number, scored(asked[number], means, partial(shares.tell, number))))
    except Empty:
        pass  # another thread was faster
    except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
        ends.put(error)


def _size(request: Request) -> int:
    """Return about how much work a run is.

    The sizes of files elsewhere are not asked of their servers. Such runs mostly wait, so that none shares a thread.
    """
    elsewhere = sum(place_of(path) is not LOCAL for path in request.files)
    return RUN_BYTES + sum(map(_file_size, request.files)) + elsewhere * SMALL_BYTES


def _file_size(path: str) -> int:
    """Return the bytes of a file, or of several, on this machine."""
    try:
        return sum(os.stat(local_path(file)).st_size for file in files_of(path)) if place_of(path) is LOCAL else 0
    except OSError:
        return 0  # which the run will tell


def scored(asked: Asked, means: Means, progress: Progress) -> Done:
    """Score one run; an error becomes its result."""
    sums: list[Sums | None] = []

    def observe(plan: Plan, folded: Folded, _: Result) -> None:
        sums.append(_sums(plan, folded))

    request = asked.request
    try:
        if (request.jobs, request.engine) != (means.jobs, means.engine):
            request = replace(request, jobs=means.jobs, engine=means.engine)
        result = run(request, progress=progress, observe=observe, started=means.started)
    except MsecliError as error:
        return Done(Run(asked.name, None, asked.told(error), error.exit_code))
    return Done(Run(asked.name, result), sums[0])


def _sums(plan: Plan, folded: Folded) -> Sums | None:
    """Return the sums of a run; None if its metrics need more, or if it has no single loss."""
    rules = plan.rules
    if rules.holds or rules.season or plan.reduction.keeps_elements:
        return None
    cells = folded.tally.pooled.state.cells().pooled()
    return Sums(Rules(rules.terms, rules.largest, rules.columns), plan.request.weighted, cells)


def _with_totals(asked: Sequence[Asked], done: Sequence[Done]) -> Batch:
    """Return the runs with the totals over those that could be scored, if they compute the same."""
    runs = tuple(each.run for each in done)
    scored_runs = [(each, run.result) for each, run in zip(asked, runs, strict=True) if run.result is not None]
    computed = {(tuple(result.metrics), result.reduction, each.request.weighted) for each, result in scored_runs}
    if len(computed) != 1:
        return Batch(runs)
    macro = macro_of([result.score for _, result in scored_runs])
    if macro is not None:
        macro = macro._replace(left_out=macro.left_out + len(runs) - len(scored_runs))
    sums = [each.sums for each in done if each.run.result is not None]
    return Batch(runs, _pooled(scored_runs[0][0].request, sums, [result.rows for _, result in scored_runs]), macro)


def _pooled(request: Request, sums: Sequence[Sums | None], rows: Sequence[Rows]) -> Score | None:
    """Return the score over all rows of several runs; None if these do not add up."""
    known = [each for each in sums if each is not None]
    if len(known) < len(sums) or len({each.rules for each in known}) > 1:
        return None
    rules, weighted = known[0].rules, known[0].weighted
    whole = LossState(rules, weighted=weighted)
    for each in known:
        whole.merge(LossState.of_cells(each.cells, rules, weighted=weighted))
    ledger = Rows.total(rows)._replace(checked_by=())  # not every run need have been checked
    return score_of(request.chosen_reduction, request.chosen_metrics(weighted=weighted), whole.summary(), ledger)


def _sorted(runs: Sequence[Run], metric: str, *, reverse: bool) -> tuple[Run, ...]:
    """Return the runs, those with the best values first, and those without a value last."""
    best = 0.0 if metric == LOSS else metric_named(metric, Options(peak=1.0)).best
    numbers = [(run.numbers().get(metric), run) for run in runs]
    known = [(float(value), run) for value, run in numbers if value is not None and not math.isnan(value)]
    ordered = [run for _, run in sorted(known, key=lambda each: badness(each[0], best), reverse=reverse)]
    return (*ordered, *(run for value, run in numbers if value is None or math.isnan(value)))

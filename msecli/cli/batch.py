"""`msecli batch`: the losses of many pairs of files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from msecli.cli import options
from msecli.cli.colors import say
from msecli.cli.deliver import appended_from, end, outputs_from, warn, write_report
from msecli.cli.grouped import GroupedCommand
from msecli.cli.progress import ProgressBar
from msecli.cli.reading import READING
from msecli.cli.wording import as_typed
from msecli.errors import UsageError, Warned, many, visible

if TYPE_CHECKING:
    from msecli.results.batch import Batch, Preview

EXAMPLES = """\b
Examples:
  msecli batch runs.toml -m rmse --sort rmse
  msecli batch 'runs/*/pred.parquet' 'runs/{1}/target.parquet'
"""

NOT_OF_RUNS = frozenset({"sort", "reverse", "jobs"})
"""Options of the whole batch that have the name of one of a run."""


@click.command(cls=GroupedCommand, epilog=EXAMPLES, short_help="Compute the losses of many pairs of files.")
@click.argument("runs", metavar="MANIFEST | PREDICTIONS TARGETS", nargs=-1, required=True, type=options.FileName())
@options.all_of(
    *READING,
    options.pred,
    *options.ROWS,
    options.reduction,
    options.axis,
    options.metrics,
    options.peak,
    options.season,
    *options.PENALTY,
    *options.STUDIES,
    options.sort_runs,
    options.reverse_runs,
    *options.GATES,
    *options.OUTPUT,
    options.fail_fast,
    options.dry_run,
    options.resume,
    options.hashes,
    *options.RUNNING,
    *options.CLUSTER,
)
def batch(runs: tuple[str, ...], **values: Any) -> None:
    """Compute the losses of many pairs of files, side by side; a pair that fails does not stop the others.

    MANIFEST lists the runs: TOML with [defaults] and a [[run]] for each, CSV with a row for each, JSON Lines or YAML. A
    run has a name, predictions, targets (paths relative to the manifest), and options of compute by their names.
    A matrix makes runs of every combination of values. Options given here take the place of the defaults.

    Or PREDICTIONS is a pattern of files, in quotes, and TARGETS says which targets belong to each of them: {1} is what
    the first * matched, {name} what {name} did.
    """
    if len(runs) > 2:
        raise UsageError(
            f"{many(len(runs), 'file')} are too many: give a manifest, or two patterns in quotes, so that the shell "
            "leaves them alone: msecli batch 'PREDICTIONS' 'TARGETS'"
        )
    if values["hash"] and not values["resume"]:
        raise UsageError("--hash is for --resume, which is not given")
    outputs = outputs_from(values)
    from msecli.outputs.files import check_outputs
    from msecli.results.batch import Preview
    from msecli.scoring.batch import batched, previewed, runs_named

    asked = runs_named(runs[0], runs[1] if len(runs) > 1 else None, _given(values), values["sort"], as_typed)
    if outputs or values["resume"]:  # looking at thousands of inputs takes time
        inputs = [*runs[:1], *(path for each in asked for path in each.request.files)]
        check_outputs(outputs, inputs, overwrite=values["overwrite"], appended=appended_from(values))
        check_outputs([("--resume", values["resume"])] if values["resume"] else [], inputs, overwrite=True)
    if values["dry_run"]:
        preview = Preview(tuple(map(previewed, asked)))
        _tell_errors(preview)
        write_report(preview, values)
        raise click.exceptions.Exit(preview.exit_code)
    with ProgressBar(wanted=values["progress"]) as progress:
        result = batched(
            asked,
            sort=values["sort"],
            reverse=values["reverse"],
            fail_fast=values["fail_fast"],
            resume=values["resume"],
            hashes=values["hash"],
            jobs=values["jobs"],
            engine=values["engine"],
            scheduler=values["scheduler"],
            scheduler_file=values["scheduler_file"],
            local=values["local"],
            worker_timeout=values["worker_timeout"],
            progress=progress,
        )
    warn(_warnings(result))
    _tell_errors(result)
    write_report(result, values)
    end(result, result.exit_code)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Return the options of runs that were given, on the command line or in the environment."""
    from msecli.scoring.runs import KEYS

    context = click.get_current_context()
    given = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    return {
        name: value
        for name, value in values.items()
        if name in KEYS and name not in NOT_OF_RUNS and context.get_parameter_source(name) in given
    }


def _tell_errors(result: Batch | Preview) -> None:
    """Say which runs failed, and why."""
    for run in result.runs:
        if run.error is not None and run.exit_code:
            say("Error", visible(f"run {run.name!r}: {run.error}", kept="\n"))


def _warnings(result: Batch) -> Iterator[Warned]:
    """Yield the warnings of all runs; those that say the same of several runs as one."""
    found: dict[tuple[str, str], list[Warned]] = {}
    for run in result.runs:
        for warning in () if run.result is None else run.result.warnings:
            found.setdefault((warning.code, warning.meaning), []).append(warning)
    for same in found.values():
        yield _joined(same)


def _joined(warnings: Sequence[Warned]) -> Warned:
    first, more = warnings[0], len({warning.where for warning in warnings}) - 1
    where = first.where + (f" and {many(more, 'other place')}" if more else "")
    return Warned(first.code, where, first.meaning, sum(warning.count for warning in warnings))

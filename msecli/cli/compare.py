"""`msecli compare`: the losses of several systems on the same targets, and whether they differ."""

from __future__ import annotations

import os
from typing import Any

import click

from msecli.cli import options
from msecli.cli.colors import say
from msecli.cli.deliver import appended_from, end, outputs_from, warn, write_report
from msecli.cli.grouped import GroupedCommand
from msecli.cli.progress import ProgressBar
from msecli.cli.reading import READING, readings_from
from msecli.cli.wording import as_typed
from msecli.errors import visible

EXAMPLES = """\b
Examples:
  msecli compare ridge.csv forest.csv target.csv --on id
  msecli compare scores.parquet -p ridge,lasso,forest -t target -m rmse,r2
  msecli compare base=old/pred.csv new/pred.csv target.csv --fail-if-worse
  msecli compare subs/*.csv target.csv --sort loss --test bootstrap --seed 1
  msecli compare a.csv b.csv target.csv --test dm --horizon 12 --format json
"""


@click.command(cls=GroupedCommand, epilog=EXAMPLES, short_help="Compare systems on the same targets.")
@click.argument("files", nargs=-1, required=True, type=options.FileName(), metavar="[NAME=]PREDICTIONS… TARGETS")
@options.all_of(
    *READING,
    options.pred,
    *options.PAIRS[:6],
    options.by,
    *options.PAIRS[6:],
    options.reduction,
    *options.LOSS[2:5],
    *options.COMPARISON,
    *options.GATES,
    *options.OUTPUT,
    *options.RUNNING,
    *options.CLUSTER,
)
def compare(files: tuple[str, ...], **values: Any) -> None:
    """Compare the MSE losses of several systems, given by their PREDICTIONS, against the same TARGETS.

    The targets come last. Each system is named after its file, or as NAME=FILE says. A single file holds the targets,
    too, and each column of -p is a system. Every system is scored on the elements that all of them have, in one pass,
    and its loss is compared with that of the reference.

    A system that cannot be read or paired is listed as failed, and the exit code says so: 4, else 3.
    """
    outputs = outputs_from(values)
    from msecli.outputs.files import check_outputs
    from msecli.scoring.compare import compare_systems
    from msecli.scoring.compare_request import CompareRequest, named_systems

    targets = files[-1] if len(files) > 1 else None
    predictions = files[:-1] if len(files) > 1 else files
    taken = {name: values[name] for name in (*options.REQUESTED, *options.COMPARED) if name in values}
    taken |= {"targets": targets, "reading": readings_from(values), "reduction": values["reduction"]}
    request = CompareRequest.of(named_systems(map(_named, predictions)), values["pred"], **taken)
    check_outputs(outputs, request.files, overwrite=values["overwrite"], appended=appended_from(values))
    with ProgressBar(wanted=values["progress"]) as progress:
        result = compare_systems(request, progress, as_typed)
    warn(result.warnings)
    write_report(result, values)
    for system in result.systems:
        if system.error is not None:
            say("Error", visible(f"{system.name}: {system.error}", kept="\n"))
    end(result, result.exit_code)


def _named(text: str) -> tuple[str | None, str]:
    """Return the name and the path of NAME=FILE; no name if it is the path of a file."""
    name, equals, path = text.partition("=")
    return (name, path) if equals and name and path and "://" not in name and not os.path.exists(text) else (None, text)

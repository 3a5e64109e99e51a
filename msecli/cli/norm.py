"""`msecli norm`: vector norms of a file, or of the difference of two."""

from __future__ import annotations

from typing import Any

import click

from msecli.cli import options
from msecli.cli.deliver import appended_from, outputs_from, warn, write_report
from msecli.cli.grouped import GroupedCommand
from msecli.cli.progress import ProgressBar
from msecli.cli.reading import READING, readings_from

EXAMPLES = """\b
Examples:
  msecli norm gradient.npy
  msecli norm weights.csv --ord 1,2,inf
  msecli norm pred.csv target.csv --ord 2
"""


@click.command(cls=GroupedCommand, epilog=EXAMPLES, short_help="Compute norms of a file, or of the difference of two.")
@click.argument("file", type=options.FileName())
@click.argument("other", required=False, type=options.FileName())
@options.all_of(
    options.orders,
    options.column,
    options.on,
    options.unmatched,
    options.row_check,
    *READING,
    *options.OUTPUT,
    *options.RUNNING,
)
def norm(file: str, other: str | None, **values: Any) -> None:
    """Compute vector norms of the numbers in FILE, or of FILE minus OTHER.

    Norms of order 1 and 2 are computed from exact sums and rounded once. The square of the 2-norm of predictions minus
    targets, divided by their number, is the mean squared error.
    """
    outputs = outputs_from(values)
    from msecli.outputs.files import check_outputs
    from msecli.scoring.norms import NormRequest, norms

    request = NormRequest.of(
        vector=file,
        subtracted=other,
        orders=values["ord"] or 2.0,
        columns=values["column"],
        on=values["on"],
        unmatched=values["unmatched"],
        row_check=values["row_check"],
        reading=readings_from(values),
        jobs=values["jobs"],
    )
    check_outputs(outputs, request.files, overwrite=values["overwrite"], appended=appended_from(values))
    with ProgressBar(wanted=values["progress"]) as progress:
        result = norms(request, progress)
    warn(result.warnings)
    write_report(result, values)

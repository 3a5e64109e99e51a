"""`msecli inspect`: what files hold, and what would be scored in them."""

from __future__ import annotations

from typing import Any

import click

from msecli.cli import options
from msecli.cli.deliver import appended_from, outputs_from, table_unless_told, warn, write_report
from msecli.cli.grouped import GroupedCommand
from msecli.cli.progress import ProgressBar
from msecli.cli.reading import READING
from msecli.cli.retyped import wording_of
from msecli.errors import UsageError

EXAMPLES = """\b
Examples:
  msecli inspect pred.csv target.csv
  msecli inspect scores.parquet --full
  msecli inspect pred.csv target.csv --on id --format json
"""


@click.command(cls=GroupedCommand, epilog=EXAMPLES, short_help="Show what files hold, and what compute would do.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=options.FileName())
@options.all_of(
    *READING,
    options.pred,
    *options.PAIRS[:6],
    options.by,
    *options.PAIRS[6:],
    *options.OUTPUT,
    options.full,
    *options.RUNNING,
)
def inspect(files: tuple[str, ...], **values: Any) -> None:
    """Show what each FILE holds, and what msecli compute would do with one or two of them; nothing is scored.

    Of every column: its type, how many values are missing, the smallest and the largest, how many differ, and whether
    it would be scored. Then how rows would be paired and checked, which keys match, and the command in full.

    By default headers, footers and the first rows are read; what is only of the first rows is marked. The exit code is
    0 also where compute would stop.
    """
    values = table_unless_told(values)
    outputs = outputs_from(values)
    from msecli.outputs.files import check_outputs
    from msecli.scoring.inspect import inspect_files

    predictions, *more = files
    targets = more.pop() if more else None
    chosen = [name for name in ("pred", "target", "on", "weight", "weight_file", "by") if values[name]]
    if more and chosen:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in chosen)
        raise UsageError(f"{names}: columns are chosen of one or two files; there are {len(files)}")
    values = {"reduction": "mean", **values}
    request = options.request_from(values, predictions, targets, pred=values["pred"])
    check_outputs(outputs, [*files, *request.files], overwrite=values["overwrite"], appended=appended_from(values))
    with ProgressBar(wanted=values["progress"]) as progress:
        wording = wording_of(request, values, whole=False)
        found = inspect_files(request, more, full=values["full"], wording=wording, progress=progress)
    warn(found.warnings)
    write_report(found, values)

"""`msecli gradcheck`: compare the gradient with central differences."""

from __future__ import annotations

from typing import Any

import click

from msecli.cli import options
from msecli.cli.deliver import appended_from, outputs_from, warn, write_report
from msecli.cli.grouped import GroupedCommand
from msecli.cli.progress import ProgressBar
from msecli.cli.reading import READING
from msecli.errors import GateError

EXAMPLES = """\b
Examples:
  msecli gradcheck pred.csv target.csv
  msecli gradcheck x.npy y.npy --coef w.npy --intercept b.npy
"""


@click.command(cls=GroupedCommand, epilog=EXAMPLES, short_help="Compare the gradient with central differences.")
@click.argument("predictions", type=options.FileName())
@click.argument("targets", required=False, type=options.FileName())
@options.all_of(
    options.samples,
    options.seed,
    options.tolerance,
    options.model_coef,
    options.intercept,
    options.inputs,
    *READING,
    options.pred,
    *options.PAIRS,
    options.reduction,
    *options.OUTPUT,
    *options.RUNNING,
)
def gradcheck(predictions: str, targets: str | None, **values: Any) -> None:
    """Compare the gradient of the loss with central differences, on a sample of coordinates.

    The coordinates are elements of PREDICTIONS; with --coef, PREDICTIONS holds the inputs of a linear model and the
    coordinates are its parameters. Prints the largest relative error; exit code 5 if it exceeds the tolerance.
    """
    outputs = outputs_from(values)
    from msecli.outputs.files import check_outputs
    from msecli.scoring.gradcheck import check_gradient, named_columns

    named = named_columns(values["pred"], values["inputs"], model=values["coef"] is not None)
    request = options.request_from(values, predictions, targets, pred=named)
    check_outputs(outputs, request.files, overwrite=values["overwrite"], appended=appended_from(values))
    with ProgressBar(wanted=values["progress"]) as progress:
        found = check_gradient(
            request, samples=values["samples"], seed=values["seed"], tolerance=values["tolerance"], progress=progress
        )
    warn(found.warnings)
    write_report(found, values)
    if not found.passed:
        error, tolerance = found.max_relative_error, found.tolerance
        raise GateError(f"the largest relative error of the gradient, {error:.3g}, is above {tolerance:.3g}")

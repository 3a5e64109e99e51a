"""`msecli gradcheck`: the analytic gradient against central differences."""

from __future__ import annotations

import os
from typing import Any

import click

from msecli.cli import options
from msecli.cli.deliver import outputs_from, write_document
from msecli.cli.grouped import GroupedCommand
from msecli.cli.progress import ProgressBar
from msecli.errors import GateError, UsageError

EXAMPLES = """\b
Examples:
  msecli gradcheck pred.csv target.csv
  msecli gradcheck inputs.npy target.npy --coef coef.npy --intercept intercept.npy
"""


@click.command(cls=GroupedCommand, epilog=EXAMPLES, no_args_is_help=True)
@click.argument("predictions")
@click.argument("targets", required=False)
@options.all_of(
    options.samples,
    options.seed,
    options.tolerance,
    options.model_coef,
    options.intercept,
    options.inputs,
    *options.READING,
    options.pred,
    *options.ROWS,
    options.reduction,
    *options.OUTPUT,
    *options.RUNNING,
)
def gradcheck(predictions: str, targets: str | None, **values: Any) -> None:
    """Compare the gradient of the loss with central differences, on a sample of coordinates.

    They are elements of PREDICTIONS, or, with --coef, parameters of the linear model whose inputs PREDICTIONS
    holds. Prints the largest relative error, and ends with exit code 5 if it is above the tolerance. The files are
    read twice for every coordinate.
    """
    outputs = outputs_from(values)
    from msecli import api
    from msecli.jobs.gradcheck import check_gradient

    _check_model_options(values)
    model = api.ModelFiles(values["coef"], values["intercept"]) if values["coef"] else None
    columns = values["inputs"] if model else values["pred"]
    request = options.request_from(values, predictions, targets, prediction_columns=columns, model=model)
    api.check_request(request)
    api.check_outputs(outputs, request.files, overwrite=values["overwrite"])
    with ProgressBar(wanted=values["progress"]) as progress:
        found = check_gradient(
            request,
            samples=values["samples"],
            seed=values["seed"],
            tolerance=values["tolerance"],
            progress=progress,
        )
    write_document(found.to_dict(), values, options.style_from(values, os.environ))
    if not found.passed:
        error, tolerance = found.max_relative_error, found.tolerance
        raise GateError(f"the largest relative error of the gradient, {error:.3g}, is above {tolerance:.3g}")


def _check_model_options(values: dict[str, Any]) -> None:
    """Refuse options of a model without one, and those of predictions with one."""
    if values["coef"] is None and (values["intercept"] or values["inputs"]):
        raise UsageError("--intercept and --inputs are of a model; name its coefficients, too: --coef FILE")
    if values["coef"] is not None and values["pred"]:
        raise UsageError("--pred names predictions, but with --coef a model makes them; name its inputs: -x COLUMN")

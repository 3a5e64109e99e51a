"""`msecli compute`: the loss of predictions against targets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from msecli.cli import options
from msecli.cli.deliver import deliver, outputs_from
from msecli.cli.grouped import GroupedCommand
from msecli.cli.progress import ProgressBar

if TYPE_CHECKING:
    from msecli.api import Request

EXAMPLES = """\b
Examples:
  msecli compute pred.csv target.csv
  msecli compute pred.csv target.csv --reduction sum
  msecli compute scores.parquet -p yhat -t y -m rmse,mae,r2 --format json
  msecli compute pred.npy target.npy --reduction none -o losses.npy
  msecli compute pred.csv target.npy --grad grad.npy
  msecli compute pred.parquet target.csv --on id --weight w --by region
  loss=$(msecli compute pred.npy target.npy)
"""


@click.command(cls=GroupedCommand, epilog=EXAMPLES, no_args_is_help=True)
@click.argument("predictions")
@click.argument("targets", required=False)
@options.all_of(
    *options.READING,
    *options.ROWS,
    *options.LOSS,
    *options.GRADIENT,
    *options.OUTPUT,
    *options.RUNNING,
)
def compute(predictions: str, targets: str | None, **values: Any) -> None:
    """Compute the MSE loss of PREDICTIONS against TARGETS.

    Both are CSV, TSV, Parquet or NPY files, in any mixture; "-" is standard input. With one file, both columns
    are in it. Columns with usual names (pred, y_pred, yhat, …; target, y_true, y, …) are found without -p and -t.
    """
    outputs = outputs_from(values)
    request = _request(predictions, targets, values)
    from msecli import api

    api.check_outputs(outputs, request.inputs, overwrite=values["overwrite"])
    with ProgressBar(wanted=values["progress"]) as progress:
        scored = api.run(request, progress)
    deliver(scored, values, options.style_from(values, os.environ))


def _request(predictions: str, targets: str | None, values: dict[str, Any]) -> Request:
    from msecli.api import Batching, Request

    return Request(
        prediction=predictions,
        target=targets,
        prediction_columns=values["pred"],
        target_columns=values["target"],
        reading=options.reading_from(values),
        on=values["on"],
        unmatched=values["unmatched"],
        weight=values["weight"],
        weight_file=values["weight_file"],
        by=values["by"],
        batching=Batching(values["batch_size"], values["shuffle"], values["drop_last"]),
        axes=values["axis"],
        reduction=options.reduction_from(values),
        metrics=values["metrics"],
        ignore=values["ignore_index"],
        nan_policy=values["nan_policy"],
        nan_pred=values["nan_pred"],
        gradient=bool(values["grad"] or values["grad_target"]),
        jobs=values["jobs"],
    )

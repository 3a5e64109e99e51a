"""`msecli compute`: the loss of predictions against targets."""

from __future__ import annotations

from typing import Any

import click

from msecli.cli import options
from msecli.cli.deliver import kept_by, score_and_deliver
from msecli.cli.grouped import GroupedCommand
from msecli.cli.reading import READING

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


@click.command(cls=GroupedCommand, epilog=EXAMPLES, short_help="Compute the loss of predictions against targets.")
@click.argument("predictions", type=options.FileName())
@click.argument("targets", required=False, type=options.FileName())
@options.all_of(
    *READING,
    options.pred,
    *options.ROWS,
    *options.LOSS,
    *options.DECISION,
    *options.PENALTY,
    *options.GATES,
    *options.GRADIENT,
    options.grad_params,
    *options.OUTPUT,
    options.save_state,
    options.look_first,
    *options.RUNNING,
    *options.WORKERS,
)
def compute(predictions: str, targets: str | None, **values: Any) -> None:
    """Compute the MSE loss of PREDICTIONS against TARGETS.

    Both are files of text, Parquet, NPY or other formats, FILE::NAME in them, folders, quoted patterns or URLs, in any
    combination; "-" is standard input. A single one holds both columns. Columns with common names (pred, yhat, …;
    target, y, …) are found without -p and -t.
    """
    request = options.request_from(values, predictions, targets, pred=values["pred"], keep=kept_by(values))
    score_and_deliver(request, values)

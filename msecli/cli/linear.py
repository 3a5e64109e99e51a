"""`msecli linear`: the loss of a linear model's predictions, and the gradient of its parameters."""

from __future__ import annotations

from typing import Any

import click

from msecli.cli import options
from msecli.cli.deliver import kept_by, score_and_deliver
from msecli.cli.grouped import GroupedCommand
from msecli.cli.reading import READING

EXAMPLES = """\b
Examples:
  msecli linear x.csv y.csv --coef w.npy --intercept b.npy
  msecli linear d.parquet -x age -x dose -t y --coef w.csv --grad-coef g.npy
  msecli linear x.npy y.npy --coef w.npy --l2 0.1 --batch-size 32 --grad-norm
"""


@click.command(cls=GroupedCommand, epilog=EXAMPLES, short_help="Compute the loss and the gradient of a linear model.")
@click.argument("inputs_file", metavar="INPUTS", type=options.FileName())
@click.argument("targets", required=False, type=options.FileName())
@options.all_of(
    options.coef,
    options.intercept,
    options.inputs,
    options.predictions,
    *READING,
    *options.ROWS,
    *options.LOSS,
    *options.DECISION,
    *options.PENALTY,
    options.regularize_intercept,
    *options.GATES,
    *options.GRADIENT,
    options.grad_coef,
    options.grad_intercept,
    options.grad_norm,
    *options.OUTPUT,
    options.save_state,
    *options.RUNNING,
    *options.WORKERS,
)
def linear(inputs_file: str, targets: str | None, **values: Any) -> None:
    """Compute the MSE loss of a linear model's predictions from INPUTS against TARGETS.

    The prediction is x times the transposed coefficients plus the intercept, with the shapes of torch.nn.Linear.
    The inputs are all numeric columns of INPUTS, or the columns named by -x. A single file also holds the targets.
    """
    request = options.request_from(values, inputs_file, targets, pred=values["inputs"], keep=kept_by(values))
    score_and_deliver(request, values)

"""`msecli linear`: the loss of a linear model's predictions, and the gradient of its parameters."""

from __future__ import annotations

from typing import Any

import click

from msecli.cli import options
from msecli.cli.deliver import kept_by, score_and_deliver
from msecli.cli.grouped import GroupedCommand

EXAMPLES = """\b
Examples:
  msecli linear inputs.csv target.csv --coef coef.npy --intercept intercept.npy
  msecli linear data.parquet -x age -x dose -t y --coef coef.csv --grad-coef grad.npy
  msecli linear inputs.npy target.npy --coef coef.npy --l2 0.1 --batch-size 32 --grad-norm
"""


@click.command(cls=GroupedCommand, epilog=EXAMPLES, no_args_is_help=True)
@click.argument("inputs_file", metavar="INPUTS")
@click.argument("targets", required=False)
@options.all_of(
    options.coef,
    options.intercept,
    options.inputs,
    options.predictions,
    *options.READING,
    *options.ROWS,
    *options.LOSS,
    *options.PENALTY,
    options.regularize_intercept,
    *options.GRADIENT,
    options.grad_coef,
    options.grad_intercept,
    options.grad_norm,
    *options.OUTPUT,
    *options.RUNNING,
)
def linear(inputs_file: str, targets: str | None, **values: Any) -> None:
    """Compute the MSE loss of a linear model's predictions from INPUTS against TARGETS.

    The prediction is x times the transposed coefficients plus the intercept, with the shapes of torch.nn.Linear.
    The inputs are all numeric columns of INPUTS, or the columns named by -x. A single file also holds the targets.
    """
    request = options.request_from(values, inputs_file, targets, pred=values["inputs"], keep=kept_by(values))
    score_and_deliver(request, values)

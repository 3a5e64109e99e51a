"""`msecli norm`: vector norms of a file, or of the difference of two."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from msecli.cli import options
from msecli.cli.deliver import outputs_from, warn, write_document
from msecli.cli.grouped import GroupedCommand

if TYPE_CHECKING:
    from msecli.jobs.norms import NormRequest

EXAMPLES = """\b
Examples:
  msecli norm gradient.npy
  msecli norm weights.csv --ord 1,2,inf
  msecli norm pred.csv target.csv --ord 2
"""


@click.command(cls=GroupedCommand, epilog=EXAMPLES, no_args_is_help=True)
@click.argument("file")
@click.argument("other", required=False)
@options.all_of(options.orders, options.column, *options.READING, *options.OUTPUT, options.jobs)
def norm(file: str, other: str | None, **values: Any) -> None:
    """Compute vector norms of the numbers in FILE, or of FILE minus OTHER.

    Orders 1 and 2 are exact sums, rounded once. The squared norm of order 2 of predictions minus targets, divided
    by their number, is the mean squared error.
    """
    outputs = outputs_from(values)
    request = _request(file, other, values)
    from msecli.jobs.norms import norms
    from msecli.outputs.files import check_outputs

    check_outputs(outputs, request.files, overwrite=values["overwrite"])
    result = norms(request)
    warn(result.warnings)
    write_document(result.to_dict(), values, options.style_from(values, os.environ))


def _request(file: str, other: str | None, values: dict[str, Any]) -> NormRequest:
    from msecli.jobs.norms import NormRequest, check_order

    orders = tuple(check_order(order) for order in values["ord"]) or (2.0,)
    return NormRequest(file, other, orders, values["column"], options.reading_from(values), values["jobs"])

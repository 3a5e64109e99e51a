"""`msecli selftest`: known answers, computed by this installation."""

from __future__ import annotations

from typing import Any

import click

from msecli.cli import options
from msecli.cli.deliver import appended_from, outputs_from, table_unless_told, write_report
from msecli.cli.grouped import GroupedCommand
from msecli.errors import EXIT_BUG

EXAMPLES = """\b
Examples:
  msecli selftest
  msecli selftest --format json
"""


@click.command(cls=GroupedCommand, epilog=EXAMPLES, short_help="Check this installation against published numbers.")
@options.all_of(*options.OUTPUT)
def selftest(**values: Any) -> None:
    """Compute known answers with every kernel of this installation, and compare them with published numbers.

    Prints what was computed, from which data, beside the published number and its origin. Exit code 1 if a number does
    not agree.
    """
    values = table_unless_told(values)
    outputs = outputs_from(values)
    from msecli.outputs.files import check_outputs
    from msecli.scoring import selftest as known

    check_outputs(outputs, [], overwrite=values["overwrite"], appended=appended_from(values))
    found = known.selftest()
    write_report(found, values)
    if not found.passed:
        raise click.exceptions.Exit(EXIT_BUG)

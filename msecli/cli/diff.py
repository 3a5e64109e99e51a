"""`msecli diff`: what changed between two results."""

from __future__ import annotations

from typing import Any

import click

from msecli.cli import options
from msecli.cli.deliver import appended_from, outputs_from, table_unless_told, write_report
from msecli.cli.grouped import GroupedCommand

EXAMPLES = """\b
Examples:
  msecli diff old.json new.json
  msecli diff main.json branch.json --format markdown
"""


@click.command(cls=GroupedCommand, epilog=EXAMPLES, short_help="Show what changed between two results.")
@click.argument("old", type=options.FileName())
@click.argument("new", type=options.FileName())
@options.all_of(*options.OUTPUT)
def diff(old: str, new: str, **values: Any) -> None:
    """Show what changed between the results OLD and NEW, which were written with -o FILE.json.

    The numbers, those of groups, columns and batches by their labels, the ledger, and the fields of the signatures.
    """
    values = table_unless_told(values)
    outputs = outputs_from(values)
    from msecli.outputs.files import check_outputs
    from msecli.scoring.difference import compare_saved

    check_outputs(outputs, [old, new], overwrite=values["overwrite"], appended=appended_from(values))
    write_report(compare_saved(old, new), values)

"""`msecli merge`: the result of several runs together, from their saved states."""

from __future__ import annotations

from typing import Any

import click

from msecli.cli import options
from msecli.cli.deliver import appended_from, outputs_from, warn, write_report
from msecli.cli.grouped import GroupedCommand

EXAMPLES = """\b
Examples:
  msecli compute pred1.csv target1.csv --save-state 1.json
  msecli merge 1.json 2.json 3.json
  msecli merge node*/state.json --format json --save-state all.json
"""


@click.command(cls=GroupedCommand, epilog=EXAMPLES, short_help="Merge saved states to the result of one run.")
@click.argument("states", metavar="STATE...", nargs=-1, required=True, type=options.FileName())
@options.all_of(*options.OUTPUT, options.save_state)
def merge(states: tuple[str, ...], **values: Any) -> None:
    """Compute the result of several runs together from the states that they saved.

    It has the same bits as that of one run over all inputs, in any order. States of other settings are refused, and so
    are two that hold the same input. With --save-state the result can be merged in turn.
    """
    outputs = outputs_from(values)
    from msecli.outputs.files import check_outputs
    from msecli.scoring.states import merge_states

    check_outputs(outputs, states, overwrite=values["overwrite"], appended=appended_from(values))
    whole = merge_states(states)
    result = whole.result()
    warn(result.warnings)
    write_report(result, values, whole)

"""Deliver results to standard output, or to files that appear together."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from msecli.cli import process
from msecli.cli.colors import is_terminal, say
from msecli.cli.options import LINES, style_from
from msecli.cli.progress import ProgressBar
from msecli.errors import EXIT_GATE, ReadWriteError, UsageError, Warned, visible
from msecli.outputs import RENDERERS, Renderer, Style, output_named, renderer_for
from msecli.outputs.values import StreamSink, StreamSinks
from msecli.results.values import Layout

if TYPE_CHECKING:
    from msecli.outputs.files import Staging
    from msecli.outputs.parts import PartsFolder
    from msecli.results.base import Report
    from msecli.results.score import Result
    from msecli.scoring.fold import Folded
    from msecli.scoring.plan import Plan
    from msecli.scoring.request import Request
    from msecli.scoring.states import State

VALUES = {
    "grad": "--grad",
    "grad_target": "--grad-target",
    "grad_coef": "--grad-coef",
    "grad_intercept": "--grad-intercept",
    "predictions": "--predictions",
}
"""The values that can have their own files: names in `Result.arrays`, and the options for the files."""

MEMORY_BYTES = 1 << 20
"""Output up to this size waits in memory for the end of the run; more waits in a temporary file."""


def outputs_from(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the output files as (option, path), after checking their suffixes."""
    outputs = [(option, values[name]) for name, option in VALUES.items() if values.get(name)]
    outputs += [("--grad-params", path) for path in values.get("grad_params", ())]
    wanted = len(values.get("params", ()))
    if len(values.get("grad_params", ())) not in {0, wanted}:
        raise UsageError(f"--grad-params: give one for each --params, {wanted} in all")
    for option, path in outputs:
        renderer_for(path, option)
    outputs += [("--save-state", values["save_state"])] if values.get("save_state") else []
    return [*(("-o", path) for path, _ in _destinations(values) if path is not None), *outputs]


def _destinations(values: Mapping[str, Any]) -> list[tuple[str | None, Renderer]]:
    """Return where the result goes: the path, None for standard output, and the format.

    Standard output comes first, so that it is closed last: it cannot be taken back when a file fails. What is beside
    the result comes before it, so it is printed below.
    """
    named = [output_named(text, "-o") for text in values["output"]]
    destinations = sorted(named, key=lambda each: each[0] is not None)
    if named and values["format"] is None:
        return destinations
    beside = sum(path is None for path, _ in destinations)
    format = values["format"] or ("table" if is_terminal(sys.stdout) else "plain")
    return [*destinations[:beside], (None, RENDERERS[format]), *destinations[beside:]]


def table_unless_told(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a command whose result is for people, also in a pipe."""
    return {**values, "format": values["format"] or (None if values["output"] else "table")}


def appended_from(values: Mapping[str, Any]) -> set[str]:
    """Return the output files to which a line is added.

    Raises
    ------
    UsageError
        If lines are to be added, but to no file.
    """
    if not values["append"]:
        return set()
    found = {path for path, renderer in _destinations(values) if path is not None and renderer.lines}
    if not found:
        raise UsageError(f"--append adds a line to a file in the format {LINES}; name one with -o {LINES}=FILE")
    return found


def kept_by(values: Mapping[str, Any]) -> set[str]:
    """Return the values that the request must keep for the output files."""
    kept = {name for name in ("grad", "grad_target", "predictions") if values.get(name)}
    return kept | ({"grad_params"} if values.get("grad_coef") or values.get("grad_intercept") else set())


def score_and_deliver(request: Request, values: Mapping[str, Any]) -> None:
    """Score as requested, and write the result and the values where the options say."""
    from msecli.cli.parted import folders_from, only_files

    folders, values = folders_from(values, request), only_files(values, request)
    outputs, destinations = outputs_from(values), _destinations(values)
    if "losses" in folders and not values["output"] and values["format"] is None:
        destinations = []
    partial = [renderer.name for _, renderer in destinations if not renderer.whole]
    if request.chosen_reduction.keeps_elements and (request.metrics or "losses" in folders) and partial:
        whole = ", ".join(renderer.name for renderer in RENDERERS.values() if renderer.whole)
        why = ": the values go to a folder, and" if "losses" in folders else " with metrics:"
        raise UsageError(
            f"reduction {request.reduction!r}{why} the format {partial[0]} holds only the values; use one of {whole}"
        )
    from msecli.outputs.files import Staging
    from msecli.scoring.elsewhere import end_journal
    from msecli.scoring.run import run

    keep = _StateKeeper(request) if values.get("save_state") else None
    _check(request, values, outputs, folders)
    if values.get("dry_run"):
        _look_first(request, values, [*(path for _, path in outputs), *(each.path for _, each in folders.values())])
        return
    if values.get("explain_plan"):
        from msecli.scoring.outline import outline_of

        write_report(outline_of(request), {**values, "output": (), "append": False, "save_state": None})
        return
    _warn_of_precision(destinations)
    _warn_of_details(destinations)
    with Staging(overwrite=values["overwrite"]) as staging:
        with ExitStack() as stack:
            target = _Target(stack, staging, style_from(values, os.environ), appended_from(values))
            sinks = {name: target.sink(values[name], name) for name in VALUES if values.get(name)}
            many = request.chosen_reduction.keeps_elements or bool(request.axis)
            main = target.main(destinations, many=many)
            with ProgressBar(wanted=values["progress"]) as progress:
                streamed = {name: sink for name, sink in sinks.items() if name in request.keep}
                parted = {name: folder for name, (_, folder) in folders.items()}
                result = run(request, {**streamed, "losses": main, **parted}, progress, keep)
            warn(result.warnings)
            if keep is not None:
                write_state(staging, keep.states[0], values)
            for number, path in enumerate(values.get("grad_params", ())):
                sinks[f"grad_params {number}"] = target.sink(path, "grad_params")
            for name, sink in sinks.items():
                if name in result.arrays:
                    sink.write(result.arrays[name], _layout(result, name))
                else:
                    sink.finish(None)
            if result.values is not None:
                main.begin(Layout.of(result.values.shape[1:], (), "loss"))
                main.append(result.values, {})
            main.finish(result)
        process.take_no_more_signals()
    end_journal(request)
    end(result)


def _check(
    request: Request,
    values: Mapping[str, Any],
    outputs: Sequence[tuple[str, str]],
    folders: Mapping[str, tuple[str, PartsFolder]],
) -> None:
    """Refuse outputs that cannot be written, or that would destroy something."""
    from msecli.outputs.files import check_outputs

    check_outputs(outputs, request.files, overwrite=values["overwrite"], appended=appended_from(values))
    if request.resume is not None:
        written = [path for _, path in outputs]
        check_outputs([("--resume", request.resume)], [*request.files, *written], overwrite=True)
    for option, folder in folders.values():
        folder.check(option, request.files)


def _look_first(request: Request, values: Mapping[str, Any], outputs: Sequence[str]) -> None:
    """Print what would be scored, and written to these files."""
    from msecli.cli.retyped import wording_of
    from msecli.scoring.inspect import inspect_files

    wording = wording_of(request, values, whole=True)
    found = inspect_files(request, wording=wording, outputs=outputs, dry_run=True)
    warn(found.warnings)
    write_report(found, table_unless_told({**values, "output": (), "append": False}))


class _StateKeeper:
    """Keeps the state of a run; called by `run`."""

    def __init__(self, request: Request) -> None:
        from msecli.scoring.states import refuse_unsavable

        refuse_unsavable(request)
        self.states: list[State] = []

    def __call__(self, plan: Plan, folded: Folded, result: Result) -> None:
        from msecli.scoring.states import state_of

        self.states.append(state_of(plan, folded, result))


def write_state(staging: Staging, state: State, values: Mapping[str, Any]) -> None:
    """Write a state to its file."""
    from msecli.scoring.states import written_state

    with staging.open(values["save_state"]) as stream:
        stream.write(written_state(state))


def write_report(report: Report, values: Mapping[str, Any], state: State | None = None) -> None:
    """Write a result without values to the output file, or to standard output; and a state, if it has a file."""
    from msecli.outputs.files import Staging

    destinations = _destinations(values)
    _warn_of_precision(destinations)
    with Staging(overwrite=values["overwrite"]) as staging:
        with ExitStack() as stack:
            if state is not None and values.get("save_state"):
                write_state(staging, state, values)
            style = style_from(values, os.environ)
            _Target(stack, staging, style, appended_from(values)).main(destinations).finish(report)
        process.take_no_more_signals()


def _layout(result: Result, name: str) -> Layout:
    """Return the layout of a small array of the result; the columns of coefficients are the inputs."""
    array = result.arrays[name]
    columns = result.inputs[0].columns if name == "grad_coef" and array.ndim > 1 else ()
    return Layout.of(array.shape[1:], columns, "grad")


class _Target:
    """Opens outputs: staged files, and standard output."""

    def __init__(self, stack: ExitStack, staging: Staging, style: Style, appended: Container[str] = ()) -> None:
        self._stack, self._staging, self._style, self._appended = stack, staging, style, appended

    def sink(self, path: str, option: str) -> StreamSink:
        """Return a sink that writes values to a file."""
        return StreamSink(self._stack.enter_context(self._staging.open(path)), renderer_for(path, option), self._style)

    def main(self, destinations: Sequence[tuple[str | None, Renderer]], *, many: bool = False) -> StreamSinks:
        """Return a sink that writes the result and its values to all destinations."""
        sinks = []
        for path, renderer in destinations:
            if path is None:
                stream = self._stack.enter_context(standard_output(many=many))
                sinks.append(StreamSink(stream, renderer, self._style))
            else:
                style = self._style._replace(color=False, terminal=False)
                opened = self._staging.open(path)
                if path in self._appended:
                    style, opened = style._replace(time=_now()), self._staging.append(path)
                sinks.append(StreamSink(self._stack.enter_context(opened), renderer, style))
        return StreamSinks(sinks)


def _now() -> str:
    """Return the time in UTC, as ISO 8601 writes it."""
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def standard_output(*, many: bool) -> Iterator[BinaryIO]:
    """Yield a stream of bytes that goes to standard output if the block succeeds, and is dropped if it fails.

    Parameters
    ----------
    many : bool
        Whether there may be more than memory should hold.

    Raises
    ------
    ReadWriteError
        If the process was started without standard output.
    """
    if sys.stdout is None:
        raise ReadWriteError("cannot write the result: standard output is closed; name a file with -o")
    with _temporary() if many else io.BytesIO() as stream:
        yield stream
        stream.seek(0)
        while data := stream.read(MEMORY_BYTES):
            _write_all(sys.stdout.buffer, data)
    sys.stdout.buffer.flush()


def _temporary() -> BinaryIO:
    # Loaded only here: it takes some milliseconds.
    from tempfile import SpooledTemporaryFile

    return SpooledTemporaryFile(MEMORY_BYTES)  # type: ignore[return-value]


def _write_all(stream: BinaryIO, data: bytes) -> None:
    """Write all bytes; if Python runs unbuffered, one write may take only some of them."""
    left = memoryview(data)
    while left:
        left = left[stream.write(left) :]


def _warn_of_precision(destinations: Sequence[tuple[str | None, Renderer]]) -> None:
    """Warn of a typed --precision that no format heeds.

    No error, because the same command is right at a terminal and ignores it in a pipe. What is set in the environment
    is for all runs, so it may be for others than this.
    """
    context = click.get_current_context()
    typed = context.get_parameter_source("precision") is click.core.ParameterSource.COMMANDLINE
    if typed and not any(renderer.rounded for _, renderer in destinations):
        rounded = " and ".join(name for name, each in RENDERERS.items() if each.rounded)
        names = list(dict.fromkeys(renderer.name for _, renderer in destinations))
        exact = f"the format {names[0]} holds" if len(names) == 1 else f"the formats {' and '.join(names)} hold"
        say("Warning", f"--precision: {exact} every digit; only {rounded} are rounded")


def end(report: Report, code: int = 0) -> None:
    """Say which gates failed, and end the command with a code, or with 5 if any did; the result is written by now.

    Raises
    ------
    click.exceptions.Exit
    """
    failed = [gate for gate in report.gates if not gate.passed]
    if not failed:
        raise click.exceptions.Exit(code)
    from msecli.results.gates import FAILURES_SHOWN, SEE_ALL

    with suppress(OSError):  # if standard error is closed, the exit code has to suffice
        for gate in failed[:FAILURES_SHOWN]:
            say("gate failed", gate.finding)
        if (more := len(failed) - FAILURES_SHOWN) > 0:
            say("gate failed", f"{more:,} more; {SEE_ALL}")
    raise click.exceptions.Exit(code or EXIT_GATE)


DETAILS = ("explain", "worst")
"""The options whose results only whole formats hold."""


def _warn_of_details(destinations: Sequence[tuple[str | None, Renderer]]) -> None:
    """Warn of typed options whose results no format holds; as those of --precision, they are no errors."""
    context = click.get_current_context()
    typed = [name for name in DETAILS if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE]
    if typed and not any(renderer.whole for _, renderer in destinations):
        whole = ", ".join(name for name, each in RENDERERS.items() if each.whole)
        names = " and ".join(dict.fromkeys(renderer.name for _, renderer in destinations))
        options = " and ".join(f"--{name}" for name in typed)
        say("Warning", f"{options}: not in {names} output; use --format with one of {whole}")


def warn(warnings: Iterable[Warned]) -> None:
    """Print the warnings of a result."""
    for warning in warnings:
        often = f" ({warning.count} in all)" if warning.count > 1 else ""
        say("Warning", visible(f"{warning.where}: {warning.meaning}{often}"))

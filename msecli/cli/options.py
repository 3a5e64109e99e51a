"""The options of all commands, each defined once, and their translation for the API."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.types import StringParamType

from msecli.cli.colors import colored, is_terminal, say
from msecli.cli.grouped import GroupedOption, one_of
from msecli.cli.reading import readings_from
from msecli.core.metrics import ALL, metric_names
from msecli.core.reduction import REDUCTIONS, legacy_reduction
from msecli.outputs import RENDERERS, TEXT_FORMATS, Style

if TYPE_CHECKING:
    from click.decorators import FC
    from click.shell_completion import CompletionItem

    from msecli.scoring.request import Request

Function = TypeVar("Function", bound=Callable[..., Any])

POLICIES = ("raise", "omit", "propagate")
ROUNDED = tuple(name for name, renderer in RENDERERS.items() if renderer.rounded)
SUFFIXES = " ".join(renderer.suffix for renderer in RENDERERS.values() if renderer.suffix)


def _option(group: str, *names: str, **settings: Any) -> Callable[[FC], FC]:
    return click.option(*names, cls=GroupedOption, group=group, **settings)


class FileName(StringParamType):
    """The name of a file; in the environment several are separated as the folders of PATH are."""

    name = "file"
    envvar_list_splitter = os.pathsep

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        """Leave the names of files to the shell."""
        from msecli.cli.completion import files

        return files(incomplete)


def _split(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Split values at commas: `-m a,b -m c` means a, b and c."""
    return tuple(name.strip() for text in value for name in text.split(",") if name.strip())


pred = _option(
    "Columns and rows",
    "-p",
    "--pred",
    metavar="COLUMN",
    multiple=True,
    brief="prediction columns; repeatable",
    help="Prediction columns, separated by commas, in pairs with -t; repeatable.",
)
target = _option(
    "Columns and rows",
    "-t",
    "--target",
    metavar="COLUMN",
    multiple=True,
    brief="target columns; repeatable",
    help="Target columns, separated by commas, in pairs with -p; repeatable.",
)
on = _option(
    "Columns and rows",
    "--on",
    metavar="COLUMN",
    multiple=True,
    brief="pair rows by these keys, not by position",
    help="Pair rows by these key columns, separated by commas; a=b where their names differ; repeatable.",
)
unmatched = _option(
    "Columns and rows",
    "--unmatched",
    type=one_of(("error", "skip")),
    default="error",
    show_default=True,
    help="What to do about rows whose key has no match in the other file.",
)
row_check = _option(
    "Columns and rows",
    "--row-check/--no-row-check",
    default=True,
    help="Whether rows paired by position must agree in the other columns that both files have. [default: row-check]",
)
weight = _option(
    "Columns and rows",
    "-w",
    "--weight",
    metavar="COLUMN",
    brief="weights of the rows",
    help="Weights of the rows: a column of the target or prediction file.",
)
weight_file = _option(
    "Columns and rows",
    "--weight-file",
    metavar="FILE",
    help="Weights from a file: one for each row, or in the shape of the data.",
)
by = _option(
    "Columns and rows",
    "--by",
    metavar="COLUMN",
    multiple=True,
    brief="also score each group of rows",
    help="Score each group of rows with the same label; repeatable.",
)
batch_size = _option(
    "Columns and rows", "--batch-size", metavar="N", type=click.IntRange(min=1), help="Score mini-batches of N rows."
)
shuffle = _option(
    "Columns and rows",
    "--shuffle",
    metavar="SEED",
    type=click.IntRange(min=0),
    help="Shuffle the rows before they are cut into batches.",
)
drop_last = _option("Columns and rows", "--drop-last", is_flag=True, help="Leave out the last batch if it is not full.")
ignore_index = _option(
    "Columns and rows",
    "--ignore-index",
    metavar="VALUE",
    type=float,
    multiple=True,
    help="Leave out elements whose target is VALUE; repeatable, nan is allowed.",
)
nan_target = _option(
    "Columns and rows",
    "--nan-target",
    "--nan-policy",
    "nan_target",
    type=one_of(POLICIES),
    default="raise",
    show_default=True,
    brief="missing targets: raise, omit or propagate",
    help="What to do about missing targets.",
)
nan_pred = _option(
    "Columns and rows",
    "--nan-pred",
    type=one_of(POLICIES),
    default="raise",
    show_default=True,
    help="What to do about missing predictions.",
)

reduction = _option(
    "Loss",
    "-r",
    "--reduction",
    type=one_of(REDUCTIONS),
    default="mean",
    show_default=True,
    brief=", ".join(REDUCTIONS),
    help="How to reduce the losses of the elements to one number; batchmean divides by the number of rows.",
)
axis = _option(
    "Loss",
    "--axis",
    metavar="N",
    type=int,
    multiple=True,
    help="Reduce over this axis only, as in NumPy: 0 gives a loss for each column, 1 for each row; repeatable.",
)
metrics = _option(
    "Loss",
    "-m",
    "--metrics",
    metavar="NAMES",
    multiple=True,
    callback=_split,
    brief="besides the loss: rmse,mae,r2, …",
    help=f"Metrics besides the loss, separated by commas: {', '.join(metric_names())}; {ALL}: those that need "
    "neither a parameter nor an option. medae keeps 8 bytes for each element in memory.",
)

peak = _option(
    "Loss",
    "--peak",
    metavar="X",
    type=float,
    help="The largest value that there can be, for the metric psnr.",
)

season = _option(
    "Loss",
    "--season",
    metavar="N",
    type=click.IntRange(min=1),
    help="How many rows apart the targets are whose differences scale the metric mase. [default: 1]",
)

grad = _option(
    "Gradient",
    "--grad",
    metavar="FILE",
    help="Write the gradient with respect to the prediction (.npy .csv .tsv .parquet).",
)
grad_target = _option(
    "Gradient", "--grad-target", metavar="FILE", help="Write the gradient with respect to the target."
)

output = _option(
    "Output",
    "-o",
    "--output",
    metavar="[FORMAT=]FILE",
    type=FileName(),
    multiple=True,
    brief="write the result to a file",
    help=f"Write the result to FILE, in FORMAT or in that of its suffix ({SUFFIXES}); repeatable. Then nothing is "
    "printed, unless --format is given.",
)
format = _option(
    "Output",
    "--format",
    type=one_of(TEXT_FORMATS),
    brief="print a table, plain, json, csv, …",
    help="Format of standard output. [default: table on a terminal, plain in a pipe]",
)
precision = _option(
    "Output",
    "--precision",
    metavar="DIGITS",
    type=click.IntRange(1, 17),
    default=6,
    show_default=True,
    help=f"Significant digits in the formats for people: {' and '.join(ROUNDED)}; the others print all digits.",
)
overwrite = _option("Output", "--overwrite", is_flag=True, help="Replace existing output files.")

jobs = _option(
    "Running", "--jobs", metavar="N", type=click.IntRange(min=1), help="Threads. [default: the available cores]"
)
progress = _option(
    "Running", "--progress/--no-progress", default=True, help="Show the progress of long runs on a terminal."
)

l1 = _option(
    "Loss",
    "--l1",
    metavar="FACTOR",
    type=float,
    default=0.0,
    help="Add FACTOR times the sum of the parameters' absolute values.",
)
l2 = _option(
    "Loss",
    "--l2",
    metavar="FACTOR",
    type=float,
    default=0.0,
    help="Add FACTOR times the sum of the parameters' squares.",
)
params = _option(
    "Loss", "--params", metavar="FILE", type=FileName(), multiple=True, help="Parameters to penalize; repeatable."
)
regularize_intercept = _option("Loss", "--regularize-intercept", is_flag=True, help="Also penalize the intercept.")
grad_params = _option(
    "Gradient",
    "--grad-params",
    metavar="FILE",
    type=FileName(),
    multiple=True,
    help="Write the gradient of the penalties; repeatable, one for each --params.",
)


def _orders(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[float, ...]:
    """Split orders at commas: `--ord 1,2 --ord inf` means 1, 2 and infinity."""
    try:
        return tuple(float(name) for name in _split(context, parameter, value))
    except ValueError as error:
        raise click.BadParameter("an order is a number of at least 1, or inf") from error


orders = _option(
    "Norm",
    "--ord",
    metavar="ORDERS",
    multiple=True,
    callback=_orders,
    brief="orders: 1,2,inf, …",
    help="Orders, separated by commas: 1, 2, inf or any number of at least 1. [default: 2]",
)
column = _option(
    "Norm",
    "-c",
    "--column",
    metavar="COLUMN",
    multiple=True,
    brief="column to take; repeatable",
    help="Column to take; repeatable. [default: all numeric ones]",
)

inputs = _option(
    "Model",
    "-x",
    "--inputs",
    metavar="COLUMN",
    multiple=True,
    brief="input column; repeatable",
    help="Input column; repeatable, in the order of the coefficients if these have no names.",
)
model_coef = _option(
    "Model",
    "--coef",
    metavar="FILE",
    brief="check a linear model",
    help="Check the gradient of the linear model with these coefficients.",
)
samples = _option(
    "Check",
    "--samples",
    metavar="N",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    brief="number of coordinates to check",
    help="Number of coordinates to check.",
)
seed = _option(
    "Check",
    "--seed",
    metavar="SEED",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed for the choice of coordinates.",
)
tolerance = _option(
    "Check",
    "--tolerance",
    metavar="ERROR",
    type=click.FloatRange(min=0),
    default=1e-6,
    show_default=True,
    brief="largest relative error that passes",
    help="Largest relative error that passes.",
)
coef = _option(
    "Model",
    "--coef",
    metavar="FILE",
    required=True,
    brief="coefficients",
    help="Coefficients, shape (outputs, inputs) or (inputs,). Columns with names are matched to the inputs by name.",
)
intercept = _option("Model", "--intercept", metavar="FILE", brief="intercept", help="Intercept, shape (outputs,).")
predictions = _option("Model", "--predictions", metavar="FILE", help="Write the predictions.")
grad_coef = _option(
    "Gradient", "--grad-coef", metavar="FILE", help="Write the gradient with respect to the coefficients."
)
grad_intercept = _option(
    "Gradient", "--grad-intercept", metavar="FILE", help="Write the gradient with respect to the intercept."
)
grad_norm = _option(
    "Gradient", "--grad-norm", is_flag=True, help="Compute the norm of the parameters' gradient, also for each batch."
)

save_state = _option(
    "Output",
    "--save-state",
    metavar="FILE",
    type=FileName(),
    help="Also write the exact sums to FILE, for msecli merge.",
)
sort_runs = _option(
    "Decision",
    "--sort",
    metavar="METRIC",
    brief="best runs first, by loss or a metric",
    help="Sort the runs by the loss or a metric, the best first. [default: in the order of the manifest]",
)
reverse_runs = _option("Decision", "--reverse", is_flag=True, help="Sort the runs the other way round.")
fail_fast = _option("Running", "--fail-fast", is_flag=True, help="Stop when a run fails.")
dry_run = _option(
    "Running",
    "--dry-run",
    is_flag=True,
    brief="only show what would be scored",
    help="Open only the headers of the files, and show what would be scored.",
)
resume = _option(
    "Running",
    "--resume",
    metavar="FILE",
    type=FileName(),
    brief="skip the runs in this journal",
    help="Add every run that has ended to this journal, and do not repeat those in it whose inputs and settings are "
    "unchanged. The first time it need not exist.",
)
hashes = _option(
    "Running",
    "--hash",
    "hash",
    is_flag=True,
    help="For --resume, tell changed inputs by what they hold, not by their sizes and the times of their last changes.",
)

size_average = _option("Loss", "--size-average/--no-size-average", default=None, hidden=True)
reduce = _option("Loss", "--reduce/--no-reduce", default=None, hidden=True)

REQUESTED = (
    "target",
    "on",
    "unmatched",
    "row_check",
    "weight",
    "weight_file",
    "by",
    "batch_size",
    "shuffle",
    "drop_last",
    "axis",
    "metrics",
    "peak",
    "season",
    "ignore_index",
    "nan_target",
    "nan_pred",
    "l1",
    "l2",
    "params",
    "regularize_intercept",
    "grad_norm",
    "coef",
    "intercept",
    "jobs",
)
"""The options that set the request parameter of the same name."""

PAIRS = (target, on, unmatched, row_check, weight, weight_file, ignore_index, nan_target, nan_pred)
ROWS = (*PAIRS[:6], by, batch_size, shuffle, drop_last, *PAIRS[6:])
LOSS = (reduction, axis, metrics, peak, season, size_average, reduce)
GRADIENT = (grad, grad_target)
PENALTY = (params, l1, l2)
OUTPUT = (output, format, precision, overwrite)
RUNNING = (jobs, progress)


def all_of(*options: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """Return a decorator that adds the options in this order."""

    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def request_from(values: Mapping[str, Any], predictions: str, targets: str | None, **more: Any) -> Request:
    """Return the request from a command's options and from `more`, which the command adds.

    Options that the command lacks keep their defaults.
    """
    from msecli.scoring.request import Request

    given = {name: values[name] for name in REQUESTED if name in values}
    return Request.of(
        predictions=predictions,
        targets=targets,
        reading=readings_from(values),
        reduction=reduction_from(values),
        **given,
        **more,
    )


def style_from(values: Mapping[str, Any], environment: Mapping[str, str]) -> Style:
    """Return the style of tables on this terminal."""
    return Style(values["precision"], None, colored(sys.stdout, environment), is_terminal(sys.stdout))


def reduction_from(values: Mapping[str, Any]) -> str:
    """Return the reduction; PyTorch's old flags override it, with a warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        legacy = legacy_reduction(values.get("size_average"), values.get("reduce"))
    for warning in caught:
        say("Warning", str(warning.message))
    return legacy or str(values["reduction"])

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
from msecli.core.paired import TESTS
from msecli.core.reduction import REDUCTIONS, legacy_reduction
from msecli.engines import ENGINES
from msecli.outputs import RENDERERS, TEXT_FORMATS, Style

if TYPE_CHECKING:
    from click.decorators import FC
    from click.shell_completion import CompletionItem

    from msecli.scoring.request import Request

Function = TypeVar("Function", bound=Callable[..., Any])

POLICIES = ("raise", "omit", "propagate")
ROUNDED = tuple(name for name, renderer in RENDERERS.items() if renderer.rounded)
LINES = " or ".join(name for name, renderer in RENDERERS.items() if renderer.lines)
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


class Condition(StringParamType):
    """A condition of a gate; in the environment several are separated by semicolons, as there are blanks in them."""

    name = "condition"
    envvar_list_splitter = ";"


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
by_bins = _option(
    "Columns and rows",
    "--by-bins",
    metavar="COLUMN:N",
    help="Score each of N groups of rows, as many rows in each, by the values of a column; reads the rows twice.",
)
where = _option(
    "Columns and rows",
    "--where",
    metavar="CONDITION",
    help="Score only the rows that meet a condition, such as \"h <= 4 and region in ('north', 'south')\": columns "
    "compared with numbers or with texts in quotes, 'is missing', joined by and, or, not.",
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

ci = _option(
    "Decision",
    "--ci",
    metavar="LEVEL",
    type=float,
    help="Confidence interval of the mean loss, also of groups, at this level, such as 0.95: by Student's t from exact "
    "sums, for independent elements.",
)
cluster = _option(
    "Decision",
    "--cluster",
    metavar="COLUMN",
    help="For --ci: rows with the same label in this column depend on each other.",
)
bootstrap = _option(
    "Decision",
    "--bootstrap",
    metavar="N",
    type=click.IntRange(min=1),
    help="For --ci: by N resamples of the rows (of the clusters), not by t. The same for any number of threads.",
)
bootstrap_seed = _option(
    "Decision",
    "--seed",
    metavar="SEED",
    type=click.IntRange(min=0),
    help="Seed of the bootstrap. [default: 0]",
)
explain = _option(
    "Decision",
    "--explain",
    is_flag=True,
    help="Tell what the loss is made of: bias and variance of the errors, the share of the worst elements, the skill "
    "against predicting the mean, and the formulas in use, with their numbers.",
)
worst = _option(
    "Decision",
    "--worst",
    metavar="K",
    type=click.IntRange(min=1),
    help="List the K elements with the largest losses: their rows (in the prediction file), keys and groups, values, "
    "and shares of the loss.",
)
sort = _option(
    "Decision",
    "--sort",
    metavar="METRIC",
    help="List the groups by this metric, the worst first; loss and used, the number of elements, are allowed, too.",
)
reverse = _option("Decision", "--reverse", is_flag=True, help="List the groups in the opposite order.")
top = _option(
    "Decision",
    "--top",
    metavar="N",
    type=click.IntRange(min=1),
    help="List only the first N groups, by their losses unless --sort names another metric; macro and pooled are "
    "those of all.",
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

fail_if = _option(
    "Decision",
    "--fail-if",
    metavar="CONDITION",
    type=Condition(),
    multiple=True,
    brief="exit code 5 if so: 'rmse > 0.31'",
    help="Exit with code 5 if a number is beyond a limit: 'rmse > 0.31', 'r2 < 0.5', 'rmse[region=EU] >= 2' for a "
    "group, 'mae[column=weight] > 3' for a column, 'loss[any] > 9' for all of them; repeatable.",
)
min_coverage = _option(
    "Decision",
    "--min-coverage",
    metavar="SHARE",
    help="Exit with code 5 if less of the target's elements is used, as in 0.99 or 99%.",
)
baseline = _option(
    "Decision",
    "--baseline",
    metavar="FILE",
    type=FileName(),
    help="Exit with code 5 if the loss is above that of an earlier result, in JSON.",
)
max_increase = _option(
    "Decision",
    "--max-increase",
    metavar="INCREASE",
    help="How far it may be above the baseline: a number, or a share of it, as in 2%. [default: 0]",
)
baseline_metric = _option(
    "Decision",
    "--baseline-metric",
    metavar="NAME",
    default="loss",
    show_default=True,
    help="What is compared with the baseline: the loss, or a metric of which lower values are better.",
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

append = _option(
    "Output",
    "--append",
    is_flag=True,
    help=f"Add a line with the result and the time to the output files in the format {LINES}.",
)

jobs = _option(
    "Running", "--jobs", metavar="N", type=click.IntRange(min=1), help="Threads. [default: the available cores]"
)
engine = _option(
    "Running",
    "--engine",
    type=one_of(ENGINES),
    default="local",
    show_default=True,
    help="Where to score the parts of the data: "
    + "; ".join(f"{entry.name}: {entry.meaning}" for entry in ENGINES.values())
    + ". Workers write losses, gradients and predictions of rows in parts: -o FOLDER/, --grad FORMAT=FOLDER/.",
)
scheduler = _option(
    "Running",
    "--scheduler",
    metavar="ADDRESS",
    help="The address of the cluster's scheduler, such as tcp://host:8786 or tls://host:8786.",
)
scheduler_file = _option(
    "Running",
    "--scheduler-file",
    metavar="FILE",
    type=FileName(),
    help="The file in which the cluster's scheduler has written its address.",
)
local = _option(
    "Running",
    "--local",
    metavar="N",
    type=click.IntRange(min=1),
    help="Start a cluster of N workers on this machine, just for this run.",
)
worker_timeout = _option(
    "Running",
    "--worker-timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="How long to wait for the cluster's scheduler, and for a worker.",
)
resume_score = _option(
    "Running",
    "--resume",
    metavar="FILE",
    type=FileName(),
    help="Keep what the cluster has found in this journal, and go on from it after a fault. It is removed in the end.",
)
explain_plan = _option(
    "Running",
    "--explain-plan",
    is_flag=True,
    help="Show the parts that would be read, how rows would be paired, the tasks and the memory that takes, and score "
    "nothing.",
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

reference = _option(
    "Decision",
    "--reference",
    metavar="NAME",
    help="Compare with this system. [default: the first]",
)
test = _option(
    "Decision",
    "--test",
    type=one_of(TESTS),
    default="t",
    show_default=True,
    brief=", ".join(TESTS),
    help="How the difference of two losses is tested, paired by row: "
    + "; ".join(f"{each.name}: {each.meaning}" for each in TESTS.values())
    + ".",
)
resamples = _option(
    "Decision",
    "--resamples",
    metavar="N",
    type=click.IntRange(min=1),
    help="Number of resamples of a bootstrap or permutation test. [default: 1000]",
)
resampling_seed = _option(
    "Decision", "--seed", metavar="SEED", type=click.IntRange(min=0), help="Seed of the resamples. [default: 0]"
)
horizon = _option(
    "Decision",
    "--horizon",
    metavar="H",
    type=click.IntRange(min=1),
    help="How many steps ahead the forecasts were made that the test dm compares. [default: 1]",
)
cluster = _option(
    "Decision",
    "--cluster",
    metavar="COLUMN",
    help="Rows with the same label in this column of the targets depend on each other.",
)
confidence = _option(
    "Decision",
    "--confidence",
    metavar="SHARE",
    type=float,
    default=0.95,
    show_default=True,
    help="Confidence of the intervals.",
)
adjust = _option(
    "Decision",
    "--adjust",
    type=one_of(("holm", "none")),
    default="holm",
    show_default=True,
    help="Adjust the p-values for the number of systems, by Holm's method.",
)
sort_systems = _option(
    "Decision",
    "--sort",
    metavar="METRIC",
    help="List the systems by the loss or by one of the metrics, the best first. [default: in the order given]",
)
reverse_systems = _option("Decision", "--reverse", is_flag=True, help="List the systems in the opposite order.")
fail_if_worse = _option(
    "Decision",
    "--fail-if-worse",
    is_flag=True,
    brief="exit code 5 if one is significantly worse",
    help="Exit with code 5 if a system is significantly worse than the reference.",
)
alpha = _option(
    "Decision",
    "--alpha",
    metavar="P",
    type=float,
    help="The p-value below which a difference is significant. [default: 0.05]",
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
fail_fast = _option(
    "Running", "--fail-fast", is_flag=True, help="Stop at the first system or run that cannot be scored."
)
dry_run = _option(
    "Running",
    "--dry-run",
    is_flag=True,
    brief="only show what would be scored",
    help="Open only the headers of the files, and show what would be scored.",
)
look_first = _option(
    "Running",
    "--dry-run",
    is_flag=True,
    brief="only show what would be scored",
    help="Show what would be scored, as msecli inspect does, and score nothing: headers and first rows are read, and "
    "nothing is written.",
)
full = _option(
    "Running",
    "--full",
    is_flag=True,
    brief="read all rows, not just the first ones",
    help="Read all rows. By default headers, footers and the first rows are read.",
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
    "by_bins",
    "where",
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
    "ci",
    "cluster",
    "bootstrap",
    "explain",
    "worst",
    "sort",
    "reverse",
    "top",
    "coef",
    "intercept",
    "fail_if",
    "min_coverage",
    "baseline",
    "max_increase",
    "baseline_metric",
    "jobs",
    "engine",
    "scheduler",
    "scheduler_file",
    "local",
    "worker_timeout",
    "resume",
)
"""The options that set the request parameter of the same name."""

PAIRS = (target, on, unmatched, row_check, weight, weight_file, ignore_index, nan_target, nan_pred)
ROWS = (*PAIRS[:6], by, by_bins, where, batch_size, shuffle, drop_last, *PAIRS[6:])
LOSS = (reduction, axis, metrics, peak, season, size_average, reduce)
STUDIES = (ci, cluster, bootstrap, bootstrap_seed, explain, worst)
DECISION = (*STUDIES, sort, reverse, top)
GRADIENT = (grad, grad_target)
PENALTY = (params, l1, l2)
GATES = (fail_if, min_coverage, baseline, max_increase, baseline_metric)
OUTPUT = (output, format, precision, overwrite, append)
RUNNING = (jobs, progress)
CLUSTER = (engine, scheduler, scheduler_file, local, worker_timeout)
WORKERS = (*CLUSTER, explain_plan, resume_score)
COMPARISON = (
    reference,
    test,
    resamples,
    resampling_seed,
    horizon,
    cluster,
    confidence,
    adjust,
    sort_systems,
    reverse_systems,
    fail_fast,
    fail_if_worse,
    alpha,
)
COMPARED = (
    "reference",
    "test",
    "resamples",
    "seed",
    "horizon",
    "cluster",
    "confidence",
    "adjust",
    "sort",
    "reverse",
    "fail_fast",
    "fail_if_worse",
    "alpha",
)
"""The options that set the parameter of a comparison of the same name."""


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
    if "bootstrap" in values:  # another command has a seed for something else
        given["seed"] = values["seed"]
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

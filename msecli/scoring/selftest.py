"""Known answers: what this installation computes, against what others have published."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction

from msecli import kernel
from msecli.results.selftest import Answer, SelfTest
from msecli.scoring.norms import NormRequest, norms
from msecli.scoring.request import Request
from msecli.scoring.run import run
from msecli.tuples import NamedTuple

Column = Sequence[float]
Numbers = dict[str, float]


class Known(NamedTuple):
    """Data with published answers.

    Attributes
    ----------
    what : str
        What the data are.
    origin : str
        Where the answers are published.
    prediction, target : sequence of columns
    answers : mapping of str to str
        By metric, as they are printed there; "…" stands for more digits.
    compute : callable
        From the path of a CSV file with the columns p0, …, t0, … and from the metrics to the numbers.
    """

    what: str
    origin: str
    prediction: Sequence[Column]
    target: Sequence[Column]
    answers: dict[str, str]
    compute: Callable[[str, Known], Numbers]


def _scored(path: str, known: Known) -> Numbers:
    wanted = [name for name in known.answers if name != "loss"]
    result = run(
        Request.of(
            predictions=path,
            pred=[f"p{number}" for number in range(len(known.prediction))],
            target=[f"t{number}" for number in range(len(known.target))],
            metrics=wanted,
        )
    )
    return _floats(result.numbers())


def _modelled(path: str, known: Known) -> Numbers:
    """Score the certified line of Norris: the predictions of the file are its inputs."""
    wanted = [name for name in known.answers if name != "loss"]
    request = Request.of(
        predictions=path, pred=["p0"], target=["t0"], coef=[NORRIS_SLOPE], intercept=[NORRIS_INTERCEPT], metrics=wanted
    )
    return _floats(run(request).numbers())


def _normed(path: str, known: Known) -> Numbers:
    orders = [float(name) for name in known.answers]
    found = norms(NormRequest.of(vector=path, subtracted=None, orders=orders, columns=["p0"])).norms
    return dict(zip(known.answers, found.values(), strict=True))


def _floats(numbers: dict[str, float | int | None]) -> Numbers:
    return {name: math.nan if value is None else float(value) for name, value in numbers.items()}


SCIKIT_LEARN = "scikit-learn 1.9, documentation of the metrics"
NIST = "NIST, Statistical Reference Datasets, certified values"

PREDICTION, TARGET = (2.5, 0.0, 2.0, 8.0), (3.0, -0.5, 2.0, 7.0)
TWO_PREDICTED, TWO_TARGETS = ((0.0, -1.0, 8.0), (2.0, 2.0, -5.0)), ((0.5, -1.0, 7.0), (1.0, 1.0, -6.0))

NORRIS_SLOPE, NORRIS_INTERCEPT = 1.00211681802045, -0.262323073774029
NORRIS = (
    (0.1, 0.2), (338.8, 337.4), (118.1, 118.2), (888.0, 884.6), (9.2, 10.1), (228.1, 226.5), (668.5, 666.3),
    (998.5, 996.3), (449.1, 448.6), (778.9, 777.0), (559.2, 558.2), (0.3, 0.4), (0.1, 0.6), (778.1, 775.5),
    (668.8, 666.9), (339.3, 338.0), (448.9, 447.5), (10.8, 11.6), (557.7, 556.0), (228.3, 228.1), (998.0, 995.8),
    (888.8, 887.6), (119.6, 120.2), (0.3, 0.3), (0.6, 0.3), (557.6, 556.8), (339.3, 339.1), (888.0, 887.2),
    (998.5, 999.0), (778.9, 779.0), (10.2, 11.1), (117.6, 118.3), (228.9, 229.2), (668.4, 669.1), (449.2, 448.9),
    (0.2, 0.5),
)  # fmt: skip
"""The observations (y, x). The predictions are rounded to float64, so not all 15 certified digits can be expected."""

ANSCOMBE_X = (10.0, 8.0, 13.0, 9.0, 11.0, 14.0, 6.0, 4.0, 12.0, 7.0, 5.0)
ANSCOMBE_X4 = (8.0,) * 7 + (19.0,) + (8.0,) * 3
ANSCOMBE = (
    (ANSCOMBE_X, (8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68)),
    (ANSCOMBE_X, (9.14, 8.14, 8.74, 8.77, 9.26, 8.10, 6.13, 3.10, 9.13, 7.26, 4.74)),
    (ANSCOMBE_X, (7.46, 6.77, 12.74, 7.11, 7.81, 8.84, 6.08, 5.39, 8.15, 6.42, 5.73)),
    (ANSCOMBE_X4, (6.58, 5.76, 7.71, 8.84, 8.47, 7.04, 5.25, 12.50, 5.56, 7.91, 6.89)),
)

NINE = tuple(float(number) for number in range(-4, 5))


def _num_acc(first: float, low: float, high: float) -> tuple[float, ...]:
    return (first, *((low, high) * 500))


KNOWN = (
    Known(
        "4 elements",
        SCIKIT_LEARN,
        (PREDICTION,),
        (TARGET,),
        {
            "loss": "0.375",
            "rmse": "0.612…",
            "mae": "0.5",
            "medae": "0.5",
            "r2": "0.948…",
            "explained_variance": "0.957…",
            "mape": "0.3273…",
        },
        _scored,
    ),
    Known(
        "2 outputs",
        SCIKIT_LEARN,
        TWO_PREDICTED,
        TWO_TARGETS,
        {"loss": "0.708…", "mae": "0.75", "r2": "0.938…"},
        _scored,
    ),
    Known(
        "logarithms",
        SCIKIT_LEARN,
        ((2.5, 5.0, 4.0, 8.0),),
        ((3.0, 5.0, 2.5, 7.0),),
        {"msle": "0.039…", "rmsle": "0.199…"},
        _scored,
    ),
    *(
        Known(
            f"Anscombe {number}",
            "Anscombe 1973: the correlation is the root of R² = 0.667",
            (x,),
            (y,),
            {"pearson": "0.82"},
            _scored,
        )
        for number, (x, y) in enumerate(ANSCOMBE, start=1)
    ),
    Known(
        "Norris",
        NIST,
        (tuple(x for _, x in NORRIS),),
        (tuple(y for y, _ in NORRIS),),
        {"sse": "26.6173985294…", "r2": "0.999993745883712"},
        _modelled,
    ),
    # Certified are the standard deviations s = 1 and 0.1; the sum is (n - 1) s².
    Known(
        "NumAcc1",
        NIST,
        ((10000002.0,) * 3,),
        ((10000001.0, 10000003.0, 10000002.0),),
        {"sse": "2", "bias": "0"},
        _scored,
    ),
    Known("NumAcc2", NIST, ((1.2,) * 1001,), (_num_acc(1.2, 1.1, 1.3),), {"sse": "10.000000000000"}, _scored),
    # The decimal fractions of these data have no more digits in float64.
    Known(
        "NumAcc3",
        NIST,
        ((1000000.2,) * 1001,),
        (_num_acc(1000000.2, 1000000.1, 1000000.3),),
        {"sse": "10.0000000"},
        _scored,
    ),
    Known(
        "NumAcc4",
        NIST,
        ((10000000.2,) * 1001,),
        (_num_acc(10000000.2, 10000000.1, 10000000.3),),
        {"sse": "10.000000"},
        _scored,
    ),
    Known(
        "-4 to 4",
        "NumPy 2.4, documentation of linalg.norm",
        (NINE,),
        (NINE,),
        {"2": "7.745966692414834", "1": "20.0", "3": "5.84803547642573…", "inf": "4.0"},
        _normed,
    ),
)


def selftest() -> SelfTest:
    """Compute the known answers with every kernel there is."""
    names = [name for name in kernel.NAMES if kernel.available(name)]
    answers = [answer for name in names for answer in _with_kernel(name)]
    return SelfTest(tuple(answers), tuple(names))


def _with_kernel(name: str) -> Iterator[Answer]:
    with _using(name), tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "known.csv")
        for known in KNOWN:
            _write(path, known.prediction, known.target)
            found = known.compute(path, known)
            for metric, published in known.answers.items():
                passed = agrees(found[metric], published)
                yield Answer(name, known.what, metric, published, found[metric], passed, known.origin)
        yield from _exact(name, path)


def _exact(name: str, path: str) -> Iterator[Answer]:
    """Yield answers where rounded sums are wrong, against those of rational arithmetic."""
    prediction = (1e16, 1.0, -1e16, 3.0, 1e-300, 2.0**53)
    target = (0.0, 0.0, 0.0, 0.1, 0.0, 1.0)
    _write(path, (prediction,), (target,))
    errors = [ours - theirs for ours, theirs in zip(prediction, target, strict=True)]
    known = {
        "loss": float(sum(Fraction(error * error) for error in errors) / len(errors)),
        "bias": float(sum(map(Fraction, errors)) / len(errors)),
        "mae": float(sum(Fraction(abs(error)) for error in errors) / len(errors)),
    }
    found = _floats(run(Request.of(predictions=path, pred=["p0"], target=["t0"], metrics=["bias", "mae"])).numbers())
    for metric, value in known.items():
        yield Answer(
            name, "cancelling", metric, repr(value), found[metric], found[metric] == value, "rational arithmetic"
        )


def _write(path: str, prediction: Sequence[Column], target: Sequence[Column]) -> None:
    names = [f"p{number}" for number in range(len(prediction))] + [f"t{number}" for number in range(len(target))]
    rows = (",".join(map(repr, row)) for row in zip(*prediction, *target, strict=True))
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join([",".join(names), *rows, ""]))


def agrees(found: float, published: str) -> bool:
    """Tell whether a number has the published digits: all that are there, the last of them rounded or cut off.

    Examples
    --------
    >>> agrees(0.9486, "0.948…"), agrees(0.9496, "0.948…"), agrees(0.8164, "0.82"), agrees(0.5000001, "0.5")
    (True, False, True, True)
    """
    digits = published.removesuffix("…")
    unit = Fraction(1, 10 ** len(digits.partition(".")[2]))
    if not math.isfinite(found):
        return False
    apart = Fraction(found) - Fraction(digits)
    return 0 <= apart < unit if published != digits else abs(apart) <= unit / 2


@contextmanager
def _using(name: str) -> Iterator[None]:
    """Choose a kernel for the block."""
    before = os.environ.get(kernel.VARIABLE)
    os.environ[kernel.VARIABLE] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ[kernel.VARIABLE]
        else:
            os.environ[kernel.VARIABLE] = before

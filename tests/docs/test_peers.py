"""What the README's comparison says of other tools is what they do, where they are installed."""

from __future__ import annotations

import math
import shutil
import subprocess
from typing import Any

import numpy as np
import pandas as pd
import pytest

import msecli

NAN = math.nan


def in_any_order(loss: Any) -> int:
    """Return how many different results there are for the same rows in twenty orders."""
    rng = np.random.default_rng(0)
    errors = rng.normal(size=1000) * 1000 + 1000
    return len({float(loss(rng.permutation(errors), np.zeros(1000))) for _ in range(20)})


def test_msecli_gives_the_same_bits_in_any_order() -> None:
    assert in_any_order(msecli.mse_loss) == 1


def test_scikit_learn_takes_arrays_of_one_length_without_nan() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    loss = metrics.mean_squared_error
    with pytest.raises(ValueError, match="NaN"):
        loss([1.0, 2.0], [1.0, NAN])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        loss([1.0, 2.0, 3.0], [1.0, 2.0])
    assert loss([1.0, 2.0], [2.0, 2.0], sample_weight=[1.0, 3.0]) == 0.25
    assert in_any_order(loss) > 1


def test_pandas_goes_by_the_labels_of_the_index_and_leaves_out_what_has_no_partner() -> None:
    def loss(prediction: Any, target: Any) -> float:
        return float(((pd.Series(prediction) - pd.Series(target)) ** 2).mean())

    assert loss([1.0, 2.0, 3.0], [1.0, NAN, 5.0]) == 2.0
    assert loss([1.0, 2.0, 3.0], [1.0, 5.0]) == 4.5
    assert loss([1.0, 2.0, 3.0], pd.Series([3.0, 2.0, 1.0], index=[2, 1, 0])) == 0.0
    assert in_any_order(loss) > 1


def test_pytorch_broadcasts_with_a_warning_and_passes_nan_on() -> None:
    torch = pytest.importorskip("torch")
    loss = torch.nn.functional.mse_loss
    with pytest.warns(UserWarning, match="broadcasting"):
        assert loss(torch.ones(3, 1), torch.tensor([0.0, 1.0, 2.0])).item() == pytest.approx(2 / 3)
    assert math.isnan(loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, NAN])))
    assert in_any_order(lambda *pair: loss(*map(torch.tensor, pair))) > 1


def test_duckdb_leaves_out_repeats_and_pads() -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        connection.execute("create table a as from (values (1, 1.0), (2, 2.0), (2, 3.0), (4, 4.0)) as t(id, p)")
        connection.execute("create table b as from (values (1, 1.0), (2, 2.0), (3, null)) as t(id, y)")

        def result(rows: str) -> Any:
            return connection.execute(f"select count(*), avg((p - y) ** 2) from {rows}").fetchall()[0]

        assert result("a join b using (id)") == (3, pytest.approx(1 / 3))
        assert result("a positional join b") == (4, 0.0)


@pytest.mark.skipif(not (shutil.which("awk") and shutil.which("paste")), reason="not installed")
def test_awk_counts_what_is_missing_as_0_and_prints_6_digits() -> None:
    def printed(script: str) -> str:
        return subprocess.run(["bash", "-c", script], capture_output=True, check=True, text=True).stdout.strip()

    program = "awk -F, '{ s += ($1 - $2) ^ 2; n++ } END { print s / n }'"
    assert printed(f"printf '1,1\\n2,\\n' | {program}") == "2"
    assert printed(f"paste -d, <(seq 3) <(seq 2) | {program}") == "3"
    assert printed("awk 'BEGIN { print 3006.503469511205 }'") == "3006.5"


@pytest.mark.skipif(not shutil.which("jq"), reason="not installed")
def test_jq_does_not_subtract_null_and_holds_it_for_less_than_a_number() -> None:
    def run(program: str, text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["jq", "-e", program], input=text, capture_output=True, check=False, text=True)

    assert "cannot be subtracted" in run(".p - .y", '{"p": 1, "y": null}').stderr
    assert run(".loss <= 3100", '{"loss": null}').stdout == "true\n"
    # This is what the README advises.
    gate = '.status == "ok" and .loss <= 3100'
    assert run(gate, '{"status": "nan", "loss": null}').returncode == 1
    assert run(gate, '{"status": "ok", "loss": 3006.5}').returncode == 0

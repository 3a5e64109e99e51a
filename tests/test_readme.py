"""The README is true: its commands print what it shows, its tables are those of the code, its picture is of today.

`python -m tests.test_readme` writes the tables anew.
"""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

import msecli
from msecli.core.metrics import FAMILIES, METRICS
from msecli.formats import FORMATS
from msecli.outputs import RENDERERS
from msecli.pairing.candidates import (
    IDENTIFYING_CAMEL_CASE,
    IDENTIFYING_ENDS,
    IDENTIFYING_NAMES,
    PREDICTION_NAMES,
    TARGET_NAMES,
)
from msecli.places import PLACES
from tests.docs.picture import PICTURE, picture

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
TEXT = README.read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
CAMEL_CASE = "PassengerId"


def _formats() -> list[tuple[str, ...]]:
    rows = [(f"`{name}`", format.meaning, " ".join(format.suffixes)) for name, format in FORMATS.items()]
    return [("format", "what it is", "suffixes"), *rows]


def _places() -> list[tuple[str, ...]]:
    rows = [
        (
            " ".join(f"`{scheme}://`" for scheme in place.schemes),
            place.meaning + (f" (`[{place.extra}]`)" if place.extra else ""),
            "read and written" if place.store or not place.credentials else "read",
            place.credentials,
        )
        for place in PLACES.values()
    ]
    return [("URL", "what it is", "files are", "credentials"), *rows]


def _metrics() -> list[tuple[str, ...]]:
    rows = [(f"`{name}`", metric.meaning) for name, metric in METRICS.items()]
    return [("metric", "meaning"), *rows, *((f"`{family.form}`", family.meaning) for family in FAMILIES.values())]


def _outputs() -> list[tuple[str, ...]]:
    rows = [
        ("" if renderer.binary else f"`{name}`", renderer.suffix or f"`{name}=`", renderer.meaning)
        for name, renderer in RENDERERS.items()
    ]
    return [("`--format`", "`-o`", "what it is"), *rows]


def _names() -> list[tuple[str, ...]]:
    def listed(names: Iterable[str]) -> str:
        return ", ".join(f"`{name}`" for name in sorted(names))

    identifying = (
        f"{listed(IDENTIFYING_NAMES)}; the first column if it has no name; names that end in "
        f"{listed(IDENTIFYING_ENDS)}, or in `Id` or `ID` as `{CAMEL_CASE}` does"
    )
    return [
        ("a column with one of these names", "is"),
        (listed(PREDICTION_NAMES), "the prediction"),
        (listed(TARGET_NAMES), "the target"),
        (identifying, "never scored unless named: it identifies rows"),
    ]


TABLES: dict[str, Callable[[], list[tuple[str, ...]]]] = {
    "names": _names,
    "formats": _formats,
    "places": _places,
    "metrics": _metrics,
    "outputs": _outputs,
}


def _markdown(rows: list[tuple[str, ...]]) -> str:
    lines = [rows[0], ("---",) * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def _with_tables(text: str) -> str:
    for name, table in TABLES.items():
        marked = f"<!-- table: {name} -->\n\n{_markdown(table())}\n\n<!-- end -->"
        text = re.sub(f"<!-- table: {name} -->.*?<!-- end -->", marked.replace("\\", r"\\"), text, flags=re.DOTALL)
    return text


def _sessions() -> list[str]:
    return re.findall(r"```console\n(.*?)```", TEXT, flags=re.DOTALL)


def _steps(session: str) -> list[tuple[str, str]]:
    """The commands of a session, each with the output it is to print."""
    steps = re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]
    return [(command, output) for command, _, output in (step.partition("\n") for step in steps)]


def _trimmed(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


@pytest.mark.parametrize("session", _sessions(), ids=lambda session: session.split("\n", 1)[0][:60])
def test_the_commands_print_what_the_readme_shows(session: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    for command, output in _steps(session):
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            text=True,
        )
        assert _trimmed(ran.stdout) == _trimmed(output), command


def test_the_python_examples_print_what_the_readme_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    failed, tried = doctest.testfile(str(README), module_relative=False, verbose=False)
    assert tried > 0
    assert failed == 0


def test_the_tables_are_those_of_the_code() -> None:
    assert _with_tables(TEXT) == TEXT


def test_the_lists_of_names_are_those_of_the_code() -> None:
    assert IDENTIFYING_CAMEL_CASE.fullmatch(CAMEL_CASE)
    rows = [line.split(" | ")[0] for line in _with_tables(TEXT).split("### Names of columns")[1].split("\n")[6:8]]
    for row, names in zip(rows, (PREDICTION_NAMES, TARGET_NAMES), strict=True):
        assert set(re.findall("`(.+?)`", row)) == names


def test_the_picture_is_what_a_terminal_shows_today() -> None:
    assert PICTURE.read_text() == picture()
    assert f"]({PICTURE.relative_to(ROOT)})" in TEXT


def _anchors(text: str) -> set[str]:
    """Return what links to the headings of a page end in, as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_leads_somewhere() -> None:
    pages = {"": TEXT, "CONTRIBUTING.md": CONTRIBUTING, "README.md": TEXT}
    for text in (TEXT, CONTRIBUTING, CHANGELOG):
        for target in re.findall(r"\]\(([^)]+)\)", text):
            path, _, anchor = target.partition("#")
            assert (ROOT / path).exists(), target
            assert not anchor or anchor in _anchors(pages[path]), target


def test_this_version_is_in_the_changelog() -> None:
    assert f"\n## {msecli.__version__}\n" in CHANGELOG


def test_the_set_up_and_test_commands_are_what_the_check_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    for name in ("set-up", "test"):
        assert re.search(rf"<!-- {name} -->\n```sh\n(python3 -m venv .+)\n```", TEXT)
    assert "for name in set-up test; do" in script
    (test,) = re.findall(r"<!-- test -->\n```sh\n(.+)\n```", TEXT)
    assert f"```sh\n{test}\n```" in CONTRIBUTING


if __name__ == "__main__":
    README.write_text(_with_tables(TEXT))

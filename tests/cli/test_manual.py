"""The pages of the manual: what the commands say, in the form that `man` shows."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import click
import pytest

from msecli.cli.main import cli
from msecli.cli.manual import EXIT_CODES, FOLDER, pages

ROOT = Path(__file__).parent.parent.parent
PAGES = pages(cli)


def test_the_pages_in_the_tree_are_up_to_date() -> None:
    """If not, run `python -m msecli.cli.manual`."""
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()} == PAGES


def test_the_package_installs_the_pages_where_man_looks_for_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shared = project["tool"]["scikit-build"]["wheel"]["force-include"]
    assert shared == {str(FOLDER.relative_to(ROOT)): "${SKBUILD_DATA_DIR}/share/man/man1"}


@pytest.mark.parametrize("command", cli.commands.values(), ids=str)
def test_a_page_has_every_option_and_no_hidden_one(command: click.Command) -> None:
    page = PAGES[f"msecli-{command.name}.1"].replace("\\-", "-")
    names = {
        option.opts[-1]: option.hidden
        for option in command.get_params(click.Context(command))
        if isinstance(option, click.Option)
    }
    for name, hidden in names.items():
        assert (f"{name} " in page or f"{name}\n" in page or f"{name}," in page) is not hidden


def test_the_exit_codes_are_those_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in readme


@pytest.mark.parametrize("name", PAGES)
def test_man_shows_a_page_without_a_warning(name: str, tmp_path: Path) -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    (tmp_path / name).write_text(PAGES[name], encoding="utf-8")
    command = ["groff", "-man", "-Tutf8", "-Kutf8", "-ww", "-P-cbou", str(tmp_path / name)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "NAME" in ran.stdout
    assert "EXAMPLE" in ran.stdout

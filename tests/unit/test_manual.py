"""The manual pages and the settings' template: every option, verb and key is described, and no other."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from xsagent.cli.completion import completions
from xsagent.config import Paths, Settings, read_settings

SHARE = Path(__file__).parents[2] / "xsagent/share"
PAGES = {path.name: path.read_text("utf-8") for path in sorted((SHARE / "man").iterdir())}
COMMANDS = {
    "interface-reconfigure": "interface-reconfigure.8",
    "xsagent": "xsagent.8",
    "xsagent-setup": "xsagent-setup.8",
    "xe-switch-network-backend": "xe-switch-network-backend.8",
    "xe-get-network-backend": "xe-switch-network-backend.8",
}
_OPTION = re.compile(r"\bFl (-[a-z0-9-]+)")


def known_options(page: str) -> set[str]:
    """Every option of the commands that a page is about."""
    paths = [one for one in completions() if COMMANDS[one.path.split()[0]] == page]
    return {word for one in paths for word in one.words if word.startswith("--")}


@pytest.mark.parametrize("page", sorted(set(COMMANDS.values())))
def test_every_option_of_a_command_is_in_its_page_and_no_other(page: str) -> None:
    """The page and the parser name the same options."""
    described = {f"-{option}" for option in _OPTION.findall(PAGES[page])}

    assert known_options(page) - described == set()
    assert described - known_options(page) == set()


@pytest.mark.parametrize("path", sorted(one.path for one in completions() if " " in one.path))
def test_every_verb_is_in_the_page_of_its_command(path: str) -> None:
    """As a command word of the page."""
    command, *verbs = path.split()
    words = set(
        re.findall(r"^\.(?:Nm |It |Op )?(?:Ar options )?Cm (.*)$", PAGES[COMMANDS[command]], flags=re.MULTILINE)
    )

    assert verbs[-1] in {word for line in words for word in line.split()}


@pytest.mark.parametrize("key", [field.name for field in dataclasses.fields(Settings)])
def test_every_setting_is_described(key: str) -> None:
    """xsagent.conf(5) has each key of config.py."""
    assert f".It Ic {key}\n" in PAGES["xsagent.conf.5"]


def test_no_setting_is_described_that_is_not_there() -> None:
    """A key that went away goes from the manual too."""
    described = re.findall(r"^\.It Ic (\S+)$", PAGES["xsagent.conf.5"], flags=re.MULTILINE)

    assert sorted(described) == sorted(field.name for field in dataclasses.fields(Settings))


def test_the_template_has_every_key_with_its_default(tmp_path: Path) -> None:
    """What is commented out is what holds without it: uncommented, nothing changes."""
    lines = (SHARE / "xsagent.conf").read_text("utf-8").splitlines()
    text = "\n".join(line.removeprefix("# ") for line in lines if re.match(r"# [a-z0-9_]+ = ", line))
    paths = Paths(tmp_path)
    paths.settings_file.parent.mkdir(parents=True)
    paths.settings_file.write_text(text)

    assert set(tomllib.loads(text)) == {field.name for field in dataclasses.fields(Settings)}
    assert read_settings(paths, {}) == Settings()


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_page_is_good_mdoc(page: str) -> None:
    """mandoc(1) has nothing to warn of; every page that it refers to and that is ours is there."""
    ours = {"xsagent", "xsagentd", "xsagent-setup", "xsagent.conf", "vif", "interface-reconfigure"}
    referred = re.findall(r"^\.Xr (\S+) ([0-9])", PAGES[page], flags=re.MULTILINE)
    assert {f"{name}.{section}" for name, section in referred if name in ours} <= set(PAGES)

    if shutil.which("mandoc") is None:
        pytest.skip("this machine lacks mandoc (tests/setup-machine test installs it)")
    done = subprocess.run(
        ["mandoc", "-Tlint", "-W", "warning", str(SHARE / "man" / page)], check=False, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)

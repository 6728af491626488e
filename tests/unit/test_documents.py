"""The documents of the project are true as far as a test can tell: paths exist, forms are kept, commands are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from xsagent.cli.main import build_parser, main

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "DECISIONS.md", "CONTRIBUTING.md", "CHANGELOG.md")
FOR_ADMINS = ("INSTALL.md", "UNREACHABLE.md", "TROUBLESHOOTING.md")
SECTIONS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Differences from the legacy scripts"}

_NAMED = re.compile(r"`((?:xsagent|tests|plugins|udev|initscripts)/[A-Za-z0-9_./-]*)`")
_SHORT = re.compile(r"`((?:apply|plan|observed|desired|sources|topology|model|hotplug|cli)/[a-z_/]*(?:\.py)?)`")
_LINK = re.compile(r"\]\(([^)#:]+)\)")


def missing_paths(text: str) -> list[str]:
    """Paths in backquotes, and targets of links, that are not in the tree."""
    full = [*_NAMED.findall(text), *_LINK.findall(text)]
    found = [path for path in full if not (ROOT / path).exists()]
    return found + [path for path in _SHORT.findall(text) if not (ROOT / "xsagent" / path).exists()]


@pytest.mark.parametrize("name", [*DOCUMENTS, *FOR_ADMINS])
def test_paths_that_a_document_names_exist(name: str) -> None:
    """Whoever follows a path in a document finds something there."""
    assert missing_paths((ROOT / name).read_text("utf-8")) == []


def test_the_check_sees_a_path_that_is_gone() -> None:
    """The check itself is shown to fail, on full and short paths and on links."""
    text = "`xsagent/attic/old.py` `plan/old.py` [x](OLD.md) `xsagent/plan/diff.py` `plan/diff.py` [y](README.md)"

    assert missing_paths(text) == ["xsagent/attic/old.py", "OLD.md", "plan/old.py"]


def test_architecture_names_every_folder_of_the_package() -> None:
    """A folder that ARCHITECTURE.md does not know is a folder that nobody explained."""
    folders = {path.parent.name for path in (ROOT / "xsagent").glob("*/__init__.py")}
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")

    assert {folder for folder in folders if f"`xsagent/{folder}/`" not in text} == set()


def test_the_changelog_keeps_its_form() -> None:
    """Unreleased first, then versions with dates, newest first; only the known headings, each with entries."""
    lines = (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines()
    releases = [line for line in lines if line.startswith("## ")]
    sections = [line.removeprefix("### ") for line in lines if line.startswith("### ")]
    bodies = re.split(r"^### .*$", "\n".join(lines), flags=re.MULTILINE)[1:]

    assert lines[0] == "# Changelog"
    assert releases[0] == "## [Unreleased]"
    assert all(re.fullmatch(r"## \[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", line) for line in releases[1:])
    assert releases[1:] == sorted(releases[1:], key=_version, reverse=True)
    assert set(sections) <= SECTIONS
    assert all(body.strip().startswith("- ") for body in bodies)


def _version(heading: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", heading)[:3])


def test_decisions_are_numbered_without_gaps() -> None:
    """A number that comments refer to stays what it was."""
    numbers = re.findall(r"^## (\d+)\. ", (ROOT / "DECISIONS.md").read_text("utf-8"), flags=re.MULTILINE)

    assert [int(number) for number in numbers] == list(range(1, len(numbers) + 1))


def test_the_two_commands_come_first_in_the_readme() -> None:
    """Whoever has a fresh machine finds `make demo` and `make test` before any other command."""
    text = (ROOT / "README.md").read_text("utf-8")
    first_block = text.split("```")[1]

    assert [line.split("#")[0].strip() for line in first_block.splitlines()[1:3]] == ["make demo", "make test"]


def test_the_plan_in_the_readme_is_what_the_command_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line of the example, as far as its dots, is a line of the real output, in the same order."""
    observed = tmp_path / "host.json"
    link = '{"name": "eth0", "mac": "00:1b:21:0a:0b:01", "mtu": 1500, "up": false}'
    observed.write_text(f'{{"is": "Topology", "links": {{"eth0": {link}}}}}')
    cache = Path(__file__).parent / "sources" / "data" / "legacy-static.dbcache"
    example = (ROOT / "README.md").read_text("utf-8").split("$ xsagent plan ")[1].split("```")[0].splitlines()[1:]

    main(["plan", f"--from-dbcache={cache}", f"--observed={observed}", "--force", "xenbr0", "up"])

    printed = iter(capsys.readouterr().out.splitlines())
    wanted = [line.removesuffix("...").rstrip() for line in example]
    assert all(any(line.startswith(start) for line in printed) for start in filter(None, wanted))


def test_every_verb_of_the_readme_is_there_and_every_verb_is_in_the_readme() -> None:
    """The table of commands is that of the parser."""
    usage = build_parser().format_help()
    verbs = set(re.findall(r"^    ([a-z]+)(?: {2,}|$)", usage, flags=re.MULTILINE))
    named = set(re.findall(r"\| `xsagent ([a-z]+)` \|", (ROOT / "README.md").read_text("utf-8")))

    assert verbs
    assert named == verbs

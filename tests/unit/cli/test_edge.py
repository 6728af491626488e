"""cli/edge.py: what each command says and returns when its streams or its own code fail."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from xsagent.cli.edge import run_edge
from xsagent.errors import InputError

COMMANDS = {
    "xsagent.cli.main": ["--version"],
    "xsagent.cli.interface_reconfigure": ["--help"],
    "xsagent.cli.networkd_db": ["--help"],
    "xsagent.cli.setup_host": ["--version"],
    "xsagent.cli.setup_vif_rules": [],
    "xsagent.cli.switch_backend": ["--help"],
    "xsagent.cli.vif": ["--help"],
    "xsagent.cli.xsagentd": ["--version"],
}
"""Of each command a call that prints something."""


def _ended(module: str, streams: str, words: list[str]) -> subprocess.CompletedProcess[str]:
    """A command that a shell starts with its streams so; `sh` alone has words for a closed one."""
    call = f'unset PYTHONUNBUFFERED; exec "$0" -m "$@" {streams}'
    return subprocess.run(
        ["sh", "-c", call, sys.executable, module, *words], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(("module", "words"), COMMANDS.items(), ids=COMMANDS)
def test_a_full_disk_under_stdout_is_one_sentence(module: str, words: list[str]) -> None:
    """Exit 1, whatever the interpreter's own end would make of it; no traceback."""
    done = _ended(module, ">/dev/full", words)

    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert ": No space left on device" in done.stderr


@pytest.mark.parametrize(("module", "words"), COMMANDS.items(), ids=COMMANDS)
def test_a_reader_that_left_is_no_message(module: str, words: list[str]) -> None:
    """Exit 1 without a word, though it is no success."""
    reader, writer = os.pipe()
    os.close(reader)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=buffered, check=False, timeout=60)
    os.close(writer)

    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize(("module", "words"), COMMANDS.items(), ids=COMMANDS)
def test_closed_streams_are_no_failure(module: str, words: list[str]) -> None:
    """What cannot be heard is not said; the exit code is that of the same call with streams."""
    done = _ended(module, "<&- >&- 2>&-", words)

    assert (done.returncode, done.stdout, done.stderr) == (0 if words else 1, "", "")


def test_no_file_takes_the_number_of_a_closed_stream() -> None:
    """A child program that prints would write into it."""
    program = (
        "import os\n"
        "from xsagent.cli.edge import run_edge\n"
        "opened = []\n"
        "run_edge('x', lambda: opened.append(os.open('/', os.O_RDONLY)) or 0)\n"
        "os._exit(opened[0])\n"
    )
    done = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", program], check=False)

    assert done.returncode > 2


def test_a_mistake_of_ours_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """It is named without a traceback at a user."""
    empty: dict[str, int] = {}

    assert run_edge("xsagent", lambda: empty["xenbr0"]) == 1

    assert capsys.readouterr().err == "xsagent: internal error (KeyError: 'xenbr0'); the log has the details\n"


def test_control_characters_of_a_record_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """XAPI's records hold what people typed."""

    def fail() -> int:
        raise InputError("no bridge \x1b[2J\nnamed so")

    assert run_edge("interface-reconfigure", fail) == 1

    assert capsys.readouterr().err == "interface-reconfigure: no bridge \\u001b[2J named so\n"


def test_a_process_that_ends_itself_has_said_everything() -> None:
    """Nobody flushes after it; what stands behind it is not run."""
    program = (
        "import sys; from xsagent.cli.edge import end; sys.stdout.write('out'); sys.stderr.write('err'); end(3); 1/0"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout, done.stderr) == (3, "out", "err")


def test_who_is_not_root_is_told_to_be(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Instead of looking into a log for what cannot have been done."""

    def denied() -> int:
        raise PermissionError(13, "Permission denied", "/run/xsagent/lock")

    monkeypatch.setattr(os, "geteuid", lambda: 65534)

    assert run_edge("xsagent", denied) == 1
    assert capsys.readouterr().err == "xsagent: /run/xsagent/lock: Permission denied: run this as root\n"

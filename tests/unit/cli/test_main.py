"""cli/main.py: what the command `xsagent` says and returns, whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from xsagent import __version__
from xsagent.cli.main import main

CACHE = Path(__file__).parents[1] / "sources" / "data" / "legacy-static.dbcache"
COMMAND = [sys.executable, "-m", "xsagent.cli.main"]


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "xsagent: the following arguments are required: VERB"),
        (["plan", "up"], "xsagent: plan: one of the arguments --force/--force-interface --pif-uuid is required"),
        (
            ["plan", "--force", "xenbr0", "--from-dbcache", "x", "up"],
            "xsagent: plan: --from-dbcache and --observed go together",
        ),
        (["plan", "--force", "xenbr0", "--pif-uuid", "u", "up"], "not allowed with argument --force"),
        (["plan", "--force", "xenbr0", "sideways"], "argument action: invalid choice: 'sideways'"),
        (["network"], "xsagent: network: the following arguments are required: ACTION"),
        (["network", "remove"], "xsagent: network remove: the following arguments are required: NETWORK"),
        (["network", "create", "--even-if-in-use", "xapi9"], "unrecognized arguments: --even-if-in-use"),
        (["network", "destroy", "xapi9"], "argument ACTION: invalid choice: 'destroy'"),
        (["show", "--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_exit_code_2(
    argv: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence names what is wrong, the second line says where help is; nothing on stdout."""
    code = main(argv)

    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert sentence in err.splitlines()[0]
    assert err.splitlines()[1:] == ["For help use --help."]


@pytest.mark.parametrize("argv", [["--help"], ["plan", "--help"], ["show", "-h"], ["sandbox", "run", "--help"]])
def test_help_is_on_stdout_with_exit_code_0(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each verb has its own."""
    with pytest.raises(SystemExit) as end:
        main(argv)

    out, err = capsys.readouterr()
    assert (end.value.code, err) == (0, "")
    assert out.startswith("usage: xsagent")


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """`xsagent --version` names program and version."""
    with pytest.raises(SystemExit):
        main(["--version"])

    assert capsys.readouterr().out == f"xsagent {__version__}\n"


def test_a_runtime_error_is_one_line_and_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be done is one sentence for a person, without a traceback and without help on options."""
    code = main(["plan", "--force", "xenbr0", "--from-dbcache", str(tmp_path), "--observed", str(tmp_path), "up"])

    out, err = capsys.readouterr()
    assert (code, out) == (1, "")
    assert err == f"xsagent: the cache {tmp_path} is not a regular file; nothing was changed\n"


def test_a_sentence_with_control_characters_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A file name can hold a newline or an escape sequence; a terminal must not act on it."""
    code = main(["plan", "--force", "xenbr0", "--from-dbcache", "/no\n\x1b[2Jfile", "--observed", "x", "up"])

    err = capsys.readouterr().err
    assert code == 1
    assert err == "xsagent: the cache /no \\u001b[2Jfile does not exist; nothing was changed\n"


def test_each_verb_of_the_switch_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever has to choose among 14 words at night reads what each does."""
    with pytest.raises(SystemExit):
        main(["openvswitch", "--help"])

    explained = capsys.readouterr().out.partition("--root-prefix DIR     every")[2]
    both = {"start", "stop", "restart", "reload", "status", "version", "force-reload-kmod"}
    one = {"start-database", "start-switch", "stop-database", "stop-switch", "check-handlers", "xapi-update"}
    assert both | one <= {word.strip(",") for word in explained.split()}


def test_a_reader_that_leaves_is_no_error_message(tmp_path: Path) -> None:
    """`xsagent plan ... | head -1`: quiet, though not a success."""
    observed = tmp_path / "observed"
    observed.write_text('{"is": "Topology", "links": {"eth0": {"name": "eth0"}}}')
    argv = ["plan", "--force", "xenbr0", "--from-dbcache", str(CACHE), "--observed", str(observed), "up"]
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run([*COMMAND, *argv], stdout=writer, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writer)

    assert (done.returncode, done.stderr) == (1, b"")


def test_an_interrupt_ends_with_130(tmp_path: Path) -> None:
    """Ctrl-C while a file is read: no traceback."""
    fifo, cache = tmp_path / "observed", tmp_path / "cache"
    os.mkfifo(fifo)
    cache.write_text("<xenserver-network-configuration/>")
    argv = ["plan", "--pif-uuid", "u", "--from-dbcache", str(cache), "--observed", str(fifo), "up"]
    # whoever runs these tests in the background of a shell has them ignore it
    default = ["env", "--default-signal=INT"]
    with subprocess.Popen([*default, *COMMAND, *argv], stderr=subprocess.PIPE) as child:
        writer = _open_once_read(fifo, child)
        err = _interrupt(child)
    os.close(writer)

    assert (child.returncode, err) == (130, b"")


def _interrupt(child: subprocess.Popen[bytes]) -> bytes:
    """Ctrl-C until it ends; what it said. One that comes just before a read begins is noticed only after that read."""
    for _ in range(60):
        child.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.communicate(timeout=1)[1]
    raise AssertionError("it did not end")


def _open_once_read(fifo: Path, child: subprocess.Popen[bytes]) -> int:
    """Open the FIFO once the child has it open for reading."""
    while True:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            assert child.poll() is None, child.communicate()


@pytest.mark.parametrize(
    "words",
    [
        ["show"],
        ["status"],
        ["doctor"],
        ["resync"],
        ["topology"],
        ["firewall"],
        ["openvswitch", "check-handlers"],
        ["plan", "--force", "xenbr0", "up"],
        ["network", "create", "xapi9"],
    ],
)
def test_a_root_that_is_not_there_is_named(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is exit code 1 with each verb, and nothing of the live host is shown."""
    assert main([*words, f"--root-prefix={tmp_path}/nowhere"]) == 1

    told = capsys.readouterr()
    assert f"the root {tmp_path}/nowhere is not a directory" in told.err
    assert told.out == ""

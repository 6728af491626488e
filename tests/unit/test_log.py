"""xsagent/log.py: events become lines that nothing can forge, with nothing secret in them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from xsagent import log
from xsagent.errors import InputError
from xsagent.topology.desired import Reason


@pytest.fixture(autouse=True)
def _fresh_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test configures the log for itself."""
    monkeypatch.setattr(log, "_state", log._State())


@pytest.fixture
def syslog(tmp_path: Path) -> Iterator[socket.socket]:
    """A syslog socket of the test's own."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "log"))
        server.settimeout(10)
        yield server


def _lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Lines on stderr without their time."""
    out, err = capsys.readouterr()
    assert out == ""
    return [re.sub(r"^time=\S+ ", "", line) for line in err.splitlines()]


def _to_stderr(level: str = "info") -> None:
    log.configure(syslog=False, level=level, program="t", run_id="r1")


def test_an_event_is_one_line_of_keys_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    """A line says when, how grave, which run and what, then the values in the order given."""
    _to_stderr()

    log.get_logger(bridge="xenbr0").info("add_port", port="eth0", mtu=1500, up=True, tag=None)

    assert _lines(capsys) == ["level=info run_id=r1 event=add_port bridge=xenbr0 port=eth0 mtu=1500 up=true tag=null"]


def test_stderr_lines_carry_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    """A line on stderr has no syslog daemon that would add the time."""
    _to_stderr()

    log.get_logger().info("x")

    assert re.match(r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info ", capsys.readouterr().err)


def test_values_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    """The level is the least that is written."""
    _to_stderr("WARNING")
    logger = log.get_logger()

    logger.debug("a")
    logger.info("b")
    logger.warning("c")
    logger.error("d")

    assert [line.split("event=")[1] for line in _lines(capsys)] == ["c", "d"]


def test_an_unknown_level_is_refused_by_name() -> None:
    """A wrong level in the configuration is a sentence, not a traceback."""
    with pytest.raises(InputError, match="'loud' is none of debug, info, warning, error"):
        log.configure(syslog=False, level="loud", program="t")


def test_before_configure_events_go_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    """Importing and calling our code writes to no stream unless a process edge says where."""
    log.get_logger().error("x")

    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a\nlevel=error event=forged", r'"a\nlevel=error event=forged"'),
        ("a\rb", r"a\rb"),
        ("esc\x1b[31m", r"esc\u001b[31m"),
        ("nel\x85", r"nel\u0085"),
        ("ls\u2028", r"ls\u2028"),
        ("bidi\u202e", r"bidi\u202e"),
        ("nul\x00", r"nul\u0000"),
        ('x" level=error y="', r'"x\" level=error y=\""'),
        ("back\\slash", r'"back\\slash"'),
        ("surrogate\udc80", r"surrogate\udc80"),
        ("Büro", "Büro"),
        (["eth0", "a\nb"], r'["eth0","a\nb"]'),
        ({"k": "v\x1b"}, r'{"k":"v\u001b"}'),
        (Path("/run"), "/run"),
    ],
)
def test_no_value_can_end_its_line_or_look_like_another_key(
    capsys: pytest.CaptureFixture[str], value: object, text: str
) -> None:
    """Names come from guests and from other people's records; a line is always ours."""
    _to_stderr()

    log.get_logger().info("e", value=value)

    assert _lines(capsys) == [f"level=info run_id=r1 event=e value={text}"]


def test_a_key_cannot_forge_either(capsys: pytest.CaptureFixture[str]) -> None:
    """Keys of other people's maps may reach the log by ** and stay keys; `event` and `level` stay ours."""
    _to_stderr()

    log.get_logger().info("e", **{"a b\n": 1, "level": "error"})

    assert _lines(capsys) == ["level=info run_id=r1 event=e a_b_=1 level_=error"]


def test_a_value_of_unreasonable_length_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """A hundred megabytes in a record do not end in the log."""
    _to_stderr()

    log.get_logger().info("e", value="x" * 1_000_000)

    assert _lines(capsys)[0].endswith('xxx... (1000000 characters)"')
    assert len(_lines(capsys)) == 0


@pytest.mark.parametrize("key", ["session", "session_ref", "pool_secret", "Password", "token"])
def test_what_a_key_calls_secret_is_not_written(capsys: pytest.CaptureFixture[str], key: str) -> None:
    """Session references and the pool secret open XAPI to whoever reads them."""
    _to_stderr("debug")

    log.get_logger().debug("e", **{key: "OpaqueRef:1", "nested": {key: "OpaqueRef:1"}})

    assert _lines(capsys) == [f'level=debug run_id=r1 event=e {key}=*** nested={{"{key}":"***"}}']


def test_a_hidden_text_is_not_written_under_any_key(capsys: pytest.CaptureFixture[str]) -> None:
    """XAPI's error for a dead session quotes the session: the adapter that knows it hides it."""
    _to_stderr()
    log.hide("OpaqueRef:5e55")
    log.hide("")

    log.get_logger().info("e", error="SESSION_INVALID OpaqueRef:5e55", arguments=["--session", "OpaqueRef:5e55"])

    assert _lines(capsys) == ['level=info run_id=r1 event=e error="SESSION_INVALID ***" arguments=["--session","***"]']


def test_a_reason_becomes_one_event(capsys: pytest.CaptureFixture[str]) -> None:
    """A decision is INFO; one that a person should look at is WARNING."""
    _to_stderr()

    log.log_reasons(
        log.get_logger(),
        [
            Reason(event="choose_gateway_device", subject="xenbr0", text="management"),
            Reason(event="pass_over_route", subject="xenbr0", text="no such gateway", warning=True),
        ],
    )

    assert _lines(capsys) == [
        "level=info run_id=r1 event=choose_gateway_device subject=xenbr0 reason=management",
        'level=warning run_id=r1 event=pass_over_route subject=xenbr0 reason="no such gateway"',
    ]


def test_each_run_has_an_id_of_its_own() -> None:
    """Without an id from a caller a new one is made and returned."""
    first = log.configure(syslog=False, level="info", program="t")
    second = log.configure(syslog=False, level="info", program="t")

    assert first != second
    assert re.fullmatch("[0-9a-f]{8}", first)


@pytest.mark.parametrize(("level", "priority"), [("debug", 31), ("info", 30), ("warning", 28), ("error", 27)])
def test_syslog_gets_a_datagram_with_priority_and_program(
    syslog: socket.socket, tmp_path: Path, level: str, priority: int
) -> None:
    """Facility daemon, severity by level, tag with pid: what journald and rsyslog take from /dev/log."""
    log.configure(syslog=True, level="debug", program="xsagent", run_id="r1", device=tmp_path / "log")

    getattr(log.get_logger(), level)("e", text="a\nb")

    assert (
        syslog.recv(9000).decode() == rf"<{priority}>xsagent[{os.getpid()}]: level={level} run_id=r1 event=e text=a\nb"
    )


def test_syslogs_socket_may_lie_deep(syslog: socket.socket, tmp_path: Path) -> None:
    """Below a long root prefix, for which sockaddr_un has no room, no line is lost; and an end is one."""
    deep = tmp_path / ("d" * 110)
    deep.symlink_to(tmp_path)
    log.configure(syslog=True, level="info", program="t", device=deep / "log")

    log.get_logger().info("e")
    log.end()
    log.get_logger().info("after")

    assert syslog.recv(9000).endswith(b"event=e")
    syslog.setblocking(False)
    with pytest.raises(BlockingIOError):
        syslog.recv(9000)


def test_nobody_at_the_syslog_socket_is_no_failure(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """At boot, in a container and in the sandbox there may be no syslog: work goes on, silently."""
    log.configure(syslog=True, level="info", program="t", device=tmp_path / "absent")

    log.get_logger().error("e")

    assert capfd.readouterr() == ("", "")


def test_a_syslog_that_appears_later_is_used(tmp_path: Path) -> None:
    """A restarted journald is found again by the next event."""
    log.configure(syslog=True, level="info", program="t", device=tmp_path / "log")
    log.get_logger().info("lost")

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "log"))
        log.get_logger().info("found")

        assert server.recv(9000).endswith(b"event=found")


@pytest.mark.usefixtures("syslog")
def test_a_syslog_that_hangs_does_not_hang_the_run(tmp_path: Path) -> None:
    """A listener that never reads fills its queue; what no longer fits is dropped and the run goes on."""
    log.configure(syslog=True, level="info", program="t", device=tmp_path / "log")
    logger = log.get_logger()

    for number in range(2000):
        logger.info("e", number=number)

    assert isinstance(log._state.sink, log._SyslogSink)
    assert log._state.sink._stalled, "the queue never was full, so nothing was shown"


def test_a_closed_stderr_is_no_failure() -> None:
    """`interface-reconfigure ... 2>&1 | head -1` does not stop half way."""
    program = (
        "from xsagent import log\n"
        "log.configure(syslog=False, level='info', program='t')\n"
        "log.get_logger().info('e'); log.get_logger().info('e'); print('done')\n"
    )
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=writer, text=True, check=False, timeout=60
    )
    os.close(writer)

    assert (done.returncode, done.stdout) == (0, "done\n")


def test_structlog_is_imported_at_the_first_written_event_only() -> None:
    """A run that writes nothing at its level does not pay structlog's 45 ms."""
    program = (
        "import sys; from xsagent import log\n"
        "log.configure(syslog=False, level='warning', program='t')\n"
        "log.get_logger().info('quiet'); print('structlog' in sys.modules)\n"
        "log.get_logger().warning('loud'); print('structlog' in sys.modules)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.split() == ["False", "True"]

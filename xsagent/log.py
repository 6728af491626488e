"""Log events -> one key=value line each, to syslog or stderr. Does I/O; the only module that imports structlog.

Pure code does not log: it returns `Reason`s, and the flow that called it hands them to `log_reasons`.
structlog costs some 45 ms to import, so that happens at the first event that is really written: `--help`, usage
errors and runs that are quiet at their level never pay for it. Before `configure` events go nowhere, so that no
test and no library use writes to a stream by accident.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from xsagent.errors import InputError
from xsagent.topology.text import printable
from xsagent.unix_socket import short_address

if TYPE_CHECKING:
    from xsagent.topology.desired import Reason

LEVELS: Final = ("debug", "info", "warning", "error")

_SYSLOG_DEVICE: Final = Path("/dev/log")
_FACILITY_DAEMON: Final = 3 << 3
_SEVERITY: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3}
_SECRET_KEYS: Final = ("session", "password", "passwd", "secret", "token")
_HIDDEN: Final = "***"
# rsyslog cuts at 8 KiB by default; a value that long is noise in any case
_VALUE_LIMIT: Final = 2000
_LINE_LIMIT: Final = 8000
_SEND_TIMEOUT: Final = 0.2
_FIRST_KEYS: Final = ("time", "level", "run_id", "event")


class _Sink(Protocol):
    """Takes finished lines; structlog calls the method named like the level."""

    def debug(self, line: str) -> None: ...
    def info(self, line: str) -> None: ...
    def warning(self, line: str) -> None: ...
    def error(self, line: str) -> None: ...


class _StderrSink:
    """Lines to stderr, looked up at each line because tests and the daemon replace it."""

    def debug(self, line: str) -> None:
        # A reader that closed the pipe must not end the work that is logged
        with contextlib.suppress(OSError, ValueError):
            try:
                sys.stderr.write(line + "\n")
                sys.stderr.flush()
            except BrokenPipeError:
                # what the stream still holds would fail again at the interpreter's end: exit status 120 (Python 3.11.2)
                os.dup2(os.open(os.devnull, os.O_RDWR), sys.stderr.fileno())

    info = warning = error = debug


class _SyslogSink:
    """Datagrams to syslog's socket; a line is dropped when nobody listens there or the listener hangs."""

    def __init__(self, device: Path, program: str) -> None:
        self._device = device
        self._tag = f"{program}[{os.getpid()}]"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._stalled = False

    def _send(self, level: str, line: str) -> None:
        head = f"<{_FACILITY_DAEMON | _SEVERITY[level]}>{self._tag}: "
        datagram = (head + line).encode("utf-8", "backslashreplace")
        # Unconnected, so that a restarted journald is found again. After one time-out the next lines do not wait:
        # a hanging journald costs a run 0.2 s, not 0.2 s a line.
        self._socket.settimeout(0 if self._stalled else _SEND_TIMEOUT)
        try:
            with short_address(self._device) as address:
                self._socket.sendto(datagram, address)
            self._stalled = False
        except (TimeoutError, BlockingIOError):
            self._stalled = True
        except OSError:
            return

    def debug(self, line: str) -> None:
        self._send("debug", line)

    def info(self, line: str) -> None:
        self._send("info", line)

    def warning(self, line: str) -> None:
        self._send("warning", line)

    def error(self, line: str) -> None:
        self._send("error", line)


@dataclass(slots=True)
class _State:
    """What `configure` set for this process."""

    threshold: int = len(LEVELS)
    run_id: str = ""
    sink: _Sink | None = None
    timestamps: bool = False
    bound: Any = None
    hidden: set[str] = field(default_factory=set)


_state = _State()


@dataclass(frozen=True, slots=True)
class Logger:
    """The typed face of the log: an event's name in snake case, and values by key.

    INFO is one event a decision or effect, DEBUG the values behind it, WARNING what a person should look at, ERROR
    what ended an operation. A call never raises and never blocks for longer than 0.2 s.
    """

    values: Mapping[str, object] = field(default_factory=dict)

    def bind(self, **values: object) -> Logger:
        """A logger that adds these values to each of its events."""
        return Logger({**self.values, **values})

    def debug(self, event: str, **values: object) -> None:
        """Log the values behind a decision."""
        self._emit("debug", event, values)

    def info(self, event: str, **values: object) -> None:
        """Log a decision or an effect."""
        self._emit("info", event, values)

    def warning(self, event: str, **values: object) -> None:
        """Log what a person should look at."""
        self._emit("warning", event, values)

    def error(self, event: str, **values: object) -> None:
        """Log what ended an operation."""
        self._emit("error", event, values)

    def _emit(self, level: str, event: str, values: Mapping[str, object]) -> None:
        if LEVELS.index(level) < _state.threshold or _state.sink is None:
            return
        if _state.bound is None:
            _state.bound = _structlog_logger(_state.sink)
        # `event` and `level` are structlog's own argument names: a value of that key would be a TypeError there
        merged = {**self.values, **values}
        safe = {f"{key}_" if key in {"event", "level"} else key: item for key, item in merged.items()}
        getattr(_state.bound, level)(event, **safe)


def configure(
    *, syslog: bool, level: str, program: str, run_id: str | None = None, device: Path = _SYSLOG_DEVICE
) -> str:
    """Say where the events of this process go; returns the run's id.

    Called by the edge of each run, anew where a process does several. Opens no file, and does not fail when nobody
    listens on `device`.

    Args:
        syslog: True for syslog/journald, False for stderr (``--no-syslog``).
        level: least level that is written, one of LEVELS in any case.
        program: name before the pid in a syslog line.
        run_id: id that every event carries; a new one by default.
        device: syslog's socket (below the root prefix, where there is one).

    Raises:
        InputError: no such level.
    """
    if level.lower() not in LEVELS:
        raise InputError(f"log level {level!r:.40} is none of {', '.join(LEVELS)}; nothing was changed")
    _state.threshold = LEVELS.index(level.lower())
    _state.run_id = run_id or os.urandom(4).hex()
    _state.sink = _SyslogSink(device, program) if syslog else _StderrSink()
    _state.timestamps = not syslog
    _state.bound = None
    return _state.run_id


def end() -> None:
    """Write nothing any more, and close where it went: in a fork, before it closes descriptors by their numbers."""
    _state.sink = _state.bound = None


def get_logger(**values: object) -> Logger:
    """A logger that adds these values to each of its events; cheap, may stand at module level."""
    return Logger(values)


def hide(text: str) -> None:
    """Never let this text (a session reference, the pool secret) into a line, under whatever key it comes."""
    if text:
        _state.hidden.add(text)


def log_reasons(logger: Logger, reasons: Iterable[Reason]) -> None:
    """One event for each decision that pure code reports: INFO, or WARNING where a person should look."""
    for reason in reasons:
        emit = logger.warning if reason.warning else logger.info
        emit(reason.event, subject=reason.subject, reason=reason.text)


def _structlog_logger(sink: _Sink) -> Any:  # noqa: ANN401 - structlog's proxy is untyped; it ends in Logger
    import structlog  # noqa: PLC0415 - costs 45 ms, see the module's head

    return structlog.wrap_logger(
        sink,
        processors=[_complete, _redact, _render],
        wrapper_class=structlog.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _complete(_logger: object, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["level"] = level
    event.setdefault("run_id", _state.run_id)
    if _state.timestamps:
        now = time.time()
        event["time"] = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
    return event


def _redact(_logger: object, _level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: _without_secrets(key, value) for key, value in event.items()}


def _without_secrets(key: str, value: object) -> object:
    if any(word in key.lower() for word in _SECRET_KEYS):
        return _HIDDEN
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {str(name): _without_secrets(str(name), item) for name, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_without_secrets("", item) for item in value]
    text = str(value)
    for secret in _state.hidden:
        text = text.replace(secret, _HIDDEN)
    return text


def _render(_logger: object, _level: str, event: MutableMapping[str, Any]) -> str:
    keys = [key for key in _FIRST_KEYS if key in event]
    keys += [key for key in event if key not in _FIRST_KEYS]
    return " ".join(f"{_key(key)}={_value(event[key])}" for key in keys)[:_LINE_LIMIT]


def _key(key: str) -> str:
    return "".join(char if char.isascii() and (char.isalnum() or char in "_.-") else "_" for char in key)


def _value(value: object) -> str:
    """One value as text that can neither end the line nor look like another key."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(text) > _VALUE_LIMIT:
        text = f"{text[:_VALUE_LIMIT]}... ({len(text)} characters)"
    if isinstance(value, str) and (not text or any(char in text for char in ' ="\\')):
        text = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return printable(text)

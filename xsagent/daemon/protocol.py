"""Lines on the daemon's socket <-> requests and answers. Pure.

One request is one line of JSON: {"version", "command", "arguments", "environment"}. Answers are lines too: for a
reconfigure first {"begun": true}, before which nothing was changed; then {"status", "stdout", "stderr"}, as the
command itself would end; or {"declined"}: the client does it itself. `cli/ask_daemon.py` and udev/hotplug-hook are the
other side, without this module: they must start fast.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from xsagent.errors import InputError
from xsagent.model.values import shown
from xsagent.topology.values import Json

VERSION: Final = 1
LONGEST_REQUEST: Final = 1 << 16
"""Bytes of a request's line: a command line and some variables."""
_MOST_ARGUMENTS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A command that a client wants to have run.

    Attributes:
        environment: the variables that the command reads (PATH, XSAGENT_*, those of udev), and no others.
    """

    command: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How the command ended: exit status, and what it printed."""

    status: int
    stdout: str = ""
    stderr: str = ""


def parse_request(line: bytes) -> Request:
    """The request in a line.

    Raises:
        InputError: it is none, or of a version that we do not speak; nothing was done.
    """
    try:
        form = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError("the request is not a line of JSON; nothing was done") from error
    if not isinstance(form, dict):
        raise InputError("the request is not a JSON object; nothing was done")
    if form.get("version") != VERSION:
        raise InputError(
            f"the request is of version {shown(str(form.get('version')))}, not {VERSION}; nothing was done"
        )
    command, arguments, environment = form.get("command"), form.get("arguments", []), form.get("environment", {})
    if not isinstance(command, str):
        raise InputError("the request names no command; nothing was done")
    if not isinstance(arguments, list) or not all(map(_is_text, arguments)) or len(arguments) > _MOST_ARGUMENTS:
        raise InputError("the request's arguments are not a list of texts; nothing was done")
    if not isinstance(environment, dict) or not all(map(_is_variable, environment, environment.values())):
        raise InputError("the request's environment is not a table of texts; nothing was done")
    return Request(command=command, arguments=tuple(arguments), environment=environment)


def _is_text(value: object) -> bool:
    """A text that can be an argument or a variable of a process."""
    return isinstance(value, str) and "\0" not in value


def _is_variable(name: object, value: object) -> bool:
    return _is_text(name) and _is_text(value) and bool(name) and "=" not in str(name)


def render_request(request: Request) -> bytes:
    """The line that stands for a request."""
    return _line(
        {
            "version": VERSION,
            "command": request.command,
            "arguments": list(request.arguments),
            "environment": dict(request.environment),
        }
    )


def render_answer(answer: Answer) -> bytes:
    """The line that ends a request."""
    return _line({"status": answer.status, "stdout": answer.stdout, "stderr": answer.stderr})


def parse_answer(lines: bytes) -> Answer | None:
    """The answer that ends these lines; None when they end without one."""
    try:
        form = json.loads(lines.splitlines()[-1])
    except (ValueError, IndexError):
        return None
    match form:
        case {"status": int(status), "stdout": str(stdout), "stderr": str(stderr)}:
            return Answer(status=status, stdout=stdout, stderr=stderr)
    return None


def render_begun() -> bytes:
    """The line after which a client must not do the same itself."""
    return _line({"begun": True})


def render_declined(reason: str) -> bytes:
    """The line of a daemon that did nothing and will do nothing."""
    return _line({"declined": reason})


def _line(form: Mapping[str, Json]) -> bytes:
    return json.dumps({"version": VERSION, **form}, separators=(",", ":")).encode("ascii") + b"\n"

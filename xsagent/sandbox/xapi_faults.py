"""Rules that a test sets -> what the stand-in does wrong at the next matching call.

A rule names a method by a glob, may let some calls pass first and may hold for a number of calls. `xapi_server` takes
at most one rule a call and acts on its kind; nothing here touches a socket.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, get_args

FaultKind = Literal[
    "error", "hang", "drip", "truncate", "close", "reset", "http", "garbage", "delay", "command", "idle"
]
"""What goes wrong.

error: a Failure with the codes in `error`. hang: the request is read, nothing is ever sent. drip: the answer a
byte every `seconds`. truncate: half of the answer, then the end. close: the connection ends without an answer.
reset: it is reset. http: an HTTP status, `seconds` as its number. garbage: an answer that is no XML. delay: the
right answer after `seconds`. command: a control command (a change of records, an expired session) runs before the
right answer. idle: event.from does not wait.
"""


@dataclass
class Fault:
    """One rule.

    Attributes:
        kind: what goes wrong.
        method: glob over method names.
        skip: matching calls that pass before the rule holds.
        times: calls for which it holds; negative for all.
        error: code and parameters of an error answer.
        seconds: a delay in seconds (or, for `http`, the status).
        command: the control command to run.
        waiting: only calls of event.from that ask it to wait.
    """

    kind: FaultKind
    method: str = "*"
    skip: int = 0
    times: int = -1
    error: list[str] = field(default_factory=list)
    seconds: float = 1.0
    command: dict[str, object] = field(default_factory=dict)
    waiting: bool = False

    def __post_init__(self) -> None:
        """Refuse a kind that nothing acts on: a test with it would prove nothing."""
        if self.kind not in get_args(FaultKind):
            raise ValueError(f"unknown kind of fault: {self.kind}")


class Faults:
    """The rules in force."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Put a rule behind those in force."""
        with self._lock:
            self._rules.append(fault)

    def clear(self) -> None:
        """Be well behaved again."""
        with self._lock:
            self._rules.clear()

    def take(self, method: str, params: Sequence[object]) -> Fault | None:
        """The rule for this call, counted as used."""
        waits = method == "event.from" and params[-1] not in {0.0, "0"}
        with self._lock:
            for rule in self._rules:
                if rule.times == 0 or not fnmatchcase(method, rule.method) or (rule.waiting and not waits):
                    continue
                if rule.skip > 0:
                    rule.skip -= 1
                    continue
                rule.times -= 1
                return rule
        return None

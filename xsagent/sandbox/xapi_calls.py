"""A method's name and parameters -> its value as XML-RPC, answered from the stand-in's tables as XAPI answers.

Sessions, generic record calls (get_all, filters, getters, setters) and event.from; everything else is
MESSAGE_METHOD_UNKNOWN. Called by `xapi_server` for each request; an XAPI error leaves as ApiFailure.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from xsagent.sandbox.xapi_database import Database, Table, render_struct, render_value
from xsagent.sandbox.xapi_events import TokenError, render_token, wait_for_events
from xsagent.sandbox.xapi_filter import FilterError, parse_filter

_LOGIN_PARAMETERS = range(2, 5)
_EVENT_PARAMETERS = 3


class ApiFailure(Exception):  # noqa: N818 - XAPI's and its client's word for an error answer
    """An answer with Status Failure.

    Attributes:
        description: the error code and its parameters.
    """

    def __init__(self, *description: str) -> None:
        super().__init__(*description)
        self.description = description


_EMERGENCY_CALLS = frozenset({"host.signal_networking_change"})
"""Of the calls that XAPI takes in a local session, those that are asked here."""


@dataclass
class Sessions:
    """Who is logged in: session reference -> originator; local (emergency) sessions apart."""

    full: dict[str, str] = field(default_factory=dict)
    local: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, originator: str, *, local: bool = False) -> str:
        """A new session's reference."""
        ref = f"OpaqueRef:{uuid.uuid4()}"
        with self.lock:
            (self.local if local else self.full)[ref] = originator
        return ref

    def close(self, ref: str, *, local: bool = False) -> None:
        """End a session; SESSION_INVALID when it is unknown."""
        with self.lock:
            if (self.local if local else self.full).pop(ref, None) is None:
                raise ApiFailure("SESSION_INVALID", ref)

    def check(self, ref: str, method: str = "") -> None:
        """SESSION_INVALID unless this is a full session: a local one is good for calls of an emergency alone."""
        if ref not in self.full and not (ref in self.local and method in _EMERGENCY_CALLS):
            raise ApiFailure("SESSION_INVALID", ref)

    def expire(self, ref: str | None) -> None:
        """Forget one session or all, as after a restart of XAPI."""
        with self.lock:
            if ref is None:
                self.full.clear()
            else:
                self.full.pop(ref, None)


class Calls:
    """The API over one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.sessions = Sessions()

    def answer(self, method: str, params: Sequence[object], failure: Sequence[str] = ()) -> str:
        """The value of a call as XML-RPC.

        Raises:
            ApiFailure: XAPI's error answer, or `failure` where a fault demands one.
        """
        if failure:
            raise ApiFailure(*failure)
        name, _, verb = method.partition(".")
        if name == "session" and verb in _SESSION_CALLS:
            return self._session_call(verb, [str(param) for param in params])
        if not params:
            raise ApiFailure("MESSAGE_PARAMETER_COUNT_MISMATCH", method, "1", "0")
        self.sessions.check(str(params[0]), method)
        if method == "event.from":
            return self._events(str(params[0]), params[1:])
        if method == "event.inject":
            return self._inject(params[1:])
        with self.database.changed:
            table = self.database.table(name)
            if table is None:
                raise ApiFailure("MESSAGE_METHOD_UNKNOWN", method)
            return _RecordCall(self.database, name, table, method).answer(verb, params[1:])

    def _session_call(self, verb: str, params: list[str]) -> str:
        match verb:
            case "login_with_password":
                if len(params) not in _LOGIN_PARAMETERS:
                    method = f"session.{verb}"
                    raise ApiFailure("MESSAGE_PARAMETER_COUNT_MISMATCH", method, "4", str(len(params)))
                originator = params[3] if len(params) == max(_LOGIN_PARAMETERS) else ""
                return render_value(self.sessions.open(originator))
            case "slave_local_login" | "slave_local_login_with_password":
                return render_value(self.sessions.open("", local=True))
            case _:
                self.sessions.close(params[0] if params else "", local=verb == "local_logout")
                with self.database.changed:
                    self.database.changed.notify_all()
                return render_value("")

    def _events(self, session: str, params: Sequence[object]) -> str:
        if len(params) != _EVENT_PARAMETERS or not isinstance(params[0], list):
            raise ApiFailure("MESSAGE_PARAMETER_COUNT_MISMATCH", "event.from", "4", str(len(params) + 1))
        classes, token, timeout_s = [str(name) for name in params[0]], str(params[1]), float(str(params[2]))
        try:
            value = wait_for_events(self.database, classes, token, timeout_s, lambda: session in self.sessions.full)
        except TokenError as error:
            raise ApiFailure("EVENT_FROM_TOKEN_PARSE_FAILURE", str(error)) from error
        self.sessions.check(session)
        return value

    def _inject(self, params: Sequence[object]) -> str:
        """Touch an object that did not change; the token of the generation before that."""
        kind, ref = (str(param) for param in params)
        with self.database.changed:
            if kind == "session":
                self.sessions.check(ref)
                self.database.generation += 1
            else:
                table = self.database.table(kind)
                if table is None or ref not in table.records:
                    raise ApiFailure("HANDLE_INVALID", kind, ref)
                self.database.put(kind, ref, {})
            return render_value(render_token(self.database.generation - 1))


_SESSION_CALLS = frozenset(
    {
        "login_with_password",
        "slave_local_login",
        "slave_local_login_with_password",
        "logout",
        "local_logout",
    }
)


@dataclass(frozen=True)
class _RecordCall:
    """One call on a class, under the database's lock."""

    database: Database
    name: str
    table: Table
    method: str

    def answer(self, verb: str, params: Sequence[object]) -> str:
        """The value; MESSAGE_METHOD_UNKNOWN for a verb or field that the class lacks."""
        match verb:
            case "get_all":
                return render_value(list(self.table.records))
            case "get_all_records":
                return self._records(list(self.table.records))
            case "get_all_records_where":
                return self._records(self._matching(self._text(params, 0)))
            case "get_record":
                return self.table.xml(self._ref(params))
            case "get_by_uuid":
                return render_value(self._by_uuid(self._text(params, 0)))
            case "signal_networking_change" if self.method.startswith("host."):
                return render_value("")
            case _:
                return self._field_call(verb, params)

    def _records(self, refs: list[str]) -> str:
        return render_struct((ref, self.table.xml(ref)) for ref in refs)

    def _matching(self, text: str) -> list[str]:
        try:
            return self.table.matching(parse_filter(text))
        except FilterError as error:
            raise ApiFailure("INTERNAL_ERROR", str(error)) from error

    def _by_uuid(self, uuid_text: str) -> str:
        for ref, record in self.table.records.items():
            if record.get("uuid") == uuid_text:
                return ref
        raise ApiFailure("UUID_INVALID", self.name, uuid_text)

    def _text(self, params: Sequence[object], index: int) -> str:
        return str(self._param(params, index))

    def _param(self, params: Sequence[object], index: int) -> object:
        if index >= len(params):
            raise ApiFailure("MESSAGE_PARAMETER_COUNT_MISMATCH", self.method, str(index + 2), str(len(params) + 1))
        return params[index]

    def _ref(self, params: Sequence[object]) -> str:
        ref = self._text(params, 0)
        if ref not in self.table.records:
            raise ApiFailure("HANDLE_INVALID", self.name, ref)
        return ref

    def _field_call(self, verb: str, params: Sequence[object]) -> str:
        for prefix in ("get_", "set_", "add_to_", "remove_from_"):
            name = verb.removeprefix(prefix)
            if name != verb and any(name in record for record in self.table.records.values()):
                return self._on_field(prefix, name, params)
        raise ApiFailure("MESSAGE_METHOD_UNKNOWN", self.method)

    def _on_field(self, prefix: str, name: str, params: Sequence[object]) -> str:
        ref = self._ref(params)
        value = self.table.records[ref].get(name, "")
        match prefix:
            case "get_":
                return render_value(value)
            case "set_":
                value = self._param(params, 1)
            case "add_to_":
                value = self._with(ref, name, value, params)
            case _:
                value = _without(value, self._text(params, 1))
        self.database.put(self.name, ref, {name: value})
        return render_value("")

    def _with(self, ref: str, name: str, value: object, params: Sequence[object]) -> object:
        key = self._text(params, 1)
        if isinstance(value, dict):
            if key in value:
                raise ApiFailure("MAP_DUPLICATE_KEY", self.name, name, ref, key)
            return value | {key: self._text(params, 2)}
        return [*value, key] if isinstance(value, list) and key not in value else value


def _without(value: object, key: str) -> object:
    if isinstance(value, dict):
        return {name: item for name, item in value.items() if name != key}
    return [item for item in value if item != key] if isinstance(value, list) else value

"""XAPI's plugin protocol: argv -> a function's name, session and arguments; its result -> one answer on stdout.

A process edge, used by `cli/plugin.py` (wire.md section 2). Own implementation, since dom0's XenAPIPlugin may belong to
another Python. The standard library alone. While a function runs nothing else can reach stdout, nor can a child.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
import xmlrpc.client
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from xsagent.cli.edge import open_closed_streams
from xsagent.errors import XsagentError

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold; one such character would make the whole answer unreadable."""
_DEPTH: Final = 16


class PluginFailure(Exception):  # noqa: N818 - XAPI's word for an error answer
    """A function's own failure, as XAPI raises it again.

    Attributes:
        code: error code of XAPI's API.
        params: what goes with it.
    """

    def __init__(self, code: str, params: Sequence[str] = ()) -> None:
        super().__init__(code, *params)
        self.code = code
        self.params = tuple(params)


class MalformedCallError(ValueError):
    """argv[1] is no call of a plugin function."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginCall:
    """A call: the function's name, the caller's session, the arguments."""

    function: str
    session: str
    arguments: Mapping[str, str] = field(default_factory=dict)


PluginFunction = Callable[[PluginCall], str]


def dispatch(functions: Mapping[str, PluginFunction], argv: Sequence[str]) -> int:
    """Run the function that argv names and answer on stdout; returns the exit status.

    Every failure of a call is an answer, with status 0. Only an argument list that holds no call at all is answered on
    stderr with status 1, as XenAPIPlugin does, and so is a stdout that takes no answer.

    Args:
        functions: by the names that XAPI calls them.
        argv: the whole argument list, the program's own name first.
    """
    stdout = _take_stdout()
    match argv:
        case [_, text]:
            pass
        case _:
            print("XAPI starts a plugin with one argument, a call in XML-RPC", file=sys.stderr)
            return 1
    try:
        _write(stdout, render_answer(_answer(functions, os.fsencode(text))).encode())
    except OSError as error:
        print(f"the answer could not be written: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _answer(functions: Mapping[str, PluginFunction], text: bytes) -> str | PluginFailure:
    name = ""
    try:
        call = parse_call(text)
        name = call.function
        if name not in functions:
            return PluginFailure("UNKNOWN_XENAPI_PLUGIN_FUNCTION", [name])
        return functions[name](call)
    except PluginFailure as failure:
        return failure
    except Exception as error:  # noqa: BLE001 - a process edge: the protocol has an answer for every exception
        if not isinstance(error, XsagentError | MalformedCallError):
            traceback.print_exc()
        return PluginFailure("XENAPI_PLUGIN_FAILURE", [name, type(error).__name__, str(error)])


# --- the answer ------------------------------------------------------------------------------------------


def render_answer(result: str | PluginFailure) -> str:
    """The methodResponse, in the layout that XenAPIPlugin gives it."""
    if isinstance(result, PluginFailure):
        description = [_plain(text) for text in (result.code, *result.params)]
        struct: dict[str, object] = {"Status": "Failure", "ErrorDescription": description}
    else:
        struct = {"Status": "Success", "Value": _plain(result)}
    return xmlrpc.client.dumps((struct,), methodresponse=True) + "\n"


def _plain(text: str) -> str:
    return _NOT_XML.sub("?", text)


def _take_stdout() -> int:
    """A descriptor of our own for stdout; from now on descriptor 1 is stderr, for children and stray prints alike.

    XAPI starts plugins without stdin.
    """
    open_closed_streams()
    stdout = os.dup(1)
    os.dup2(2, 1)
    return stdout


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


# --- the call --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Element:
    name: str
    text: str = ""
    children: list[_Element] = field(default_factory=list)


def parse_call(text: bytes) -> PluginCall:
    """The call that argv[1] holds.

    Raises:
        MalformedCallError: broken XML, a document type (so no entities), or another shape than a call with a session
            and a struct of strings.
    """
    root = _parse_xml(text)
    if root.name != "methodCall" or [child.name for child in root.children] != ["methodName", "params"]:
        raise MalformedCallError("the argument is not a methodCall with a name and parameters")
    name, params = root.children
    match [_only_child(param, "param", "value") for param in params.children]:
        case [session, arguments] if name.text.strip():
            return PluginCall(function=name.text.strip(), session=_string(session), arguments=_struct(arguments))
    raise MalformedCallError("the call has not a name, a session and arguments")


def _parse_xml(text: bytes) -> _Element:
    parser = expat.ParserCreate()
    top = _Element("")
    stack = [top]

    def start(name: str, _attributes: object) -> None:
        if len(stack) > _DEPTH:
            raise MalformedCallError("the call is nested too deep")
        element = _Element(name)
        stack[-1].children.append(element)
        stack.append(element)

    def characters(data: str) -> None:
        stack[-1].text += data

    def refuse(*_declaration: object) -> None:
        raise MalformedCallError("the call has a document type, which no call of XAPI's has")

    parser.buffer_text = True
    parser.StartElementHandler, parser.CharacterDataHandler = start, characters
    parser.EndElementHandler = lambda _name: stack.pop() and None
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, MalformedCallError):
            raise
        raise MalformedCallError(f"the argument is not XML ({error})") from error
    return top.children[0]


def _only_child(element: _Element, name: str, child: str) -> _Element:
    if element.name != name or [inner.name for inner in element.children] != [child]:
        raise MalformedCallError(f"the call has a {element.name} where a {name} with one {child} must stand")
    return element.children[0]


def _string(value: _Element) -> str:
    """A string with or without its wrapper: ``<value>text</value>`` is one by XML-RPC's own rule."""
    if not value.children:
        return value.text
    inner = value.children[0]
    if len(value.children) != 1 or inner.name != "string" or inner.children:
        raise MalformedCallError(f"the call has a {inner.name} where a string must stand")
    return inner.text


def _struct(value: _Element) -> dict[str, str]:
    struct = _only_child(value, "value", "struct")
    found: dict[str, str] = {}
    for member in struct.children:
        if member.name != "member" or [child.name for child in member.children] != ["name", "value"]:
            raise MalformedCallError("the call's arguments have a member without name and value")
        found[member.children[0].text] = _string(member.children[1])
    return found

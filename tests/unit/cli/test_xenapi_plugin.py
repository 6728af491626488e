"""xsagent/cli/xenapi_plugin.py: the plugin protocol byte for byte, in a process of its own as XAPI starts one."""

from __future__ import annotations

import os
import subprocess
import sys
import xmlrpc.client
from pathlib import Path

import pytest

from xsagent.cli.xenapi_plugin import MalformedCallError, PluginFailure, parse_call, render_answer

PLUGIN = """
import os, subprocess, sys
from xsagent.cli.xenapi_plugin import PluginFailure, dispatch

def greet(call):
    return f"hello {call.arguments.get('name', '')} from {call.session}"

def shout(call):
    print("a stray print")
    os.write(1, b"a stray write")
    subprocess.run(["echo", "a child's output"])
    os.system("echo and of a grandchild")
    return "done"

def fail(call):
    raise PluginFailure("VSWITCH_EMER_RESET_FAILURE", ["1"])

def crash(call):
    raise KeyError(call.arguments["what"])

def give(call):
    return os.fsdecode(bytes.fromhex(call.arguments["hex"]))

def descriptors(call):
    with open("/dev/null") as first:
        return str(first.fileno())

sys.exit(dispatch({f.__name__: f for f in (greet, shout, fail, crash, give, descriptors)}, sys.argv))
"""


def call(function: str, **arguments: str) -> str:
    """A call as xapi writes it."""
    return xmlrpc.client.dumps(("OpaqueRef:7d", arguments), function)


def run(*argv: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    """The test plugin's answer."""
    command = [sys.executable, "-c", PLUGIN, *argv]
    return subprocess.run(command, check=False, capture_output=True, timeout=30, **options)


def answer(*argv: str) -> dict[str, object]:
    """The struct in the answer."""
    done = run(*argv)
    assert done.returncode == 0, done.stderr
    ((struct,), method) = xmlrpc.client.loads(done.stdout)
    assert method is None
    assert isinstance(struct, dict)
    return struct


def test_success_is_exactly_the_answer_of_xenapiplugin() -> None:
    """One methodResponse with Status and Value, and not a byte beside it."""
    assert run(call("greet", name="Bob")).stdout == (
        b"<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><struct>\n"
        b"<member>\n<name>Status</name>\n<value><string>Success</string></value>\n</member>\n"
        b"<member>\n<name>Value</name>\n<value><string>hello Bob from OpaqueRef:7d</string></value>\n</member>\n"
        b"</struct></value>\n</param>\n</params>\n</methodResponse>\n\n"
    )


def test_failure_is_an_answer_too() -> None:
    """The code and its parameters are strings, and the exit status is 0."""
    done = run(call("fail"))

    assert done.returncode == 0
    assert done.stdout == (
        b"<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><struct>\n"
        b"<member>\n<name>Status</name>\n<value><string>Failure</string></value>\n</member>\n"
        b"<member>\n<name>ErrorDescription</name>\n<value><array><data>\n"
        b"<value><string>VSWITCH_EMER_RESET_FAILURE</string></value>\n<value><string>1</string></value>\n"
        b"</data></array></value>\n</member>\n"
        b"</struct></value>\n</param>\n</params>\n</methodResponse>\n\n"
    )


def test_another_exception_names_function_class_and_text() -> None:
    """What a function did not mean to raise becomes XENAPI_PLUGIN_FAILURE; its traceback goes to stderr."""
    assert answer(call("crash", what="it")) == {
        "Status": "Failure",
        "ErrorDescription": ["XENAPI_PLUGIN_FAILURE", "crash", "KeyError", "'it'"],
    }
    assert b"Traceback" in run(call("crash", what="it")).stderr


def test_an_unknown_function_is_named() -> None:
    """Also one with a name that XML must escape."""
    assert answer(call("no&lt;such>")) == {
        "Status": "Failure",
        "ErrorDescription": ["UNKNOWN_XENAPI_PLUGIN_FUNCTION", "no<such>"],
    }


def test_nothing_else_reaches_stdout() -> None:
    """Prints, writes to descriptor 1 and children's output end on stderr."""
    done = run(call("shout"))

    assert done.stdout.count(b"<?xml") == 1
    assert xmlrpc.client.loads(done.stdout)[0] == ({"Status": "Success", "Value": "done"},)
    for text in (b"a stray print", b"a stray write", b"a child's output", b"and of a grandchild"):
        assert text in done.stderr
        assert text not in done.stdout


def test_a_closed_stdin_does_not_give_its_number_to_a_file() -> None:
    """XAPI starts plugins without stdin; a file that took descriptor 0 would be some child's stdin."""
    done = run(call("descriptors"), preexec_fn=lambda: os.close(0))

    assert xmlrpc.client.loads(done.stdout)[0][0]["Value"] not in {"0", "1", "2"}


@pytest.mark.parametrize("argv", [(), ("a", "b")])
def test_another_number_of_arguments_is_no_call(argv: tuple[str, ...]) -> None:
    """As in XenAPIPlugin: stderr says why, stdout stays empty, the status is not 0."""
    done = run(*argv)

    assert (done.returncode, done.stdout) == (1, b"")
    assert b"one argument" in done.stderr


def test_characters_that_xml_cannot_hold_do_not_break_the_answer() -> None:
    """Control characters and undecodable bytes of a result become question marks."""
    struct = answer(call("give", hex=b"a\x00b\x1bc\xffd\nend".hex()))

    assert struct == {"Status": "Success", "Value": "a?b?c?d\nend"}


def test_an_answer_that_nobody_takes_is_an_error() -> None:
    """A full disk behind stdout shows in the exit status."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", PLUGIN, call("greet")], stdout=full, stderr=subprocess.PIPE, check=False, timeout=30
        )

    assert done.returncode == 1
    assert b"could not be written: No space left on device" in done.stderr


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "xxxxxxxxxx">'
    + "".join(f"<!ENTITY a{n} '" + f"&a{n - 1};" * 10 + "'>" for n in range(1, 10)).replace("&a0;", "&a;")
    + "]><methodCall><methodName>&a9;</methodName><params/></methodCall>"
)
FILE = (
    '<!DOCTYPE b [<!ENTITY f SYSTEM "file:///etc/passwd">]><methodCall><methodName>greet</methodName><params>'
    "<param><value>&f;</value></param><param><value><struct/></value></param></params></methodCall>"
)
SESSION = "<param><value>OpaqueRef:7d</value></param>"


def shape(params: str, name: str = "greet") -> str:
    """A call with these parameters."""
    return f"<methodCall><methodName>{name}</methodName><params>{params}</params></methodCall>"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "update",
        "<methodCall>",
        "<methodCall><methodName>greet</methodName></methodCall>",
        "<methodResponse><params/></methodResponse>",
        BOMB,
        FILE,
        "<!DOCTYPE methodCall>" + shape(SESSION + "<param><value><struct/></value></param>"),
        "<?xml version='1.0' encoding='utf-99'?>" + shape(SESSION),
        "<a>" * 5000,
        shape(SESSION),
        shape(SESSION * 3),
        shape(SESSION + "<param><value><array><data/></array></value></param>"),
        shape(SESSION + "<param><value><struct><member><name>a</name></member></struct></value></param>"),
        shape(
            SESSION + "<param><value><struct><member><name>a</name><value><i4>1</i4></value></member></struct>"
            "</value></param>"
        ),
        shape("<param><value><int>1</int></value></param><param><value><struct/></value></param>"),
        shape(SESSION + "<param><value><struct/></value></param>", name=" "),
        shape(SESSION + "<param><value><struct/></value></param>") + "<more/>",
        "\ud800",
    ],
)
def test_what_is_no_call_is_a_failure_in_the_protocols_own_form(text: str) -> None:
    """Broken XML, entities, other shapes: an answer, status 0, nothing expanded and nothing read."""
    with pytest.raises(MalformedCallError):
        parse_call(os.fsencode(text) if text.isascii() else b"\xed\xa0\x80")


@pytest.mark.parametrize("text", [BOMB, FILE, "<methodCall>"])
def test_a_malformed_call_is_answered(text: str) -> None:
    """XAPI gets a reason instead of a traceback."""
    struct = answer(text)

    assert struct["Status"] == "Failure"
    code, function, kind, sentence = struct["ErrorDescription"]
    assert (code, function, kind) == ("XENAPI_PLUGIN_FAILURE", "", "MalformedCallError")
    assert sentence


def test_strings_come_with_and_without_their_wrapper() -> None:
    """Both forms are XML-RPC; blanks and entities of XML itself are part of the text."""
    params = (
        "<param><value><string>OpaqueRef:7d</string></value></param>\n<param>\n <value><struct><member>"
        "<name>a</name><value> b &amp; c </value></member><member><name>d</name><value><string/></value></member>"
        "</struct></value></param>"
    )

    found = parse_call(shape(params).encode())

    assert (found.function, found.session, found.arguments) == ("greet", "OpaqueRef:7d", {"a": " b & c ", "d": ""})


def test_the_answer_of_a_failure_without_parameters() -> None:
    """NO_POOL_FOR_HOST[] is a list of one."""
    ((struct,), _) = xmlrpc.client.loads(render_answer(PluginFailure("NO_POOL_FOR_HOST")))

    assert struct == {"Status": "Failure", "ErrorDescription": ["NO_POOL_FOR_HOST"]}

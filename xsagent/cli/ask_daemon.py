"""A command line -> the daemon's answer, printed; or None, and the command does it itself. Thin and quick to import.

The other side is `xsagent/daemon/server.py`, the protocol `xsagent/daemon/protocol.py`. XAPI waits for this, and
importing json, signal and socket takes longer than the interpreter's own start: here are what `signal` and `socket` are
made of, and json only for a text that needs an escape or an answer that says more than that all went well.
"""

from __future__ import annotations

import os
import sys

MYPY = False
if MYPY:  # what typing.TYPE_CHECKING says, without importing typing
    import _socket
    import signal as _signal
    from collections.abc import Iterator, Mapping, Sequence
else:
    import _signal

CONNECT_DEADLINE_S = 2
BEGIN_DEADLINE_S = 20.0
"""For a worker's word that it begins. Afterwards the connection tells whether it lives."""
HOTPLUG_DEADLINE_S = 240.0
"""xenopsd waits 300 s for a device; the handler must still have its time after a daemon that hangs."""
LONGEST_ANSWER = 1 << 26
"""Bytes; the status of some thousand devices is a few hundred kB."""
BEGUN = b'{"version":1,"begun":true}\n'
DONE = b'{"version":1,"status":0,"stdout":"","stderr":""}\n'
"""The two lines of a run that ends well and prints nothing, as `protocol` renders them."""
_CHUNK = 1 << 16
PASSED_ON = frozenset(
    {
        "ACTION",
        "INTERFACE",
        "LANG",
        "OVS_RUNDIR",
        "PATH",
        "SEQNUM",
        "SUBSYSTEM",
        "UDEV_CALL",
        "XENBUS_PATH",
        "XENBUS_TYPE",
        "XENSTORED_PATH",
        "vif",
    }
)
"""Variables that go with a request, beside XSAGENT_*."""


class NoAnswerError(Exception):
    """Nobody answered, or not as a daemon does.

    Attributes:
        begun: the daemon had begun, so what was asked for may be half done.
    """

    def __init__(self, reason: str, *, begun: bool = False) -> None:
        super().__init__(reason)
        self.begun = begun


def answer_of_daemon(
    command: str, words: Sequence[str], environ: Mapping[str, str], *, again: bool = False
) -> int | None:
    """Have the daemon run a command and print what it prints; returns its exit status.

    Args:
        command: as the daemon knows it.
        words: the command's arguments.
        environ: of this process.
        again: doing it a second time is no harm, so a daemon that died over it is no reason to fail.

    Returns:
        None when this process is to do it.
    """
    root = _root(words)
    use = _use_daemon(root, environ)
    if use == "never" or not (root == "" or root.startswith("/")):
        return None
    try:
        answer = ask(root, command, words, environ, begin_s=HOTPLUG_DEADLINE_S if again else BEGIN_DEADLINE_S)
    except NoAnswerError as error:
        if error.begun and not again:
            return _fail(command, f"xsagentd ended while it did this ({error}); see the log, then run it again")
        if use == "always":
            return _fail(command, f"use_daemon is always, and xsagentd does not do it ({error}); nothing was changed")
        return None
    sys.stdout.write(answer[1])
    sys.stdout.flush()
    sys.stderr.write(answer[2])
    return answer[0]


def ask(
    root: str, command: str, words: Sequence[str], environ: Mapping[str, str], *, begin_s: float = BEGIN_DEADLINE_S
) -> tuple[int, str, str]:
    """Exit status, standard output and error of a command that the daemon ran.

    Raises:
        NoAnswerError: there is no daemon, it declines, or it ended; the text says which.
    """
    path = f"{root.rstrip('/')}/run/xsagent/xsagentd.sock"
    if not os.path.exists(path):  # noqa: PTH110 - pathlib is imported by nothing here
        raise NoAnswerError("it does not run")
    import _socket  # noqa: PLC0415 - without a daemon it is not needed

    passed = {name: value for name, value in environ.items() if name in PASSED_ON or name.startswith("XSAGENT_")}
    request = render_request(command, words, passed)
    begun = False
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        # connect(2) then waits where many wait to be accepted; with settimeout() it fails at once
        timeval = CONNECT_DEADLINE_S.to_bytes(8, sys.byteorder) + bytes(8)
        connection.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, timeval)
        _connect(connection, path)
        connection.sendall(request)
        connection.settimeout(begin_s)
        for line in _lines(connection):
            answer = _parse(line)
            if answer is not None:
                return answer
            begun = True
            connection.settimeout(None)
            _end_in_order(connection)
        raise NoAnswerError("no whole answer came", begun=begun)
    except ConnectionRefusedError as error:
        # one that ended leaves its socket behind
        raise NoAnswerError("it does not run") from error
    except PermissionError as error:
        raise NoAnswerError("only root may ask it: run this as root", begun=begun) from error
    except (OSError, ValueError) as error:
        raise NoAnswerError(str(error) or "no whole answer came", begun=begun) from error
    finally:
        connection.close()


def render_request(command: str, words: Sequence[str], passed: Mapping[str, str]) -> bytes:
    """The line that asks for a command, as `protocol.parse_request` reads it."""
    arguments = ",".join(map(_quoted, words))
    environment = ",".join(f"{_quoted(name)}:{_quoted(value)}" for name, value in passed.items())
    form = f'"version":1,"command":{_quoted(command)},"arguments":[{arguments}],"environment":{{{environment}}}'
    return f"{{{form}}}\n".encode("ascii")


def _quoted(text: str) -> str:
    """A text in JSON."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    import json  # noqa: PLC0415 - hardly ever needed

    return json.dumps(text)


def _lines(connection: _socket.socket) -> Iterator[bytes]:
    """Whole lines as they come, until the daemon's side ends or says more than an answer can be long."""
    kept = b""
    while len(kept) < LONGEST_ANSWER:
        came = connection.recv(_CHUNK)
        *lines, kept = (kept + came).split(b"\n")
        for line in lines:
            yield line + b"\n"
        if not came:
            return


def _end_in_order(connection: _socket.socket) -> None:
    """From here on a signal that would end us ends the run first, as in a process of its own, and we tell how it ended.

    The worker sees our side of the connection end, takes back what was begun, and answers.
    """

    def tell(_number: int, _frame: object) -> None:
        try:
            connection.shutdown(1)  # SHUT_WR
        except OSError:
            return  # the answer is there already

    for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP):
        _signal.signal(number, tell)


def _connect(connection: _socket.socket, path: str) -> None:
    folder, name = os.path.split(path)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # a path of any length: sockaddr_un holds 107 bytes
        connection.connect(f"/proc/self/fd/{descriptor}/{name}")
    finally:
        os.close(descriptor)


def _parse(line: bytes) -> tuple[int, str, str] | None:
    """The answer in a line, or None for the word that it was begun.

    Raises:
        NoAnswerError: the daemon declines.
        ValueError: it is no answer.
    """
    if line == BEGUN:
        return None
    if line == DONE:
        return 0, "", ""
    import json  # noqa: PLC0415 - as in _quoted

    form = json.loads(line)
    members = form if isinstance(form, dict) else {}
    if members.get("begun") is True:
        return None
    if "declined" in members:
        raise NoAnswerError(str(members["declined"]))
    status, stdout, stderr = (members.get(name) for name in ("status", "stdout", "stderr"))
    if isinstance(status, int) and isinstance(stdout, str) and isinstance(stderr, str):
        return status, stdout, stderr
    raise ValueError("it sent something that is not an answer")


def _root(words: Sequence[str]) -> str:
    """The root prefix among a command's arguments, in both forms that getopt takes; the last one counts."""
    root = ""
    for at, word in enumerate(words):
        if word.startswith("--root-prefix="):
            root = word.partition("=")[2]
        elif word == "--root-prefix" and at + 1 < len(words):
            root = words[at + 1]
    return root


def _use_daemon(root: str, environ: Mapping[str, str]) -> str:
    """The setting ``use_daemon``; whoever does the work says what is wrong in the others."""
    word = environ.get("XSAGENT_USE_DAEMON")
    if word is None and os.path.exists(f"{root}/etc/xsagent/xsagent.conf"):  # noqa: PTH110 - as in `ask`
        from xsagent.config import Paths, read_usable_settings  # noqa: PLC0415 - most hosts have no such file

        return read_usable_settings(Paths.from_environ(root, environ), environ)[0].use_daemon
    return "auto" if word is None else word if word in {"auto", "always"} else "never"


def _fail(command: str, sentence: str) -> int:
    sys.stderr.write(f"{command}: {' '.join(sentence.split())}\n")
    return 1

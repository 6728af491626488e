"""The unix socket: one connection, one request, one answer. I/O; every wait for a client has a deadline.

Who may ask is checked by the kernel's word on the peer (SO_PEERCRED, unix(7)): root, or whoever the daemon runs as.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from typing import Final

from xsagent.apply.run_dir import BACKLOG
from xsagent.daemon.nursery import Nursery
from xsagent.daemon.protocol import LONGEST_REQUEST, Request, parse_request, render_answer, render_declined
from xsagent.daemon.requests import HOTPLUG_COMMANDS, OWN_COMMANDS, DeclinedError, Requests
from xsagent.errors import InputError
from xsagent.log import get_logger

REQUEST_DEADLINE_S: Final = 5.0
"""For a client to send its line, and to take our answer."""
CLIENTS_COMMANDS: Final = frozenset({"interface-reconfigure"})
"""What a worker does for a client; its other commands are the daemon's own."""
MOST_CLIENTS: Final = 2048
_CREDENTIALS: Final = struct.Struct("3i")
_LOG = get_logger()


class Server:
    """Serves the listening socket it is given.

    Attributes:
        served: requests answered or handed to a worker so far.
        refused: connections and lines that were no request, or of somebody who may not ask.
    """

    def __init__(self, listener: socket.socket, requests: Requests, nursery: Nursery) -> None:
        self.served = 0
        self.refused = 0
        self._listener = listener
        self._requests = requests
        self._nursery = nursery
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> asyncio.Server:
        """Begin to accept; the caller closes what is returned."""
        self._listener.setblocking(False)
        # it listens once more, with a queue of 100 by itself
        return await asyncio.start_unix_server(self._serve, sock=self._listener, limit=LONGEST_REQUEST, backlog=BACKLOG)

    async def drain(self, wait_s: float) -> None:
        """Let requests that are under way end, at most `wait_s` seconds."""
        if self._clients:
            await asyncio.wait(self._clients, timeout=wait_s)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError) as error:
            _LOG.debug("lose_client", reason=str(error))
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client: socket.socket = writer.get_extra_info("socket")
        try:
            _check_peer(client)
            self._check_load()
            request = await _read_request(reader)
            line = await self._do(request, client)
        except (DeclinedError, InputError) as error:
            self.refused += 1
            _LOG.info("decline_request", reason=str(error))
            line = render_declined(str(error))
        if line is None:
            return
        writer.write(line)
        async with asyncio.timeout(REQUEST_DEADLINE_S):
            await writer.drain()

    def _check_load(self) -> None:
        """DeclinedError when more clients wait than a burst has."""
        if len(self._clients) > MOST_CLIENTS:
            raise DeclinedError("too many requests are under way")

    async def _do(self, request: Request, client: socket.socket) -> bytes | None:
        """The answer's line; None when a worker gives it."""
        if request.command in HOTPLUG_COMMANDS | OWN_COMMANDS:
            answer = await self._requests.answer(request)
            self.served += 1
            return render_answer(answer)
        if request.command not in CLIENTS_COMMANDS & self._nursery.commands:
            raise DeclinedError("it is not a command of xsagentd")
        if not self._nursery.start(request, client.fileno()):
            raise DeclinedError("xsagentd starts no workers any more")
        self.served += 1
        return None


async def _read_request(reader: asyncio.StreamReader) -> Request:
    """The client's line.

    Raises:
        DeclinedError: it did not come whole in time, is too long, or is no request.
    """
    try:
        async with asyncio.timeout(REQUEST_DEADLINE_S):
            line = await reader.readline()
    except TimeoutError as error:
        raise DeclinedError(f"no whole request came within {REQUEST_DEADLINE_S:g} s") from error
    except ValueError as error:
        raise DeclinedError(f"the request is longer than {LONGEST_REQUEST} bytes") from error
    return parse_request(line)


def _check_peer(client: socket.socket) -> None:
    """DeclinedError unless root or our own user asks."""
    raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(raw)
    if uid not in {0, os.geteuid()}:
        raise DeclinedError(f"user {uid} may not ask xsagentd for anything")

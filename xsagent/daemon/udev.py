"""udev's monitor -> uevents as plain maps. I/O; the only module that imports pyudev.

The daemon's loop polls `fileno` and then takes what is there; `hotplug/event.py` reads the maps.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Final

import pyudev

from xsagent.log import get_logger

SUBSYSTEMS: Final = ("xen-backend", "net")
_RECEIVE_BUFFER: Final = 128 << 20
"""As udevd's own: some 100,000 events."""
_WANTED: Final = ("ACTION", "SUBSYSTEM", "DEVPATH", "XENBUS_PATH", "INTERFACE", "SYNTH_UUID")
_LOG = get_logger()


class EventsLostError(Exception):
    """The kernel dropped events: what they would have told must be read from the host (ENOBUFS)."""


class UdevMonitor:
    """Hears what udev has processed, of the subsystems in which guests' devices appear."""

    def __init__(self) -> None:
        """Begin to listen.

        Raises:
            OSError: no netlink socket could be had.
        """
        self._monitor = pyudev.Monitor.from_netlink(pyudev.Context(), source="udev")
        for subsystem in SUBSYSTEMS:
            self._monitor.filter_by(subsystem)
        try:
            # libudev sets it by SO_RCVBUFFORCE, beyond net.core.rmem_max
            self._monitor.set_receive_buffer_size(_RECEIVE_BUFFER)
        except OSError as error:
            _LOG.warning("keep_receive_buffer", reason=os.strerror(error.errno or errno.EPERM))
        self._monitor.start()

    def fileno(self) -> int:
        """The descriptor to poll for reading."""
        descriptor: int = self._monitor.fileno()
        return descriptor

    def take_events(self, most: int) -> Iterator[Mapping[str, str]]:
        """The events that are there, without waiting, at most `most`.

        Raises:
            EventsLostError: some were dropped; later ones can still be taken.
        """
        for _ in range(most):
            try:
                device = self._monitor.poll(timeout=0)
            except OSError as error:
                # pyudev tells of an error that is pending on the socket without saying which it is
                code = error.errno or self._take_error()
                if code == errno.ENOBUFS:
                    raise EventsLostError from error
                raise OSError(code, os.strerror(code)) from error
            if device is None:
                return
            yield _properties(device)

    def _take_error(self) -> int:
        """The error that is pending on the socket, which is then no longer pending."""
        with socket.socket(fileno=os.dup(self.fileno())) as same:
            return same.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def _properties(device: pyudev.Device) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in _WANTED:
        with contextlib.suppress(KeyError, UnicodeDecodeError):
            found[name] = str(device.properties[name])
    return found

"""The connections that handling hotplug events needs, opened when first used and again after they broke. I/O.

One Peers serves one thread: a one-shot handler's, or the daemon's hotplug worker's, which keeps it warm.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from xsagent.config import Paths, Settings
from xsagent.errors import OvsdbUnavailableError
from xsagent.hotplug.cached import CachedNetworks
from xsagent.hotplug.hook import Hooks
from xsagent.hotplug.known_locks import KnownLocks
from xsagent.hotplug.pvs import PvsProxies
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.observed.switch_alive import SwitchPulse
from xsagent.sources.xenstore import Xenstore, open_xenstore


class Peers:
    """xenstored, ovsdb-server and ovs-vswitchd.

    Attributes:
        paths, settings: of this host.
        switch: whether ovs-vswitchd lives.
        hooks: the host's hook; a daemon's attach does not wait for it, closing does.
        pvs: the toolstack's helper for PVS proxies; closing waits for it too.
        cached: what the cache's records say of networks.
        locks: what was verified last of each locked device.
    """

    def __init__(self, paths: Paths, settings: Settings) -> None:
        self.paths = paths
        self.settings = settings
        self.cached = CachedNetworks(paths)
        self.hooks = Hooks(paths)
        self.pvs = PvsProxies(paths, settings.hotplug_s)
        self.switch = SwitchPulse(paths.ovs_rundir)
        self.locks = KnownLocks(paths.ovs_rundir, settings.locked_autoconf)
        self._store: Xenstore | None = None
        self._database: OvsdbConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def store(self) -> Xenstore:
        """The connection to xenstored; XenstoreUnavailableError when there is none."""
        if self._store is None or not self._store.is_open:
            self._store = open_xenstore(self.paths)
        return self._store

    @property
    def database(self) -> OvsdbConnection:
        """The connection to ovsdb-server; OvsdbUnavailableError when nobody answers at once."""
        if self._database is None:
            self._database = OvsdbConnection.open(self.paths.ovsdb_socket, 0)
        return self._database

    @contextmanager
    def using_database(self) -> Iterator[OvsdbConnection]:
        """The connection to ovsdb-server, dropped where what is done with it finds that nobody answers."""
        try:
            yield self.database
        except OvsdbUnavailableError:
            self.drop_database()
            raise

    def drop_database(self) -> None:
        """Forget the connection to ovsdb-server: it broke, or its answer can no longer be told apart."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def close(self) -> None:
        """Close all, and let hooks and helpers end; idempotent."""
        self.hooks.close()
        self.pvs.close()
        self.switch.close()
        self.drop_database()
        if self._store is not None:
            self._store.close()
            self._store = None

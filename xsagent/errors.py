"""The error tree: each kind carries its exit code and whether a retry can help.

An error's text is one sentence for a person: which object, what was wrong, what was left as it was.
Everything raised on purpose by xsagent derives from XsagentError. Process edges (commands, the plugin, loops and work
items of the daemon) turn it into an exit code, a protocol answer or a status.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import ClassVar


class Retry(enum.Enum):
    """What may help after a failure."""

    NEVER = "never"
    """The same input fails the same way."""
    LATER = "later"
    """A peer was away or busy: the same call may work later."""


class XsagentError(Exception):
    """Root of the tree.

    Attributes:
        exit_code: process exit status of a command that ends in this error (features.md section 1).
        retry: whether doing the same again later can work.
    """

    exit_code: ClassVar[int] = 1
    retry: ClassVar[Retry] = Retry.NEVER

    @property
    def cause(self) -> str:
        """The sentence as the text of a warning: what follows is not left unchanged then."""
        return str(self).removesuffix("; nothing was changed")


class UsageError(XsagentError):
    """The command line is wrong; nothing was read or changed."""

    exit_code = 2


class InputError(XsagentError):
    """A record or option holds a value that cannot be used; nothing was changed."""


class NotFoundError(InputError):
    """An object that was asked for (bridge, PIF, network) is in no record; nothing was changed."""


class CacheError(XsagentError):
    """network.dbcache and everything that could stand in for it are missing or unreadable."""


class XapiError(XsagentError):
    """XAPI answered with an error that no retry mends.

    Attributes:
        code: XAPI's error code (wire.md section 4), for example ``HANDLE_INVALID``.
    """

    def __init__(self, sentence: str, code: str = "") -> None:
        super().__init__(sentence)
        self.code = code


class XapiUnavailableError(XsagentError):
    """XAPI is absent, restarting, hanging, or its coordinator is away."""

    retry = Retry.LATER


class OvsdbUnavailableError(XsagentError):
    """ovsdb-server does not answer on its socket."""

    retry = Retry.LATER


class OvsdbError(XsagentError):
    """The database refused a transaction or an answer had the wrong form."""


class ConflictError(XsagentError):
    """What a plan relies on is no longer so; nothing was changed, and planning afresh may work."""

    retry = Retry.LATER


class SwitchDeadError(XsagentError):
    """ovs-vswitchd does not run, so the database would change and the switch would not."""

    retry = Retry.LATER


class SwitchRefusedError(XsagentError):
    """The switch took the configuration but reports an error for a port (Interface.error, ofport -1).

    Attributes:
        ports: all that it refuses, where they are known.
    """

    def __init__(self, sentence: str, ports: Iterable[str] = ()) -> None:
        super().__init__(sentence)
        self.ports = frozenset(ports)


class UnlockedError(XsagentError):
    """The switch is as the transaction has it, but locking flows that it took from guests could not be put back."""


class DeviceAbsentError(XsagentError):
    """A network device that the plan needs is not on this host."""


class RouteLostError(DeviceAbsentError):
    """A route that was there before cannot come back.

    Its device is gone or down, or the address that it comes from is, or it wraps packets and nobody here knows how.
    """


class ForeignObjectError(XsagentError):
    """An object that is not ours stands where ours must go; it was left alone (DESIGN.md rule 4)."""


class InUseError(XsagentError):
    """The object carries others' traffic or management, and the caller did not ask to go on regardless."""


class ManagementLostError(InUseError):
    """It would leave the management interface without its device, or without any address."""


class LockHeldError(XsagentError):
    """Another reconfigure holds the lock."""

    retry = Retry.LATER


class NetlinkError(XsagentError):
    """The kernel refused a netlink or ethtool request that the plan requires."""


class CommandError(XsagentError):
    """A child program (ifup, dhclient, ovs-ofctl ...) failed or passed its deadline."""


class CommandLateError(CommandError):
    """It passed its deadline, ours or one that it was told: what it talked to does not answer."""

    retry = Retry.LATER


class DhcpSilentError(XsagentError):
    """No DHCP server answered in time; the client keeps trying."""

    retry = Retry.LATER


class XenstoreError(XsagentError):
    """xenstored refused a request, or its answer had the wrong form.

    Attributes:
        code: xenstored's word for it (xenstore.txt of Xen), for example ``ENOENT``; empty for a bad answer.
    """

    def __init__(self, sentence: str, code: str = "") -> None:
        super().__init__(sentence)
        self.code = code


class XenstoreUnavailableError(XsagentError):
    """xenstored is absent, went away, or did not answer in time."""

    retry = Retry.LATER


class HotplugPendingError(XsagentError):
    """A device cannot be attached yet: a key, its netdev or its bridge is not there, but may still come."""

    retry = Retry.LATER


class ApplyError(XsagentError):
    """Applying must stop here, however unimportant the step: the run was told to end, or its journal failed."""


class FileError(XsagentError):
    """A file could not be read, made, replaced or removed; the one that was there is whole and in place."""


class VerifyError(XsagentError):
    """After applying, the host is not what the plan set."""


class BackendError(XsagentError):
    """network.conf names a backend that xsagent does not drive."""


class RefusedError(XsagentError):
    """This host must not be taken over, or its backend not be switched; nothing was changed."""

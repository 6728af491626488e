"""Those that everything else asks: databases, daemons, files of the host. Pure.

A peer that does not answer is a finding of its own; the checks that need it then have nothing to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from xsagent.doctor.facts import Facts, Peer
from xsagent.doctor.findings import Finding, Severity
from xsagent.doctor.mend import RESTART_TOOLSTACK, command, restart_switch, start_switch

_DENIED: Final = "ermission denied"
"""In what a peer's socket, or a file, answers to whoever is not root (strerror(3))."""


def check_peers(facts: Facts) -> Iterator[Finding]:
    """What could not be read, and a switch that lives but loses packets."""
    if not facts.is_root:
        yield _not_root()
    for peer, problem in facts.unread.items():
        if facts.is_root or _DENIED not in problem:
            yield _unread(facts, peer, problem)
    if facts.switch.flow_restore_wait:
        yield _waits_for_flows()
    else:
        yield from _handlers(facts)


def _not_root() -> Finding:
    return Finding(
        id="not-root",
        severity=Severity.ERROR,
        subject="xsagent doctor",
        problem="it does not run as root",
        reason="only root may ask the switch, XAPI and xenstored, so most of this host was not looked at",
        by_hand="run it as root",
        is_cause=True,
    )


def _waits_for_flows() -> Finding:
    """Left by a restart that was cut off between its two halves; while one is under way it is soon gone by itself."""
    return Finding(
        id="flow-restore-wait",
        severity=Severity.ERROR,
        subject=Peer.SWITCH,
        problem="it is told to wait until flows are restored (other_config:flow-restore-wait)",
        reason="from its next start on, or already, it forwards nothing but what the datapath has flows for",
        mend=(command("ovs-vsctl", "remove", "Open_vSwitch", ".", "other_config", "flow-restore-wait"),),
        is_cause=True,
    )


def _handlers(facts: Facts) -> Iterator[Finding]:
    if facts.switch.handler_threads == 0 and facts.topology.bridges and facts.switch_read:
        yield Finding(
            id="no-handler-threads",
            severity=Severity.ERROR,
            subject=Peer.SWITCH,
            problem="it runs without handler threads (n-handler-threads is 0)",
            reason="each packet that matches no flow of the datapath is lost, so new connections fail",
            mend=(restart_switch(facts),),
            is_cause=True,
        )


def _unread(facts: Facts, peer: str, problem: str) -> Finding:
    kind, severity, reason, by_hand = _SAID[peer]
    return Finding(
        id=kind,
        severity=severity,
        subject=peer,
        problem=problem,
        reason=reason,
        mend=_mend(facts, peer),
        by_hand=by_hand,
        is_cause=True,
    )


def _mend(facts: Facts, peer: str) -> tuple[str, ...]:
    """The commands that bring a peer back, or let its file be read."""
    settings = facts.paths.get("settings", "")
    match peer:
        case Peer.OVSDB | Peer.SWITCH if peer in facts.switch.hung:
            return (restart_switch(facts),)
        case Peer.OVSDB | Peer.SWITCH:
            return (start_switch(facts),)
        case Peer.XAPI:
            return (RESTART_TOOLSTACK,)
        case Peer.SETTINGS:
            return (command("mv", settings, f"{settings}.bad"),)
        case Peer.BACKEND:
            return ("xe-switch-network-backend openvswitch",)
        case _:
            return ()


_SAID: Final[Mapping[str, tuple[str, Severity, str, str]]] = {
    Peer.OVSDB: ("ovsdb-server-down", Severity.ERROR, "nothing of the switch can be read or changed", ""),
    Peer.SWITCH: (
        "vswitchd-down",
        Severity.ERROR,
        "flows that are there go on, but nothing new is forwarded and no change takes effect",
        "",
    ),
    Peer.XAPI: (
        "xapi-unreachable",
        Severity.WARNING,
        "this host was compared with its cache alone, which may be old",
        "",
    ),
    Peer.XENSTORE: (
        "xenstored-unreachable",
        Severity.ERROR,
        "no guest's device can be plugged, and none was compared with what the toolstack wants",
        "xenstored cannot be restarted under running guests: move them away, then reboot",
    ),
    Peer.KERNEL: ("kernel-unreadable", Severity.ERROR, "links and addresses are not known", "run it as root"),
    Peer.SETTINGS: (
        "settings-unusable",
        Severity.ERROR,
        "XAPI and admins cannot change a PIF; a boot, and guests' devices, get the defaults",
        "or correct the file",
    ),
    Peer.INVENTORY: (
        "inventory-unreadable",
        Severity.ERROR,
        "who this host is to XAPI, and its management interface, are not known",
        "write INSTALLATION_UUID (`xe host-list`) and MANAGEMENT_INTERFACE (its bridge) into it again",
    ),
    Peer.BACKEND: ("backend-unusable", Severity.ERROR, "interface-reconfigure refuses to run", ""),
    Peer.MANAGER: (
        "controller-record-unusable",
        Severity.WARNING,
        "the switch's manager stays as it is",
        "correct the pool's SDN controller: xe sdn-controller-list",
    ),
}
"""By peer: the finding's kind, how bad it is, why it matters, what a person does by hand."""

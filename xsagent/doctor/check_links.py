"""NICs, the devices of bridges, and ports that the switch did not take. Pure.

Bonds have their own check (`check_bonds.py`): there one dead member is not the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from xsagent.desired.kind import label
from xsagent.doctor.facts import Facts
from xsagent.doctor.findings import Finding, Severity
from xsagent.doctor.lookup import (
    is_below_management,
    management_bridge,
    nic_ports,
    pif_of_device,
    recorded_nics,
    upper_devices,
)
from xsagent.doctor.mend import command, prefixed, up, write_cache
from xsagent.model.records import Pif
from xsagent.topology.ownership import is_vif_port
from xsagent.topology.text import describe_switch_report, is_bond
from xsagent.topology.values import Bridge, Interface, Link, Port

_COMPARE: Final = "the NIC was swapped, renamed or has failed: compare with `ip link`"


def check_links(facts: Facts) -> Iterator[Finding]:
    """Links that are down or without carrier, NICs that are gone or swapped, ports that the switch refuses."""
    for bridge in facts.topology.bridges.values():
        severity = Severity.ERROR if is_below_management(facts, bridge) else Severity.WARNING
        for port in nic_ports(facts, bridge):
            if not is_bond(port):
                yield from _nic(facts, port.name, bridge, severity)
        for device in upper_devices(bridge):
            yield from _upper(facts, device)
        if facts.switch_read:
            for port in bridge.ports.values():
                for interface in port.interfaces.values():
                    yield from _refused(facts, bridge, port, interface)
    yield from _missing_nics(facts)
    yield from _swapped_nics(facts)


def _nic(facts: Facts, name: str, bridge: Bridge, severity: Severity) -> Iterator[Finding]:
    link = facts.topology.links.get(name)
    if link is None:
        return
    if link.up is False:
        yield link_down(link, severity, f"nothing on bridge {bridge.name} reaches the wire")
    elif link.carrier is False:
        yield Finding(
            id="no-carrier",
            severity=severity,
            subject=name,
            problem="the NIC is up and has no carrier",
            reason=f"nothing on bridge {bridge.name} reaches the wire",
            by_hand="check the cable and the switch's port",
        )


def link_down(link: Link, severity: Severity, reason: str) -> Finding:
    """A link that somebody took down."""
    return Finding(
        id="link-down",
        severity=severity,
        subject=link.name,
        problem="the link is down (no IFF_UP)",
        reason=reason,
        mend=(command("ip", "link", "set", "dev", link.name, "up"),),
    )


def _upper(facts: Facts, device: str) -> Iterator[Finding]:
    link, ip = facts.topology.links.get(device), facts.topology.ip_devices.get(device)
    if link is not None and link.up is False and ip is not None and (ip.addresses or ip.dhcp4 or ip.dhcp6):
        severity = Severity.ERROR if device == facts.management_device() else Severity.WARNING
        yield link_down(link, severity, "its addresses cannot be reached")


def _refused(facts: Facts, bridge: Bridge, port: Port, interface: Interface) -> Iterator[Finding]:
    reports = describe_switch_report(interface)
    if not reports:
        return
    pif = pif_of_device(facts, interface.name)
    ours = pif is not None or is_vif_port(port)
    gone = interface.name not in facts.topology.links and interface.type in {"", "system"}
    mend: tuple[str, ...] = ()
    if pif is not None and not gone:
        mend = (up(facts, pif),)
    elif pif is not None:
        pass  # `_missing_nics` says what to do about it
    else:
        mend = (command("ovs-vsctl", "--if-exists", "del-port", bridge.name, port.name),)
    yield Finding(
        id="port-refused",
        severity=Severity.ERROR if ours else Severity.WARNING,
        subject=interface.name,
        problem=f"the switch does not forward through it, on bridge {bridge.name}: {'; '.join(reports)}",
        reason="whatever is behind this port is cut off",
        mend=mend,
    )


def _missing_nics(facts: Facts) -> Iterator[Finding]:
    snapshot = facts.records.snapshot
    if snapshot is None or not facts.topology.links:
        return
    below = management_bridge(facts)
    carrying = {name for port in below.ports.values() for name in port.interfaces} if below is not None else set()
    management = facts.management()
    carrier = snapshot.carrier_of(management) or management if management is not None else None
    for pif in snapshot.pifs.values():
        if not pif.physical or not pif.managed or pif.device in facts.topology.links:
            continue
        is_management = carrier is not None and pif.ref == carrier.ref
        severe = is_management or (pif.device in carrying and snapshot.bond_with_member(pif) is None)
        yield Finding(
            id="nic-missing",
            severity=Severity.ERROR if severe else Severity.WARNING,
            subject=pif.device,
            problem=f"{label(pif)} is recorded and no such NIC is on this host",
            reason="management comes up on a stand-in or not at all" if severe else "its network stays down",
            mend=_adopt(facts, pif) if is_management else (command("xe", "pif-forget", f"uuid={pif.uuid}"),),
            by_hand=_by_hand(facts, pif) if is_management else _COMPARE,
        )


def _stand_ins(facts: Facts) -> list[str]:
    """NICs that could be management's: those that no PIF has; where some of them have a carrier, these alone."""
    free = [link for link in facts.topology.links.values() if link.physical and link.name not in recorded_nics(facts)]
    return sorted(link.name for link in [one for one in free if one.carrier is True] or free)


def _by_hand(facts: Facts, pif: Pif) -> str:
    """Which NIC is management's where several could be, which is not for us to guess."""
    names = _stand_ins(facts)
    if len(names) <= 1 or pif.bond is not None:
        return _COMPARE
    return (
        f"{_COMPARE}, find out which of {', '.join(names)} has management's cable, then `interface-reconfigure --force "
        "BRIDGE rewrite --device=NIC --mac=x --mode=...` with its address, and `--force BRIDGE up`"
    )


def _adopt(facts: Facts, pif: Pif) -> tuple[str, ...]:
    """Write a cache that has management on the one NIC that is there, and bring it up (features.md section 24)."""
    names, bridge = _stand_ins(facts), facts.management_bridge()
    if len(names) != 1 or not bridge or pif.bond is not None:
        return ()
    return write_cache(facts, names[0]), prefixed(facts, "interface-reconfigure", "--force", bridge, "up")


def _swapped_nics(facts: Facts) -> Iterator[Finding]:
    snapshot = facts.records.snapshot
    for pif in snapshot.pifs.values() if snapshot is not None else ():
        link = facts.topology.links.get(pif.device)
        if not pif.physical or not pif.managed or not pif.mac or link is None or not isinstance(link.mac, str):
            continue
        if link.mac != pif.mac.lower():
            other = next(
                (one.name for one in facts.topology.links.values() if one.physical and one.mac == pif.mac.lower()), ""
            )
            yield Finding(
                id="nic-mac-differs",
                severity=Severity.WARNING,
                subject=pif.device,
                problem=f"it has MAC {link.mac}, {label(pif)} says {pif.mac.lower()}"
                + (f", which is that of {other}" if other else ""),
                reason="its networks may be on another wire than XAPI believes",
                by_hand=f"if the NIC was swapped: xe pif-forget uuid={pif.uuid}, then xe pif-scan",
            )

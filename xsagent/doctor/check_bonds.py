"""Bonds: members that are there, carry and speak LACP (pains.md 5 and 18). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from xsagent.desired.bond_options import bond_options
from xsagent.desired.notes import Notes
from xsagent.doctor.check_links import link_down
from xsagent.doctor.facts import Facts
from xsagent.doctor.findings import Finding, Severity
from xsagent.doctor.lookup import is_below_management, nic_ports, pif_of_device
from xsagent.doctor.mend import command, up
from xsagent.topology.text import is_bond
from xsagent.topology.values import Bridge, Port


def check_bonds(facts: Facts) -> Iterator[Finding]:
    """What each bond of the switch lacks."""
    for bridge in facts.topology.bridges.values():
        for port in nic_ports(facts, bridge):
            if is_bond(port):
                yield from _carriers(facts, bridge, port)
                yield from _members(facts, port)
                yield from _lacp(facts, bridge, port)


def _carriers(facts: Facts, bridge: Bridge, port: Port) -> Iterator[Finding]:
    links = [facts.topology.links[name] for name in sorted(port.interfaces) if name in facts.topology.links]
    for link in links:
        if link.up is False:
            yield link_down(link, Severity.WARNING, f"bond {port.name} cannot use it")
    alive = [link.name for link in links if link.carrier is True]
    dead = sorted(set(port.interfaces) - set(alive))
    if not dead:
        return
    if alive:
        problem = f"only {' '.join(alive)} has carrier, {' '.join(dead)} has none"
        severity, reason = Severity.WARNING, "the next failure cuts off everything on the bond"
    else:
        problem, reason = "none of its members has carrier", f"nothing on bridge {bridge.name} reaches the wire"
        severity = Severity.ERROR
    yield Finding(
        id="bond-carrier",
        severity=severity,
        subject=port.name,
        problem=problem,
        reason=reason,
        by_hand="check the cables and the switch's ports",
    )


def _members(facts: Facts, port: Port) -> Iterator[Finding]:
    snapshot, pif = facts.records.snapshot, pif_of_device(facts, port.name)
    bond = snapshot.bond_of(pif) if snapshot is not None and pif is not None else None
    if snapshot is None or pif is None or bond is None:
        return
    recorded = {member.device for member in snapshot.members_of(bond)}
    missing = sorted(name for name in recorded - set(port.interfaces) if name in facts.topology.links)
    surplus = sorted(set(port.interfaces) - recorded)
    if missing or surplus:
        what = [f"{' '.join(missing)} is recorded as a member and is not in it"] if missing else []
        what += [f"{' '.join(surplus)} is in it and not recorded"] if surplus else []
        yield Finding(
            id="bond-member-missing" if missing else "bond-member-surplus",
            severity=Severity.WARNING,
            subject=port.name,
            problem=", ".join(what),
            reason="it has not the redundancy that XAPI shows",
            mend=(up(facts, pif),),
        )


def _lacp(facts: Facts, bridge: Bridge, port: Port) -> Iterator[Finding]:
    if port.lacp not in {"active", "passive"} or not facts.switch_read:
        return
    silent = sorted(name for name in port.interfaces if not facts.switch.lacp.get(name, False))
    if not silent:
        return
    falls_back = port.other_config.get("lacp-fallback-ab") == "true"
    cut_off = len(silent) == len(port.interfaces) and not falls_back
    below = is_below_management(facts, bridge)
    yield Finding(
        id="lacp-not-negotiated",
        severity=Severity.ERROR if cut_off or below else Severity.WARNING,
        subject=port.name,
        problem=f"LACP is {port.lacp}, and the partner of {' '.join(silent)} does not speak it",
        reason="without LACP the bond carries nothing"
        if cut_off
        else "it has fallen back to active-backup, and a switch that waits for LACP may block its ports",
        mend=_without_lacp(facts, port),
        by_hand="or configure LACP on the switch's ports",
    )


def _without_lacp(facts: Facts, port: Port) -> tuple[str, ...]:
    """What the record says where it wants no LACP; else change the record."""
    snapshot, pif = facts.records.snapshot, pif_of_device(facts, port.name)
    bond = snapshot.bond_of(pif) if snapshot is not None and pif is not None else None
    if pif is None or bond is None:
        return (command("ovs-vsctl", "set", "Port", port.name, "lacp=off", "bond_mode=active-backup"),)
    if bond_options(pif, bond, Notes()).lacp == "off":
        return (up(facts, pif),)
    return (command("xe", "bond-set-mode", f"uuid={bond.uuid}", "mode=active-backup"),)

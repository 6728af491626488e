"""DHCP clients that are dead or doubled, and a resolver without servers (pains.md 7 and 8). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from xsagent.desired.kind import label
from xsagent.doctor.facts import Facts, Wanted
from xsagent.doctor.findings import Finding, Severity
from xsagent.doctor.mend import command, up
from xsagent.topology.values import IPV6, IpDevice


def check_names(facts: Facts) -> Iterator[Finding]:
    """Clients that should run and do not, that run twice, and name servers that nobody wrote down."""
    for wanted in facts.wanted:
        for device in wanted.desired.topology.ip_devices.values() if wanted.desired is not None else ():
            yield from _dead(facts, wanted, device)
    yield from _doubled(facts)
    yield from _resolver(facts)


def _dead(facts: Facts, wanted: Wanted, device: IpDevice) -> Iterator[Finding]:
    if device.configured_by_ifcfg:  # ifup's client, not ours
        return
    if device.device not in facts.topology.links:  # without it there is no lease; that is another finding
        return
    present = facts.topology.ip_devices.get(device.device, IpDevice(device=device.device))
    for should, client in ((device.dhcp4, present.dhcp4), (device.dhcp6, present.dhcp6)):
        if should is None or (client is not None and client.running):
            continue
        yield Finding(
            id="dhcp-client-dead",
            severity=Severity.ERROR if wanted.pif.management else Severity.WARNING,
            subject=device.device,
            problem=f"{label(wanted.pif)} is to have its {'IPv6 ' if should.family == IPV6 else ''}address by DHCP, "
            "and no client of ours runs on it",
            reason="the lease ends unrenewed, and the server may give the address to another host",
            mend=(up(facts, wanted.pif),),
        )


def _doubled(facts: Facts) -> Iterator[Finding]:
    for (name, family), pids in facts.dhcp.processes.items():
        device = facts.topology.ip_devices.get(name)
        client = (device.dhcp6 if family == IPV6 else device.dhcp4) if device is not None else None
        others = [pid for pid in pids if client is None or pid != client.pid]
        if len(pids) > 1 and others:
            yield Finding(
                id="dhcp-client-doubled",
                severity=Severity.WARNING,
                subject=name,
                problem=f"{len(pids)} DHCP clients run on it, processes {' '.join(map(str, pids))}",
                reason="they take addresses and routes off each other",
                mend=(command("kill", *map(str, others)),),
            )


def _resolver(facts: Facts) -> Iterator[Finding]:
    resolver = facts.topology.resolver
    if resolver is None or resolver.servers:
        return
    static = [
        (wanted.pif, wanted.desired.topology.resolver)
        for wanted in facts.wanted
        if wanted.desired is not None and wanted.desired.topology.resolver is not None
    ]
    named = [server for _pif, one in static for server in one.servers]
    named += [server for one in facts.dhcp.resolvers for server in one.servers]
    if not named:
        return
    pif = static[0][0] if static else facts.management()
    # what a lease names is written when the lease comes, so a client must come anew
    clients = [] if static else _clients(facts.topology.ip_devices.get(facts.management_device()))
    yield Finding(
        id="dns-missing",
        severity=Severity.ERROR,
        subject=facts.paths.get("resolv.conf", ""),
        problem=f"it names no server, and {' '.join(dict.fromkeys(named))} is known",
        reason="no name can be resolved",
        mend=(*([command("kill", *clients)] if clients else []), up(facts, pif)) if pif is not None else (),
    )


def _clients(device: IpDevice | None) -> list[str]:
    found = (device.dhcp4, device.dhcp6) if device is not None else ()
    return [str(client.pid) for client in found if client is not None and client.pid is not None]

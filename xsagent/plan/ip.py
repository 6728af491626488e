"""One IP device desired x observed -> steps for its addresses, routes and DHCP clients (`ip_backend` netlink). Pure.

New addresses come before old ones go; a leased address stays while its client runs. Routes are `routes.py`'s; called by
`ip_devices.py`.
"""

from __future__ import annotations

from xsagent.plan.learnt_routes import is_learnt
from xsagent.plan.routes import diff_routes, diff_static_routes, routes_to_restore
from xsagent.plan.steps import AddressStep, AnnounceStep, RouteStep, StartDhcpStep, Step, StopDhcpStep
from xsagent.topology.values import IPV4, IPV6, KEEP, Address, DhcpClient, IpDevice, Origin


def diff_ip_device(desired: IpDevice, observed: IpDevice | None) -> tuple[Step, ...]:
    """Steps that configure one IP device; none when it is right."""
    if desired.routes_only:
        return diff_static_routes(desired, observed) if observed is not None else ()
    present = observed or IpDevice(device=desired.device)
    steps: list[Step] = []
    for family in (IPV4, IPV6):
        mode = desired.mode_of(family)
        if mode is not KEEP:
            steps += _diff_family(desired, present, family, str(mode))
    if any(isinstance(step, AddressStep) and step.add for step in steps):
        steps.append(AnnounceStep(device=desired.device, reason="neighbours learn the address at once", required=False))
    return tuple(steps)


def remove_ip_device(observed: IpDevice, reason: str) -> tuple[Step, ...]:
    """Steps that leave a device without DHCP client, addresses and routes of ours."""
    steps: list[Step] = [*stop_clients(observed, reason)]
    routes = tuple(route for route in observed.routes if not is_learnt(route))
    if routes:
        undo = RouteStep(device=observed.device, add=routes, restores=True)
        steps.append(RouteStep(device=observed.device, remove=routes, reason=reason, undo=(undo,)))
    addresses = tuple(address for address in observed.addresses if address.origin is not Origin.LINK_LOCAL)
    if addresses:
        undo_addresses = AddressStep(device=observed.device, add=addresses)
        steps.append(AddressStep(device=observed.device, remove=addresses, reason=reason, undo=(undo_addresses,)))
    return tuple(steps)


def stop_clients(observed: IpDevice, reason: str) -> tuple[Step, ...]:
    """Steps that stop a device's DHCP clients; what they were leased stays."""
    clients = (observed.client_of(family) for family in (IPV4, IPV6))
    return tuple(_stop(observed.device, client, reason) for client in clients if client is not None and client.running)


def _diff_family(desired: IpDevice, observed: IpDevice, family: int, mode: str) -> list[Step]:
    steps: list[Step] = []
    wanted, client = desired.client_of(family), observed.client_of(family)
    if wanted is not None:
        if client is None or not _client_is_right(wanted, client):
            undo = _undo_of_start(desired.device, observed, family, wanted)
            steps.append(StartDhcpStep(device=desired.device, client=wanted, reason=_why(client), undo=undo))
    elif client is not None and client.running:
        steps.append(_stop(desired.device, client, f"IPv{family} mode is {mode}"))
    addresses = _diff_addresses(desired, observed, family, mode, keep_leased=wanted is not None)
    steps += addresses
    steps += diff_routes(desired, observed, family, keep_learnt=wanted is not None, with_addresses=bool(addresses))
    return steps


def _undo_of_start(device: str, observed: IpDevice, family: int, wanted: DhcpClient) -> tuple[Step, ...]:
    """The client that ran before runs again; where none did, what the lease brought goes and what was there stays."""
    client = observed.client_of(family)
    if client is not None and client.running:
        if client.configuration == wanted.configuration:
            return ()
        again = StartDhcpStep(device=device, client=client)
        # one that was still asking had no lease: what the other one got does not stay
        return (again,) if client.leased else (StopDhcpStep(device=device, family=family, flush=True), again)
    undo: list[Step] = [StopDhcpStep(device=device, family=family, flush=True)]
    addresses = tuple(
        item
        for item in observed.addresses
        if item.interface.version == family and item.origin in {Origin.STATIC, Origin.DHCP}
    )
    if addresses:
        undo.append(AddressStep(device=device, add=addresses))
    if routes := routes_to_restore(observed, family):
        undo.append(RouteStep(device=device, add=routes, restores=True))
    return tuple(undo)


def _why(client: DhcpClient | None) -> str:
    if client is None or not client.running:
        return "no DHCP client runs"
    return "no lease" if not client.leased else "what it asks for changed"


def _client_is_right(wanted: DhcpClient, present: DhcpClient) -> bool:
    return present.running and bool(present.leased) and present.configuration == wanted.configuration


def _stop(device: str, client: DhcpClient, reason: str) -> Step:
    undo = StartDhcpStep(device=device, client=client)
    return StopDhcpStep(device=device, family=client.family, reason=reason, undo=(undo,))


def _diff_addresses(desired: IpDevice, observed: IpDevice, family: int, mode: str, *, keep_leased: bool) -> list[Step]:
    wanted = {address.interface for address in desired.addresses if address.interface.version == family}
    present = [address for address in observed.addresses if address.interface.version == family]
    add = tuple(Address(interface=interface) for interface in sorted(wanted - {item.interface for item in present}))
    remove = tuple(
        address
        for address in present
        if address.interface not in wanted and not _stays(address, mode, keep_leased=keep_leased)
    )
    if not add and not remove:
        return []
    undo: tuple[Step, ...] = (AddressStep(device=desired.device, add=remove, remove=add),)
    # with the last address of a family the kernel drops its routes; they need their address to come back
    if routes := routes_to_restore(observed, family):
        undo += (RouteStep(device=desired.device, add=routes, restores=True),)
    reason = "address is missing" if add else "address is not wanted"
    return [AddressStep(device=desired.device, add=add, remove=remove, reason=reason, undo=undo)]


def _stays(address: Address, mode: str, *, keep_leased: bool) -> bool:
    if address.origin is Origin.LINK_LOCAL:
        return True
    if address.origin is Origin.DHCP:
        return keep_leased
    return address.origin is Origin.ROUTER and mode in {"autoconf", "dhcp"}

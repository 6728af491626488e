"""JSON that our DHCP hook writes -> what a lease gave: address, routes, name servers. Reads only, stdlib alone.

Written by apply/dhclient_script.py; read by apply/dhcp.py (has the lease come?), apply/resolver.py (which servers?)
and the flow (which gateway did DHCP name?).
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from xsagent.topology.values import IpAddress, IpInterface, Resolver, Route

_GONE: Final = "gone-"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseResult:
    """What the hook set for a client.

    Attributes:
        interface: None when the lease could not be used.
        routes: set on the device; the default route is among them where the device is the gateway interface.
        resolver: empty unless the device is the DNS interface.
        mtu: what the server advises; shown, never applied.
        problem: why the lease could not be set; empty when it was.
    """

    interface: IpInterface | None
    routes: tuple[Route, ...] = ()
    resolver: Resolver = field(default_factory=Resolver)
    mtu: int | None = None
    problem: str = ""


def read_lease_result(path: Path) -> LeaseResult | None:
    """Return a client's lease result; None when there is none (yet) or it is not readable.

    Args:
        path: ClientFiles.result.
    """
    try:
        return _parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def render_lease_result(result: LeaseResult) -> str:
    """Return the JSON text of a result."""
    return json.dumps(
        {
            "interface": str(result.interface) if result.interface else None,
            "routes": [
                {
                    "destination": str(route.destination),
                    "gateway": str(route.gateway) if route.gateway else None,
                    "protocol": route.protocol,
                    "metric": route.metric,
                }
                for route in result.routes
            ],
            "servers": list(result.resolver.servers),
            "search": list(result.resolver.search),
            "mtu": result.mtu,
            "problem": result.problem,
        },
        indent=1,
    )


def read_leased_resolvers(run: Path) -> list[Resolver]:
    """Return what all our clients' leases name as resolver, IPv4's before IPv6's.

    Args:
        run: /run/xsagent below the root prefix.
    """
    paths = [*sorted(run.glob("dhclient-*.json")), *sorted(run.glob("dhclient6-*.json"))]
    results = [read_lease_result(path) for path in paths]
    return [result.resolver for result in results if result is not None]


def learnt_path(run: Path, device: str) -> Path:
    """Return the file that keeps what routers named on a device (apply/rdnss.py), in the same form."""
    return run / f"rdnss-{device}.json"


def read_learnt_resolver(run: Path) -> Resolver:
    """Return what routers named as resolver, of all devices that were asked about it; argument as above."""
    results = [read_lease_result(path) for path in sorted(run.glob("rdnss-*.json"))]
    return Resolver(
        servers=tuple(server for result in results if result for server in result.resolver.servers),
        search=tuple(domain for result in results if result for domain in result.resolver.search),
    )


def gone_path(path: Path) -> Path:
    """Return where a result waits, until resolv.conf has none of it, whose client or router is no source any more."""
    return path.with_name(f"{_GONE}{path.name}")


def gone_results(run: Path) -> list[Path]:
    """Return the files of such results; argument as above."""
    return sorted(run.glob(f"{_GONE}*.json"))


def _parse(data: Any) -> LeaseResult:  # noqa: ANN401 - JSON; its values end here
    return LeaseResult(
        interface=ipaddress.ip_interface(data["interface"]) if data["interface"] else None,
        routes=tuple(
            Route(
                destination=ipaddress.ip_network(item["destination"]),
                gateway=_address(item["gateway"]),
                protocol=int(item["protocol"]),
                metric=int(item["metric"]),
            )
            for item in data["routes"]
        ),
        resolver=Resolver(servers=tuple(map(str, data["servers"])), search=tuple(map(str, data["search"]))),
        mtu=data["mtu"],
        problem=str(data["problem"]),
    )


def _address(text: str | None) -> IpAddress | None:
    return ipaddress.ip_address(text) if text else None

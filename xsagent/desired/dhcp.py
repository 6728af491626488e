"""What dhclient is told: the text of its configuration (features.md section 5). Pure.

Routers are asked for on the gateway's interface alone, names on the DNS interface's alone; so the text changes, and
the client is restarted, when a role moves and never otherwise. Used by ip.py; apply/ starts the client.
"""

from __future__ import annotations

import re
from typing import Final

from xsagent.desired.scene import Scene
from xsagent.topology.values import IPV4, IPV6, DhcpClient

_ALWAYS4: Final = (
    "subnet-mask",
    "broadcast-address",
    "time-offset",
    "host-name",
    "nis-domain",
    "nis-servers",
    "ntp-servers",
    "interface-mtu",
)
_GATEWAY4: Final = ("routers", "rfc3442-classless-static-routes")
_DNS4: Final = ("domain-name", "domain-name-servers")
_ALWAYS6: Final = ("dhcp6.sntp-servers",)
_DNS6: Final = ("dhcp6.name-servers", "dhcp6.domain-search")
_CLASSLESS: Final = "option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;"
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?", re.ASCII)
_RETRY_S: Final = 30
"""Pause between rounds of asking: dhclient's own 300 s would keep a host away for minutes after its server is back."""


def dhcp4_client(scene: Scene, device: str, *, is_gateway: bool, is_dns: bool) -> DhcpClient:
    """The IPv4 client of a device."""
    wanted = [*_ALWAYS4, *(_GATEWAY4 if is_gateway else ()), *(_DNS4 if is_dns else ())]
    lines = [*_host_name(scene)]
    if scene.options.dhcp_vendor_class:
        lines.append(f'send vendor-class-identifier "{scene.options.dhcp_vendor_class}";')
    head = [_CLASSLESS, f"retry {_RETRY_S};"]
    return DhcpClient(family=IPV4, configuration=_text(device, head, [*lines, _request(wanted)]))


def dhcp6_client(device: str, *, is_dns: bool) -> DhcpClient:
    """The IPv6 client of a device; routers come from their advertisements (features.md section 4)."""
    wanted = [*_ALWAYS6, *(_DNS6 if is_dns else ())]
    return DhcpClient(family=IPV6, configuration=_text(device, [], [_request(wanted)]))


def _host_name(scene: Scene) -> list[str]:
    name = scene.host.hostname
    return [f'send host-name "{name}";'] if _HOST_NAME.fullmatch(name) else []


def _request(options: list[str]) -> str:
    return f"request {', '.join(options)};"


def _text(device: str, head: list[str], lines: list[str]) -> str:
    block = [f'interface "{device}" {{', *(f"  {line}" for line in lines), "}"]
    return "\n".join([*head, *block]) + "\n"

"""Values of xcp-networkd's interfaces and bridges to fields of the model. Pure; used by `networkd_db`."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from xsagent.model.records import AddressType, IpMode, Ipv6Mode, Network, Pif, Ref
from xsagent.sources.networkd_values import InterfaceValues, read_pairs, read_text_value

_NETWORK_KEYS: Final = ("vswitch-controller-fail-mode", "vswitch-disable-in-band")
"""Of the merged other_config of pool, network and PIF, what shapes a bridge."""


def make_ref(kind: str, name: str) -> Ref:
    """The reference of a record that has no other: the same name gives the same one."""
    return Ref(f"OpaqueRef:networkd-{kind}-{name}")


def read_texts(value: object) -> dict[str, str]:
    """A string map; absent is empty."""
    return {key: read_text_value(text) for key, text in read_pairs(value or {}).items()}


def build_network(name: str, other_config: Mapping[str, str], interface: InterfaceValues, pif: Pif | None) -> Network:
    """The network of a bridge, whose other_config is that of pool, network and PIF merged, with the network's uuid."""
    keys = {key: other_config[key] for key in _NETWORK_KEYS if key in other_config} | dict(interface.ethtool)
    if interface.routes:
        keys["static-routes"] = ",".join(interface.routes)
    return Network(
        ref=make_ref("network", name),
        uuid=other_config.get("network-uuids", "").partition(";")[0] or f"{name}Network",
        bridge=name,
        mtu=interface.mtu,
        pifs=(pif.ref,) if pif else (),
        other_config=keys,
    )


def build_ip_fields(interface: InterfaceValues) -> dict[str, Any]:
    """Fields of the PIF on this bridge. Static name servers only: with DHCP old files hold an empty list."""
    static = interface.ip_mode is IpMode.STATIC or interface.ipv6_mode is Ipv6Mode.STATIC
    fields: dict[str, Any] = {
        "ip_mode": interface.ip_mode,
        "ipv6_mode": interface.ipv6_mode,
        "ipv6": tuple(f"{address}/{length}" for address, length in interface.ipv6),
        "ipv6_gateway": interface.ipv6_gateway,
        "gateway": interface.gateway,
        "dns": ",".join(interface.dns) if static else "",
    }
    if interface.addresses:
        address, length = interface.addresses[0]
        fields |= {"ip": address, "netmask": str(ipaddress.IPv4Network((0, length)).netmask)}
    if interface.ip_mode is IpMode.NONE and interface.ipv6_mode is not Ipv6Mode.NONE:
        fields["primary_address_type"] = AddressType.IPV6
    return fields

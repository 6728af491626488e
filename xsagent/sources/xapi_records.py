"""XAPI's records as they come off the wire -> records of ours, with defaults for what old servers lack. Pure.

Called by `xapi` for each record it read. XAPI's spelling of fields and its encodings (wire.md section 4: int64 as
text, ``OpaqueRef:NULL``, ``[""]``) end here. A field of the wrong form raises InputError with the reason, which
concerns that one record only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from xsagent.errors import InputError
from xsagent.model.records import NULL_REF, UNTAGGED, Bond, Network, Pif, Pool, Ref, Sriov, Tunnel, Vlan
from xsagent.model.values import parse_integer, shown

_INT64: Final = 1 << 63


class _Fields:
    """One record's fields by XAPI's names; each reader takes the form a field must have and its default."""

    def __init__(self, raw: Mapping[str, object]) -> None:
        self._raw = raw

    def text(self, name: str, default: str = "") -> str:
        return _text(name, self._raw.get(name, default))

    def required(self, name: str) -> str:
        text = self.text(name)
        if not text:
            raise InputError(f"the record has no {name}")
        return text

    def flag(self, name: str, *, default: bool) -> bool:
        value = self._raw.get(name, default)
        if not isinstance(value, bool):
            raise InputError(f"{name} is {shown(str(value))}, which is neither true nor false")
        return value

    def integer(self, name: str, default: int) -> int:
        text = _text(name, self._raw.get(name, str(default)))
        try:
            return parse_integer(text, -_INT64, _INT64 - 1)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error

    def ref(self, name: str) -> Ref | None:
        text = self.text(name)
        return Ref(text) if text and text != NULL_REF else None

    def required_ref(self, name: str) -> Ref:
        ref = self.ref(name)
        if ref is None:
            raise InputError(f"{name} refers to nothing")
        return ref

    def texts(self, name: str) -> tuple[str, ...]:
        """A set of text without its empty members (PIF.IPv6 may be ``[""]``)."""
        value = self._raw.get(name, ())
        if not isinstance(value, list | tuple):
            raise InputError(f"{name} is {shown(str(value))}, which is not a set")
        return tuple(_text(name, item) for item in value if item != "")

    def refs(self, name: str) -> tuple[Ref, ...]:
        return tuple(Ref(text) for text in self.texts(name) if text != NULL_REF)

    def mapping(self, name: str) -> Mapping[str, str]:
        value = self._raw.get(name, {})
        if not isinstance(value, Mapping):
            raise InputError(f"{name} is {shown(str(value))}, which is not a map")
        return {str(key): _text(f"{name}:{key}", item) for key, item in value.items()}


def _text(name: str, value: object) -> str:
    """Text, or a number that a client other than XML-RPC's may already have made of it."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InputError(f"{name} is {shown(str(value))}, which is not text")


def parse_pif(ref: Ref, raw: Mapping[str, object]) -> Pif:
    """The PIF; InputError when a field has the wrong form."""
    fields = _Fields(raw)
    bonds = fields.refs("bond_master_of")
    return Pif(
        ref=ref,
        uuid=fields.required("uuid"),
        device=fields.required("device"),
        network=fields.ref("network"),
        mac=fields.text("MAC"),
        vlan=fields.integer("VLAN", UNTAGGED),
        mtu=fields.text("MTU"),
        physical=fields.flag("physical", default=False),
        managed=fields.flag("managed", default=True),
        management=fields.flag("management", default=False),
        currently_attached=fields.flag("currently_attached", default=False),
        disallow_unplug=fields.flag("disallow_unplug", default=False),
        ip_mode=fields.text("ip_configuration_mode", "None"),
        ip=fields.text("IP"),
        netmask=fields.text("netmask"),
        gateway=fields.text("gateway"),
        dns=fields.text("DNS"),
        ipv6_mode=fields.text("ipv6_configuration_mode", "None"),
        ipv6=fields.texts("IPv6"),
        ipv6_gateway=fields.text("ipv6_gateway"),
        primary_address_type=fields.text("primary_address_type", "IPv4"),
        bond=bonds[0] if bonds else None,
        member_of=fields.ref("bond_slave_of"),
        vlan_record=fields.ref("VLAN_master_of"),
        vlans_on=fields.refs("VLAN_slave_of"),
        tunnel_access_of=fields.refs("tunnel_access_PIF_of"),
        tunnel_transport_of=fields.refs("tunnel_transport_PIF_of"),
        sriov_physical_of=fields.refs("sriov_physical_PIF_of"),
        sriov_logical_of=fields.refs("sriov_logical_PIF_of"),
        capabilities=fields.texts("capabilities"),
        properties=fields.mapping("properties"),
        igmp_snooping_status=fields.text("igmp_snooping_status", "unknown"),
        other_config=fields.mapping("other_config"),
    )


def parse_network(ref: Ref, raw: Mapping[str, object], host_pifs: Collection[Ref]) -> Network:
    """The network, of whose PIFs only those of this host are kept; InputError when a field has the wrong form.

    Args:
        ref: the network.
        raw: its record.
        host_pifs: this host's PIFs: a pool's network lists one of every host.
    """
    fields = _Fields(raw)
    return Network(
        ref=ref,
        uuid=fields.required("uuid"),
        bridge=fields.text("bridge"),
        name_label=fields.text("name_label"),
        mtu=fields.text("MTU"),
        pifs=tuple(pif for pif in fields.refs("PIFs") if pif in host_pifs),
        managed=fields.flag("managed", default=True),
        default_locking_mode=fields.text("default_locking_mode", "unlocked"),
        purpose=fields.texts("purpose"),
        other_config=fields.mapping("other_config"),
    )


def parse_bond(ref: Ref, raw: Mapping[str, object]) -> Bond:
    """The bond; InputError when a field has the wrong form."""
    fields = _Fields(raw)
    return Bond(
        ref=ref,
        uuid=fields.required("uuid"),
        pif=fields.required_ref("master"),
        members=fields.refs("slaves"),
        primary_member=fields.ref("primary_slave"),
        mode=fields.text("mode"),
        properties=fields.mapping("properties"),
        auto_update_mac=fields.flag("auto_update_mac", default=True),
        other_config=fields.mapping("other_config"),
    )


def parse_vlan(ref: Ref, raw: Mapping[str, object]) -> Vlan:
    """The VLAN; InputError when a field has the wrong form."""
    fields = _Fields(raw)
    return Vlan(
        ref=ref,
        uuid=fields.required("uuid"),
        carrier=fields.required_ref("tagged_PIF"),
        pif=fields.required_ref("untagged_PIF"),
        tag=fields.integer("tag", UNTAGGED),
        other_config=fields.mapping("other_config"),
    )


def parse_tunnel(ref: Ref, raw: Mapping[str, object]) -> Tunnel:
    """The tunnel; InputError when a field has the wrong form."""
    fields = _Fields(raw)
    return Tunnel(
        ref=ref,
        uuid=fields.required("uuid"),
        access_pif=fields.required_ref("access_PIF"),
        transport_pif=fields.required_ref("transport_PIF"),
        protocol=fields.text("protocol", "gre"),
        status=fields.mapping("status"),
        other_config=fields.mapping("other_config"),
    )


def parse_sriov(ref: Ref, raw: Mapping[str, object]) -> Sriov:
    """The SR-IOV enablement; InputError when a field has the wrong form."""
    fields = _Fields(raw)
    return Sriov(
        ref=ref,
        uuid=fields.required("uuid"),
        physical_pif=fields.required_ref("physical_PIF"),
        logical_pif=fields.required_ref("logical_PIF"),
        requires_reboot=fields.flag("requires_reboot", default=False),
        configuration_mode=fields.text("configuration_mode", "unknown"),
    )


def parse_pool(ref: Ref, raw: Mapping[str, object]) -> Pool:
    """The pool; InputError when a field has the wrong form."""
    fields = _Fields(raw)
    return Pool(
        ref=ref,
        uuid=fields.text("uuid"),
        vswitch_controller=fields.text("vswitch_controller"),
        igmp_snooping_enabled=fields.flag("igmp_snooping_enabled", default=False),
        ha_enabled=fields.flag("ha_enabled", default=False),
        other_config=fields.mapping("other_config"),
    )

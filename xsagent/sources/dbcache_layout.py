"""The layout of network.dbcache: which element of which record holds which field of ours. Pure tables.

Read by `dbcache` (file to Snapshot) and `dbcache_render` (Snapshot to file), so that both agree by construction.
The layout is what the legacy scripts read and write (features.md section 22); what it has no place for goes into
one more child element of the record, which legacy readers skip because they look children up by name.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from xsagent.model.records import Bond, Network, Pif, Pool, Tunnel, Vlan

ROOT: Final = "xenserver-network-configuration"
EXTRA: Final = "xsagent"
"""Our child element of a record, and our attribute of the root: a JSON object of what the layout cannot say.

Not an element of its own beside the records: a legacy reader stops at an unknown element there.
"""


class Form(enum.Enum):
    """How an element holds its value."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "True or False"
    REF = "reference, NULL when there is none"
    REFS = "one item element per reference"
    FIRST_REF = "as REFS, of which our field holds the first"
    MAP = "one element per key"


@dataclass(frozen=True, slots=True)
class Element:
    """One child element of a record.

    Attributes:
        name: the element.
        field: the field of our record.
        item: name of the item elements of REFS and FIRST_REF.
        keys: keys that the legacy scripts write and read in a MAP; others go to EXTRA.
    """

    name: str
    field: str
    form: Form = Form.TEXT
    item: str = ""
    keys: frozenset[str] = frozenset()


_ETHTOOL: Final = frozenset(
    f"ethtool-{name}" for name in ("autoneg", "speed", "duplex", "rx", "tx", "sg", "tso", "ufo", "gso", "gro", "lro")
)
_BOND: Final = frozenset(f"bond-{name}" for name in ("mode", "miimon", "downdelay", "updelay", "use_carrier"))
_PIF_KEYS: Final = frozenset(
    {"domain", "peerdns", "defaultroute", "mtu", "static-routes", "bond-hashing-algorithm", "vlan-bug-workaround"}
)
_NETWORK_KEYS: Final = frozenset({"mtu", "static-routes", "vswitch-controller-fail-mode", "vswitch-disable-in-band"})

_PIF: Final = (
    Element("uuid", "uuid"),
    Element("management", "management", Form.BOOLEAN),
    Element("network", "network", Form.REF),
    Element("device", "device"),
    Element("bond_master_of", "bond", Form.FIRST_REF, item="slave"),
    Element("bond_slave_of", "member_of", Form.REF),
    Element("VLAN", "vlan", Form.INTEGER),
    Element("VLAN_master_of", "vlan_record", Form.REF),
    Element("VLAN_slave_of", "vlans_on", Form.REFS, item="master"),
    Element("tunnel_access_PIF_of", "tunnel_access_of", Form.REFS, item="pif"),
    Element("tunnel_transport_PIF_of", "tunnel_transport_of", Form.REFS, item="pif"),
    Element("ip_configuration_mode", "ip_mode"),
    Element("IP", "ip"),
    Element("netmask", "netmask"),
    Element("gateway", "gateway"),
    Element("DNS", "dns"),
    Element("MAC", "mac"),
    Element("other_config", "other_config", Form.MAP, keys=_PIF_KEYS | _BOND | _ETHTOOL),
    Element("currently_attached", "currently_attached", Form.BOOLEAN),
)
_BOND_RECORD: Final = (
    Element("uuid", "uuid"),
    Element("master", "pif", Form.REF),
    Element("slaves", "members", Form.REFS, item="slave"),
)
_VLAN: Final = (
    Element("uuid", "uuid"),
    Element("tagged_PIF", "carrier", Form.REF),
    Element("untagged_PIF", "pif", Form.REF),
)
_TUNNEL: Final = (
    Element("uuid", "uuid"),
    Element("access_PIF", "access_pif", Form.REF),
    Element("transport_PIF", "transport_pif", Form.REF),
)
_NETWORK: Final = (
    Element("uuid", "uuid"),
    Element("bridge", "bridge"),
    Element("MTU", "mtu"),
    Element("PIFs", "pifs", Form.REFS, item="PIF"),
    Element("other_config", "other_config", Form.MAP, keys=_NETWORK_KEYS | _ETHTOOL),
)
_POOL: Final = (Element("other_config", "other_config", Form.MAP, keys=frozenset({"vswitch-controller-fail-mode"})),)

Record = Pif | Bond | Vlan | Tunnel | Network | Pool


@dataclass(frozen=True, slots=True)
class RecordLayout:
    """One kind of record: its element's name, our type, its children in the order they are written."""

    tag: str
    type: type[Record]
    elements: tuple[Element, ...]


LAYOUTS: Final[Mapping[str, RecordLayout]] = {
    layout.tag: layout
    for layout in (
        RecordLayout("pif", Pif, _PIF),
        RecordLayout("bond", Bond, _BOND_RECORD),
        RecordLayout("vlan", Vlan, _VLAN),
        RecordLayout("tunnel", Tunnel, _TUNNEL),
        RecordLayout("network", Network, _NETWORK),
        RecordLayout("pool", Pool, _POOL),
    )
}
"""By element name, in the order in which the legacy scripts write the kinds."""


@dataclass(slots=True)
class RawElement:
    """One child element as it stands in the file: its own text, and its children's names and texts."""

    text: str
    items: list[tuple[str, str]]


@dataclass(slots=True)
class RawRecord:
    """One record as it stands in the file."""

    tag: str
    ref: str
    elements: dict[str, RawElement]

"""Scenarios that the search found once, for `hypothesis.example`: tried in every run, also in the short one."""

from __future__ import annotations

from typing import Any

from strategies import Event, NicState, Scenario

from xsagent.model.records import Bond, Network, Pif, Pool, Ref, Vlan
from xsagent.model.snapshot import Snapshot

_NIC = NicState(up=False, mtu=1500, carrier=True, address=False, gro=True)


def _pif(name: str, device: str, **fields: Any) -> Pif:
    return Pif(
        ref=Ref(name),
        uuid=name,
        device=device,
        network=Ref(f"net-{name}"),
        mac=f"00:16:3e:00:00:0{device[-1]}",
        mtu="1500",
        **fields,
    )


def _bond_with_vlan() -> Snapshot:
    """eth0 alone in bond0, with VLAN 5 on the bond, which has an address."""
    bond, vlan = Ref("bond"), Ref("vlan")
    fields = {"ip_mode": "Static", "ip": "10.5.0.15", "netmask": "255.255.255.0", "gateway": "10.5.0.1"}
    pifs = (
        _pif("pif-0-bond", "bond0", bond=bond, vlans_on=(vlan,)),
        _pif("pif-1-nic", "eth0", physical=True, member_of=bond),
        _pif("pif-2-vlan", "bond0", vlan=5, vlan_record=vlan, **fields),
    )
    return Snapshot(
        source="xapi",
        pifs={pif.ref: pif for pif in pifs},
        networks=_networks(pifs, "xapi0", "xenbr0", "xapi11"),
        bonds={bond: Bond(ref=bond, uuid=bond, pif=pifs[0].ref, members=(pifs[1].ref,))},
        vlans={vlan: Vlan(ref=vlan, uuid=vlan, carrier=pifs[0].ref, pif=pifs[2].ref, tag=5)},
    )


def _bond_of_two() -> Snapshot:
    """eth0 and eth1 in bond0."""
    bond = Ref("bond")
    pifs = (
        _pif("pif-0-bond", "bond0", bond=bond),
        _pif("pif-1-nic", "eth0", physical=True, member_of=bond),
        _pif("pif-2-nic", "eth1", physical=True, member_of=bond),
    )
    return Snapshot(
        source="xapi",
        pifs={pif.ref: pif for pif in pifs},
        networks=_networks(pifs, "xapi0", "xenbr0", "xenbr1"),
        bonds={bond: Bond(ref=bond, uuid=bond, pif=pifs[0].ref, members=(pifs[1].ref, pifs[2].ref))},
    )


def _two_nics() -> Snapshot:
    """eth0 and eth1, each on its own bridge."""
    pifs = (_pif("pif-0-nic", "eth0", physical=True), _pif("pif-1-nic", "eth1", physical=True))
    networks = _networks(pifs, "xenbr0", "xenbr1")
    return Snapshot(source="xapi", pifs={pif.ref: pif for pif in pifs}, networks=networks)


def _networks(pifs: tuple[Pif, ...], *bridges: str) -> dict[Ref, Network]:
    """The networks of these PIFs, with the bridges named."""
    return {
        pif.network: Network(ref=pif.network, uuid=pif.network, bridge=bridge, mtu="1500", pifs=(pif.ref,))
        for pif, bridge in zip(pifs, bridges, strict=True)
        if pif.network is not None
    }


VLAN_DOWN_BY_HAND = Scenario(
    snapshot=_bond_with_vlan(),
    nics=(_NIC,),
    events=(Event(what="up", first=2), Event(what="drift link", first=3), Event(what="up", first=1)),
    foreign_bridge=False,
)
"""The bond's VLAN was taken down by hand; the member takes its ports over, and the device moves along as it was."""

BOND_THAT_KEEPS_ONE_MEMBER = Scenario(
    snapshot=_bond_of_two(),
    nics=(_NIC, _NIC),
    events=(Event(what="up", first=0), Event(what="change members", second=1), Event(what="up", first=0)),
    foreign_bridge=False,
)
"""The member that stays becomes a plain port beside what is left of the bond."""

MEMBER_THAT_VANISHES = Scenario(
    snapshot=_bond_of_two(),
    nics=(_NIC, _NIC),
    events=(Event(what="up", first=0), Event(what="nic vanishes", first=1), Event(what="up", first=0)),
    foreign_bridge=False,
)
"""The bond comes up once more meanwhile."""

NETWORK_THAT_CHANGES_ITS_NIC = Scenario(
    snapshot=_two_nics(),
    nics=(_NIC, _NIC),
    events=(
        Event(what="up", first=0),
        Event(what="forget attached", first=0),
        Event(what="swap networks", first=0, second=1),
        Event(what="up", first=1),
    ),
    foreign_bridge=False,
)
"""The NIC that had the network before is on its bridge still."""


def _secure_pool() -> Snapshot:
    """bond0 over eth0 and eth1, and two VLANs that are still on eth0; management is on one of them."""
    bond, beside, below = Ref("bond"), Ref("vlan-0"), Ref("vlan-1")
    fields = {"ip_mode": "Static", "ip": "10.5.0.15", "netmask": "255.255.255.0", "gateway": "10.5.0.1"}
    pifs = (
        _pif("pif-0-bond", "bond0", bond=bond),
        _pif("pif-1-nic", "eth0", physical=True, member_of=bond, vlans_on=(beside, below)),
        _pif("pif-2-nic", "eth1", physical=True, member_of=bond),
        _pif("pif-3-vlan", "eth0", vlan=1, vlan_record=beside),
        _pif("pif-4-vlan", "eth0", vlan=5, vlan_record=below, management=True, **fields),
    )
    vlans = {
        ref: Vlan(ref=ref, uuid=ref, carrier=pifs[1].ref, pif=pif.ref, tag=pif.vlan or 0)
        for ref, pif in zip((beside, below), pifs[3:], strict=True)
    }
    return Snapshot(
        source="xapi",
        pool=Pool(ref=Ref("pool"), other_config={"vswitch-controller-fail-mode": "secure"}),
        pifs={pif.ref: pif for pif in pifs},
        networks=_networks(pifs, "xapi0", "xenbr0", "xenbr1", "xapi1", "xapi5"),
        bonds={bond: Bond(ref=bond, uuid=bond, pif=pifs[0].ref, members=(pifs[1].ref, pifs[2].ref))},
        vlans=vlans,
    )


SECURE_VLAN_BESIDE_MANAGEMENT = Scenario(
    snapshot=_secure_pool(),
    nics=(_NIC, _NIC),
    events=(
        Event(what="up", first=4),
        Event(what="move vlan", first=0, second=0),
        Event(what="up", first=3),
        Event(what="up", first=1),
        Event(what="up", first=4, becoming_management=True),
    ),
    foreign_bridge=False,
)
"""Bond.create and back as XAPI does it: management's VLAN moves along with another one, by no word of its own."""

SECURE_BOND_TAKES_MANAGEMENT = Scenario(
    snapshot=_secure_pool(),
    nics=(_NIC, _NIC),
    events=(Event(what="up", first=4), Event(what="up", first=0, becoming_management=True)),
    foreign_bridge=False,
)
"""Management goes from a VLAN to the bond that takes its NIC: until XAPI takes it down, the VLAN answers as before."""


def _secure_bond() -> Snapshot:
    """bond0 over eth0, which has no bridge of its own, and eth1; management is on the bond's VLAN 5."""
    bond, vlan = Ref("bond"), Ref("vlan")
    fields = {"ip_mode": "Static", "ip": "10.5.0.15", "netmask": "255.255.255.0", "gateway": "10.5.0.1"}
    pifs = (
        _pif("pif-0-bond", "bond0", bond=bond, vlans_on=(vlan,)),
        _pif("pif-1-nic", "eth0", physical=True, member_of=bond),
        _pif("pif-2-nic", "eth1", physical=True, member_of=bond),
        _pif("pif-3-vlan", "bond0", vlan=5, vlan_record=vlan, management=True, **fields),
    )
    return Snapshot(
        source="xapi",
        pool=Pool(ref=Ref("pool"), other_config={"vswitch-controller-fail-mode": "secure"}),
        pifs={pif.ref: pif for pif in pifs},
        networks=_networks(pifs, "xapi0", "", "xenbr1", "xapi5"),
        bonds={bond: Bond(ref=bond, uuid=bond, pif=pifs[0].ref, members=(pifs[1].ref, pifs[2].ref))},
        vlans={vlan: Vlan(ref=vlan, uuid=vlan, carrier=pifs[0].ref, pif=pifs[3].ref, tag=5)},
    )


SECURE_BOND_TAKEN_APART = Scenario(
    snapshot=_secure_bond(),
    nics=(_NIC, _NIC),
    events=(Event(what="up", first=3), Event(what="up", first=2), Event(what="up", first=1)),
    foreign_bridge=False,
)
"""Management's VLAN went to eth1's bridge; then eth0 comes up, by which the records say it goes."""

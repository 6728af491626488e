"""Which interface gets DNS and which the default gateway (features.md section 6). Pure.

Both by one rule: the PIF that asks for it (other_config peerdns or defaultroute), else management, else any. Only PIFs
that are up or being raised compete (legacy-faults F27). Read by ip.py, dhcp.py and ifcfg.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from xsagent.desired.kind import label
from xsagent.desired.notes import Notes
from xsagent.desired.scene import Scene
from xsagent.model.records import AddressType, IpMode, Ipv6Mode, Pif, Ref
from xsagent.model.values import shown

_DNS_KEY = "peerdns"
_GATEWAY_KEY = "defaultroute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Who has which role; None where no interface can have it."""

    dns: Pif | None = None
    gateway: Pif | None = None

    def is_dns(self, pif: Pif) -> bool:
        """Whether this PIF's interface names the DNS servers."""
        return self.dns is not None and self.dns.ref == pif.ref

    def is_gateway(self, pif: Pif) -> bool:
        """Whether this PIF's interface has the default gateway."""
        return self.gateway is not None and self.gateway.ref == pif.ref


def choose_roles(scene: Scene, notes: Notes) -> Roles:
    """The roles as they are to be after the operation."""
    return _choose(_candidates(scene), scene.management, notes)


def roles_before(scene: Scene) -> Roles:
    """The roles as this same rule gave them before the operation: to a bond member too that was up without its bond."""
    pifs = scene.snapshot.pifs.values()
    attached = [pif for pif in pifs if scene.was_up(pif) and not _is_in_bond(scene, pif, scene.was_up)]
    return _choose(_competing(attached), scene.snapshot.management_pif(), Notes())


def _is_in_bond(scene: Scene, pif: Pif, is_up: Callable[[Pif], bool]) -> bool:
    """Whether the PIF is a member of a bond that is up."""
    bond = scene.snapshot.bond_with_member(pif)
    master = None if bond is None else scene.snapshot.pifs.get(bond.pif)
    return bond is not None and (master is None or is_up(master))


def _candidates(scene: Scene) -> list[Pif]:
    """PIFs that will be up, less members of bonds that are (but for one that is raised, whose bond goes then)."""
    going = {pif.member_of for pif in scene.snapshot.pifs.values() if pif.ref in scene.raised and pif.member_of}
    candidates = []
    for pif in scene.snapshot.pifs.values():
        is_member = pif.ref not in scene.raised and _is_in_bond(scene, pif, scene.will_be_up)
        if not is_member and pif.bond not in going and _competes_for_roles(scene, pif):
            candidates.append(pif)
    return _competing(candidates)


def _competes_for_roles(scene: Scene, pif: Pif) -> bool:
    """Up afterwards; or, where the host is being brought up from the cache, named by the inventory as to be up."""
    if scene.will_be_up(pif):
        return True
    if pif.ref in scene.lowered or scene.origin != "force":
        return False
    bridge = scene.snapshot.bridge_of(pif)
    return bool(bridge) and bridge in {scene.host.management_bridge, *scene.host.current_interfaces}


def _competing(pifs: Iterable[Pif]) -> list[Pif]:
    """Managed PIFs whose primary family has an IP mode, in the order that breaks ties: device, then VLAN."""
    able = [pif for pif in pifs if pif.managed and _has_primary_mode(pif)]
    return sorted(able, key=lambda pif: (pif.device, pif.vlan, pif.uuid))


def _has_primary_mode(pif: Pif) -> bool:
    if pif.primary_address_type == AddressType.IPV6:
        return pif.ipv6_mode != Ipv6Mode.NONE
    return pif.ip_mode != IpMode.NONE


def _choose(candidates: Sequence[Pif], management: Pif | None, notes: Notes) -> Roles:
    return Roles(
        dns=_choose_one(candidates, management, _DNS_KEY, "DNS", notes),
        gateway=_choose_one(candidates, management, _GATEWAY_KEY, "the default gateway", notes),
    )


def _choose_one(candidates: Sequence[Pif], management: Pif | None, key: str, what: str, notes: Notes) -> Pif | None:
    event = "choose_dns_device" if key == _DNS_KEY else "choose_gateway_device"
    asking = [pif for pif in candidates if _asks(pif, key, notes)]
    if asking:
        if len(asking) > 1:
            others = ", ".join(label(pif) for pif in asking[1:])
            notes.warn(event, label(asking[0]), f"it gets {what}: the first of several with {key}=true ({others})")
        else:
            notes.decide(event, label(asking[0]), f"it gets {what}: {key}=true")
        return asking[0]
    refs: set[Ref] = {pif.ref for pif in candidates}
    if management is not None and management.ref in refs:
        notes.decide(event, label(management), f"it gets {what}: it is management")
        return management
    if candidates:
        notes.warn(event, label(candidates[0]), f"it gets {what}: no PIF asks for it and management is not up")
        return candidates[0]
    return None


def _asks(pif: Pif, key: str, notes: Notes) -> bool:
    word = pif.other_config.get(key)
    if word is not None and word not in {"true", "false"}:
        notes.warn("pass_over_role", label(pif), f"{key}: {shown(word)} is neither true nor false")
    return word == "true"

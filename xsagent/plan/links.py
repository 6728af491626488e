"""Links desired x links observed -> steps for MTU, IFF_UP, sysctls, offloads, link settings, VLAN netdevs. Pure.

What is equal gives no step; an offload or setting that the driver refused before gives none either.
"""

from __future__ import annotations

from collections.abc import Mapping

from xsagent.plan.options import PlanOptions
from xsagent.plan.remade import restore_ip, restore_link
from xsagent.plan.steps import (
    CreateVlanLinkStep,
    DeleteLinkStep,
    FeaturesStep,
    LinkSettingsStep,
    LinkStep,
    Step,
    SysctlStep,
)
from xsagent.topology.values import KEEP, Link, Topology

_LINK_WORDS = frozenset({"autoneg", "speed", "duplex", "advertise"})
"""Settings that the kernel takes together (ethtool -s)."""


def diff_link(desired: Link, observed: Link | None, options: PlanOptions) -> tuple[Step, ...]:
    """Steps that make one netdev what is desired.

    Arguments:
        observed: None for a device that the plan itself brings into being: everything is set then, and its undo is
            the undo of its making.
    """
    steps: list[Step] = []
    if observed is None and desired.parent is not None and desired.vlan is not None:
        steps.append(
            CreateVlanLinkStep(
                device=desired.name,
                parent=desired.parent,
                tag=desired.vlan,
                reason="the bridgeless VLAN's own device",
                undo=(DeleteLinkStep(device=desired.name),),
            )
        )
    steps += _attributes(desired, observed)
    steps += _sysctls(desired, observed)
    steps += _features(desired, observed, options.refused_features.get(desired.name, {}))
    steps += _settings(desired, observed, options.refused_settings.get(desired.name, {}))
    return tuple(steps)


def take_link_down(link: Link, observed: Topology, reason: str) -> tuple[Step, ...]:
    """Steps that leave a netdev down; a VLAN netdev is deleted.

    Their undo brings back what the kernel drops with a link: its routes and IPv6 addresses, and those of VLAN netdevs
    on it.
    """
    if link.kind == "vlan":
        undo: tuple[Step, ...] = ()
        if link.parent is not None and link.vlan is not None:
            made = CreateVlanLinkStep(device=link.name, parent=link.parent, tag=link.vlan)
            undo = (made, *restore_link(link.name, observed), *restore_ip(link.name, observed))
        return (DeleteLinkStep(device=link.name, reason=reason, undo=undo),)
    if link.up is not True:
        return ()
    riders = sorted(upper.name for upper in observed.links.values() if upper.parent == link.name)
    back = [step for name in (link.name, *riders) for step in restore_ip(name, observed)]
    return (LinkStep(device=link.name, up=False, reason=reason, undo=(LinkStep(device=link.name, up=True), *back)),)


def _attributes(desired: Link, observed: Link | None) -> list[Step]:
    mtu = _known(desired.mtu)
    up = None if desired.up is KEEP else desired.up
    mac = desired.mac if isinstance(desired.mac, str) else None
    if observed is None:
        return [LinkStep(device=desired.name, mtu=mtu, up=up, mac=mac, reason="a new device comes up")]
    if mtu == observed.mtu:
        mtu = None
    if up == observed.up:
        up = None
    if mac is not None and mac == observed.mac:
        mac = None
    if mtu is None and up is None and mac is None:
        return []
    undo = LinkStep(
        device=desired.name,
        mtu=_known(observed.mtu) if mtu is not None else None,
        up=(observed.up is True) if up is not None else None,
        mac=observed.mac if mac is not None and isinstance(observed.mac, str) else None,
    )
    reason = ", ".join(
        text
        for text, changed in (
            (f"MTU was {_known(observed.mtu)}", mtu is not None),
            ("link was down" if up else "link was up", up is not None),
            ("MAC differed", mac is not None),
        )
        if changed
    )
    return [LinkStep(device=desired.name, mtu=mtu, up=up, mac=mac, reason=reason, undo=(undo,))]


def _sysctls(desired: Link, observed: Link | None) -> list[Step]:
    present: Mapping[str, str] = observed.sysctls if observed is not None else {}
    values = {path: value for path, value in desired.sysctls.items() if present.get(path) != value}
    if not values:
        return []
    undo = {path: present[path] for path in values if path in present}
    return [
        SysctlStep(
            values=values,
            reason=f"kernel settings of {desired.name}",
            undo=(SysctlStep(values=undo),) if undo else (),
        )
    ]


def _features(desired: Link, observed: Link | None, refused: Mapping[str, bool]) -> list[Step]:
    """Offloads that differ; of a device that is yet to come all, since its defaults are the driver's."""
    features = {
        name: value
        for name, value in desired.features.items()
        if refused.get(name) != value
        and (observed is None or (name in observed.features and observed.features[name] != value))
    }
    if not features:
        return []
    undo: tuple[Step, ...] = ()
    if observed is not None:
        before = {name: observed.features[name] for name in features}
        undo = (FeaturesStep(device=desired.name, features=before, required=False),)
    return [FeaturesStep(device=desired.name, features=features, reason="offloads differ", required=False, undo=undo)]


def _settings(desired: Link, observed: Link | None, refused: Mapping[str, str]) -> list[Step]:
    present: Mapping[str, str] = observed.settings if observed is not None else {}
    settings = {
        name: value
        for name, value in desired.settings.items()
        if present.get(name) != value and refused.get(name) != value
    }
    if not settings:
        return []
    before = {name: present[name] for name in settings if name in present}
    if _LINK_WORDS & set(settings) and "advertise" in present:
        # The present speed may be one that was negotiated: set as a wish it would limit what is advertised.
        before["advertise"] = present["advertise"]
    undo: tuple[Step, ...] = (LinkSettingsStep(device=desired.name, settings=before, required=False),) if before else ()
    return [
        LinkSettingsStep(
            device=desired.name, settings=settings, reason="link settings differ", required=False, undo=undo
        )
    ]


def _known(mtu: object) -> int | None:
    return mtu if isinstance(mtu, int) else None

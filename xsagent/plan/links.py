"""One link desired x observed -> steps for its MTU, IFF_UP, sysctls, offloads, link settings, VLAN netdev. Pure.

What is equal gives no step; an offload or setting that the driver refused before gives none either. `plan/all_links.py`
calls it for each link.
"""

from __future__ import annotations

from collections.abc import Mapping

from xsagent.plan.options import PlanOptions
from xsagent.plan.remade import restore_ip, restore_link, restore_riders
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

    Args:
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
    steps += _mtu(desired, observed, options)
    # between the two: below 1280 bytes a device has no IPv6 settings, and once it is up a router may already be heard
    steps += _sysctls(desired, observed)
    steps += _state(desired, observed)
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
    back = (*restore_ip(link.name, observed), *restore_riders(link.name, observed))
    return (LinkStep(device=link.name, up=False, reason=reason, undo=(LinkStep(device=link.name, up=True), *back)),)


def _mtu(desired: Link, observed: Link | None, options: PlanOptions) -> list[Step]:
    """The MTU as a step of its own: hardware that refuses it costs nobody the link (features.md section 8)."""
    mtu, before = _known(desired.mtu), _known(observed.mtu) if observed is not None else None
    if mtu is None or mtu == before or options.refuses_mtu(desired.name, mtu):
        return []
    reason = "a new device" if observed is None else f"MTU was {before}"
    undo = () if before is None else (LinkStep(device=desired.name, mtu=before),)
    return [LinkStep(device=desired.name, mtu=mtu, reason=reason, required=False, undo=undo)]


def _state(desired: Link, observed: Link | None) -> list[Step]:
    """Up or down, and the MAC."""
    present = observed or Link(name=desired.name)
    up = None if desired.up is KEEP or desired.up == present.up else desired.up
    mac = desired.mac if isinstance(desired.mac, str) and desired.mac != present.mac else None
    if up is None and mac is None:
        return []
    return [_up_and_mac(present, up, mac, is_new=observed is None)]


def _up_and_mac(present: Link, up: bool | None, mac: str | None, *, is_new: bool) -> Step:
    if is_new:
        return LinkStep(device=present.name, up=up, mac=mac, reason="a new device comes up")
    undo = LinkStep(
        device=present.name,
        up=(present.up is True) if up is not None else None,
        mac=present.mac if mac is not None and isinstance(present.mac, str) else None,
    )
    causes = (("link was down" if up else "link was up", up is not None), ("MAC differed", mac is not None))
    reason = ", ".join(text for text, changed in causes if changed)
    return LinkStep(device=present.name, up=up, mac=mac, reason=reason, undo=(undo,))


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

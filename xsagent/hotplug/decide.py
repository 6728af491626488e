"""Event x Vif x what is observed -> Decision: what to do with one device, and why. Pure.

`attempt` reads the three and carries the decision out. Level-triggered: the event says only which device and
whether it is to be attached; everything else comes from the Vif and the switch as they are now, so a repeated or
stale event leads to the same end.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from xsagent.hotplug.decision import Decision, NetdevPrep, Verdict
from xsagent.hotplug.event import Action, Event, Want
from xsagent.hotplug.iface_status import KEY as IFACE_STATUS
from xsagent.hotplug.iface_status import decide_iface_status
from xsagent.hotplug.places import Place, PlacedPort, find_place, find_port
from xsagent.model.vif import DEFAULT_MTU, DeviceType, LockingMode, Vif
from xsagent.plan.steps import AddPort, DeletePort, MovePort, OvsdbOperation, Relied, SetColumns, SetKeys
from xsagent.topology.values import KEEP, Bridge, Interface, Json, Link, Port


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What is there, as far as hotplug asks.

    Attributes:
        bridges: real bridges of the switch, by name.
        links: netdevs by name; at least those of the devices decided about, where they exist.
        aliases: as in `find_place`.
        mtus: of networks, bytes, by the name of their bridge, where a VIF's own is not known.
    """

    bridges: Mapping[str, Bridge] = field(default_factory=dict)
    links: Mapping[str, Link] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    mtus: Mapping[str, int] = field(default_factory=dict)


def decide(
    event: Event,
    vif: Vif | None,
    observed: Observed,
    *,
    others: AbstractSet[DeviceType] | None = None,
    placed: str | None = None,
) -> Decision:
    """What to do about an event.

    Args:
        event: which device, and what is wanted of it.
        vif: as the toolstack describes it now; may be None where nothing is to be attached.
        observed: the switch and the netdevs.
        others: kinds of the same VIF that will be in the switch beside this one; None takes those observed.
        placed: for Action.REPAIR: the bridge on which we put the port last; None when we do not know: then the
            port's mark of its network counts.
    """
    if event.want is Want.NOTHING:
        return Decision(event=event, verdict=Verdict.IGNORE, reason=f"{event.action} asks for nothing")
    beside = _observed_kinds(event, observed) if others is None else others
    if event.want is Want.DETACHED:
        return _detach(event, vif, observed, beside)
    if vif is None:
        return Decision(event=event, verdict=Verdict.WAIT, reason="the toolstack has no keys for it")
    if vif.offloaded:
        return Decision(event=event, verdict=Verdict.IGNORE, reason="an SR-IOV function carries it", vif=vif)
    return _Attach(event=event, vif=vif, observed=observed, beside=beside, placed=placed).decide()


def rely_on_pair(decision: Decision, observed: Observed) -> Decision:
    """The same, relying on the VIF's other device to be in the switch or not, as it was found.

    Only one of the two may be ``active``, and udev handles them at once, in processes that know nothing of one another.
    """
    if not decision.operations:
        return decision
    beside = _observed_kinds(decision.event, observed)
    others = (kind for kind in DeviceType if kind is not decision.event.kind)
    pair = (
        Relied(table="Port", record=decision.event.vif.device(kind), column="name", value=kind in beside)
        for kind in others
    )
    return replace(decision, relied=(*decision.relied, *pair))


def is_made_anew(link: Link | None, port: PlacedPort | None) -> bool:
    """Whether the netdev is another than the one for which the port was put in: down, and nobody made it quiet.

    We, and the legacy scripts, silence each before it comes up, and it stays so (DECISIONS.md 59).
    """
    return port is not None and link is not None and not link.up and link.quiet is False


def _observed_kinds(event: Event, observed: Observed) -> frozenset[DeviceType]:
    return frozenset(
        kind
        for kind in DeviceType
        if kind is not event.kind and find_port(observed.bridges, event.vif.device(kind)) is not None
    )


def _detach(event: Event, vif: Vif | None, observed: Observed, beside: AbstractSet[DeviceType]) -> Decision:
    """Take the port away; nothing to do in the switch when it is gone already (F23)."""
    present = find_port(observed.bridges, event.device)
    if present is None:
        return Decision(event=event, verdict=Verdict.DETACH, reason="its port is gone already", vif=vif)
    operations: list[OvsdbOperation] = [DeletePort(bridge=present.place.bridge, name=event.device)]
    operations += _status_beside(event, observed, beside, frozenset(beside))
    reason = f"it leaves bridge {present.place.name}"
    return Decision(event=event, verdict=Verdict.DETACH, reason=reason, vif=vif, operations=tuple(operations))


def _status_beside(
    event: Event, observed: Observed, beside: AbstractSet[DeviceType], present: AbstractSet[DeviceType]
) -> list[OvsdbOperation]:
    """Set iface-status of the other port of the VIF, in the transaction that changes this one."""
    wanted, operations = decide_iface_status(present), []
    for kind in sorted(beside):
        name = event.vif.device(kind)
        found = find_port(observed.bridges, name)
        interface = found.port.interfaces.get(name) if found else None
        if interface and interface.external_ids.get(IFACE_STATUS) != wanted[kind]:
            operations.append(_set_ids(name, {IFACE_STATUS: wanted[kind]}))
    return list(operations)


def _set_ids(interface: str, keys: Mapping[str, str | None]) -> SetKeys:
    return SetKeys(table="Interface", record=interface, column="external_ids", keys=dict(keys))


@dataclass(slots=True, kw_only=True)
class _Attach:
    """The decision about a device that is to be attached.

    Attributes:
        beside, placed: as `others` and `placed` of `decide`.
    """

    event: Event
    vif: Vif
    observed: Observed
    beside: AbstractSet[DeviceType]
    placed: str | None
    _link: Link | None = field(init=False)
    _present: PlacedPort | None = field(init=False)
    _warnings: list[str] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._link = self.observed.links.get(self.event.device)
        self._present = find_port(self.observed.bridges, self.event.device)

    def decide(self) -> Decision:
        event, vif = self.event, self.vif
        if self._link is None:
            return self._refuse(Verdict.WAIT, f"there is no network device {event.device}")
        if vif.locking.mode is LockingMode.DISABLED:
            return self._keep_off()
        if not vif.bridge:
            return self._refuse(Verdict.WAIT, "the toolstack names no bridge for it")
        place = find_place(self.observed.bridges, vif.bridge, self.observed.aliases)
        if place is None:
            makes = "its PIF's `up` makes it, or `xsagent network create` that of an internal network"
            return self._refuse(Verdict.WAIT, f"bridge {vif.bridge} does not exist on this host ({makes})")
        drift = self._moved_on_purpose(place)
        return drift or self._attach(place)

    def _refuse(self, verdict: Verdict, reason: str) -> Decision:
        return Decision(event=self.event, verdict=verdict, reason=reason, vif=self.vif)

    def _keep_off(self) -> Decision:
        operations: list[OvsdbOperation] = []
        if self._present is not None:
            operations = [DeletePort(bridge=self._present.place.bridge, name=self.event.device)]
            operations += _status_beside(self.event, self.observed, self.beside, frozenset(self.beside))
        return Decision(
            event=self.event,
            verdict=Verdict.KEEP_OFF,
            reason="its locking mode is disabled",
            vif=self.vif,
            operations=tuple(operations),
            prep=None if self._present is None and self._is_netdev_right() else self._prep(),
            in_place=not operations,
        )

    def _moved_on_purpose(self, place: Place) -> Decision | None:
        """A resync leaves alone what somebody put elsewhere; it follows only a wanted bridge that changed."""
        if self.event.action is not Action.REPAIR or self._present is None or self._is_there(place):
            return None
        if self._wish_changed(place, self._present.port):
            return None
        return Decision(
            event=self.event,
            verdict=Verdict.LEAVE,
            reason=f"somebody moved it from bridge {place.name} to {self._present.place.name}; it was left there",
            vif=self.vif,
            place=self._present.place,
            in_place=True,
        )

    def _wish_changed(self, place: Place, port: Port) -> bool:
        """Whether the toolstack wants another place than when we put the port where it was.

        Without a memory of that the port's own mark tells: it names the network for which it was plugged in.
        """
        if self.placed is not None:
            return self.placed != place.name
        interface = port.interfaces.get(self.event.device)
        mark = interface.external_ids.get("xs-network-uuid") if interface else None
        return bool(mark and self.vif.network_uuid and mark != self.vif.network_uuid)

    def _is_there(self, place: Place) -> bool:
        """Whether the port is where it belongs; a tag set by hand is reported, not taken back."""
        found = self._present
        if found is None or found.place.bridge != place.bridge:
            return False
        return found.place.tag == place.tag

    def _attach(self, place: Place) -> Decision:
        port = self._build_port(place)
        operations, relied = self._diff(place, port)
        in_place = self._is_there(place)
        prep = None if in_place and self._is_netdev_right() else self._prep()
        if in_place and self._present is not None and self._present.foreign_tag:
            self._warnings.append(f"{self.event.device} has tag {self._present.port.tag}, set by hand; it was left")
        return Decision(
            event=self.event,
            verdict=Verdict.ATTACH,
            reason=f"it is {'right' if not operations else 'to be'} on bridge {place.name}",
            vif=self.vif,
            place=place,
            port=port,
            operations=tuple(operations),
            relied=tuple(relied),
            prep=prep,
            in_place=in_place,
            warnings=tuple(self._warnings),
        )

    def _is_netdev_right(self) -> bool:
        link = self._link
        if link is None or link.quiet is False:
            return False
        return (link.mac, link.mtu) == (self.vif.bridge_mac, self._mtu())

    def _mtu(self) -> int:
        """The MTU that the toolstack names, else that of the cached network, else 1500 (features.md section 8)."""
        return self.vif.mtu or self.observed.mtus.get(self.vif.bridge, DEFAULT_MTU)

    def _prep(self) -> NetdevPrep:
        if self.vif.mtu is None:
            self._warnings.append(f"the toolstack names no MTU for {self.event.device}; it gets {self._mtu()}")
        ifindex = self._link.ifindex if self._link else 0
        return NetdevPrep(device=self.event.device, ifindex=ifindex, mac=self.vif.bridge_mac, mtu=self._mtu())

    def _build_port(self, place: Place) -> Port:
        name = self.event.device
        interface = Interface(name=name, external_ids=self._external_ids())
        trunks = self.vif.trunks
        return Port(
            name=name,
            interfaces={name: interface},
            tag=place.tag,
            trunks=KEEP if trunks is None else trunks,
        )

    def _external_ids(self) -> dict[str, str | None]:
        """All marks of features.md section 12; keys for which the toolstack names no value are left alone."""
        vif = self.vif
        keys = {
            "xs-vif-uuid": vif.vif_uuid,
            "xs-vm-uuid": vif.vm_uuid,
            "xs-network-uuid": vif.network_uuid,
            "attached-mac": vif.mac,
            "iface-id": vif.nicira_iface_id or vif.vif_uuid,
            "vm-id": vif.vm_uuid,
        }
        status = decide_iface_status(frozenset(self.beside) | {self.event.kind})
        known: dict[str, str | None] = {key: value for key, value in keys.items() if value}
        return known | ({IFACE_STATUS: status[self.event.kind]} if vif.vif_uuid else {})

    def _diff(self, place: Place, port: Port) -> tuple[list[OvsdbOperation], list[Relied]]:
        """Operations from the observed port to the desired one, none for a right one; and what they rely on."""
        operations: list[OvsdbOperation] = []
        relied: list[Relied] = []
        if not self._is_there(place):
            relied.append(Relied(table="Bridge", record=place.bridge, column="name", value=True))
        if self._present is None:
            operations.append(AddPort(bridge=place.bridge, port=port))
        else:
            operations += self._move(place, self._present)
            operations += self._set_ids(port, self._present.port)
            operations += self._set_trunks(self._present.port)
        present = frozenset(self.beside) | {self.event.kind}
        if self.vif.vif_uuid:
            operations += _status_beside(self.event, self.observed, self.beside, present)
        return operations, relied

    def _move(self, place: Place, present: PlacedPort) -> list[OvsdbOperation]:
        """The row moves as it is: what others hung on it (QoS, policing, foreign keys) stays."""
        operations: list[OvsdbOperation] = []
        if present.place.bridge != place.bridge:
            operations.append(MovePort(name=self.event.device, source=present.place.bridge, target=place.bridge))
        if not self._is_there(place) and present.port.tag != place.tag:
            tag: Json = ["set", []] if place.tag is None else place.tag
            operations.append(SetColumns(table="Port", record=self.event.device, columns={"tag": tag}))
        return operations

    def _set_ids(self, port: Port, present: Port) -> list[OvsdbOperation]:
        name = self.event.device
        interface = present.interfaces.get(name)
        now = interface.external_ids if interface else {}
        wanted = port.interfaces[name].external_ids
        keys = {
            key: value for key, value in wanted.items() if now.get(key) != value and not self._is_overridden(key, now)
        }
        return [_set_ids(name, keys)] if keys else []

    def _is_overridden(self, key: str, now: Mapping[str, str | None]) -> bool:
        """An id that XAPI's nicira keys gave to this very VIF: the reconciler wrote it, who knows them all.

        At a resync even where xenstore names another: its copy is from the time when the VIF was plugged.
        """
        named = {"iface-id": self.vif.nicira_iface_id, "vm-id": ""}
        if key not in named or key not in now or now.get("xs-vif-uuid") != self.vif.vif_uuid:
            return False
        return not named[key] or self.event.action is Action.REPAIR

    def _set_trunks(self, present: Port) -> list[OvsdbOperation]:
        trunks = self.vif.trunks
        if trunks is None or trunks == present.trunks:
            return []
        return [SetColumns(table="Port", record=self.event.device, columns={"trunks": ["set", list(trunks)]})]

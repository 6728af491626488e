"""Generated lives of guests' devices: hostile keys, lost events, devices that vanish, foreign hands; then one resync.

Each step goes through the product's own pure parts (reading of keys, decision, resync) and changes a model of the
host, as `attempt` would. However it went: every VIF ends right or with an error that says why, and nothing is lost.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from tally import TALLY
from test_hotplug import MAC, VM, files, raw
from test_hotplug_decide import VLANS, Switch

from xsagent.errors import HotplugPendingError, InputError
from xsagent.hotplug.decide import decide
from xsagent.hotplug.decision import Verdict
from xsagent.hotplug.event import Action, Event, Want
from xsagent.hotplug.resync import Survey, build_resync_events
from xsagent.model.vif import DeviceType, Layout, LockingMode, Vif, VifId
from xsagent.sources.vif import PRIVATE_KEYS, VifKeys, build_paths, parse_vif
from xsagent.topology.values import Link

_LONG = 5000
SEQUENCES = settings(max_examples=settings().max_examples * (20 if settings().max_examples >= _LONG else 2))
"""100,000 in the long profile."""
VIFS = (VifId(5, 0), VifId(6, 1))
DEVICES = {(kind, vif): vif.device(kind) for kind in DeviceType for vif in VIFS}
BRIDGES = ("xenbr0", "xenbr1", *VLANS)
GOOD = {"mac": MAC.encode(), "vif-uuid": VM.encode(), "network-uuid": VM.encode(), "locking-mode": b"unlocked"}


@dataclass
class Host:
    """A model of dom0: what toolstack, kernel and switch have, and what was reported."""

    switch: Switch = field(default_factory=lambda: Switch(VLANS))
    keys: dict[VifId, VifKeys] = field(default_factory=dict)
    netdevs: set[tuple[DeviceType, VifId]] = field(default_factory=set)
    backends: set[VifId] = field(default_factory=set)
    closed: set[VifId] = field(default_factory=set)
    online: set[VifId] = field(default_factory=set)
    placed: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def vif(self, vif: VifId) -> Vif:
        """The VIF as `attempt` reads it; InputError or HotplugPendingError when its keys are bad."""
        return parse_vif(self.keys.get(vif) or VifKeys(id=vif, paths=build_paths(vif, Layout.UUID, VM)))

    def handle(self, event: Event) -> int:
        """What `attempt` does with an event; how many operations the switch was given."""
        TALLY["hotplug events"] += 1
        vif: Vif | None = None
        try:
            vif = self.vif(event.vif)
        except (InputError, HotplugPendingError) as error:
            if event.want is Want.ATTACHED:
                self.errors[event.device] = str(error)
                return 0
        links = (Link(name=DEVICES[one], mac="fe:ff:ff:ff:ff:ff", mtu=1500, up=True) for one in self.netdevs)
        decision = decide(event, vif, self.switch.observed(*links), placed=self.placed.get(event.device))
        self.switch.run(decision)
        if decision.verdict in {Verdict.ATTACH, Verdict.KEEP_OFF}:
            self.errors.pop(event.device, None)
            self.placed[event.device] = decision.place.name if decision.place else ""
            if event.kind is DeviceType.VIF and event.vif in self.backends and event.reports:
                self.online.add(event.vif)
        elif decision.verdict is Verdict.DETACH:
            self.placed.pop(event.device, None)
            self.errors.pop(event.device, None)
            if event.kind is DeviceType.VIF and event.reports:
                self.online.discard(event.vif)
        elif decision.verdict is Verdict.WAIT:
            self.errors[event.device] = decision.reason
        return len(decision.operations)

    def resync(self) -> int:
        """What the daemon does at its start, after a peer came back and every few minutes."""
        rows = {one: self.switch.ports[name] for one, name in DEVICES.items() if name in self.switch.ports}
        survey = Survey(
            backends=frozenset(self.backends),
            closing=frozenset(self.closed),
            closed=frozenset(self.closed),
            online=frozenset(self.online),
            netdevs=frozenset(self.netdevs),
            ports=frozenset(one for one, row in rows.items() if "xs-vif-uuid" in row[3]),
        )
        return sum(self.handle(event) for event in build_resync_events(survey))


Step = Callable[[Host], object]


def _write(vif: VifId, keys: VifKeys) -> Step:
    paths = build_paths(vif, Layout.UUID, VM)
    return lambda host: host.keys.update({vif: dataclasses.replace(keys, id=vif, paths=paths)})


def _plug(kind: DeviceType, vif: VifId) -> Step:
    return lambda host: (host.netdevs.add((kind, vif)), host.backends.add(vif), host.closed.discard(vif))


def _vanish(vif: VifId, backend: str) -> Step:
    """Without a word: events get lost, and Windows' drivers take a device away and bring it again."""

    def step(host: Host) -> None:
        host.netdevs -= {(kind, vif) for kind in DeviceType}
        if backend == "gone":
            host.backends.discard(vif)
            host.closed.discard(vif)
        elif backend == "closed" and vif in host.backends:
            host.closed.add(vif)

    return step


def _event(event: Event) -> Step:
    return lambda host: host.handle(event)


def _delete(device: str) -> Step:
    return lambda host: host.switch.ports.pop(device, None)


def _move(device: str, bridge: str) -> Step:
    def step(host: Host) -> None:
        if device in host.switch.ports:
            host.switch.ports[device] = (bridge, None, *host.switch.ports[device][2:])

    return step


vifs = st.sampled_from(VIFS)
kinds = st.sampled_from(DeviceType)
bad = st.sampled_from([b"x -- del-br xenbr0", b"../../../etc/passwd", b"\0", b"x" * 10240, b"not-a-uuid", b"-1"])
privates = st.one_of(
    st.sampled_from(BRIDGES).map(lambda bridge: {**GOOD, "bridge": bridge.encode()}),
    st.builds(
        lambda key, value: {**GOOD, "bridge": b"xenbr0", key: value}, st.sampled_from(PRIVATE_KEYS), st.one_of(bad, raw)
    ),
    st.just({**GOOD, "bridge": b"absent"}),
    st.just({**GOOD, "bridge": b"xenbr0", "locking-mode": b"disabled"}),
)
described = st.builds(
    VifKeys,
    id=st.just(VIFS[0]),
    paths=st.just(build_paths(VIFS[0], Layout.UUID, VM)),
    vm_uuid=st.just(VM),
    private=privates,
    file=st.one_of(st.none(), st.none(), files),
)
steps = st.one_of(
    st.builds(_write, vifs, described),
    st.builds(_plug, kinds, vifs),
    st.builds(_vanish, vifs, st.sampled_from(["there", "gone", "closed"])),
    st.builds(Event, vif=vifs, kind=kinds, action=st.sampled_from(Action)).map(_event),
    st.sampled_from(list(DEVICES.values())).map(_delete),
    st.builds(_move, st.sampled_from(list(DEVICES.values())), st.sampled_from(["xenbr0", "xenbr1"])),
    st.just(Host.resync),
)


@SEQUENCES
@given(life=st.lists(steps, min_size=1, max_size=14))
def test_whatever_happens_every_vif_ends_right_or_with_an_error(life: list[Step]) -> None:
    """After one resync nothing is left of what is gone, what is there is where it belongs or says why not."""
    TALLY["lives of guests' devices"] += 1
    host = Host()
    for step in life:
        step(host)

    host.resync()

    for (kind, vif), device in DEVICES.items():
        if (kind, vif) in host.netdevs and vif in host.backends:
            _check_living(host, kind, vif)
        elif vif not in host.backends - host.closed and (kind, vif) not in host.netdevs:
            marks = host.switch.ports.get(device, ("", 0, (), {}))[3]
            assert "xs-vif-uuid" not in marks
            assert kind is DeviceType.TAP or vif not in host.online
    assert host.resync() == 0


def _check_living(host: Host, kind: DeviceType, vif: VifId) -> None:
    device = DEVICES[kind, vif]
    port = host.switch.ports.get(device)
    try:
        wanted = host.vif(vif)
    except (InputError, HotplugPendingError):
        assert host.errors[device]
        return
    if wanted.offloaded:
        return
    if wanted.locking.mode is LockingMode.DISABLED:
        assert port is None
    elif wanted.bridge not in BRIDGES:
        assert host.errors[device]
    else:
        assert port is not None
        is_there = port[:2] == VLANS.get(wanted.bridge, (wanted.bridge, None))
        # what somebody moved on purpose is left there
        assert is_there or host.placed.get(device, wanted.bridge) == wanted.bridge
    if kind is DeviceType.VIF and not host.errors.get(device) and port is not None and device in host.placed:
        assert vif in host.online

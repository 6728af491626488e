"""reconcile/xapi_state.py: records absorbed from events, and what each asks for."""

from __future__ import annotations

from xsagent.model.records import Network, Pool, Ref
from xsagent.model.xapi_ids import Guests, GuestVm
from xsagent.reconcile.pool_reading import PoolReading
from xsagent.reconcile.xapi_state import Changes, XapiState
from xsagent.sources.xapi_events import Event, EventBatch

NET = {"uuid": "n0", "bridge": "xenbr0", "PIFs": ["pif0", "pif9"], "other_config": {"junk": "x" * 1000}}
NEXT = "1,0"
COUNTS = {"network": 1, "pool": 1, "sdn_controller": 0}


def begin() -> XapiState:
    """One network, the pool, and a VM with one VIF."""
    reading = PoolReading(
        counts=COUNTS,
        networks=(Network(ref=Ref("net0"), uuid="n0", bridge="xenbr0", pifs=(Ref("pif0"),)),),
        pool=Pool(ref=Ref("pool")),
        guests=Guests(vms=(GuestVm(ref=Ref("vm1"), uuid="m1", vifs=(Ref("vif1"),)),)),
    )
    return XapiState.begin(reading, ["m1", "m2"])


def batch(*events: tuple[str, str, str, dict[str, object] | None], **counts: int) -> EventBatch:
    """Operation, class, reference and record of each; numbers that differ from COUNTS."""
    told = tuple(
        Event(operation=operation, kind=kind, ref=Ref(ref), snapshot=raw) for operation, kind, ref, raw in events
    )
    return EventBatch(token=NEXT, events=told, counts=COUNTS | counts)


def test_an_event_that_says_nothing_new_asks_for_nothing() -> None:
    """A network changes with each VIF of the pool; of it only what counts here is held."""
    state = begin()

    assert state.absorb(batch(("mod", "network", "net0", NET))) == Changes()
    assert state.networks[Ref("net0")] == Network(ref=Ref("net0"), uuid="n0", bridge="xenbr0", pifs=(Ref("pif0"),))


def test_a_network_that_changed_is_held() -> None:
    """Its ids; and whether it became internal."""
    state = begin()
    new = NET | {"other_config": {"nicira-bridge-id": "b"}, "PIFs": []}

    assert state.absorb(batch(("mod", "network", "net0", new))).ids
    assert state.networks[Ref("net0")].other_config == {"nicira-bridge-id": "b"}
    assert state.networks[Ref("net0")].pifs == ()
    assert state.absorb(batch(("del", "network", "net0", None), network=0)) == Changes()
    assert state.networks == {}


def test_networks_of_other_hosts_are_not_taken_up() -> None:
    """What was not read at first has PIFs of others alone; one that is new is held, its PIFs may be ours."""
    state = begin()

    assert not state.absorb(batch(("mod", "network", "else", NET | {"bridge": "xapi7"}))).ids
    assert Ref("else") not in state.networks
    assert state.absorb(batch(("add", "network", "new", NET | {"bridge": "xapi8", "PIFs": []}), network=2)).ids
    assert state.networks[Ref("new")].pifs == ()


def test_a_lost_deletion_shows_in_the_numbers() -> None:
    """Adds and deletions that were told of must give what there is."""
    assert begin().absorb(batch(network=0)).lost
    assert not begin().absorb(batch(("add", "network", "n", NET), network=2)).lost
    assert not begin().absorb(EventBatch(token=NEXT, events=(), counts={})).lost


def test_the_pools_word_and_the_controllers() -> None:
    """They ask for the manager; any other change of the pool does not."""
    state, pool = begin(), {"uuid": "p", "vswitch_controller": "", "other_config": {"auto_poweron": "true"}}

    assert state.absorb(batch(("mod", "pool", "pool", pool))) == Changes()
    assert state.absorb(batch(("mod", "pool", "pool", pool | {"vswitch_controller": "192.0.2.1"}))).control
    secure = {"vswitch-controller-fail-mode": "secure"}
    assert state.absorb(
        batch(("mod", "pool", "pool", pool | {"vswitch_controller": "192.0.2.1", "other_config": secure}))
    ) == Changes(ids=True, control=True)
    one = {"uuid": "s", "protocol": "pssl", "address": "", "port": "0"}
    assert state.absorb(batch(("add", "sdn_controller", "s", one), sdn_controller=1)).control
    assert not state.absorb(batch(("mod", "sdn_controller", "s", one), sdn_controller=1)).control
    assert state.absorb(batch(("del", "sdn_controller", "s", None))).control


def test_guests_are_followed_one_by_one() -> None:
    """A VIF that comes with an id, loses it and goes; a VM of another host is not taken up."""
    state = begin()
    assert state.kinds() == ["network", "pool", "sdn_controller", "vm/vm1", "vif/vif1"]

    vif = {"uuid": "v1", "other_config": {"nicira-iface-id": "lport-1"}}
    assert state.absorb(batch(("mod", "vif", "vif1", vif))).ids
    assert state.vifs[Ref("vif1")].iface_id == "lport-1"
    assert not state.absorb(batch(("mod", "vif", "vif1", vif))).ids
    assert state.absorb(batch(("mod", "vif", "vif1", vif | {"other_config": {}}))).ids
    assert state.absorb(batch(("del", "vif", "vif1", None))).ids
    vm = {"uuid": "m1", "VIFs": ["vif1"], "other_config": {"nicira-vm-id": "vm-1"}}
    assert state.absorb(batch(("mod", "vm", "vm1", vm))).ids
    assert not state.absorb(batch(("mod", "vm", "vm1", vm))).ids
    assert not state.absorb(batch(("add", "vm", "vm9", vm))).ids
    assert set(state.vms) == {"vm1"}


def test_a_vm_with_one_vif_more_is_asked_about_again() -> None:
    """Of the VIF nothing was read."""
    state = begin()

    assert state.absorb(batch(("mod", "vm", "vm1", {"uuid": "m1", "VIFs": ["vif1", "vif2"]}))).ids
    assert state.vms == {}
    assert state.asked == {"m2"}


def test_guests_that_are_gone_are_forgotten() -> None:
    """With their VIFs, and with what XAPI was asked about."""
    state = begin()
    state.absorb(batch(("mod", "vif", "vif1", {"uuid": "v1", "other_config": {}})))

    state.keep_guests(frozenset({"m2"}))

    assert (state.vms, state.vifs, state.asked) == ({}, {}, {"m2"})


def test_a_record_that_cannot_be_read_stays_as_it_was() -> None:
    """And is counted."""
    state = begin()

    assert state.absorb(batch(("mod", "network", "net0", {"uuid": "n0", "bridge": ["?"]}))) == Changes()
    assert state.networks[Ref("net0")].bridge == "xenbr0"

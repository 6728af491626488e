"""What xsagentd keeps of XAPI by its events is what a fresh reading would bring, after any history of changes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from xsagent.model.records import Ref
from xsagent.model.xapi_ids import Guests
from xsagent.reconcile.pool_reading import KINDS, PoolReading, trim_network
from xsagent.reconcile.xapi_state import XapiState
from xsagent.sources.xapi_events import Event, EventBatch
from xsagent.sources.xapi_ids import parse_guest_vif, parse_guest_vm
from xsagent.sources.xapi_manager import parse_sdn_controller
from xsagent.sources.xapi_records import parse_network, parse_pool

Raw = Mapping[str, object]
Database = Mapping[str, Mapping[str, Raw]]
"""Records by class in lower case, and by reference."""

_ID = st.sampled_from(["", "a", "b", "a\nb"])


def _other_config(key: str) -> st.SearchStrategy[dict[str, str]]:
    return st.builds(lambda value, junk: ({key: value} if value else {}) | {"junk": junk}, _ID, st.text(max_size=3))


def _records(refs: list[str], raw: st.SearchStrategy[dict[str, object]]) -> st.SearchStrategy[dict[str, Raw]]:
    def named(found: dict[str, dict[str, object]]) -> dict[str, Raw]:
        return {ref: {"uuid": ref, **one} for ref, one in found.items()}

    return st.dictionaries(st.sampled_from(refs), raw).map(named)


NETWORKS = _records(
    ["n1", "n2", "n3"],
    st.fixed_dictionaries(
        {
            "bridge": st.sampled_from(["", "xenbr0", "xapi3"]),
            "PIFs": st.sampled_from([[], ["ours"]]),
            "VIFs": st.lists(st.sampled_from(["x", "y"])),
            "other_config": _other_config("nicira-bridge-id"),
        }
    ),
)
POOLS = st.fixed_dictionaries(
    {
        "vswitch_controller": st.sampled_from(["", "192.0.2.1"]),
        "other_config": st.sampled_from([{}, {"vswitch-controller-fail-mode": "secure"}]),
    }
).map(lambda raw: {"pool": {"uuid": "pool", **raw}})
CONTROLLERS = _records(["c1", "c2"], st.fixed_dictionaries({"protocol": st.sampled_from(["ssl", "pssl"])}))
VIFS = st.fixed_dictionaries(
    {
        ref: st.builds(lambda config: {"uuid": "x", "other_config": config}, _other_config("nicira-iface-id"))
        for ref in ("vif1", "vif2", "vif3")
    }
).map(lambda found: {ref: {**raw, "uuid": ref} for ref, raw in found.items()})
VMS = st.fixed_dictionaries({"other_config": _other_config("nicira-vm-id")}).map(
    lambda raw: {"vm1": {"uuid": "vm1", "VIFs": ["vif1", "vif2"], **raw}}
)
DATABASES = st.fixed_dictionaries(
    {"network": NETWORKS, "pool": POOLS, "sdn_controller": CONTROLLERS, "vm": VMS, "vif": VIFS}
)


def read(database: Database) -> PoolReading:
    """What a bulk read of it brings: a VIF without other_config would not come, so all have some."""
    mine = {"vif1", "vif2"}
    return PoolReading(
        counts={kind: len(database[kind]) for kind in KINDS},
        networks=tuple(
            trim_network(parse_network(Ref(ref), raw, [Ref("ours")])) for ref, raw in database["network"].items()
        ),
        pool=next(parse_pool(Ref(ref), raw) for ref, raw in database["pool"].items()),
        controllers=tuple(parse_sdn_controller(Ref(ref), raw) for ref, raw in database["sdn_controller"].items()),
        guests=Guests(
            vms=tuple(parse_guest_vm(Ref(ref), raw) for ref, raw in database["vm"].items()),
            vifs=tuple(parse_guest_vif(Ref(ref), raw) for ref, raw in database["vif"].items() if ref in mine),
        ),
    )


def tell(before: Database, after: Database, kinds: list[str]) -> EventBatch:
    """What event.from answers: adds, mods, dels, of what was asked for (wire.md section 8)."""
    events: list[Event] = []
    for operation in ("add", "mod", "del"):
        for kind in before:
            old, new = before[kind], after[kind]
            refs = {
                "add": new.keys() - old.keys(),
                "mod": {ref for ref in new.keys() & old.keys() if new[ref] != old[ref]},
                "del": old.keys() - new.keys(),
            }[operation]
            events += [
                Event(kind=kind, ref=Ref(ref), operation=operation, snapshot=new.get(ref))
                for ref in sorted(refs)
                if kind in kinds or f"{kind}/{ref}" in kinds
            ]
    return EventBatch(token=str(len(events)), events=tuple(events), counts={k: len(after[k]) for k in before})


@given(st.lists(DATABASES, min_size=1, max_size=6))
def test_events_lead_to_what_a_reading_brings(history: list[Database]) -> None:
    """Records, ids and the word on the controller; nothing counts as lost, and what changed was said."""
    state = XapiState.begin(read(history[0]), ["vm1"])
    for before, after in itertools.pairwise(history):
        word, ids = state.word, ids_of(state, after["network"])
        changes = state.absorb(tell(before, after, state.kinds()))

        fresh = XapiState.begin(read(after), ["vm1"])
        assert not changes.lost
        assert (state.networks, state.pool, state.controllers) == (fresh.networks, fresh.pool, fresh.controllers)
        assert (state.vms, state.vifs, state.counts, state.word) == (fresh.vms, fresh.vifs, fresh.counts, fresh.word)
        assert changes.control is (word != fresh.word)
        assert changes.ids or ids_of(fresh, after["network"]) == ids


def ids_of(state: XapiState, there: Mapping[str, object]) -> object:
    """What decides about ids of guests, and of networks that are still there: one that goes takes no id with it."""
    networks = {
        ref: (one.bridge, bool(one.pifs), one.other_config) for ref, one in state.networks.items() if ref in there
    }
    return networks, state.vms, {ref: vif for ref, vif in state.vifs.items() if vif.iface_id}


@given(DATABASES, DATABASES, st.sampled_from(KINDS))
def test_one_deletion_that_was_not_told_of_is_noticed(before: Database, after: Database, kind: str) -> None:
    """By the number of objects that there are."""
    state = XapiState.begin(read(before), ["vm1"])
    batch = tell(before, after, state.kinds())
    gone = [event for event in batch.events if event.kind == kind and event.operation == "del"]
    kept = tuple(event for event in batch.events if event not in gone[:1])

    lost = state.absorb(EventBatch(token=batch.token, events=kept, counts=batch.counts)).lost

    assert lost is bool(gone)

"""XAPI's records that count, kept in step with its events. Pure.

Begins with a `PoolReading`, absorbs each `EventBatch`, says what must be looked at again. `xapi_follower.py` holds it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from xsagent.errors import InputError
from xsagent.model.records import Network, Pool, Ref
from xsagent.model.sdn_controller import SdnController
from xsagent.model.xapi_ids import Guests, GuestVif, GuestVm
from xsagent.reconcile.external_ids import IdRecords
from xsagent.reconcile.pool_reading import KINDS, PoolReading, trim_network
from xsagent.sources.xapi_events import Event, EventBatch
from xsagent.sources.xapi_ids import parse_guest_vif, parse_guest_vm
from xsagent.sources.xapi_manager import parse_sdn_controller
from xsagent.sources.xapi_records import parse_network, parse_pool

ControlWord = tuple[str, str, tuple[tuple[str, str, str], ...]]
"""What XAPI says of the switch as a whole, to be compared with what it said before."""
_FAIL_MODE_KEY: Final = "vswitch-controller-fail-mode"
_COUNTED: Final = {"add": 1, "mod": 0, "del": -1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What some events ask for.

    Attributes:
        ids: compare ids with the switch.
        control: XAPI may want another controller, or another fail mode of all bridges.
        lost: an event was missed: read everything again.
    """

    ids: bool = False
    control: bool = False
    lost: bool = False


@dataclass(slots=True, kw_only=True)
class XapiState:
    """The records.

    Attributes:
        asked: VMs that XAPI was asked about, by uuid; it may not know all of them.
        counts: objects of each class of KINDS that there must be.
    """

    networks: dict[Ref, Network] = field(default_factory=dict)
    pool: Pool | None = None
    controllers: dict[Ref, SdnController] = field(default_factory=dict)
    vms: dict[Ref, GuestVm] = field(default_factory=dict)
    vifs: dict[Ref, GuestVif] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def begin(cls, reading: PoolReading, asked: Iterable[str]) -> XapiState:
        """The state as it was read."""
        state = cls(
            networks={network.ref: network for network in reading.networks},
            pool=reading.pool,
            controllers={controller.ref: controller for controller in reading.controllers},
            counts={kind: reading.counts.get(kind, 0) for kind in KINDS},
        )
        state.add_guests(reading.guests, asked)
        return state

    @property
    def records(self) -> IdRecords:
        """What decides about ids."""
        return IdRecords(networks=self.networks, vms=self.vms, vifs=self.vifs)

    @property
    def word(self) -> ControlWord:
        """What decides about manager, and fail mode where no network says otherwise."""
        pool = self.pool
        controllers = sorted((one.protocol, one.address, one.port) for one in self.controllers.values())
        if pool is None:
            return "", "", tuple(controllers)
        return pool.vswitch_controller, pool.other_config.get(_FAIL_MODE_KEY, ""), tuple(controllers)

    def kinds(self) -> list[str]:
        """What events are wanted of: whole classes, and the guests here one by one: a pool has thousands."""
        guests = [f"vm/{ref}" for ref in self.vms]
        guests += [f"vif/{ref}" for vm in self.vms.values() for ref in vm.vifs]
        return [*KINDS, *guests]

    # -- guests ----------------------------------------------------------------------------------------------

    def add_guests(self, guests: Guests, asked: Iterable[str]) -> None:
        """Take over what was read about some VMs."""
        self.vms |= {vm.ref: vm for vm in guests.vms}
        self.vifs |= {vif.ref: vif for vif in guests.vifs}
        self.asked |= set(asked)

    def keep_guests(self, present: Collection[str]) -> None:
        """Forget VMs that have no port here any more."""
        self.asked &= set(present)
        self.vms = {ref: vm for ref, vm in self.vms.items() if vm.uuid in present}
        kept = {ref for vm in self.vms.values() for ref in vm.vifs}
        self.vifs = {ref: vif for ref, vif in self.vifs.items() if ref in kept}

    # -- events ----------------------------------------------------------------------------------------------

    def absorb(self, batch: EventBatch) -> Changes:
        """Take over what changed; a record that cannot be read stays as it was."""
        before, ids = self.word, False
        for event in batch.events:
            if event.kind in self.counts:
                self.counts[event.kind] += _COUNTED.get(event.operation, 0)
            try:
                ids |= self._absorb(event)
            except InputError:
                continue
        lost = any(batch.counts.get(kind, count) != count for kind, count in self.counts.items())
        control = self.word != before
        return Changes(ids=ids or control, control=control, lost=lost)

    def _absorb(self, event: Event) -> bool:
        """Whether ids, or what counts on internal bridges, may have changed."""
        match event.kind:
            case "network":
                return self._absorb_network(event)
            case "pool" if event.snapshot is not None:
                self.pool = parse_pool(event.ref, event.snapshot)
            case "sdn_controller":
                self._absorb_controller(event)
            case "vm":
                return self._absorb_vm(event)
            case "vif":
                return self._absorb_vif(event)
        return False

    def _absorb_network(self, event: Event) -> bool:
        before = self.networks.get(event.ref)
        if event.snapshot is None:
            self.networks.pop(event.ref, None)
            return False
        pifs = event.snapshot.get("PIFs")
        listed = frozenset(Ref(str(pif)) for pif in pifs) if isinstance(pifs, list) else frozenset[Ref]()
        if before is None and listed and event.operation != "add":
            return False  # other hosts' PIFs alone are on it
        ours = frozenset(before.pifs) if before is not None and before.pifs else listed
        self.networks[event.ref] = trim_network(parse_network(event.ref, event.snapshot, ours))
        return self.networks[event.ref] != before

    def _absorb_controller(self, event: Event) -> None:
        if event.snapshot is None:
            self.controllers.pop(event.ref, None)
        else:
            self.controllers[event.ref] = parse_sdn_controller(event.ref, event.snapshot)

    def _absorb_vm(self, event: Event) -> bool:
        before = self.vms.get(event.ref)
        if before is None or event.snapshot is None:
            return False
        vm = parse_guest_vm(event.ref, event.snapshot)
        self.vms[event.ref] = vm
        if set(vm.vifs) - set(before.vifs):
            # of a VIF that is new nothing was read: the VM counts as unknown again
            del self.vms[event.ref]
            self.asked.discard(vm.uuid)
            return True
        return vm.vm_id != before.vm_id

    def _absorb_vif(self, event: Event) -> bool:
        before = self.vifs.pop(event.ref, None)
        if event.snapshot is None:
            return before is not None
        self.vifs[event.ref] = parse_guest_vif(event.ref, event.snapshot)
        return self.vifs[event.ref] != before

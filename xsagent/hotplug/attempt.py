"""Events -> one attempt to have them all done: read, decide, apply, verify, report. Effects; waits for nothing.

`handle` repeats it for what is still WAITING; the daemon gives it whole batches, which cost one OVSDB transaction
and one ovs-ofctl a bridge. Each device ends with an Outcome of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from xsagent.apply.learned import forget_learned
from xsagent.apply.netdev import prepare_netdevs, set_netdevs_up
from xsagent.apply.ovsdb import apply_ovsdb
from xsagent.errors import HotplugPendingError, InputError, VerifyError, XsagentError
from xsagent.hotplug.decide import Observed, decide, is_made_anew, rely_on_pair
from xsagent.hotplug.decision import Verdict
from xsagent.hotplug.event import Action, Event, Want
from xsagent.hotplug.lock import is_leaving, lock_attached, prune_flows, unlock_leaving
from xsagent.hotplug.mirror import bridges_to_look_at, decide_mirror
from xsagent.hotplug.peers import Peers
from xsagent.hotplug.places import find_port
from xsagent.hotplug.proxied import proxy_attached, unproxy_leaving
from xsagent.hotplug.report import report_works
from xsagent.hotplug.unlocked import REMEDY, find_unlocked
from xsagent.hotplug.work import AT_ONCE, Outcome, Result, Work, batched, failed_outcome, for_all, for_each
from xsagent.log import get_logger
from xsagent.model.vif import DeviceType, LockingMode
from xsagent.observed.netdev import read_netdevs
from xsagent.observed.vif_ports import read_vif_ports
from xsagent.plan.steps import OvsdbStep
from xsagent.sources.vif import VifKeys, find_pvs_helper
from xsagent.sources.vif_reader import read_all_vif_keys, read_vif
from xsagent.topology.values import Bridge

SWITCH_ANSWER_S: Final = 5.0
_COMMIT_S: Final = 20.0
_LOG = get_logger()


def attempt(
    peers: Peers,
    events: Sequence[Event],
    *,
    placed: Mapping[str, str] | None = None,
) -> list[Outcome]:
    """Try to have each event done, once; one Outcome for each, in their order. Idempotent.

    No failure is written to xenstore here: `handle` knows when it is final.

    Args:
        peers: connections; one that broke is dropped and opened anew by the next attempt.
        events: at most one for a device (`event.merge_events`).
        placed: by device, for Action.REPAIR: the bridge on which we put it last.
    """
    one = Attempt(peers, [Work(event=event, placed=(placed or {}).get(event.device)) for event in events])
    one.read()
    one.change()
    one.report()
    one.unlock()
    return one.outcomes()


def _outcome(work: Work) -> Outcome:
    decision = work.decision
    if work.error is not None:
        return failed_outcome(work.event, work.error, work.paths)
    if decision is None or decision.verdict is Verdict.IGNORE:
        text = decision.reason if decision else ""
        return Outcome(event=work.event, result=Result.IGNORED, text=text, paths=work.paths)
    if decision.verdict is Verdict.LEAVE:
        left, text = work.placed or "", "; ".join(filter(None, (decision.reason, work.unlocked)))
        return Outcome(
            event=work.event, result=Result.IGNORED, text=text, paths=work.paths, placed=left, ofport=work.ofport
        )
    if work.hook is not None:
        return Outcome(event=work.event, result=Result.LEAVING, paths=work.paths, hook=work.hook)
    placed = decision.place.name if decision.place else ""
    said = [decision.reason] if decision.verdict is Verdict.KEEP_OFF else []
    text = "; ".join(filter(None, [work.unlocked, *said, *decision.warnings]))
    return Outcome(event=work.event, result=Result.DONE, text=text, paths=work.paths, placed=placed, ofport=work.ofport)


class Attempt:
    """One attempt, by the stages in which it is made: `read`, `change`, `report`, `unlock`; then there are outcomes."""

    def __init__(self, peers: Peers, works: list[Work]) -> None:
        self._peers = peers
        self._works = works
        self._by_device = {work.event.device: work for work in works}
        self._rundir = peers.paths.ovs_rundir
        self._switch_lives = False
        self._is_reported = False
        self._lock = partial(lock_attached, rundir=self._rundir, autoconf=peers.settings.locked_autoconf)

    @property
    def is_small(self) -> bool:
        """Whether its reading and reporting are one wait for xenstored each."""
        return len(self._works) <= AT_ONCE

    def read(self) -> None:
        """Read what the toolstack wants; changes nothing."""
        if self._open():
            self._peers.switch.ask()
        for group in batched(self._open(), AT_ONCE):
            for_all(group, self._read)

    def change(self, beside: Callable[[], None] | None = None) -> None:
        """Change the switch and the netdevs until everything is as wanted and was read back.

        Args:
            beside: run while the switch takes over the ports; not at all when nothing is committed, and again when
                the devices are tried one by one.
        """
        for_all(self._open(), self._observe_and_decide)
        self._take_out([work for work in self._decided(Verdict.ATTACH) if is_made_anew(work.link, work.before)])
        if not all(map(_is_quiet, self._decided())):
            for_all(self._decided(), self._require_switch)
        leaving = [work for work in self._decided() if work.has(Verdict.DETACH) or is_leaving(work)]
        unproxy_leaving(self._peers, leaving)
        for_all([work for work in self._decided() if is_leaving(work)], self._quiet)
        unlock_leaving(self._works, self._rundir)
        for_all([work for work in self._on_host() if not _is_quiet(work)], self._prepare)
        for_all(self._decided(), partial(self._commit, beside=beside))
        for_all([*self._on_host(), *self._decided(Verdict.LEAVE)], self._check_switch)
        self._lock([work for work in self._works if not _is_free(work)])
        for_all([work for work in self._decided() if _is_locked(work)], self._note_unlocked)
        proxy_attached(self._peers, self._decided(Verdict.ATTACH))
        for_all(self._on_host(), self._raise)
        for_all(self._decided(), self._prune)
        self._peers.locks.learn(self._works)

    def report(self) -> None:
        """Tell those who wait in xenstore; does so once."""
        if self._is_reported:
            return
        self._is_reported = True
        report_works(self._peers, self._decided())
        for work in self._decided():
            verdict = str(work.known.verdict)
            log = _LOG.debug if _was_right(work) else _LOG.info
            log("finish_hotplug", device=work.event.device, verdict=verdict, reason=work.known.reason)

    def unlock(self) -> None:
        """Take stale flows from ports that may send anything; their guests have their network by now."""
        self._lock([work for work in self._works if _is_free(work)])

    def outcomes(self) -> list[Outcome]:
        """How each event ended, in their order."""
        return [_outcome(work) for work in self._works]

    def _open(self) -> list[Work]:
        return [work for work in self._works if work.error is None and work.event.want is not Want.NOTHING]

    def _decided(self, *verdicts: Verdict) -> list[Work]:
        chosen = verdicts or (Verdict.ATTACH, Verdict.KEEP_OFF, Verdict.LEAVE, Verdict.DETACH)
        return [work for work in self._works if work.has(*chosen)]

    def _on_host(self) -> list[Work]:
        return self._decided(Verdict.ATTACH, Verdict.KEEP_OFF)

    # -- reading ---------------------------------------------------------------------------------------------

    def _read(self, works: list[Work]) -> None:
        """Read the toolstack's keys in one transaction. A device that leaves needs none: they may be gone, or wrong."""
        found = read_all_vif_keys(self._peers.store, [work.event.vif for work in works])
        keys = {work.event.device: one for work, one in zip(works, found, strict=True)}
        for_each(works, lambda work: self._parse(work, keys[work.event.device]))

    def _parse(self, work: Work, keys: VifKeys | InputError) -> None:
        event = work.event
        try:
            if isinstance(keys, InputError):
                raise keys
            work.paths = keys.paths
            work.pvs_helper = find_pvs_helper(keys)
            work.vif = read_vif(keys, self._peers.paths, backend=event.backend, vm_uuid=event.vm_uuid)
        except (InputError, HotplugPendingError):
            if event.want is Want.ATTACHED:
                raise

    def _observe_and_decide(self, works: list[Work]) -> None:
        bridges = self._read_bridges({work.event.vif.device(kind) for work in works for kind in DeviceType})
        devices = [work.event.device for work in works]
        links = read_netdevs(self._peers.paths.sys, devices)
        vifs = [work.vif for work in works if work.vif is not None and work.vif.bridge]
        aliases = self._peers.cached.find_aliases(bridges, {vif.bridge for vif in vifs})
        mtus = self._peers.cached.find_mtus({vif.bridge for vif in vifs if vif.mtu is None})
        observed = Observed(bridges=bridges, links=links, aliases=aliases, mtus=mtus)
        for_each(works, lambda work: self._decide(work, observed))

    def _decide(self, work: Work, observed: Observed) -> None:
        work.before = find_port(observed.bridges, work.event.device)
        work.link = observed.links.get(work.event.device)
        others = frozenset(kind for kind in DeviceType if self._will_be_there(work, kind, observed))
        decision = decide(work.event, work.vif, observed, others=others, placed=work.placed)
        allowed = self._peers.settings.promiscuous == "mirror"
        work.decision = rely_on_pair(decide_mirror(decision, observed.bridges, allowed=allowed), observed)
        for warning in work.decision.warnings:
            _warn(work, warning)
        if work.decision.verdict is Verdict.WAIT:
            raise HotplugPendingError(f"VIF {work.event.vif}: {work.decision.reason}; it was left as it was")

    def _will_be_there(self, work: Work, kind: DeviceType, observed: Observed) -> bool:
        """Whether the VIF's device of the other kind is in the switch after this attempt."""
        if kind is work.event.kind:
            return False
        name = work.event.vif.device(kind)
        other = self._by_device.get(name)
        if other is not None and other.error is None and other.event.want is not Want.NOTHING:
            return other.event.want is Want.ATTACHED
        return find_port(observed.bridges, name) is not None

    def _read_bridges(self, devices: Collection[str]) -> dict[str, Bridge]:
        """The bridges with the ports of these devices."""
        with self._peers.using_database() as database:
            return read_vif_ports(database, sorted(devices))

    # -- changing --------------------------------------------------------------------------------------------

    def _require_switch(self, _works: Sequence[Work] = ()) -> None:
        """Make sure before any effect that vswitchd lives; a burst's reconfiguration may keep it busy."""
        if not self._switch_lives:
            self._peers.switch.wait(SWITCH_ANSWER_S)
            self._switch_lives = True

    def _take_out(self, works: list[Work]) -> None:
        """Take out ports whose netdevs were made anew, with their flows, and decide again: they go in as new ones."""
        if not works:
            return
        leaving = [replace(work, event=replace(work.event, action=Action.REMOVE)) for work in works]
        Attempt(self._peers, leaving).change()
        for work, left in zip(works, leaving, strict=True):
            work.error = left.error
        for_all([work for work in works if work.error is None], self._observe_and_decide)

    def _quiet(self, works: list[Work]) -> None:
        """Silence ports that leave their bridge, so that no frame passes once their flows are gone."""
        _note(works, set_netdevs_up({work.event.device: work.link.ifindex for work in works if work.link}, up=False))

    def _prepare(self, works: list[Work]) -> None:
        decisions = [work.known for work in works]
        preps = [(one.prep, not one.in_place) for one in decisions if one.prep is not None]
        if preps:
            _note(works, prepare_netdevs(preps))
        for_each((work for work in works if work.error is None), self._set_offloads)

    def _set_offloads(self, work: Work) -> None:
        vif = work.vif
        if vif is not None and vif.ethtool and work.event.kind is DeviceType.VIF:
            from xsagent.hotplug.offloads import set_offloads  # noqa: PLC0415 - see its head

            set_offloads(work.event.device, vif.ethtool, self._peers.paths)

    def _commit(self, works: list[Work], beside: Callable[[], None] | None) -> None:
        """One transaction for all of them; netdevs that pass nothing yet are prepared while the switch takes it over.

        Each change of a netdev has the switch look at all its ports, which would delay what the transaction asks for.
        """
        operations = tuple(operation for work in works for operation in work.known.operations)
        relied = tuple(dict.fromkeys(entry for work in works for entry in work.known.relied))
        reason = f"hotplug of {', '.join(work.event.device for work in works[:20])}"
        step = OvsdbStep(operations=operations, relied=relied, reason=reason)
        with self._peers.using_database() as database:
            apply_ovsdb(
                database,
                step,
                time.monotonic() + _COMMIT_S,
                before=self._require_switch,
                meanwhile=partial(self._go_on, works, beside),
            )
        for bridge in bridges_to_look_at(work.known for work in works):
            forget_learned(self._rundir, bridge)

    def _go_on(self, works: list[Work], beside: Callable[[], None] | None) -> None:
        for_all([work for work in works if _is_quiet(work)], self._prepare)
        if beside is not None:
            beside()

    def _check_switch(self, works: list[Work]) -> None:
        """Read again and check: each port is where it belongs and has its number; a `disabled` one is on no bridge."""
        bridges = self._read_bridges({work.event.device for work in works})
        for_each(works, lambda work: self._check_port(work, bridges))

    def _check_port(self, work: Work, bridges: Mapping[str, Bridge]) -> None:
        device, found = work.event.device, find_port(bridges, work.event.device)
        place = work.known.place
        if place is None:
            if found is not None:
                raise VerifyError(f"{device} is still on bridge {found.place.name}, though its VIF is disabled")
            return
        if found is None or (found.place.bridge, found.place.tag) != (place.bridge, place.tag):
            where = f"on bridge {found.place.name}" if found else "on no bridge"
            raise VerifyError(f"{device} is {where} and not on {place.name}")
        interface = found.port.interfaces.get(device)
        work.ofport = interface.ofport or 0 if interface else 0
        if work.ofport <= 0:
            problem = interface.error if interface and interface.error else "it gave no number to its port"
            raise VerifyError(f"the switch does not forward for {device}: {problem}")

    def _note_unlocked(self, works: list[Work]) -> None:
        """Flows that the switch itself passes over lock nobody; what the toolstack asked for is done all the same."""
        ports = {work.event.device: (work.known.place.bridge, work.ofport) for work in works if work.known.place}
        with self._peers.using_database() as database:
            found = find_unlocked(database, self._rundir, ports)
        for work in works:
            if text := found.get(work.event.device):
                work.unlocked = f"{text}; {REMEDY}"
                _warn(work, work.unlocked)

    def _raise(self, works: list[Work]) -> None:
        """Set IFF_UP and check that it holds."""
        down = {
            work.event.device: work
            for work in works
            if work.known.prep is not None or work.link is None or not work.link.up
        }
        if down:
            indexes = {device: work.link.ifindex for device, work in down.items() if work.link}
            _note(works, set_netdevs_up(indexes))
            links = read_netdevs(self._peers.paths.sys, down)
            for device, work in down.items():
                work.link = links.get(device)
        for_each((work for work in works if work.error is None), _check_link)

    def _prune(self, works: list[Work]) -> None:
        """Take out flows of ports that others removed: their numbers cannot be asked for any more."""
        bridges = {w.before.place.bridge for w in works if w.before and is_leaving(w) and not w.ofport_before}
        repaired = (w for w in works if w.event.action is Action.REPAIR and w.before is None)
        bridges |= {w.known.place.bridge for w in repaired if w.known.place}
        if not bridges:
            return
        read_bridges = partial(_read_whole, self._peers, bridges)
        prune_flows(self._rundir, read_bridges(), read_bridges)


def _read_whole(peers: Peers, names: Collection[str]) -> dict[str, Bridge]:
    from xsagent.observed.ovsdb import read_ovsdb  # noqa: PLC0415 - for what vanished alone

    return {name: bridge for name, bridge in read_ovsdb(peers.database).bridges.items() if name in names}


def _note(works: Iterable[Work], wrong: Mapping[str, XsagentError]) -> None:
    """Give each Work what was wrong with its device, which ends it."""
    for work in works:
        work.error = wrong.get(work.event.device, work.error)


def _warn(work: Work, text: str) -> None:
    """Log a warning, unless the device's status says it already: a resync finds it again and again."""
    if text not in work.told:
        _LOG.warning("note_vif", device=work.event.device, text=text)


def _was_right(work: Work) -> bool:
    """Whether a resync found nothing to change at switch and netdev."""
    return work.event.action is Action.REPAIR and not work.known.operations and work.known.prep is None


def _check_link(work: Work) -> None:
    if work.link is None or not work.link.up:
        raise VerifyError(f"{work.event.device} did not come up; it is {'down' if work.link else 'gone'}")


def _is_quiet(work: Work) -> bool:
    """Whether its netdev is down and its port new, so that the netdev may be prepared in the switch as well."""
    link_up = work.link is not None and work.link.up
    return work.has(Verdict.ATTACH) and work.before is None and bool(work.known.operations) and not link_up


def _is_locked(work: Work) -> bool:
    """Whether its port has locking flows."""
    locked = work.vif is not None and work.vif.locking.mode is LockingMode.LOCKED
    return locked and work.has(Verdict.ATTACH, Verdict.LEAVE)


def _is_free(work: Work) -> bool:
    """Whether it is a new port that may send anything: a stale flow can wait until the guest has its network."""
    unlocked = work.vif is not None and work.vif.locking.mode is LockingMode.UNLOCKED
    return work.has(Verdict.ATTACH) and work.before is None and unlocked

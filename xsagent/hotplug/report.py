"""Works of an attempt -> what xenstore says of them, and the host's hook called. Effects.

The last stage of `attempt`: strictly after all was read back. What is told in which order is `apply/xenstore`'s affair.
"""

from __future__ import annotations

from collections.abc import Sequence

from xsagent.apply.xenstore import Hooked, Report, Told, remove_attached, write_attached
from xsagent.errors import XsagentError
from xsagent.hotplug.decision import Verdict
from xsagent.hotplug.event import Action
from xsagent.hotplug.hook import HookCall
from xsagent.hotplug.peers import Peers
from xsagent.hotplug.work import AT_ONCE, Outcome, Result, Work, batched, failed_outcome, for_all
from xsagent.model.vif import DeviceType, Layout

_HOOKED = {Action.ONLINE: Hooked.ALWAYS, Action.REPAIR: Hooked.WHEN_NEW}
"""A resync calls the hook for the event that it makes up for."""


def report_works(peers: Peers, works: Sequence[Work]) -> None:
    """Tell those who wait in xenstore what was decided and done; a hook that is started holds its own device alone."""
    known = [work for work in works if work.paths is not None]
    leaving = [work for work in known if work.has(Verdict.DETACH) and work.event.reports]
    _start_removal_hooks(peers, leaving)
    for group in batched([work for work in leaving if work.hook is None], AT_ONCE):
        for_all(group, lambda some: _take_back(peers, some))
    others = [work for work in known if not (work.has(Verdict.DETACH) and work.event.reports)]
    for group in batched(others, AT_ONCE):
        for_all(group, lambda some: _report(peers, some))


def write_facts(peers: Peers, works: Sequence[Work]) -> list[Work]:
    """Tell the numbers of devices that are not attached yet; returns those that are still there.

    The helper for PVS proxies reads them.
    """
    reports = [_build_report(work, has_hook=False, facts_only=True) for work in works]
    told = write_attached(peers.store, reports)
    return [work for work, said in zip(works, told, strict=True) if said is not Told.GONE]


def end_removals(peers: Peers, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Take back what was reported of devices that were LEAVING; one Outcome for each, in their order.

    Precondition: their hooks have ended (features.md section 15: xenopsd goes on when the report is gone).
    """
    return [ended for group in batched(outcomes, AT_ONCE) for ended in _end_some(peers, group)]


def _end_some(peers: Peers, outcomes: Sequence[Outcome]) -> list[Outcome]:
    try:
        remove_attached(peers.store, [(one.paths, one.event.kind) for one in outcomes if one.paths])
    except XsagentError as error:
        return [failed_outcome(one.event, error, one.paths) for one in outcomes]
    return [Outcome(event=one.event, result=Result.DONE, paths=one.paths) for one in outcomes]


def _start_removal_hooks(peers: Peers, works: Sequence[Work]) -> None:
    """Nothing here waits for them; the peers call it for a vif alone, at online and remove (features.md section 15)."""
    hooked = [work for work in works if work.event.kind is DeviceType.VIF]
    hooks = peers.hooks.start([_hook_call(work, "remove") for work in hooked])
    for work, hook in zip(hooked, hooks, strict=True):
        work.hook = hook


def _take_back(peers: Peers, works: list[Work]) -> None:
    """Take back the report of devices whose removal no hook delays; xenopsd waits for that."""
    remove_attached(peers.store, [(work.paths, work.event.kind) for work in works if work.paths])


def _report(peers: Peers, works: list[Work]) -> None:
    """What netback, xenopsd and the hook wait for; of setup-vif-rules, whose callers report, the port's number."""
    has_hook = peers.hooks.is_there
    reports = [_build_report(work, has_hook=has_hook) for work in works]
    told = list(zip(works, reports, write_attached(peers.store, reports), strict=True))
    for work, _, said in told:
        if said is not Told.GONE and work.has(Verdict.ATTACH):
            peers.pvs.tell(work.event.device)
    due = [(work, one.mark) for work, one, said in told if said is Told.HOOK_DUE]
    hooked = [pair for pair in due if pair[0].event.action is Action.ONLINE or not peers.hooks.is_pending(pair[1])]
    peers.hooks.start([_hook_call(work, "online", mark) for work, mark in hooked])


def _build_report(work: Work, *, has_hook: bool, facts_only: bool = False) -> Report:
    if work.paths is None:
        raise RuntimeError(f"nobody knows where {work.event.device} is reported")
    facts_only = facts_only or not work.event.reports or work.has(Verdict.LEAVE)
    is_hooked = has_hook and work.event.kind is DeviceType.VIF and not facts_only
    return Report(
        paths=work.paths,
        kind=work.event.kind,
        facts=_ofport(work) if facts_only else _facts(work),
        facts_only=facts_only,
        hooked=_HOOKED.get(work.event.action, Hooked.NEVER) if is_hooked else Hooked.NEVER,
    )


def _facts(work: Work) -> dict[str, str | None]:
    """Keys below HOTPLUG (features.md section 19)."""
    kind, device = work.event.kind, work.event.device
    name: dict[str, str | None] = {"vif": device} if kind is DeviceType.VIF else {}
    if work.link is None or _is_old(work):
        return name
    return name | {f"{kind}-ifindex": str(work.link.ifindex)} | _ofport(work)


def _ofport(work: Work) -> dict[str, str | None]:
    """Its port's number, None where it has no port: the key must not outlive the port."""
    return {} if _is_old(work) else {f"{work.event.kind}-ofport": str(work.ofport) if work.ofport else None}


def _is_old(work: Work) -> bool:
    """Whether its keys are in the old layout, which has the device's name alone."""
    return work.paths is not None and work.paths.layout is Layout.DOMID


def _hook_call(work: Work, action: str, mark: str = "") -> HookCall:
    vif_uuid, vm_uuid = _uuids(work)
    return HookCall(action=action, vif_uuid=vif_uuid, vm_uuid=vm_uuid, mark=mark)


def _uuids(work: Work) -> tuple[str, str]:
    """Of VIF and VM: the toolstack's word, else what the port was marked with."""
    if work.vif is not None:
        return work.vif.vif_uuid, work.vif.vm_uuid
    interface = work.before.port.interfaces.get(work.event.device) if work.before else None
    marks = interface.external_ids if interface else {}
    return marks.get("xs-vif-uuid") or "", marks.get("xs-vm-uuid") or ""

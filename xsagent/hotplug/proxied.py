"""Works of an attempt -> the rules of their PVS proxies put in, or out, at their time. Effects through `pvs`.

Between `attempt`'s phases: in before the link comes up, out before a port leaves. While the toolstack's helper is at it
the Work has an error, so that the attempt is made again; no other device waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from xsagent.errors import HotplugPendingError
from xsagent.hotplug.event import Action
from xsagent.hotplug.peers import Peers
from xsagent.hotplug.report import write_facts
from xsagent.hotplug.work import Work, for_all, for_each


def unproxy_leaving(peers: Peers, works: Sequence[Work]) -> None:
    """Have the rules of these devices taken out; a Work without an error has none any more."""
    for_each(works, partial(_unproxy, peers))


def _unproxy(peers: Peers, work: Work) -> None:
    if not peers.pvs.remove(work):
        raise HotplugPendingError(
            f"VIF {work.event.vif}: the rules of its PVS proxy are being taken out; its port is left until then"
        )


def proxy_attached(peers: Peers, works: Sequence[Work]) -> None:
    """Have the rules of these devices, whose ports were verified, put in; a Work without an error has them then."""
    due = [work for work in works if peers.pvs.is_due(work, again=work.event.action is not Action.REPAIR)]
    for_all(due, partial(_proxy, peers))
    for_each((work for work in works if work.error is None), partial(_await, peers))


def _proxy(peers: Peers, works: list[Work]) -> None:
    """The helper reads the number of the port in xenstore."""
    for work in write_facts(peers, works):
        peers.pvs.add(work)


def _await(peers: Peers, work: Work) -> None:
    if peers.pvs.is_adding(work.event.device):
        raise HotplugPendingError(
            f"VIF {work.event.vif}: the rules of its PVS proxy are being put in; its link is left as it is meanwhile"
        )

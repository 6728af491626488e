"""Rows of issue 5: interface-reconfigure handed to xsagentd, whole commands beside the bash script."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from host_state import settle
from rows_keep import one_host, script_up
from rows_vlans import VlanHost
from runs import Bench, describe, in_turn, wall
from table import Row
from vif_host import DAEMON
from xapi_host import XapiHost

from xsagent.sandbox.root_prefix import record_uuid
from xsagent.sandbox.xenopsd import guest_services

_TIMES = 9
_VLANS = 500
_TAG = 4000
_RE_UP_S = 0.040
_GROUP = "interface-reconfigure through xsagentd"
_REMEMBERED = "XAPI is asked what changed since it was read: nothing"
"""Of the runs measured: in life its record of the PIF changes after each, and the cache is written at the next."""


def rows() -> Iterator[Row]:
    """All rows of this group."""
    with _only_by_daemon():
        yield from _re_up()
        yield from _vlan_up()


@contextmanager
def _only_by_daemon() -> Iterator[None]:
    """A command that the daemon would not take must fail, and not be measured."""
    os.environ["XSAGENT_USE_DAEMON"] = "always"
    try:
        yield
    finally:
        del os.environ["XSAGENT_USE_DAEMON"]


def _re_up() -> Iterator[Row]:
    records, pif = one_host()
    with XapiHost(records, services=guest_services()) as host:
        bench = Bench(host.sandbox)
        host.sandbox.start_service(DAEMON)
        by_xapi = ("--pif-uuid", str(pif["uuid"]), "up")
        bench.ours(*by_xapi)
        pif["currently_attached"] = True
        host.restart_xapi()
        bench.ours(*by_xapi)
        settle(host.sandbox)
        mine, theirs = in_turn(_TIMES, lambda: bench.ours(*by_xapi), lambda: script_up(bench))
    yield Row(
        group=_GROUP, name="re-up of a right PIF, from XAPI", value=wall(mine), unit="s", baseline=wall(theirs),
        target=min(_RE_UP_S, wall(theirs) / 2), note=f"{describe(mine)}; {_REMEMBERED}",
    )  # fmt: skip


def _vlan_up() -> Iterator[Row]:
    with VlanHost(_VLANS) as host:
        bench, bridge = Bench(host.sandbox), f"xapi{_TAG}"
        host.boot_with(_VLANS)
        os.environ["XSAGENT_USE_DAEMON"] = "never"  # boot is never handed over
        bench.ours("--force-interface", "all", "up")
        os.environ["XSAGENT_USE_DAEMON"] = "always"
        host.carrier["currently_attached"] = True
        host.render_xapi()
        for service in (*guest_services(), DAEMON):
            host.sandbox.start_service(service)
        uuid, line = str(host.vlan["uuid"]), f"{bridge} xenbr0 {_TAG} {record_uuid(f'network {bridge}')}\n"
        bench.ours("--pif-uuid", uuid, "up")
        bench.ours("--pif-uuid", uuid, "down")
        ups, _downs, theirs, _ = in_turn(
            _TIMES,
            lambda: bench.ours("--pif-uuid", uuid, "up"),
            lambda: bench.ours("--pif-uuid", uuid, "down"),
            lambda: bench.script("baseline-vlans-up.sh", lines=line),
            lambda: bench.script("baseline-down.sh", bridge),
        )
        alone = median(host.switch_alone() for _ in range(_TIMES))
    yield Row(
        group=_GROUP, name=f"VLAN up beside {_VLANS}, from XAPI", value=wall(ups), unit="s", baseline=wall(theirs),
        target=wall(theirs) / 5, note=f"{describe(ups)}; {_REMEMBERED}",
    )  # fmt: skip
    note = "a bare transaction until the gateway answers: no way to verify takes less"
    yield Row(group=_GROUP, name="  of which the switch's own", value=alone, unit="s", note=note)

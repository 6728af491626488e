"""What a waiting worker of xsagentd does before its first request: decide and plan for a made-up host. Reads only.

A forked process copies each page on its first write, and the interpreter runs new code slowly: together half of what a
re-up takes. Both are then behind it. Nobody is asked but the kernel, which always answers; what comes out is dropped.
Called by `daemon/workers.py`.
"""

from __future__ import annotations

import contextlib
import time
import xmlrpc.client
from typing import Final

from xsagent.cli.reconfigure_options import parse_options
from xsagent.config import Paths
from xsagent.desired.build import build_desired
from xsagent.desired.request import BuildOptions, Request
from xsagent.errors import XsagentError
from xsagent.model.force_rewrite import build_one_pif_snapshot
from xsagent.observed.host import observe_host
from xsagent.plan.diff import build_plan
from xsagent.plan.options import PlanOptions
from xsagent.planning import interest_of
from xsagent.sources.dbcache import parse_dbcache
from xsagent.sources.dbcache_render import render_dbcache
from xsagent.sources.host_files import read_host_facts
from xsagent.sources.xmlrpc_answer import parse_answer

_WORDS: Final = ("--pif-uuid", "00000000-0000-0000-0000-000000000000", "up")
_PIF: Final = {
    "device": "eth0",
    "mac": "00:16:3e:00:00:01",
    "mode": "static",
    "ip": "192.0.2.10",
    "netmask": "255.255.255.0",
    "gateway": "192.0.2.1",
}
_READ_S: Final = 1.0
_ANSWER: Final = {"Status": "Success", "Value": {"OpaqueRef:1": {"PIFs": ["OpaqueRef:2"], "managed": True}}}


def rehearse(paths: Paths) -> None:
    """Go through what a re-up goes through, as far as no peer is needed; nothing is changed."""
    # a host where something cannot be read is no reason not to wait for requests: they say it
    with contextlib.suppress(XsagentError, OSError):
        go_through(paths)


def go_through(paths: Paths) -> None:
    """As `rehearse`; XsagentError, OSError: something of this host could not be read, or has no eth0."""
    parse_options(_WORDS)
    xmlrpc.client.dumps(("OpaqueRef:1",), "PIF.get_all_records")
    parse_answer(xmlrpc.client.dumps((_ANSWER,), methodresponse=True).encode())
    snapshot = build_one_pif_snapshot("xenbr0", _PIF, lambda _device: None)
    parse_dbcache(render_dbcache(snapshot))
    request = Request(action="up", pif=next(iter(snapshot.pifs)), becoming_management=False, origin="pif-uuid")
    desired = build_desired(snapshot, request, read_host_facts(paths), BuildOptions())
    observed = observe_host(paths, None, interest_of(desired), time.monotonic() + _READ_S)
    build_plan(desired, observed, PlanOptions())

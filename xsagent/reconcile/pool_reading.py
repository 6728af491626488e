"""XAPI's records -> the little of them that xsagentd keeps: networks' ids, guests' ids, who controls the switch. I/O.

A pool's records take tens of megabytes while they are read, so xsagentd has a process do it that ends
(`cli/pool_reader.py` calls `read_pool`, `read_pool_apart` starts it). `xapi_state.py` keeps the result.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from xsagent.child import own_command, run_child
from xsagent.config import Paths, Settings
from xsagent.desired.manager import build_control
from xsagent.errors import CommandError, InputError, XapiError, XapiUnavailableError, XsagentError
from xsagent.model.records import Network, Pool
from xsagent.model.sdn_controller import SdnController
from xsagent.model.xapi_ids import Guests
from xsagent.operations import build_options
from xsagent.reconcile.external_ids import BRIDGE_ID_KEY
from xsagent.reconcile.manager import control_options, require_one_pool
from xsagent.sources.host_files import read_host_facts, read_inventory
from xsagent.sources.xapi import open_session, read_snapshot
from xsagent.sources.xapi_events import fresh_start
from xsagent.sources.xapi_ids import read_guests
from xsagent.sources.xapi_manager import read_manager_records
from xsagent.topology.codec import from_json, to_json
from xsagent.topology.control import DesiredControl
from xsagent.topology.values import Json

KINDS: Final = ("network", "pool", "sdn_controller")
"""Classes of which every object's events are wanted."""
_KEPT_KEYS: Final = frozenset({BRIDGE_ID_KEY, "vswitch-controller-fail-mode", "vswitch-disable-in-band"})
_CHILD_GRACE_S: Final = 10.0
"""Beyond XAPI's deadline, for the interpreter's start and the parsing."""
_OUTPUT_LIMIT: Final = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolReading:
    """What was read.

    Attributes:
        token: for events of what changes after it.
        counts: objects of each class of KINDS.
        networks: those that a PIF of this host is on, and internal ones; of other_config what counts here.
        control: what XAPI wants of the switch beside PIFs; None where the records do not say.
        refused: why `control` is None.
    """

    token: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    networks: tuple[Network, ...] = ()
    pool: Pool | None = None
    controllers: tuple[SdnController, ...] = ()
    guests: Guests = field(default_factory=Guests)
    control: DesiredControl | None = None
    refused: str = ""


def trim_network(network: Network) -> Network:
    """The record without what nobody here asks for: a pool has hundreds of networks."""
    kept = {key: value for key, value in network.other_config.items() if key in _KEPT_KEYS}
    return Network(
        ref=network.ref,
        uuid=network.uuid,
        bridge=network.bridge,
        managed=network.managed,
        pifs=network.pifs[:1],
        other_config=kept,
    )


def read_pool(paths: Paths, settings: Settings, vm_uuids: Collection[str]) -> PoolReading:
    """Read in bulk, in a session of our own; the token is older than the records, so that no change is missed.

    Raises:
        XapiUnavailableError, XapiError: XAPI is away or refuses.
        InputError: this host's inventory cannot be used.
    """
    host_uuid = read_inventory(paths).installation_uuid
    with open_session(paths.xapi_sockets, settings.xapi_deadline_s, wait=False) as session:
        start = fresh_start(session, KINDS)
        records = read_manager_records(session, read_snapshot(session, host_uuid))
        guests = read_guests(session, vm_uuids)
    control, refused = None, ""
    try:
        require_one_pool(records)
        control = build_control(
            records.snapshot,
            records.controllers,
            read_host_facts(paths),
            build_options(paths, settings),
            control_options(paths, settings),
        )
    except InputError as error:
        refused = str(error)
    return PoolReading(
        token=start.token,
        counts=start.counts,
        networks=tuple(trim_network(network) for network in records.snapshot.networks.values()),
        pool=records.snapshot.pool,
        controllers=records.controllers,
        guests=guests,
        control=control if control is None else replace(control, reasons=()),
        refused=refused,
    )


def read_guests_only(paths: Paths, settings: Settings, vm_uuids: Collection[str]) -> PoolReading:
    """As `read_pool`, the guests alone."""
    with open_session(paths.xapi_sockets, settings.xapi_deadline_s, wait=False) as session:
        return PoolReading(guests=read_guests(session, vm_uuids))


# --- the process -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOrder:
    """What the process is told on stdin.

    Attributes:
        whole: False for the guests alone.
    """

    settings: Settings = field(default_factory=Settings)
    vm_uuids: tuple[str, ...] = ()
    whole: bool = True


def read_pool_apart(paths: Paths, settings: Settings, vm_uuids: Collection[str], *, whole: bool = True) -> PoolReading:
    """`read_pool`, or `read_guests_only`, in a process of its own; blocks until XAPI's deadline at the longest.

    Raises:
        XapiUnavailableError: XAPI is away.
        XapiError: it refuses, or the process failed.
    """
    order = ReadingOrder(settings=settings, vm_uuids=tuple(sorted(vm_uuids)), whole=whole)
    words = [*own_command("xsagent.cli.pool_reader"), f"--root-prefix={paths.root}", f"--daemon={os.getpid()}"]
    try:
        done = run_child(
            words,
            deadline_s=settings.xapi_deadline_s + _CHILD_GRACE_S,
            input_text=json.dumps(to_json(order)),
            output_limit=_OUTPUT_LIMIT,
        )
        form: Json = json.loads(done.stdout)
    except (CommandError, ValueError) as error:
        raise XapiError(f"the process that reads XAPI's records failed: {error}") from error
    if isinstance(form, dict) and "error" in form:
        kind = XapiUnavailableError if form.get("away") else XapiError
        raise kind(str(form["error"]))
    return from_json(PoolReading, form)


def answer_order(paths: Paths, text: str) -> Json:
    """What the process writes: the reading, or what went wrong."""
    try:
        order = from_json(ReadingOrder, json.loads(text))
        read = read_pool if order.whole else read_guests_only
        return to_json(read(paths, order.settings, order.vm_uuids))
    except XsagentError as error:
        return {"error": str(error), "away": isinstance(error, XapiUnavailableError)}

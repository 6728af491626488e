"""Ports in the switch, and xenopsd's files about their VIFs -> locking flows, while xenstored is away. Effects.

A switch that restarts then has no flows, and a look at everything waits for xenstored. The port names the VM, and the
file has the mode: so much is put in place by `look`. All else waits, also taking out the flows of guests that are no
longer locked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from xsagent.apply.flows import is_same, read_flows, replace_flows
from xsagent.errors import CommandError, HotplugPendingError, InputError, UsageError
from xsagent.hotplug.event import parse_device
from xsagent.hotplug.locking import render_flows
from xsagent.hotplug.peers import Peers
from xsagent.log import get_logger
from xsagent.sources.vif_reader import read_vif_by_file
from xsagent.topology.ownership import is_vif_port
from xsagent.topology.values import Bridge, Interface

_LOG = get_logger()


def lock_by_files(peers: Peers, bridges: Iterable[Bridge]) -> None:
    """Lock each VIF of which a file says so. A bridge that does not answer is passed over.

    Args:
        peers: whose switch it is; xenstored is not asked.
        bridges: read whole, just now.
    """
    for bridge in bridges:
        wanted = {number: lines for number, lines in _wanted_lines(peers, bridge) if lines}
        try:
            _put_in_place(peers, bridge.name, wanted)
        except CommandError as error:
            _LOG.warning("pass_over_flows", bridge=bridge.name, text=str(error))


def _put_in_place(peers: Peers, bridge: str, wanted: Mapping[int, tuple[str, ...]]) -> None:
    present = read_flows(peers.paths.ovs_rundir, bridge) if wanted else {}
    wrong = {number: lines for number, lines in wanted.items() if not is_same(lines, present.get(number, frozenset()))}
    if wrong:
        replace_flows(peers.paths.ovs_rundir, bridge, wrong)
        _LOG.info("lock_by_files", bridge=bridge, ofports=sorted(wrong))


def _wanted_lines(peers: Peers, bridge: Bridge) -> Iterator[tuple[int, tuple[str, ...]]]:
    for name, port in bridge.ports.items():
        interface = port.interfaces.get(name)
        if interface is None or not is_vif_port(port) or not interface.ofport or interface.ofport < 0:
            continue
        try:
            yield interface.ofport, _lines(peers, name, interface, interface.ofport)
        except (InputError, UsageError, HotplugPendingError) as error:
            _LOG.warning("pass_over_vif", device=name, text=str(error))


def _lines(peers: Peers, device: str, interface: Interface, ofport: int) -> tuple[str, ...]:
    _kind, vif = parse_device(device)
    described = read_vif_by_file(peers.paths, vif, interface.external_ids.get("xs-vm-uuid") or "")
    if described is None:
        return ()
    return render_flows(described.locking, described.mac, ofport, autoconf=peers.settings.locked_autoconf)

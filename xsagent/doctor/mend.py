"""The commands that mend, as a person types them: quoted, with the root prefix where there is one. Pure."""

from __future__ import annotations

import shlex

from xsagent.doctor.facts import Facts
from xsagent.model.records import UNTAGGED, IpMode, Network, Pif

RESTART_DAEMON = "systemctl restart xsagentd.service"
RESTART_TOOLSTACK = "xe-toolstack-restart"


def command(*words: str) -> str:
    """The words as one line for a shell."""
    return shlex.join(words)


def prefixed(facts: Facts, *words: str) -> str:
    """A command of ours, its root prefix last: all of them take options there."""
    prefix = (f"--root-prefix={facts.root}",) if facts.root else ()
    return command(*words, *prefix)


def up(facts: Facts, pif: Pif) -> str:
    """Bring the PIF up as its records say: what differs is set, what is right is left alone.

    Where xcp-networkd owns the topology, XAPI has it do that. While XAPI is away the PIF is named by its bridge: nobody
    waits for XAPI then. But management with a gateway that answers keeps the deadman, which ``--force`` has not.
    """
    if not facts.daemon.topology_is_ours:
        return command("xe", "pif-plug", f"uuid={pif.uuid}")
    snapshot = facts.records.snapshot
    bridge = snapshot.bridge_of(pif) if snapshot is not None else ""
    if facts.records.from_xapi or not bridge or (pif.management and any(facts.probes.gateways.values())):
        return prefixed(facts, "interface-reconfigure", "--pif-uuid", pif.uuid, "up")
    return prefixed(facts, "interface-reconfigure", "--force", bridge, "up")


def write_cache(facts: Facts, device: str) -> str:
    """Write a cache of management alone, on this NIC, without XAPI. Precondition: `Facts.management_bridge`."""
    management, words = facts.management(), [f"--device={device}", "--mac=x"]
    if management is not None and management.vlan != UNTAGGED:
        words.append(f"--vlan={management.vlan}")
    if management is not None and management.ip_mode == IpMode.STATIC:
        words += ["--mode=static", f"--ip={management.ip}", f"--netmask={management.netmask}"]
        words += [f"--gateway={management.gateway}"] if management.gateway else []
        words += [f"--dns={management.dns}"] if management.dns else []
    else:
        words.append("--mode=dhcp")
    return prefixed(facts, "interface-reconfigure", "--force", facts.management_bridge(), "rewrite", *words)


def create_network(facts: Facts, network: Network) -> str:
    """Make the bridge of an internal network."""
    return prefixed(facts, "xsagent", "network", "create", network.bridge)


def rewrite(facts: Facts) -> str:
    """Write the cache from XAPI."""
    return prefixed(facts, "interface-reconfigure", "rewrite")


def start_switch(facts: Facts) -> str:
    """Start whichever of Open vSwitch's daemons does not run."""
    return prefixed(facts, "xsagent", "openvswitch", "start")


def restart_switch(facts: Facts) -> str:
    """Restart both of Open vSwitch's daemons, flows saved."""
    return prefixed(facts, "xsagent", "openvswitch", "restart")


def ask_plugin(facts: Facts) -> str:
    """Have the plugin make the switch obey whom XAPI names."""
    uuid = facts.records.inventory.installation_uuid
    return command("xe", "host-call-plugin", f"host-uuid={uuid}", "plugin=openvswitch-cfg-update", "fn=update")

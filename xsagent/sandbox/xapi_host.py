"""SandboxSpec -> XAPI's records of the sandbox's host: what its network.dbcache says, as XAPI says it. Pure.

For the demo, where XAPI comes up after boot: `xapi_standin` serves these.
"""

from __future__ import annotations

from xsagent.sandbox.root_prefix import bridge_name, ip_fields, record_ref, record_uuid
from xsagent.sandbox.spec import SandboxSpec, nic_mac
from xsagent.sandbox.xapi_pool import Records, network_record, pif_record


def build_host(spec: SandboxSpec) -> Records:
    """A pool of this one host: a PIF and a network for each NIC, the first of them management."""
    host = record_ref("host")
    records: Records = {
        "host": {host: {"uuid": record_uuid("host"), "name_label": "dom0", "other_config": {}}},
        "pool": {
            record_ref("pool"): {
                "uuid": record_uuid("pool"),
                "master": host,
                "vswitch_controller": "",
                "other_config": {},
            }
        },
        "PIF": {},
        "network": {},
    }
    for empty in ("Bond", "VLAN", "tunnel", "network_sriov", "SDN_controller", "VM", "VIF"):
        records[empty] = {}
    for nic in spec.nics:
        management = spec.segments[0] if nic == spec.nics[0] else None
        bridge = bridge_name(nic)
        pif, network = record_ref(f"pif {nic}"), record_ref(f"network {bridge}")
        records["PIF"][pif] = {
            **pif_record(record_uuid(f"pif {nic}"), nic, network, host),
            **ip_fields(management, spec.management_address),
            "MAC": nic_mac(nic),
            "physical": True,
            "management": management is not None,
            "currently_attached": management is not None,
        }
        records["network"][network] = network_record(bridge, bridge) | {
            "uuid": record_uuid(f"network {bridge}"),
            "PIFs": [pif],
        }
    return records

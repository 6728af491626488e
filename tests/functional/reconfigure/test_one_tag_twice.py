"""XAPI bonds two NICs that have a VLAN of one tag each, of which one is management: the host stays reachable."""

from __future__ import annotations

import pytest
from host_records import HostRecords, Record, static
from host_state import addresses, bridges, ip, ports_of
from trunk import UNTAGGED, Trunk
from xapi_bonds import PifConfigurationError, XapiBonds
from xapi_host import XapiHost

from xsagent.sandbox.root_prefix import record_ref
from xsagent.sandbox.spec import Segment

TAG = 100
GATEWAY = "203.0.113.1"
ADDRESS = f"{GATEWAY}0"
PING = ("ping", "-c1", "-w5", "-i0.2")
SEGMENTS = (
    Segment(name="gateway", nics=("eth0", "eth1"), addresses=("198.51.100.1/24",)),
    Segment(name="other", nics=("eth2",), addresses=("198.18.0.1/24",)),
)


def records_for(gateway: str) -> HostRecords:
    """Management on the VLAN of eth0, guests on that of eth1."""
    records = HostRecords()
    for device in ("eth0", "eth1", "eth2"):
        records.nic(device)
    records.vlan("eth0", TAG, "xapiA", management=True, **static(ADDRESS, gateway=gateway))
    records.vlan("eth1", TAG, "xapiB")
    return records


def start(host: XapiHost) -> None:
    """Everything up, and the far end on the VLAN."""
    Trunk(host.sandbox, UNTAGGED).carry(TAG, f"{GATEWAY}/24")
    for pif in list(host.records.classes["PIF"].values()):
        host.up(pif, "--no-deadman")


def assert_reachable(host: XapiHost, said: str) -> None:
    """One device has the address, and the far host reaches it through the VLAN."""
    held = [link["ifname"] for link in ip(host.sandbox, "-4", "address", "show", "to", ADDRESS) if link]
    assert len(held) == 1, (said, held)
    host.sandbox.far().run(["ip", "neigh", "flush", "all"])
    assert host.sandbox.far().run([*PING, ADDRESS], check=False).returncode == 0, said


@pytest.mark.parametrize("gateway", [GATEWAY, ""])
def test_managements_vlan_bridge_stays_beside_the_other_until_management_moves(gateway: str) -> None:
    """The guests' VLAN comes first on the bond, and management's bridge has the tag that it needs."""
    with XapiHost(records_for(gateway), segments=SEGMENTS) as host:
        start(host)
        guest = host.sandbox.add_guest("guest", "xapiB", "203.0.113.17/24")
        xapi = XapiBonds(host, {guest.vif: "xapiB"}, lambda said: assert_reachable(host, said))

        xapi.create("bond0", ["eth1", "eth0"], "xapi0")

        assert bridges(host.sandbox) == ["xapi0", "xapiB", "xenbr2"]
        assert addresses(host.sandbox, "xapiB") == [f"{ADDRESS}/24"]
        assert ports_of(host.sandbox, "xapiB") == [guest.vif]
        assert guest.run([*PING, GATEWAY], check=False).returncode == 0


def test_a_record_that_takes_managements_address_is_refused_and_kept_out_of_the_cache() -> None:
    """XAPI copies the configuration of the guests' VLAN, none, over that of management, which is on the bond then."""
    with XapiHost(records_for(GATEWAY), segments=SEGMENTS) as host:
        start(host)
        xapi = XapiBonds(host, {}, lambda said: assert_reachable(host, said))

        with pytest.raises(PifConfigurationError, match="xapiA is the management interface") as refused:
            xapi.create("bond0", ["eth0", "eth1"], "xapi0")

        management: Record = host.records.classes["PIF"][record_ref(f"pif bond0.{TAG}")]
        assert management["uuid"] in str(refused.value)
        assert_reachable(host, "refused")
        host.up(host.records.classes["PIF"][record_ref("pif eth2")])
        assert f"<IP>{ADDRESS}</IP>" in (host.sandbox.root / "var/xapi/network.dbcache").read_text()

        management.update(static(ADDRESS, gateway=GATEWAY))
        host.up(management)
        assert_reachable(host, "given its address back")

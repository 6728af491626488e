"""NIC >= bond >= VLAN >= IP device >= VIF (features.md section 8): widths of the whole stack, read from the kernel."""

from __future__ import annotations

from host_records import HostRecords, Record, static
from host_state import ip, settle, transactions, vsctl, watched
from xapi_host import XapiHost

from initscripts import install_initscripts, take_calls
from xsagent.model.vif import VifId
from xsagent.sandbox.guest_vif import GuestVif
from xsagent.sandbox.spec import shared_segment
from xsagent.sandbox.xenopsd import guest_services

ONE_WIRE = shared_segment(nics=2)
BOND = ("eth0", "eth1", "xapi0")
STACK = (*BOND, "xapi100")


def vlan_on_bond(bond_mtu: str, vlan_mtu: str) -> tuple[HostRecords, Record, Record]:
    """Management on a bond of two NICs, and a VLAN with an address on it."""
    records = HostRecords()
    for device in ("eth0", "eth1"):
        records.nic(device)
    bond = records.bond("bond0", ["eth0", "eth1"], "xapi0", "active-backup", management=True, **static("192.0.2.10"))
    vlan = records.vlan("bond0", 100, "xapi100", **static("203.0.113.10", gateway=""))
    records.network_of(bond)["MTU"], records.network_of(vlan)["MTU"] = bond_mtu, vlan_mtu
    return records, bond, vlan


def widths(host: XapiHost, *devices: str) -> dict[str, int]:
    """MTU by device, as the kernel has it."""
    return {device: ip(host.sandbox, "link", "show", device)[0]["mtu"] for device in devices}


def all_of(mtu: int, *devices: str) -> dict[str, int]:
    """One width for all."""
    return dict.fromkeys(devices, mtu)


def plug(host: XapiHost, mtu: int) -> str:
    """Plug a VIF into the VLAN, as the toolstack does; its device."""
    vif = GuestVif(id=VifId(1, 0), bridge="xapi100", address="203.0.113.77/24", mtu=mtu)
    host.sandbox.xenopsd.plug(vif)
    return vif.device


def test_a_stack_of_one_width_has_it_from_the_nics_to_the_vif() -> None:
    """Also once the networks are narrower: what carries and what rides on it is narrowed by the carrier's up."""
    records, bond, vlan = vlan_on_bond("9000", "9000")
    with XapiHost(records, segments=ONE_WIRE, services=guest_services()) as host:
        host.up(bond, "--no-deadman")
        host.up(vlan)
        vif = plug(host, 9000)
        assert widths(host, *STACK, vif) == all_of(9000, *STACK, vif)

        records.network_of(bond)["MTU"] = records.network_of(vlan)["MTU"] = "1500"
        host.up(bond)

        assert widths(host, *STACK) == all_of(1500, *STACK)
        assert vsctl(host.sandbox, "get", "Interface", "xapi100", "mtu_request") == "1500"


def test_a_vlan_is_no_wider_than_a_carrier_that_stays_and_is_widened_with_it() -> None:
    """Management's carrier is not changed on the way; a second up has nothing to do, and the command named does it."""
    records, bond, vlan = vlan_on_bond("1500", "9000")
    with XapiHost(records, segments=ONE_WIRE, services=guest_services()) as host:
        host.up(bond, "--no-deadman")

        done = host.run("up", vlan)
        vlan["currently_attached"] = True
        assert "xapi100 gets MTU 1500, not 9000: eth0, eth1 below it is no wider" in done.stderr
        assert widths(host, *STACK) == all_of(1500, *STACK)
        settle(host.sandbox)
        before = transactions(host.sandbox)
        with watched(host.sandbox) as changes:
            host.up(vlan)
        assert (transactions(host.sandbox), changes) == (before, [])

        host.up(bond)

        vif = plug(host, 9000)
        wide = ("eth0", "eth1", "xapi100", vif)
        assert widths(host, *wide, "xapi0") == {**all_of(9000, *wide), "xapi0": 1500}
        before = transactions(host.sandbox)
        host.up(bond)
        host.up(vlan)
        assert transactions(host.sandbox) == before


def test_what_a_vlan_rides_on_is_not_narrowed_below_another_on_the_way() -> None:
    """Nor is that one touched, whose network is narrower now: the carrier's own up narrows all that it carries."""
    records = HostRecords()
    records.nic("eth1", management=True, **static("192.0.2.10"))
    nic = records.nic("eth0")
    wide, narrow = (records.vlan("eth0", tag, f"xapi{tag}") for tag in (100, 200))
    records.network_of(wide)["MTU"] = "9000"
    with XapiHost(records, segments=ONE_WIRE) as host:
        host.up(wide)
        assert widths(host, "eth0", "xapi100") == all_of(9000, "eth0", "xapi100")
        records.network_of(wide)["MTU"] = "1500"

        host.up(narrow)

        assert widths(host, "eth0", "xapi100", "xapi200") == {**all_of(9000, "eth0", "xapi100"), "xapi200": 1500}
        assert vsctl(host.sandbox, "get", "Interface", "eth0", "mtu_request") == "9000"
        before = transactions(host.sandbox)
        host.up(narrow)
        assert transactions(host.sandbox) == before
        host.up(nic)
        assert widths(host, "eth0", "xapi100", "xapi200") == all_of(1500, "eth0", "xapi100", "xapi200")


def test_a_carriers_own_up_narrows_it_below_no_vlan_that_only_the_switch_knows_of() -> None:
    """An admin's `up` of a VLAN is not XAPI's word: its guests' jumbo frames go on."""
    records = HostRecords()
    records.nic("eth0", management=True, **static("192.0.2.10"))
    nic = records.nic("eth1")
    vlan = records.vlan("eth1", 20, "xapi20")
    records.network_of(vlan)["MTU"] = "9000"
    with XapiHost(records, segments=ONE_WIRE) as host:
        host.up(vlan)
        vlan["currently_attached"] = False

        host.up(nic)

        assert widths(host, "eth1", "xenbr1", "xapi20") == {"eth1": 9000, "xenbr1": 1500, "xapi20": 9000}


def test_with_ifcfg_a_vlan_that_its_carrier_widened_stays_so() -> None:
    """Its file says so too: its own up restarts nothing, and an ifup narrows nothing."""
    records, bond, vlan = vlan_on_bond("1500", "9000")
    with XapiHost(records, segments=ONE_WIRE, ip_backend="ifcfg") as host:
        install_initscripts(host.sandbox)
        host.up(bond, "--no-deadman")
        host.up(vlan)
        assert widths(host, "xapi100") == {"xapi100": 1500}
        take_calls(host.sandbox)

        host.up(bond)
        host.up(vlan)

        assert take_calls(host.sandbox) == []
        assert widths(host, "xapi100") == {"xapi100": 9000}
        host.sandbox.run(["ifup", "xapi100"])
        assert widths(host, "xapi100") == {"xapi100": 9000}


def test_with_ifcfg_another_mtu_of_a_network_restarts_nothing() -> None:
    """Its device gets it live, and its file."""
    records, bond, vlan = vlan_on_bond("9000", "9000")
    with XapiHost(records, segments=ONE_WIRE, ip_backend="ifcfg") as host:
        install_initscripts(host.sandbox)
        host.up(bond, "--no-deadman")
        host.up(vlan)
        take_calls(host.sandbox)

        records.network_of(vlan)["MTU"] = "4000"
        host.up(vlan)

        assert take_calls(host.sandbox) == []
        assert widths(host, "xapi100") == {"xapi100": 4000}
        host.sandbox.run(["ifup", "xapi100"])
        assert widths(host, "xapi100") == {"xapi100": 4000}

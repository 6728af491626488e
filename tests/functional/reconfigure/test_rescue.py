"""Other hardware under the same records: management comes up on a NIC that is there (pains.md 2)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from host_records import HostRecords, Record, static
from host_state import addresses, ports_of, reconfigure, refuse, spec_for, succeed, vsctl, write_cache
from moved_disk import degraded_file, moved_disk
from xapi_host import XapiHost

from xsagent.config import Paths
from xsagent.rescue import look_for_carrier
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.root_prefix import record_ref
from xsagent.sandbox.spec import Segment, default_segments, shared_segment
from xsagent.topology.values import Link


def test_the_only_nic_stands_in_and_the_host_says_that_it_is_degraded() -> None:
    """Address, bridge and gateway are the stored ones; a warning and a state file say what happened."""
    records = moved_disk()
    with Sandbox(spec_for(records, segments=default_segments(nics=1))) as sandbox:
        done = reconfigure(sandbox, "--no-syslog", "--force", "xenbr0", "up")

        assert done.returncode == 0, done.stderr
        assert "rescue_management" in done.stderr
        assert vsctl(sandbox, "list-ports", "xenbr0") == "eth0"
        assert addresses(sandbox, "xenbr0") == ["192.0.2.10/24"]
        assert sandbox.run(["ping", "-c3", "-i0.3", "-W2", "192.0.2.1"], check=False).returncode == 0
        assert json.loads(degraded_file(sandbox).read_text())["stand_in"] == "eth0"


def test_of_two_nics_the_one_with_carrier_stands_in() -> None:
    """The cable says which; the whole boot set comes up the same way."""
    with Sandbox(spec_for(moved_disk())) as sandbox:
        sandbox.far("far1").set_carrier("eth1", up=False)

        succeed(sandbox, "--force-interface", "all", "up")

        assert vsctl(sandbox, "list-ports", "xenbr0") == "eth0"
        assert addresses(sandbox, "xenbr0") == ["192.0.2.10/24"]


def test_a_dry_run_raises_no_nic_and_writes_nothing_down() -> None:
    """It goes by the carrier that can be seen: NICs that are down show none."""
    with Sandbox(spec_for(moved_disk())) as sandbox:
        sandbox.run(["ip", "link", "set", "eth0", "down"])
        sandbox.run(["ip", "link", "set", "eth1", "down"])
        changes = ["cat", "/sys/class/net/eth0/carrier_changes", "/sys/class/net/eth1/carrier_changes"]
        before = sandbox.run(changes).stdout

        done = reconfigure(sandbox, "--no-syslog", "--dry-run", "--force-interface", "all", "up")

        assert "eth5 is not on this host" in done.stdout
        assert sandbox.run(changes).stdout == before
    with Sandbox(spec_for(moved_disk(), segments=default_segments(nics=1))) as sandbox:
        done = reconfigure(sandbox, "--no-syslog", "--dry-run", "--force", "xenbr0", "up")

        assert "eth0" in done.stdout
        assert not degraded_file(sandbox).exists()


def test_two_candidates_are_no_choice() -> None:
    """A guess could put management on a guest's wire: refused, with the command that says it."""
    with Sandbox(spec_for(moved_disk())) as sandbox:
        said = refuse(sandbox, "--force", "xenbr0", "up")

        assert "eth5" in said
        assert "rewrite --device" in said


def test_another_interface_comes_up_though_managements_nic_is_gone() -> None:
    """From the host's console, and as the legacy boot script asks for one after another."""
    records = moved_disk()
    records.nic("eth1", **static("198.51.100.10", gateway=""))
    with Sandbox(spec_for(records)) as sandbox:
        succeed(sandbox, "--force", "xenbr1", "up")

        assert vsctl(sandbox, "list-ports", "xenbr1") == "eth1"
        assert addresses(sandbox, "xenbr1") == ["198.51.100.10/24"]


def test_a_right_host_is_not_rescued() -> None:
    """A NIC of the recorded name is there, with another MAC: used by its name, as always."""
    records = moved_disk("eth0")
    with Sandbox(spec_for(records)) as sandbox:
        write_cache(sandbox, records)
        succeed(sandbox, "--force", "xenbr0", "up")

        assert vsctl(sandbox, "list-ports", "xenbr0") == "eth0"
        assert not degraded_file(sandbox).exists()


def test_a_renamed_nic_is_found_by_its_mac() -> None:
    """Of any number of NICs: this one is management's own."""
    records = HostRecords()
    records.nic("eth0", management=True, **static("192.0.2.10"))["device"] = "eth7"
    records.nic("eth1")
    with Sandbox(spec_for(records)) as sandbox:
        succeed(sandbox, "--force-interface", "all", "up")

        assert vsctl(sandbox, "list-ports", "xenbr0") == "eth0"
        assert vsctl(sandbox, "list-ports", "xenbr1") == "eth1"
        assert sandbox.run(["ping", "-c3", "-i0.3", "-W2", "192.0.2.1"], check=False).returncode == 0
        assert json.loads(degraded_file(sandbox).read_text())["gone"] == "eth7"


def test_a_bond_whose_members_were_all_renamed_has_them_all() -> None:
    """Each member by its own MAC."""
    records = HostRecords()
    for device in ("eth0", "eth1"):
        records.nic(device)
    records.bond("bond0", ["eth0", "eth1"], "xapi0", management=True, **static("192.0.2.10"))
    for pif in records.classes["PIF"].values():
        pif["device"] = {"eth0": "eth7", "eth1": "eth8"}.get(pif["device"], pif["device"])
    with Sandbox(spec_for(records, segments=shared_segment(nics=2))) as sandbox:
        succeed(sandbox, "--force-interface", "all", "up")

        assert members(sandbox) == {"eth0", "eth1"}
        assert addresses(sandbox, "xapi0") == ["192.0.2.10/24"]


def test_management_is_on_its_own_nic_where_two_have_swapped_names() -> None:
    """The other one makes way: it is not put on a wire by a guess."""
    records = HostRecords()
    first = records.nic("eth0", management=True, **static("192.0.2.10"))
    second = records.nic("eth1")
    first["MAC"], second["MAC"] = second["MAC"], first["MAC"]
    segments = (
        Segment(name="guests", nics=("eth0",), addresses=("198.18.0.1/24",)),
        Segment(name="lan", nics=("eth1",), addresses=("192.0.2.1/24",)),
    )
    with Sandbox(spec_for(records, segments=segments)) as sandbox:
        said = refuse(sandbox, "--force-interface", "all", "up")

        assert f"PIF {second['uuid']} (eth1) could not be brought up: eth1 stands in for management's eth0" in said
        assert vsctl(sandbox, "list-ports", "xenbr0") == "eth1"
        assert sandbox.run(["ping", "-c3", "-i0.3", "-W2", "192.0.2.1"], check=False).returncode == 0


def test_members_of_one_bond_may_have_each_others_names() -> None:
    """Nothing depends on which is which."""
    records = HostRecords()
    first, second = records.nic("eth0"), records.nic("eth1")
    records.bond("bond0", ["eth0", "eth1"], "xapi0", management=True, **static("192.0.2.10"))
    first["MAC"], second["MAC"] = second["MAC"], first["MAC"]
    with Sandbox(spec_for(records, segments=shared_segment(nics=2))) as sandbox:
        succeed(sandbox, "--force-interface", "all", "up")

        assert members(sandbox) == {"eth0", "eth1"}
        assert addresses(sandbox, "xapi0") == ["192.0.2.10/24"]


def test_a_member_of_managements_bond_is_found_by_its_mac_where_an_outside_nic_has_its_name() -> None:
    """The other member alone would do, and so does the whole bond; the outside NIC makes way."""
    records = HostRecords()
    records.nic("eth0")
    member, outside = records.nic("eth1"), records.nic("eth2", **static("198.51.100.10", gateway=""))
    records.bond("bond0", ["eth0", "eth1"], "xapi0", management=True, **static("192.0.2.10"))
    member["MAC"], outside["MAC"] = outside["MAC"], member["MAC"]
    with Sandbox(spec_for(records, segments=shared_segment(nics=3))) as sandbox:
        said = refuse(sandbox, "--force-interface", "all", "up")

        assert f"PIF {outside['uuid']} (eth2) could not be brought up: eth2 stands in for management's eth1" in said
        assert members(sandbox) == {"eth0", "eth2"}
        assert addresses(sandbox, "xapi0") == ["192.0.2.10/24"]


def members(sandbox: Sandbox) -> set[str]:
    """Interfaces of bond0's port."""
    rows = vsctl(sandbox, "get", "Port", "bond0", "interfaces").strip("[]").split(", ")
    return {vsctl(sandbox, "get", "Interface", row, "name") for row in rows}


def own_pif(records: HostRecords) -> Record:
    """The stand-in's own PIF."""
    return records.nic("eth0")


def vlan_on_it(records: HostRecords) -> Record:
    """A VLAN on the stand-in's own PIF."""
    return records.vlan("eth0", 7, "xapi7", **static("203.0.113.7", gateway=""))


def bond_with_it(records: HostRecords) -> Record:
    """A bond that has the stand-in's own PIF as a member."""
    records.nic("eth1")
    return records.bond("bond0", ["eth0", "eth1"], "xapi0", mode="active-backup")


@pytest.mark.parametrize("add", [None, vlan_on_it, bond_with_it])
def test_a_stand_in_is_not_taken_from_management_by_what_xapi_plugs(
    add: Callable[[HostRecords], Record] | None,
) -> None:
    """XAPI's start plugs what its records say: they do not know of the stand-in, and no deadman waits either."""
    records = moved_disk("eth9", bridge="xenbr9")
    own = own_pif(records)
    pif = add(records) if add is not None else own
    with XapiHost(records) as host:
        stand_in(host)

        done = host.run("up", pif)

        assert done.returncode == 1
        assert "management is on xenbr9, which would lose eth0" in done.stderr
        assert_management_answers(host.sandbox)


def test_a_stand_in_stays_up_when_its_own_pif_is_taken_down() -> None:
    """That PIF is not up; its NIC is, for management."""
    records = moved_disk("eth9", bridge="xenbr9")
    pif = own_pif(records)
    with XapiHost(records) as host:
        stand_in(host)

        done = host.run("down", pif)

        assert done.returncode == 1
        assert "management is on xenbr9, which would lose eth0" in done.stderr
        assert_management_answers(host.sandbox)


def stand_in(host: XapiHost) -> None:
    """Boot with eth0 in the place of management's eth9; then XAPI is there, and has management attached."""
    write_cache(host.sandbox, host.records)
    host.sandbox.far("far1").set_carrier("eth1", up=False)
    reconfigure(host.sandbox, "--force-interface", "all", "up")
    host.records.classes["PIF"][record_ref("pif eth9")]["currently_attached"] = True
    assert_management_answers(host.sandbox)


def assert_management_answers(sandbox: Sandbox) -> None:
    """From the wire that the stand-in is on."""
    assert ports_of(sandbox, "xenbr9") == ["eth0"]
    assert addresses(sandbox, "xenbr9") == ["192.0.2.10/24"]
    assert sandbox.run(["ping", "-c3", "-i0.3", "-W2", "192.0.2.1"], check=False).returncode == 0


def test_another_boot_chooses_the_stand_in_that_is_there_already() -> None:
    """The unit tries again after seconds, and other cables are in by then; also where the bridge did not stay."""
    records = moved_disk("eth9", bridge="xenbr9")
    own_pif(records)
    with Sandbox(spec_for(records)) as sandbox:
        sandbox.far("far1").set_carrier("eth1", up=False)
        reconfigure(sandbox, "--force-interface", "all", "up")
        sandbox.far("far1").set_carrier("eth1", up=True)

        reconfigure(sandbox, "--force-interface", "all", "up")

        assert_management_answers(sandbox)
        vsctl(sandbox, "del-br", "xenbr9")
        reconfigure(sandbox, "--force-interface", "all", "up")
        assert_management_answers(sandbox)


def test_what_makes_way_for_management_is_named() -> None:
    """The stand-in's own PIF and what is on it: with exit status 1, as all that a boot leaves out."""
    records = moved_disk("eth9", bridge="xenbr9")
    pif = records.nic("eth0", **static("203.0.113.10", gateway=""))
    vlan = vlan_on_it(records)
    with Sandbox(spec_for(records, segments=default_segments(nics=1))) as sandbox:
        said = refuse(sandbox, "--force-interface", "all", "up")

        assert f"PIF {pif['uuid']} (eth0), PIF {vlan['uuid']} (eth0.7) could not be brought up: eth0 stands in" in said
        assert_management_answers(sandbox)


def test_the_nic_that_would_stand_in_comes_up_for_its_own_pif_until_management_has_it() -> None:
    """From the console: what was asked for is done, unless it cuts management off."""
    records = moved_disk("eth9", bridge="xenbr9")
    own_pif(records)
    vlan_on_it(records)
    with Sandbox(spec_for(records, segments=default_segments(nics=1))) as sandbox:
        succeed(sandbox, "--force", "xapi7", "up")
        assert addresses(sandbox, "xapi7") == ["203.0.113.7/24"]
        succeed(sandbox, "--force", "xenbr9", "up")
        assert_management_answers(sandbox)

        said = refuse(sandbox, "--force", "xenbr0", "up")

        assert "management is on xenbr9, which would lose eth0" in said
        assert_management_answers(sandbox)


def test_a_nic_that_cannot_be_raised_is_passed_over() -> None:
    """Its driver may refuse, or it may be gone by then; the others are asked all the same."""
    gone = {"eth77": Link(name="eth77", physical=True)}

    assert "eth77" not in look_for_carrier(Paths.from_environ(None, {}), gone)

"""Small files of the host, as XAPI, the installer and the kernel write them and as accidents leave them."""

from __future__ import annotations

from pathlib import Path

import pytest

from xsagent.config import Paths
from xsagent.errors import BackendError, InputError
from xsagent.model.host import HostFacts, Inventory
from xsagent.sources.host_files import (
    check_backend,
    is_high_availability_running,
    is_ipv6_available,
    read_boot_id,
    read_host_facts,
    read_inventory,
    read_mac,
    read_network_boot_mac,
    read_root_macs,
    read_text,
)

UUID = "2918f291-8385-5b50-97ae-478fa33a6463"


def write(root: Path, name: str, text: str) -> Paths:
    """A file below the root, and the paths of that root."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return Paths(root)


def test_a_file_is_read_whole_up_to_a_megabyte(tmp_path: Path) -> None:
    """And refused beyond that, whatever it is read in."""
    path = tmp_path / "file"
    path.write_text("é" * (1 << 19))

    assert read_text(path) == "é" * (1 << 19)

    path.write_text("é" * (1 << 19) + ".")
    with pytest.raises(InputError, match="larger than 1048576 bytes"):
        read_text(path)


def test_the_inventory_is_read(tmp_path: Path) -> None:
    """Every field that networking needs, as XAPI writes it."""
    paths = write(
        tmp_path,
        "etc/xensource-inventory",
        f"PRODUCT_BRAND='XCP-ng'\nPRODUCT_VERSION='9.0.0'\nBUILD_NUMBER='cloud'\nINSTALLATION_UUID='{UUID}'\n"
        f"CONTROL_DOMAIN_UUID='{UUID}'\nMANAGEMENT_INTERFACE='xenbr0'\nMANAGEMENT_ADDRESS_TYPE='IPv6'\n"
        "CURRENT_INTERFACES='xenbr0 xapi1  xenbr0'\nDOM0_MEM='752'\n",
    )

    assert read_inventory(paths) == Inventory(
        installation_uuid=UUID,
        control_domain_uuid=UUID,
        management_interface="xenbr0",
        management_address_type="IPv6",
        current_interfaces=("xenbr0", "xapi1"),
        product_brand="XCP-ng",
        product_version="9.0.0",
        build_number="cloud",
    )


def test_a_missing_inventory_is_an_empty_one(tmp_path: Path) -> None:
    """Boot goes on with what else is known."""
    assert read_inventory(Paths(tmp_path)) == Inventory()


def test_disabled_management_is_no_name(tmp_path: Path) -> None:
    """XAPI writes an empty value."""
    assert read_inventory(write(tmp_path, "etc/xensource-inventory", "MANAGEMENT_INTERFACE=''\n")) == Inventory()


def test_names_and_uuids_that_are_none_are_passed_over(tmp_path: Path) -> None:
    """They would end in paths, commands and filters; each is a warning."""
    inventory = read_inventory(
        write(
            tmp_path,
            "etc/xensource-inventory",
            "MANAGEMENT_INTERFACE='../x'\nCURRENT_INTERFACES='xenbr0 a/b'\nINSTALLATION_UUID='x\" or \"1\"=\"1'\n",
        )
    )

    assert (inventory.management_interface, inventory.current_interfaces) == ("", ("xenbr0",))
    assert inventory.installation_uuid == ""
    assert len(inventory.warnings) == 3


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    """A directory in the file's place."""
    (tmp_path / "etc/xensource-inventory").mkdir(parents=True)

    with pytest.raises(InputError, match="xensource-inventory cannot be read: Is a directory"):
        read_inventory(Paths(tmp_path))


@pytest.mark.parametrize("word", ["vswitch\n", "openvswitch\n", "openvswitch"])
def test_open_vswitch_is_our_backend(tmp_path: Path, word: str) -> None:
    """In both spellings."""
    check_backend(write(tmp_path, "etc/xensource/network.conf", word))


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("bridge\n", "the backend bridge, which xsagent does not drive"),
        ("", "unknown backend ''"),
        ("x\ny", r"'x\\ny'"),
    ],
)
def test_another_backend_is_refused_by_name(tmp_path: Path, word: str, reason: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(BackendError, match=reason):
        check_backend(write(tmp_path, "etc/xensource/network.conf", word))


def test_a_missing_backend_is_refused(tmp_path: Path) -> None:
    """It was a traceback of the legacy scripts (legacy-faults.md F21)."""
    with pytest.raises(BackendError, match="does not exist"):
        check_backend(Paths(tmp_path))


def test_the_mac_of_a_network_booted_host_is_read(tmp_path: Path) -> None:
    """From the line of its own; in lower case; nothing where there is none."""
    assert read_network_boot_mac(Paths(tmp_path)) is None
    paths = write(tmp_path, "proc/ardence", "Version: 1\nHWaddr: 00:1B:21:0A:0B:01 eth0\nServer: x\n")
    assert read_network_boot_mac(paths) == "00:1b:21:0a:0b:01"
    assert read_network_boot_mac(write(tmp_path, "proc/ardence", "HWaddr: nonsense\n")) is None


def test_nics_of_the_root_filesystem_are_known(tmp_path: Path) -> None:
    """iBFT's, and the boot NIC where the command line says that the root is on the network."""
    write(tmp_path, "sys/firmware/ibft/ethernet0/mac", "00:1b:21:0a:0b:01\n")
    write(tmp_path, "sys/firmware/ibft/ethernet1/mac", "\n")
    paths = write(tmp_path, "proc/cmdline", "root=/dev/sda1 BOOTIF=01-00-1b-21-0a-0b-02\n")
    assert read_root_macs(paths) == {"00:1b:21:0a:0b:01"}

    write(tmp_path, "proc/cmdline", "root=/dev/nfs ip=dhcp BOOTIF=01-00-1B-21-0A-0B-02\n")
    assert read_root_macs(paths) == {"00:1b:21:0a:0b:01", "00:1b:21:0a:0b:02"}


def test_the_address_of_a_nic_is_read(tmp_path: Path) -> None:
    """Empty for one that is absent; a name that is none never becomes a path."""
    paths = write(tmp_path, "sys/class/net/eth0/address", "00:1B:21:0A:0B:01\n")

    assert read_mac(paths, "eth0") == "00:1b:21:0a:0b:01"
    assert read_mac(paths, "eth1") == ""
    with pytest.raises(InputError):
        read_mac(paths, "../../etc")


def test_ipv6_is_available_unless_the_kernel_says_no(tmp_path: Path) -> None:
    """Where /proc does not show IPv6, the kernel has none."""
    paths = Paths(tmp_path)
    assert not is_ipv6_available(paths)
    write(tmp_path, "proc/sys/net/ipv6/conf/all/disable_ipv6", "0\n")
    assert is_ipv6_available(paths)
    write(tmp_path, "proc/sys/net/ipv6/conf/all/disable_ipv6", "1\n")
    assert not is_ipv6_available(paths)


def test_ha_runs_when_it_is_configured_and_its_daemon_lives(tmp_path: Path) -> None:
    """A process of that name alone proves nothing."""
    write(tmp_path, "proc/1/comm", "systemd\n")
    paths = write(tmp_path, "proc/77/comm", "xhad\n")
    assert not is_high_availability_running(paths)
    write(tmp_path, "etc/xensource/xhad.conf", "<xhad-config/>")
    assert is_high_availability_running(paths)
    (tmp_path / "proc/77/comm").unlink()
    assert not is_high_availability_running(paths)


def test_facts_of_a_host_are_gathered(tmp_path: Path) -> None:
    """From all these files; where there are none, the defaults hold (and no /proc shows no IPv6)."""
    assert read_host_facts(Paths(tmp_path)) == HostFacts(ipv6_available=False)
    write(tmp_path, "etc/xensource-inventory", "MANAGEMENT_INTERFACE='xenbr0'\nCURRENT_INTERFACES='xenbr0 xapi1'\n")
    write(tmp_path, "etc/firstboot.d/data/firstboot_in_progress", "")
    write(tmp_path, "etc/sysconfig/network", "NETWORKING=yes\n")
    paths = write(tmp_path, "proc/sys/kernel/hostname", "dom0\n")

    assert read_host_facts(paths) == HostFacts(
        management_bridge="xenbr0",
        current_interfaces=("xenbr0", "xapi1"),
        first_boot=True,
        hostname="dom0",
        sysconfig_network="NETWORKING=yes\n",
        ipv6_available=False,
    )


def test_the_boot_is_named_by_the_kernel(tmp_path: Path) -> None:
    """Empty where /proc is not there."""
    assert read_boot_id(Paths(tmp_path)) == ""
    assert read_boot_id(write(tmp_path, "proc/sys/kernel/random/boot_id", f"{UUID}\n")) == UUID

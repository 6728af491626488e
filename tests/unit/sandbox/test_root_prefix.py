"""The files of the sandbox's dom0, read back by readers that know nothing of how they were written."""

from __future__ import annotations

import shlex
from pathlib import Path
from xml.etree import ElementTree as ET

from xsagent.sandbox.root_prefix import record_ref, record_uuid, render_dbcache, write_root_prefix
from xsagent.sandbox.spec import SandboxSpec, default_segments, nic_mac

FIELDS = ("management", "device", "ip_configuration_mode", "IP", "netmask", "gateway", "DNS", "MAC")


def _pifs(spec: SandboxSpec) -> list[dict[str, str]]:
    tree = ET.fromstring(render_dbcache(spec))  # noqa: S314 our own text
    return [{name: pif.findtext(name, "?") for name in FIELDS} for pif in tree.findall("pif")]


def test_the_first_nic_carries_management_by_dhcp_and_the_others_have_no_address() -> None:
    """The cache of a default sandbox is that of a host with one management PIF."""
    empty = dict.fromkeys(("IP", "netmask", "gateway", "DNS"), "")
    first, second, third = _pifs(SandboxSpec(segments=default_segments(nics=3)))

    assert first == empty | {
        "management": "True",
        "device": "eth0",
        "ip_configuration_mode": "DHCP",
        "MAC": nic_mac("eth0"),
    }
    for pif, device in ((second, "eth1"), (third, "eth2")):
        assert pif == empty | {
            "management": "False",
            "device": device,
            "ip_configuration_mode": "None",
            "MAC": nic_mac(device),
        }


def test_a_static_management_address_comes_with_the_gateway_of_its_segment() -> None:
    """Address, mask, gateway and DNS of the management PIF are those of the first far host's network."""
    pif = _pifs(SandboxSpec(management_address="192.0.2.77/25"))[0]

    assert pif["ip_configuration_mode"] == "Static"
    assert (pif["IP"], pif["netmask"]) == ("192.0.2.77", "255.255.255.128")
    assert (pif["gateway"], pif["DNS"]) == ("192.0.2.1", "192.0.2.1")


def test_pifs_and_networks_refer_to_each_other() -> None:
    """Each PIF's network lists that PIF and has the bridge name that XAPI would give it."""
    tree = ET.fromstring(render_dbcache(SandboxSpec()))  # noqa: S314 our own text
    networks = {network.get("ref"): network for network in tree.findall("network")}

    for pif, bridge in zip(tree.findall("pif"), ("xenbr0", "xenbr1"), strict=True):
        network = networks[pif.findtext("network")]
        assert network.findtext("bridge") == bridge
        assert network.findtext("PIFs/PIF") == pif.get("ref")
    assert tree.find("pool") is not None


def test_records_have_the_same_names_in_every_sandbox_and_differ_from_each_other() -> None:
    """A test may name a record by its uuid or reference without asking the sandbox."""
    assert record_uuid("pif eth0") == record_uuid("pif eth0")
    assert len({record_uuid("pif eth0"), record_uuid("pif eth1"), record_ref("pif eth0")[-36:]}) == 3


def test_files_of_a_spec_win_and_an_empty_cache_is_none_at_all(tmp_path: Path) -> None:
    """A spec's own file replaces the default one; ``dbcache=""`` leaves the file out."""
    spec = SandboxSpec(dbcache="", files={"etc/xensource/network.conf": "bridge\n", "opt/new/file": "x"})

    write_root_prefix(tmp_path, spec)

    assert not (tmp_path / "var/xapi/network.dbcache").exists()
    assert (tmp_path / "etc/xensource/network.conf").read_text() == "bridge\n"
    assert (tmp_path / "opt/new/file").read_text() == "x"
    assert (tmp_path / "var/run").resolve() == tmp_path / "run"


def test_the_inventory_can_be_sourced(tmp_path: Path) -> None:
    """Every line is a shell assignment with single quotes; management is named by its bridge."""
    write_root_prefix(tmp_path, SandboxSpec())
    words = shlex.split((tmp_path / "etc/xensource-inventory").read_text())
    values = dict(word.split("=", 1) for word in words)

    assert values["MANAGEMENT_INTERFACE"] == "xenbr0"
    assert values["INSTALLATION_UUID"] == record_uuid("host")

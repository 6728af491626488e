"""Texts that desired/ writes, read by the programs that they are for: dhclient and a shell that sources ifcfg."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from records_builder import HOST, IFCFG, Records, management, static

from xsagent.desired.request import BuildOptions
from xsagent.sandbox.namespaces import search_path
from xsagent.topology.values import DhcpClient


def _clients() -> tuple[DhcpClient, DhcpClient]:
    records = Records()
    nic = records.nic(0, **management(ipv6_mode="DHCP"))
    options = BuildOptions(dhcp_vendor_class="XCP-ng dom0")
    device = records.up(nic, HOST, options).topology.ip_devices["xenbr0"]
    assert device.dhcp4 is not None
    assert device.dhcp6 is not None
    return device.dhcp4, device.dhcp6


def _complaints(family: int, text: str, folder: Path) -> list[str]:
    """What dhclient says about a configuration; it reads its files and ends, in a network of its own."""
    path = folder / "dhclient.conf"
    path.write_text(text)
    (folder / "leases").touch()
    files = ["-cf", str(path), "-lf", str(folder / "leases"), "-pf", str(folder / "pid"), "-sf", "/bin/true"]
    command = ["unshare", "-Urn", "dhclient", f"-{family}", "-n", "-d", *files]
    environment = os.environ | {"PATH": search_path()}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert "Internet Systems Consortium" in done.stderr, done.stderr
    return [line for line in done.stderr.splitlines() if " line " in line]


def test_dhclient_reads_both_configurations_without_complaint(tmp_path: Path) -> None:
    """Every option asked for is one that it knows."""
    for client in _clients():
        assert _complaints(client.family, client.configuration, tmp_path) == []


def test_dhclient_complains_of_an_option_that_is_none(tmp_path: Path) -> None:
    """The control run: the test above can fail."""
    client = _clients()[0]
    broken = client.configuration.replace("subnet-mask", "no-such-option")
    assert _complaints(client.family, broken, tmp_path)


@pytest.mark.parametrize("bridge", ["xenbr0", "xen(br)!#~{}"])
def test_f02_a_sourced_file_runs_nothing(tmp_path: Path, bridge: str) -> None:
    """A shell that sources the file of a hostile record sets variables and does nothing else."""
    records = Records()
    hostile = f"x'; touch {tmp_path}/hurt; y='$(touch {tmp_path}/hurt)\ntouch {tmp_path}/hurt"
    config = {"domain": hostile, "ethtool-tx": hostile, "mtu": hostile, "static-routes": hostile}
    nic = records.nic(0, bridge=bridge, **management(**static(dns=hostile, other_config=config)))
    records.change_network(nic, other_config=config)
    text = records.up(nic, options=IFCFG).topology.files[f"/etc/sysconfig/network-scripts/ifcfg-{bridge}"]
    (tmp_path / "ifcfg").write_text(text or "")
    command = ["sh", "-eu", "-c", f'. {tmp_path}/ifcfg; echo "$DEVICE $IPADDR"']
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout == f"{bridge} 192.0.2.10\n"
    assert [path.name for path in tmp_path.iterdir()] == ["ifcfg"]

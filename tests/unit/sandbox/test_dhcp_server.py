"""The DHCP server's command line."""

from __future__ import annotations

from pathlib import Path

from xsagent.sandbox.dhcp_server import dhcp_range, render_command
from xsagent.sandbox.spec import Segment

SEGMENT = Segment(name="far1", nics=("eth1",), addresses=("198.51.100.1/24",), dhcp_options=("option:mtu,1400",))


def test_leases_come_from_hosts_100_to_199_of_the_gateways_network() -> None:
    """The rest of the network is free for static addresses and guests."""
    assert dhcp_range(SEGMENT) == ("198.51.100.100", "198.51.100.199")


def test_the_server_takes_nothing_from_the_machine_and_probes_no_address() -> None:
    """No configuration file, resolver or hosts of the machine, no other user, no ping before an offer."""
    command = render_command(SEGMENT, "wire1", Path("/x"))

    wanted = {"--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--user=", "--group=", "--no-ping", "--port=0"}
    assert wanted <= set(command)
    assert "--interface=wire1" in command
    assert "--dhcp-option=option:mtu,1400" in command
    assert all(word.split("=", 1)[1].startswith("/x/") for word in command if "file=/x" in word)

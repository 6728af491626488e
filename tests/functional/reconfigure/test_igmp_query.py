"""Multicast snooping is turned on below running guests: each is asked for its groups (features.md section 11)."""

from __future__ import annotations

import sys

from host_records import HostRecords, static
from host_state import vsctl
from xapi_host import XapiHost

from xsagent.sandbox.daemons import wait_for

LISTEN = """
import socket, sys
member = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
group = socket.inet_aton("239.1.2.3") + socket.inet_aton(sys.argv[1])
member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
raw.settimeout(60)
print("ready", flush=True)
while True:
    frame = raw.recv(2048)
    if frame[23] == 2 and frame[14 + 4 * (frame[14] & 15)] == 0x11:
        print(frame.hex(), flush=True)
        break
sys.stdin.read()
"""


def checksum(data: bytes) -> int:
    """RFC 1071: 0 over what carries its own."""
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def test_a_guest_is_asked_for_its_groups_when_snooping_begins_and_the_switch_learns_them() -> None:
    """One general query out of its port; a second up asks nobody."""
    records = HostRecords()
    nic = records.nic("eth0", management=True, **static("192.0.2.10"))
    with XapiHost(records) as host:
        host.up(nic)
        guest = host.sandbox.add_guest("guest", "xenbr0", "192.0.2.77/24")
        listener = host.sandbox.spawn(["ip", "netns", "exec", "guest", sys.executable, "-c", LISTEN, "192.0.2.77"])
        assert listener.stdout is not None
        assert listener.stdout.readline() == "ready\n"
        records.pool["igmp_snooping_enabled"] = True

        done = host.run("up", nic)

        assert done.returncode == 0, done.stderr
        assert vsctl(host.sandbox, "get", "Bridge", "xenbr0", "mcast_snooping_enable") == "true"
        frame = bytes.fromhex(listener.stdout.readline())
        assert (frame[:6], frame[26:34]) == (bytes.fromhex("01005e000001"), bytes(4) + bytes([224, 0, 0, 1]))
        assert (frame[22], frame[38:40], checksum(frame[14:38]), checksum(frame[38:46])) == (1, b"\x11\x32", 0, 0)
        learned = ["ovs-appctl", "mdb/show", "xenbr0"]
        wait_for(lambda: "239.1.2.3" in host.sandbox.run(learned).stdout, 30, f"{guest.vif} did not answer")
        host.run("up", nic)
        assert "Nothing to do" in host.run("up", nic, "--dry-run").stdout
        listener.kill()

"""A disk in another machine: its records name NICs that are not there."""

from __future__ import annotations

from pathlib import Path

from host_records import HostRecords, static

from xsagent.sandbox.dom0 import Sandbox


def moved_disk(device: str = "eth5", bridge: str = "xenbr0") -> HostRecords:
    """Records of the machine that the disk was in: its NIC has a name and a MAC that nobody has here."""
    records = HostRecords()
    records.nic(device, bridge=bridge, management=True, **static("192.0.2.10"))["MAC"] = "0c:c4:7a:00:00:55"
    return records


def degraded_file(sandbox: Sandbox) -> Path:
    """Where a run says that a NIC stands in."""
    return sandbox.root / "var/lib/xsagent/degraded.json"

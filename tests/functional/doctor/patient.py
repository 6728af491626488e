"""A host for the doctor: what its tests break with other programs, have examined, and mend as the doctor says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from host_records import HostRecords, Record, static
from xapi_host import XapiHost

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import Segment

Finding = dict[str, Any]


class Patient:
    """One running host: management on eth0, eth1 with VLAN 50, bond0 over eth2 and eth3.

    Attributes:
        host: with its records and its XAPI.
        last: the findings of the last examination.
    """

    def __init__(self, host: XapiHost) -> None:
        self.host = host
        self.sandbox: Sandbox = host.sandbox
        self.last: list[Finding] = []

    def run(self, *words: str) -> str:
        """Output of a command in dom0."""
        return self.sandbox.run(list(words)).stdout.strip()

    def vsctl(self, *words: str) -> str:
        """Output of ovs-vsctl."""
        return self.run("ovs-vsctl", "--timeout=10", *words)

    def path(self, name: str) -> Path:
        """A file below the root prefix."""
        return self.sandbox.root / name

    def doctor(self, *words: str) -> tuple[int, str]:
        """Exit code and output; nothing may be on stderr, whatever is broken."""
        argv = ["xsagent", "doctor", f"--root-prefix={self.sandbox.root}", *words]
        done = self.sandbox.run(argv, check=False)
        assert done.stderr == ""
        return done.returncode, done.stdout

    def findings(self) -> list[Finding]:
        """What the doctor finds, as its JSON says."""
        code, output = self.doctor("--json")
        form = json.loads(output)
        severities = {one["severity"] for one in form["findings"]}
        assert code == (1 if "error" in severities else 3 if "warning" in severities else 0)
        self.last = cast("list[Finding]", form["findings"])
        return self.last

    def finding(self, kind: str) -> Finding:
        """The one finding of a kind."""
        found = self.findings()
        chosen = [one for one in found if one["id"] == kind]
        assert len(chosen) == 1, found
        return chosen[0]

    def has(self, kind: str) -> bool:
        """Whether there is such a finding now."""
        return any(one["id"] == kind for one in self.findings())

    def mend(self, finding: Finding, *, only: str = "") -> None:
        """Type the commands of a finding into a shell, as a person would.

        Args:
            only: those that begin so; others are for programs that a sandbox lacks.
        """
        commands = [command for command in finding["mend"] if command.startswith(only)]
        assert commands, finding
        for command in commands:
            self.sandbox.run(["sh", "-c", command], timeout=120)

    def heal(self) -> None:
        """Do what the doctor says, again and again, until nothing is left to do."""
        for _ in range(4):
            commands = [line for one in self.findings() if one["severity"] != "info" for line in one["mend"]]
            if not commands:
                return
            for line in dict.fromkeys(commands):
                self.sandbox.run(["sh", "-c", line], timeout=120)

    def mends(self, kind: str, *, only: str = "") -> Finding:
        """Find it, mend it as it says, and see that it is gone; returns the finding."""
        finding = self.finding(kind)
        self.mend(finding, only=only)
        assert not self.has(kind), finding
        return finding


def segments() -> tuple[Segment, ...]:
    """Management's wire, a second one, and one for a bond."""
    return (
        Segment(name="gateway", nics=("eth0",), addresses=("192.0.2.1/24", "2001:db8::1/64")),
        Segment(name="far1", nics=("eth1",), addresses=("198.51.100.1/24",)),
        Segment(name="lag", nics=("eth2", "eth3"), addresses=("203.0.113.1/24",)),
    )


def records() -> tuple[HostRecords, list[Record]]:
    """The records, and the PIFs that are up."""
    made = HostRecords()
    management = made.nic("eth0", management=True, **static("192.0.2.10", dns="192.0.2.1"))
    second = made.nic("eth1", **static("198.51.100.10", gateway=""))
    vlan = made.vlan("eth1", 50, "xapi50")
    made.nic("eth2")
    made.nic("eth3")
    bond = made.bond("bond0", ["eth2", "eth3"], "xapi0", mode="active-backup")
    return made, [management, second, vlan, bond]


@contextmanager
def healthy_host() -> Iterator[Patient]:
    """All of that, up, with XAPI and the cache saying the same."""
    made, up = records()
    with XapiHost(made, segments=segments()) as host:
        for pif in up:
            host.up(pif)
        host.restart_xapi()
        host.sandbox.run(["interface-reconfigure", f"--root-prefix={host.sandbox.root}", "rewrite"])
        # this boot's first start of the switch is over: the next one deletes no bridges
        (host.sandbox.root / "run/openvswitch.booted").touch()
        yield Patient(host)

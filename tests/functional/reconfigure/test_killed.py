"""SIGKILL at every point of a run: the next run finds the new state whole, or brings the old one back."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from host_records import DHCP, HostRecords, Record, static
from host_state import reconfigure, refuse, settle, spec_for, state, succeed

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.root_prefix import record_ref
from xsagent.sandbox.spec import SandboxSpec

HOOK = str(Path(__file__).parents[2] / "support/killed")
POINTS = None if os.environ.get("PROFILE") == "long" else 9
"""How many points of a run are tried; None: each, until a run ends by itself (PROFILE=long)."""
QUICK = {"XSAGENT_XAPI_DEADLINE_S": "1", "XSAGENT_DEADMAN_S": "3"}
_RESOLV_CONF = "etc/resolv.conf"
pytestmark = pytest.mark.timeout(7200 if POINTS is None else 300)
IFUP = """#!/bin/sh
. @ROOT@/etc/sysconfig/network-scripts/ifcfg-$1
ip link set $1 up
[ -z "$IPADDR" ] || ip address replace $IPADDR/24 dev $1
"""
IFDOWN = """#!/bin/sh
ip address flush dev $1 scope global 2>/dev/null
ip link set $1 down 2>/dev/null
exit 0
"""


@dataclass
class Killing:
    """A command that leads from one state to another, and one that leads back."""

    sandbox: Sandbox
    command: tuple[str, ...]
    back: Callable[[], None]

    def points(self, arguments: tuple[str, ...]) -> list[str]:
        """The points of a whole run of a command."""
        self.killed_at(1_000_000, arguments)
        return (self.sandbox.log / "points").read_text().splitlines()

    def killed_at(self, number: int, arguments: tuple[str, ...], **env: str) -> bool:
        """Run a command that is killed at a point; whether it came that far."""
        log = self.sandbox.log / "points"
        log.unlink(missing_ok=True)
        env = {"PYTHONPATH": HOOK, "KILL_AT": str(number), "KILL_LOG": str(log), **QUICK, **env}
        done = reconfigure(self.sandbox, *arguments, env=env)
        return done.returncode in {-signal.SIGKILL, 128 + signal.SIGKILL}

    def last_point(self) -> str:
        """What the last run did last."""
        return (self.sandbox.log / "points").read_text().splitlines()[-1]

    def state(self) -> dict[str, Any]:
        """The host, once the guardian of a killed run has done its work."""
        deadline = time.monotonic() + 60
        while self.sandbox.run(["pgrep", "-f", "xsagent.cli.guardian"], check=False).returncode == 0:
            assert time.monotonic() < deadline, "a guardian does not end"
            time.sleep(0.05)
        found = state(self.sandbox)
        # a search domain that comes again stands behind the servers: which kind of line is first says nothing
        if text := found["files"].get(_RESOLV_CONF):
            found["files"][_RESOLV_CONF] = b"".join(sorted(text.splitlines(keepends=True)))
        return found

    def recover(self) -> None:
        """The next run, for something else: it is refused, after it has finished the dead one."""
        assert "nosuch" in refuse(self.sandbox, "--force", "nosuch", "up", env=QUICK)
        assert not (self.sandbox.root / "var/lib/xsagent/journal").exists()


RECOVERY = ("--force", "nosuch", "up")


def some(count: int) -> Iterator[int]:
    """Numbers of points to try: from 1 on without an end, or up to `count`, spread evenly with first and last."""
    if POINTS is None:
        yield from itertools.count(1)
        return
    step = max(1.0, (count - 1) / (POINTS - 1))
    yield from sorted({round(1 + index * step) for index in range(POINTS) if round(1 + index * step) <= count})


def records(**management: object) -> HostRecords:
    """Management on eth0; a VLAN with an address on eth1."""
    made = HostRecords()
    made.nic("eth0", management=True, **{**static("192.0.2.10"), **management})
    made.nic("eth1")
    vlan = static("198.51.100.10", gateway="", dns="198.51.100.1")
    made.vlan("eth1", 7, "xapi7", **vlan)
    return made


def vlan_up(spec: SandboxSpec) -> Iterator[Killing]:
    """A VLAN bridge comes up on a NIC that was down: links, transaction, addresses."""
    with Sandbox(spec) as sandbox:
        for name, text in (("ifup", IFUP), ("ifdown", IFDOWN)):
            (sandbox.bin / name).write_text(text.replace("@ROOT@", str(sandbox.root)))
            (sandbox.bin / name).chmod(0o755)
        succeed(sandbox, "--force", "xenbr0", "up")

        def back() -> None:
            succeed(sandbox, "--force", "xapi7", "down")

        yield Killing(sandbox, ("--force", "xapi7", "up"), back)


@pytest.fixture(params=["netlink", "ifcfg"])
def vlan(request: pytest.FixtureRequest) -> Iterator[Killing]:
    """By either way to configure IP."""
    yield from vlan_up(spec_for(records(), ip_backend=request.param))


@pytest.fixture
def management() -> Iterator[Killing]:
    """Management changes from static to DHCP, under the deadman."""
    with Sandbox(spec_for(records())) as sandbox:
        cache = sandbox.root / "var/xapi/network.dbcache"
        pif: Record = records().classes["PIF"][record_ref("pif eth0")]
        succeed(sandbox, "--force", "xenbr0", "up")

        def back() -> None:
            cache.write_text(records().as_dbcache())
            succeed(sandbox, "--force", "xenbr0", "up")
            cache.write_text(records(**DHCP).as_dbcache())

        cache.write_text(records(**DHCP).as_dbcache())
        yield Killing(sandbox, ("--pif-uuid", pif["uuid"], "up"), back)


def two_states(killing: Killing) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """The state that the command leads to, the one that the way back leads to, and the command's points."""
    points = killing.points(killing.command)
    settle(killing.sandbox)
    after = killing.state()
    killing.back()
    before = killing.state()
    assert before != after
    return after, before, points


def kill_and_recover(killing: Killing) -> None:
    """Kill the command at its points in turn; each time one whole state stands after the next run."""
    after, before, points = two_states(killing)
    ended = {"forward": 0, "back": 0}
    for number in some(len(points)):
        killed = killing.killed_at(number, killing.command)
        where = f"killed at point {number} of some {len(points)}, after {killing.last_point()}"
        if not killed:
            # it came to its end: a run that waits less has fewer points than the one that they were counted in
            assert number > len(points) * 3 / 4, where
            killing.back()
            break
        killing.recover()
        found = killing.state()
        if found == after:
            ended["forward"] += 1
            killing.back()
            continue
        ended["back"] += 1
        assert found == before, where
    sys.stdout.write(f"{len(points)} points in one run, killed at {sum(ended.values())}: {ended}\n")
    assert ended["back"]
    assert {"fsync", "send"} <= set(points)


def test_sigkill_while_a_vlan_comes_up(vlan: Killing) -> None:
    """After each fsync, message to a peer, child start: as it was, or as wanted (F11, F14)."""
    kill_and_recover(vlan)


def test_sigkill_while_management_changes(management: Killing) -> None:
    """The guardian or the next run, whoever comes first: as it was, or as wanted."""
    kill_and_recover(management)


def fail_everywhere(killing: Killing) -> None:
    """Raise an error at the command's points in turn; each time one whole state stands at once, without another run."""
    after, before, points = two_states(killing)
    ended = {"forward": 0, "back": 0}
    for number in some(len(points)):
        log = killing.sandbox.log / "points"
        env = {"PYTHONPATH": HOOK, "KILL_AT": str(number), "KILL_LOG": str(log), "KILL_BY": "error", **QUICK}
        done = reconfigure(killing.sandbox, *killing.command, env=env)
        where = f"point {number} of some {len(points)}: {done.stderr}"
        if done.returncode == 0:
            assert number > len(points) * 3 / 4, where
            killing.back()
            break
        assert done.returncode == 1, where
        assert "Traceback" not in done.stderr
        # removed, or emptied, which says the same
        journal = killing.sandbox.root / "var/lib/xsagent/journal"
        assert not journal.exists() or journal.read_bytes() == b"", where
        found = killing.state()
        assert found in (before, after), where
        ended["forward" if found == after else "back"] += 1
        if found == after:
            killing.back()
    sys.stdout.write(f"{len(points)} points in one run, an error at {sum(ended.values())}: {ended}\n")
    assert ended["back"]


def test_f11_an_error_that_nobody_expects_is_taken_back_at_once(vlan: Killing) -> None:
    """F11: not only errors of our own kind; one sentence, no traceback, and no other run is needed."""
    fail_everywhere(vlan)


def test_f11_an_error_while_management_changes_is_taken_back_at_once(management: Killing) -> None:
    """The same under the deadman."""
    fail_everywhere(management)


def test_a_dhcp_client_that_a_killed_run_has_just_started_leaves_no_lease_behind(management: Killing) -> None:
    """Its script may be at work when the client is stopped: what it sets goes too."""
    after, before, points = two_states(management)
    started = points.count("__init__")
    for _ in range(3):
        assert management.killed_at(started, management.command, KILL_NAME="__init__")
        management.recover()
        found = management.state()
        assert found in (before, after)
        if found == after:
            management.back()


def test_an_ifup_that_goes_on_after_its_run_was_killed_is_ended_first() -> None:
    """Else it would set its address beside the old one that the recovery brought back."""
    for vlan in vlan_up(spec_for(records(), ip_backend="ifcfg")):
        sandbox = vlan.sandbox
        cache = sandbox.root / "var/xapi/network.dbcache"
        program = sandbox.bin / "ifup"
        text = program.read_text()

        def back(cache: Path = cache, sandbox: Sandbox = sandbox) -> None:
            cache.write_text(records().as_dbcache())
            succeed(sandbox, "--force", "xenbr0", "up")
            cache.write_text(records(IP="192.0.2.20").as_dbcache())

        killing = Killing(sandbox, ("--force", "xenbr0", "up"), back)
        cache.write_text(records(IP="192.0.2.20").as_dbcache())
        _, before, points = two_states(killing)
        program.write_text(text.replace("ip link set", '[ "$IPADDR" != 192.0.2.20 ] || sleep 4\nip link set'))

        assert killing.killed_at(points.count("__init__"), killing.command, KILL_NAME="__init__")
        assert sandbox.run(["pgrep", "-f", "ifup xenbr0"], check=False).stdout
        killing.recover()

        time.sleep(5)
        assert killing.state() == {**before, "files": killing.state()["files"]}


def test_sigkill_while_a_killed_run_is_taken_back() -> None:
    """The recovery itself may be killed, at any point: the one after it still brings the old state back."""
    for killing in vlan_up(spec_for(records())):
        after, before, points = two_states(killing)
        middle = len(points) * 3 // 4
        assert killing.killed_at(middle, killing.command)
        length = len(killing.points(RECOVERY))
        assert killing.state() in (before, after)
        for number in some(length):
            if killing.state() == after:
                killing.back()
            assert killing.killed_at(middle, killing.command)
            is_killed = killing.killed_at(number, RECOVERY)
            killing.recover()
            assert killing.state() in (before, after), f"recovery killed at point {number} of {length}"
            if not is_killed:
                assert number > length * 3 / 4
                break


def test_after_a_reboot_only_files_are_restored() -> None:
    """Kernel and switch started afresh: their half-done work is gone with them, and the plan is made afresh."""
    for killing in vlan_up(spec_for(records(), ip_backend="ifcfg")):
        _, before, points = two_states(killing)
        # ifup has been started, nothing is verified
        assert killing.killed_at(points.count("__init__"), killing.command, KILL_NAME="__init__")
        half_done = killing.state()
        assert half_done["files"] != before["files"]
        assert half_done["database"] != before["database"]
        boot_id = killing.sandbox.log / "boot_id"
        boot_id.write_text("11111111-2222-3333-4444-555555555555\n")
        killing.sandbox.run(
            ["mount", "--bind", str(boot_id), str(killing.sandbox.root / "proc/sys/kernel/random/boot_id")]
        )

        killing.recover()

        found = killing.state()
        assert found["files"] == before["files"]
        assert found["database"] == half_done["database"]
        assert found["addresses"] == half_done["addresses"]

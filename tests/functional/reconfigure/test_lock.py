"""One reconfigure at a time: concurrent runs for two PIFs all end right (F13)."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_records import HostRecords, static
from host_state import addresses, bridges, ip, spec_for, succeed, vsctl, write_cache

from xsagent.apply.lock import hold_lock
from xsagent.errors import NotFoundError
from xsagent.sandbox.daemons import wait_for
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.namespaces import pid_of

PAIRS = 40
IFUP = """#!/bin/sh
. @ROOT@/etc/sysconfig/network-scripts/ifcfg-$1
ip link set $1 up
ip address replace $IPADDR/24 dev $1
[ -z "$GATEWAY" ] || ip route replace default via $GATEWAY dev $1
"""
IFDOWN = """#!/bin/sh
ip address flush dev $1 scope global 2>/dev/null
exit 0
"""


def records(number: int) -> HostRecords:
    """Two NICs with addresses that differ from one number to the next."""
    made = HostRecords()
    made.nic("eth0", management=True, **static(f"192.0.2.{10 + number % 2}"))
    made.nic("eth1", **static(f"198.51.100.{10 + number % 2}", gateway=""))
    return made


@pytest.fixture
def host() -> Iterator[Sandbox]:
    """A host with initscripts, nothing brought up."""
    with Sandbox(spec_for(records(0), ip_backend="ifcfg")) as sandbox:
        for name, text in (("ifup", IFUP), ("ifdown", IFDOWN)):
            (sandbox.bin / name).write_text(text.replace("@ROOT@", str(sandbox.root)))
            (sandbox.bin / name).chmod(0o755)
        yield sandbox


@pytest.mark.timeout(900)
def test_f13_forty_pairs_of_concurrent_runs_for_two_pifs_all_end_right(host: Sandbox) -> None:
    """F13: exit 0 each, and each time addresses, files and /etc/sysconfig/network are what both asked for."""
    started = time.monotonic()
    for number in range(PAIRS):
        write_cache(host, records(number))
        runs = [
            host.spawn(["interface-reconfigure", f"--root-prefix={host.root}", "--no-syslog", "--force", bridge, "up"])
            for bridge in ("xenbr0", "xenbr1")
        ]
        for run in runs:
            out, err = run.communicate(timeout=120)
            assert (run.returncode, out) == (0, ""), err

        found = {link["ifname"]: link["addr_info"] for link in ip(host, "-4", "address")}
        shown = [found[bridge][0]["local"] for bridge in ("xenbr0", "xenbr1")]
        assert shown == [f"192.0.2.{10 + number % 2}", f"198.51.100.{10 + number % 2}"]
        sysconfig = (host.root / "etc/sysconfig/network").read_text()
        assert re.findall("^GATEWAYDEV=(.*)", sysconfig, re.MULTILINE) == ["xenbr0"]
        scripts = host.root / "etc/sysconfig/network-scripts"
        assert [name.name for name in scripts.iterdir() if name.name.startswith(".")] == []
    assert bridges(host) == ["xenbr0", "xenbr1"]
    assert [vsctl(host, "list-ports", bridge) for bridge in bridges(host)] == ["eth0", "eth1"]
    sys.stdout.write(f"{PAIRS} pairs in {time.monotonic() - started:.0f} s\n")


def test_a_dead_owner_s_word_in_the_lock_file_holds_nobody_up(host: Sandbox) -> None:
    """The lock is the kernel's: what a killed owner wrote is only text."""
    lock = host.root / "run/xsagent/lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("1 interface-reconfigure up nothing\n")

    succeed(host, "--force", "xenbr0", "up", env={"XSAGENT_LOCK_WAIT_S": "0"})

    assert addresses(host, "xenbr0") == ["192.0.2.10/24"]
    assert lock.read_text() == ""


def test_a_dry_run_needs_no_lock_and_changes_nothing(host: Sandbox) -> None:
    """It may run beside a run that hangs."""
    lock = host.root / "run/xsagent/lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    holder = host.spawn(["flock", str(lock), "sh", "-c", "echo held; sleep 60"])
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"

    done = host.run(["interface-reconfigure", f"--root-prefix={host.root}", "--force", "xenbr0", "up", "--dry-run"])

    assert "xenbr0" in done.stdout
    assert bridges(host) == []


@pytest.mark.parametrize("words", [("--force", "xenbr0", "up"), ("rewrite",)])
def test_who_is_interrupted_while_it_waits_for_the_lock_says_that_nothing_was_changed(
    host: Sandbox, words: tuple[str, ...]
) -> None:
    """As any run that is told to end: one sentence, exit status 1."""
    lock = host.root / "run/xsagent/lock"
    with hold_lock(lock, "somebody else", 0):
        run = host.spawn(["interface-reconfigure", f"--root-prefix={host.root}", "--no-syslog", *words])
        wait_for(lambda: lock in opened_by(run), 30, "it does not wait")
        os.kill(pid_of(run), signal.SIGINT)
        out, said = run.communicate(timeout=30)

    assert (run.returncode, out) == (1, "")
    expected = f"told to end (SIGINT) while it waited for {lock}, held by process {os.getpid()} somebody else"
    assert said.endswith(f"{expected}; nothing was changed\n")
    assert len(said.splitlines()) == 1
    assert bridges(host) == []


def opened_by(run: subprocess.Popen[str]) -> list[Path]:
    """Files that a command inside has open."""
    found = []
    with contextlib.suppress(OSError, NotFoundError):
        found = [link.readlink() for link in Path(f"/proc/{pid_of(run)}/fd").iterdir()]
    return found

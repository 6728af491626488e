"""What looking for stale flows costs where the switch does not answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from xsagent.hotplug import lock
from xsagent.topology.values import Bridge


def test_bridges_of_a_switch_that_hangs_do_not_each_cost_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With sixty of them the watchdog would take the daemon for one that hangs."""
    called = tmp_path / "called"
    program = tmp_path / "ovs-ofctl"
    program.write_text(f"#!/bin/sh\necho >>{called}\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(lock, "_READ_S", 0.2)
    monkeypatch.setattr(lock, "_PRUNE_S", 0.3)
    bridges = {f"xapi{number}": Bridge(name=f"xapi{number}") for number in range(60)}

    lock.prune_flows(tmp_path, bridges, lambda: pytest.fail("no flow was found"))

    assert 1 <= len(called.read_text().splitlines()) <= 3

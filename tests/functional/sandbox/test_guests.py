"""VIFs in a sandbox: plugged in as the toolstack does, through real xenstored, udevd, rules and hook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from xsagent.errors import CommandError
from xsagent.model.vif import Layout, VifId
from xsagent.sandbox.daemons import wait_for
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.guest_vif import GuestVif
from xsagent.sandbox.spec import SandboxSpec
from xsagent.sandbox.xenopsd import guest_services

XSAGENT = [sys.executable, "-m", "xsagent.cli.main", "sandbox", "vif"]


@pytest.fixture
def dom0() -> Iterator[Sandbox]:
    """A dom0 with what guests need, and the bridge xenbr0 on eth0."""
    spec = SandboxSpec(services=guest_services(), environment={"XSAGENT_HOTPLUG_S": "2"})
    with Sandbox(spec) as sandbox:
        sandbox.build_bridge("xenbr0", "eth0")
        yield sandbox


def ports(sandbox: Sandbox) -> list[str]:
    """Ports of xenbr0."""
    return sandbox.run(["ovs-vsctl", "list-ports", "xenbr0"]).stdout.split()


def reaches_gateway(sandbox: Sandbox, vif: GuestVif) -> bool:
    """Whether the guest gets an answer from the far end of eth0."""
    ping = ["ip", "netns", "exec", vif.guest, "ping", "-c", "3", "-i", "0.3", "-W", "3", sandbox.gateway_address]
    return sandbox.run(ping, check=False).returncode == 0


@pytest.mark.parametrize("layout", Layout)
def test_a_vif_is_plugged_in_by_the_kernels_events_and_leaves_nothing_behind(dom0: Sandbox, layout: Layout) -> None:
    """`online` reaches our hook through udev; the guest has network; unplugged, its keys, port and guest are gone."""
    vif = GuestVif(id=VifId(7, 0), layout=layout, address="192.0.2.77/24", tap=True)

    dom0.xenopsd.plug(vif)

    with dom0.xenopsd.open_store() as store:
        assert store.read(f"{vif.backend}/hotplug-status") == b"connected"
        assert store.read(f"{vif.hotplug}/hotplug") == b"online"
    assert "vif7.0" in ports(dom0)
    wait_for(lambda: "tap7.0" in ports(dom0), 20, "the tap's own event did not attach it")
    assert reaches_gateway(dom0, vif)

    dom0.xenopsd.unplug(dom0.xenopsd.find(vif.id))

    assert ports(dom0) == ["eth0"]
    assert dom0.run(["ls", "/run/netns"]).stdout.split() == ["far1", "gateway"]
    with dom0.xenopsd.open_store() as store:
        assert store.directory("/xapi") in {(), None}
        assert store.directory("/local/domain/0/backend/vif") in {(), None}
    assert not (dom0.root / vif.file).exists()


def test_what_the_hotplug_script_refuses_is_told(dom0: Sandbox) -> None:
    """Xenopsd takes `hotplug-error` for the end of its wait."""
    with pytest.raises(CommandError, match="hotplug-error: VIF 7/0: mtu"):
        dom0.xenopsd.plug(GuestVif(id=VifId(7, 0), mtu=20000000))


def test_the_command_works_in_a_shell_of_the_sandbox_and_from_outside(dom0: Sandbox) -> None:
    """`vif add` picks the next domain; locked guests keep to their addresses; `vif remove` takes it away."""
    first = dom0.run([*XSAGENT, "add"])
    name = dom0.directory.name
    outside = [*XSAGENT, "add", "--in", name, "--locked", "192.0.2.7", "--layout", "domid"]
    second = subprocess.run(outside, check=False, capture_output=True, text=True)
    refused = dom0.run([*XSAGENT, "add", "--bridge", "xapi9"], check=False, env={"XSAGENT_HOTPLUG_S": "1"})

    assert first.stdout == "vif1.0 is on xenbr0; in its guest: ip netns exec guest1 COMMAND\n"
    assert second.stdout.startswith("vif2.0 is on xenbr0;"), second.stderr
    assert reaches_gateway(dom0, GuestVif(id=VifId(2, 0)))
    assert dom0.run(["ovs-ofctl", "dump-flows", "xenbr0", "cookie=1/-1"]).stdout.count("arp_spa=192.0.2.7") == 1
    assert (refused.returncode, "bridge xapi9 does not exist" in refused.stderr) == (1, True)

    for device in ("vif1.0", "vif2.0"):
        dom0.run([*XSAGENT, "remove", device])

    assert ports(dom0) == ["eth0"]


@pytest.mark.parametrize(
    "words", [["add", "--domid", "0"], ["add", "--devid", "-4"], ["add", "--locked", "foo"], ["remove", "vif9.9"]]
)
def test_a_vif_that_cannot_be_is_refused_at_once(dom0: Sandbox, words: list[str]) -> None:
    """Nothing is plugged, and no other one than was asked for."""
    done = dom0.run([*XSAGENT, *words], check=False)

    assert (done.returncode, done.stdout) in {(1, ""), (2, "")}
    assert done.stderr.startswith("xsagent: ")
    assert "nothing was" in done.stderr
    assert ports(dom0) == ["eth0"]


@pytest.mark.parametrize("static", ["192.0.2.300/24", "192.0.2.10", "10.0.0.5/24", "192.0.2.1/24", "eth0"])
def test_a_management_address_that_cannot_be_is_refused(static: str) -> None:
    """With the network that it must be in."""
    command = [*XSAGENT[:-1], "run", f"--static={static}", "--", "true"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert done.returncode == 2
    assert f"--static: '{static}' is not an address with a length in 192.0.2.0/24 beside 192.0.2.1" in done.stderr


def test_a_sandbox_that_ended_is_not_said_to_run(dom0: Sandbox, tmp_path: Path) -> None:
    """What it left on the disk is no sign of life."""
    (tmp_path / "xs-dead").mkdir()
    (tmp_path / "xs-dead/running.json").write_text(json.dumps({"enter": ["nsenter", "--target=999999999"]}))
    (tmp_path / dom0.directory.name).symlink_to(dom0.directory)
    environment = os.environ | {"TMPDIR": str(tmp_path)}

    done = subprocess.run([*XSAGENT, "add"], check=False, capture_output=True, text=True, env=environment)

    assert f"Running: {dom0.directory.name}\n" in done.stderr


@pytest.mark.parametrize(
    "words", [["add"], ["add", "--in", "xs-none"], ["add", "--in", "../x"], ["remove", "--in", "xs-none", "vif1.0"]]
)
def test_without_a_sandbox_the_command_is_a_usage_error(words: list[str]) -> None:
    """Exit 2 and a sentence that says which sandboxes there are."""
    done = subprocess.run([*XSAGENT, *words], check=False, capture_output=True, text=True, env={"PATH": ""})

    assert (done.returncode, done.stdout) == (2, "")
    assert "unning" in done.stderr

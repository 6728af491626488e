"""A guest is not left unlocked, or it is said, where its flows do not come back with the transaction that took them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dom0 import LOCKED, Dom0
from host_state import addresses, succeed, vsctl
from reconfigured_guest import break_ofctl, running_scene

from xsagent.apply.flows import read_flows, replace_flows
from xsagent.apply.locked_ports import LockedPorts, relock_ports
from xsagent.apply.run_step import StepRunner
from xsagent.config import Paths, Settings
from xsagent.errors import ConflictError, SwitchRefusedError, UnlockedError
from xsagent.log import get_logger
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.observed.port_numbers import read_port_numbers
from xsagent.plan.ovsdb_model import invert_operations
from xsagent.plan.steps import AddPort, DeleteBridge, DeletePort, OvsdbOperation, OvsdbStep, Relied, SetColumns
from xsagent.sandbox.xenstored import xenstored_service
from xsagent.sources.xenstore import open_xenstore
from xsagent.topology.values import Interface, Port

if TYPE_CHECKING:
    from reconfigured_guest import Scene

    from xsagent.sandbox.dom0 import Sandbox

AS_BEFORE = "the host is as it was before"
UNLOCKED = "vif1.0 may not be locked"


@pytest.fixture
def told() -> Iterator[Scene]:
    """The same host with xenstored, which knows that the guest is locked."""
    with running_scene((xenstored_service(),)) as scene, open_xenstore(Paths(root=scene.host.sandbox.root)) as store:
        dom0 = Dom0(scene.host.sandbox, store, scene.guest, scene.watcher)
        dom0.plug()
        dom0.lock(LOCKED)
        yield scene


def await_guardian(scene: Scene) -> None:
    """Return once no guardian of a killed run works any more."""
    while scene.host.sandbox.run(["pgrep", "-f", "xsagent.cli.guardian"], check=False).returncode == 0:
        time.sleep(0.05)


# --- by commands -----------------------------------------------------------------------------------------


def test_the_way_back_puts_back_what_the_way_there_could_not(scene: Scene) -> None:
    """One ovs-ofctl fails: the change is taken back, and the guest is locked as before."""
    scene.want_fail_mode("secure")
    break_ofctl(scene.host.sandbox.bin, "--bundle", "exit 1", times=1)

    done = scene.host.run("up", scene.nic)

    assert (done.returncode, AS_BEFORE in done.stderr) == (1, True), done.stderr
    assert vsctl(scene.host.sandbox, "get-fail-mode", "xenbr0") == "standalone"
    scene.check_locked("xenbr0")


def test_a_guest_that_nothing_can_lock_is_named(scene: Scene) -> None:
    """Neither the flows of before can be put back, nor does xenstored say what is wanted."""
    scene.want_fail_mode("secure")
    break_ofctl(scene.host.sandbox.bin, "--bundle", "exit 1", times=99)

    done = scene.host.run("up", scene.nic)

    assert (done.returncode, UNLOCKED in done.stderr, "as it was" in done.stderr) == (1, True, False), done.stderr
    assert vsctl(scene.host.sandbox, "get-fail-mode", "xenbr0") == "standalone"
    (scene.host.sandbox.bin / "ovs-ofctl").unlink()
    scene.host.up(scene.nic)


def test_what_no_transaction_puts_back_is_locked_by_xenstores_word(told: Scene) -> None:
    """There and back ovs-ofctl fails; the third time it does not."""
    told.want_fail_mode("secure")
    break_ofctl(told.host.sandbox.bin, "--bundle", "exit 1", times=2)

    done = told.host.run("up", told.nic)

    assert (done.returncode, AS_BEFORE in done.stderr) == (1, True), done.stderr
    told.check_locked("xenbr0")


def test_a_bridge_that_did_not_say_its_flows_is_locked_by_xenstores_word(told: Scene) -> None:
    """They could not be read before the transaction, which did what it was to do."""
    told.want_fail_mode("secure")
    break_ofctl(told.host.sandbox.bin, "dump-flows*cookie=1/", "exit 1", times=1)

    done = told.host.run("up", told.nic)

    # of the other guest, for which nobody told xenstored, nobody can know
    assert (done.returncode, UNLOCKED in done.stderr, "vif2.0 may not be" in done.stderr) == (1, False, True)
    assert vsctl(told.host.sandbox, "get-fail-mode", "xenbr0") == "secure"
    told.check_locked("xenbr0")


def test_a_change_after_which_nobody_knows_who_is_locked_is_no_success(scene: Scene) -> None:
    """As before, without xenstored: it is said, and the change stays."""
    scene.want_fail_mode("secure")
    break_ofctl(scene.host.sandbox.bin, "dump-flows*cookie=1/", "exit 1", times=1)

    done = scene.host.run("up", scene.nic)

    assert (done.returncode, UNLOCKED in done.stderr) == (1, True), done.stderr
    assert vsctl(scene.host.sandbox, "get-fail-mode", "xenbr0") == "secure"


def test_the_next_boot_uses_what_works_though_a_guest_may_be_unlocked(scene: Scene) -> None:
    """As before, with a new address of management: its gateway answers, so the cache has it; exit 1 all the same."""
    scene.want_fail_mode("secure")
    scene.nic.update(IP="192.0.2.44")
    break_ofctl(scene.host.sandbox.bin, "dump-flows*cookie=1/", "exit 1", times=1)

    done = scene.host.run("up", scene.nic)

    assert (done.returncode, UNLOCKED in done.stderr) == (1, True), done.stderr
    (scene.host.sandbox.bin / "ovs-ofctl").unlink()
    succeed(scene.host.sandbox, "--force-interface", "all", "up")
    assert addresses(scene.host.sandbox, "xenbr0") == ["192.0.2.44/24"]


@pytest.mark.parametrize("deadman", ["0", "5"], ids=["by the next run", "by the guardian"])
def test_a_run_that_is_killed_before_it_locks_its_guests_is_made_up_for(told: Scene, deadman: str) -> None:
    """SIGKILL after the transaction: nobody has the flows in memory any more, and the host is right otherwise."""
    told.want_fail_mode("secure")
    break_ofctl(told.host.sandbox.bin, "--bundle", "kill -9 $PPID; exit 1", times=1)

    done = told.host.run("up", told.nic, XSAGENT_DEADMAN_S=deadman)

    assert done.returncode not in {0, 1}, done.stderr
    if deadman == "0":
        assert read_flows(told.rundir, "xenbr0") == {}
        told.host.up(told.nic)
    await_guardian(told)
    told.check_locked("xenbr0")


def test_a_guest_that_a_killed_run_left_unlocked_is_named_by_the_next(scene: Scene) -> None:
    """Nobody has its flows, and xenstored does not say what is wanted."""
    scene.want_fail_mode("secure")
    break_ofctl(scene.host.sandbox.bin, "--bundle", "kill -9 $PPID; exit 1", times=1)
    scene.host.run("up", scene.nic, XSAGENT_DEADMAN_S="0")

    done = scene.host.run("up", scene.nic)

    assert f"interface-reconfigure: of an earlier run: {UNLOCKED}" in done.stderr
    assert done.returncode == 0, "what was asked is so"


# --- by single steps -------------------------------------------------------------------------------------


@pytest.fixture
def runner(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StepRunner]:
    """Runs steps on a switch with bridges a and b, each with a port 1 (``onea``, ``oneb``) that has a flow of ours."""
    for name in "ab":
        words = f"add-br {name} -- set Bridge {name} datapath_type=netdev -- add-port {name} one{name}"
        words += f" -- set Interface one{name} type=internal ofport_request=1 external_ids:xs-vif-uuid=u"
        sandbox.run(["ovs-vsctl", "--timeout=20", *words.split()])
        replace_flows(sandbox.root / "run/openvswitch", name, {1: [lock(1)]})
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    paths = Paths(root=sandbox.root)
    with OvsdbConnection.open(paths.ovsdb_socket, 5) as connection:
        yield StepRunner(paths=paths, settings=Settings(), connection=connection, dhcp_wait_s=0, logger=get_logger())


def lock(number: int) -> str:
    """A locking flow of a port."""
    return f"cookie=0x1,priority=8000,in_port={number} actions=drop"


def flush(*bridges: str, mode: str = "secure") -> tuple[OvsdbOperation, ...]:
    """Operations that make the switch drop the flows of bridges."""
    return tuple(SetColumns(table="Bridge", record=name, columns={"fail_mode": mode}) for name in bridges)


def locked(runner: StepRunner) -> dict[str, set[int]]:
    """Numbers for which the switch has locking flows, by bridge."""
    return {name: set(read_flows(runner.paths.ovs_rundir, name)) for name in "ab"}


def test_a_bridge_whose_flows_cannot_be_put_back_keeps_no_other_from_its_own(
    runner: StepRunner, tmp_path: Path
) -> None:
    """The error names the one; the next step, as one of the way back, brings it too."""
    break_ofctl(tmp_path, "--bundle*/a.mgmt", "exit 1", times=1)

    with pytest.raises(UnlockedError, match="locking flows of onea could not be put right"):
        runner.run(OvsdbStep(operations=flush("a", "b")))

    assert locked(runner) == {"a": set(), "b": {1}}
    runner.run(OvsdbStep(operations=flush("a", "b", mode="standalone")))
    assert (locked(runner), runner.unlocked) == ({"a": {1}, "b": {1}}, LockedPorts())


def test_what_went_wrong_first_is_told(runner: StepRunner, tmp_path: Path) -> None:
    """The switch refuses a port, and ovs-ofctl fails too: the way back needs to know the first."""
    break_ofctl(tmp_path, "--bundle", "exit 1", times=1)
    absent = Port(name="absent", interfaces={"absent": Interface(name="absent")})

    with pytest.raises(SwitchRefusedError):
        runner.run(OvsdbStep(operations=(*flush("a"), AddPort(bridge="a", port=absent)), ports=("absent",)))

    assert runner.unlocked.flows.keys() == {"onea"}


def test_after_a_conflict_no_flow_is_written(runner: StepRunner, tmp_path: Path) -> None:
    """What the plan relied on is no longer so: nothing was changed, and planning afresh may work."""
    relied = Relied(table="Bridge", record="a", column="fail_mode", value="secure")
    break_ofctl(tmp_path, "--bundle", "exit 1", times=99)

    with pytest.raises(ConflictError):
        runner.run(OvsdbStep(operations=flush("a"), relied=(relied,)))

    assert not (tmp_path / "ovs-ofctl.calls").exists()
    assert runner.unlocked == LockedPorts()


def test_a_guest_whose_bridge_the_way_back_makes_anew_is_locked_there(runner: StepRunner) -> None:
    """A session's `down` takes the bridge with its guests; then something fails."""
    bridges = read_ovsdb(runner.connection).bridges
    operations: tuple[OvsdbOperation, ...] = (DeleteBridge(name="a"), DeletePort(bridge="b", name="oneb"))
    undo = OvsdbStep(operations=invert_operations(operations, bridges))

    runner.run(OvsdbStep(operations=operations, undo=(undo,)))

    assert read_flows(runner.paths.ovs_rundir, "b") == {}
    assert runner.unlocked.is_back
    runner.run(undo)
    assert {name: len(flows) for name, flows in locked(runner).items()} == {"a": 1, "b": 1}
    for name in "ab":
        assert locked(runner)[name] == {read_port_numbers(runner.connection)[name][f"one{name}"]}


def test_a_number_that_was_left_is_cleared_only_while_no_port_has_it(runner: StepRunner) -> None:
    """A VIF that was plugged in meanwhile may have got it, and is locked by then."""
    rundir = runner.paths.ovs_rundir
    replace_flows(rundir, "a", {9: [lock(9)]})
    left = LockedPorts(left={"a": {1, 9}})

    assert relock_ports(rundir, runner.connection, left, runner.logger) is None

    assert (locked(runner), left) == ({"a": {1}, "b": {1}}, LockedPorts())

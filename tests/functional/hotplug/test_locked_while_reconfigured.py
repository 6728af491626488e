"""A locked guest stays locked through a reconfigure that makes the switch forget its flows: no daemon, no resync."""

from __future__ import annotations

from typing import TYPE_CHECKING

from host_state import vsctl

if TYPE_CHECKING:
    from reconfigured_guest import Scene


def test_a_guest_stays_locked_when_its_bridge_gets_another_fail_mode(scene: Scene) -> None:
    """The switch drops all flows then, and they are back before the command ends."""
    scene.check_locked("xenbr0")

    for mode in ("secure", "standalone"):
        scene.set_fail_mode(mode)
        assert vsctl(scene.host.sandbox, "get-fail-mode", "xenbr0") == mode
        scene.check_locked("xenbr0")


def test_a_guest_stays_locked_when_its_port_moves_to_a_bond_and_back(scene: Scene) -> None:
    """Each time the port gets another number on another bridge; the flows are for that one."""
    scene.host.up(scene.add_bond())
    scene.check_locked("xapi0")

    scene.break_bond()
    scene.check_locked("xenbr0")


def test_a_guest_stays_locked_when_a_reconfigure_is_taken_back(scene: Scene) -> None:
    """The gateway falls silent under a bond whose address is wrong: all goes back, flows too."""
    scene.nic["gateway"] = "192.0.2.99"

    done = scene.host.run("up", scene.add_bond())

    assert (done.returncode, "does not answer" in done.stderr) == (1, True), done.stderr
    scene.check_locked("xenbr0")

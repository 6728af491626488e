"""plan/manager_ca.py: what becomes of the CA that was taken over from a manager, when another comes."""

from __future__ import annotations

import pytest

from xsagent.plan.manager import ControlChange
from xsagent.plan.manager_ca import BOOTSTRAPPED_CA, KEPT_CA, ca_steps, is_kept_ca_done
from xsagent.topology.control import ManagerState

ONE, TWO = "ssl:192.0.2.1:6640", "ssl:192.0.2.2:6640"
CA = "-----BEGIN CERTIFICATE-----\none\n"
KEPT = f"# CA of {ONE}\n{CA}"
OTHER = ControlChange(manager="set", target=TWO, new_ca=True, ca_of="ssl:192.0.2.1")
BACK = ControlChange(manager="set", target=ONE, new_ca=True, ca_of=TWO)
GONE = ControlChange(manager="removed", new_ca=True, ca_of=ONE)


@pytest.mark.parametrize(
    ("change", "present", "kept", "files"),
    [
        (ControlChange(manager="set", target=ONE), CA, None, {}),
        (OTHER, CA, None, {KEPT_CA: KEPT, BOOTSTRAPPED_CA: None}),
        (OTHER, None, None, {}),
        (BACK, None, KEPT, {KEPT_CA: None, BOOTSTRAPPED_CA: CA}),
        (BACK, "two", KEPT, {KEPT_CA: f"# CA of {TWO}\ntwo", BOOTSTRAPPED_CA: CA}),
        (ControlChange(manager="set", target="ssl:192.0.2.3:1", new_ca=True, ca_of=TWO), None, KEPT, {}),
        (ControlChange(manager="set", target=TWO, new_ca=True), CA, None, {BOOTSTRAPPED_CA: None}),
        (GONE, CA, KEPT, {KEPT_CA: None, BOOTSTRAPPED_CA: None}),
        (BACK, None, f"no owner\n{CA}", {}),
    ],
)
def test_the_old_ca_is_kept_until_the_new_manager_works(
    change: ControlChange, present: str | None, kept: str | None, files: dict[str, str | None]
) -> None:
    """A change keeps it aside, one back restores it, one to nobody forgets both; each step has its undo."""
    before = {BOOTSTRAPPED_CA: present, KEPT_CA: kept}
    steps = ca_steps(change, present, kept)

    assert {step.path: step.text for step in steps} == files
    assert [undo for step in steps for undo in step.undo] != [] or not files
    for step in steps:
        (undo,) = step.undo
        assert getattr(undo, "text", "") == before[step.path]


def test_the_kept_ca_is_done_with_when_the_wanted_manager_is_connected() -> None:
    """Not when another one is, nor while it tries."""
    assert is_kept_ca_done(ONE, [ManagerState(target="ssl:192.0.2.1", is_connected=True)])
    assert not is_kept_ca_done(ONE, [ManagerState(target=ONE), ManagerState(target=TWO, is_connected=True)])

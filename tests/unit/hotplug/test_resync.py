"""Which events a survey of all guests' devices leads to."""

from __future__ import annotations

from dataclasses import replace

from xsagent.hotplug.event import Action
from xsagent.hotplug.resync import Survey, build_resync_events
from xsagent.model.vif import DeviceType, VifId

VIF, TAP = DeviceType.VIF, DeviceType.TAP
A, B = VifId(5, 0), VifId(6, 1)


def events(survey: Survey) -> list[tuple[str, Action]]:
    """Devices and actions."""
    return [(event.device, event.action) for event in build_resync_events(survey)]


def test_what_has_a_netdev_and_a_backend_is_looked_at() -> None:
    """Attached or not: a lost event is no other case than a right device."""
    survey = Survey(backends=frozenset({A, B}), netdevs=frozenset({(VIF, A), (TAP, A)}), ports=frozenset({(VIF, A)}))

    assert events(survey) == [("tap5.0", Action.REPAIR), ("vif5.0", Action.REPAIR)]


def test_a_missed_remove_is_made_up_for() -> None:
    """No netdev and no backend: port and the key that xenopsd waits for go."""
    survey = Survey(backends=frozenset(), online=frozenset({B}), ports=frozenset({(VIF, A), (TAP, A)}))

    assert events(survey) == [("tap5.0", Action.REMOVE), ("vif5.0", Action.REMOVE), ("vif6.1", Action.REMOVE)]


def test_nothing_is_removed_while_the_netdev_is_there() -> None:
    """Whatever xenstore says of its backend."""
    netdev = frozenset({(VIF, A)})
    gone = Survey(backends=frozenset(), netdevs=netdev, ports=netdev, online=frozenset({A}))
    closed = Survey(
        backends=frozenset({A}),
        closing=frozenset({A}),
        unplugging=frozenset({A}),
        closed=frozenset({A}),
        netdevs=netdev,
        online=frozenset({A}),
    )

    assert events(gone) == []
    assert events(closed) == []


def test_nothing_is_removed_while_the_backend_may_go_on() -> None:
    """A driver that takes its device away and brings it again (Windows PV) keeps the backend, which may be closed."""
    port = frozenset({(VIF, A)})
    living = Survey(backends=frozenset({A}), ports=port, online=frozenset({A}))
    going = Survey(backends=frozenset({A}), closing=frozenset({A}), ports=port, online=frozenset({A}))

    assert events(living) == []
    assert events(going) == []


def test_a_missed_remove_is_made_up_for_while_xenopsd_waits_for_it() -> None:
    """It removes the backend directory after the `hotplug` key has gone: netback is through, and it asked for that."""
    survey = Survey(
        backends=frozenset({A}),
        closing=frozenset({A}),
        unplugging=frozenset({A}),
        closed=frozenset({A}),
        online=frozenset({A}),
        ports=frozenset({(TAP, A)}),
    )

    assert events(survey) == [("tap5.0", Action.REMOVE), ("vif5.0", Action.REMOVE)]


def test_a_closing_vif_is_left_to_its_remove() -> None:
    """Netback is taking it away; attaching it again would only be in the way."""
    survey = Survey(backends=frozenset({A}), closing=frozenset({A}), netdevs=frozenset({(VIF, A)}))
    asked = replace(survey, unplugging=frozenset({A}), online=frozenset({A}))

    assert events(survey) == []
    assert events(asked) == []


def test_a_closing_vif_that_is_plugged_in_is_looked_at() -> None:
    """A guest closes it when it likes, and comes again without a word: its flows are to be there then, and its port."""
    survey = Survey(backends=frozenset({A}), closing=frozenset({A}), netdevs=frozenset({(VIF, A)}))
    off_its_bridge = replace(survey, online=frozenset({A}))
    on_its_bridge = replace(survey, ports=frozenset({(VIF, A)}))

    assert events(off_its_bridge) == [("vif5.0", Action.REPAIR)]
    assert events(on_its_bridge) == [("vif5.0", Action.REPAIR)]
    assert events(replace(on_its_bridge, unplugging=frozenset({A}))) == [("vif5.0", Action.REPAIR)]


def test_what_the_toolstack_has_not_yet_had_plugged_is_left_to_its_call() -> None:
    """With libxl/disable_udev it calls for each vif; one that lost its port, and taps, are repaired all the same."""
    lost, fresh = VifId(5, 0), VifId(6, 1)
    survey = Survey(
        backends=frozenset({lost, fresh}),
        online=frozenset({lost}),
        netdevs=frozenset({(VIF, lost), (VIF, fresh), (TAP, fresh)}),
        udev_ignored=True,
    )

    assert events(survey) == [("tap6.1", Action.REPAIR), ("vif5.0", Action.REPAIR)]

"""What installing does to the toolstack's udev rules."""

from __future__ import annotations

import pytest

from xsagent.hotplug.udev_rules import MARK, put_back_network_lines, take_out_network_lines

TOOLSTACK = """\
SUBSYSTEM=="xen-backend", KERNEL=="tap*", RUN+="/usr/libexec/xenopsd/tap $env{ACTION}"
SUBSYSTEM=="xen-backend", KERNEL=="vbd*|qdisk*", RUN+="/usr/libexec/xenopsd/block $env{ACTION}"

SUBSYSTEM=="xen-backend", KERNEL=="vif*", RUN+="/usr/libexec/xenopsd/vif $env{ACTION} type_if=vif"
SUBSYSTEM=="net",         KERNEL=="tap*", RUN+="/usr/libexec/xenopsd/vif $env{ACTION} type_if=tap"
# SUBSYSTEM=="net", KERNEL=="tap*", RUN+="/an/old/one"
SUBSYSTEM=="net", KERNEL=="eth*", RUN+="/usr/lib/rename"
SUBSYSTEM=="net", KERNEL=="tap*", NAME="x"
KERNEL=="evtchn", NAME="xen/%k"
"""


def test_only_the_two_network_lines_are_taken_out() -> None:
    """vbd, tap-ctl, evtchn, other NICs and rules that run nothing stay as they are."""
    before, after = TOOLSTACK.splitlines(), take_out_network_lines(TOOLSTACK).splitlines()

    changed = [number for number, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    assert changed == [3, 4]
    assert [after[number] for number in changed] == [MARK + before[number] for number in changed]


def test_a_second_time_changes_nothing_and_it_can_be_put_back() -> None:
    """Installing twice is installing once; removing restores the file."""
    once = take_out_network_lines(TOOLSTACK)

    assert take_out_network_lines(once) == once
    assert put_back_network_lines(once) == TOOLSTACK
    assert put_back_network_lines(TOOLSTACK) == TOOLSTACK


@pytest.mark.parametrize(
    "rule",
    [
        'SUBSYSTEM=="xen-backend", KERNEL=="vif*|vif-*", RUN+="/x"\n',
        'KERNEL=="vif-*", RUN="/etc/xensource/scripts/vif $env{ACTION} vif", SUBSYSTEM=="xen-backend"',
        'SUBSYSTEM=="xen-backend", \\\n  KERNEL=="vif*", \\\n  RUN:="/x"\n',
    ],
)
def test_other_spellings_of_the_lines_are_known(rule: str) -> None:
    """Patterns with alternatives, any order of keys, rules over several lines."""
    taken = take_out_network_lines(rule)

    assert all(line.startswith(MARK) for line in taken.splitlines())
    assert put_back_network_lines(taken) == rule


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        (
            'SUBSYSTEM=="xen-backend", KERNEL=="vif*|vbd*", RUN+="/x"\n',
            'SUBSYSTEM=="xen-backend", KERNEL=="vif*|vbd*", KERNEL!="vif*", RUN+="/x"\n',
        ),
        ('KERNEL=="*", RUN+="/x", SUBSYSTEM=="net|xen-backend"', None),
        ('SUBSYSTEM=="net", \\\n  KERNEL=="tap*|eth*", \\\n  RUN:="/x"\n', None),
    ],
)
def test_a_rule_for_other_devices_too_stays_for_those(rule: str, left: str | None) -> None:
    """One line for vif and vbd: block devices go on, ours are excluded from it; it can be put back."""
    taken = take_out_network_lines(rule)
    active = "".join(line for line in taken.splitlines(keepends=True) if not line.startswith("#"))

    assert active == (left or active)
    assert 'KERNEL!="' in active
    assert "RUN" in active
    assert take_out_network_lines(taken) == taken
    assert put_back_network_lines(taken) == rule

"""daemon/guest_ports.py: a monitor's rows tell which number each guest's port has."""

from __future__ import annotations

import pytest

from xsagent.daemon.guest_ports import GuestPorts
from xsagent.topology.values import Json


def test_numbers_follow_the_rows_of_guests_ports() -> None:
    """Of a row that changed only its UUID and what changed is told; one without a number has 0."""
    ports = GuestPorts()

    assert ports.take(
        {
            "a": {"initial": {"name": "vif1.0", "ofport": 3}},
            "b": {"initial": {"name": "tap1.0", "ofport": -1}},
            "c": {"initial": {"name": "eth0", "ofport": 1}},
            "d": {"initial": {"name": "vif-of-somebody", "ofport": 2}},
        }
    ) == [("tap1.0", 0), ("vif1.0", 3)]
    assert ports.take({"a": {"modify": {"ofport": 77}}, "c": {"modify": {"ofport": 5}}}) == [("vif1.0", 77)]
    assert ports.take({"a": {"modify": {"ofport": ["set", []]}}}) == [("vif1.0", 0)]
    assert ports.take({"a": {"delete": None}, "e": {"insert": {"name": "vif1.0"}}}) == [("vif1.0", 0)]
    assert ports.take({"a": {"modify": {"ofport": 9}}, "e": {"modify": {"ofport": 4}}}) == [("vif1.0", 4)]


@pytest.mark.parametrize("rows", ["ae", "ea"])
def test_a_number_that_went_is_told_before_the_one_that_came_in_its_place(rows: str) -> None:
    """Whichever row an update names first, and if it is the same: flows of the first may be gone."""
    ports = GuestPorts()
    ports.take({"a": {"initial": {"name": "vif1.0", "ofport": 3}}})
    change: dict[str, Json] = {"a": {"delete": None}, "e": {"insert": {"name": "vif1.0", "ofport": 3}}}

    assert ports.take({row: change[row] for row in rows}) == [("vif1.0", 0), ("vif1.0", 3)]


def test_of_a_port_that_comes_nothing_is_told_before_it_has_a_number() -> None:
    """It has lost none; who made it verifies the one that it gets."""
    ports = GuestPorts()

    assert ports.take({"a": {"insert": {"name": "vif1.0"}}}) == []
    assert ports.take({"a": {"modify": {"ofport": 3}}}) == [("vif1.0", 3)]


def test_what_is_no_update_is_passed_over() -> None:
    """A server's answer shapes nothing here."""
    ports = GuestPorts()

    assert ports.take(None) == []
    assert ports.take({"a": None, "b": {"modify": {"ofport": 3}}, "c": {"insert": {"name": 7}}}) == []

"""daemon/guest_ports.py: a monitor's rows tell which number each guest's port has."""

from __future__ import annotations

from xsagent.daemon.guest_ports import GuestPorts


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
    ) == {"vif1.0": 3, "tap1.0": 0}
    assert ports.take({"a": {"modify": {"ofport": 77}}, "c": {"modify": {"ofport": 5}}}) == {"vif1.0": 77}
    assert ports.take({"a": {"modify": {"ofport": ["set", []]}}}) == {"vif1.0": 0}
    assert ports.take({"a": {"delete": None}, "e": {"insert": {"name": "vif1.0"}}}) == {"vif1.0": 0}
    assert ports.take({"a": {"modify": {"ofport": 9}}, "e": {"modify": {"ofport": 4}}}) == {"vif1.0": 4}


def test_what_is_no_update_is_passed_over() -> None:
    """A server's answer shapes nothing here."""
    ports = GuestPorts()

    assert ports.take(None) == {}
    assert ports.take({"a": None, "b": {"modify": {"ofport": 3}}, "c": {"insert": {"name": 7}}}) == {}

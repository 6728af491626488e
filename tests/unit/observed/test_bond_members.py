"""observed/bond_members.py: what ovs-vswitchd prints of a bond's members."""

from __future__ import annotations

import pytest

from xsagent.observed.bond_members import BondMember, parse_bond_show

SHOWN = """---- bond0 ----
bond_mode: active-backup
bond may use recirculation: no, Recirc-ID : -1
updelay: 31000 ms
downdelay: 200 ms
lacp_status: off
active-backup primary: <none>
active member mac: 00:1b:21:00:5a:02(eth1)

{word} eth0: disabled
  updelay expires in 26883 ms
  may_enable: true

{word} eth1: enabled
  active {word}
  may_enable: false
  hash 12: 3 kB load

"""


@pytest.mark.parametrize("word", ["member", "slave"])
def test_each_member_is_told_with_what_it_does_and_what_it_may(word: str) -> None:
    """In the words of Open vSwitch before and after 2.15; other lines about a member stand between."""
    assert parse_bond_show(SHOWN.format(word=word)) == (
        BondMember(name="eth0", enabled=False, may_enable=True),
        BondMember(name="eth1", enabled=True, may_enable=False),
    )


def test_a_member_of_which_one_half_is_missing_is_not_made_up() -> None:
    """Nor are its neighbour's words taken for its own."""
    text = "member eth0: enabled\n\nmember eth1: enabled\n  may_enable: true\n"

    assert parse_bond_show(text) == (BondMember(name="eth1", enabled=True, may_enable=True),)

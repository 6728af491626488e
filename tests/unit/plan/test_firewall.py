"""The difference between wanted rules and a chain."""

from __future__ import annotations

from xsagent.plan.firewall import diff_firewall, render_change
from xsagent.topology.firewall import FirewallChain, FirewallChange, FirewallRule, OwnRule

GRE, VXLAN, STT = FirewallRule("gre"), FirewallRule("udp", 4789), FirewallRule("tcp", 7471)


def chain(*own: OwnRule, mentions_gre: bool = False) -> FirewallChain:
    """A chain with these rules of ours."""
    return FirewallChain(backend="nftables", where=("inet", "t", "c"), own=own, mentions_gre=mentions_gre)


def test_what_is_there_stays_and_what_is_missing_comes() -> None:
    """Added in an order of its own, so that two hosts come to the same."""
    (change,) = diff_firewall({VXLAN, GRE, STT}, [chain(OwnRule(rule=VXLAN, handle=("4",)))])

    assert (change.add, change.remove) == ((GRE, STT), ())


def test_what_is_no_longer_wanted_goes() -> None:
    """By its handle."""
    (change,) = diff_firewall({GRE}, [chain(OwnRule(rule=GRE, handle=("1",)), OwnRule(rule=VXLAN, handle=("2",)))])

    assert (change.add, change.remove) == ((), (("2",),))


def test_a_second_one_and_one_that_is_not_what_it_says_go() -> None:
    """The first of two equal ones stays; an edited one is made anew."""
    edited, first, second = (OwnRule(rule=rule, handle=(str(n),)) for n, rule in enumerate((None, GRE, GRE)))
    (change,) = diff_firewall({GRE, VXLAN}, [chain(edited, first, second)])

    assert (change.add, change.remove) == ((VXLAN,), (("0",), ("2",)))


def test_nothing_to_do_is_no_change() -> None:
    """For each chain by itself."""
    right, empty = chain(OwnRule(rule=GRE, handle=("1",))), chain()

    assert diff_firewall({GRE}, [right]) == ()
    assert len(diff_firewall({GRE}, [right, empty])) == 1


def test_somebody_elses_word_on_gre_counts() -> None:
    """Ours is not added then, and goes where it is there."""
    assert diff_firewall({GRE}, [chain(mentions_gre=True)]) == ()
    (change,) = diff_firewall({GRE}, [chain(OwnRule(rule=GRE, handle=("1",)), mentions_gre=True)])
    assert change.remove == (("1",),)


def test_a_change_has_words() -> None:
    """One line a rule."""
    change = FirewallChange(backend="iptables", where=("ip6tables",), add=(GRE, VXLAN), remove=(("-p", "esp"),))

    assert render_change(change) == [
        "iptables ip6tables: accept gre",
        "iptables ip6tables: accept udp port 4789",
        "iptables ip6tables: take out -p esp",
    ]

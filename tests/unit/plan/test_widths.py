"""plan/widths.py: no VLAN's device is wider than what carries it."""

from __future__ import annotations

from dataclasses import replace

from xsagent.plan.diff import build_plan
from xsagent.plan.follow_up import steps_to_follow
from xsagent.plan.options import PlanOptions
from xsagent.plan.steps import FileStep, LinkStep, OvsdbStep, SetColumns
from xsagent.plan.widths import Narrowed, within_carriers
from xsagent.topology.desired import Desired
from xsagent.topology.values import KEEP, Bridge, Interface, Keep, Link, Port, Topology

FILE = "/etc/sysconfig/network-scripts/ifcfg-xapi5"


def internal(name: str, mtu: int | Keep, tag: int | None = None) -> Port:
    """A bridge's own port, or with a tag a VLAN bridge."""
    interfaces = {name: Interface(name=name, type="internal", mtu_request=mtu)}
    return Port(name=name, interfaces=interfaces, tag=tag, fake_bridge=tag is not None)


def uplink(*nics: str, mtu: int | Keep) -> Port:
    """A NIC, or a bond of several."""
    interfaces = {name: Interface(name=name, type="", mtu_request=mtu) for name in nics}
    return Port(name=nics[0] if len(nics) == 1 else "bond0", interfaces=interfaces)


def bridge(*ports: Port) -> Bridge:
    """The carrier's."""
    return Bridge(name="xenbr0", ports={port.name: port for port in (internal("xenbr0", 1500), *ports)})


def vlan_over(*nics: str, mtu: int | Keep) -> Desired:
    """A VLAN that wants 9000 bytes over these."""
    links = {name: Link(name=name, mtu=mtu, up=True) for name in nics}
    links["xapi5"] = Link(name="xapi5", mtu=9000, up=True)
    bridges = {"xenbr0": bridge(uplink(*nics, mtu=mtu), internal("xapi5", 9000, 5))}
    return Desired(topology=Topology(bridges=bridges, links=links, files={FILE: "DEVICE=xapi5\nMTU=9000\nDNS1=::\n"}))


def nics(*mtus: int) -> dict[str, Link]:
    """eth0, eth1 ... as they are."""
    return {f"eth{number}": Link(name=f"eth{number}", mtu=mtu, up=True) for number, mtu in enumerate(mtus)}


REFUSED = PlanOptions(refused_settings={"eth0": {"mtu": "9000"}})


def fit(
    desired: Desired, observed: Topology, options: PlanOptions | None = None
) -> tuple[Desired, Narrowed, tuple[str, ...]]:
    """Where no driver refused anything, unless it is said."""
    return within_carriers(desired, observed, options or PlanOptions())


def widths(desired: Desired) -> tuple[object, object, str | None]:
    """Of the VLAN's link, request and file."""
    topology = desired.topology
    interface = topology.bridges["xenbr0"].ports["xapi5"].interfaces["xapi5"]
    return topology.links["xapi5"].mtu, interface.mtu_request, topology.files[FILE]


def test_a_vlan_bridge_is_as_wide_as_the_narrowest_member_of_a_carrier_that_stays() -> None:
    """Link, request to the switch and ifcfg file alike; people are told."""
    fitted, narrowed, warnings = fit(vlan_over("eth0", "eth1", mtu=KEEP), Topology(links=nics(9000, 4000)))

    assert widths(fitted) == (4000, 4000, "DEVICE=xapi5\nMTU=4000\nDNS1=::\n")
    assert narrowed == {"xapi5": 4000}
    assert warnings == ("xapi5 gets MTU 4000, not 9000: eth0, eth1 below it is no wider",)


def test_the_transaction_asks_for_no_more_than_that() -> None:
    """The switch sets what its row asks for."""
    steps = build_plan(vlan_over("eth0", mtu=KEEP), host(1500), PlanOptions()).steps

    assert not [step for step in steps if isinstance(step, OvsdbStep) and "9000" in str(step.operations)]
    new = replace(host(1500), bridges={})
    (transaction,) = [
        step
        for step in build_plan(vlan_over("eth0", mtu=KEEP), new, PlanOptions()).steps
        if isinstance(step, OvsdbStep)
    ]
    assert "9000" not in str(transaction.operations)


def test_where_the_carrier_is_made_as_wide_the_vlan_has_what_it_wants() -> None:
    """However wide the carrier is now; and where nothing is known of it."""
    for mtu, links in ((9000, nics(1500)), (KEEP, nics(9216)), (KEEP, {})):
        wanted = vlan_over("eth0", mtu=mtu)
        assert fit(wanted, Topology(links=links)) == (wanted, {}, ())


def test_a_nic_that_refused_its_mtu_counts_as_it_is() -> None:
    """As its driver is remembered to have refused this very MTU; a bridge's own device is no wider either."""
    wanted = vlan_over("eth0", mtu=9000)
    ports = {**wanted.topology.bridges["xenbr0"].ports, "xenbr0": internal("xenbr0", 9000)}
    bridges = {"xenbr0": Bridge(name="xenbr0", ports=ports)}
    wanted = replace(wanted, topology=replace(wanted.topology, bridges=bridges))

    fitted, narrowed, warnings = fit(wanted, Topology(links=nics(1500)), REFUSED)

    assert widths(fitted)[:2] == (1500, 1500)
    assert fitted.topology.bridges["xenbr0"].ports["xenbr0"].interfaces["xenbr0"].mtu_request == 1500
    assert narrowed == {"xapi5": 1500, "xenbr0": 1500}
    assert sorted(warnings) == [
        f"{name} gets MTU 1500, not 9000: eth0 below it is no wider" for name in sorted(narrowed)
    ]
    assert fit(wanted, Topology(links=nics(9000)), REFUSED) == (wanted, {}, ())
    other = PlanOptions(refused_settings={"eth0": {"mtu": "9216"}})
    assert fit(wanted, Topology(links=nics(1500)), other) == (wanted, {}, ())


def test_what_rides_on_a_nic_that_refused_is_narrowed_too() -> None:
    """By the carrier's own up, which says so."""
    fitted, narrowed, warnings = fit(riding(9000, 9000), host(1500), REFUSED)

    assert fitted.riders == narrowed == {"xapi5": 1500, "eth0.6": 1500}
    assert len(warnings) == len(narrowed)


def test_narrowing_alone_is_best_effort() -> None:
    """A refusal that came with the very run that makes the VLAN is no reason to take the VLAN back."""
    wanted = vlan_over("eth0", mtu=9000)
    there = replace(host(9000), files={FILE: wanted.topology.files[FILE]})
    links = {**there.links, "eth0": replace(there.links["eth0"], mtu=1500)}
    there = replace(there, links={name: link for name, link in links.items() if link.parent is None})

    left = build_plan(wanted, there, REFUSED)

    assert not [step for step in left.steps if step.required]
    assert steps_to_follow(left, ()).steps == left.steps
    assert [type(step) for step in left.steps] == [FileStep, OvsdbStep, LinkStep]
    ports = {**there.bridges["xenbr0"].ports, "eth0": uplink("eth0", mtu=1400)}
    more = build_plan(wanted, replace(there, bridges={"xenbr0": Bridge(name="xenbr0", ports=ports)}), REFUSED)
    assert [type(step) for step in more.steps if step.required] == [OvsdbStep]


def riding(width: int, carrier: int) -> Desired:
    """The carrier alone is brought up; a VLAN on it wants this width."""
    links = {"eth0": Link(name="eth0", mtu=carrier, up=True)}
    bridges = {"xenbr0": bridge(uplink("eth0", mtu=carrier))}
    return Desired(topology=Topology(bridges=bridges, links=links), riders={"xapi5": width, "eth0.6": width, "no": 1})


def host(width: int) -> Topology:
    """All of it has this width now; eth0.6 is a VLAN netdev."""
    ports = (uplink("eth0", mtu=width), internal("xapi5", width, 5))
    names = ("eth0", "xapi5", "xenbr0")
    links = {name: Link(name=name, mtu=width, up=True) for name in names}
    links["eth0.6"] = Link(name="eth0.6", mtu=width, up=True, kind="vlan", parent="eth0", vlan=6)
    return Topology(bridges={"xenbr0": bridge(*ports)}, links=links)


def test_what_rides_on_a_carrier_follows_it() -> None:
    """Wider and narrower, as its network wants and the carrier allows; a device that is not there is not made."""
    for before, after in ((1500, 9000), (9000, 1500)):
        steps = build_plan(riding(after, after), host(before), PlanOptions()).steps

        links = {(step.device, step.mtu) for step in steps if isinstance(step, LinkStep)}
        assert {("eth0", after), ("xapi5", after), ("eth0.6", after)} <= links
        (transaction,) = [step for step in steps if isinstance(step, OvsdbStep)]
        request = SetColumns(table="Interface", record="xapi5", columns={"mtu_request": after})
        assert request in transaction.operations
        assert fit(riding(9000, 1500), host(9000))[0].riders == {"xapi5": 1500, "eth0.6": 1500}


def test_the_file_of_what_rides_on_a_carrier_follows_too() -> None:
    """An ifup would set the old width again; who has no file gets none."""
    before = replace(host(1500), files={FILE: "MTU=1500\n"})

    (step,) = [
        step for step in build_plan(riding(9000, 9000), before, PlanOptions()).steps if isinstance(step, FileStep)
    ]

    assert (step.path, step.text, step.undo) == (FILE, "MTU=9000\n", (FileStep(path=FILE, text="MTU=1500\n"),))


def on_the_way(mtu: int) -> Desired:
    """A VLAN with 1500 bytes is brought up, over a bond whose members are to have this width at least."""
    links = {name: Link(name=name, mtu=mtu, mtu_is_least=True, up=True) for name in ("eth0", "eth1")}
    links["xapi5"] = Link(name="xapi5", mtu=1500, up=True)
    ports = {port.name: port for port in (uplink("eth0", "eth1", mtu=mtu), internal("xapi5", 1500, 5))}
    return Desired(topology=Topology(bridges={"xenbr0": Bridge(name="xenbr0", ports=ports)}, links=links))


def test_a_carrier_that_is_only_on_the_way_is_widened_and_never_narrowed() -> None:
    """Others may ride on it that want what it has; row and link stay as they are."""
    wide = {name: Link(name=name, mtu=mtu, up=True) for name, mtu in (("eth0", 9000), ("eth1", 4000), ("xapi5", 1500))}
    ports = (uplink("eth0", "eth1", mtu=9000), internal("xapi5", 1500, 5))
    there = Topology(bridges={"xenbr0": bridge(*ports)}, links=wide)

    fitted, _, warnings = fit(on_the_way(1500), there)

    asked = fitted.topology.bridges["xenbr0"].ports["bond0"].interfaces
    assert {name: item.mtu_request for name, item in asked.items()} == {"eth0": KEEP, "eth1": KEEP}
    assert warnings == ()
    steps = build_plan(on_the_way(1500), there, PlanOptions()).steps
    assert not [step for step in steps if isinstance(step, LinkStep)]
    steps = build_plan(on_the_way(5000), there, PlanOptions()).steps
    assert [(step.device, step.mtu) for step in steps if isinstance(step, LinkStep)] == [("eth1", 5000)]


def test_nothing_is_done_where_all_are_as_wide_as_wanted() -> None:
    """A second run."""
    assert build_plan(riding(1500, 1500), host(1500), PlanOptions()).steps == ()

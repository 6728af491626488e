"""desired/manager.py: whom the switch obeys, and what XAPI wants of each bridge beside that."""

from __future__ import annotations

import pytest
from records_builder import HOST, NETLINK, Records

from xsagent.desired.manager import ControlOptions, build_control
from xsagent.errors import InputError
from xsagent.model.host import HostFacts
from xsagent.model.records import Network, Pool, Ref
from xsagent.model.sdn_controller import SdnController
from xsagent.topology.control import DesiredControl, ManagerTarget, TlsFiles

OPTIONS = ControlOptions(certificate="/pem", bootstrapped_ca="/taken", installed_ca="/installed")
ACTIVE = TlsFiles(private_key="/pem", certificate="/pem", ca_cert="/taken", bootstrap=True)
PASSIVE = TlsFiles(private_key="/pem", certificate="/pem", ca_cert="/installed", bootstrap=False)


def records(controller: str = "", **other_config: str) -> Records:
    """A management NIC and a pool."""
    made = Records(pool=Pool(ref=Ref("pool"), uuid="p", vswitch_controller=controller, other_config=other_config))
    made.nic(0, management=True)
    return made


def control(
    made: Records, *controllers: SdnController, options: ControlOptions = OPTIONS, host: HostFacts = HOST
) -> DesiredControl:
    """What these records want."""
    return build_control(made.snapshot(), controllers, host, NETLINK, options)


def record(uuid: str = "c", **fields: str) -> SdnController:
    """An SDN_controller record."""
    return SdnController(ref=Ref(uuid), uuid=uuid, **fields)


def test_no_controller_anywhere_is_no_manager() -> None:
    """An empty field is not an address."""
    assert control(records()).manager is None


@pytest.mark.parametrize(
    ("field", "target"),
    [
        ("192.0.2.9", "ssl:192.0.2.9:6640"),
        ("192.0.2.9:6632", "ssl:192.0.2.9:6632"),
        ("2001:db8::9", "ssl:[2001:db8::9]:6640"),
        ("[2001:db8::9]", "ssl:[2001:db8::9]:6640"),
        ("[2001:db8::9]:1", "ssl:[2001:db8::9]:1"),
        ("controller.example.com", "ssl:controller.example.com:6640"),
        ("nsx-1", "ssl:nsx-1:6640"),
        ("nsx-1:6641", "ssl:nsx-1:6641"),
    ],
)
def test_the_pools_field_becomes_a_target(field: str, target: str) -> None:
    """Addresses of both families, names, with and without port; the answer names the field as it stands."""
    assert control(records(field)).manager == ManagerTarget(target=target, label=field, tls=ACTIVE)


def test_the_port_of_the_pools_field_can_be_configured() -> None:
    """Controllers of earlier releases listen on 6632."""
    old = ControlOptions(certificate="/pem", bootstrapped_ca="/taken", installed_ca="/i", default_port=6632)

    manager = control(records("192.0.2.9"), options=old).manager

    assert manager is not None
    assert manager.target == "ssl:192.0.2.9:6632"


@pytest.mark.parametrize(
    "field",
    [" ", "192.0.2.9 ", "a b", "a\tb", "a\nb", "$(x)", "a;b", "a|b", "a&b", "a'b", 'a"b', "`a`", "a/b", "a:b", "a:",
     "a:-1", "a:65536", "1.2.3", "1.2.3.4.5", "0.0.0.256", "[::1", "::1]", "[a]:1", "fe80::1%eth0", "-a", "a-", "é",
     "x" * 254, "ssl:a:1"],
)  # fmt: skip
def test_what_is_no_address_is_refused_by_name(field: str) -> None:
    """Nothing of it reaches the database, and the record that holds it is named."""
    with pytest.raises(InputError, match=r"^pool\.vswitch_controller: .*nothing was changed$"):
        control(records(field))


def test_a_record_goes_before_the_pools_field() -> None:
    """Its port is its own; 0 is 6632; the answer names the whole target."""
    made = records("192.0.2.8")

    assert control(made, record(address="192.0.2.9", port="6641")).manager == ManagerTarget(
        target="ssl:192.0.2.9:6641", label="ssl:192.0.2.9:6641", tls=ACTIVE
    )
    by_default = control(made, record(address="2001:db8::9")).manager
    assert by_default is not None
    assert by_default.target == "ssl:[2001:db8::9]:6632"


def test_a_pssl_record_listens_with_the_installed_ca() -> None:
    """Always on 6640, whatever the record says, and nothing is bootstrapped."""
    assert control(records(), record(protocol="pssl", port="7000")).manager == ManagerTarget(
        target="pssl:6640", label="pssl:6640", tls=PASSIVE
    )


def test_of_several_records_one_is_taken_and_the_others_reported() -> None:
    """The choice does not depend on the order in which XAPI gives them."""
    first, second = record("a", address="192.0.2.1"), record("b", address="192.0.2.2")

    one, other = control(records(), first, second), control(records(), second, first)

    assert one == other
    assert one.manager is not None
    assert one.manager.target == "ssl:192.0.2.1:6632"
    assert [reason.event for reason in one.reasons if reason.warning] == ["pass_over_controller"]


@pytest.mark.parametrize(
    "fields",
    [
        {"protocol": "tcp", "address": "192.0.2.9"},
        {"protocol": "", "address": "192.0.2.9"},
        {"address": ""},
        {"address": "192.0.2.9:6640"},
        {"address": "192.0.2.9", "port": "-1"},
        {"address": "192.0.2.9", "port": "65536"},
        {"address": "192.0.2.9", "port": "http"},
    ],
)
def test_a_record_that_names_no_controller_is_refused(fields: dict[str, str]) -> None:
    """To pass it over would take the present manager away."""
    with pytest.raises(InputError, match=r"^SDN_controller c: "):
        control(records("192.0.2.8"), record(**fields))


def test_without_a_pool_record_nothing_is_decided() -> None:
    """A record that could not be read is not the same as no controller."""
    made = records()
    made.pool = None

    with pytest.raises(InputError, match="pool record cannot be used"):
        control(made)


def test_fail_mode_comes_from_pif_network_and_pool() -> None:
    """The nearest valid word counts, also on an internal network's bridge."""
    made = records(**{"vswitch-controller-fail-mode": "secure"})
    made.nic(1, other_config={"vswitch-controller-fail-mode": "standalone"})
    made.networks[Ref("n-internal")] = Network(ref=Ref("n-internal"), uuid="i", bridge="xapi9")
    made.networks[Ref("n-open")] = Network(
        ref=Ref("n-open"), uuid="o", bridge="xapi8", other_config={"vswitch-controller-fail-mode": "standalone"}
    )

    modes = {name: bridge.fail_mode for name, bridge in control(made).bridges.items()}

    assert modes == {"xenbr0": "secure", "xenbr1": "standalone", "xapi9": "secure", "xapi8": "standalone"}


@pytest.mark.parametrize(("word", "wanted"), [("true", "true"), ("false", "false"), ("maybe", None), (None, None)])
def test_in_band_control_is_the_networks_word(word: str | None, wanted: str | None) -> None:
    """An absent or a bad word means that the key must be absent."""
    made = records()
    made.networks[Ref("n")] = Network(
        ref=Ref("n"), uuid="n", bridge="xapi9", other_config={} if word is None else {"vswitch-disable-in-band": word}
    )

    found = control(made)

    assert found.bridges["xapi9"].disable_in_band == wanted
    assert any(reason.event == "pass_over_disable_in_band" for reason in found.reasons) is (word == "maybe")


def test_what_an_emer_reset_must_leave_of_bridges_and_bonds() -> None:
    """XAPI's own keys of a bridge and of a bond's Port; an internal bridge has none."""
    made = records()
    made.bond(made.nic(1), made.nic(2))
    made.networks[Ref("n")] = Network(ref=Ref("n"), uuid="n", bridge="xapi9")

    found = control(made)

    assert found.bridges["xenbr0"].other_config == {"mac-table-size": "10000"}
    assert found.bridges["xapi9"].other_config == {}
    assert found.ports["bond0"]["bond-miimon-interval"] == "100"
    assert found.ports["bond0"]["bond-rebalance-interval"] == "1800000"


def test_a_bridge_name_of_two_networks_is_passed_over() -> None:
    """Which of the two counts would be a guess, unless a PIF of this host is on one alone."""
    made = records()
    made.network("other", "xenbr0", other_config={"vswitch-controller-fail-mode": "secure"})
    made.network("first", "twice")
    made.network("second", "twice")

    found = control(made)

    assert found.bridges["xenbr0"].fail_mode == "standalone"
    assert "twice" not in found.bridges
    assert any(reason.event == "pass_over_bridge" for reason in found.reasons)


def test_management_is_the_records_device_or_the_inventorys() -> None:
    """A VLAN's bridge, a NIC's; without a management record the inventory knows."""
    made = records()
    assert control(made).management == "xenbr0"
    made.change(Ref("pif-eth0"), management=False)
    made.vlan(Ref("pif-eth0"), 7, management=True)
    assert control(made).management == "xapi7"
    made.change(Ref("pif-eth0.7"), management=False)
    assert control(made, host=HostFacts(management_bridge="xenbr5")).management == "xenbr5"
    assert {"eth0", "eth0.7"} <= control(made).devices

"""An emer-reset by the plugin against the real one of ovs-vsctl, and what XAPI wants all the same."""

from __future__ import annotations

from host_state import configuration
from plugin_host import CACERT, CONTROLLER, NO_CHANGE, TARGET, PluginHost, mess

RESET = "Successfully reset configuration"


XAPIS_OWN = (
    ("Bridge", "xenbr0", "fail_mode=standalone", "other_config:mac-table-size=10000"),
    ("Bridge", "xapib0", "fail_mode=standalone", "other_config:mac-table-size=10000"),
    (
        "Port", "bond0", "other_config:bond-miimon-interval=100", "other_config:bond-detect-mode=carrier",
        "other_config:bond-rebalance-interval=1800000",
    ),
)  # fmt: skip
"""What XAPI's records say of these bridges and of the bond's Port (features.md sections 10 and 11)."""


def test_an_emergency_reset_is_that_of_ovs_vsctl_and_xapis_own_values(host: PluginHost) -> None:
    """Whatever ovs-vsctl leaves is left and whatever it takes is taken, but for what XAPI itself wants."""
    host.update()
    host.vsctl("set", "Open_vSwitch", ".", "external_ids:before=1")
    mess(host)
    assert host.answer("emergency_reset") == {"Status": "Success", "Value": RESET}
    ours = configuration(host.sandbox)

    mess(host)
    host.vsctl("emer-reset")
    # ovs-vsctl means to delete these too, but has not read them when it looks for them
    host.vsctl("--all", "destroy", "Flow_Sample_Collector_Set")
    for table, record, *columns in XAPIS_OWN:
        host.vsctl("set", table, record, *columns)
    host.vsctl("set", "Open_vSwitch", ".", 'external_ids:xsagent-ca-of="tcp:127.0.0.1:6699"')

    assert ours == configuration(host.sandbox)
    assert host.answer("emergency_reset") == {"Status": "Success", "Value": RESET}
    assert configuration(host.sandbox) == ours


def test_another_manager_brings_a_reset_in_the_same_transaction(host: PluginHost) -> None:
    """What the old one configured goes, the new one comes, XAPI's own values stay; it is one record in the log."""
    host.update()
    mess(host)
    host.set_network("xenbr0", **{"vswitch-disable-in-band": "true"})
    host.set_pool(vswitch_controller=CONTROLLER)
    before = int(host.vsctl("get", "Open_vSwitch", ".", "next_cfg"))

    assert host.update() == (
        f"Successfully set controller to {CONTROLLER}.  Updated in-band management.  Updated fail_mode.  "
    )

    assert int(host.vsctl("get", "Open_vSwitch", ".", "next_cfg")) == before + 1
    assert host.vsctl("get-manager") == TARGET
    assert host.vsctl("get-controller", "xenbr0") == ""
    assert host.vsctl("get", "Bridge", "xenbr0", "mirrors", "fail_mode").split() == ["[]", "standalone"]
    assert host.vsctl("get", "Bridge", "xenbr0", "other_config:disable-in-band") == '"true"'
    assert host.vsctl("--if-exists", "get", "Bridge", "xenbr0", "other_config:forward-bpdu") == ""
    assert host.vsctl("get", "Port", "bond0", "other_config:bond-miimon-interval") == '"100"'
    assert "junk" not in host.vsctl("get", "Port", "bond0", "other_config")
    assert host.vsctl("get", "Interface", "eth0", "other_config") == '{mine="1"}'


def test_the_ca_outlives_an_emergency_reset(host: PluginHost) -> None:
    """The manager comes back by the next update, and nobody else can slip in as the first to be trusted."""
    host.start_controller("one")
    host.set_pool(vswitch_controller=CONTROLLER)
    host.update()
    host.await_connected()
    trusted = host.path(CACERT).read_text()

    assert host.answer("emergency_reset")["Value"] == RESET
    assert host.vsctl("get-manager") == ""
    assert host.update() == f"Successfully set controller to {CONTROLLER}.  "

    assert host.path(CACERT).read_text() == trusted
    assert host.update() == NO_CHANGE


def test_an_emergency_reset_works_without_xapi(host: PluginHost) -> None:
    """The cache says what XAPI wants; an emergency is no time to wait for more."""
    host.update()
    mess(host)
    host.xapi.kill()

    assert host.answer("emergency_reset", xapi_deadline_s="1") == {"Status": "Success", "Value": RESET}

    assert host.vsctl("get", "Bridge", "xenbr0", "mirrors", "fail_mode").split() == ["[]", "standalone"]
    assert host.vsctl("get-manager") == ""


def test_a_bridge_that_xapi_does_not_know_is_left_alone_by_an_update(host: PluginHost) -> None:
    """An admin's bridge keeps its fail mode and in-band setting; XAPI's are set where XAPI's word changed."""
    host.vsctl("add-br", "admin0", "--", "set", "Bridge", "admin0", "datapath_type=netdev", "fail_mode=secure",
               "other_config:disable-in-band=true")  # fmt: skip
    host.set_network("xapib0", **{"vswitch-controller-fail-mode": "secure"})

    assert host.update() == "Updated fail_mode.  "

    assert host.vsctl("get-fail-mode", "admin0") == "secure"
    assert host.vsctl("get", "Bridge", "admin0", "other_config") == '{disable-in-band="true"}'
    assert host.vsctl("get-fail-mode", "xapib0") == "secure"
    host.set_network("xapib0")
    assert host.update() == "Updated fail_mode.  "
    assert host.vsctl("get-fail-mode", "xapib0") == "standalone"

"""observed/ovsdb_control.py on a real ovsdb-server: whether managers are connected, for status and doctor."""

from __future__ import annotations

from plugin_host import CONTROLLER, TARGET, PluginHost

from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.observed.ovsdb_control import read_control, read_managers
from xsagent.topology.control import TlsFiles


def test_the_state_of_each_manager_is_read(host: PluginHost) -> None:
    """Connected or not, with what ovsdb-server says about it."""
    host.start_controller("one")
    host.set_pool(vswitch_controller=CONTROLLER)
    host.update()
    host.await_connected()
    host.vsctl("set-manager", TARGET, "tcp:127.0.0.1:6699")
    host.vsctl("wait-until", "Manager", "tcp:127.0.0.1:6699", "status:state=BACKOFF")
    host.await_connected()

    with OvsdbConnection.open(host.path("run/openvswitch/db.sock"), 5) as connection:
        connected, refused = read_managers(connection)
        control = read_control(connection)

    assert (connected.target, connected.is_connected, connected.status["state"]) == (TARGET, True, "ACTIVE")
    assert (refused.target, refused.is_connected, refused.status["state"]) == ("tcp:127.0.0.1:6699", False, "BACKOFF")
    assert [state.target for state in control.managers] == [TARGET, "tcp:127.0.0.1:6699"]
    pem = str(host.path("etc/xensource/xapi-ssl.pem"))
    cacert = str(host.path("etc/openvswitch/vswitchd.cacert"))
    assert control.tls == TlsFiles(private_key=pem, certificate=pem, ca_cert=cacert, bootstrap=True)
    assert control.bridges.keys() == {"xenbr0", "xapib0"}

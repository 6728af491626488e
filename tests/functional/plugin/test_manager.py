"""The plugin makes the switch obey XAPI's controller: a real ovsdb-server connects to it over TLS."""

from __future__ import annotations

import re
import xmlrpc.client

import pytest
from host_state import configuration
from plugin_host import CACERT, CONTROLLER, NO_CHANGE, PEM, TARGET, PluginHost, make_certificate


def test_the_switch_connects_to_the_controller_of_the_pool(host: PluginHost) -> None:
    """vswitch_controller alone is enough: TLS both ways, the controller's CA taken over at the first contact."""
    host.start_controller("one")
    host.set_pool(vswitch_controller=CONTROLLER)

    assert host.update() == f"Successfully set controller to {CONTROLLER}.  "

    host.await_connected()
    assert host.path(CACERT).read_text().strip() in host.pem("one.crt")
    assert "xenbr0" in host.controller_output()
    assert "xapib0" in host.vsctl("list-br")


def test_a_second_update_changes_nothing(host: PluginHost) -> None:
    """Not a record in the database's log, not the CA, not the connection."""
    host.start_controller("one")
    host.set_pool(vswitch_controller=CONTROLLER)
    host.update()
    host.await_connected()
    before, inode = configuration(host.sandbox), host.path(CACERT).stat().st_ino
    written = host.vsctl("get", "Open_vSwitch", ".", "next_cfg")

    assert host.update() == NO_CHANGE

    assert host.vsctl("get", "Open_vSwitch", ".", "next_cfg") == written
    assert configuration(host.sandbox) == before
    assert host.path(CACERT).stat().st_ino == inode
    assert host.vsctl("get", "Manager", TARGET, "is_connected") == "true"


def test_another_controller_gets_a_trust_of_its_own(host: PluginHost) -> None:
    """The CA goes with the manager it came from, so that the new one is not refused for the old one's sake."""
    host.start_controller("one")
    host.set_pool(vswitch_controller=CONTROLLER)
    host.update()
    host.await_connected()

    host.start_controller("two", 6641)
    host.set_pool(vswitch_controller=f"{CONTROLLER}:6641")

    assert host.update() == f"Successfully set controller to {CONTROLLER}:6641.  "
    host.await_connected(f"ssl:{CONTROLLER}:6641")
    assert host.path(CACERT).read_text().strip() in host.pem("two.crt")
    assert host.vsctl("get-manager") == f"ssl:{CONTROLLER}:6641"


def test_the_old_ca_is_kept_until_the_new_controller_works(host: PluginHost) -> None:
    """A controller that is none, and back: the CA of the old one is trusted, and nobody who takes its place."""
    host.start_controller("one")
    host.set_pool(vswitch_controller=CONTROLLER)
    host.update()
    host.await_connected()
    trusted = host.path(CACERT).read_text()
    host.controller_output()

    host.set_pool(vswitch_controller="192.0.2.77")
    host.update()
    assert not host.path(CACERT).exists()
    host.start_controller("two")
    host.set_pool(vswitch_controller=CONTROLLER)
    host.update()
    assert host.path(CACERT).read_text() == trusted
    host.vsctl("wait-until", "Manager", TARGET, "status:state=BACKOFF")
    assert host.vsctl("get", "Manager", TARGET, "is_connected") == "false"
    host.controller_output()

    host.start_controller("one")
    host.await_connected()
    assert host.update() == NO_CHANGE
    assert host.path(CACERT).read_text() == trusted


def test_the_old_ca_goes_when_the_new_controller_works(host: PluginHost) -> None:
    """From then on it is nobody's."""
    host.start_controller("one")
    host.set_pool(vswitch_controller=CONTROLLER)
    host.update()
    host.await_connected()
    host.start_controller("two", 6641)
    host.set_pool(vswitch_controller=f"{CONTROLLER}:6641")
    host.update()
    kept = host.path(f"{CACERT}.old")
    assert kept.read_text().startswith(f"# CA of {TARGET}\n-----BEGIN")
    host.await_connected(f"ssl:{CONTROLLER}:6641")

    assert host.update() == NO_CHANGE

    assert not kept.exists()


def test_no_controller_leaves_neither_manager_nor_trust(host: PluginHost) -> None:
    """What was set is removed, and the CA with it."""
    host.start_controller("one")
    host.set_pool(vswitch_controller=CONTROLLER)
    host.update()
    host.await_connected()

    host.set_pool(vswitch_controller="")

    assert host.update() == "Successfully removed controller config.  "
    assert host.vsctl("get-manager") == ""
    assert host.vsctl("get-ssl") == ""
    assert not host.path(CACERT).exists()
    assert host.update() == NO_CHANGE


def test_sdn_controller_records_go_before_the_pools_field(host: PluginHost) -> None:
    """Protocol ssl with port 0 means 6632; the answer names the whole target."""
    host.start_controller("one", 6632)
    host.set_pool(vswitch_controller="192.0.2.77")
    host.introduce("ssl", CONTROLLER)

    assert host.update() == f"Successfully set controller to ssl:{CONTROLLER}:6632.  "
    host.await_connected(f"ssl:{CONTROLLER}:6632")


def test_a_pssl_controller_comes_in_with_the_ca_that_the_pool_installed(host: PluginHost) -> None:
    """The host listens on 6640 and lets in whom the installed CA vouches for, nobody else."""
    installed = host.path("etc/stunnel/certs/sdn-controller-ca.pem")
    installed.parent.mkdir(parents=True)
    installed.write_text(host.pem("one.crt"))
    host.introduce("pssl")

    assert host.update() == "Successfully set controller to pssl:6640.  "

    def ask(name: str) -> str:
        files = ["-p", f"{host.tls}/{name}.key", "-c", f"{host.tls}/{name}.crt", "-C", f"{host.tls}/host.crt"]
        words = ["ovsdb-client", "-t", "5", *files, "list-dbs", "ssl:192.0.2.10:6640"]
        return host.sandbox.far().run(words, check=False).stdout

    assert "Open_vSwitch" in ask("one")
    assert ask("two") == ""
    assert installed.read_text() == host.pem("one.crt")
    assert host.update() == NO_CHANGE


def test_the_port_of_a_pssl_controller_is_opened_and_closed(host: PluginHost) -> None:
    """By XAPI's own tool, whose output never reaches XAPI; opened by every update, closed with the controller."""
    tool, calls = host.path("etc/xapi.d/plugins/firewall-port"), host.path("calls")
    tool.parent.mkdir(parents=True)
    tool.write_text(f'#!/bin/sh\necho noise\necho "$@" >>{calls}\n')
    tool.chmod(0o755)
    installed = host.path("etc/stunnel/certs/sdn-controller-ca.pem")
    installed.parent.mkdir(parents=True)
    installed.write_text(host.pem("one.crt"))
    host.introduce("pssl")

    host.update()
    host.update()
    host.introduce("ssl", CONTROLLER)
    host.update()
    host.update()

    assert calls.read_text().splitlines() == ["open 6640", "open 6640", "close 6640"]


def test_an_ipv6_controller_is_reached(host: PluginHost) -> None:
    """The address goes into brackets."""
    host.sandbox.run(["ip", "address", "add", "2001:db8::10/64", "dev", "xenbr0", "nodad"])
    host.set_pool(vswitch_controller="2001:db8::1")

    assert host.update() == "Successfully set controller to 2001:db8::1.  "
    assert host.vsctl("get-manager") == '"ssl:[2001:db8::1]:6640"'.strip('"')


def test_a_renewed_certificate_is_used_without_a_word(host: PluginHost) -> None:
    """ovsdb-server reads the file again by itself: the next connection shows the new one."""
    host.set_pool(vswitch_controller=CONTROLLER)
    host.update()
    make_certificate(host.tls, "host")
    host.path(PEM).write_text(host.pem("host.key") + host.pem("host.crt"))

    assert host.update() == NO_CHANGE
    host.start_controller("one")

    host.await_connected()


def test_tls_files_set_by_hand_are_mended(host: PluginHost) -> None:
    """The same manager with other files gets its files back, without a reset."""
    host.set_pool(vswitch_controller=CONTROLLER)
    host.update()
    before = configuration(host.sandbox)
    host.vsctl("set-ssl", "/nowhere/key", "/nowhere/cert", "/nowhere/ca")

    assert host.update() == f"Successfully set controller to {CONTROLLER}.  "
    assert configuration(host.sandbox) == before


def test_a_manager_that_an_admin_added_stays_beside_xapis(host: PluginHost) -> None:
    """XAPI's is there, so nothing is to be done about the other."""
    host.set_pool(vswitch_controller=CONTROLLER)
    host.update()
    host.vsctl("set-manager", TARGET, "ptcp:6643:127.0.0.1")

    assert host.update() == NO_CHANGE
    assert set(host.vsctl("get-manager").split()) == {TARGET, "ptcp:6643:127.0.0.1"}


def test_update_brings_marks_and_cache_in_step(host: PluginHost) -> None:
    """As the peers' plugin runs interface-reconfigure rewrite first."""
    assert host.update() == NO_CHANGE

    ids = host.vsctl("get", "Bridge", "xenbr0", "external_ids:xs-network-uuids")
    assert re.fullmatch(r'"?[0-9a-f-]{36}(;[0-9a-f-]{36})*"?', ids)
    assert "xapib0" in host.path("var/xapi/network.dbcache").read_text()


def test_xapis_environment_is_enough(host: PluginHost) -> None:
    """PATH and nothing else (wire.md section 8): no HOME, no LANG, stdin closed; the answer is all that comes out."""
    host.set_pool(vswitch_controller=CONTROLLER)
    words = ["env", "-i", "PATH=/sbin:/usr/sbin:/bin:/usr/bin", "XSAGENT_DATAPATH_TYPE=netdev"]

    done = host.sandbox.run(["sh", "-c", 'exec "$@" <&-', "sh", *words, *host.command("update")])

    ((struct,), _) = xmlrpc.client.loads(done.stdout)
    assert struct == {"Status": "Success", "Value": f"Successfully set controller to {CONTROLLER}.  "}
    assert done.stdout.startswith("<?xml version='1.0'?>\n<methodResponse>\n")
    assert done.stdout.endswith("</methodResponse>\n\n")


@pytest.mark.parametrize("name", ["openvswitch-cfg-update", "openvswitch-config-update"])
def test_both_names_are_one_plugin(host: PluginHost, name: str) -> None:
    """XAPI of any age finds it."""
    words = [word.replace("openvswitch-cfg-update", name) for word in host.command("update")]

    done = host.sandbox.run(words)

    assert NO_CHANGE in done.stdout
    assert done.stdout.endswith("</methodResponse>\n\n")

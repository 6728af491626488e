"""Hotplug from the command line, on real Open vSwitch, xenstored and netdevs."""

from __future__ import annotations

import subprocess

import pytest
from dom0 import ALL_IDS, EVERY, FLOWS, KEYS, LOCKED, VIF_UUID, VM, Dom0, sent, write_hook
from guest_traffic import own_frames

from xsagent.apply.flows import read_flows


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """The sentence for people."""
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (["online", "vif"], {"XENBUS_PATH": "backend/vif/1/0"}),
        (["online", "type_if=vif"], {"XENBUS_PATH": "/local/domain/0/backend/vif/1/0"}),
        (["vif", "1", "0", "online"], {}),
        (["online"], {"XENBUS_TYPE": "vif", "XENBUS_PATH": "backend/vif/1/0"}),
    ],
)
def test_online_attaches_marks_and_reports(dom0: Dom0, words: list[str], environment: dict[str, str]) -> None:
    """Every form of call ends with the marked port on its bridge, the netdev as it must be and `connected`."""
    hook = write_hook(dom0)
    dom0.write("/local/domain/1/device/vif/0/mac", "x -- del-br xenbr1")
    dom0.sandbox.run(["ip", "address", "add", "198.51.100.5/24", "dev", "vif1.0"])

    done = dom0.vif(*words, **environment)

    link = dom0.link()
    assert (done.stdout, done.returncode) == ("", 0)
    assert dom0.bridge_of() == "xenbr0"
    assert dom0.ids() == ALL_IDS
    assert (link["address"], link["mtu"], link["addr_info"]) == ("fe:ff:ff:ff:ff:ff", 1400, [])
    assert {"UP", "NOARP"} <= set(link["flags"])
    assert "MULTICAST" not in link["flags"]
    assert dom0.read(f"{KEYS.backend}/hotplug-status") == "connected"
    assert dom0.read(f"{KEYS.hotplug}/hotplug") == "online"
    assert dom0.read(f"{KEYS.hotplug}/vif-ofport") == dom0.vsctl("get", "Interface", "vif1.0", "ofport")
    assert dom0.read(f"{KEYS.hotplug}/vif-ifindex") == str(link["ifindex"])
    assert hook.read_text() == f"-action online -vifuuid {VIF_UUID} -vmuuid {VM}\n"
    assert sent(dom0) == EVERY.keys()


def test_a_second_event_writes_nothing_and_bounces_nothing(dom0: Dom0) -> None:
    """A right port is left untouched, also a locked one, and foreign keys on it stay."""
    dom0.lock(LOCKED)
    dom0.vif("vif", "1", "0", "online")
    dom0.vsctl("set", "Interface", "vif1.0", "external_ids:foreign=1")
    before = (dom0.configuration(), dom0.bounces(), dom0.ids())
    flows = dom0.sandbox.run(["ovs-ofctl", "dump-flows", "xenbr0", "cookie=1/-1"]).stdout.count("n_packets")

    for action in ("online", "move", "online"):
        dom0.vif("vif", "1", "0", action)

    assert (dom0.configuration(), dom0.bounces(), dom0.ids()) == before
    assert flows == FLOWS
    assert sent(dom0) == own_frames().keys()


def test_a_netdev_that_is_not_quiet_any_more_is_silenced_without_bouncing(dom0: Dom0) -> None:
    """Open vSwitch may write back flags that it read before ours, and admins switch ARP on: the next look mends it."""
    dom0.vif("vif", "1", "0", "online")
    before = (dom0.configuration(), dom0.bounces())
    dom0.sandbox.run(["ip", "link", "set", "vif1.0", "arp", "on", "multicast", "on"])

    dom0.resync()

    flags = set(dom0.link()["flags"])
    assert ("UP" in flags, "NOARP" in flags, "MULTICAST" in flags) == (True, True, False)
    assert (dom0.configuration(), dom0.bounces()) == before


def test_a_missing_bridge_fails_the_start_and_is_named_then_forgotten(dom0: Dom0) -> None:
    """No port, no `connected`; hotplug-error and stderr name the bridge; with the bridge there all is well."""
    dom0.write("bridge", "xapi7")

    failed = dom0.vif("vif", "1", "0", "online", check=False)

    assert failed.returncode == 1
    assert "bridge xapi7 does not exist" in last_line(failed)
    assert "bridge xapi7 does not exist" in (dom0.read(f"{KEYS.backend}/hotplug-error") or "")
    assert dom0.read(f"{KEYS.backend}/hotplug-status") is None
    assert dom0.bridge_of() == ""
    dom0.add_bridge("xapi7")
    dom0.vif("vif", "1", "0", "online")
    assert dom0.bridge_of() == "xapi7"
    assert dom0.read(f"{KEYS.backend}/hotplug-error") is None
    assert dom0.read(f"{KEYS.backend}/hotplug-status") == "connected"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("bridge", "xenbr0 -- del-br xenbr0", "bridge"),
        ("bridge", "../../etc", "bridge"),
        ("bridge-MAC", "00:16:3e:00:00:01,actions=normal", "bridge-MAC"),
        ("MTU", "1_500", "MTU"),
        ("vif-uuid", "x" * 3000, "vif-uuid"),
        ("network-uuid", "e65a64e7", "network-uuid"),
        ("trunks", "10,5000", "trunks"),
    ],
)
def test_a_malformed_key_is_reported_at_once_and_nothing_is_changed(
    dom0: Dom0, key: str, value: str, said: str
) -> None:
    """A value that no waiting mends becomes hotplug-error without waiting for the deadline."""
    dom0.write(key, value)
    before = dom0.configuration()

    failed = dom0.vif("vif", "1", "0", "online", check=False, XSAGENT_HOTPLUG_S="3000")

    assert failed.returncode == 1
    assert said in (dom0.read(f"{KEYS.backend}/hotplug-error") or "")
    assert dom0.read(f"{KEYS.backend}/hotplug-status") is None
    assert (dom0.configuration(), dom0.bridge_of()) == (before, "")


def test_an_unknown_locking_mode_is_refused(dom0: Dom0) -> None:
    """The peers take it for unlocked; ours leaves the VIF unplugged and says so."""
    dom0.lock("Quarantined")

    failed = dom0.vif("vif", "1", "0", "online", check=False, XSAGENT_HOTPLUG_S="3000")

    assert failed.returncode == 1
    assert "'Quarantined' is not a locking mode" in (dom0.read(f"{KEYS.backend}/hotplug-error") or "")
    assert dom0.bridge_of() == ""


def test_a_locked_guest_is_held_from_its_first_frame_on(dom0: Dom0) -> None:
    """What the guest sends all the while it is plugged in never shows another's address."""
    dom0.lock(LOCKED)
    dom0.vif("vif", "1", "0", "online")

    assert sent(dom0) == own_frames().keys()


def test_the_mode_changes_live_without_bouncing_the_port(dom0: Dom0) -> None:
    """setup-vif-rules filter goes from unlocked to locked and back on the same port and link."""
    dom0.vif("vif", "1", "0", "online")
    before = (dom0.configuration(), dom0.bounces())

    dom0.lock(LOCKED)
    dom0.rules("filter")
    locked = sent(dom0)
    dom0.lock("Unlocked")
    dom0.rules("filter")
    unlocked = sent(dom0)

    assert locked == own_frames().keys()
    assert unlocked == EVERY.keys()
    assert (dom0.configuration(), dom0.bounces()) == before


def test_a_disabled_vif_is_on_no_bridge_and_still_connected(dom0: Dom0) -> None:
    """Disabled takes the port away, live too; locked again it comes back with its flows."""
    dom0.lock("Disabled")
    dom0.vif("vif", "1", "0", "online")
    assert (dom0.bridge_of(), dom0.read(f"{KEYS.backend}/hotplug-status")) == ("", "connected")
    assert "UP" in dom0.link()["flags"]

    dom0.lock(LOCKED)
    dom0.rules("filter")
    assert dom0.bridge_of() == "xenbr0"
    assert sent(dom0) == own_frames().keys()

    dom0.lock("Disabled")
    dom0.rules("filter")
    assert dom0.bridge_of() == ""
    assert read_flows(dom0.rundir, "xenbr0") == {}


def test_offloads_of_the_vif_are_set_and_a_refused_one_is_no_failure(dom0: Dom0) -> None:
    """Known ones are turned off and on; a fixed one, an unknown one and a nonsense word are passed over."""
    for name, value in {"tso": "off", "gso": "off", "ufo": "on", "sg": "perhaps"}.items():
        dom0.write(f"other-config/ethtool-{name}", value)

    dom0.vif("vif", "1", "0", "online")

    shown = dom0.sandbox.run(["ethtool", "-k", "vif1.0"]).stdout
    assert "tx-tcp-segmentation: off" in shown
    assert "generic-segmentation-offload: off" in shown
    assert "scatter-gather: on" in shown


def test_vif_and_tap_are_a_pair(dom0: Dom0) -> None:
    """The tap is active while it is there, the vif then; the flip is one transaction."""
    dom0.vif("vif", "1", "0", "online")
    dom0.sandbox.run(["ip", "tuntap", "add", "tap1.0", "mode", "tap"])
    before = dom0.configuration()

    dom0.vif("add", "tap", INTERFACE="tap1.0")

    assert dom0.configuration() == before + 1
    assert dom0.ids("tap1.0") == ALL_IDS
    assert dom0.ids() == ALL_IDS | {"iface-status": "inactive"}
    assert dom0.read(f"{KEYS.hotplug}/tap-ofport") == dom0.vsctl("get", "Interface", "tap1.0", "ofport")
    dom0.vif("remove", "tap", INTERFACE="tap1.0")
    assert dom0.configuration() == before + 2
    assert dom0.ids() == ALL_IDS
    assert dom0.bridge_of("tap1.0") == ""
    assert dom0.read(f"{KEYS.backend}/hotplug-status") == "connected"


def test_vif_and_tap_that_come_and_go_at_once_are_a_pair(dom0: Dom0) -> None:
    """Udev runs what it starts for two devices beside one another: neither process sees the other's work."""
    for _ in range(4):
        dom0.sandbox.run(["ip", "tuntap", "add", "tap1.0", "mode", "tap"])
        dom0.vif_at_once(("vif", "1", "0", "online"), ("tap", "1", "0", "add"))
        assert (dom0.ids()["iface-status"], dom0.ids("tap1.0")["iface-status"]) == ("inactive", "active")
        dom0.vif("vif", "1", "0", "remove")

        dom0.vif_at_once(("vif", "1", "0", "online"), ("tap", "1", "0", "remove"))
        assert dom0.ids()["iface-status"] == "active"
        dom0.vif("vif", "1", "0", "remove")
        dom0.sandbox.run(["ip", "link", "del", "tap1.0"])


def test_remove_works_when_device_and_domain_are_gone_and_again(dom0: Dom0) -> None:
    """Port, keys and flows go, though nothing tells the port's number any more; a second remove is no failure."""
    hook = write_hook(dom0)
    dom0.lock(LOCKED)
    dom0.vif("vif", "1", "0", "online")
    dom0.sandbox.run(["ip", "link", "del", "vif1.0"])
    # The kernel's datapath drops the port's number and keeps its flows; the userspace one does so over a restart.
    dom0.sandbox.vswitchd.kill()
    dom0.sandbox.vswitchd.start()
    dom0.vsctl("--timeout=20", "wait-until", "Interface", "vif1.0", "ofport=-1")
    dom0.sandbox.run(["ovs-ofctl", "add-flow", "xenbr0", "cookie=1,priority=4000,in_port=77,actions=drop"])
    dom0.remove("/local/domain/1")
    dom0.remove(KEYS.backend)

    for _ in range(2):
        assert dom0.vif("remove", "vif", XENBUS_PATH="backend/vif/1/0").returncode == 0

    assert dom0.bridge_of() == ""
    assert read_flows(dom0.rundir, "xenbr0") == {}
    assert dom0.store.directory(KEYS.hotplug) == ()
    assert dom0.store.directory(KEYS.backend) is None
    assert hook.read_text().splitlines()[1] == f"-action remove -vifuuid {VIF_UUID} -vmuuid {VM}"


@pytest.mark.parametrize(("kind", "action"), [("vif", "online"), ("tap", "add")])
def test_an_event_of_a_device_that_is_going_ends_at_once(dom0: Dom0, kind: str, action: str) -> None:
    """Udev holds the device's remove back until we end; a closing vif or a tap without netdev is not waited for."""
    dom0.sandbox.run(["ip", "link", "del", "vif1.0"])
    dom0.write(f"{KEYS.backend}/state", "6")

    done = dom0.vif(kind, "1", "0", action, XSAGENT_HOTPLUG_S="3000")

    assert done.returncode == 0
    assert dom0.read(f"{KEYS.backend}/hotplug-error") is None


def test_rules_that_cannot_be_put_in_place_yet_are_no_success_because_the_guest_closes(dom0: Dom0) -> None:
    """It may come again at any time, and its port is in the switch. The caller is told, xenstore is not."""
    dom0.vif("vif", "1", "0", "online")
    dom0.lock(LOCKED)
    dom0.write(f"{KEYS.backend}/state", "5")
    dom0.sandbox.vswitchd.kill()

    failed = dom0.run("setup_vif_rules", "xenlight", "vif1.0", VM, "0", "filter", check=False)

    assert failed.returncode == 1, failed.stderr
    assert dom0.read(f"{KEYS.backend}/hotplug-error") is None


def test_a_vif_whose_backend_is_gone_is_not_reported_as_failed(dom0: Dom0) -> None:
    """A late event for a device that no longer exists ends quietly, and creates nothing."""
    dom0.sandbox.run(["ip", "link", "del", "vif1.0"])
    dom0.remove(KEYS.backend)

    done = dom0.vif("vif", "1", "0", "online", XSAGENT_HOTPLUG_S="3000")

    assert done.returncode == 0
    assert dom0.store.directory(KEYS.backend) is None


def test_udevs_word_does_not_count_while_the_toolstack_calls_itself(dom0: Dom0) -> None:
    """With libxl/disable_udev udev's online does nothing, the toolstack's own call attaches."""
    socket = dom0.sandbox.root / "run/xenstored/socket"
    dom0.sandbox.run(["xenstore-write", "libxl/disable_udev", "1"], env={"XENSTORED_PATH": str(socket)})

    dom0.vif("online", "vif", XENBUS_PATH="backend/vif/1/0", UDEV_CALL="1")
    assert dom0.bridge_of() == ""
    dom0.vif("online", "vif", XENBUS_PATH="backend/vif/1/0")

    assert dom0.bridge_of() == "xenbr0"


@pytest.mark.parametrize("away", ["ovsdb_server", "vswitchd"])
def test_without_the_switch_nothing_is_reported_connected(dom0: Dom0, away: str) -> None:
    """A dead peer costs the deadline and is named; when it is back the same event works."""
    getattr(dom0.sandbox, away).kill()

    failed = dom0.vif("vif", "1", "0", "online", check=False)

    assert failed.returncode == 1
    assert "ovs" in last_line(failed)
    assert dom0.read(f"{KEYS.backend}/hotplug-error") is not None
    assert dom0.read(f"{KEYS.backend}/hotplug-status") is None
    getattr(dom0.sandbox, away).start()
    dom0.vif("vif", "1", "0", "online", XSAGENT_HOTPLUG_S="20")
    assert dom0.read(f"{KEYS.backend}/hotplug-status") == "connected"
    assert dom0.read(f"{KEYS.backend}/hotplug-error") is None


def test_an_event_waits_for_what_is_still_coming(dom0: Dom0) -> None:
    """A bridge that appears within the deadline is no error."""
    dom0.write("bridge", "xapi8")
    root = str(dom0.sandbox.root)
    words = ["python3", "-m", "xsagent.cli.vif", f"--root-prefix={root}", "--no-syslog", "vif", "1", "0", "online"]
    running = dom0.sandbox.spawn(words, env={"XSAGENT_HOTPLUG_S": "30", "XSAGENT_LOG_LEVEL": "debug"})
    assert running.stderr is not None
    assert "wait_hotplug" in running.stderr.readline()

    dom0.add_bridge("xapi8")

    _, errors = running.communicate(timeout=30)
    assert (running.returncode, dom0.bridge_of()) == (0, "xapi8"), errors


def test_a_mistake_in_our_own_settings_keeps_no_guest_off_the_network(dom0: Dom0) -> None:
    """It is said, and the default counts."""
    dom0.vif("vif", "1", "0", "remove")
    file = dom0.sandbox.root / "etc/xsagent/xsagent.conf"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("hotplg_s = 5\n")

    done = dom0.vif("vif", "1", "0", "online")
    file.unlink()

    assert (dom0.bridge_of(), "'hotplg_s' in" in done.stderr) == ("xenbr0", True)


@pytest.mark.parametrize("words", [[], ["destroy"], ["vif", "1", "0"], ["online", "vif", "1"], ["online", "vbd"]])
def test_a_wrong_call_is_a_usage_error(dom0: Dom0, words: list[str]) -> None:
    """Exit 2 with the usage on stderr, and nothing on stdout (F16: unknown actions do not succeed)."""
    done = dom0.vif(*words, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: vif" in done.stderr


def test_setup_vif_rules_answers_a_wrong_call_as_its_peer(dom0: Dom0) -> None:
    """Usage on stdout and exit 1 (wire.md section 3)."""
    done = dom0.run("setup_vif_rules", "xenlight", "vif1.0", check=False)

    assert done.returncode == 1
    assert done.stdout.startswith("usage: setup-vif-rules")


def test_clear_takes_port_and_flows_away_and_leaves_the_report(dom0: Dom0) -> None:
    """setup-vif-rules clear has a caller that reports by itself."""
    dom0.lock(LOCKED)
    dom0.vif("vif", "1", "0", "online")

    dom0.rules("clear")

    assert (dom0.bridge_of(), read_flows(dom0.rundir, "xenbr0")) == ("", {})
    assert dom0.read(f"{KEYS.backend}/hotplug-status") == "connected"

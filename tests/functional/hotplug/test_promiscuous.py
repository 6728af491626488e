"""A promiscuous VIF on the real switch: the mirror it gets where the settings say so, and what passes through it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import frames
import run_attempt
from dom0 import VIF_UUID, Dom0
from guest_traffic import MAC
from host_records import HostRecords, static
from host_state import vsctl
from xapi_host import XapiHost

from xsagent.hotplug.resync import build_resync_events
from xsagent.hotplug.survey import read_survey
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.sandbox.daemons import wait_for
from xsagent.sandbox.far import Guest
from xsagent.sandbox.spec import shared_segment

MIRROR = "xsagent-vif1.0"
_PROGRAM = str(Path(frames.__file__))


def allow(dom0: Dom0, word: str = "mirror") -> None:
    """Set `promiscuous` in the host's settings."""
    settings = dom0.sandbox.root / "etc/xsagent/xsagent.conf"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(f'promiscuous = "{word}"\n')


def ask(dom0: Dom0, value: str = "true") -> None:
    """Write what VIF.other_config has of it."""
    dom0.write("other-config/promiscuous", value)


def repair(dom0: Dom0) -> str:
    """One resync's look at the VIF; how it ended."""
    words = [sys.executable, str(Path(run_attempt.__file__)), str(dom0.sandbox.root), "repair", "vif1.0"]
    return str(json.loads(dom0.sandbox.run(words).stdout)["results"]["vif1.0"][0])


def mirrors(dom0: Dom0, bridge: str) -> list[str]:
    """Names of a bridge's mirrors."""
    uuids = dom0.vsctl("get", "Bridge", bridge, "mirrors").strip("[]")
    return [dom0.vsctl("get", "Mirror", uuid, "name").strip('"') for uuid in uuids.split(", ") if uuid]


def column(dom0: Dom0, name: str) -> str:
    """One column of our mirror."""
    return dom0.vsctl("--bare", f"--columns={name}", "find", "Mirror", f"name={MIRROR}")


def send(guest: Guest, *sent: bytes) -> None:
    """Send frames from a guest."""
    guest.run([sys.executable, _PROGRAM, "send", "eth0"], input_text="".join(f"{frame.hex()}\n" for frame in sent))


def received(receiver: Guest, talk: list[tuple[Guest, bytes]], last: bytes) -> set[bytes]:
    """What arrives at a guest while others send these frames; the last sender ends it with a broadcast."""
    process = receiver.spawn([sys.executable, _PROGRAM, "receive", "eth0", last.hex()])
    assert process.stdout is not None
    assert process.stdout.readline() == "listening\n"
    for sender, frame in talk:
        send(sender, frame)
    send(talk[-1][0], last)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    return {bytes.fromhex(line) for line in output.split()}


def mac(number: int) -> str:
    """MAC of the guest with this number in the sandbox."""
    return f"00:16:3e:00:00:{number:02x}"


def hello(number: int) -> bytes:
    """A broadcast by which the switch learns where a guest is."""
    return frames.arp(mac(number), mac(number), f"192.0.2.{number}")


def make_known(dom0: Dom0, guests: dict[int, Guest]) -> None:
    """Have the switch learn where each is: what is for an unknown MAC goes to every port."""
    for number, guest in guests.items():
        send(guest, hello(number))

    def learned() -> bool:
        table = dom0.sandbox.run(["ovs-appctl", "fdb/show", "xenbr0"]).stdout
        return all(mac(number) in table for number in guests)

    wait_for(learned, 20, "the switch did not learn where the guests are")


def unicast(source: int, target: int, text: str) -> bytes:
    """A datagram from one guest to another."""
    return frames.ipv4(mac(source), f"192.0.2.{source}", 17, frames.udp(5, 6, text.encode()), target=mac(target))


def test_a_promiscuous_guest_sees_its_vlan_alone_and_sends_nothing(dom0: Dom0) -> None:
    """Unicast between two others of its VLAN arrives, of another VLAN nothing does: on a VLAN bridge and on a real one.

    What it sends is dropped by Open vSwitch, which is why there is no mirror unless the settings say so.
    """
    dom0.add_bridge("xapi5", "xenbr0", "50")
    plain = {2: dom0.watcher, 3: dom0.sandbox.add_guest("plain", "xenbr0")}
    tagged = {4: dom0.sandbox.add_guest("tagged", "xapi5"), 5: dom0.sandbox.add_guest("other", "xapi5")}
    talk = [(plain[2], unicast(2, 3, "plain")), (tagged[4], unicast(4, 5, "tagged"))]
    ask(dom0)
    for setting, bridge, seen in (
        ("log", "xapi5", set()),
        ("mirror", "xapi5", {"tagged"}),
        ("mirror", "xenbr0", {"plain"}),
        ("log", "xenbr0", set()),
    ):
        allow(dom0, setting)
        dom0.write("bridge", bridge)
        dom0.vif("move", XENBUS_PATH="backend/vif/1/0")
        make_known(dom0, plain | tagged)
        order = talk if bridge == "xapi5" else talk[::-1]

        got = received(dom0.guest, order, hello(4 if bridge == "xapi5" else 2))

        assert {text for text in ("plain", "tagged") if any(text.encode() in frame for frame in got)} == seen
        neighbour, source = (tagged[4], tagged[5]) if bridge == "xapi5" else (plain[2], plain[3])
        own = frames.arp(MAC, MAC, "192.0.2.1")
        end = hello(5 if bridge == "xapi5" else 3)
        assert (own in received(neighbour, [(dom0.guest, own), (source, end)], end)) == (setting == "log")


def test_a_mirror_comes_moves_and_goes_with_its_port(dom0: Dom0) -> None:
    """In the transactions of the port itself; a second attach makes none, and a mirror of somebody else stays."""
    allow(dom0)
    ask(dom0, "on")
    dom0.vsctl("--", "--id=@m", "create", "Mirror", "name=xsagent-vif9.0", "select_all=true", "--", "add", "Bridge",
               "xenbr0", "mirrors", "@m")  # fmt: skip
    before = dom0.configuration()

    attached = dom0.vif("vif", "1", "0", "online")

    assert dom0.configuration() == before + 1
    assert "vif1.0 gets a mirror of its network" in attached.stderr
    assert sorted(mirrors(dom0, "xenbr0")) == [MIRROR, "xsagent-vif9.0"]
    assert (column(dom0, "select_all"), column(dom0, "select_vlan")) == ("true", "0")
    assert column(dom0, "output_port") == dom0.vsctl("get", "Port", "vif1.0", "_uuid")
    assert column(dom0, "external_ids") == f"xs-vif-uuid={VIF_UUID}"

    again = dom0.vif("vif", "1", "0", "online")
    assert (dom0.configuration(), repair(dom0)) == (before + 1, "done")
    assert (dom0.configuration(), "gets a mirror" in again.stderr) == (before + 1, False)

    dom0.write("bridge", "xenbr1")
    dom0.vif("move", XENBUS_PATH="backend/vif/1/0")
    assert dom0.configuration() == before + 2
    assert (mirrors(dom0, "xenbr0"), mirrors(dom0, "xenbr1")) == (["xsagent-vif9.0"], [MIRROR])

    dom0.vif("vif", "1", "0", "remove")
    assert dom0.configuration() == before + 3
    assert (mirrors(dom0, "xenbr0"), mirrors(dom0, "xenbr1")) == (["xsagent-vif9.0"], [])


def test_a_resync_puts_a_mirror_right(dom0: Dom0) -> None:
    """Whatever somebody did to it; and takes it away when key or setting say so."""
    allow(dom0)
    ask(dom0)
    dom0.add_bridge("xapi5", "xenbr0", "50")
    dom0.write("bridge", "xapi5")
    dom0.vif("vif", "1", "0", "online")
    faults = (
        ["clear", "Bridge", "xenbr0", "mirrors"],
        ["set", "Mirror", MIRROR, "select_vlan=0"],
        ["clear", "Mirror", MIRROR, "output_port"],
        ["set", "Mirror", MIRROR, "external_ids:xs-vif-uuid=another"],
        ["--", "--id=@m", "get", "Mirror", MIRROR, "--", "remove", "Bridge", "xenbr0", "mirrors", "@m", "--", "add",
         "Bridge", "xenbr1", "mirrors", "@m"],
    )  # fmt: skip
    for fault in faults:
        dom0.vsctl(*fault)

        assert repair(dom0) == "done"

        assert (mirrors(dom0, "xenbr0"), mirrors(dom0, "xenbr1")) == ([MIRROR], []), fault
        assert column(dom0, "select_vlan") == "50"
        assert column(dom0, "output_port") == dom0.vsctl("get", "Port", "vif1.0", "_uuid")
        assert column(dom0, "external_ids") == f"xs-vif-uuid={VIF_UUID}"

    ask(dom0, "false")
    assert (repair(dom0), mirrors(dom0, "xenbr0")) == ("done", [])
    ask(dom0)
    assert (repair(dom0), mirrors(dom0, "xenbr0")) == ("done", [MIRROR])
    allow(dom0, "log")
    assert (repair(dom0), mirrors(dom0, "xenbr0")) == ("done", [])


def test_a_mirror_whose_port_has_gone_is_found_and_removed(dom0: Dom0) -> None:
    """A survey takes it for a sign of its VIF; with netdev and backend gone that is removed, and the mirror too."""
    allow(dom0)
    ask(dom0)
    dom0.vif("vif", "1", "0", "online")
    dom0.vsctl("del-port", "vif1.0")
    dom0.remove("/local/domain/0/backend/vif/1/0")
    dom0.remove("/xapi")

    with OvsdbConnection.open(dom0.rundir / "db.sock", 0) as database:
        survey = read_survey(dom0.store, dom0.sandbox.directory / "none", read_ovsdb(database).bridges.values())
    events = [(event.device, str(event.action)) for event in build_resync_events(survey)]
    assert ("vif1.0", "remove") in events

    dom0.vif("vif", "1", "0", "remove")
    assert mirrors(dom0, "xenbr0") == []


def test_without_the_setting_a_promiscuous_vif_is_like_any_other(dom0: Dom0) -> None:
    """A line in the log says how it can have a mirror and what that costs."""
    ask(dom0)

    attached = dom0.vif("vif", "1", "0", "online")

    assert (dom0.bridge_of(), mirrors(dom0, "xenbr0")) == ("xenbr0", [])
    assert "vif1.0 is to be promiscuous, and is not: " in attached.stderr
    assert 'promiscuous = "mirror"' in attached.stderr.replace("\\", "")
    assert "all that it sends is dropped" in attached.stderr


def test_a_reconfigure_that_moves_a_mirrored_port_is_none_the_worse() -> None:
    """A bond takes the port to its bridge and gives it back, verified both times. The mirror follows at a resync."""
    records = HostRecords()
    nic = records.nic("eth0", management=True, **static("192.0.2.10"))
    records.nic("eth1")
    with XapiHost(records, segments=shared_segment(nics=2)) as host:
        host.up(nic)
        guest = host.sandbox.add_guest("guest", "xenbr0")
        create = f"--id=@m create Mirror name={MIRROR} select_all=true select_vlan=0 output_port=@p"
        vsctl(host.sandbox, "--", "--id=@p", "get", "Port", guest.vif, "--", *create.split(),
              "external_ids:xs-vif-uuid=u", "--", "add", "Bridge", "xenbr0", "mirrors", "@m")  # fmt: skip
        address = {key: nic[key] for key in ("ip_configuration_mode", "IP", "netmask", "gateway", "DNS", "management")}
        bond = records.bond("bond0", ["eth0", "eth1"], "xapi0", **address)
        nic.update(ip_configuration_mode="None", IP="", netmask="", gateway="", management=False)

        host.up(bond)
        assert vsctl(host.sandbox, "port-to-br", guest.vif) == "xapi0"
        nic.update(address)
        host.up(nic, "--management")

        assert vsctl(host.sandbox, "port-to-br", guest.vif) == "xenbr0"

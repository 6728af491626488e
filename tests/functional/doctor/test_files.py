"""The cache, XAPI, the daemon's files and what earlier runs left, broken with files; mended as the doctor says."""

from __future__ import annotations

import json
import shlex
import shutil

from host_records import static
from patient import Patient

from xsagent.sandbox.root_prefix import record_uuid

CACHE = "var/xapi/network.dbcache"


def test_a_cache_that_is_cut_off(patient: Patient) -> None:
    """The next boot would fall back: rewrite writes it anew from XAPI."""
    cache = patient.path(CACHE)
    cache.write_text(cache.read_text()[:200])

    assert patient.mends("cache-unreadable")["severity"] == "error"


def test_a_cache_that_is_cut_off_while_xapi_is_away(patient: Patient) -> None:
    """The generation before takes its place; without that one management gets a cache of its own."""
    assert patient.host.xapi is not None
    patient.host.xapi.stop()
    cache, previous = patient.path(CACHE), patient.path(f"{CACHE}.previous")
    kept = cache.read_bytes()

    previous.write_bytes(kept)
    cache.write_bytes(kept[:200])
    assert patient.mends("cache-unreadable")["mend"] == [f"cp -p {previous} {cache}"]
    assert cache.read_bytes() == kept

    previous.unlink()
    cache.write_bytes(kept[:200])
    alone = patient.finding("cache-unreadable")
    cache.write_bytes(kept)
    patient.host.restart_xapi()
    assert alone["mend"] == []
    assert "--force BRIDGE rewrite --device=NIC --mac=x" in alone["by_hand"]


def test_a_cache_that_is_older_than_xapi(patient: Patient) -> None:
    """The PIF whose configuration differs is named."""
    cache = patient.path(CACHE)
    cache.write_text(cache.read_text().replace("198.51.100.10", "198.51.100.77"))

    finding = patient.mends("cache-stale")

    assert record_uuid("pif eth1") in finding["problem"]
    assert finding["severity"] == "warning"


def test_xapi_that_is_away(patient: Patient) -> None:
    """A warning; everything else is examined by the cache."""
    assert patient.host.xapi is not None
    patient.host.xapi.stop()
    patient.run("ip", "address", "del", "198.51.100.10/24", "dev", "xenbr1")

    kinds = {one["id"] for one in patient.findings()}
    finding = patient.mends("drift")
    patient.host.restart_xapi()

    assert {"xapi-unreachable", "drift"} <= kinds
    assert "--force xenbr1 up" in finding["mend"][0]  # --pif-uuid would wait for XAPI


def test_a_nic_that_is_not_there(patient: Patient) -> None:
    """XAPI records a NIC that was taken out: it can be forgotten."""
    records = patient.host.records
    records.nic("eth7", "xenbr7")
    patient.host.restart_xapi()
    patient.run("interface-reconfigure", f"--root-prefix={patient.sandbox.root}", "rewrite")

    finding = patient.finding("nic-missing")
    ref = next(ref for ref, one in records.classes["PIF"].items() if one["device"] == "eth7")
    records.classes["network"].pop(records.classes["PIF"].pop(ref)["network"])
    patient.host.restart_xapi()
    patient.run("interface-reconfigure", f"--root-prefix={patient.sandbox.root}", "rewrite")

    assert finding["severity"] == "warning"
    assert finding["mend"] == [f"xe pif-forget uuid={record_uuid('pif eth7')}"]


def test_an_inventory_that_says_nothing(patient: Patient) -> None:
    """A boot would not know which interface is management's."""
    inventory = patient.path("etc/xensource-inventory")
    kept = inventory.read_text()
    inventory.write_text("garbage\n")

    finding = patient.finding("inventory-unreadable")
    inventory.write_text(kept)

    assert finding["severity"] == "error"
    assert "names no INSTALLATION_UUID" in finding["problem"]
    assert "MANAGEMENT_INTERFACE" in finding["by_hand"]
    assert not patient.has("inventory-unreadable")


def test_two_records_with_one_address(patient: Patient) -> None:
    """After a reboot it would be on the wrong one, or on both (pains.md 1)."""
    records = patient.host.records
    other = records.vlan("eth1", 60, "xapi60", **static("192.0.2.10"))
    patient.host.restart_xapi()

    finding = patient.finding("address-recorded-twice")
    vlan = next(ref for ref, one in records.classes["VLAN"].items() if one["tag"] == "60")
    for carrier in records.classes["PIF"].values():
        carrier["VLAN_slave_of"] = [ref for ref in carrier["VLAN_slave_of"] if ref != vlan]
    del records.classes["VLAN"][vlan]
    ref = next(ref for ref, one in records.classes["PIF"].items() if one["uuid"] == other["uuid"])
    records.classes["network"].pop(records.classes["PIF"].pop(ref)["network"])
    patient.host.restart_xapi()

    assert finding["mend"] == [f"xe pif-reconfigure-ip uuid={other['uuid']} mode=none"]


def test_a_ready_file_without_a_daemon(patient: Patient) -> None:
    """No rule of udev's starts anything while it is there: it must go."""
    ready = patient.path("run/xsagent/ready")
    ready.parent.mkdir(parents=True, exist_ok=True)
    ready.touch()

    finding = patient.mends("ready-without-daemon")

    assert finding["severity"] == "error"
    assert finding["mend"] == [f"rm -f {shlex.quote(str(ready))}"]


def test_a_daemon_that_is_installed_and_does_not_run(patient: Patient) -> None:
    """Its unit is there: it should run. Without a unit it is information."""
    unit = patient.path("usr/lib/systemd/system/xsagentd.service")
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.touch()

    finding = patient.finding("daemon-down")
    unit.unlink()

    assert finding["mend"] == ["systemctl restart xsagentd.service"]
    assert patient.finding("daemon-absent")["severity"] == "info"


def test_a_unit_of_ours_that_is_masked(patient: Patient) -> None:
    """It is installed, and a boot would leave it out."""
    unit = patient.path("usr/lib/systemd/system/ovs-vswitchd.service")
    mask = patient.path("etc/systemd/system/ovs-vswitchd.service")
    for path in (unit, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    unit.touch()
    mask.symlink_to("/dev/null")

    finding = patient.finding("unit-masked")
    mask.unlink()

    assert finding["mend"][0] == "systemctl unmask ovs-vswitchd.service"
    assert not patient.has("unit-masked")
    unit.unlink()


def test_a_path_that_somebody_took_from_us(patient: Patient) -> None:
    """A toolstack that came by other ways than rpm: what XAPI and udev call is not ours any more."""
    setup = ["xsagent-setup", f"--root-prefix={patient.sandbox.root}"]
    patient.run(*setup, "take-over", "full")
    script = patient.path("opt/xensource/libexec/interface-reconfigure")
    script.unlink()
    script.write_text("#!/bin/sh\n# another's\n")

    finding = patient.mends("path-displaced")
    ours = script.is_symlink()
    patient.run(*setup, "give-back")

    assert (finding["severity"], finding["subject"]) == ("error", "/opt/xensource/libexec/interface-reconfigure")
    assert ours
    assert script.read_text() == "#!/bin/sh\n# another's\n"
    script.unlink()


def test_a_packaged_unit_that_is_masked(patient: Patient) -> None:
    """The mask stands where our link was: it goes, and the link comes back."""
    setup = ["xsagent-setup", f"--root-prefix={patient.sandbox.root}"]
    scripts = patient.path("usr/lib/xsagent/initscripts")
    scripts.mkdir(parents=True)
    (scripts / "ovs-vswitchd.service").write_text("[Service]\n")
    patient.run(*setup, "take-over", "full")
    unit = patient.path("etc/systemd/system/ovs-vswitchd.service")
    unit.unlink()
    unit.symlink_to("/dev/null")

    finding = patient.finding("unit-masked")
    unit.unlink()  # what the first command does, which is systemctl's
    patient.mend(finding, only="xsagent-setup")
    again = {one["id"] for one in patient.findings()}
    patient.run(*setup, "give-back")
    shutil.rmtree(scripts.parent)

    assert [line.split()[0] for line in finding["mend"]] == ["systemctl", "xsagent-setup", "systemctl"]
    assert again.isdisjoint({"unit-masked", "path-displaced"})


def test_a_rule_of_the_toolstacks_beside_ours(patient: Patient) -> None:
    """Two scripts would handle each device; a file in /usr/lib that one in /etc stands before is no matter."""
    rules, shadowed = patient.path("etc/udev/rules.d"), patient.path("usr/lib/udev/rules.d/xen-backend.rules")
    line = 'SUBSYSTEM=="xen-backend", KERNEL=="vif*", RUN+="/usr/libexec/xenopsd/vif $env{ACTION}"\n'
    for folder in (rules, shadowed.parent):
        folder.mkdir(parents=True, exist_ok=True)
    (rules / "65-xsagent.rules").touch()
    for file in (rules / "xen-backend.rules", shadowed):
        file.write_text(line)

    finding = patient.mends("vif-rules-twice", only="python3")
    text = (rules / "xen-backend.rules").read_text()
    for file in (rules / "65-xsagent.rules", rules / "xen-backend.rules", shadowed):
        file.unlink()

    assert (finding["severity"], finding["subject"]) == ("error", str(rules / "xen-backend.rules"))
    assert text == f"# xsagent: {line}"


def test_management_elsewhere_in_the_inventory(patient: Patient) -> None:
    """The next boot would follow the inventory."""
    inventory = patient.path("etc/xensource-inventory")
    good = inventory.read_text()
    inventory.write_text(good.replace("xenbr0", "xenbr1"))

    finding = patient.finding("inventory-differs")
    inventory.write_text(good)

    assert (finding["severity"], finding["subject"]) == ("warning", "xenbr1")
    assert finding["mend"] == [f"xe host-management-reconfigure pif-uuid={record_uuid('pif eth0')}"]
    assert not patient.has("inventory-differs")


def test_an_inventory_that_cannot_be_read(patient: Patient) -> None:
    """Who this host is to XAPI is not known."""
    inventory = patient.path("etc/xensource-inventory")
    inventory.rename(inventory.with_suffix(".away"))
    inventory.mkdir()

    finding = patient.finding("inventory-unreadable")
    inventory.rmdir()
    inventory.with_suffix(".away").rename(inventory)

    assert finding["severity"] == "error"
    assert str(inventory) in finding["problem"]


def test_a_record_that_cannot_be_followed(patient: Patient) -> None:
    """A static address that is none: the PIF cannot come up again, and its record says why."""
    pif = next(one for one in patient.host.records.classes["PIF"].values() if one["uuid"] == record_uuid("pif eth1"))
    pif["IP"] = "198.51.100.300"
    patient.host.restart_xapi()

    finding = next(one for one in patient.findings() if one["id"] == "record-unusable")
    pif["IP"] = "198.51.100.10"
    patient.host.restart_xapi()

    assert "198.51.100.300" in finding["problem"]


def test_what_a_driver_refused(patient: Patient) -> None:
    """A virtual link takes no speed: it is remembered, told, and no drift."""
    pif = next(one for one in patient.host.records.classes["PIF"].values() if one["uuid"] == record_uuid("pif eth1"))
    pif["other_config"] = {"ethtool-speed": "100", "ethtool-duplex": "full", "ethtool-autoneg": "off"}
    patient.host.up(pif)

    finding = patient.finding("driver-refused")
    drift = patient.has("drift")
    pif["other_config"] = {}
    patient.host.up(pif)
    patient.path("var/lib/xsagent/refusals.json").unlink()

    assert (finding["severity"], finding["subject"]) == ("info", "eth1")
    assert "speed" in finding["problem"]
    assert not drift


def test_a_configuration_that_was_taken_back(patient: Patient) -> None:
    """XAPI still asks for a gateway that did not answer; now it does, and the same `up` goes through."""
    pif = next(one for one in patient.host.records.classes["PIF"].values() if one["management"])
    pif["gateway"] = "192.0.2.99"
    assert patient.host.run("up", pif).returncode == 1
    patient.sandbox.far().set_addresses("192.0.2.1/24", "192.0.2.99/24", "2001:db8::1/64")

    finding = patient.mends("configuration-rolled-back")
    pif["gateway"] = "192.0.2.1"
    patient.host.up(pif)
    patient.sandbox.far().set_addresses("192.0.2.1/24", "2001:db8::1/64")

    assert finding["severity"] == "warning"
    assert "XAPI still asks for it" in finding["problem"]


def test_settings_that_cannot_be_read(patient: Patient) -> None:
    """interface-reconfigure refuses to run with them: the file steps aside."""
    patient.path("etc/xsagent/xsagent.conf").write_text("deadman = never\n")

    assert patient.mends("settings-unusable")["severity"] == "error"
    patient.path("etc/xsagent/xsagent.conf.bad").unlink()


def test_a_backend_that_is_not_ours(patient: Patient) -> None:
    """network.conf says bridge: nothing of ours runs."""
    path = patient.path("etc/xensource/network.conf")
    path.write_text("bridge\n")

    finding = patient.finding("backend-unusable")
    path.write_text("openvswitch\n")

    assert finding["mend"] == ["xe-switch-network-backend openvswitch"]


def test_a_reset_that_waits(patient: Patient) -> None:
    """While the file is there a boot ignores every other state; where no reset is wanted, it can go."""
    patient.path("var/tmp").mkdir(parents=True, exist_ok=True)
    patient.path("var/tmp/network-reset").write_text("DEVICE='eth0'\nMODE='dhcp'\n")

    finding = patient.finding("network-reset-waits")
    patient.run("sh", "-c", finding["by_hand"].partition(": ")[2])

    assert not patient.has("network-reset-waits")


def test_a_journal_that_a_dead_run_left(patient: Patient) -> None:
    """The next run takes it back; rewrite is one that changes nothing else."""
    step = {"is": "LinkStep", "device": "eth3", "up": True, "undo": []}
    head = {"boot": "another boot", "operation": "up xenbr1", "answered": [], "desired": None, "configuration": None}
    journal = patient.path("var/lib/xsagent/journal")
    journal.write_text("".join(json.dumps(line) + "\n" for line in (head, {"begin": step})))

    finding = patient.mends("journal-left")

    assert "up xenbr1" in finding["problem"]
    assert not journal.exists()


def test_a_disk_without_room(patient: Patient) -> None:
    """Nothing can be written down for the next boot."""
    state = str(patient.path("var/lib/xsagent"))
    patient.run("mount", "-t", "tmpfs", "-o", "size=64k", "none", state)

    finding = patient.finding("no-room")
    patient.run("umount", state)

    assert (finding["severity"], finding["subject"]) == ("error", state)


def test_everything_dead_at_once(patient: Patient) -> None:
    """XAPI, both daemons of the switch, the cache and the settings: findings, in seconds, and no traceback."""
    assert patient.host.xapi is not None
    patient.host.xapi.stop()
    patient.sandbox.vswitchd.pause()
    patient.sandbox.ovsdb_server.pause()
    patient.path("etc/xsagent/xsagent.conf").write_text("?")

    kinds = {one["id"] for one in patient.findings()}
    patient.path("etc/xsagent/xsagent.conf").unlink()
    patient.sandbox.ovsdb_server.resume()
    patient.sandbox.vswitchd.resume()
    patient.host.restart_xapi()

    assert {"xapi-unreachable", "ovsdb-server-down", "settings-unusable"} <= kinds


def test_networkd_beside_a_full_installation(patient: Patient) -> None:
    """Two owners of one topology are an error; where it is the only owner, nothing of ours is compared."""
    record, program = patient.path("var/lib/xsagent/installation.json"), patient.sandbox.bin / "xcp-networkd"
    shutil.copy(shutil.which("sleep", path="/usr/bin:/bin") or "", program)
    process = patient.sandbox.spawn(["xcp-networkd", "600"])
    pid = patient.run("sh", "-c", "until pgrep -x xcp-networkd; do sleep 0.1; done")
    record.write_text(json.dumps({"profile": "full", "links": {}, "texts": [], "directories": []}))

    beside = patient.finding("networkd-beside-us")
    record.unlink()
    patient.run("ip", "address", "del", "198.51.100.10/24", "dev", "xenbr1")
    alone = {one["id"] for one in patient.findings()}
    patient.run("kill", pid)
    process.communicate(timeout=10)
    program.unlink()

    assert beside["severity"] == "error"
    assert "networkd-owns-topology" in alone
    assert "drift" not in alone
    patient.mends("drift")

"""In the VM as dom0 of a real Xen: guests' devices through our udev rules, first without xsagentd, then with it.

The toolstack's keys are written here, since neither xl nor lab-vif knows them; xl's own hotplug script is /bin/true, so
that only ours does anything. The guest's network is a wire: br0 has eth0, and a host at its far end has 10.0.N.1 for
the guest's 10.0.N.2 on its vif N. Argument: ``udev`` or ``systemd``, as the VM was started.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import far
import xenstore
from dom0 import bridges, columns, link, reaches, start_switch
from installed import EVENT_S, HOOK_RAN, OUT, OWNERS_HOOK_RAN, SCRIPTS, SECOND_RULE_RAN, install, start_daemon
from report import Facts, Report
from shell import GuestError, run, run_json, wait_for

VM = "e5b24593-770e-5865-b077-5f56bdead3c7"
NETWORK = "e65a64e7-d3e1-5188-9362-812424459b12"
MACS = ("00:16:3e:00:00:01", "00:16:3e:00:00:02", "00:16:3e:00:00:03")
RAMDISK = Path("/run/guest.initrd")
CONSOLES = Path("/var/log/xen/console")


def connect() -> None:
    """The switch with its bridge, and the host at the far end of the wire."""
    start_switch()
    run(["ovs-vsctl", "add-br", "br0", "--", "add-port", "br0", "eth0"])
    for device in ("br0", "eth0"):
        run(["ip", "link", "set", device, "up"])
    far.make_namespace()
    for devid in range(len(MACS)):
        far.add_address("eth2", f"10.0.{devid}.1/24")


def build_ramdisk() -> None:
    """The lab's guest with an init of ours: archives that follow one another are unpacked one over the other."""
    lab = gzip.decompress(Path("/lab/domu/initrd").read_bytes())
    with TemporaryDirectory() as folder:
        init = Path(shutil.copy(Path(__file__).with_name("domu-init"), Path(folder) / "init"))
        init.chmod(0o755)
        cpio = ["busybox", "cpio", "-o", "-H", "newc"]
        ours = subprocess.run(cpio, check=True, capture_output=True, cwd=folder, input=b"init\n").stdout
    RAMDISK.write_bytes(lab.ljust(-(-len(lab) // 4) * 4, b"\0") + ours)


def write_private(devid: int, **keys: str) -> None:
    """The keys that xenopsd writes for a VIF before it plugs it."""
    known = {"bridge": "br0", "bridge-MAC": "fe:ff:ff:ff:ff:ff", "mac": MACS[devid], "MTU": "1400"}
    known |= {"vif-uuid": f"{devid}d183578-73d1-5ace-8bdc-9e32c65a5032", "network-uuid": NETWORK}
    known |= {key.replace("_", "-"): value for key, value in keys.items()}
    xenstore.write({f"/xapi/{VM}/private/vif/{devid}/{name}": value for name, value in known.items()})


def locked(address: str) -> dict[str, str]:
    """Keys of a VIF that may send from one address alone."""
    return {"locking_mode": "locked", "ipv4_allowed": address, "ipv6_allowed": ""}


def create(name: str) -> int:
    """Start the small guest with one vif; returns its domain id."""
    configuration = f"""name = "{name}"
type = "pv"
uuid = "{VM}"
memory = 96
vcpus = 1
kernel = "/lab/domu/vmlinux"
ramdisk = "{RAMDISK}"
extra = "console=hvc0 quiet nokaslr mitigations=off ip0=10.0.0.2/24 ip1=10.0.1.2/24 ip2=10.0.2.2/24 ping=10.0.0.1"
vif = [ "mac={MACS[0]},bridge=br0,script=/bin/true" ]
on_crash = "destroy"
on_reboot = "destroy"
"""
    Path("/run/guest.cfg").write_text(configuration, encoding="ascii")
    run(["xl", "create", "/run/guest.cfg"], timeout_s=EVENT_S)
    return int(run(["xl", "domid", name]))


def backend(domid: int, devid: int) -> str:
    """Where netback's keys of a vif are."""
    return f"/local/domain/0/backend/vif/{domid}/{devid}"


def hotplug_key(domid: int, devid: int) -> str:
    """What xenopsd waits for, to come and to go."""
    return f"/xapi/{VM}/hotplug/{domid}/vif/{devid}/hotplug"


def await_attached(domid: int, devid: int) -> Facts:
    """What is there of a vif at the moment when it is reported; GuestError when it is reported as failed."""
    status, error = f"{backend(domid, devid)}/hotplug-status", f"{backend(domid, devid)}/hotplug-error"
    xenstore.await_change(backend(domid, devid), lambda: xenstore.read(status) or xenstore.read(error), EVENT_S)
    if said := xenstore.read(error):
        raise GuestError(f"hotplug-error of vif {devid}: {said}")
    return {"status": xenstore.read(status), **describe(domid, devid)}


def flows() -> list[str]:
    """The locking flows of br0."""
    return [line for line in run(["ovs-ofctl", "dump-flows", "br0", "cookie=1/-1"]).splitlines() if "actions=" in line]


def describe(domid: int, devid: int) -> Facts:
    """What is there of a vif."""
    name = f"vif{domid}.{devid}"
    return {
        "online": xenstore.read(hotplug_key(domid, devid)),
        "bridge": [bridge for bridge, ports in bridges().items() if name in ports],
        "interface": columns("Interface", name, "external_ids", "ofport", "error"),
        "link": link(name),
    }


def await_gone(domid: int, devid: int) -> Facts:
    """What is left at the moment when xenopsd learns that a vif is gone."""
    key = hotplug_key(domid, devid)
    xenstore.await_change(key, lambda: not xenstore.read(key), EVENT_S)
    keys = xenstore.tree(f"/xapi/{VM}/hotplug/{domid}/vif/{devid}")
    return {
        "ports": sorted(bridges()["br0"]),
        "keys": [line for line in keys if not line.endswith('= ""')],
        "netdev": Path(f"/sys/class/net/vif{domid}.{devid}").exists(),
    }


def answering(devid: int) -> str:
    """The hardware address from which the guest's address on a vif answers the far host, sooner or later."""
    address = f"10.0.{devid}.2"
    wait_for(f"{address} answers", lambda: reaches(address, namespace=far.NAMESPACE), EVENT_S)
    found: str = run_json(["ip", "-n", far.NAMESPACE, "-json", "neighbour", "show", address])[0]["lladdr"]
    return found


def lock(domid: int, address: str) -> None:
    """Change the address that vif 0 may send from, and have setup-vif-rules called as xenopsd does."""
    xenstore.write({f"/xapi/{VM}/private/vif/0/ipv4-allowed": address})
    run([str(SCRIPTS / "setup-vif-rules"), "xenlight", f"vif{domid}.0", VM, "0", "filter"], timeout_s=EVENT_S)


def live(report: Report, way: str) -> None:
    """One guest's life: started, plugged into, unplugged from, destroyed."""
    for ran in (HOOK_RAN, OWNERS_HOOK_RAN):
        ran.unlink(missing_ok=True)
    name = f"guest-{way}"
    domid = 0
    on_wire = f"icmp and ether src {MACS[0]}"
    with report.case(f"{way}: create") as facts, far.frames("eth0", on_wire) as facts["frames"]:
        write_private(0, **locked("10.0.0.2"))
        domid = create(name)
        facts["domid"] = domid
        facts.update(await_attached(domid, 0))
        facts["flows"] = flows()
        facts["guest_pinged"] = wait_for("the guest's ping", lambda: "ping 10.0.0.1 ok" in console(name), EVENT_S)
        facts["answered_by"] = answering(0)
    if not domid:
        return
    with report.case(f"{way}: lock another address") as facts:
        lock(domid, "10.0.0.3")
        facts["guest_answers"] = reaches("10.0.0.2", namespace=far.NAMESPACE)
        lock(domid, "10.0.0.2")
        facts["answered_by_again"] = answering(0)
    with report.case(f"{way}: attach") as facts:
        write_private(1, **locked("10.0.1.2"))
        run(["xl", "network-attach", name, f"mac={MACS[1]}", "bridge=br0", "script=/bin/true"], timeout_s=EVENT_S)
        facts.update(await_attached(domid, 1))
        # Linux answers for any of its addresses through any vif, so all but the last are locked to their own.
        facts["answered_by"] = answering(1)
    with report.case(f"{way}: plug") as facts:
        write_private(2)
        run(["lab-vif", "plug", str(domid), "2", MACS[2]], timeout_s=EVENT_S)
        facts.update(await_attached(domid, 2))
        facts["answered_by"] = answering(2)
    with report.case(f"{way}: unplug") as facts:
        run(["lab-vif", "unplug", str(domid), "2"], timeout_s=EVENT_S)
        facts.update(await_gone(domid, 2))
    with report.case(f"{way}: detach") as facts:
        run(["xl", "network-detach", name, "1"], timeout_s=EVENT_S)
        facts.update(await_gone(domid, 1))
        facts["answered_by"] = answering(0)
    with report.case(f"{way}: destroy") as facts:
        run(["xl", "destroy", name], timeout_s=EVENT_S)
        facts.update(await_gone(domid, 0))
        facts["flows"] = flows()
        facts["hook"] = HOOK_RAN.read_text(encoding="ascii").splitlines() if HOOK_RAN.exists() else []
        facts["owners_hook"] = owners_hook()
        facts["second_rule_ran"] = SECOND_RULE_RAN.exists()


def owners_hook() -> list[str]:
    """The actions that the hook of the host's owner noted, all six of three vifs where they come."""

    def noted() -> list[str]:
        return OWNERS_HOOK_RAN.read_text(encoding="ascii").split() if OWNERS_HOOK_RAN.exists() else []

    with suppress(GuestError):
        wait_for("the owner's hook", lambda: len(noted()) == 6, EVENT_S)
    return noted()


def console(name: str) -> str:
    """What a guest printed so far."""
    path = CONSOLES / f"guest-{name}.log"
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


_BY_DEVICE = """
from pathlib import Path
from xsagent.config import Paths
from xsagent.model.vif import VifId
from xsagent.sources.vif_reader import read_all_vif_keys
from xsagent.sources.xenstore import open_xenstore
with open_xenstore(Paths()) as store:
    store.watch("/xapi", "lab")
    assert store.take_event(30).token == "lab"
    keys = read_all_vif_keys(store, [VifId(9, devid) for devid in range(40)])
    print(Path(f"/proc/self/fd/{store.fileno()}").readlink(), keys[0].private["bridge"].decode())
"""


def read_by_device() -> str:
    """What our client opened, and a value that it read, where xenstored has no socket in this domain."""
    xenstore.write({"/local/domain/9/vm": f"/vm/{VM}", f"/vm/{VM}/uuid": VM})
    write_private(0)
    socket = Path("/run/xenstored/socket")
    socket.rename("/run/xenstored/hidden")
    try:
        return run([sys.executable, "-c", _BY_DEVICE], timeout_s=EVENT_S).strip()
    finally:
        Path("/run/xenstored/hidden").rename(socket)
        for path in ("/local/domain/9", f"/vm/{VM}", f"/xapi/{VM}"):
            xenstore.remove(path)


def keep_logs(init: str) -> None:
    """What a person wants to read of a VM whose cases did not come out: files beside the report."""
    commands = {"ovs-vsctl": ["ovs-vsctl", "show"], "xenstore": ["xenstore-ls", "-f"], "dmesg": ["dmesg"]}
    if init == "systemd":
        commands["journal"] = ["journalctl", "--boot", "--output=short-monotonic"]
    for name, command in commands.items():
        (OUT / f"{name}.txt").write_text(run(command, timeout_s=EVENT_S), encoding="utf-8")
    for log in CONSOLES.iterdir():
        shutil.copy(log, OUT / log.name)


def main() -> None:
    """All cases, in the order in which the host lives through them."""
    report = Report()
    with (OUT / "udev.txt").open("wb") as events:
        words = ["udevadm", "monitor", "--udev", "--subsystem-match=xen-backend", "--subsystem-match=net"]
        subprocess.Popen(words, stdout=events)
    with report.case("install"):
        install()
        connect()
        build_ramdisk()
    with report.case("read by device") as facts:
        facts["said"] = read_by_device()
    live(report, "one-shot")
    with report.case("daemon"):
        start_daemon(sys.argv[1])
    live(report, "daemon")
    with report.case("logs"):
        keep_logs(sys.argv[1])


if __name__ == "__main__":
    main()

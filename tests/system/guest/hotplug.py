"""In the VM as dom0 of a real Xen: guests' devices through our udev rules, first without xsagentd, then with it.

The toolstack's keys are written here, since neither xl nor lab-vif knows them; xl's own hotplug script is /bin/true, so
that only ours does anything. Argument: ``udev`` or ``systemd``, as the VM was started.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from dom0 import bridges, columns, link, reaches, start_switch
from report import Facts, Report
from shell import GuestError, run, wait_for

EVENT_S = 150
"""An event costs seconds in this emulated machine, and a minute where the machine outside has other work."""
VM = "e5b24593-770e-5865-b077-5f56bdead3c7"
NETWORK = "e65a64e7-d3e1-5188-9362-812424459b12"
MACS = ("00:16:3e:00:00:01", "00:16:3e:00:00:02", "00:16:3e:00:00:03")
RULES = Path("/etc/udev/rules.d/65-xsagent.rules")
SCRIPTS = Path("/etc/xensource/scripts")
PRODUCT = Path("/opt/xsagent")
LIBRARY = Path("/usr/lib/xsagent")
HOOK_RAN, SECOND_RULE_RAN = Path("/run/hook-ran"), Path("/run/second-rule")
READY = Path("/run/xsagent/ready")


def install() -> None:
    """What installing does for hotplug, and the toolstack's rules with a line that must not run any more."""
    SCRIPTS.mkdir(parents=True)
    Path("/etc/xensource/network.conf").write_text("openvswitch\n", encoding="ascii")
    Path("/etc/xsagent").mkdir()
    # What takes a second on a host takes half a minute here, so the usual 30 s would be reported as a failure.
    Path("/etc/xsagent/xsagent.conf").write_text(f"hotplug_s = {EVENT_S - 10}\n", encoding="ascii")
    # The hook starts Python isolated and without site: it finds the packages one folder above its own alone.
    (LIBRARY / "udev").mkdir(parents=True)
    for package in (PRODUCT / "packages").iterdir():
        (LIBRARY / package.name).symlink_to(package)
    shutil.copy(PRODUCT / "udev/hotplug-hook", LIBRARY / "udev/hotplug-hook")
    (SCRIPTS / "hook").symlink_to(LIBRARY / "udev/hotplug-hook")
    # Between rule and hook, to see whether udev started it.
    (SCRIPTS / "vif").write_text(f'#!/bin/sh\necho "$@" >>{HOOK_RAN}\nexec {SCRIPTS}/hook "$@"\n', encoding="ascii")
    for script in (LIBRARY / "udev/hotplug-hook", SCRIPTS / "vif"):
        script.chmod(0o755)
    shutil.copy(PRODUCT / "udev/65-xsagent.rules", RULES)
    stale = f'SUBSYSTEM=="xen-backend", KERNEL=="vif*", RUN+="/bin/sh -c \'touch {SECOND_RULE_RAN}\'"\n'
    toolstack = Path("/etc/udev/rules.d/xen-backend.rules")
    toolstack.write_text(stale, encoding="ascii")
    run(["python3", "-m", "xsagent.cli.udev_rules", str(toolstack)])
    run(["udevadm", "control", "--reload"])
    start_switch()
    run(["ovs-vsctl", "add-br", "br0"])
    for address in ("10.0.0.1/24", "10.0.1.1/24", "10.0.2.1/24"):
        run(["ip", "address", "add", address, "dev", "br0"])
    run(["ip", "link", "set", "br0", "up"])


def start_daemon(init: str) -> None:
    """Start xsagentd, as a unit where there is systemd, and wait until it hears udev."""
    command = [sys.executable, "-m", "xsagent.cli.xsagentd"]
    if init == "systemd":
        settings = ["--property=Type=notify", f"--setenv=PYTHONPATH={os.environ['PYTHONPATH']}"]
        run(["systemd-run", "--unit=xsagentd", *settings, *command], timeout_s=EVENT_S)
    else:
        with Path("/out/xsagentd.log").open("wb") as log:
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    wait_for("xsagentd is ready", READY.exists, EVENT_S)


def read(path: str) -> str:
    """A xenstore value; empty when absent."""
    done = subprocess.run(["xenstore-read", path], check=False, capture_output=True, encoding="utf-8", timeout=30)
    return done.stdout.removesuffix("\n") if done.returncode == 0 else ""


def write_private(devid: int, **keys: str) -> None:
    """The keys that xenopsd writes for a VIF before it plugs it."""
    known = {"bridge": "br0", "bridge-MAC": "fe:ff:ff:ff:ff:ff", "mac": MACS[devid], "MTU": "1400"}
    known |= {"vif-uuid": f"{devid}d183578-73d1-5ace-8bdc-9e32c65a5032", "network-uuid": NETWORK}
    words = []
    for name, value in (known | {key.replace("_", "-"): value for key, value in keys.items()}).items():
        words += [f"/xapi/{VM}/private/vif/{devid}/{name}", value]
    run(["xenstore-write", *words])


def create(name: str) -> int:
    """Start the small guest with one vif; returns its domain id."""
    configuration = f"""name = "{name}"
type = "pv"
uuid = "{VM}"
memory = 96
vcpus = 1
kernel = "/lab/domu/vmlinux"
ramdisk = "/lab/domu/initrd"
extra = "console=hvc0 quiet nokaslr mitigations=off ip0=10.0.0.2/24 ip1=10.0.1.2/24 ip2=10.0.2.2/24 ping=10.0.0.1"
vif = [ "mac={MACS[0]},bridge=br0,script=/bin/true" ]
on_crash = "destroy"
on_reboot = "destroy"
"""
    Path("/run/guest.cfg").write_text(configuration, encoding="ascii")
    run(["xl", "create", "/run/guest.cfg"], timeout_s=300)
    return int(run(["xl", "domid", name]))


def status(domid: int, devid: int) -> str:
    """`hotplug-status` of a vif."""
    return read(f"/local/domain/0/backend/vif/{domid}/{devid}/hotplug-status")


def wait_connected(domid: int, devid: int) -> None:
    """Return once the vif is connected; GuestError with hotplug-error when it is not."""
    try:
        wait_for(f"vif {devid} is connected", lambda: status(domid, devid) == "connected", EVENT_S)
    except GuestError as error:
        said = read(f"/local/domain/0/backend/vif/{domid}/{devid}/hotplug-error")
        raise GuestError(f"{error}; hotplug-error: {said or 'none'}") from error


def flows() -> list[str]:
    """The locking flows of br0."""
    return [line for line in run(["ovs-ofctl", "dump-flows", "br0", "cookie=1/-1"]).splitlines() if "actions=" in line]


def describe(domid: int, devid: int) -> Facts:
    """What is there of a vif."""
    name = f"vif{domid}.{devid}"
    return {
        "status": status(domid, devid),
        "online": read(f"/xapi/{VM}/hotplug/{domid}/vif/{devid}/hotplug"),
        "error": read(f"/local/domain/0/backend/vif/{domid}/{devid}/hotplug-error"),
        "bridge": [bridge for bridge, ports in bridges().items() if name in ports],
        "interface": columns("Interface", name, "external_ids", "ofport", "error"),
        "link": link(name),
    }


def wait_gone(domid: int, devid: int) -> None:
    """Return once neither port nor the key that xenopsd waits for is left of a vif."""
    name, key = f"vif{domid}.{devid}", f"/xapi/{VM}/hotplug/{domid}/vif/{devid}/hotplug"
    wait_for(f"{name} is off its bridge", lambda: all(name not in ports for ports in bridges().values()), EVENT_S)
    wait_for(f"{key} is gone", lambda: not read(key), EVENT_S)


def lock(domid: int, address: str) -> None:
    """Change the address that vif 0 may send from, and have setup-vif-rules called as xenopsd does."""
    run(["xenstore-write", f"/xapi/{VM}/private/vif/0/ipv4-allowed", address])
    call = [sys.executable, "-m", "xsagent.cli.setup_vif_rules", "xenlight", f"vif{domid}.0", VM, "0", "filter"]
    run(call, timeout_s=EVENT_S)


def live(report: Report, way: str) -> None:
    """One guest's life: started, plugged into, unplugged from, destroyed."""
    HOOK_RAN.unlink(missing_ok=True)
    name = f"guest-{way}"
    domid = 0
    with report.case(f"{way}: create") as facts:
        write_private(0, locking_mode="locked", ipv4_allowed="10.0.0.2", ipv6_allowed="")
        domid = create(name)
        wait_connected(domid, 0)
        facts.update(describe(domid, 0))
        facts["flows"] = len(flows())
        facts["guest_pinged"] = wait_for("the guest's ping", lambda: "ping 10.0.0.1 ok" in console(name), EVENT_S)
        facts["guest_answers"] = reaches("10.0.0.2")
    with report.case(f"{way}: lock another address") as facts:
        lock(domid, "10.0.0.3")
        facts["guest_answers"] = reaches("10.0.0.2")
        lock(domid, "10.0.0.2")
        facts["guest_answers_again"] = reaches("10.0.0.2")
    with report.case(f"{way}: attach") as facts:
        write_private(1)
        run(["xl", "network-attach", name, f"mac={MACS[1]}", "bridge=br0", "script=/bin/true"], timeout_s=EVENT_S)
        wait_connected(domid, 1)
        facts.update(describe(domid, 1))
        # Vif 0 may not answer for this address, so what comes back comes through vif 1.
        wait_for("the guest has vif 1's address", lambda: "address 10.0.1.2" in console(name), EVENT_S)
        facts["guest_answers"] = _answers("10.0.1.2", facts)
    with report.case(f"{way}: plug") as facts:
        write_private(2)
        run(["lab-vif", "plug", str(domid), "2", MACS[2]], timeout_s=EVENT_S)
        wait_connected(domid, 2)
        facts.update(describe(domid, 2))
    with report.case(f"{way}: unplug") as facts:
        run(["lab-vif", "unplug", str(domid), "2"], timeout_s=EVENT_S)
        wait_gone(domid, 2)
        facts["others"] = sorted(bridges()["br0"])
    with report.case(f"{way}: detach") as facts:
        run(["xl", "network-detach", name, "1"], timeout_s=EVENT_S)
        wait_gone(domid, 1)
        facts["others"] = sorted(bridges()["br0"])
        facts["guest_answers"] = reaches("10.0.0.2")
    with report.case(f"{way}: destroy") as facts:
        run(["xl", "destroy", name], timeout_s=EVENT_S)
        wait_gone(domid, 0)
        wait_for("its flows are gone", lambda: not flows(), EVENT_S)
        facts["ports"] = bridges()["br0"]
        facts["hook"] = HOOK_RAN.read_text(encoding="ascii").split("\n") if HOOK_RAN.exists() else []
        facts["second_rule_ran"] = SECOND_RULE_RAN.exists()
        facts["domid"] = domid


def _answers(address: str, facts: Facts) -> bool:
    """Whether the guest answers in time; the facts say what switch and netback made of it where it does not."""
    try:
        return wait_for(f"{address} answers", lambda: reaches(address), EVENT_S)
    except GuestError:
        facts["neighbours"] = run(["ip", "neighbour"])
        facts["statistics"] = run(["ovs-ofctl", "dump-ports", "br0"])
        facts["datapath"] = run(["ovs-appctl", "dpctl/dump-flows"])
        facts["kernel"] = run(["dmesg"])[-2000:]
        return False


def console(name: str) -> str:
    """What a guest printed so far."""
    path = Path(f"/var/log/xen/console/guest-{name}.log")
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
    run(["xenstore-write", "/local/domain/9/vm", f"/vm/{VM}", f"/vm/{VM}/uuid", VM])
    write_private(0)
    socket = Path("/run/xenstored/socket")
    socket.rename("/run/xenstored/hidden")
    try:
        return run([sys.executable, "-c", _BY_DEVICE]).strip()
    finally:
        Path("/run/xenstored/hidden").rename(socket)
        for path in ("/local/domain/9", f"/vm/{VM}", f"/xapi/{VM}"):
            run(["xenstore-rm", path])


def main() -> None:
    """All cases, in the order in which the host lives through them."""
    report = Report()
    with report.case("install"):
        install()
    with report.case("read by device") as facts:
        facts["said"] = read_by_device()
    live(report, "one-shot")
    with report.case("daemon"):
        start_daemon(sys.argv[1])
    live(report, "daemon")


if __name__ == "__main__":
    main()

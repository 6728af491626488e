"""In the VM as dom0 of a real Xen: guests' devices through our udev rules, hook and one-shot handler.

No daemon runs. The toolstack's keys are written here, since neither xl nor lab-vif knows them; xl's own hotplug
script is /bin/true, so that only ours does anything.
"""

from __future__ import annotations

import shutil
import site
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from dom0 import bridges, columns, link, reaches, start_switch
from report import Facts, Report
from shell import GuestError, run, wait_for

_T = TypeVar("_T")

EVENT_S = 150
"""An event costs seconds in this emulated machine, and a minute where the machine outside has other work."""
VM = "e5b24593-770e-5865-b077-5f56bdead3c7"
VIF_UUIDS = ("ad183578-73d1-5ace-8bdc-9e32c65a5032", "bd183578-73d1-5ace-8bdc-9e32c65a5032")
NETWORK = "e65a64e7-d3e1-5188-9362-812424459b12"
MACS = ("00:16:3e:00:00:01", "00:16:3e:00:00:02")
RULES = Path("/etc/udev/rules.d/65-xsagent.rules")
HOOK = Path("/etc/xensource/scripts/vif")
PRODUCT = Path("/opt/xsagent")


def install() -> None:
    """What installing does for hotplug, and the toolstack's rules with a line that must not run any more."""
    Path("/etc/xensource/scripts").mkdir(parents=True)
    Path("/etc/xensource/network.conf").write_text("openvswitch\n", encoding="ascii")
    Path("/etc/xsagent").mkdir()
    # What takes a second on a host takes half a minute here, so the usual 30 s would be reported as a failure.
    Path("/etc/xsagent/xsagent.conf").write_text(f"hotplug_s = {EVENT_S - 10}\n", encoding="ascii")
    # The hook starts Python isolated, so the packages have to be where it looks by itself.
    Path(site.getsitepackages()[0]).mkdir(parents=True, exist_ok=True)
    Path(site.getsitepackages()[0], "xsagent.pth").write_text(f"{PRODUCT}/packages\n", encoding="ascii")
    shutil.copy(PRODUCT / "udev/hotplug-hook", HOOK)
    HOOK.chmod(0o755)
    shutil.copy(PRODUCT / "udev/65-xsagent.rules", RULES)
    stale = 'SUBSYSTEM=="xen-backend", KERNEL=="vif*", RUN+="/bin/sh -c \'touch /run/second-rule\'"\n'
    toolstack = Path("/etc/udev/rules.d/xen-backend.rules")
    toolstack.write_text(stale, encoding="ascii")
    run(["python3", "-m", "xsagent.cli.udev_rules", str(toolstack)])
    run(["udevadm", "control", "--reload"])


def steady(ask: Callable[[], _T]) -> _T:
    """The answer of programs of which one may die of the emulation (SIGSEGV at random, on Xen without KVM)."""
    for _ in range(5):
        try:
            return ask()
        except GuestError as error:
            if "exit -11" not in str(error):
                raise
    return ask()


def read(path: str) -> str:
    """A xenstore value; empty when absent."""
    done = subprocess.run(["xenstore-read", path], check=False, capture_output=True, encoding="utf-8", timeout=30)
    return done.stdout.removesuffix("\n") if done.returncode == 0 else ""


def write(path: str, value: str) -> None:
    """Write a xenstore value."""
    steady(lambda: run(["xenstore-write", path, value]))


def write_private(devid: int, **keys: str) -> None:
    """The keys that xenopsd writes for a VIF before it plugs it."""
    known = {"bridge": "br0", "bridge-MAC": "fe:ff:ff:ff:ff:ff", "mac": MACS[devid], "MTU": "1400"}
    known |= {"vif-uuid": VIF_UUIDS[devid], "network-uuid": NETWORK}
    for name, value in (known | {key.replace("_", "-"): value for key, value in keys.items()}).items():
        write(f"/xapi/{VM}/private/vif/{devid}/{name}", value)


def create() -> int:
    """Start the small guest with one vif; returns its domain id."""
    configuration = f"""name = "guest"
type = "pv"
uuid = "{VM}"
memory = 96
vcpus = 1
kernel = "/lab/domu/vmlinux"
ramdisk = "/lab/domu/initrd"
extra = "console=hvc0 quiet nokaslr mitigations=off ip0=10.0.0.2/24 ping=10.0.0.1"
vif = [ "mac={MACS[0]},bridge=br0,script=/bin/true" ]
on_crash = "destroy"
on_reboot = "destroy"
"""
    Path("/run/guest.cfg").write_text(configuration, encoding="ascii")
    run(["xl", "create", "/run/guest.cfg"], timeout_s=300)
    return int(run(["xl", "domid", "guest"]))


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
    return steady(
        lambda: {
            "status": status(domid, devid),
            "online": read(f"/xapi/{VM}/hotplug/{domid}/vif/{devid}/hotplug"),
            "error": read(f"/local/domain/0/backend/vif/{domid}/{devid}/hotplug-error"),
            "bridge": [bridge for bridge, ports in bridges().items() if name in ports],
            "interface": columns("Interface", name, "external_ids", "ofport", "error"),
            "link": link(name),
        }
    )


def gone(name: str) -> bool:
    """Whether a port is on no bridge any more."""
    return all(name not in ports for ports in steady(bridges).values())


def main() -> None:
    """All cases, in the order in which one guest lives through them."""
    report = Report()
    install()
    start_switch()
    run(["ovs-vsctl", "add-br", "br0"])
    run(["ip", "address", "add", "10.0.0.1/24", "dev", "br0"])
    run(["ip", "link", "set", "br0", "up"])
    with report.case("create") as facts:
        write_private(0, locking_mode="locked", ipv4_allowed="10.0.0.2", ipv6_allowed="")
        domid = create()
        wait_connected(domid, 0)
        facts.update(describe(domid, 0))
        facts["flows"] = len(steady(flows))
        facts["guest_pinged"] = wait_for("the guest's ping", lambda: "ping 10.0.0.1 ok" in console(), EVENT_S)
        facts["guest_answers"] = reaches("10.0.0.2")
    with report.case("lock another address") as facts:
        write(f"/xapi/{VM}/private/vif/0/ipv4-allowed", "10.0.0.3")
        run(["python3", "-m", "xsagent.cli.setup_vif_rules", "xenlight", f"vif{domid}.0", VM, "0", "filter"])
        facts["guest_answers"] = reaches("10.0.0.2")
        write(f"/xapi/{VM}/private/vif/0/ipv4-allowed", "10.0.0.2")
        run(["python3", "-m", "xsagent.cli.setup_vif_rules", "xenlight", f"vif{domid}.0", VM, "0", "filter"])
        facts["guest_answers_again"] = reaches("10.0.0.2")
    with report.case("plug") as facts:
        write_private(1)
        run(["lab-vif", "plug", str(domid), "1", MACS[1]], timeout_s=EVENT_S)
        wait_connected(domid, 1)
        facts.update(describe(domid, 1))
    with report.case("unplug") as facts:
        run(["lab-vif", "unplug", str(domid), "1"], timeout_s=EVENT_S)
        wait_for("vif 1 is off its bridge", lambda: gone(f"vif{domid}.1"), EVENT_S)
        key = f"/xapi/{VM}/hotplug/{domid}/vif/1/hotplug"
        wait_for("the hotplug key is gone", lambda: not read(key), EVENT_S)
        facts["others_stay"] = not gone(f"vif{domid}.0")
    with report.case("destroy") as facts:
        run(["xl", "destroy", "guest"])
        wait_for("vif 0 is off its bridge", lambda: gone(f"vif{domid}.0"), EVENT_S)
        key = f"/xapi/{VM}/hotplug/{domid}/vif/0/hotplug"
        wait_for("the hotplug key is gone", lambda: not read(key), EVENT_S)
        wait_for("its flows are gone", lambda: not steady(flows), EVENT_S)
        facts["flows"] = steady(flows)
        facts["second_rule_ran"] = Path("/run/second-rule").exists()


def console() -> str:
    """What the guest printed so far."""
    return Path("/var/log/xen/console/guest-guest.log").read_text(encoding="utf-8", errors="replace")


if __name__ == "__main__":
    main()

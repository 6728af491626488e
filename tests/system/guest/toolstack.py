"""What a dom0 has before our package comes: inventory, the toolstack's scripts and rules, XAPI as a unit. Effects.

XAPI is the sandbox's stand-in, started as XAPI is: after the network, and it says when it is up. `lab-online` looks at
management at the moment when whatever waits for network-online.target may start.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from host_records import HostRecords, static
from records import mac_of
from shell import run

SYSTEM = Path("/etc/systemd/system")
ONLINE = Path("/run/lab-online")
ADDRESS, MASK, GATEWAY = "192.0.2.10", "255.255.255.0", "192.0.2.1"
SCRIPTS = {
    Path("/opt/xensource/libexec/interface-reconfigure"): "#!/bin/sh\n# the toolstack's\nexit 1\n",
    Path("/etc/xensource/scripts/vif"): "#!/bin/sh\n# the toolstack's\nexit 1\n",
    Path("/etc/udev/rules.d/xen-backend.rules"): (
        'SUBSYSTEM=="xen-backend", KERNEL=="vbd*", RUN+="/usr/libexec/xenopsd/block $env{ACTION}"\n'
        'SUBSYSTEM=="xen-backend", KERNEL=="vif*", RUN+="/usr/libexec/xenopsd/vif $env{ACTION} type_if=vif"\n'
    ),
    Path("/etc/sysconfig/openvswitch"): "# an admin's\nVSWITCHD_PRIORITY=5\n",
}
"""Files of others that removal has to give back, or never touch."""
_SETTINGS = Path("/etc/xsagent/xsagent.conf")
_PATIENT = "xapi_deadline_s = 300\novsdb_wait_s = 300\nvswitchd_wait_s = 200\nlock_wait_s = 600\n"
"""What takes a second on a host takes half a minute here."""
_RECORDS = Path("/var/lib/lab-records.json")
_SOCKET = "/var/lib/xcp/xapi"
_PYTHON = "/usr/bin/python3"
_PACKAGES = "Environment=PYTHONPATH=/opt/xsagent/packages"
_UNITS = {
    "xapi.service": f"""[Unit]
After=network.target
[Service]
{_PACKAGES}
ExecStartPre=/bin/rm -f {_SOCKET} {_SOCKET}.control
ExecStart={_PYTHON} -m xsagent.sandbox.xapi_standin --socket {_SOCKET} --records {_RECORDS}
ExecStartPost=/bin/sh -c 'until [ -S {_SOCKET} ]; do sleep 0.2; done; touch /run/xapi_init_complete.cookie'
TimeoutStartSec=300
[Install]
WantedBy=multi-user.target
""",
    "lab-online.service": f"""[Unit]
After=network-online.target
Wants=network-online.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'ip -json -4 address show >{ONLINE}'
[Install]
WantedBy=multi-user.target
""",
    "lab-far.service": f"""[Unit]
Before=ovsdb-server.service
After=systemd-udev-settle.service
Wants=systemd-udev-settle.service
[Service]
Type=oneshot
RemainAfterExit=yes
{_PACKAGES}
ExecStart={_PYTHON} /opt/xsagent/guest/boot.py far
[Install]
WantedBy=multi-user.target
""",
}
_SWITCH = ("openvswitch-switch.service", "ovs-vswitchd.service", "ovsdb-server.service")
"""The distribution's units, which the lab's image masks."""


def make_host() -> None:
    """Files of the host, XAPI and the far end running, both as they start at each boot."""
    records = _records()
    # XAPI knows these classes; one that refused them would be asked again every ten seconds.
    _RECORDS.write_text(json.dumps({"VM": {}, "VIF": {}} | records.as_xapi()), encoding="utf-8")
    (uuid,) = {one["uuid"] for one in records.classes["host"].values()}
    files = SCRIPTS | {
        Path("/etc/xensource-inventory"): f"INSTALLATION_UUID='{uuid}'\nMANAGEMENT_INTERFACE='xenbr0'\n",
        Path("/etc/xensource/network.conf"): "openvswitch\n",
        **{SYSTEM / name: text for name, text in _UNITS.items()},
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    Path(_SOCKET).parent.mkdir(parents=True, exist_ok=True)
    for name in _SWITCH:
        (SYSTEM / name).unlink()
    run(["systemctl", "daemon-reload"])
    run(["systemctl", "enable", "--quiet", *_UNITS])
    run(["systemctl", "start", "lab-far", "xapi"], timeout_s=300)


def _records() -> HostRecords:
    """Management on eth0, eth1 without an address, both attached."""
    records = HostRecords()
    for device, fields in (("eth0", {"management": True, **static(ADDRESS, GATEWAY, MASK)}), ("eth1", {})):
        records.nic(device, currently_attached=True, **fields)["MAC"] = mac_of(device)
    return records


def start_network() -> None:
    """Open vSwitch by the distribution's own units, and the bridges that a boot of the toolstack's left."""
    run(["systemctl", "start", "openvswitch-switch"], timeout_s=300)
    for nic, bridge in (("eth0", "xenbr0"), ("eth1", "xenbr1")):
        run(["ovs-vsctl", "add-br", bridge, "--", "add-port", bridge, nic])
        run(["ip", "link", "set", nic, "up"])
        run(["ip", "link", "set", bridge, "up"])
    run(["ip", "address", "add", f"{ADDRESS}/24", "dev", "xenbr0"])
    run(["ip", "route", "add", "default", "via", GATEWAY])


def be_patient() -> None:
    """An admin's settings, once the package has brought its own."""
    _SETTINGS.write_text(_PATIENT, encoding="utf-8")


def packages(release: str) -> list[str]:
    """Our two packages of profile full; copied first, since rpm maps what it reads."""
    folder = Path("/var/lib/lab-packages")
    if not folder.exists():
        shutil.copytree("/share/packages", folder, ignore=shutil.ignore_patterns("build", "*.src.rpm"))
    return [str(one) for one in sorted(folder.glob(f"xsagent-*{release}.noarch.rpm")) if "hotplug" not in one.name]

"""``xsagent sandbox vif add|remove``: plugs a guest's VIF into a running sandbox, as the toolstack does. Effects.

Called by `cli.sandbox`, in a shell of the sandbox, or from outside with ``--in``: then it runs itself again inside.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from xsagent.errors import CommandError, InputError, UsageError
from xsagent.hotplug.event import MAX_DEVID, MAX_DOMID, parse_device
from xsagent.model.values import parse_mac
from xsagent.model.vif import Layout, VifId
from xsagent.sandbox.guest_vif import GuestVif, default_address
from xsagent.sandbox.namespaces import run_command
from xsagent.sandbox.xenopsd import Xenopsd

_DEADLINE_S = 60.0


def run_vif(arguments: argparse.Namespace) -> int:
    """Do what the parsed arguments ask; the exit status.

    Raises:
        UsageError: there is no such sandbox, or a wrong value.
        CommandError: the hotplug script reported a failure, or nothing in time.
    """
    if arguments.sandbox:
        return _run_inside(arguments.sandbox)
    root = Path(os.environ.get("SANDBOX_ROOT", ""))
    if not os.environ.get("SANDBOX_ROOT") or not (root / "run").is_dir():
        raise UsageError(f"this is not a shell of a sandbox; say which one with --in NAME. {_list_sandboxes()}")

    def run_here(
        argv: list[str], *, check: bool = True, input_text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        return run_command(argv, env=os.environ, timeout=_DEADLINE_S, input_text=input_text, check=check)

    xenopsd = Xenopsd(root, run_here)
    if arguments.vif_verb == "remove":
        vif = xenopsd.find(parse_device(arguments.device)[1])
        if run_here(["ip", "link", "show", "dev", vif.device], check=False).returncode:
            raise InputError(f"there is no {vif.device} in this sandbox; nothing was unplugged")
        xenopsd.unplug(vif)
        return 0
    vif = _build_vif(arguments, xenopsd)
    try:
        xenopsd.plug(vif)
    except CommandError:
        xenopsd.unplug(vif)
        raise
    bridge = run_here(["ovs-vsctl", "port-to-br", vif.device], check=False).stdout.strip()
    print(f"{vif.device} is on {bridge or 'no bridge'}; in its guest: ip netns exec {vif.guest} COMMAND")
    return 0


def _build_vif(arguments: argparse.Namespace, xenopsd: Xenopsd) -> GuestVif:
    try:
        mac = parse_mac(arguments.mac) if arguments.mac else ""
        for text in arguments.locked or ():
            ipaddress.ip_address(text)
    except (InputError, ValueError) as error:
        raise UsageError(f"{error}; nothing was plugged in") from error
    domid = xenopsd.next_domid() if arguments.domid is None else arguments.domid
    if not 1 <= domid <= MAX_DOMID or not 0 <= arguments.devid <= MAX_DEVID:
        raise UsageError(f"--domid is 1 to {MAX_DOMID}, --devid 0 to {MAX_DEVID}; nothing was plugged in")
    ids = VifId(domid, arguments.devid)
    own = [f"{text}/24" for text in arguments.locked or () if ":" not in text]
    return GuestVif(
        id=ids,
        bridge=arguments.bridge,
        mac=mac,
        mtu=arguments.mtu,
        locking="Disabled" if arguments.disabled else "Unlocked" if arguments.locked is None else "Locked",
        allowed=tuple(arguments.locked or ()),
        trunks=_parse_trunks(arguments.trunks),
        layout=Layout(arguments.layout),
        tap=arguments.tap,
        address=[*own, default_address(ids)][0] if arguments.address is None else arguments.address,
    )


def _parse_trunks(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(",") if word)
    except ValueError as error:
        raise UsageError(f"--trunks: {text!r} is not a list of VLAN tags; nothing was plugged in") from error


def _run_inside(name: str) -> int:
    """Run this very command in the sandbox of that name; its exit status."""
    file = Path(tempfile.gettempdir()) / name / "running.json"
    if "/" in name or not file.is_file():
        raise UsageError(f"there is no sandbox {name!r}. {_list_sandboxes()}")
    entry = json.loads(file.read_text(encoding="utf-8"))
    words = [word for word in sys.argv[1:] if not word.startswith("--in=")]
    if "--in" in words:
        del words[words.index("--in") : words.index("--in") + 2]
    return subprocess.call(
        [*entry["enter"], sys.executable, "-m", "xsagent.cli.main", *words], env=entry["environment"]
    )


def _lives(file: Path) -> bool:
    """Whether the sandbox that wrote this is still there: its process, in process ids of its own."""
    try:
        enter = json.loads(file.read_text(encoding="utf-8"))["enter"]
        pid = next(word.removeprefix("--target=") for word in enter if word.startswith("--target="))
        return Path(f"/proc/{pid}/ns/pid").readlink() != Path("/proc/self/ns/pid").readlink()
    except (OSError, ValueError, KeyError, StopIteration):
        return False


def _list_sandboxes() -> str:
    found = Path(tempfile.gettempdir()).glob("xs-*/running.json")
    running = sorted(path.parent.name for path in found if _lives(path))
    return f"Running: {', '.join(running)}" if running else "None is running (xsagent sandbox shell starts one)"

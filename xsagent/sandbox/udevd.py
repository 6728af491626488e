"""A private udevd for a sandbox, which knows our rules and the sandbox's own alone. Effects.

Needs Debian's ``udev`` (systemd-udevd's binary), no systemd. `udevd_service` is the sandbox's Service; it ends in
``python -m xsagent.sandbox.udevd ROOT``, which lays out rules and hook, hides the machine's rules, and execs.
The rules' text is ours, but for the hook's place, which lies below the root prefix like everything else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import xsagent
from xsagent.errors import CommandError
from xsagent.sandbox.spec import Service

DAEMON: Final = "/lib/systemd/systemd-udevd"
RULES: Final = "65-xsagent.rules"
SCRIPTS: Final = "etc/xensource/scripts"
_COMMANDS: Final = ("vif", "vif-real", "setup-vif-rules")
"""Names under which the toolstack calls the hook."""
_RULES_PLACES: Final = ("usr/lib/udev/rules.d", "usr/local/lib/udev/rules.d", "etc/udev/rules.d")


def udevd_service() -> Service:
    """The Service to put into a SandboxSpec; further rules go to ``etc/udev/rules.d`` below the root prefix."""
    return Service(
        name="udevd", argv=(sys.executable, "-m", "xsagent.sandbox.udevd", "{root}"), ready="run/udev/control"
    )


def find_udevd() -> str:
    """Path of the daemon; CommandError when it is not installed."""
    found = DAEMON if Path(DAEMON).exists() else shutil.which("systemd-udevd")
    if found is None:
        raise CommandError("systemd-udevd is not installed (apt: udev); the sandbox has no udevd")
    return found


def find_udev_files() -> tuple[Path, Path]:
    """Our rules and our hook: of the checkout that this module is in, else as they are installed.

    Raises:
        CommandError: neither is there.
    """
    checkout = Path(xsagent.__file__).parents[1] / "udev"
    for rules, hook in (
        (checkout / RULES, checkout / "hotplug-hook"),
        (Path("/usr/lib/udev/rules.d") / RULES, Path("/") / SCRIPTS / "vif"),
    ):
        if rules.is_file() and hook.is_file():
            return rules, hook
    raise CommandError(
        f"{RULES} and the hotplug hook are neither in {checkout} nor installed; the sandbox has no udevd"
    )


def write_udev_files(root: Path) -> None:
    """Write rules and hook below the root prefix; the hook is run by the interpreter that runs this."""
    rules, hook = find_udev_files()
    for place in (*_RULES_PLACES, SCRIPTS):
        (root / place).mkdir(parents=True, exist_ok=True)
    called = f"{root}/{SCRIPTS}/vif --root-prefix={root} "
    text = rules.read_text(encoding="utf-8").replace(f"/{SCRIPTS}/vif ", called)
    (root / _RULES_PLACES[0] / RULES).write_text(text, encoding="utf-8")
    body = hook.read_text(encoding="utf-8").partition("\n")[2]
    for name in _COMMANDS:
        script = root / SCRIPTS / name
        script.write_text(f"#!{sys.executable} -I\n{body}", encoding="utf-8")
        script.chmod(0o755)


def _hide_machine_rules(root: Path) -> None:
    """Mount the sandbox's folders of rules over the machine's, where it has them."""
    for place in _RULES_PLACES:
        target = Path("/") / place
        if target.is_dir() and not target.samefile(root / place):
            subprocess.run(["mount", "--bind", str(root / place), str(target)], check=True)


def main() -> None:
    """``python -m xsagent.sandbox.udevd ROOT``: become the daemon, in the foreground."""
    root = Path(sys.argv[1]).absolute()
    try:
        daemon = find_udevd()
        write_udev_files(root)
        _hide_machine_rules(root)
    except (CommandError, subprocess.CalledProcessError) as error:
        sys.exit(str(error))
    os.execv(daemon, [daemon, "--resolve-names=never"])  # noqa: S606 - this process becomes the daemon


if __name__ == "__main__":
    main()

"""What a start of the commands imports: XAPI starts interface-reconfigure for each PIF, udev the hook for each VIF."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("XenAPI", "pyroute2", "pyudev", "ovs", "structlog", "asyncio", "ssl", "xml", "xmlrpc", "http")

PROGRAM = """
import contextlib, io
from {module} import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    try:
        main({argv!r})
    except SystemExit:
        pass
"""
REPORT = f"\nimport sys\nprint(*(name for name in {HEAVY!r} if name in sys.modules))\n"


def _imported(program: str) -> list[str]:
    """The heavy modules that a child has after it ran a program."""
    command = [sys.executable, "-c", program + REPORT]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["up"], ["--force", "xenbr0", "--pif", "x", "up"]])
def test_interface_reconfigure_answers_without_heavy_libraries(argv: list[str]) -> None:
    """Help, version and usage errors need none of what reads XAPI, the kernel or the switch."""
    assert _imported(PROGRAM.format(module="xsagent.cli.interface_reconfigure", argv=argv)) == []


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["plan", "--help"], ["plan"], ["nonsense"]])
def test_xsagent_answers_without_heavy_libraries(argv: list[str]) -> None:
    """So does `xsagent`."""
    assert _imported(PROGRAM.format(module="xsagent.cli.main", argv=argv)) == []


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["frobnicate"]])
@pytest.mark.parametrize("module", ["xsagent.cli.vif", "xsagent.cli.setup_vif_rules"])
def test_hotplug_commands_answer_without_heavy_libraries(module: str, argv: list[str]) -> None:
    """So do the commands that run for each guest's device."""
    assert _imported(PROGRAM.format(module=module, argv=argv)) == []


NEEDLESS = (
    *HEAVY,
    *("concurrent.futures", "hashlib", "logging", "random", "shutil", "traceback", "uuid"),
    *("xsagent.apply.ethtool", "xsagent.model.snapshot", "xsagent.observed.ovsdb", "xsagent.sources.dbcache"),
)
HANDLER = """
import sys
before = set(sys.modules)
import xsagent.cli.vif, xsagent.config, xsagent.hotplug.handle, xsagent.hotplug.peers, xsagent.log
"""


def test_a_hotplug_event_without_daemon_imports_no_more_than_most_vifs_need() -> None:
    """The handler is started for each, and imports take longer than all else that it does."""
    report = f"\nprint(*(name for name in {NEEDLESS!r} if name in sys.modules and name not in before))\n"
    command = [sys.executable, "-c", HANDLER + report]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.split() == []


CARRIES_OUT = (
    *("pyroute2", "shutil", "structlog", "subprocess"),
    *("xsagent.apply.executor", "xsagent.apply.run_step", "xsagent.carry_out", "xsagent.plan.render"),
    *("xsagent.rescue", "xsagent.sources.boot"),
)
RE_UP = """
import xsagent.cli.reconfigure_run, xsagent.sources.xapi
"""


def test_a_reconfigure_of_what_is_right_imports_nothing_that_changes_a_host() -> None:
    """XAPI brings each PIF up again after each start of its own; imports are two thirds of what that takes."""
    report = f"\nimport sys\nprint(*(name for name in {CARRIES_OUT!r} if name in sys.modules))\n"
    done = subprocess.run(
        [sys.executable, "-c", RE_UP + report], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.split() == []


SLOW = ("dataclasses", "inspect", "pathlib", "tomllib", "traceback", "typing", "getopt", "contextlib", "subprocess")
HANDED_OVER = """
import socket, sys, tempfile, threading
root = tempfile.mkdtemp()
import os
os.makedirs(root + "/run/xsagent")
server = socket.socket(socket.AF_UNIX)
server.bind(root + "/run/xsagent/xsagentd.sock")
server.listen()
if os.fork() == 0:
    peer = server.accept()[0]
    peer.recv(65536)
    peer.sendall(b'{{"version":1,"begun":true}}\\n{{"version":1,"status":7,"stdout":"","stderr":""}}\\n')
    os._exit(0)
for name in [name for name in sys.modules if name.split(".")[0] in {slow!r}]:
    del sys.modules[name]
from xsagent.cli.interface_reconfigure import main
assert main(["--root-prefix=" + root, "--pif-uuid", "x", "up"]) == 7
"""


def test_a_command_that_is_handed_over_imports_next_to_nothing() -> None:
    """XAPI waits for it: no module of ours but three."""
    program = HANDED_OVER.format(slow=SLOW)
    report = f"\nprint(*(name for name in sys.modules if name in {SLOW!r} or name.startswith('xsagent.')))\n"
    command = [sys.executable, "-c", program + report]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.split() == [
        "xsagent.cli",
        "xsagent.cli.ask_daemon",
        "xsagent.cli.edge",
        "xsagent.cli.interface_reconfigure",
    ]


WENT_WELL = HANDED_OVER.replace(',"status":7,', ',"status":0,').replace("== 7", "== 0")
SLOW_OF_PYTHONS_OWN = ("json", "socket", "selectors", "re")


def test_a_handed_over_command_that_went_well_loads_no_slow_module_of_pythons_own() -> None:
    """Importing json and socket takes longer than the interpreter's own start, and nothing here needs an escape."""
    program = WENT_WELL.format(slow=SLOW_OF_PYTHONS_OWN)
    report = f"\nprint(*(name for name in {SLOW_OF_PYTHONS_OWN!r} if name in sys.modules))\n"
    done = subprocess.run(
        [sys.executable, "-c", program + report], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.split() == []


def test_the_check_sees_a_heavy_library() -> None:
    """The check itself is shown to fail."""
    assert "structlog" in _imported("import structlog")


LATE = """
import ast, pathlib, sys
from xsagent.cli import rehearsal, xsagentd
from xsagent.daemon import loop
from xsagent.sources.xapi_memory import XapiMemory
xsagentd._load_commands(XapiMemory())
loaded = {name: module.__file__ for name, module in sys.modules.items() if name.startswith("xsagent")}
for file in filter(None, loaded.values()):
    for node in ast.walk(ast.parse(pathlib.Path(file).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("xsagent.") and node.module not in loaded:
            print(node.module)
"""


def test_xsagentd_holds_every_module_of_ours_before_its_first_request() -> None:
    """One that a function imports later may be of another version: the package was upgraded meanwhile."""
    command = [sys.executable, "-c", LATE]

    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.split() == []

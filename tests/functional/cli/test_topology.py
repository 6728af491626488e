"""`xsagent topology` on a running host, and from what `xsagent show --json` wrote there."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from xsagent.sandbox.dom0 import Sandbox


def _xsagent(sandbox: Sandbox, *words: str) -> str:
    verb, *rest = words
    return sandbox.run(["xsagent", verb, f"--root-prefix={sandbox.root}", *rest]).stdout


def _up(sandbox: Sandbox) -> None:
    sandbox.run(["interface-reconfigure", f"--root-prefix={sandbox.root}", "--no-syslog", "--force", "xenbr0", "up"])


def test_the_picture_is_what_kernel_and_switch_say(sandbox: Sandbox) -> None:
    """Bridge, NIC, VLAN and guest with their state; a cable that is pulled is broken on the next look."""
    _up(sandbox)
    sandbox.run(["ovs-vsctl", "add-br", "xapi50", "xenbr0", "50"])
    sandbox.add_guest("guest", "xenbr0")

    before = _xsagent(sandbox, "topology").splitlines()
    sandbox.far().set_carrier("eth0", up=False)
    after = _xsagent(sandbox, "topology").splitlines()

    assert before[0].startswith("bridge xenbr0 [ok] management 192.0.2.")
    assert "  wire     eth0 [ok]" in before
    assert "  vifs     vif1.0 [ok]" in before
    assert "  vlans    50 xapi50 [ok, foreign]" in before
    assert "  NIC eth1 [idle, unused, down]" in before
    assert "  wire     eth0 [BROKEN, no carrier]" in after
    assert after[0].startswith("bridge xenbr0 [BROKEN, no way to the wire]")


@pytest.mark.parametrize("form", ["text", "json", "dot", "svg"])
def test_the_file_that_show_writes_gives_the_same_picture(sandbox: Sandbox, tmp_path: Path, form: str) -> None:
    """But for what only the host's own files say: which interface is management, and what others' ports are."""
    sandbox.build_bridge("xenbr0", "eth0", address="192.0.2.10/24")
    observed = tmp_path / "host.json"
    observed.write_text(_xsagent(sandbox, "show", "--json"))
    for name in ("etc/xensource-inventory", "var/xapi/network.dbcache"):
        (sandbox.root / name).unlink()

    on_host = _xsagent(sandbox, "topology", f"--format={form}")
    elsewhere = _xsagent(sandbox, "topology", f"--format={form}", f"--observed={observed}")

    assert on_host == elsewhere
    assert "xenbr0" in on_host
    if form == "svg":
        assert ET.fromstring(on_host).tag.endswith("svg")  # noqa: S314 - of our own making


def test_without_open_vswitch_the_rest_is_drawn(sandbox: Sandbox) -> None:
    """And the picture says that it is not whole."""
    sandbox.ovsdb_server.stop()

    lines = _xsagent(sandbox, "topology").splitlines()

    assert lines[0] == "! incomplete: ovsdb-server does not answer, so bridges and ports are not known"
    assert "  NIC eth0 [idle, unused, down]" in lines


def test_a_file_of_something_else_is_refused_in_one_sentence(sandbox: Sandbox, tmp_path: Path) -> None:
    """Exit 1, and the file is named."""
    path = tmp_path / "host.json"
    path.write_text("[]")

    done = sandbox.run(["xsagent", "topology", f"--observed={path}"], check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert str(path) in done.stderr
    assert len(done.stderr.splitlines()) == 1

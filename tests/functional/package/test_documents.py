"""The documents' commands, run as they stand: on a host with the packages, in a sandbox, in a clone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from host_state import succeed
from package_root import PROJECT, Built, PackageRoot

from xsagent.sandbox.namespaces import search_path

pytestmark = pytest.mark.timeout(900)  # the first test builds the packages

DOCUMENTS = ("README.md", "INSTALL.md", "UNREACHABLE.md", "TROUBLESHOOTING.md", "CONTRIBUTING.md")
ELSEWHERE = {"README.md": 1, "CONTRIBUTING.md": 1}
"""Blocks without a place to run: `make demo` and `make test`, which have tests of their own or are this very run."""
IN_PROSE = {
    "make test PYTEST_ARGS='tests/unit/plan -x'": "this very run, but for what it chooses",
    "make test-system": "virtual machines, a tier of its own",
    "make install DESTDIR=/somewhere": "the packages of these tests were filled by it",
    "systemctl start xsagentd": "tests/system/test_boot.py, under systemd",
    "journalctl -t interface-reconfigure -t xsagentd": "tests/system/test_boot.py, under systemd",
    "xsagent sandbox shell": "tests/functional/sandbox/test_inside.py",
    "xsagent sandbox vif add": "tests/functional/sandbox/test_guests.py",
    "xe pif-list": "XAPI's own, and nobody's stand-in",
    "xe pif-reconfigure-ip": "XAPI's own, and nobody's stand-in",
    "xsagent firewall": "tests/functional/firewall",
    "xsagent network": "tests/functional/reconfigure/test_internal_network.py",
    "xsagent network create": "tests/functional/reconfigure/test_internal_network.py",
    "xsagent topology --format svg": "tests/functional/cli/test_topology.py",
}
"""Commands that stand in a sentence and in no block, with where they are run."""
_PROGRAMS = r"(?:xsagent|xsagent-setup|interface-reconfigure|systemctl|journalctl|rpm|make|xe|ovs-vsctl|ip)"
_PROSE = re.compile(rf"`({_PROGRAMS} [^`]+)`")
_MANUAL = re.compile(r"^\.Dl (.*)$", re.MULTILINE)
_BLOCK = re.compile(r"^```sh *(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """Commands of a document, and where they are to be run."""

    place: str
    text: str


def blocks(document: str) -> list[Block]:
    """Every block of shell commands."""
    text = (PROJECT / document).read_text("utf-8")
    return [Block(place, commands) for place, commands in _BLOCK.findall(text)]


def on_host(document: str) -> str:
    """All blocks for a host, as one script that stops at the first failure and names each command."""
    return "".join(block.text for block in blocks(document) if block.place == "host")


def run_on_host(host: PackageRoot, script: str) -> str:
    """Run a script in /root of the host; its output, once it has succeeded."""
    host.put("etc/xsagent/xsagent.conf", 'datapath_type = "netdev"\nxapi_deadline_s = 3\n')
    done = host.inside("sh", "-euxc", f"cd /root; {script}", check=False, HOME="/root")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def ready(host: PackageRoot, packages: Built) -> PackageRoot:
    """A host with rpm's own settings and our packages in /root, management up."""
    (host.root / "root").mkdir(exist_ok=True)
    host.put("root/.rpmmacros", "%_dbpath /var/lib/rpm\n")
    for path in packages.folder.glob("xsagent*.noarch.rpm"):
        shutil.copy(path, host.root / "root")
    succeed(host.sandbox, "--force", "xenbr0", "up")
    return host


@pytest.fixture
def installed(ready: PackageRoot, packages: Built) -> PackageRoot:
    """With profile full installed."""
    ready.rpm("-i", packages["xsagent-0.1.0-1"], packages["xsagent-full-0.1.0-1"])
    return ready


def test_every_block_says_where_its_commands_run() -> None:
    """So that none is forgotten by the tests below."""
    for document in DOCUMENTS:
        places = [block.place for block in blocks(document)]
        assert places.count("") == ELSEWHERE.get(document, 0), document
        assert set(places) <= {"", "host", "sandbox", "build"}


def test_no_command_in_a_sentence_escapes() -> None:
    """It is the beginning of one in a block, or it stands here with where it is run."""
    texts = [(PROJECT / document).read_text("utf-8") for document in DOCUMENTS]
    blocked = "".join(block.text for document in DOCUMENTS for block in blocks(document))
    named = {command for text in texts for command in _PROSE.findall(_BLOCK.sub("", text))}

    assert {command for command in named if command not in blocked} <= IN_PROSE.keys()
    assert IN_PROSE.keys() <= named


def test_installing_upgrading_and_removing_as_documented(ready: PackageRoot) -> None:
    """INSTALL.md from its first block to its last; at its end the package is there again."""
    shown = run_on_host(ready, on_host("INSTALL.md"))

    assert "profile: full" in shown
    assert ready.rpm("-q", "--queryformat", "%{RELEASE}", "xsagent").stdout == "1"


def test_an_unreachable_host_is_brought_back_as_documented(installed: PackageRoot) -> None:
    """UNREACHABLE.md on a host whose XAPI is dead, whose management bridge is gone."""
    assert installed.xapi is not None
    installed.xapi.stop()
    installed.sandbox.run(["ovs-vsctl", "del-br", "xenbr0"])
    assert installed.sandbox.run(["ping", "-c", "1", "-W", "1", "192.0.2.1"], check=False).returncode != 0

    run_on_host(installed, on_host("UNREACHABLE.md"))

    assert "192.0.2.10/24" in installed.sandbox.run(["ip", "-4", "address", "show", "dev", "xenbr0"]).stdout
    installed.sandbox.run(["ping", "-c", "2", "-W", "2", "192.0.2.1"])


def test_troubleshooting_as_documented(installed: PackageRoot) -> None:
    """TROUBLESHOOTING.md on a host that is well."""
    run_on_host(installed, on_host("TROUBLESHOOTING.md"))

    assert "<svg" in (installed.root / "root/host.svg").read_text()


def test_the_manual_pages_examples_as_printed(installed: PackageRoot) -> None:
    """On a host that is well: by the cache, from two files, and to DHCP."""
    pages = sorted((PROJECT / "xsagent/share/man").glob("*.[58]"))
    examples = [line for page in pages for line in _MANUAL.findall(page.read_text("utf-8"))]
    files = "xsagent show --json >host.json; cp /var/xapi/network.dbcache .; "

    run_on_host(installed, files + "\n".join(examples))

    assert len(examples) >= 4
    assert "192.0.2.10/" not in installed.sandbox.run(["ip", "-4", "address", "show", "dev", "xenbr0"]).stdout


def test_the_doctors_mends_as_they_stand(installed: PackageRoot) -> None:
    """Typed into a shell of the host, whose cache is broken and whose management has lost its address."""
    installed.put("etc/xsagent/xsagent.conf", 'datapath_type = "netdev"\n')
    installed.put("var/xapi/network.dbcache", "rubbish")
    installed.sandbox.run(["ip", "address", "flush", "dev", "xenbr0", "scope", "global"])
    told = json.loads(installed.inside("xsagent", "doctor", "--json", check=False).stdout)["findings"]
    mends = [one for finding in told for one in finding["mend"] if one.startswith("interface-reconfigure")]
    assert len(mends) >= 2, told

    for mend in mends:
        installed.inside("sh", "-euc", mend)

    kinds = {
        finding["id"]
        for finding in json.loads(installed.inside("xsagent", "doctor", "--json", check=False).stdout)["findings"]
    }
    assert not kinds & {"cache-unreadable", "drift"}


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if any(b.place == "sandbox" for b in blocks(name))])
def test_commands_for_the_sandbox_work_as_documented(document: str, tmp_path: Path) -> None:
    """Each by itself, as whoever tries them types them."""
    script = "".join(block.text for block in blocks(document) if block.place == "sandbox")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{search_path()}", "KEEP_SANDBOX": ""}
    done = subprocess.run(
        ["sh", "-euxc", script], check=False, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=200
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.usefixtures("packages")
def test_the_build_is_the_documented_one() -> None:
    """The packages of these tests were made by this command, but for where they lie."""
    commands = [line for block in blocks("INSTALL.md") if block.place == "build" for line in block.text.splitlines()]

    assert commands[0] == "make rpm RPM_OPTIONS='--without check'"

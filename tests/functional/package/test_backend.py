"""xe-switch-network-backend and xe-get-network-backend, asked as an admin asks them; XAPI is the stand-in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from host_records import HostRecords, Record, static

from xsagent.sandbox.root_prefix import record_ref, record_uuid
from xsagent.sandbox.xapi_standin import XapiStandin

BIN = Path(sys.executable).parent
CONF = "etc/xensource/network.conf"
BLACKLIST = "etc/modprobe.d/blacklist-bridge.conf"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host that is on the kernel's bridge, without XAPI."""
    for name, text in {
        CONF: "bridge\n",
        "etc/xensource-inventory": f"INSTALLATION_UUID='{record_uuid('host')}'\n",
        "etc/xsagent/xsagent.conf": "xapi_deadline_s = 3\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def call(root: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one of the two."""
    command = [str(BIN / f"xe-{program}-network-backend"), f"--root-prefix={root}", *words]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def files(root: Path) -> dict[str, str]:
    """What is below etc."""
    return {str(path.relative_to(root)): path.read_text() for path in (root / "etc").rglob("*") if path.is_file()}


def pool(**classes: Any) -> dict[str, dict[str, Record]]:
    """The records of this host's pool, with more of some classes."""
    records = HostRecords()
    records.nic("eth0", management=True, **static("192.0.2.10"))
    found = records.as_xapi()
    for kind, more in classes.items():
        found.setdefault(kind, {}).update(more)
    return found


@pytest.fixture
def xapi(root: Path) -> Iterator[Any]:
    """Starts XAPI with records."""
    running: list[XapiStandin] = []

    def start(records: dict[str, dict[str, Record]]) -> None:
        (root / "var/lib/xcp").mkdir(parents=True)
        running.append(XapiStandin(records, root / "var/lib/xcp/xapi"))
        running[0].start()

    yield start
    for one in running:
        one.stop()


_ON_A_FULL_DISK = """\
mount -t tmpfs -o size=4k disk "$1/etc/xensource"
echo bridge >"$1/etc/xensource/network.conf"
"$2" --root-prefix="$1" openvswitch || code=$?
cat "$1/etc/xensource/network.conf"
ls -A "$1/etc/xensource"
exit "$code"
"""


def test_a_full_disk_leaves_the_backend_as_it_was(root: Path) -> None:
    """network.conf, which is what counts, is whole and the old one; nothing lies beside it."""
    words = ["sh", "-ec", _ON_A_FULL_DISK, "sh", str(root), str(BIN / "xe-switch-network-backend")]
    done = subprocess.run(["unshare", "-Urm", *words], check=False, capture_output=True, text=True)

    assert (done.returncode, done.stdout.splitlines()[-2:]) == (1, ["bridge", "network.conf"])
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize("word", ["openvswitch", "vswitch"])
@pytest.mark.parametrize("text", ["openvswitch\n", "vswitch\n", "  openvswitch # ours\n"])
def test_open_vswitch_where_it_is_already_changes_nothing(root: Path, word: str, text: str) -> None:
    """Idempotent, by either name, whatever the spelling in the file."""
    (root / CONF).write_text(text)
    before = files(root)

    done = call(root, "switch", word)

    assert (done.returncode, done.stdout, done.stderr) == (0, "the backend is openvswitch already\n", "")
    assert files(root) == before


def test_bridge_is_refused_with_the_reason(root: Path) -> None:
    """Exit 1, one sentence, nothing written; --dry-run too."""
    (root / CONF).write_text("openvswitch\n")
    before = files(root)

    for words in (("bridge",), ("--dry-run", "bridge")):
        done = call(root, "switch", *words)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
        assert "xsagent drives Open vSwitch alone" in done.stderr
    assert files(root) == before


@pytest.mark.parametrize("words", [(), ("openvswitch", "bridge"), ("Openvswitch",), ("open vswitch; rm",), ("",)])
def test_anything_but_one_good_word_is_a_message_and_exit_1(root: Path, words: tuple[str, ...]) -> None:
    """As the peers' tool answers."""
    before = files(root)

    done = call(root, "switch", *words)

    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert files(root) == before


def test_a_switch_writes_the_two_files_and_says_that_a_reboot_is_needed(root: Path) -> None:
    """`vswitch` is stored by its first name; the bridge module is kept out; a second run does nothing."""
    done = call(root, "switch", "vswitch")

    assert done.returncode == 0
    assert "must be rebooted" in done.stderr
    assert (files(root)[CONF], files(root)[BLACKLIST]) == ("openvswitch\n", "install bridge /bin/true\n")
    assert call(root, "switch", "vswitch").stdout == "the backend is openvswitch already\n"
    assert call(root, "get").stdout == "openvswitch\n"


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(root: Path) -> None:
    """Both files are named."""
    before = files(root)

    done = call(root, "switch", "--dry-run", "openvswitch")

    assert (done.returncode, done.stderr) == (0, "")
    assert CONF in done.stdout
    assert BLACKLIST in done.stdout
    assert files(root) == before


def vm(name: str, *, domain0: bool = False) -> dict[str, Record]:
    """A VM that runs on this host."""
    record = {
        "uuid": record_uuid(f"vm {name}"),
        "name_label": name,
        "resident_on": record_ref("host"),
        "is_control_domain": domain0,
        "power_state": "Running",
    }
    return {record_ref(f"vm {name}"): record}


def test_a_host_with_guests_sriov_or_other_pool_members_on_bridge_is_refused(root: Path, xapi: Any) -> None:
    """Each reason is named; the control domain is no guest."""
    records = pool(VM=vm("web") | vm("Control domain", domain0=True), host={})
    mate = dict(records["host"][record_ref("host")], uuid=record_uuid("mate"), hostname="mate")
    records["host"][record_ref("mate")] = mate | {"software_version": {"network_backend": "bridge"}}
    records["PIF"][record_ref("pif eth0")]["sriov_logical_PIF_of"] = ["OpaqueRef:sriov"]
    xapi(records)
    before = files(root)

    done = call(root, "switch", "openvswitch")

    assert (done.returncode, done.stdout) == (1, "")
    assert "1 guests run here (web)" in done.stderr
    assert "SR-IOV is in use on eth0" in done.stderr
    assert "mate: bridge" in done.stderr
    assert files(root) == before


def test_a_host_that_nothing_stands_against_is_switched(root: Path, xapi: Any) -> None:
    """XAPI knows of no guest but the control domain."""
    xapi(pool(VM=vm("Control domain", domain0=True)))

    done = call(root, "switch", "openvswitch")

    assert (done.returncode, files(root)[CONF]) == (0, "openvswitch\n"), done.stderr


def test_an_xapi_that_does_not_answer_is_no_consent(root: Path) -> None:
    """Its socket is there: the host has guests, for all that one can know."""
    (root / "var/lib/xcp").mkdir(parents=True)
    (root / "var/lib/xcp/xapi").touch()

    done = call(root, "switch", "openvswitch")

    assert done.returncode == 1
    assert "whether the backend may be switched cannot be known" in done.stderr
    assert files(root)[CONF] == "bridge\n"


def test_a_host_without_the_file_has_no_backend_to_tell(root: Path) -> None:
    """One sentence and exit 1."""
    (root / CONF).unlink()

    done = call(root, "get")

    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)

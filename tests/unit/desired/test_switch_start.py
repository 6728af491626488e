"""Words that start Open vSwitch's daemons."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from xsagent.desired.switch_start import build_ctl_command, build_daemon_command, build_identity
from xsagent.model.host import Inventory
from xsagent.model.switch_start import SwitchFiles, SwitchIdentity, SwitchOptions

UUID = "285d7fb3-51d9-5387-aec8-f157fd77bf15"
FILES = SwitchFiles(
    ctl=PurePath("/s/ovs-ctl"),
    database=PurePath("/e/conf.db"),
    schema=PurePath("/s/vswitch.ovsschema"),
    rundir=PurePath("/r"),
    logdir=PurePath("/l"),
    core_dir=PurePath("/c"),
)
IDENTITY = SwitchIdentity(system_id=UUID, system_type="XCP-ng", system_version="9.0.0-12")


def test_the_identity_is_the_inventorys() -> None:
    """Version and build are one word, as the original start script made it."""
    inventory = Inventory(installation_uuid=UUID, product_brand="XCP-ng", product_version="9.0.0", build_number="12")

    assert build_identity(inventory, "host0") == SwitchIdentity(
        system_id=UUID, system_type="XCP-ng", system_version="9.0.0-12", hostname="host0"
    )
    assert build_identity(Inventory(product_version="9.0.0"), "").system_version == "9.0.0"


@pytest.mark.parametrize("brand", ['a"b', "a\nb", "$(x)", "x" * 65, "é"])
def test_a_brand_that_is_no_plain_word_is_left_out(brand: str) -> None:
    """It would end between quotes of ovs-ctl's."""
    assert build_identity(Inventory(product_brand=brand), "").system_type == ""


def test_ovs_ctl_gets_ids_files_and_options() -> None:
    """Options of the file come last, so they win; the command is the last word."""
    options = SwitchOptions(mlockall=False, force_corefiles=False, vswitchd_priority=3, ctl_options=("--mlockall",))

    words = build_ctl_command("start", "ovs-vswitchd", FILES, options, IDENTITY, monitor=False)

    assert words[:2] == ["/s/ovs-ctl", "--no-ovsdb-server"]
    assert words[-2:] == ["--mlockall", "start"]
    wanted = {
        f"--system-id={UUID}",
        f"--external-id=xs-system-uuid={UUID}",
        "--system-type=XCP-ng",
        "--system-version=9.0.0-12",
        "--db-file=/e/conf.db",
        "--daemon-cwd=/c",
        "--no-mlockall",
        "--no-force-corefiles",
        "--ovs-vswitchd-priority=3",
        "--no-monitor",
        "--no-record-hostname",
    }
    assert wanted <= set(words)
    assert not any("delete-bridges" in word for word in words)


def test_a_host_without_a_uuid_keeps_an_id_of_its_own() -> None:
    """ovs-ctl insists on one."""
    words = build_ctl_command("start", "ovsdb-server", FILES, SwitchOptions(), SwitchIdentity())

    assert "--system-id=random" in words
    assert not any(word.startswith(("--external-id", "--system-type", "--system-version")) for word in words)


@pytest.mark.parametrize(("daemon", "only"), [("ovsdb-server", "--no-ovs-vswitchd"), (None, "stop")])
def test_stop_needs_no_ids(daemon: str | None, only: str) -> None:
    """Of one daemon or of both."""
    words = build_ctl_command("stop", daemon, FILES, SwitchOptions(), IDENTITY)  # type: ignore[arg-type] # parametrised text

    assert words[1] == only
    assert words[-1] == "stop"


def test_a_daemon_by_itself_gets_the_same_files() -> None:
    """Through nice, with the directory for its core files, detached and watched by itself."""
    words = build_daemon_command("ovsdb-server", FILES, SwitchOptions())

    assert words[:6] == ["env", "--chdir=/c", "nice", "-n", "-10", "ovsdb-server"]
    assert {"/e/conf.db", "--remote=punix:/r/db.sock", "--pidfile=/r/ovsdb-server.pid", "--monitor"} <= set(words)
    assert "--bootstrap-ca-cert=db:Open_vSwitch,SSL,ca_cert" in words


def test_the_switch_by_itself_is_kept_in_memory() -> None:
    """Unless told otherwise; not watched by itself where systemd does it."""
    words = build_daemon_command("ovs-vswitchd", FILES, SwitchOptions(), monitor=False)

    assert {"unix:/r/db.sock", "--mlockall", "--log-file=/l/ovs-vswitchd.log", "--detach"} <= set(words)
    assert "--monitor" not in words
    assert "--mlockall" not in build_daemon_command("ovs-vswitchd", FILES, SwitchOptions(mlockall=False))

"""resolv.conf that is an absolute symlink, as of a resolver service: it counts below the root prefix."""

from __future__ import annotations

from host_records import HostRecords, static
from host_state import settle, spec_for, succeed, transactions, watched

from xsagent.sandbox.dom0 import Sandbox

UP = ("--force", "xenbr0", "up")


def test_name_servers_behind_an_absolute_symlink_are_seen_by_a_second_run() -> None:
    """Looked up outside the prefix they would be missing for ever, and every run would write them again."""
    records = HostRecords()
    records.nic("eth0", management=True, **static("192.0.2.10", dns="192.0.2.2"))
    with Sandbox(spec_for(records)) as sandbox:
        link, target = sandbox.root / "etc/resolv.conf", sandbox.root / "var/resolver/resolv.conf"
        target.parent.mkdir()
        target.write_text("")
        link.unlink(missing_ok=True)
        link.symlink_to("/var/resolver/resolv.conf")
        succeed(sandbox, *UP)
        assert "nameserver 192.0.2.2" in target.read_text()
        assert link.is_symlink()
        settle(sandbox)
        before, written = transactions(sandbox), target.stat().st_mtime_ns

        with watched(sandbox) as changes:
            succeed(sandbox, *UP)

        assert (transactions(sandbox), target.stat().st_mtime_ns, changes) == (before, written, [])

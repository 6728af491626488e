"""resolv.conf on a file system: what is written, what is kept, what is not touched at all."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from xsagent.apply.resolver import apply_resolver, drop_forgotten, forget_source, merge_leases
from xsagent.config import Paths
from xsagent.errors import LockHeldError
from xsagent.observed.lease_results import LeaseResult, learnt_path, render_lease_result
from xsagent.observed.resolver import read_resolver
from xsagent.topology.values import Resolver

STATIC = Resolver(servers=("192.0.2.1", "2001:db8::1"), search=("lab.example",))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A root prefix with an administrator's resolv.conf."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "run/xsagent").mkdir(parents=True)
    (tmp_path / "etc/resolv.conf").write_text("options rotate\nnameserver 192.0.2.99\n", encoding="utf-8")
    (tmp_path / "etc/resolv.conf").chmod(0o640)
    return Paths(tmp_path)


def lease(paths: Paths, name: str, *servers: str, search: tuple[str, ...] = ()) -> None:
    """What a client's hook left behind."""
    result = LeaseResult(interface=None, resolver=Resolver(servers=servers, search=search))
    (paths.run_dir / f"{name}.json").write_text(render_lease_result(result), encoding="utf-8")


def test_a_file_keeps_its_mode_and_foreign_lines(paths: Paths) -> None:
    """Servers are exchanged in place; nothing else changes."""
    assert apply_resolver(STATIC, paths) is True

    assert paths.resolv_conf.read_text(encoding="utf-8") == (
        "options rotate\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch lab.example\n"
    )
    assert paths.resolv_conf.stat().st_mode & 0o777 == 0o640
    assert read_resolver(paths.resolv_conf, paths.root) == STATIC


def test_an_equal_list_is_not_written_again(paths: Paths) -> None:
    """The same file, not only the same text."""
    apply_resolver(STATIC, paths)
    before = paths.resolv_conf.stat()

    assert apply_resolver(STATIC, paths) is False
    assert merge_leases(paths) is False
    assert (paths.resolv_conf.stat().st_ino, paths.resolv_conf.stat().st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )


@pytest.mark.parametrize("target", ["/run/other/resolv.conf", "../run/other/resolv.conf"])
def test_a_symlink_stays_one_and_counts_below_the_root(paths: Paths, target: str) -> None:
    """What it points to is replaced, wherever the link leads on the machine itself."""
    real = paths.below("/run/other/resolv.conf")
    real.parent.mkdir()
    paths.resolv_conf.rename(real)
    paths.resolv_conf.symlink_to(target)

    apply_resolver(STATIC, paths)

    assert paths.resolv_conf.is_symlink()
    assert "nameserver 192.0.2.1\n" in real.read_text(encoding="utf-8")
    assert read_resolver(paths.resolv_conf, paths.root) == STATIC


def test_a_missing_file_is_made(paths: Paths) -> None:
    """Readable for all."""
    paths.resolv_conf.unlink()

    apply_resolver(STATIC, paths)

    assert read_resolver(paths.resolv_conf) == STATIC
    assert paths.resolv_conf.stat().st_mode & 0o777 == 0o644


def test_a_working_list_is_never_emptied(paths: Paths) -> None:
    """No static server, no lease: what works stays (pains.md 7)."""
    assert apply_resolver(Resolver(), paths) is False
    assert merge_leases(paths) is False
    assert read_resolver(paths.resolv_conf).servers == ("192.0.2.99",)


def test_a_lease_takes_its_family_and_leaves_the_other(paths: Paths) -> None:
    """IPv4 by DHCP, IPv6 static; a later lease takes the place of the former."""
    apply_resolver(Resolver(servers=("2001:db8::1", "192.0.2.99")), paths)
    lease(paths, "dhclient-xenbr0", "192.0.2.5", search=("one.example",))
    merge_leases(paths)
    first = read_resolver(paths.resolv_conf)
    lease(paths, "dhclient-xenbr0", "192.0.2.6", search=("two.example",))
    merge_leases(paths)

    assert first == Resolver(servers=("2001:db8::1", "192.0.2.5"), search=("one.example",))
    assert read_resolver(paths.resolv_conf) == Resolver(servers=("2001:db8::1", "192.0.2.6"), search=("two.example",))


def test_an_administrators_search_domains_are_no_leases(paths: Paths) -> None:
    """Though static servers came without any; only domains that a lease brought give way to those of the next."""
    paths.resolv_conf.write_text("search mine.example\nnameserver 192.0.2.99\n", encoding="utf-8")
    apply_resolver(Resolver(servers=("192.0.2.1",)), paths)
    lease(paths, "dhclient6-xenbr0", "2001:db8::5", search=("lease.example",))
    merge_leases(paths)
    apply_resolver(Resolver(servers=("192.0.2.2",)), paths)

    assert read_resolver(paths.resolv_conf).search == ("mine.example",)


def test_routers_servers_are_the_last_resort(paths: Paths) -> None:
    """Hidden by a lease of their family, used without one."""
    routers = LeaseResult(interface=None, resolver=Resolver(servers=("2001:db8::9",)))
    learnt_path(paths.run_dir, "xenbr0").write_text(render_lease_result(routers), encoding="utf-8")
    merge_leases(paths)
    alone = read_resolver(paths.resolv_conf).servers
    lease(paths, "dhclient6-xenbr0", "2001:db8::5")
    merge_leases(paths)

    assert alone == ("192.0.2.99", "2001:db8::9")
    assert read_resolver(paths.resolv_conf).servers == ("192.0.2.99", "2001:db8::5")


def test_what_a_forgotten_source_named_goes_where_another_has_its_family_or_the_record_knows_better(
    paths: Paths,
) -> None:
    """A stopped client's servers and search domains, and those of routers that nobody listens to; once."""
    paths.resolv_conf.write_text("nameserver 192.0.2.99\n", encoding="utf-8")
    lease(paths, "dhclient-xenbr0", "192.0.2.5", search=("one.example",))
    lease(paths, "rdnss-xenbr0", "2001:db8::9", "fe80::9%xenbr0")
    merge_leases(paths)
    assert read_resolver(paths.resolv_conf).servers == ("192.0.2.5", "2001:db8::9", "fe80::9%xenbr0")

    forget_source(learnt_path(paths.run_dir, "xenbr0"))
    assert drop_forgotten(None, paths) is True
    assert read_resolver(paths.resolv_conf) == Resolver(servers=("192.0.2.5",), search=("one.example",))

    forget_source(paths.run_dir / "dhclient-xenbr0.json")
    assert drop_forgotten(Resolver(servers=("192.0.2.5",)), paths) is True
    assert read_resolver(paths.resolv_conf) == Resolver(servers=("192.0.2.5",))

    paths.resolv_conf.write_text("nameserver 192.0.2.5\nsearch one.example\n", encoding="utf-8")
    assert drop_forgotten(None, paths) is False
    assert read_resolver(paths.resolv_conf).search == ("one.example",)


def test_a_forgotten_source_leaves_a_list_that_nothing_replaces(paths: Paths) -> None:
    """It worked (pains.md 7); an administrator's search domains are nobody's lease."""
    paths.resolv_conf.write_text("search mine.example\nnameserver 192.0.2.5\n", encoding="utf-8")
    lease(paths, "dhclient-xenbr0", "192.0.2.5", search=("one.example",))

    forget_source(paths.run_dir / "dhclient-xenbr0.json")

    assert drop_forgotten(None, paths) is False
    assert read_resolver(paths.resolv_conf) == Resolver(servers=("192.0.2.5",), search=("mine.example",))


def test_a_damaged_result_is_no_lease(paths: Paths) -> None:
    """Half a file, another form: as if it were not there."""
    for number, text in enumerate(('{"inter', "[]", '{"interface": "x"}', "null")):
        (paths.run_dir / f"dhclient-eth{number}.json").write_text(text, encoding="utf-8")

    assert merge_leases(paths) is False


def test_a_process_that_hangs_with_the_lock_keeps_nobody_for_ever(paths: Paths) -> None:
    """Everything has a deadline (DESIGN.md rule 8); the file is as it was, and the next who asks gets the lock."""
    before = paths.resolv_conf.read_bytes()
    with (paths.run_dir / "resolver.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LockHeldError, match="/resolver"):
            apply_resolver(STATIC, paths)
    assert paths.resolv_conf.read_bytes() == before

    assert apply_resolver(STATIC, paths) is True

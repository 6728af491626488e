"""apply/rolled_back.py: what was taken back is remembered for each PIF until that very configuration worked."""

from __future__ import annotations

from pathlib import Path

import pytest

from xsagent.apply.rolled_back import forget_rolled_back, read_rolled_back, remember_rolled_back
from xsagent.config import Paths
from xsagent.model.keep_out import PifConfiguration
from xsagent.model.records import Pif, Ref


def configuration(ip: str, uuid: str = "u1") -> PifConfiguration:
    """A PIF with this address."""
    return PifConfiguration(pif=Pif(ref=Ref("OpaqueRef:1"), uuid=uuid, device="eth0", network=None, ip=ip))


def test_what_was_remembered_is_read_back_equal(tmp_path: Path) -> None:
    """Equality decides whether it stays out of the cache."""
    paths = Paths(tmp_path)

    remember_rolled_back(paths, configuration("192.0.2.1"))
    remember_rolled_back(paths, configuration("192.0.2.2"))
    remember_rolled_back(paths, configuration("192.0.2.2"))

    assert read_rolled_back(paths) == {"u1": (configuration("192.0.2.1"), configuration("192.0.2.2"))}


def test_success_forgets_the_configuration_that_worked_and_no_other(tmp_path: Path) -> None:
    """An old configuration applied again at boot proves nothing of the one that failed."""
    paths = Paths(tmp_path)
    remember_rolled_back(paths, configuration("192.0.2.1"))
    remember_rolled_back(paths, configuration("192.0.2.1", "u2"))

    forget_rolled_back(paths, configuration("192.0.2.9"))
    assert set(read_rolled_back(paths)) == {"u1", "u2"}
    forget_rolled_back(paths, configuration("192.0.2.1"))
    assert set(read_rolled_back(paths)) == {"u2"}


def test_only_the_latest_few_are_kept(tmp_path: Path) -> None:
    """The file does not grow for ever."""
    paths = Paths(tmp_path)
    for number in range(20):
        remember_rolled_back(paths, configuration(f"192.0.2.{number}"))

    assert [one.pif.ip for one in read_rolled_back(paths)["u1"]] == [f"192.0.2.{number}" for number in range(12, 20)]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"u1": 5}', '{"u1": [{"pif": 1}]}', "\udcff"])
def test_a_damaged_file_remembers_nothing(tmp_path: Path, text: str) -> None:
    """And costs nobody the network."""
    paths = Paths(tmp_path)
    paths.state_dir.mkdir(parents=True)
    (paths.state_dir / "rolled-back.json").write_bytes(text.encode("utf-8", "surrogateescape"))

    assert read_rolled_back(paths) == {}

"""apply/room.py: room is taken for what the way back writes, and given up again."""

from __future__ import annotations

from pathlib import Path

import pytest

from xsagent.apply.room import NAME, Room, release_room, room_for
from xsagent.config import Paths
from xsagent.errors import ApplyError
from xsagent.plan.steps import DeleteBridge, FileStep, LinkStep, OvsdbStep, Plan

BACK = FileStep(path="/etc/x", text="old\n" * 10_000)


def paths_below(root: Path) -> Paths:
    """A host's places below a directory."""
    (root / "etc").mkdir()
    return Paths.from_environ(str(root), {})


def test_the_room_is_as_large_as_what_the_way_back_writes(tmp_path: Path) -> None:
    """Old files whole, and a record of ovsdb-server's log for each operation."""
    paths = paths_below(tmp_path)
    with_file = room_for(Plan(steps=(FileStep(path="/etc/x", text="new", undo=(BACK,)),)), paths)
    undo = OvsdbStep(operations=(DeleteBridge(name="xenbr0"),) * 50)
    with_rows = room_for(Plan(steps=(OvsdbStep(operations=(), undo=(undo,)),)), paths)

    assert with_file.size > 40_000
    assert with_rows.size > 50 * 4096


def test_room_for_the_cache_is_as_large_as_the_present_one(tmp_path: Path) -> None:
    """Its successor is written whole beside it; a plan that writes nothing on its way back needs that alone."""
    paths = paths_below(tmp_path)
    paths.dbcache.parent.mkdir(parents=True)
    paths.dbcache.write_bytes(bytes(1_000_000))
    with_file = Plan(steps=(FileStep(path="/etc/x", text="new", undo=(BACK,)),))

    both, alone = room_for(with_file, paths, saves_cache=True), room_for(Plan(), paths, saves_cache=True)

    assert both.size > room_for(with_file, paths).size + 1_000_000
    assert 1_000_000 < alone.size < both.size
    assert alone.directories == (paths.state_dir,), "whoever finishes a killed run looks in one place of each disk"


def test_a_plan_that_writes_nothing_on_its_way_back_needs_no_room(tmp_path: Path) -> None:
    """A full disk does not keep a link down."""
    step = LinkStep(device="eth0", up=True, undo=(LinkStep(device="eth0", up=False),))
    room = room_for(Plan(steps=(step,)), paths_below(tmp_path))

    room.hold()

    assert room.size == 0
    assert list(tmp_path.rglob(NAME)) == []


def test_room_is_on_the_disk_while_it_is_held_and_no_longer(tmp_path: Path) -> None:
    """Blocks, not a hole; a killed run's is given up by who finishes it."""
    paths = paths_below(tmp_path)
    paths.state_dir.mkdir(parents=True)
    room = room_for(Plan(steps=(FileStep(path="/etc/x", text="new", undo=(BACK,)),)), paths)

    room.hold()
    (held,) = tmp_path.rglob(NAME)
    assert held.stat().st_blocks * 512 >= room.size
    release_room(paths)

    assert list(tmp_path.rglob(NAME)) == []


def test_too_little_room_is_an_error_and_nothing_is_kept() -> None:
    """A disk in memory has less than an exbibyte."""
    directory = Path("/dev", "shm")
    if not directory.is_dir():
        pytest.skip("no /dev/shm here")

    with pytest.raises(ApplyError, match=r"no room of .* nothing was changed"):
        Room((directory,), 1 << 60).hold()

    assert not (directory / NAME).exists()


def test_a_disk_that_cannot_be_written_to_needs_no_room() -> None:
    """Nothing will be written there, on no way."""
    Room((Path("/proc"),), 4096).hold()

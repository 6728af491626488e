"""The ready file is proved for as long as the daemon lives, whatever one proof meets."""

from __future__ import annotations

import asyncio
from pathlib import Path

from xsagent.config import Paths
from xsagent.daemon.readiness import Readiness


def _answer(readiness: Readiness, uevent: Path) -> None:
    """As udev does: what was written to sysfs comes back."""
    readiness.hear(uevent.read_text().removeprefix("change "))


async def _await_that(readiness: Readiness, *, ready: bool, reason: str, uevent: Path) -> None:
    """Answer each proof until it stands so."""
    async with asyncio.timeout(60):
        while readiness.ready is not ready or reason not in readiness.reason:
            _answer(readiness, uevent)
            await asyncio.sleep(0.05)


def test_a_ready_file_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    """The status says why meanwhile; where a directory should be is a file."""
    paths = Paths(root=tmp_path)
    uevent = paths.sys / "class/net/lo/uevent"
    uevent.parent.mkdir(parents=True)
    uevent.write_text("")
    readiness = Readiness(paths, period_s=60)
    paths.run_dir.parent.mkdir()
    paths.run_dir.write_text("")

    async def prove() -> None:
        proof = asyncio.create_task(readiness.run())
        await _await_that(readiness, ready=False, reason="cannot be kept in step", uevent=uevent)
        assert not proof.done()
        paths.run_dir.unlink()
        await _await_that(readiness, ready=True, reason="", uevent=uevent)
        proof.cancel()

    asyncio.run(prove())

    assert paths.ready.exists()

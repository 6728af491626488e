"""Folders of a sandbox on disks of their own, which fill up or cannot be written."""

from __future__ import annotations

from xsagent.sandbox.dom0 import Sandbox


def small_disk(sandbox: Sandbox, folder: str, size_k: int) -> None:
    """Put a folder of the host, with what is in it, on a disk of this size."""
    place, kept = str(sandbox.root / folder), str(sandbox.log / "kept")
    sandbox.run(["cp", "-a", place, kept])
    sandbox.run(["mount", "-t", "tmpfs", "-o", f"size={size_k}k", "tmpfs", place])
    sandbox.run(["cp", "-a", f"{kept}/.", place])
    sandbox.run(["rm", "-r", kept])


def full_disk(sandbox: Sandbox, folder: str) -> None:
    """No byte is left where a folder is."""
    small_disk(sandbox, folder, 1024)
    sandbox.run(["sh", "-c", f"cat /dev/zero > {sandbox.root / folder}/full"], check=False)


def read_only_disk(sandbox: Sandbox, folder: str) -> None:
    """A folder cannot be written."""
    small_disk(sandbox, folder, 1024)
    sandbox.run(["mount", "-o", "remount,ro", str(sandbox.root / folder)])


def disk_without_files(sandbox: Sandbox, folder: str) -> None:
    """A folder is empty, and no file can be made in it: its disk has no inode left."""
    sandbox.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", str(sandbox.root / folder)])

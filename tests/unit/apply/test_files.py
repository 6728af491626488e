"""Files are replaced and removed whole, lastingly, and with what belonged to them."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from xsagent.apply.files import remove_file, remove_leftovers, replace_file
from xsagent.errors import FileError


def names(directory: Path) -> list[str]:
    """Everything in a directory, hidden files too."""
    return sorted(path.name for path in directory.iterdir())


def test_a_new_file_appears_with_its_content(tmp_path: Path) -> None:
    """Readable by all unless the caller says otherwise, and with no other file beside it."""
    replace_file(tmp_path / "a", b"one")
    replace_file(tmp_path / "b", b"two", mode=0o600)

    assert (tmp_path / "a").read_bytes() == b"one"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600
    assert names(tmp_path) == ["a", "b"]


def test_a_replaced_file_keeps_its_mode(tmp_path: Path) -> None:
    """Unless the caller names one."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o640)

    replace_file(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640

    replace_file(path, b"newer", mode=0o400)
    assert stat.S_IMODE(path.stat().st_mode) == 0o400


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_replaced_file_keeps_its_owner(tmp_path: Path) -> None:
    """A file of another user stays theirs."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    os.chown(path, 12, 34)

    replace_file(path, b"new")

    assert (path.stat().st_uid, path.stat().st_gid) == (12, 34)


def test_a_replaced_file_keeps_its_extended_attributes(tmp_path: Path) -> None:
    """Among them the SELinux context, without which confined programs could not read it."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    name = "security.xsagent" if os.geteuid() == 0 else "user.xsagent"
    try:
        os.setxattr(path, name, b"label")
    except OSError as error:
        pytest.skip(f"no such attributes here: {error.strerror}")

    replace_file(path, b"new")

    assert os.getxattr(path, name) == b"label"


def test_readers_of_the_old_file_keep_it(tmp_path: Path) -> None:
    """The file is another one, so nobody ever sees half of it."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with path.open("rb") as before:
        replace_file(path, b"new")

        assert before.read() == b"old"
    assert path.read_bytes() == b"new"


def test_the_previous_generation_is_kept(tmp_path: Path) -> None:
    """What was replaced last, and nothing where nothing was replaced."""
    path, previous = tmp_path / "a", tmp_path / "a.previous"

    replace_file(path, b"one", keep_previous=previous)
    assert not previous.exists()

    replace_file(path, b"two", keep_previous=previous)
    assert (path.read_bytes(), previous.read_bytes()) == (b"two", b"one")

    replace_file(path, b"three", keep_previous=previous)
    assert (path.read_bytes(), previous.read_bytes()) == (b"three", b"two")
    assert names(tmp_path) == ["a", "a.previous"]


def test_keeping_goes_on_after_a_crash_in_between(tmp_path: Path) -> None:
    """A crash after the second name was given leaves two names of one file."""
    path, previous = tmp_path / "a", tmp_path / "a.previous"
    path.write_bytes(b"one")
    previous.hardlink_to(path)

    replace_file(path, b"two", keep_previous=previous)

    assert (path.read_bytes(), previous.read_bytes()) == (b"two", b"one")
    assert names(tmp_path) == ["a", "a.previous"]


def test_a_symbolic_link_is_replaced_by_a_file(tmp_path: Path) -> None:
    """Its target is not ours unless the caller says so."""
    (tmp_path / "target").write_bytes(b"theirs")
    (tmp_path / "link").symlink_to("target")

    replace_file(tmp_path / "link", b"ours")

    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"theirs"


@pytest.mark.parametrize("points_to", ["../run/resolv.conf", "/run/resolv.conf"])
def test_a_followed_link_stays_and_its_target_is_replaced(tmp_path: Path, points_to: str) -> None:
    """An absolute link of a root prefix means a place below the prefix."""
    for name in ("etc", "run"):
        (tmp_path / name).mkdir()
    link = tmp_path / "etc" / "resolv.conf"
    link.symlink_to(points_to)

    replace_file(link, b"ours", follow_links_below=tmp_path)

    assert link.is_symlink()
    assert (tmp_path / "run" / "resolv.conf").read_bytes() == b"ours"


@pytest.mark.parametrize("points_to", ["../../outside", "../../../../../../../../etc/passwd", "link"])
def test_a_link_out_of_the_root_or_in_a_circle_is_refused(tmp_path: Path, points_to: str) -> None:
    """Nothing outside the root prefix is ever written."""
    (tmp_path / "root" / "etc").mkdir(parents=True)
    link = tmp_path / "root" / "etc" / "link"
    link.symlink_to(points_to)

    with pytest.raises(FileError):
        replace_file(link, b"ours", follow_links_below=tmp_path / "root")

    assert names(tmp_path) == ["root"]


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """In one sentence."""
    with pytest.raises(FileError, match=r"no/a could not be replaced: No such file or directory"):
        replace_file(tmp_path / "no" / "a", b"x")


FULL_DISK = """
import resource, sys
from pathlib import Path
from xsagent.apply.files import replace_file
from xsagent.errors import FileError
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    replace_file(Path(sys.argv[1]), b"x" * 2000, keep_previous=Path(sys.argv[1] + ".previous"))
except FileError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """And no temporary file, and no other generation than before."""
    path = tmp_path / "a"
    path.write_bytes(b"old")

    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout == f"{path} could not be replaced: File too large; it is as it was\n"
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_directory_that_cannot_be_synced_is_told_as_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new file is in place, or the old one gone: "it is as it was" would be untrue."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    sync = os.fsync

    def fail_for_directories(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_for_directories)

    with pytest.raises(FileError, match=r"a is replaced, but that may not outlive a power failure: .*Input/output"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    with pytest.raises(FileError, match=r"a is removed, but that may not outlive a power failure: .*Input/output"):
        remove_file(path)
    assert names(tmp_path) == []


KILLED = """
import os, sys
from pathlib import Path
from xsagent.apply.files import replace_file
calls, stop_at = 0, int(sys.argv[2])
def hook(event, arguments):
    global calls
    if event.startswith(("open", "os.")) and os.path.dirname(sys.argv[1]) in str(arguments):
        calls += 1
        if calls == stop_at:
            os.kill(os.getpid(), 9)
sys.addaudithook(hook)
replace_file(Path(sys.argv[1]), b"new" * 100_000, keep_previous=Path(sys.argv[1] + ".previous"))
"""


def test_a_kill_at_any_call_leaves_a_whole_file_and_the_next_run_cleans_up(tmp_path: Path) -> None:
    """Old or new, never a part; leftovers of dead processes vanish."""
    path, previous = tmp_path / "a", tmp_path / "a.previous"
    kills = 0
    for stop_at in range(1, 30):
        path.write_bytes(b"old")
        previous.write_bytes(b"older")
        done = subprocess.run([sys.executable, "-c", KILLED, str(path), str(stop_at)], check=False, timeout=60)
        assert path.read_bytes() in {b"old", b"new" * 100_000}
        assert previous.read_bytes() in {b"older", b"old"}
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        kills += 1

        replace_file(path, b"next", keep_previous=previous)
        assert names(tmp_path) == ["a", "a.previous"]
        assert path.read_bytes() == b"next"
    assert kills > 6


def test_temporary_files_of_live_processes_stay(tmp_path: Path) -> None:
    """Another run may be between writing and renaming; what is no temporary file of ours stays too."""
    live = f".a.xsagent-{os.getppid()}-1"
    dead = f".a.xsagent-{2**22 + 1}-1"
    for name in (live, dead, ".a.xsagent-x", ".b.xsagent-4194305-1"):
        (tmp_path / name).write_bytes(b"")

    remove_leftovers(tmp_path / "a")

    assert names(tmp_path) == sorted([live, ".a.xsagent-x", ".b.xsagent-4194305-1"])


def test_a_file_is_removed(tmp_path: Path) -> None:
    """Twice is once; a link goes, not what it points to."""
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "link").symlink_to("a")

    remove_file(tmp_path / "link")
    assert names(tmp_path) == ["a"]

    remove_file(tmp_path / "a")
    remove_file(tmp_path / "a")
    remove_file(tmp_path / "no directory" / "a")
    assert names(tmp_path) == []


def test_what_cannot_be_removed_is_named(tmp_path: Path) -> None:
    """A directory is no file."""
    with pytest.raises(FileError, match="could not be removed"):
        remove_file(tmp_path)

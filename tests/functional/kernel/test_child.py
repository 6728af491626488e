"""Child programs: found, bounded in time and output, killed with all their children."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from xsagent.child import find_program, run_child
from xsagent.errors import CommandError, CommandLateError

SH = "/bin/sh"


def script(path: Path, text: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_what_a_child_says_comes_back_with_its_status() -> None:
    """Both outputs and stdin; arguments reach it as they are."""
    result = run_child([SH, "-c", 'cat; echo "$1" >&2', "sh", "$(id) `id`"], deadline_s=10, input_text="in\n")

    assert (result.status, result.stdout, result.stderr) == (0, "in\n", "$(id) `id`\n")


def test_a_failing_child_is_an_error_that_says_what_the_child_said() -> None:
    """Unless its status is accepted."""
    with pytest.raises(CommandError, match=r"status 3.*no such lease"):
        run_child([SH, "-c", "echo no such lease >&2; exit 3"], deadline_s=10)

    assert run_child([SH, "-c", "exit 3"], deadline_s=10, accepted=(0, 3)).status == 3
    assert run_child([SH, "-c", "exit 4"], deadline_s=10, accepted=()).status == 4


def test_a_late_child_is_killed_with_its_children(tmp_path: Path) -> None:
    """The whole process group ends: none of them lives on to do its work later."""
    mark = tmp_path / "pid"
    with pytest.raises(CommandLateError, match=r"did not end within 0\.3 s.*began"):
        run_child([SH, "-c", f"echo began; (echo $$ > {mark}; exec sleep 600) & sleep 600"], deadline_s=0.3)

    group = int(mark.read_text(encoding="utf-8"))
    alive = [path for path in Path("/proc").glob("[0-9]*/stat") if group_of(path) == group]
    assert alive == []


def group_of(path: Path) -> int | None:
    """Process group of a live process; None for a zombie or one that has ended."""
    try:
        fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[2])


def test_a_child_that_passed_its_own_deadline_is_late_too() -> None:
    """As ovs-ofctl --timeout ends: what it talked to does not answer, which may pass."""
    with pytest.raises(CommandLateError, match="signal 14"):
        run_child([SH, "-c", "kill -ALRM $$"], deadline_s=5)


def test_a_background_child_does_not_keep_us_waiting() -> None:
    """A daemon that keeps its parent's outputs open, as a distribution's dhclient does, would cost the deadline."""
    result = run_child([SH, "-c", "sleep 25 & echo started"], deadline_s=20)

    assert result.stdout == "started\n"


def test_a_flood_of_output_is_cut_off() -> None:
    """The first 64 KiB are kept."""
    result = run_child([SH, "-c", "head -c 1000000 /dev/zero | tr '\\0' x"], deadline_s=20)

    assert len(result.stdout) == 65536


def test_the_environment_is_minimal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of ours leaks into a child but PATH, OVS_RUNDIR and what the caller adds."""
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setenv("OVS_RUNDIR", "/r")
    names = {
        line.split("=")[0] for line in run_child(["/usr/bin/env"], deadline_s=10, environment={"A": "1"}).stdout.split()
    }

    assert names == {"PATH", "LC_ALL", "OVS_RUNDIR", "A"}


def test_a_program_is_found_through_path_before_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in PATH stands in for the system's; with an empty PATH the default counts."""
    ours = script(tmp_path / "sh", "true")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program("sh", SH) == str(ours)

    monkeypatch.setenv("PATH", "")
    assert find_program("sh", SH) == SH

    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert find_program("sh", SH) == SH
    with pytest.raises(CommandError, match="no-such-program"):
        find_program("no-such-program", "/sbin/no-such-program")


def test_a_file_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    """A directory, a text without interpreter: one sentence."""
    with pytest.raises(CommandError, match="cannot start"):
        run_child([str(tmp_path)], deadline_s=1)

"""apply/journal.py: what was begun is on disk, readable after a crash at any byte, and tied to its boot."""

import ipaddress
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from xsagent.apply.journal import NAME, Journal, read_journal
from xsagent.errors import ApplyError
from xsagent.plan.steps import FileStep, LinkStep, Step
from xsagent.topology.codec import to_json
from xsagent.topology.desired import Desired, ManagementPath
from xsagent.topology.values import IpAddress, Topology

DESIRED = Desired(topology=Topology())
BOTH = frozenset({4, 6})
GATEWAY = ipaddress.ip_address("192.0.2.1")
STEPS: tuple[Step, ...] = (
    LinkStep(device="eth0", up=True, undo=(LinkStep(device="eth0", up=False),)),
    FileStep(path="/etc/x", text="new", undo=(FileStep(path="/etc/x", text="old"),)),
)


def write(directory: Path) -> None:
    """A journal whose run died after two steps."""
    journal = Journal(directory=directory, boot="b1", operation="up xenbr0", desired=DESIRED, answered=BOTH)
    for step in STEPS:
        journal.begin(step)
    journal.close()


def test_a_dead_run_leaves_its_steps_and_what_it_wanted(tmp_path: Path) -> None:
    """Everything that a recovery needs is read back."""
    write(tmp_path)

    entries = read_journal(tmp_path)

    assert entries is not None
    assert (entries.begun, entries.desired, entries.answered) == (STEPS, DESIRED, BOTH)
    assert entries.undo_steps("b1") == (*STEPS[1].undo, *STEPS[0].undo)


@pytest.mark.parametrize(
    ("gateways", "armed", "answered"),
    [((GATEWAY,), True, {4}), ((), True, BOTH), ((GATEWAY,), False, set())],
)
def test_a_journal_that_tells_no_families_apart_counts_for_all_that_have_a_gateway(
    tmp_path: Path, gateways: tuple[IpAddress, ...], armed: bool, answered: set[int]
) -> None:
    """An older version wrote that some gateway had answered: what its run did is not kept without asking."""
    management = ManagementPath(device="xenbr0", gateways=gateways)
    head = {"boot": "b1", "operation": "up xenbr0", "desired": to_json(replace(DESIRED, management=management))}
    (tmp_path / NAME).write_text(json.dumps({**head, "armed": armed}) + "\n")

    entries = read_journal(tmp_path)

    assert entries is not None
    assert entries.answered == answered


def test_only_a_step_that_can_be_taken_back_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other stands in the journal all the same: a boot with 500 VLANs has a thousand of them."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    journal = Journal(directory=tmp_path, boot="b1", operation="up all", desired=DESIRED)
    journal.begin(STEPS[0])
    before = len(synced)
    plain = LinkStep(device="xapi1", up=True)

    journal.begin(plain)
    assert len(synced) == before
    journal.begin(STEPS[1])
    assert len(synced) == before + 1
    journal.close()

    entries = read_journal(tmp_path)
    assert entries is not None
    assert entries.begun == (STEPS[0], plain, STEPS[1])


def test_after_a_reboot_only_files_are_restored(tmp_path: Path) -> None:
    """The kernel and the switch started afresh; files did not."""
    write(tmp_path)

    entries = read_journal(tmp_path)

    assert entries is not None
    assert entries.undo_steps("b2") == STEPS[1].undo


def test_nothing_is_on_disk_before_the_first_step_or_after_the_commit(tmp_path: Path) -> None:
    """A run that changes nothing writes nothing."""
    journal = Journal(directory=tmp_path / "state", boot="b1", operation="up", desired=DESIRED)
    assert read_journal(tmp_path / "state") is None

    journal.begin(STEPS[0])
    journal.commit()

    assert read_journal(tmp_path / "state") is None


def test_a_journal_cut_off_at_any_byte_is_read(tmp_path: Path) -> None:
    """A power cut in the middle of a line loses that line only: its effect has not happened."""
    write(tmp_path)
    whole = (tmp_path / NAME).read_bytes()
    for length in range(len(whole)):
        (tmp_path / NAME).write_bytes(whole[:length])
        entries = read_journal(tmp_path)

        assert entries is not None
        assert entries.begun == STEPS[: len(entries.begun)]


@pytest.mark.parametrize("text", ["[]", "7", '{"boot": 1}', "\x00", '{"begin": 5}\n{"begin": 5}'])
def test_a_file_that_is_no_journal_takes_nothing_back(tmp_path: Path, text: str) -> None:
    """Garbage in its place is not acted upon."""
    (tmp_path / NAME).write_text(text)

    entries = read_journal(tmp_path)

    assert entries is not None
    assert entries.begun == ()


def test_a_journal_that_cannot_be_written_is_an_error_that_stops_the_run(tmp_path: Path) -> None:
    """However unimportant the step: its effect must not happen, and later lines must not follow a broken one."""
    (tmp_path / "state").write_text("a file where the folder should be")
    journal = Journal(directory=tmp_path / "state", boot="b1", operation="up", desired=DESIRED)

    with pytest.raises(ApplyError, match="journal"):
        journal.begin(STEPS[0])

    assert journal.begun == []


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), ZeroDivisionError("nobody expects it")])
def test_a_journal_that_could_not_be_begun_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """No step was begun: there is nothing for another run to look at."""

    def fail(_descriptor: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    journal = Journal(directory=tmp_path, boot="b1", operation="up xenbr0", desired=DESIRED)

    with pytest.raises((ApplyError, ZeroDivisionError)):
        journal.begin(STEPS[0])

    assert (journal.begun, list(tmp_path.iterdir())) == ([], [])


@pytest.mark.parametrize("lines", [0, 1, 2])
def test_a_run_that_is_to_go_on_leaves_no_part_of_a_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: int
) -> None:
    """At a boot, wherever the disk became full: said once, and the run knows by itself what it has begun."""
    write, written, told = os.write, list[bytes](), list[str]()

    def fill(descriptor: int, data: bytes) -> int:
        if len(written) == lines:
            raise OSError(28, "No space left on device")
        written.append(data)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", fill)
    journal = Journal(directory=tmp_path, boot="b1", operation="up all", desired=DESIRED, go_on=told.append)

    for step in STEPS:
        journal.begin(step)

    assert (journal.begun, list(tmp_path.iterdir())) == (list(STEPS), [])
    assert told == [f"the journal {tmp_path / NAME} could not be written: No space left on device"]
    journal.commit()


def test_bytes_that_are_no_text_take_nothing_back(tmp_path: Path) -> None:
    """A power cut may leave anything in a file."""
    (tmp_path / NAME).write_bytes(b"\xff\xfe\x00" * 100)

    entries = read_journal(tmp_path)

    assert entries is not None
    assert entries.begun == ()

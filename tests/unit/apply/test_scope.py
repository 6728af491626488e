"""apply/scope.py: the command behind systemd-run where systemd runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from xsagent.apply.scope import as_service, scoped
from xsagent.config import Paths


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemd-run in PATH."""
    path = tmp_path / "systemd-run"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return path


def test_without_systemd_there_is_no_scope(tmp_path: Path, program: Path) -> None:
    """Nor a service. A program of that name is not enough: systemd must run."""
    assert program.exists()
    assert scoped(["dhclient"], Paths(tmp_path)) is None
    assert as_service(["hook"], Paths(tmp_path), 30) is None


def test_with_systemd_the_command_comes_last_and_whole(tmp_path: Path, program: Path) -> None:
    """Nothing of the command is taken for an option of systemd-run."""
    (tmp_path / "run/systemd/system").mkdir(parents=True)

    command = scoped(["dhclient", "--scope", "eth0"], Paths(tmp_path))

    assert command == [str(program), "--scope", "--quiet", "--collect", "--", "dhclient", "--scope", "eth0"]


def test_a_service_is_waited_for_and_has_a_limit_of_its_own(tmp_path: Path, program: Path) -> None:
    """Who waits may be killed: the program must not stay behind."""
    (tmp_path / "run/systemd/system").mkdir(parents=True)

    command = as_service(["hook", "--wait"], Paths(tmp_path), 30.0)

    assert command is not None
    assert command[0] == str(program)
    assert {"--wait", "--pipe", "--property=RuntimeMaxSec=30"} < set(command)
    assert command[-3:] == ["--", "hook", "--wait"]

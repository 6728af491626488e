"""cli/waiting.py: who sits at a terminal hears what is waited for, and nobody else."""

from __future__ import annotations

import sys
import threading

import pytest

from xsagent.cli import waiting


@pytest.mark.parametrize(("terminal", "slow", "told"), [(True, True, True), (True, False, False), (False, True, False)])
def test_a_wait_is_told_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, terminal: bool, slow: bool, told: bool
) -> None:
    """Once it takes longer than two seconds: XAPI and scripts get the one sentence at the end alone."""
    said = threading.Event()

    def say(program: str, sentence: str) -> None:
        sys.stderr.write(f"{program}: {sentence}\n")
        said.set()

    monkeypatch.setattr(waiting, "_PATIENCE_S", 0.01 if slow else 3600)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.setattr(waiting, "say", say)

    assert waiting.tell_wait("xsagent", "XAPI", 30.0, lambda: said.wait(5 if told else 0.1)) is told

    assert capsys.readouterr().err == ("xsagent: waiting up to 30 s for XAPI\n" if told else "")

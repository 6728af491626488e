"""apply/interruption.py: one signal ends the run as a failed step would; none ends the way back."""

from __future__ import annotations

import os
import signal

import pytest

from xsagent.apply.interruption import going_back, signals_end_the_run
from xsagent.errors import ApplyError

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_becomes_an_error_that_names_it(number: signal.Signals) -> None:
    """The executor takes back on ApplyError."""
    with signals_end_the_run(), pytest.raises(ApplyError, match=number.name):
        os.kill(os.getpid(), number)


def test_a_second_signal_does_nothing() -> None:
    """The run is ending already; and children do not inherit an ignored signal."""
    with signals_end_the_run():
        with pytest.raises(ApplyError):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) not in (signal.SIG_IGN, signal.SIG_DFL)


def test_no_signal_ends_the_way_back() -> None:
    """An undo that is cut short would leave the host half done."""
    with signals_end_the_run():
        with going_back():
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(ApplyError):
            os.kill(os.getpid(), signal.SIGTERM)


def test_the_handlers_before_are_there_again() -> None:
    """Also after an error."""
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(ApplyError), signals_end_the_run():
        os.kill(os.getpid(), signal.SIGTERM)

    assert [signal.getsignal(number) for number in SIGNALS] == before

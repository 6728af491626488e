"""argparse as our commands want it. Pure but for the streams; `run_edge` turns what it raises into an exit code."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from xsagent.errors import UsageError


class CommandParser(argparse.ArgumentParser):
    """A parser whose complaints are a UsageError, and whose help is written out before it ends the process."""

    def error(self, message: str) -> NoReturn:
        """The verb, where there is one, and what is wrong."""
        verb = " ".join(self.prog.split()[1:])
        raise UsageError(f"{verb}: {message}" if verb else message)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """As argparse's; a reader that left is an error that can still be caught here."""
        sys.stdout.flush()
        super().exit(status, message)

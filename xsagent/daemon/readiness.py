"""The ready file: there only while events that udev processed are known to reach us (DESIGN.md section 6). Effects.

A uevent of our own making is sent through kernel and udevd; only when it came back through the monitor does the file
appear, on whose account udev's rules start nothing. It is proved again every few minutes, and whenever in doubt.
"""

from __future__ import annotations

import asyncio
import contextlib
import traceback
import uuid
from typing import Final

from xsagent.apply.run_dir import remove_run_file, send_uevent, write_run_file
from xsagent.config import Paths
from xsagent.log import get_logger

ECHO_DEADLINE_S: Final = 5.0
"""udevd may be busy with a burst, or not started yet."""
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_LOG = get_logger()


class Readiness:
    """Proves that we hear udev, and keeps the file in step with that.

    Attributes:
        ready: the file is there.
        reason: why it is not.
    """

    def __init__(self, paths: Paths, period_s: float) -> None:
        """Not ready; a file that a dead daemon left is taken away.

        Args:
            paths: of this host.
            period_s: between two proofs for which nobody has a reason.
        """
        self._period_s = period_s
        self.ready = False
        self.reason = "no uevent was sent yet"
        self._paths = paths
        self._nonce = ""
        self._echo = asyncio.Event()
        self._prove = asyncio.Event()
        remove_run_file(paths.ready)

    def hear(self, nonce: str) -> None:
        """A uevent with this SYNTH_UUID came through the monitor."""
        if nonce and nonce == self._nonce:
            self._echo.set()

    def doubt(self) -> None:
        """Prove it again soon."""
        self._prove.set()

    async def run(self) -> None:
        """Prove it, keep the file accordingly, and again whenever in doubt; ends by being cancelled."""
        pause = _FIRST_PAUSE_S
        while True:
            self._prove.clear()
            if await self._prove_once():
                pause = _FIRST_PAUSE_S
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._period_s):
                        await self._prove.wait()
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def _prove_once(self) -> bool:
        """Whether we hear udev and the file says so."""
        try:
            is_heard = await self._is_heard()
            if is_heard:
                self._set_ready()
            else:
                self.withdraw(self.reason)
        except Exception as error:  # noqa: BLE001 - an edge: a file that cannot be written must not end the proofs
            self.reason = f"{self._paths.ready} cannot be kept in step: {error}"
            _LOG.error("proof_failed", error=repr(error), trace=traceback.format_exc())
            return False
        return is_heard

    def withdraw(self, reason: str) -> None:
        """Take the file away: udev's rules start the hook again from now on."""
        remove_run_file(self._paths.ready)
        if self.ready:
            _LOG.warning("withdraw_ready", reason=reason)
        self.ready, self.reason = False, reason

    def _set_ready(self) -> None:
        if not self.ready:
            write_run_file(self._paths.ready, "")
            _LOG.info("ready")
        self.ready, self.reason = True, ""

    async def _is_heard(self) -> bool:
        self._nonce = str(uuid.uuid4())
        self._echo.clear()
        try:
            send_uevent(self._paths.sys, self._nonce)
        except OSError as error:
            self.reason = f"no uevent can be sent: {error.strerror or error}"
            return False
        try:
            async with asyncio.timeout(ECHO_DEADLINE_S):
                await self._echo.wait()
        except TimeoutError:
            self.reason = f"a uevent of ours did not come back through udev within {ECHO_DEADLINE_S:g} s"
            return False
        return True

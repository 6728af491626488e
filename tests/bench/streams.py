"""Ping streams from the host and from a guest while something is done, and what of them was lost. Effects.

Used by the rows of lost packets. A stream that loses nothing proves something only if it can lose: `control` deletes
the bridge's flows and must lose all.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.far import Guest
from xsagent.sandbox.traffic import StreamCounts

_BEFORE = 100
_AFTER = 300
"""Packets of each stream before and after the action."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Counts of the stream host to wire, and of the one VIF to wire."""

    host: StreamCounts
    vif: StreamCounts

    @property
    def most(self) -> int:
        """Packets lost by the stream that lost more."""
        return max(self.host.lost, self.vif.lost)

    @property
    def lost_all(self) -> bool:
        """Whether no packet came through."""
        return not self.host.answered and not self.vif.answered

    def describe(self) -> str:
        """Both streams in words."""
        return (
            f"host to wire {self.host.lost} of {self.host.sent}, VIF to wire {self.vif.lost} of {self.vif.sent}"
            f", longest gap {max(self.host.longest_gap, self.vif.longest_gap)}"
        )


def measure_losses(
    sandbox: Sandbox,
    guest: Guest,
    action: Callable[[], object],
    *,
    interval_ms: float,
    answered: bool = True,
    host_answered: bool = True,
) -> Losses:
    """Do something while the host and a guest ping the gateway.

    Args:
        answered: False: answers are not waited for (nothing gets through).
        host_answered: False: after the action, answers to the host are not waited for.
        interval_ms: time between two packets of a stream.
    """
    with ExitStack() as stack:
        streams = [
            stack.enter_context(sender.ping_stream(sandbox.gateway_address, interval_ms=interval_ms))
            for sender in (sandbox, guest)
        ]
        for stream in streams:
            (stream.wait_answered if answered else stream.wait_sent)(_BEFORE)
        action()
        for stream, expected in zip(streams, (answered and host_answered, answered), strict=True):
            (stream.wait_answered if expected else stream.wait_sent)(_AFTER)
        host, vif = (stream.stop() for stream in streams)
    return Losses(host=host, vif=vif)


def control(
    sandbox: Sandbox, guest: Guest, bridge: str, action: Callable[[], object] = lambda: None, *, interval_ms: float
) -> str:
    """The same with the bridge's flows deleted: says that all was lost, or that the measurement is worth nothing.

    Args:
        action: what was measured, where doing it once more changes nothing.
    """
    sandbox.delete_flows(bridge)
    try:
        losses = measure_losses(sandbox, guest, action, interval_ms=interval_ms, answered=False)
    finally:
        sandbox.run(["ovs-ofctl", "add-flow", bridge, "priority=0,actions=NORMAL"])
    return "control lost all" if losses.lost_all else f"CONTROL DID NOT LOSE ALL: {losses.describe()}"

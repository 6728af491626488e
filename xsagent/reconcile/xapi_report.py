"""What the service that follows XAPI says of itself, for `xsagent status`: with it the manager's connection. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from xsagent.plan.manager import normalise_target
from xsagent.topology.control import ManagerState
from xsagent.topology.values import Json

FOLLOWED: Final = "followed"
"""XapiReport.xapi while XAPI's events come."""


@dataclass(slots=True)
class XapiReport:
    """How it stands. Fields are replaced, never edited, so that another thread can read them at any time.

    Attributes:
        xapi: in words: followed, away, or why not.
        read_at: of the last bulk read, wall clock.
        networks, vms: of which records are held.
        batches: answers of event.from.
        transactions: changes of ids.
        update: what the last reconciliation of the manager answered.
        decided: XAPI's records say whom the switch is to obey, and `wanted` is it: a target, or empty for nobody.
        refused: why they do not say.
        managers: the switch's, with their state.
        errors: by task, the last failure that still stands.
    """

    xapi: str = "not looked for yet"
    read_at: float | None = None
    networks: int = 0
    vms: int = 0
    batches: int = 0
    transactions: int = 0
    update: str = ""
    decided: bool = False
    wanted: str = ""
    refused: str = ""
    managers: tuple[ManagerState, ...] = ()
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def lacks_manager(self) -> bool:
        """Whether XAPI names a manager that the switch has not."""
        return self.decided and bool(self.wanted) and normalise_target(self.wanted) not in self._targets()

    def drift(self) -> str:
        """How the switch's manager differs from XAPI's; empty when it does not, or XAPI does not say."""
        present = ", ".join(state.target for state in self.managers)
        if self.lacks_manager:
            return f"XAPI wants manager {self.wanted}, the switch has {present or 'none'}"
        if self.decided and not self.wanted and present:
            return f"XAPI names no manager, the switch has {present}"
        return ""

    def _targets(self) -> set[str]:
        return {normalise_target(state.target) for state in self.managers}

    def as_json(self) -> dict[str, Json]:
        """For `xsagent status --json`."""
        managers: list[Json] = [_manager_json(state) for state in self.managers]
        errors: dict[str, Json] = dict(sorted(self.errors.items()))
        return {
            "connected": self.xapi == FOLLOWED,
            "xapi": self.xapi,
            "read_at": self.read_at,
            "networks": self.networks,
            "vms": self.vms,
            "batches": self.batches,
            "transactions": self.transactions,
            "managers": managers,
            "wanted_manager": self.wanted if self.decided else None,
            "controller_refused": self.refused,
            "manager_drift": self.drift(),
            "manager_update": self.update,
            "errors": errors,
        }


def _manager_json(state: ManagerState) -> dict[str, Json]:
    # seconds since then would be those of the last look
    status: dict[str, Json] = {key: text for key, text in sorted(state.status.items()) if not key.startswith("sec_")}
    return {"target": state.target, "is_connected": state.is_connected, "status": status}

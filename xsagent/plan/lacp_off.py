"""Operations of a transaction -> the bonds that no longer speak LACP afterwards. Pure.

Used by `apply/released_members.py`, for the transaction and for its undo.
"""

from __future__ import annotations

from collections.abc import Iterable

from xsagent.plan.steps import OvsdbOperation, SetColumns

_SPEAKS = ("active", "passive")


def bonds_without_lacp(operations: Iterable[OvsdbOperation]) -> frozenset[str]:
    """Names of ports that stay and whose column ``lacp`` is set to something under which LACP is not spoken."""
    return frozenset(
        operation.record
        for operation in operations
        if isinstance(operation, SetColumns)
        and operation.table == "Port"
        and "lacp" in operation.columns
        and operation.columns["lacp"] not in _SPEAKS
    )

"""Who is to control the switch x who does -> one OVSDB transaction with its undo, emer-reset included. Pure.

`reconcile/manager.py` gives it what `desired/manager.py` wants and `observed/ovsdb_control.py` saw. An emer-reset takes
away what ``ovs-vsctl emer-reset`` does (cmd_emer_reset of utilities/ovs-vsctl.c, Open vSwitch 3.x); what XAPI itself
wants is put back in the same transaction, so a value that stays as it was is never touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from xsagent.plan.columns import EMPTY_SET, to_column
from xsagent.plan.flushes import flushed_bridges
from xsagent.plan.ovsdb_model import invert_operations
from xsagent.plan.steps import OvsdbOperation, OvsdbStep, Relied, SetColumns, SetKeys, Table
from xsagent.topology.control import BridgeControl, DesiredControl, ManagerTarget, SwitchControl, TlsFiles
from xsagent.topology.values import Bridge, Json, Keys, Port

_RESET_BRIDGE: Final = ("controller", "mirrors", "netflow", "sflow", "ipfix", "flood_vlans", "@collector_sets")
"""Columns that an emer-reset empties, and the Flow_Sample_Collector_Set rows (observed/ovsdb_rows.py)."""
_RESET_INTERFACE: Final = ("ingress_policing_rate", "ingress_policing_burst")
_IN_BAND: Final = "disable-in-band"
_NO_ROW: Final = {"Manager": "00000000-0000-0000-0000-000000000001", "SSL": "00000000-0000-0000-0000-000000000002"}
"""UUIDs that no row has, so that a nested row is inserted (version 0: none that a generator makes)."""
_CA_KEY: Final = "xsagent-ca-of"
"""Key of Open_vSwitch.external_ids: the manager that an emergency reset took away while its CA stayed."""
_DEFAULT_PORT: Final = 6640
_WITHOUT_PORT: Final = re.compile(r"(?:(?:ssl|tcp):(?:\[[^\]]*\]|[^:\[\]]+)|p(?:ssl|tcp)):?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlChange:
    """What is to be done.

    Attributes:
        step: None when the switch is right already.
        manager: what becomes of XAPI's manager; None when it stays as it is.
        target: of the manager that is wanted; empty for none.
        new_ca: the manager is another one, or it goes, so that the CA taken over from the old one counts no more.
        ca_of: the manager that it was taken over from; empty when that is not known.
        in_band, fail_mode: some bridge that XAPI knows changes in this.
        flushed: bridges whose flows the switch drops at this change.
    """

    step: OvsdbStep | None = None
    manager: Literal["set", "removed"] | None = None
    target: str = ""
    new_ca: bool = False
    ca_of: str = ""
    in_band: bool = False
    fail_mode: bool = False
    flushed: frozenset[str] = frozenset()


def diff_control(desired: DesiredControl, observed: SwitchControl) -> ControlChange:
    """What makes the switch obey whom XAPI wants.

    Another manager than the present ones, or none where there are some, brings an emer-reset (INSTALL.XenServer). The
    same one brings none, whatever other managers an admin set beside it.
    """
    wanted = desired.manager
    if wanted is None:
        return _change(desired, observed, reset=bool(observed.managers), manager="removed")
    targets = {normalise_target(state.target) for state in observed.managers}
    if normalise_target(wanted.target) not in targets:
        return _change(desired, observed, reset=True, manager="set")
    return _change(desired, observed, reset=False, manager="set")


def diff_emergency_reset(desired: DesiredControl, observed: SwitchControl) -> ControlChange:
    """What ``ovs-vsctl emer-reset`` does, XAPI's own values kept; the manager goes, as it does there.

    Its CA stays: the next update most likely sets the same manager again.
    """
    kept = DesiredControl(bridges=desired.bridges, ports=desired.ports)
    return replace(_change(kept, observed, reset=True, manager="removed", keeps_ca=True), new_ca=False)


def diff_bridges(desired: DesiredControl, observed: SwitchControl) -> ControlChange:
    """What gives the bridges that `desired` names their fail mode and in-band control; no manager is spoken about."""
    return _change(desired, observed, reset=False, manager=None)


def normalise_target(target: str) -> str:
    """A connection method with the port that OVS takes where it names none."""
    return f"{target.rstrip(':')}:{_DEFAULT_PORT}" if _WITHOUT_PORT.fullmatch(target) else target


# --- putting a change together ---------------------------------------------------------------------------


@dataclass(slots=True)
class _Draft:
    observed: SwitchControl
    operations: list[OvsdbOperation] = field(default_factory=list)
    relied: list[Relied] = field(default_factory=list)
    in_band: bool = False
    fail_mode: bool = False

    def set_columns(self, table: Table, record: str, columns: Mapping[str, Json]) -> None:
        if columns:
            self.operations.append(SetColumns(table=table, record=record, columns=columns))

    def note_ca_owner(self, target: str | None) -> None:
        """Remember, or forget, whose CA is there."""
        if self.observed.external_ids.get(_CA_KEY) != target:
            keys = {_CA_KEY: target}
            self.operations.append(SetKeys(table="Open_vSwitch", record=".", column="external_ids", keys=keys))

    def set_keys(self, table: Table, record: str, wanted: Keys, present: Keys) -> None:
        """Set keys of other_config that differ."""
        keys = {key: value for key, value in sorted(wanted.items()) if present.get(key) != value}
        if keys:
            self.operations.append(SetKeys(table=table, record=record, column="other_config", keys=keys))


def _change(
    desired: DesiredControl,
    observed: SwitchControl,
    *,
    reset: bool,
    manager: Literal["set", "removed"] | None,
    keeps_ca: bool = False,
) -> ControlChange:
    draft = _Draft(observed)
    record = {} if manager is None else _manager_columns(desired.manager, observed, reset=reset)
    for name, bridge in sorted(observed.bridges.items()):
        _diff_bridge(draft, bridge, desired.bridges.get(name), reset=reset)
        if reset:
            _reset_ports(draft, bridge, desired.ports)
    draft.set_columns("Open_vSwitch", ".", record)
    if "manager_options" in record:
        draft.note_ca_owner(observed.managers[0].target if keeps_ca else None)
    target = desired.manager.target if desired.manager else None
    reason = _reason(desired.manager, record=record, reset=reset)
    return ControlChange(
        step=_step(draft, reason) if draft.operations else None,
        manager=manager if record else None,
        target=target or "",
        ca_of=_ca_owner(observed),
        new_ca="manager_options" in record and observed.external_ids.get(_CA_KEY, "") != target,
        in_band=draft.in_band,
        fail_mode=draft.fail_mode,
        flushed=flushed_bridges(draft.operations),
    )


def _ca_owner(observed: SwitchControl) -> str:
    """Whose CA is there: as an emergency reset noted it, else the one manager that we connect to by TLS."""
    noted = observed.external_ids.get(_CA_KEY)
    targets = [state.target for state in observed.managers if state.target.startswith("ssl:")]
    return noted or (targets[0] if len(targets) == 1 else "")


def _manager_columns(wanted: ManagerTarget | None, observed: SwitchControl, *, reset: bool) -> dict[str, Json]:
    """Columns of the Open_vSwitch record that change; without a manager nothing needs TLS files."""
    if wanted is None:
        stale = {"manager_options": observed.managers, "ssl": observed.tls if reset else None}
        return {column: EMPTY_SET for column, present in stale.items() if present}
    columns: dict[str, Json] = {}
    if reset:
        columns["manager_options"] = ["set", [_nested("Manager", {"target": wanted.target})]]
    if observed.tls != wanted.tls:
        columns["ssl"] = ["set", [_nested("SSL", _tls_columns(wanted.tls))]]
    return columns


def _nested(table: str, row: dict[str, Json]) -> Json:
    return {"table": table, "uuid": _NO_ROW[table], "row": row}


def _tls_columns(tls: TlsFiles) -> dict[str, Json]:
    return {
        "private_key": tls.private_key,
        "certificate": tls.certificate,
        "ca_cert": tls.ca_cert,
        "bootstrap_ca_cert": tls.bootstrap,
    }


def _diff_bridge(draft: _Draft, bridge: Bridge, wanted: BridgeControl | None, *, reset: bool) -> None:
    if wanted is None and not reset:
        return
    columns: dict[str, Json] = {name: EMPTY_SET for name in _RESET_BRIDGE if name in bridge.extra} if reset else {}
    fail_mode = wanted.fail_mode if wanted else None
    if bridge.fail_mode != fail_mode:
        columns["fail_mode"] = to_column(fail_mode)
        draft.relied.append(
            Relied(table="Bridge", record=bridge.name, column="fail_mode", value=_optional(bridge.fail_mode))
        )
        draft.fail_mode |= wanted is not None
    draft.set_columns("Bridge", bridge.name, columns)
    in_band = wanted.disable_in_band if wanted else None
    draft.in_band |= wanted is not None and bridge.other_config.get(_IN_BAND) != in_band
    others = _only(wanted.other_config if wanted else {}, bridge.other_config) if reset else {}
    draft.set_keys("Bridge", bridge.name, {**others, _IN_BAND: in_band}, bridge.other_config)


def _reset_ports(draft: _Draft, bridge: Bridge, ours: Mapping[str, Keys]) -> None:
    for name, port in sorted(bridge.ports.items()):
        draft.set_keys("Port", name, _only(ours.get(name, {}), port.other_config), port.other_config)
        for interface in _policed(port):
            columns = port.interfaces[interface].extra.keys() & set(_RESET_INTERFACE)
            draft.set_columns("Interface", interface, dict.fromkeys(sorted(columns), EMPTY_SET))


def _policed(port: Port) -> Iterator[str]:
    for name, interface in sorted(port.interfaces.items()):
        if interface.extra.keys() & set(_RESET_INTERFACE):
            yield name


def _only(wanted: Keys, present: Keys) -> dict[str, str | None]:
    """The wanted keys, every other present one to be removed."""
    return {**dict.fromkeys(present), **wanted}


def _optional(value: object) -> Json:
    return value if isinstance(value, str) else EMPTY_SET


def _step(draft: _Draft, reason: str) -> OvsdbStep:
    observed = draft.observed
    stored = [
        Relied(table="Open_vSwitch", record=".", column=column, value=value)
        for column, value in sorted(observed.stored.items())
    ]
    on_rows = [operation for operation in draft.operations if not _is_on_record(operation)]
    undo = [*invert_operations(on_rows, observed.bridges)]
    undo += [_inverse_on_record(operation, observed) for operation in draft.operations if _is_on_record(operation)]
    return OvsdbStep(
        operations=tuple(draft.operations),
        relied=(*stored, *draft.relied),
        reason=reason,
        undo=(OvsdbStep(operations=tuple(undo), reason=f"take back: {reason}"),),
    )


def _is_on_record(operation: OvsdbOperation) -> bool:
    return isinstance(operation, SetColumns | SetKeys) and operation.table == "Open_vSwitch"


def _inverse_on_record(operation: OvsdbOperation, observed: SwitchControl) -> OvsdbOperation:
    match operation:
        case SetColumns(columns=columns):
            return replace(operation, columns={name: observed.columns.get(name, EMPTY_SET) for name in columns})
        case SetKeys(keys=keys):
            return replace(operation, keys={key: observed.external_ids.get(key) for key in keys})
    raise TypeError(f"{type(operation).__name__} is not about the switch's own record")


def _reason(wanted: ManagerTarget | None, *, record: Mapping[str, Json], reset: bool) -> str:
    if not record and not reset:
        return "fail mode and in-band control as XAPI has them"
    if wanted is None:
        return "no manager: emergency reset"
    return f"manager {wanted.target}, after an emergency reset" if reset else f"TLS files of manager {wanted.target}"

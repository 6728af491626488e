"""Who controls the switch: managers of its database, TLS files, and per bridge what counts without them. Pure.

`desired/manager.py` builds a DesiredControl, `observed/ovsdb_control.py` reads a SwitchControl, `plan/manager.py`
compares the two. Beside Topology and not in it: no PIF's operation speaks of a manager.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from xsagent.topology.desired import Reason
from xsagent.topology.values import Bridge, Json, Keys

PSSL_PORT: Final = 6640
"""TCP port on which the host listens for a pssl manager, whatever the record says (features.md section 20)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """A row of OVS's SSL table: paths as ovsdb-server opens them.

    Attributes:
        bootstrap: an absent `ca_cert` is taken over from the first peer, which is then trusted.
    """

    private_key: str
    certificate: str
    ca_cert: str
    bootstrap: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerTarget:
    """The one manager that XAPI wants.

    Attributes:
        target: an OVSDB connection method, for example ``ssl:192.0.2.9:6640`` or ``pssl:6640``.
        label: how the plugin's answer names it (features.md section 20).
    """

    target: str
    label: str
    tls: TlsFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerState:
    """A row of OVS's Manager table, with what ovsdb-server reports about it.

    Attributes:
        status: for example ``state``, ``last_error``, ``sec_since_connect`` (ovs-vswitchd.conf.db(5)).
    """

    target: str
    is_connected: bool = False
    status: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchControl:
    """What the database says.

    Attributes:
        bridges: every real bridge.
        managers: sorted by target.
        tls: None without an SSL row.
        columns: ``manager_options`` and ``ssl`` of the Open_vSwitch record with their rows nested (as
            Bridge.extra), for an undo.
        stored: ``bridges``, ``manager_options`` and ``ssl`` of that record as OVSDB has them, for a guard.
        external_ids: of that record.
    """

    bridges: Mapping[str, Bridge] = field(default_factory=dict)
    managers: tuple[ManagerState, ...] = ()
    tls: TlsFiles | None = None
    columns: Mapping[str, Json] = field(default_factory=dict)
    stored: Mapping[str, Json] = field(default_factory=dict)
    external_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeControl:
    """What XAPI wants of a bridge that it knows.

    Attributes:
        disable_in_band: None when the key must be absent.
        other_config: XAPI's other keys, which an emer-reset must leave as they are.
    """

    fail_mode: str
    disable_in_band: str | None = None
    other_config: Keys = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredControl:
    """What XAPI wants of the switch beside PIFs.

    Attributes:
        manager: None for none.
        bridges: by name; others are not spoken about, but by an emer-reset.
        ports: by name XAPI's keys of a Port's other_config, which an emer-reset must leave as they are.
        devices: netdevs of this host's PIFs.
        management: the device that has management's addresses; empty for none.
        reasons: decisions in the order they were taken.
    """

    manager: ManagerTarget | None = None
    bridges: Mapping[str, BridgeControl] = field(default_factory=dict)
    ports: Mapping[str, Keys] = field(default_factory=dict)
    devices: frozenset[str] = frozenset()
    management: str = ""
    reasons: tuple[Reason, ...] = ()

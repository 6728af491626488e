"""XAPI's records -> who manages the switch's database, and what counts on each bridge without it. Pure.

The deciding part of `openvswitch-cfg-update` (features.md section 20). `reconcile/manager.py` reads the records and
the switch, `plan/manager.py` compares them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from xsagent.desired.bond_options import bond_options
from xsagent.desired.bridge import real_bridge
from xsagent.desired.fail_mode import choose_disable_in_band, choose_fail_mode
from xsagent.desired.kind import is_tagged
from xsagent.desired.management import management_pif
from xsagent.desired.notes import Notes
from xsagent.desired.ownership import ownership_of
from xsagent.desired.request import BuildOptions, HostFacts
from xsagent.desired.scene import Scene, unusable_bridges
from xsagent.errors import InputError
from xsagent.model.records import Network, Pif, Pool
from xsagent.model.sdn_controller import SdnController
from xsagent.model.snapshot import Snapshot
from xsagent.model.values import parse_integer, shown
from xsagent.topology.control import PSSL_PORT, BridgeControl, DesiredControl, ManagerTarget, TlsFiles
from xsagent.topology.values import Keys

_RECORD_PORT: Final = 6632
"""For a record of protocol ssl whose port is 0."""
_MAX_PORT: Final = 65535
_IN_BAND: Final = "disable-in-band"
_HOST_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)(?=.*[a-z])(?:(?!-)[a-z0-9-]{1,63}(?<!-)\.)*(?!-)[a-z0-9-]{1,63}(?<!-)", re.IGNORECASE | re.ASCII
)
_WITH_PORT: Final = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*):(?P<port>[^:]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlOptions:
    """Settings and places.

    Attributes:
        default_port: of pool.vswitch_controller.
        certificate: file with the host's key and certificate.
        bootstrapped_ca: where ovsdb-server puts the CA of an ssl controller.
        installed_ca: the CA that the pool installed for a pssl controller.
    """

    certificate: str
    bootstrapped_ca: str
    installed_ca: str
    default_port: int = 6640


def build_control(
    snapshot: Snapshot,
    controllers: Sequence[SdnController],
    host: HostFacts,
    build: BuildOptions,
    options: ControlOptions,
) -> DesiredControl:
    """What XAPI wants of the switch beside PIFs.

    Total for any other_config; a PIF that cannot be used is reported and does without its own values.

    Raises:
        InputError: the records name a controller that cannot be one, or there is no usable pool record; to take that
            for "no controller" would cut the present one off.
    """
    notes = Notes()
    if snapshot.pool is None:
        raise InputError("XAPI's pool record cannot be used, so the controller is not known; nothing was changed")
    target = decide_target(snapshot.pool, controllers, options, notes)
    scene = Scene(snapshot=snapshot, host=host, options=build, unusable_bridges=unusable_bridges(snapshot))
    return DesiredControl(
        manager=target,
        bridges=_bridges(scene, notes),
        ports=_bond_keys(scene, notes),
        devices=ownership_of(snapshot).devices,
        management=_management_device(scene),
        reasons=notes.as_reasons(),
    )


# --- the manager -----------------------------------------------------------------------------------------


def decide_target(
    pool: Pool, controllers: Sequence[SdnController], options: ControlOptions, notes: Notes
) -> ManagerTarget | None:
    """The manager by the records of class SDN_controller, where there is none by the pool's field; None for none.

    Raises:
        InputError: an address, port or protocol that cannot be one.
    """
    if controllers:
        first, *others = sorted(controllers, key=lambda controller: controller.uuid)
        if others:
            notes.warn("pass_over_controller", first.uuid, f"{len(others)} more SDN_controller records are passed over")
        return _target_of_record(first, options)
    if not pool.vswitch_controller:
        return None
    try:
        address, port = _parse_place(pool.vswitch_controller)
    except InputError as error:
        raise InputError(f"pool.vswitch_controller: {error}; nothing was changed") from error
    target = f"ssl:{address}:{options.default_port if port is None else port}"
    return ManagerTarget(target=target, label=pool.vswitch_controller, tls=_tls(options, passive=False))


def _target_of_record(record: SdnController, options: ControlOptions) -> ManagerTarget:
    try:
        target = _record_target(record)
    except InputError as error:
        raise InputError(f"SDN_controller {record.uuid}: {error}; nothing was changed") from error
    return ManagerTarget(target=target, label=target, tls=_tls(options, passive=record.protocol == "pssl"))


def _record_target(record: SdnController) -> str:
    if record.protocol == "pssl":
        return f"pssl:{PSSL_PORT}"
    if record.protocol != "ssl":
        raise InputError(f"{shown(record.protocol)} is neither ssl nor pssl")
    port = parse_integer(record.port, 0, _MAX_PORT) or _RECORD_PORT
    address, own_port = _parse_place(record.address)
    if own_port is not None:
        raise InputError(f"its address {shown(record.address)} names a port, which has a field of its own")
    return f"ssl:{address}:{port}"


def _tls(options: ControlOptions, *, passive: bool) -> TlsFiles:
    return TlsFiles(
        private_key=options.certificate,
        certificate=options.certificate,
        ca_cert=options.installed_ca if passive else options.bootstrapped_ca,
        bootstrap=not passive,
    )


def _parse_place(text: str) -> tuple[str, int | None]:
    """An address as OVS's connection methods write it, and the port where the text names one.

    Raises:
        InputError: neither an address nor a host name. Blanks and a shell's characters never pass.
    """
    if _is_ipv6(text):
        return f"[{text}]", None
    found = _WITH_PORT.fullmatch(text)
    host, port = (found["host"], parse_integer(found["port"], 1, _MAX_PORT)) if found else (text, None)
    if host.startswith("[") and host.endswith("]") and _is_ipv6(host[1:-1]):
        return host, port
    if _is_ipv4(host) or _HOST_NAME.fullmatch(host):
        return host, port
    raise InputError(f"{shown(text)} is neither an address nor a host name")


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    """Whether it is an IPv6 address; one with a zone is not: OVS takes the zone, but a pool has no device names."""
    try:
        return ipaddress.IPv6Address(text).scope_id is None
    except ValueError:
        return False


# --- management, bridges and bonds -----------------------------------------------------------------------------------


def _management_device(scene: Scene) -> str:
    pif = management_pif(scene, becoming=None)
    return (scene.snapshot.bridge_of(pif) or pif.device) if pif is not None else scene.host.management_bridge


def _bridges(scene: Scene, notes: Notes) -> dict[str, BridgeControl]:
    found: dict[str, BridgeControl] = {}
    for network in sorted(scene.snapshot.networks.values(), key=lambda network: network.bridge):
        if not network.bridge:
            continue
        if network.ref in scene.unusable_bridges:
            notes.warn("pass_over_bridge", network.bridge, scene.unusable_bridges[network.ref])
            continue
        found[network.bridge] = _bridge(scene, network, notes)
    return found


def _bridge(scene: Scene, network: Network, notes: Notes) -> BridgeControl:
    pif = _pif_of_bridge(scene.snapshot, network)
    other_config = _other_config(scene, pif, network.bridge, notes) if pif is not None else {}
    return BridgeControl(
        fail_mode=choose_fail_mode(network.bridge, pif, network, scene.snapshot.pool, notes),
        disable_in_band=choose_disable_in_band(network.bridge, network, notes),
        other_config={key: value for key, value in other_config.items() if key != _IN_BAND},
    )


def _pif_of_bridge(snapshot: Snapshot, network: Network) -> Pif | None:
    """The PIF whose real bridge this is; None on an internal network, and for a VLAN, whose bridge is no real one."""
    pifs = [snapshot.pifs[ref] for ref in network.pifs if ref in snapshot.pifs]
    pifs = pifs or [pif for pif in snapshot.pifs.values() if pif.network == network.ref]
    own = [pif for pif in pifs if not is_tagged(pif) and not snapshot.is_sriov_logical(pif)]
    return own[0] if len(own) == 1 else None


def _other_config(scene: Scene, pif: Pif, bridge: str, notes: Notes) -> Keys:
    try:
        return real_bridge(scene, pif, bridge, None, notes).other_config
    except InputError as error:
        notes.warn("pass_over_bridge_settings", bridge, error.cause)
        return {}


def _bond_keys(scene: Scene, notes: Notes) -> dict[str, Keys]:
    """other_config of each bond's Port; its other options are columns, which an emer-reset leaves alone."""
    snapshot = scene.snapshot
    keys: dict[str, Keys] = {}
    for pif in snapshot.pifs.values():
        bond = snapshot.bond_of(pif)
        if bond is not None and pif.device:
            keys[pif.device] = bond_options(pif, bond, notes).port_keys
    return keys

"""What a bridge does without its controller, and whether in-band control is off (features.md section 11). Pure.

Read by bridge.py, and by manager.py for bridges without a PIF.
"""

from __future__ import annotations

from xsagent.desired.notes import Notes
from xsagent.desired.scene import Scene
from xsagent.model.records import Network, Pif, Pool
from xsagent.model.values import shown

_FAIL_MODE_KEY = "vswitch-controller-fail-mode"
_IN_BAND_KEY = "vswitch-disable-in-band"
_DEFAULT = "standalone"


def fail_mode(scene: Scene, pif: Pif, bridge: str, notes: Notes) -> str:
    """``standalone`` or ``secure``: the first valid word of the PIF's, network's and pool's other_config."""
    return choose_fail_mode(bridge, pif, scene.network_of(pif), scene.snapshot.pool, notes)


def choose_fail_mode(bridge: str, pif: Pif | None, network: Network, pool: Pool | None, notes: Notes) -> str:
    """As `fail_mode`; for a bridge of an internal network there is no PIF."""
    levels = [("PIF", pif.other_config if pif else {}), ("network", network.other_config)]
    for level, other_config in [*levels, ("pool", pool.other_config if pool else {})]:
        word = other_config.get(_FAIL_MODE_KEY)
        if word in {"standalone", "secure"}:
            if word != _DEFAULT:
                notes.decide("choose_fail_mode", bridge, f"the {level} says {word}")
            return word
        if word is not None:
            notes.warn(
                "pass_over_fail_mode", bridge, f"{_FAIL_MODE_KEY} of the {level}: {shown(word)} is not a fail mode"
            )
    return _DEFAULT


def disable_in_band(scene: Scene, pif: Pif, bridge: str, notes: Notes) -> str | None:
    """Bridge.other_config:disable-in-band; None when the key must be absent, also for a word that is none (F30)."""
    return choose_disable_in_band(bridge, scene.network_of(pif), notes)


def choose_disable_in_band(bridge: str, network: Network, notes: Notes) -> str | None:
    """As `disable_in_band`, for a network's bridge."""
    word = network.other_config.get(_IN_BAND_KEY)
    if word is None or word in {"true", "false"}:
        return word
    notes.warn("pass_over_disable_in_band", bridge, f"{_IN_BAND_KEY}: {shown(word)} is neither true nor false")
    return None

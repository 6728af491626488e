"""apply/refusals.py: what drivers refused is remembered for as long as the device is there."""

from __future__ import annotations

from pathlib import Path

from xsagent.apply.refusals import read_refusals, remember_refusals
from xsagent.config import Paths


def refuse(paths: Paths, device: str) -> None:
    """A device refused to turn rx off."""
    remember_refusals(paths, device, tried={"rx": False}, refused={"rx": False}, kind="features")


def test_what_a_device_refused_is_remembered_and_forgotten_when_it_takes_it(tmp_path: Path) -> None:
    """By device and value."""
    paths = Paths(tmp_path)

    refuse(paths, "lo")
    assert read_refusals(paths).features == {"lo": {"rx": False}}

    remember_refusals(paths, "lo", tried={"rx": False}, refused={}, kind="features")
    assert read_refusals(paths).features == {}


def test_devices_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    """A host that starts guests for years must not keep a word about each of their devices."""
    paths = Paths(tmp_path)
    for domid in range(3):
        refuse(paths, f"vif{domid}.0")

    refuse(paths, "lo")

    assert set(read_refusals(paths).features) == {"lo"}

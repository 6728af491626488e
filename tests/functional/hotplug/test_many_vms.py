"""150 VMs on the xenstored of XenServer and XCP-ng: what lists more than 4 KiB of names comes in one message there."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from dom0 import FLOWS, KEYS, LOCKED, Dom0, running_dom0, sent
from guest_traffic import own_frames

from xsagent.apply.flows import read_flows
from xsagent.hotplug.survey import read_survey
from xsagent.model.vif import VifId

VMS = 150


@pytest.fixture
def crowded() -> Iterator[Dom0]:
    """A dom0 with the keys of 150 running VMs beside its guest's, and one left from a VM that is gone."""
    with running_dom0("oxenstored") as dom0:
        for domid in range(2, 2 + VMS):
            vm = str(uuid.UUID(int=domid))
            keys = {f"/local/domain/{domid}/vm": f"/vm/{vm}", f"/vm/{vm}/uuid": vm}
            keys |= {f"/local/domain/0/backend/vif/{domid}/0/{key}": "4" for key in ("state", "online")}
            keys |= {
                f"/xapi/{vm}/private/vif/0/bridge": "xenbr0",
                f"/xapi/{vm}/hotplug/{domid}/vif/0/hotplug": "online",
            }
            for path, value in keys.items():
                dom0.write(path, value)
        yield dom0


def test_a_survey_finds_the_devices_of_all(crowded: Dom0) -> None:
    """Those of both kinds of listings, by domain and by VM."""
    crowded.vif("vif", "1", "0", "online")

    survey = read_survey(crowded.store, Path("/sys"), [])

    everyone = {VifId(domid, 0) for domid in range(1, 2 + VMS)}
    assert (survey.backends, survey.online) == (everyone, everyone)


def test_a_vif_is_attached_and_taken_away_after_its_domain(crowded: Dom0) -> None:
    """All VMs are looked through for the key that xenopsd waits for, when the domain no longer names its VM."""
    crowded.vif("vif", "1", "0", "online")
    assert (crowded.bridge_of(), crowded.read(f"{KEYS.hotplug}/hotplug")) == ("xenbr0", "online")

    for gone in ("/local/domain/1", KEYS.backend):
        crowded.remove(gone)
    crowded.vif("vif", "1", "0", "remove")

    assert (crowded.bridge_of(), crowded.read(f"{KEYS.hotplug}/hotplug")) == ("", None)


def test_a_locked_guest_is_locked_again_after_the_switch_restarted(crowded: Dom0) -> None:
    """The resync that puts its flows back comes about."""
    crowded.lock(LOCKED)
    crowded.vif("vif", "1", "0", "online")
    crowded.sandbox.vswitchd.kill()
    crowded.sandbox.vswitchd.start()
    crowded.vsctl("--timeout=20", "wait-until", "Interface", "vif1.0", "ofport>0")

    crowded.resync()

    ofport = int(crowded.vsctl("get", "Interface", "vif1.0", "ofport"))
    assert len(read_flows(crowded.rundir, "xenbr0")[ofport]) == FLOWS
    assert sent(crowded) == set(own_frames())

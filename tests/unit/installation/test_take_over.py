"""Standing in for the host's scripts, and giving their place back byte for byte."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from xsagent.config import Paths
from xsagent.errors import ForeignObjectError, InputError
from xsagent.installation.layout import Profile
from xsagent.installation.record import read_record
from xsagent.installation.take_over import give_back, take_over

LEGACY = {
    "opt/xensource/libexec/interface-reconfigure": "#!/usr/bin/python\nlegacy\n",
    "etc/xensource/scripts/vif": "#!/bin/bash\nlegacy vif\n",
    "usr/libexec/xenopsd/vif-real": "#!/bin/bash\nlegacy vif-real\n",
    "etc/xapi.d/plugins/openvswitch-cfg-update": "#!/usr/bin/python\nlegacy plugin\n",
    "etc/udev/rules.d/xen-backend.rules": 'SUBSYSTEM=="xen-backend", KERNEL=="vif*", RUN+="/x/vif"\nKERNEL=="evtchn"\n',
    "usr/lib/udev/rules.d/65-other.rules": 'SUBSYSTEM=="net", KERNEL=="tap*", RUN+="/x/vif"\n',
}
OURS = {
    "usr/lib/xsagent/initscripts/openvswitch.service": "[Install]\nWantedBy=multi-user.target\n",
    "usr/lib/xsagent/initscripts/openvswitch": "#!/bin/sh\n",
}


@pytest.fixture
def host(tmp_path: Path) -> Paths:
    """A host with the toolstack's own scripts, one of them a link, and our files put beside them."""
    for name, text in (LEGACY | OURS).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o750)
        os.utime(tmp_path / name, (1, 1_000_000))
    (tmp_path / "usr/libexec/xenopsd/vif").symlink_to("../../../etc/xensource/scripts/vif")
    return Paths(tmp_path)


def tree(root: Path) -> dict[str, object]:
    """Every path below a root with what it is: a link's target, a file's content, mode and time, or a folder."""
    found: dict[str, object] = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = (path.read_bytes(), path.stat().st_mode, path.stat().st_mtime)
        elif not name.startswith("var"):
            found[name] = "folder"
    return found


@pytest.mark.parametrize("profile", ["full", "hotplug"])
def test_removal_restores_every_original(host: Paths, profile: Profile) -> None:
    """Content, mode, time, links; and no folder of ours stays."""
    before = tree(host.root)

    assert take_over(host, profile)
    assert tree(host.root) != before
    give_back(host)

    assert tree(host.root) == before


def test_a_second_time_changes_nothing(host: Paths) -> None:
    """Installing again, or an upgrade to a version with the same links."""
    take_over(host, "full")
    before = tree(host.root)

    assert take_over(host, "full") == ()
    assert tree(host.root) == before


def test_our_links_lead_into_the_private_folder_below_any_root(host: Paths) -> None:
    """They are relative, so that an image that is being filled has them right."""
    take_over(host, "full")

    unit = host.below("/etc/systemd/system/openvswitch.service")
    assert unit.resolve() == host.below("/usr/lib/xsagent/initscripts/openvswitch.service").resolve()
    assert unit.read_text() == OURS["usr/lib/xsagent/initscripts/openvswitch.service"]
    assert str(host.below("/etc/systemd/system/xcp-networkd.service").readlink()) == "/dev/null"


def test_another_name_of_the_switch_becomes_one_of_ours(host: Paths) -> None:
    """Debian's openvswitch-switch.service, where it is: others' units may require it, so it is not masked."""
    other, ours = (host.below(f"/etc/systemd/system/openvswitch{end}.service") for end in ("-switch", ""))
    take_over(host, "full")
    assert not other.is_symlink()
    host.below("/usr/lib/systemd/system").mkdir(parents=True)
    host.below("/usr/lib/systemd/system/openvswitch-switch.service").touch()

    take_over(host, "full")

    assert str(other.readlink()) == "openvswitch.service"
    assert other.samefile(ours)
    give_back(host)
    assert not other.is_symlink()


def test_rules_in_usr_lib_are_shadowed_and_those_in_etc_changed(host: Paths) -> None:
    """No second rule for guests' devices is active; all other lines are."""
    take_over(host, "hotplug")

    changed = host.below("/etc/udev/rules.d/xen-backend.rules").read_text().splitlines()
    shadow = host.below("/etc/udev/rules.d/65-other.rules").read_text().splitlines()
    active = [line for line in (*changed, *shadow) if not line.startswith("#")]
    assert active == ['KERNEL=="evtchn"']
    assert (
        host.below("/usr/lib/udev/rules.d/65-other.rules").read_text() == LEGACY["usr/lib/udev/rules.d/65-other.rules"]
    )


def test_a_toolstack_that_is_upgraded_meanwhile_is_taken_over_again(host: Paths) -> None:
    """Its new file becomes the original that removal restores."""
    take_over(host, "full")
    vif, rules = host.below("/etc/xensource/scripts/vif"), host.below("/etc/udev/rules.d/xen-backend.rules")
    for place, text in ((vif, "newer"), (rules, LEGACY["etc/udev/rules.d/xen-backend.rules"] + "# newer\n")):
        place.unlink()
        place.write_text(text)

    assert set(take_over(host, "full")) == {"/etc/xensource/scripts/vif", "/etc/udev/rules.d/xen-backend.rules"}
    give_back(host)

    assert vif.read_text() == "newer"
    assert rules.read_text().endswith("# newer\n")


def test_a_shadowed_rule_file_that_changes_is_shadowed_anew(host: Paths) -> None:
    """Otherwise an upgrade of its owner would never reach udev."""
    take_over(host, "hotplug")
    owner = host.below("/usr/lib/udev/rules.d/65-other.rules")
    owner.write_text(owner.read_text() + 'KERNEL=="new"\n')

    take_over(host, "hotplug")

    assert 'KERNEL=="new"' in host.below("/etc/udev/rules.d/65-other.rules").read_text()
    give_back(host)
    assert not host.below("/etc/udev/rules.d/65-other.rules").exists()


def test_a_rule_file_that_an_admin_edited_keeps_the_edit(host: Paths) -> None:
    """Removal then only puts the two lines back."""
    take_over(host, "hotplug")
    rules = host.below("/etc/udev/rules.d/xen-backend.rules")
    rules.write_text(rules.read_text() + "# an admin's\n")

    give_back(host)

    assert rules.read_text() == LEGACY["etc/udev/rules.d/xen-backend.rules"] + "# an admin's\n"


def test_a_path_that_its_owner_took_back_is_left_alone_at_removal(host: Paths) -> None:
    """And the older original does not come back over it."""
    take_over(host, "full")
    place = host.below("/opt/xensource/libexec/interface-reconfigure")
    place.unlink()
    place.write_text("someone's")

    give_back(host)

    assert place.read_text() == "someone's"


def test_from_full_to_hotplug_gives_back_what_hotplug_does_not_have(host: Paths) -> None:
    """The profile is a choice that can be changed."""
    take_over(host, "full")
    take_over(host, "hotplug")

    place = host.below("/opt/xensource/libexec/interface-reconfigure")
    assert place.read_text() == LEGACY["opt/xensource/libexec/interface-reconfigure"]
    assert not os.path.lexists(host.below("/etc/systemd/system/xcp-networkd.service"))
    assert read_record(host).profile == "hotplug"


def test_a_failure_gives_back_what_was_taken_before_it(host: Paths) -> None:
    """Here: a folder where XAPI's plugin should be."""
    plugin = host.below("/etc/xapi.d/plugins/openvswitch-config-update")
    plugin.mkdir()
    before = tree(host.root)

    with pytest.raises(ForeignObjectError, match="openvswitch-config-update is a directory"):
        take_over(host, "full")

    assert tree(host.root) == before
    assert read_record(host).profile == ""


def test_a_record_that_cannot_be_read_stops_everything(host: Paths) -> None:
    """Nothing is given back by guessing."""
    take_over(host, "full")
    record = host.state_dir / "installation.json"
    record.write_text(json.dumps({"profile": "full", "links": []}))
    before = tree(host.root)

    with pytest.raises(InputError, match="cannot be understood"):
        give_back(host)

    assert tree(host.root) == before

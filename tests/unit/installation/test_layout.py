"""Which paths of a host each profile stands in for, and what our scripts begin with."""

from __future__ import annotations

import pytest

from xsagent.installation.layout import LIBRARY, links, render_command, with_interpreter

UNITS = {
    "xsagentd.service": "[Install]\nWantedBy=multi-user.target\n",
    "openvswitch.service": "[Install]\nWantedBy=multi-user.target xapi.service\nRequiredBy=network.target\n",
    "openvswitch": "#!/bin/sh\n",
    "openvswitch.sysconfig": "# no script\n",
}


def test_hotplug_leaves_topology_and_boot_to_networkd() -> None:
    """Neither interface-reconfigure nor a unit of the boot nor the mask of xcp-networkd is among its links."""
    paths = {link.path for link in links("hotplug", UNITS)}

    assert "/etc/xensource/scripts/vif" in paths
    assert {"/etc/xapi.d/plugins/openvswitch-cfg-update", "/etc/xapi.d/plugins/openvswitch-config-update"} <= paths
    assert "/opt/xensource/libexec/interface-reconfigure" not in paths
    assert "/etc/systemd/system/openvswitch.service" not in paths
    assert "/etc/systemd/system/xcp-networkd.service" not in paths


def test_full_has_all_of_hotplug_and_the_topology() -> None:
    """interface-reconfigure, the boot's units and scripts, and xcp-networkd masked."""
    full, hotplug = ({link.path: link.target for link in links(name, UNITS)} for name in ("full", "hotplug"))

    assert hotplug.items() <= full.items()
    assert full["/opt/xensource/libexec/interface-reconfigure"] == f"{LIBRARY}/bin/interface-reconfigure"
    assert full["/etc/systemd/system/xcp-networkd.service"] == "/dev/null"
    assert full["/etc/init.d/openvswitch"] == f"{LIBRARY}/initscripts/openvswitch"
    assert "/etc/init.d/openvswitch.sysconfig" not in full


def test_units_are_enabled_as_their_install_section_says() -> None:
    """The links are those that `systemctl enable` makes."""
    paths = {link.path for link in links("full", UNITS)}

    assert {
        "/etc/systemd/system/xsagentd.service",
        "/etc/systemd/system/multi-user.target.wants/xsagentd.service",
        "/etc/systemd/system/xapi.service.wants/openvswitch.service",
        "/etc/systemd/system/network.target.requires/openvswitch.service",
    } <= paths


def test_no_path_has_two_links() -> None:
    """One path, one meaning."""
    paths = [link.path for link in links("full", UNITS)]

    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("#!/usr/bin/python3 -I\nx\n", "#!/usr/bin/python3.11 -I\nx\n"),
        ("#!/usr/bin/python3\nx", "#!/usr/bin/python3.11\nx"),
        ("#!/usr/bin/env python3\nx\n", "#!/usr/bin/env python3\nx\n"),
        ("#!/bin/sh\nx\n", "#!/bin/sh\nx\n"),
        ("no script", "no script"),
    ],
)
def test_a_python_script_names_the_hosts_interpreter(before: str, after: str) -> None:
    """Its flags stay; what is no Python script is not touched."""
    assert with_interpreter(before, "/usr/bin/python3.11") == after


def test_a_command_finds_its_package_and_ignores_pythons_variables() -> None:
    """-I: no PYTHONPATH of the caller's gets between a command and its package."""
    text = render_command("xsagent", "xsagent.cli.main:main")

    assert text.startswith("#!/usr/bin/python3 -IS\n")
    assert "from xsagent.cli.main import main" in text
    assert "    end(main())\n" in text
    compile(text, "xsagent", "exec")

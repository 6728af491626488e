"""cli/reconfigure_options.py: every combination rule of interface-reconfigure's command line."""

import pytest

from xsagent.cli.reconfigure_options import parse_options
from xsagent.errors import UsageError

REFUSED = [
    [],
    ["up"],
    ["down"],
    ["frobnicate"],
    ["--pif-uuid", "x", "up", "down"],
    ["--pif-uuid", "x"],
    ["--session", "s", "up"],
    ["--pif", "p", "up"],
    ["--session", "s", "--pif", "p", "--pif-uuid", "x", "up"],
    ["--force", "xenbr0", "--pif-uuid", "x", "up"],
    ["--force", "xenbr0", "--session", "s", "--pif", "p", "up"],
    ["--force", "xenbr0"],
    ["--force", "xenbr0", "up", "--mode=dhcp"],
    ["--mode=dhcp", "rewrite"],
    ["--pif-uuid", "x", "rewrite"],
    ["--session", "s", "--pif", "p", "rewrite"],
    ["--force", "xenbr0", "rewrite"],
    ["--force", "xenbr0", "rewrite", "--device=eth0", "--mac=aa"],
    ["--force", "xenbr0", "rewrite", "--device=eth0", "--mac=aa", "--mode=weird"],
    ["--force", "xenbr0", "rewrite", "--device=eth0", "--mac=aa", "--mode=static", "--ip=192.0.2.1"],
    ["--force", "xenbr0", "rewrite", "--device=eth0", "--mac=aa", "--mode-v6=static"],
    ["--force-interface", "all", "down"],
    ["--no-such-option", "up"],
    ["--pif-uuid"],
    ["--force=xenbr0", "--help=x", "up"],
    ["--pif-uuid=\udcff", "up"],
    ["--force", "xen\udcff", "up"],
    ["\udcff"],
]


@pytest.mark.parametrize("argv", REFUSED, ids=lambda argv: ascii(" ".join(argv)))
def test_a_broken_rule_is_a_usage_error(argv: list[str]) -> None:
    """A command line that breaks a rule of features.md section 1 is refused with a sentence."""
    with pytest.raises(UsageError) as refused:
        parse_options(argv)

    assert str(refused.value)
    assert refused.value.exit_code == 2


def test_options_may_follow_the_action_and_be_abbreviated() -> None:
    """GNU getopt's habits hold: xapi and scripts rely on them."""
    options = parse_options(["up", "--pif-uu", "abc", "--manage"])

    assert (options.action, options.pif_uuid, options.management) == ("up", "abc", True)


def test_both_spellings_of_force_and_of_rewrite_are_one() -> None:
    """--force and --force-interface, rewrite and rewrite-configuration mean the same."""
    arguments = ["--device=eth0", "--mac=x", "--mode=dhcp"]

    assert parse_options(["--force", "b", "rewrite", *arguments]) == parse_options(
        ["--force-interface", "b", "rewrite-configuration", *arguments]
    )


def test_rewrite_carries_the_address_options() -> None:
    """What the emergency reset passes arrives by option name."""
    options = parse_options(["--force", "b", "rewrite", "--device=eth0", "--mac=x", "--mode=dhcp", "--vlan=5"])

    assert options.rewrite == {"device": "eth0", "mac": "x", "mode": "dhcp", "vlan": "5"}


def test_help_and_version_need_nothing_else() -> None:
    """--help and --version win over every rule."""
    assert parse_options(["up", "--help"]).help
    assert parse_options(["--version"]).version

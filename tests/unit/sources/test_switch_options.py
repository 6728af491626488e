"""/etc/sysconfig/openvswitch, executed by nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from xsagent.config import Paths
from xsagent.model.switch_start import SwitchOptions
from xsagent.sources.switch_options import parse_switch_options, read_switch_options

TEMPLATE = Path(__file__).parents[3] / "initscripts/openvswitch.sysconfig"


def parse(text: str) -> SwitchOptions:
    """The options in a text."""
    return parse_switch_options(text, "FILE")


def test_the_template_says_the_defaults() -> None:
    """As it stands, and with each line of it made to count."""
    text = TEMPLATE.read_text()
    active = "".join(
        line.removeprefix("# ") for line in text.splitlines(keepends=True) if line.startswith("# ") and "=" in line
    )

    assert parse(text) == SwitchOptions()
    assert parse(active) == SwitchOptions()
    assert active.count("\n") >= 5


def test_each_key_counts() -> None:
    """With quotes or without; the last of a name wins, as for a shell."""
    options = parse(
        "FORCE_COREFILES=no\nOVSDB_SERVER_PRIORITY='0'\nVSWITCHD_PRIORITY=\"5\"\nVSWITCHD_MLOCKALL=yes\n"
        "VSWITCHD_MLOCKALL=no\nOVS_CTL_OPTS='--ovs-user=ovs:ovs --no-self-confinement'\n"
    )

    assert options == SwitchOptions(
        force_corefiles=False,
        ovsdb_priority=0,
        vswitchd_priority=5,
        mlockall=False,
        ctl_options=("--ovs-user=ovs:ovs", "--no-self-confinement"),
    )


@pytest.mark.parametrize(
    "line",
    [
        "FORCE_COREFILES=perhaps",
        "OVSDB_SERVER_PRIORITY=-21",
        "VSWITCHD_PRIORITY=20",
        "VSWITCHD_PRIORITY=1e1",
        "VSWITCHD_MLOCKALL=$(reboot)",
    ],
)
def test_a_bad_value_is_a_warning_and_its_default(line: str) -> None:
    """The warning names key and file."""
    options = parse(line)

    assert options == SwitchOptions(warnings=options.warnings)
    assert len(options.warnings) == 1
    assert options.warnings[0].startswith(f"{line.partition('=')[0]} in FILE: ")


@pytest.mark.parametrize(
    "word", ["reboot", ";reboot", "--a;reboot=1", "--delete-bridges", "--db-file=/x", "--A=1", "-h", "--help", "`x`"]
)
def test_a_word_that_is_no_option_for_ovs_ctl_is_passed_over(word: str) -> None:
    """ovs-ctl makes a variable of an option's name and evaluates it; what we decide ourselves is not for it either."""
    options = parse(f'OVS_CTL_OPTS="{word} --no-mlockall"')

    assert options.ctl_options == ("--no-mlockall",)
    assert len(options.warnings) == 1


def test_empty_values_and_other_keys_say_nothing() -> None:
    """Keys of other releases among them."""
    assert parse("VSWITCHD_PRIORITY=\nOVSDB_SERVER_PIDFILE=/x\nnonsense\n") == SwitchOptions()


def test_no_file_is_an_empty_one(tmp_path: Path) -> None:
    """Nobody has to write it."""
    assert read_switch_options(Paths(root=tmp_path)) == SwitchOptions()


def test_a_file_that_cannot_be_read_is_a_warning(tmp_path: Path) -> None:
    """The switch starts all the same."""
    paths = Paths(root=tmp_path)
    paths.ovs_sysconfig.mkdir(parents=True)

    (warning,) = read_switch_options(paths).warnings

    assert str(paths.ovs_sysconfig) in warning
    assert warning.endswith("the defaults are used")

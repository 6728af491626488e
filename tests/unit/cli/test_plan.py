"""cli/plan.py: `xsagent plan` from two files, as on a laptop."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from xsagent.cli.main import main
from xsagent.cli.plan import read_observed
from xsagent.errors import InputError
from xsagent.plan.steps import OvsdbStep, Plan
from xsagent.topology.codec import from_json, to_json
from xsagent.topology.values import Link, Topology

CACHE = Path(__file__).parents[1] / "sources" / "data" / "legacy-static.dbcache"
PIF_UUID = "8f56b344-7a40-5153-931f-f330e55d609a"

FRESH_HOST = Topology(links={"eth0": Link(name="eth0", mac="00:1b:21:0a:0b:01", mtu=1500, up=False)})

FIRST_UP = """\
 1. set link eth0 up [management]  # link was down
 2. change Open vSwitch in one transaction of 2 operations [management]  # the switch's configuration
    create bridge xenbr0 fail_mode=standalone mcast_snooping_enable=false other_config:hwaddr=00:1b:21:0a:0b:01 \
other_config:mac-table-size=10000 external_ids:xs-network-uuids=e65a64e7-d3e1-5188-9362-812424459b12
      with port xenbr0 type=internal mtu_request=1500
    add to bridge xenbr0 port eth0 mtu_request=1500
 3. set link xenbr0 mtu 1500 [best effort] [management]  # a new device
 4. set sysctl net/ipv6/conf/xenbr0/accept_ra = 0, net/ipv6/conf/xenbr0/autoconf = 0, \
net/ipv6/conf/xenbr0/disable_ipv6 = 0 [management]  # kernel settings of xenbr0
 5. set link xenbr0 up [management]  # a new device comes up
 6. addresses of xenbr0: add 192.0.2.10/24 [management]  # address is missing
 7. put into resolv.conf: servers 192.0.2.2 192.0.2.3, search example.com lab.example.com  \
# resolv.conf lacks our servers or domains
 8. routes of xenbr0: set default via 192.0.2.1 [management]  # route is missing
 9. announce the addresses of xenbr0 to its neighbours [best effort] [management]  \
# neighbours learn the address at once
10. run update-issue [best effort]  # addresses changed
decided:
  PIF 8f56b344-7a40-5153-931f-f330e55d609a (eth0): choose dns device: it gets DNS: it is management
  PIF 8f56b344-7a40-5153-931f-f330e55d609a (eth0): choose gateway device: it gets the default gateway: it is management
"""


@pytest.fixture
def observed(tmp_path: Path) -> Path:
    """A host before its first `up`, as `xsagent show --json` writes it."""
    return _written(tmp_path, FRESH_HOST)


def _written(folder: Path, topology: Topology) -> Path:
    path = folder / "observed.json"
    path.write_text(json.dumps(to_json(topology)))
    return path


def _argv(observed: Path, *more: str) -> list[str]:
    return ["plan", "--from-dbcache", str(CACHE), "--observed", str(observed), *more]


def test_a_laptop_prints_the_whole_plan_with_reasons(observed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every step, every column, why, and what was decided; nothing on stderr."""
    code = main(_argv(observed, "--force", "xenbr0", "up"))

    assert (code, *capsys.readouterr()) == (0, FIRST_UP, "")


def test_the_pif_may_be_named_by_its_uuid(observed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bridgeless PIF has no bridge to name it by."""
    code = main(_argv(observed, "--pif-uuid", PIF_UUID, "up"))

    assert (code, capsys.readouterr().out) == (0, FIRST_UP)


def test_json_holds_the_plan_and_its_reasons(observed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed as JSON is read back as the same plan."""
    code = main(_argv(observed, "--force", "xenbr0", "--json", "up"))

    form = json.loads(capsys.readouterr().out)
    plan = from_json(Plan, form["plan"])
    assert (code, len(plan.steps)) == (0, 10)
    assert isinstance(plan.steps[1], OvsdbStep)
    assert {reason["event"] for reason in form["reasons"]} == {"choose_dns_device", "choose_gateway_device"}


def test_verbose_shows_the_way_back(observed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --verbose each step has its undo below it."""
    main(_argv(observed, "--force", "xenbr0", "--verbose", "up"))

    assert "    undo: set link eth0 down\n" in capsys.readouterr().out


def test_neither_root_nor_the_hosts_libraries_are_needed(observed: Path) -> None:
    """It runs where pyroute2, ovs, pyudev, XenAPI and structlog are not installed."""
    argv = _argv(observed, "--force", "xenbr0", "up")
    program = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['pyroute2', 'ovs', 'pyudev', 'XenAPI', 'structlog']))\n"
        f"from xsagent.cli.main import main; sys.exit(main({argv!r}))\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout, done.stderr) == (0, FIRST_UP, "")


def test_a_pif_that_is_not_there_is_named(observed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be planned is one sentence, as it would be on the host."""
    code = main(_argv(observed, "--pif-uuid", "no-such-uuid", "up"))

    assert code == 1
    assert capsys.readouterr().err == (
        f"xsagent: no PIF of this host has uuid no-such-uuid ({CACHE}); nothing was changed\n"
    )


def test_what_would_cut_management_off_is_refused_unless_insisted_on(
    observed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same refusal as on the host, and the same way past it."""
    refused = main(_argv(observed, "--force", "xenbr0", "down"))
    sentence = capsys.readouterr().err
    insisted = main(_argv(observed, "--force", "xenbr0", "--even-if-in-use", "down"))

    assert (refused, insisted) == (1, 0)
    assert sentence.startswith(f"xsagent: PIF {PIF_UUID} (eth0) is the management interface; nothing was changed")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is nothing that `xsagent show --json` wrote"),
        ('{"is": "Plan"}', "is nothing that `xsagent show --json` wrote"),
        ('{"bridges": {"a": {"name": 7}}}', "is nothing that `xsagent show --json` wrote"),
        ('{"colour": 1}', "is nothing that `xsagent show --json` wrote"),
    ],
)
def test_a_file_that_is_no_observation_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str
) -> None:
    """Never a traceback, whatever the file holds."""
    observed = tmp_path / "observed.json"
    observed.write_text(text)

    code = main(_argv(observed, "--force", "xenbr0", "up"))

    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"xsagent: the file {observed} {sentence}")


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence names the file."""
    code = main(_argv(tmp_path / "absent", "--force", "xenbr0", "up"))

    assert code == 1
    assert capsys.readouterr().err == f"xsagent: the file {tmp_path}/absent cannot be read: No such file or directory\n"


def test_the_ifcfg_backend_is_known_by_the_files_that_were_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A host with network scripts is planned for as such."""
    files = {"/etc/sysconfig/network-scripts/ifcfg-eth0": "DEVICE=eth0\n"}
    observed = _written(tmp_path, Topology(links=FRESH_HOST.links, files=files))

    main(_argv(observed, "--force", "xenbr0", "up"))

    assert "run ifup xenbr0" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["{}", "[]", "3"])
def test_a_file_that_is_no_host_is_refused(tmp_path: Path, text: str) -> None:
    """An empty host would be planned for: its NICs are not there."""
    path = tmp_path / "host.json"
    path.write_text(text)

    with pytest.raises(InputError, match="nothing that `xsagent show --json` wrote"):
        read_observed(path)

"""Rows of issue 4: a VLAN beside 500 others and beside none, part by part, and 500 VLANs as one boot."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from statistics import median

from host_records import Record, static
from host_state import our_transactions
from rows_keep import GATEWAY, one_host, reset, script_up
from runs import FOLDER, Bench, InsideRun, Run, describe, in_turn, wall
from table import Row
from xapi_host import XapiHost

from xsagent.sandbox.root_prefix import record_uuid

_VLANS = 500
_TIMES = 5
_BOOTS = 3
_SCRIPT_VLANS = 50
"""The script's time grows with the square of their number: it gets fewer, and so do we beside it."""
_BOOT = "VLANs as one boot: --force-interface all"
_TAG = 4000
_PARTS = ("read XAPI", "read bridge names", "read OVSDB", "read host", "decide", "plan", "transaction", "save cache")
_OF_OTHERS = {"read XAPI": "XAPI's answers included", "transaction": "the switch's own reconfiguration included"}


class VlanHost(XapiHost):
    """A host with so many VLANs, all of which a boot brings up, and one more that comes and goes."""

    def __init__(self, vlans: int, *, addressed: bool = False) -> None:
        records, self.carrier = one_host()
        self.bridges = [f"xapi{number + 1}" for number in range(vlans)]
        for number, bridge in enumerate(self.bridges):
            fields = static(f"10.{number // 250}.{number % 250}.2", gateway="") if addressed else {}
            records.vlan("eth0", number + 1, bridge, currently_attached=True, **fields)
        self.vlan: Record = records.vlan("eth0", _TAG, f"xapi{_TAG}")
        super().__init__(records, files={"etc/xensource-inventory": _inventory(["xenbr0", *self.bridges])})

    def render_xapi(self) -> None:
        """XAPI with the records as they are now, its answers ready as those of a XAPI that was asked before."""
        self.restart_xapi().control("render_all")

    def lines(self, count: int) -> str:
        """The first VLANs as baseline-vlans-up.sh reads them."""
        return "".join(
            f"{bridge} xenbr0 {number + 1} {record_uuid(f'network {bridge}')}\n"
            for number, bridge in enumerate(self.bridges[:count])
        )

    def switch_alone(self) -> float:
        """Seconds of a bare transaction for the one more VLAN, until the gateway answers; it is away before and after.

        Both wait for the switch's main loop: in the userspace datapath that forwards the question, too.
        """
        bridge, root = f"xapi{_TAG}", str(self.sandbox.root)
        clock = [sys.executable, str(FOLDER / "switch_clock.py"), root, "xenbr0", bridge, str(_TAG), GATEWAY]
        took = float(self.sandbox.run(clock).stdout)
        self.sandbox.run(["bash", str(FOLDER / "baseline-down.sh"), bridge])
        return took

    def boot_with(self, count: int) -> None:
        """Let the next boot bring up management and the first VLANs."""
        path = self.sandbox.root / "etc/xensource-inventory"
        path.write_text(_inventory(["xenbr0", *self.bridges[:count]]), encoding="utf-8")


def _inventory(bridges: list[str]) -> str:
    return (
        f"INSTALLATION_UUID='{record_uuid('host')}'\nMANAGEMENT_INTERFACE='xenbr0'\n"
        f"MANAGEMENT_ADDRESS_TYPE='IPv4'\nCURRENT_INTERFACES='{' '.join(bridges)}'\n"
    )


def rows() -> Iterator[Row]:
    """All rows of this group."""
    with VlanHost(_VLANS, addressed=True) as addressed:
        yield _boot_with_addresses(addressed)
    with VlanHost(_VLANS) as many, VlanHost(0) as none:
        yield from _boot(many)
        Bench(none.sandbox).ours("--force-interface", "all", "up")
        for host in (many, none):
            host.carrier["currently_attached"] = True
        yield from _one_more(many, none)


def _boot_with_addresses(host: VlanHost) -> Row:
    bench = Bench(host.sandbox)
    host.boot_with(_VLANS)
    mine = bench.ours("--force-interface", "all", "up")
    shown = host.sandbox.run(["ip", "-4", "-br", "address"]).stdout.splitlines()
    there = sum("10." in line for line in shown)
    return Row(
        group=_BOOT, name=f"{_VLANS} VLANs, an address each: whole command", value=mine.wall_s, unit="s", target=5.0,
        note=f"{there} addresses are there",
    )  # fmt: skip


def _boot(host: VlanHost) -> Iterator[Row]:
    bench = Bench(host.sandbox)
    command = ("--force-interface", "all", "up")

    def ours() -> Run:
        reset(host.sandbox)
        return bench.ours(*command)

    def script() -> Run:
        reset(host.sandbox)
        base, vlans = script_up(bench), bench.script("baseline-vlans-up.sh", lines=host.lines(_SCRIPT_VLANS))
        return Run(wall_s=base.wall_s + vlans.wall_s, cpu_s=base.cpu_s + vlans.cpu_s)

    group = _BOOT
    host.boot_with(_SCRIPT_VLANS)
    mine, theirs = in_turn(_BOOTS, ours, script)
    yield Row(
        group=group, name=f"{_SCRIPT_VLANS} VLANs: whole command", value=wall(mine), unit="s", baseline=wall(theirs),
        note=describe(mine),
    )  # fmt: skip
    host.boot_with(_VLANS)
    mine = [ours() for _ in range(_BOOTS)]
    there = len(host.sandbox.run(["ovs-vsctl", "list-br"]).stdout.split())
    yield Row(
        group=group, name=f"{_VLANS} VLANs: whole command", value=wall(mine), unit="s", target=5.0,
        note=f"{there} bridges are there; {describe(mine)}",
    )  # fmt: skip
    reset(host.sandbox)
    before = our_transactions(host.sandbox)
    bench.ours(*command)
    made = our_transactions(host.sandbox) - before
    yield Row(group=group, name=f"{_VLANS} VLANs: transactions", value=made, unit="", target=1)
    again = bench.inside("boot", *command)
    yield Row(
        group=group, name=f"{_VLANS} VLANs again: most memory", value=again.peak_kib / 1024, unit="MB",
        note=f"{again.run_s:.2f} s without process start and imports",
    )  # fmt: skip


def _one_more(many: VlanHost, none: VlanHost) -> Iterator[Row]:
    group = f"VLAN up on an attached PIF, {_VLANS} VLANs there or none"
    beside, alone = _measure(many), _measure(none)
    ups: list[list[InsideRun]] = [[], []]
    for _ in range(_TIMES):
        for up, measure in zip(ups, (beside, alone), strict=True):
            up.append(measure())
    with_many, with_none = (runs[1:] for runs in ups)

    def differ(value: Callable[[InsideRun], float]) -> tuple[float, str]:
        return _compare(median(map(value, with_many)), median(map(value, with_none)))

    more, note = differ(lambda run: run.run_s)
    yield Row(
        group=group, name="more time, process start and imports subtracted", value=more, unit="s", target=0.3, note=note
    )
    more, note = differ(lambda run: run.effect_to_verified_s)
    yield Row(group=group, name="  of which first effect to verified", value=more, unit="s", target=0.025, note=note)
    more, note = _compare(_switch_alone(many), _switch_alone(none))
    note += "; a bare transaction until the gateway answers"
    yield Row(group=group, name="    of which the switch's own", value=more, unit="s", note=note)
    for part in _PARTS:
        more, note = differ(lambda run, part=part: run.part(part))
        calls = max(run.calls(part) for run in with_many)
        note = f"{note}; {_OF_OTHERS[part]}" if part in _OF_OTHERS else note
        yield Row(group=group, name=f"  of which {part} ({calls} times)", value=more, unit="s", note=note)
    more, note = differ(lambda run: run.cpu_s)
    yield Row(group=group, name="more of the processor, the command's process alone", value=more, unit="s", note=note)
    yield from _beside_script(many, group)


def _compare(there: float, not_there: float) -> tuple[float, str]:
    """How many seconds more, and both as a note."""
    return there - not_there, f"{there * 1000:.0f} ms beside {_VLANS}, {not_there * 1000:.0f} ms beside none"


def _switch_alone(host: VlanHost) -> float:
    Bench(host.sandbox).ours("--pif-uuid", str(host.vlan["uuid"]), "down")
    return median(host.switch_alone() for _ in range(_TIMES))


def _measure(host: VlanHost) -> Callable[[], InsideRun]:
    bench = Bench(host.sandbox)
    host.render_xapi()

    def up() -> InsideRun:
        bench.ours("--pif-uuid", str(host.vlan["uuid"]), "down")
        return bench.inside("up", "--pif-uuid", str(host.vlan["uuid"]), "up")

    return up


def _beside_script(host: VlanHost, group: str) -> Iterator[Row]:
    bench, bridge, uuid = Bench(host.sandbox), f"xapi{_TAG}", str(host.vlan["uuid"])
    line = f"{bridge} xenbr0 {_TAG} {record_uuid(f'network {bridge}')}\n"
    bench.ours("--pif-uuid", uuid, "down")
    runs = in_turn(
        _TIMES,
        lambda: bench.ours("--pif-uuid", uuid, "up"),
        lambda: bench.ours("--pif-uuid", uuid, "down"),
        lambda: bench.script("baseline-vlans-up.sh", lines=line),
        lambda: bench.script("baseline-down.sh", bridge),
    )
    for name, mine, theirs in (("up", runs[0], runs[2]), ("down", runs[1], runs[3])):
        yield Row(
            group=group, name=f"VLAN {name} beside {_VLANS}, from XAPI: whole command", value=wall(mine), unit="s",
            baseline=wall(theirs), note=describe(mine),
        )  # fmt: skip

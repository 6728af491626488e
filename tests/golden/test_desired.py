"""Each folder here is a case: a cache, a request, and the Desired that must come out; a new case is a new folder.

    <case>/snapshot.dbcache   the records, as `render_dbcache` writes them
    <case>/request.json       "about": what the case shows; "entry": pif (default), boot or internal; the rest are
                              fields of Request, HostFacts ("host"), BuildOptions ("options") and PlanOptions ("plan")
    <case>/desired.json       the Desired, or {"error": [type, sentence]}
    <case>/observed.json      where the case is about a host that has something already: the host, in the form of
                              `xsagent show --json`
    <case>/plan.txt           then also: the plan as `xsagent plan --verbose` prints it, or the refusal

A PIF is named by its uuid, a network by its reference. With XSAGENT_TEST_REGENERATE=golden the desired.json and
plan.txt files are written instead of compared; look at the difference before it is committed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from xsagent.desired.boot import build_boot_desired
from xsagent.desired.build import build_desired
from xsagent.desired.internal import build_internal_desired
from xsagent.desired.request import BuildOptions, HostFacts, Request
from xsagent.errors import XsagentError
from xsagent.model.records import Ref
from xsagent.model.snapshot import Snapshot
from xsagent.plan.diff import build_plan
from xsagent.plan.options import PlanOptions
from xsagent.plan.render import render_plan
from xsagent.sources.dbcache import parse_dbcache
from xsagent.topology.codec import from_json, to_json
from xsagent.topology.desired import Desired
from xsagent.topology.values import Topology

_HERE = Path(__file__).parent
_CASES = sorted(path.parent.name for path in _HERE.glob("*/request.json"))
_OBSERVED = sorted(path.parent.name for path in _HERE.glob("*/observed.json"))
_REGENERATE = "golden" in os.environ.get("XSAGENT_TEST_REGENERATE", "").split(",")


def _desire(case: Path) -> Desired:
    form: dict[str, Any] = json.loads((case / "request.json").read_text())
    form.pop("about")
    form.pop("plan", None)
    entry, action = form.pop("entry", "pif"), form.pop("action", "up")
    host, options = _host(form.pop("host", {})), BuildOptions(**form.pop("options", {}))
    snapshot = _snapshot(case, form.pop("source", "xapi"))
    if entry == "boot":
        return build_boot_desired(snapshot, host, options).desired
    if entry == "internal":
        return build_internal_desired(snapshot, Ref(form["network"]), action, host, options)
    pif = snapshot.pif_by_uuid(form.pop("pif"))
    return build_desired(snapshot, Request(action=action, pif=pif.ref, **form), host, options)


def _snapshot(case: Path, source: str) -> Snapshot:
    return parse_dbcache((case / "snapshot.dbcache").read_bytes(), source=source)


def _host(form: dict[str, Any]) -> HostFacts:
    """Lists of JSON as the tuples and sets of HostFacts."""
    kinds = {"current_interfaces": tuple, "present_bridges": frozenset, "root_macs": frozenset}
    return HostFacts(**{name: kinds[name](value) if name in kinds else value for name, value in form.items()})


def _outcome(case: Path) -> object:
    try:
        desired = _desire(case)
    except XsagentError as error:
        return {"error": [type(error).__name__, str(error)]}
    # the order of a map's keys is no part of what is wanted, and absent things are a set
    return json.loads(json.dumps(to_json(desired), sort_keys=True))


@pytest.mark.parametrize("name", _CASES)
def test_the_case_gives_what_its_folder_says(name: str) -> None:
    """Compared as JSON, so that a difference reads as what would be done otherwise."""
    case = _HERE / name
    outcome = _outcome(case)
    path = case / "desired.json"
    if _REGENERATE:
        path.write_text(json.dumps(outcome, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        pytest.skip(f"{path.name} of {name} was written, nothing was compared")
    assert outcome == json.loads(path.read_text())


def _plan(case: Path) -> str:
    observed = from_json(Topology, json.loads((case / "observed.json").read_text()))
    options = PlanOptions(**json.loads((case / "request.json").read_text()).get("plan", {}))
    try:
        return render_plan(build_plan(_desire(case), observed, options), verbose=True)
    except XsagentError as error:
        return f"{type(error).__name__}: {error}\n"


@pytest.mark.parametrize("name", _OBSERVED)
def test_the_plan_is_what_its_folder_says(name: str) -> None:
    """Steps, what the transaction relies on, and the undo, as an admin reads them."""
    case = _HERE / name
    path = case / "plan.txt"
    plan = _plan(case)
    if _REGENERATE:
        path.write_text(plan)
        pytest.skip(f"{path.name} of {name} was written, nothing was compared")
    assert plan == path.read_text()


def test_there_are_cases_and_each_says_what_it_shows() -> None:
    """A wrong glob would pass with nothing to do."""
    assert len(_CASES) >= 40
    for name in _CASES:
        form = json.loads((_HERE / name / "request.json").read_text())
        assert form["about"].endswith("."), name
    assert {path.name for path in _HERE.iterdir() if path.is_dir()} - {"__pycache__", "pictures"} == set(_CASES)

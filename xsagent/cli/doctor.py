"""``xsagent doctor``: what is wrong with this host's network, why it matters, and what mends it. Reads only.

Reads everything once (`doctor/read.py`), examines it, prints it. The exit code says how bad it is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping

from xsagent.cli.ask_daemon import NoAnswerError, ask
from xsagent.config import Paths
from xsagent.doctor.examine import examine
from xsagent.doctor.findings import exit_code
from xsagent.doctor.read import read_facts
from xsagent.doctor.render import findings_to_json, render_findings
from xsagent.topology.values import Json

_ASK_S = 3.0


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; 0 for none or information only, 1 with errors, 3 with nothing worse than warnings."""
    paths = Paths.from_environ(arguments.root_prefix, os.environ)
    findings = examine(read_facts(paths, os.environ, _ask_daemon(paths)))
    if arguments.json:
        sys.stdout.write(json.dumps(findings_to_json(findings), indent=1) + "\n")
    else:
        sys.stdout.write(render_findings(findings))
    return exit_code(findings)


def _ask_daemon(paths: Paths) -> Mapping[str, Json] | None:
    """What xsagentd says of itself; None when it does not answer."""
    try:
        code, output, _errors = ask(str(paths.root), "status", [], os.environ, begin_s=_ASK_S)
        status = json.loads(output)
    except (NoAnswerError, ValueError):
        return None
    return status if code == 0 and isinstance(status, dict) else None

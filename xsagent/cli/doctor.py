"""``xsagent doctor``: what is wrong with this host's network, why it matters, and what mends it. Reads only.

Reads everything once (`doctor/read.py`), examines it (pure), prints it. The exit code says how bad it is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys

from xsagent.config import Paths
from xsagent.doctor.examine import examine
from xsagent.doctor.findings import exit_code
from xsagent.doctor.read import read_facts
from xsagent.doctor.render import findings_to_json, render_findings


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; 0 for none or information only, 1 with errors, 3 with nothing worse than warnings."""
    findings = examine(read_facts(Paths.from_environ(arguments.root_prefix, os.environ), os.environ))
    if arguments.json:
        sys.stdout.write(json.dumps(findings_to_json(findings), indent=1) + "\n")
    else:
        sys.stdout.write(render_findings(findings))
    return exit_code(findings)

"""xsagentd's service that follows XAPI, alone in a process: answers ``status``, does ``flush``, ends at ``stop``."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable

from xsagent.config import Paths, read_settings
from xsagent.log import configure
from xsagent.reconcile.xapi_follower import XapiFollower


def main(root: str) -> None:
    """Run until told to stop."""
    paths = Paths.from_environ(root, os.environ)
    configure(syslog=False, level="debug", program="run_follower")
    told: list[str] = []
    follower = XapiFollower(paths, read_settings(paths, os.environ), told.append)
    stop = threading.Event()
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    commands: dict[str, Callable[[], object]] = {
        "status": lambda: {**follower.status(), "told": told, "alive": thread.is_alive()},
        "flush": follower.flush,
    }
    for line in sys.stdin:
        if line.strip() == "stop":
            break
        sys.stdout.write(json.dumps(commands[line.strip()]()) + "\n")
        sys.stdout.flush()
    stop.set()
    follower.flush()
    thread.join()


if __name__ == "__main__":
    main(sys.argv[1])

"""What each command does first: reads the settings, says where its log events go. Reads; before everything else."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from xsagent.config import Paths, Settings, read_settings, read_usable_settings
from xsagent.log import configure, get_logger


def begin(
    program: str, paths: Paths, environ: Mapping[str, str], *, syslog: bool = True, goes_on: bool = False
) -> Settings:
    """The settings; from here on events are logged.

    Args:
        program: as the log, and a warning on stderr, are to name it.
        syslog: False logs to stderr.
        goes_on: for what a host needs whatever stands in xsagent.conf (boot, guests' devices, the way back): what is
            wrong there is said, and has its default.

    Raises:
        InputError: something is wrong in the settings; nothing was changed. Never with `goes_on`.
    """
    settings, wrong = read_usable_settings(paths, environ) if goes_on else (read_settings(paths, environ), ())
    configure(syslog=syslog, level=settings.log_level, program=program, device=paths.below("/dev/log"))
    for sentence in wrong:
        get_logger().warning("use_default", reason=sentence)
        if syslog:
            sys.stderr.write(f"{program}: warning: {sentence}\n")
    return settings

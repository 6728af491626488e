"""How a run that reconfigures ended -> log events, one sentence on stderr, an exit code. Comes after `reconfigure`."""

from __future__ import annotations

import sys

from xsagent.apply.outcome import Applied, Outcome, RolledBack, Stuck, Unverified
from xsagent.log import get_logger


def answer(program: str, outcome: Outcome, *, forced: bool = False) -> int:
    """Log how it ended, tell the user on stderr, and choose the exit code (DESIGN.md section 4).

    Args:
        program: what stands before the sentence.
        forced: ``--force``: a change that could not be verified is a warning.
    """
    logger = get_logger()
    match outcome:
        case Applied(changed=changed, warnings=warnings):
            logger.info("end_run", outcome="applied", changed=changed)
            warn(warnings)
            return 0
        case Unverified(reason=reason, warnings=warnings):
            logger.warning("end_run", outcome="unverified", reason=reason)
            warn(warnings)
            say(program, f"warning: {reason}; it is left in place and keeps trying" if forced else reason)
            return 0 if forced else 1
        case RolledBack(cause=cause, lost=lost):
            logger.error("end_run", outcome="rolled_back", reason=cause, lost="; ".join(lost))
            say(program, outcome.tell("the host"))
        case Stuck(cause=cause, left=left, problems=problems, lost=lost):
            for step, problem in zip(left, problems, strict=True):
                logger.error("undo_left", step=type(step).__name__, subject=getattr(step, "device", ""), reason=problem)
            logger.error("end_run", outcome="stuck", reason=cause, left=len(left), lost="; ".join(lost))
            say(program, outcome.tell())
    return 1


def tell_earlier(program: str, earlier: Applied | RolledBack | None) -> None:
    """Tell the user what finishing an earlier run could not do; the log has it already."""
    if earlier is not None:
        for sentence in earlier.warnings if isinstance(earlier, Applied) else earlier.lost:
            say(program, f"of an earlier run: {sentence}")


def warn(warnings: tuple[str, ...]) -> None:
    """Log what the records or the plan made odd."""
    for warning in warnings:
        get_logger().warning("warn", reason=warning)


def say(program: str, sentence: str) -> None:
    """One line on stderr."""
    print(f"{program}: {' '.join(sentence.split())}", file=sys.stderr)

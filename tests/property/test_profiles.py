"""What the profiles promise: the short one is the same in every run, the long one searches anew."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st


def drawn(profile: str) -> list[int]:
    """Examples that a property test sees under a profile, in one run of it."""
    seen: list[int] = []

    @settings(settings.get_profile(profile), max_examples=10, database=None)
    @given(st.integers(0, 2**64))
    def note(number: int) -> None:
        seen.append(number)

    note()
    return seen


def test_short_runs_search_the_same_examples() -> None:
    """What passes once in CI does not fail in the next run of the same commit."""
    assert drawn("short") == drawn("short")


def test_each_long_run_searches_anew() -> None:
    """Also in a CI, for which Hypothesis has a default of its own."""
    assert drawn("long") != drawn("long")

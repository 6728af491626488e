"""What the property tests searched, counted for the summary at the end of the run (tests/conftest.py sums it up)."""

from __future__ import annotations

from collections import Counter

TALLY: Counter[str] = Counter()
"""Numbers of what was generated and done, by name."""

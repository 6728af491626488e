"""Attributes of netlink messages: taken apart, put together, cut off, nonsense."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xsagent.observed.rtnetlink import attribute, parse_attributes

VALUES = st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=40)), max_size=8)


@given(VALUES)
def test_attributes_are_read_as_they_were_written(values: list[tuple[int, bytes]]) -> None:
    """Whatever their length: each begins at a multiple of four bytes."""
    data = b"".join(attribute(kind, value) for kind, value in values)

    assert len(data) % 4 == 0
    assert parse_attributes(data) == dict(values)


@given(VALUES, st.sets(st.integers(0, 0x3FFF)))
def test_only_what_is_wanted_is_kept(values: list[tuple[int, bytes]], wanted: set[int]) -> None:
    """The others are stepped over."""
    wanted |= {kind for kind, _value in values[::2]}
    data = b"".join(attribute(kind, value) for kind, value in values)

    assert parse_attributes(data, wanted) == {kind: value for kind, value in values if kind in wanted}


@given(VALUES, st.integers(0, 60))
def test_what_is_cut_off_is_dropped(values: list[tuple[int, bytes]], cut: int) -> None:
    """The whole ones before it are kept."""
    data = b"".join(attribute(kind, value) for kind, value in values)

    left = data[: max(0, len(data) - cut)]
    ends = [
        sum(len(attribute(*value)) for value in values[:number]) + 4 + len(values[number][1])
        for number in range(len(values))
    ]

    assert parse_attributes(left) == dict(value for value, end in zip(values, ends, strict=True) if end <= len(left))


@given(st.binary(max_size=80))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    """A length of nothing or of more than there is ends the list."""
    assert all(len(value) <= len(data) for value in parse_attributes(data).values())


def test_flags_in_a_type_are_no_part_of_its_number() -> None:
    """NLA_F_NESTED and NLA_F_NET_BYTEORDER are the two upper bits."""
    assert parse_attributes(attribute(0x8000 | 18, b"x")) == {18: b"x"}

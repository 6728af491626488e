"""resolv.conf: read, merged from several sources, written with foreign lines left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsagent.topology.resolv_conf import guess_static, merge_sources, parse_resolv_conf, render_resolv_conf
from xsagent.topology.values import Resolver

TEXT = """\
# kept by hand
options timeout:1 rotate
search old.example
nameserver 192.0.2.1
nameserver 192.0.2.2
sortlist 192.0.2.0
"""
NONE = Resolver()


def resolver(*servers: str, search: tuple[str, ...] = ()) -> Resolver:
    """Servers and search domains."""
    return Resolver(servers=servers, search=search)


def test_servers_and_search_are_read() -> None:
    """Each server once, in order; of several search or domain lines the last counts (resolv.conf(5))."""
    text = TEXT + "nameserver 192.0.2.1\ndomain new.example\n"

    assert parse_resolv_conf(text) == resolver("192.0.2.1", "192.0.2.2", search=("new.example",))


def test_foreign_lines_stay_where_they_are() -> None:
    """Options, comments and unknown words are not ours."""
    written = render_resolv_conf(TEXT, resolver("192.0.2.9", search=("a.example", "b.example")))

    assert written == (
        "# kept by hand\noptions timeout:1 rotate\nsearch a.example b.example\nnameserver 192.0.2.9\n"
        "sortlist 192.0.2.0\n"
    )


def test_an_equal_list_leaves_the_text_as_it_is() -> None:
    """Not even blanks change."""
    text = TEXT.replace("nameserver 192", "nameserver\t192") + "\n\n"

    assert render_resolv_conf(text, parse_resolv_conf(text)) == text


def test_an_empty_file_gets_both() -> None:
    """Search before servers."""
    assert render_resolv_conf("", resolver("192.0.2.1", search=("a.example",))) == (
        "search a.example\nnameserver 192.0.2.1\n"
    )


@pytest.mark.parametrize(
    ("static", "leased", "learnt", "present", "merged"),
    [
        (resolver("192.0.2.1"), [resolver("192.0.2.7")], NONE, NONE, ("192.0.2.1",)),
        (resolver("192.0.2.1"), [resolver("2001:db8::7")], NONE, NONE, ("192.0.2.1", "2001:db8::7")),
        (resolver("2001:db8::1"), [resolver("192.0.2.7")], NONE, NONE, ("2001:db8::1", "192.0.2.7")),
        (NONE, [resolver("192.0.2.7")], resolver("2001:db8::9"), NONE, ("192.0.2.7", "2001:db8::9")),
        (NONE, [resolver("2001:db8::7")], resolver("2001:db8::9"), NONE, ("2001:db8::7",)),
        (NONE, [], NONE, resolver("192.0.2.5"), ("192.0.2.5",)),
        (NONE, [resolver("192.0.2.7"), resolver("192.0.2.7", "2001:db8::7")], NONE, NONE, ("192.0.2.7", "2001:db8::7")),
    ],
)
def test_static_goes_before_dhcp_before_routers_for_each_family(
    static: Resolver, leased: list[Resolver], learnt: Resolver, present: Resolver, merged: tuple[str, ...]
) -> None:
    """And an empty result never takes the place of a working list."""
    assert merge_sources(static, leased, learnt, present).servers == merged


def test_what_no_lease_accounts_for_is_taken_for_static() -> None:
    """A lease's family is the lease's; the other family and the search domains stay."""
    present = resolver("192.0.2.5", "2001:db8::5", search=("mine.example",))
    leased = [resolver("192.0.2.7", search=("lease.example",))]

    static = guess_static(leased, present)

    assert static == resolver("2001:db8::5", search=("mine.example",))
    assert merge_sources(static, leased, NONE, present) == resolver(
        "2001:db8::5", "192.0.2.7", search=("mine.example",)
    )


LINES = st.sampled_from(
    ["# c", "options x", "nameserver 192.0.2.1", "nameserver ::1", "search a b", "domain d", "", "x"]
)
RESOLVERS = st.builds(
    Resolver,
    servers=st.lists(st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1"]), unique=True).map(tuple),
    search=st.lists(st.sampled_from(["a.example", "b.example"]), unique=True).map(tuple),
)


@given(st.lists(LINES).map("\n".join), RESOLVERS)
def test_what_is_written_is_read_back_and_foreign_lines_survive(text: str, wanted: Resolver) -> None:
    """Written twice it does not change again."""
    written = render_resolv_conf(text, wanted)

    assert parse_resolv_conf(written) == wanted
    assert render_resolv_conf(written, wanted) == written
    foreign = [line for line in text.splitlines() if line in {"# c", "options x", "x"}]
    assert [line for line in written.splitlines() if line in {"# c", "options x", "x"}] == foreign

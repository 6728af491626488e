"""sources/xapi_manager.py: the SDN_controller record off the wire."""

from __future__ import annotations

import pytest

from xsagent.errors import InputError
from xsagent.model.records import Ref
from xsagent.model.sdn_controller import SdnController
from xsagent.sources.xapi_manager import parse_sdn_controller

REF = Ref("OpaqueRef:c")


def test_every_field_is_read() -> None:
    """As in wire.md section 5; a port may already be a number."""
    raw = {"uuid": "e0", "protocol": "pssl", "address": "192.0.2.9", "port": 6641, "other": {}}

    assert parse_sdn_controller(REF, raw) == SdnController(
        ref=REF, uuid="e0", protocol="pssl", address="192.0.2.9", port="6641"
    )


def test_what_is_missing_has_a_default() -> None:
    """Protocol ssl and its own port; without uuid the reference names the record."""
    assert parse_sdn_controller(REF, {"address": "a"}) == SdnController(ref=REF, uuid=str(REF), address="a", port="0")


@pytest.mark.parametrize(("name", "value"), [("address", ["a"]), ("port", True), ("protocol", {}), ("uuid", None)])
def test_a_field_of_another_form_is_refused(name: str, value: object) -> None:
    """The record cannot be passed over: that would be "no controller"."""
    with pytest.raises(InputError, match=f"{name} is"):
        parse_sdn_controller(REF, {"address": "a", name: value})

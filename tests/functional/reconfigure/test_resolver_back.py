"""resolv.conf after a change to DHCP that was taken back: what was there before, whatever the lease named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from host_records import DHCP, HostRecords, static
from host_state import reconfigure, spec_for, succeed

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.root_prefix import record_ref
from xsagent.sandbox.spec import default_segments

SEGMENT, *OTHERS = default_segments()
LEASED_SERVER, LEASED_DOMAIN = "192.0.2.1", f"{SEGMENT.name}.example"


def managed(**fields: object) -> HostRecords:
    """Management on eth0."""
    records = HostRecords()
    records.nic("eth0", management=True, **{**static("192.0.2.10"), **fields})
    return records


@pytest.mark.parametrize(
    ("servers", "domain"),
    [
        ("192.0.2.5", ""),
        (f"{LEASED_SERVER},192.0.2.5", ""),
        (LEASED_SERVER, LEASED_DOMAIN),
    ],
)
def test_what_was_static_is_back_though_the_lease_named_it_too(servers: str, domain: str) -> None:
    """Servers and search domains of the network that failed are gone, its client's and nobody's else."""
    before = managed(DNS=servers, other_config={"domain": domain} if domain else {})
    after = managed(**DHCP, DNS="")
    failing = replace(SEGMENT, dhcp=True, dhcp_options=("option:router,192.0.2.99",))
    with Sandbox(spec_for(before, segments=(failing, *OTHERS))) as sandbox:
        succeed(sandbox, "--force", "xenbr0", "up")
        resolv_conf = sandbox.root / "etc/resolv.conf"
        text = resolv_conf.read_text()
        assert servers.rsplit(",", maxsplit=1)[-1] in text
        (sandbox.root / "var/xapi/network.dbcache").write_text(after.as_dbcache())

        uuid = after.classes["PIF"][record_ref("pif eth0")]["uuid"]
        hurry = {"XSAGENT_DEADMAN_S": "5", "XSAGENT_XAPI_DEADLINE_S": "1"}
        done = reconfigure(sandbox, "--pif-uuid", uuid, "up", env=hurry)

        assert "the host is as it was before" in done.stderr
        assert resolv_conf.read_text() == text

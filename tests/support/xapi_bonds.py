"""XAPI's Bond.create and Bond.destroy, call by call: the records between two calls are as XAPI has them then.

The order is that of xapi_bond.ml, the marks of what is attached are those of nm.ml (xen-api): a carrier that comes up
below a VLAN is not marked, nor is a bond that goes because of one.
"""

from __future__ import annotations

from collections.abc import Callable

from host_records import NULL, HostRecords, Record
from host_state import ports_of, reconfigure, vsctl
from xapi_host import XapiHost

from xsagent.sandbox.root_prefix import record_ref, record_uuid

_CONFIGURATION = ("ip_configuration_mode", "IP", "netmask", "gateway", "DNS")
_NO_CONFIGURATION = {"ip_configuration_mode": "None", "IP": "", "netmask": "", "gateway": "", "DNS": ""}


class PifConfigurationError(Exception):
    """XAPI's word for an interface-reconfigure that failed: what it was about to do next it does not do."""


class XapiBonds:
    """XAPI at work on bonds.

    Attributes:
        vifs: plugged VIFs, each with the bridge of its network.
        after_call: what a test looks at after each interface-reconfigure; it is given the words of the call.
    """

    def __init__(self, host: XapiHost, vifs: dict[str, str], after_call: Callable[[str], None]) -> None:
        self.host = host
        self.vifs = vifs
        self.after_call = after_call
        self.records: HostRecords = host.records
        self.pifs = host.records.classes["PIF"]

    # --- what Nm does ------------------------------------------------------------------------------------

    def up(self, ref: str, *options: str) -> None:
        """Nm.bring_pif_up."""
        pif = self.pifs[ref]
        for bond in pif["bond_master_of"]:
            for member in self.records.classes["Bond"][bond]["slaves"]:
                self.pifs[member]["currently_attached"] = False
        self._call("up", ref, *options)
        pif["currently_attached"] = True
        if pif["bond_slave_of"] != NULL:
            self.pifs[self.records.classes["Bond"][pif["bond_slave_of"]]["master"]]["currently_attached"] = False

    def down(self, ref: str) -> None:
        """Nm.bring_pif_down."""
        self._call("down", ref)
        self.pifs[ref]["currently_attached"] = False

    def _call(self, action: str, ref: str, *options: str) -> None:
        session = self.host.restart_xapi().control("open_session", originator="xapi")
        words = ["--session", session, "--pif", ref, action, *options]
        done = reconfigure(self.host.sandbox, "--no-syslog", *words, env={"XSAGENT_DEADMAN_S": "5"})
        pif = self.pifs[ref]
        said = " ".join([action, pif["device"], pif["VLAN"], *options])
        if done.returncode:
            raise PifConfigurationError(f"{said}: {done.stderr}")
        assert done.stdout == "", f"{said}: {done.stdout}"
        self.after_call(said)

    # --- Bond.create, Bond.destroy -----------------------------------------------------------------------

    def create(self, device: str, members: list[str], bridge: str) -> None:
        """Bond.create over NICs, the first of which has what the bond is to have."""
        refs = [record_ref(f"pif {member}") for member in members]
        vlans = [self._vlan(vlan) for ref in refs for vlan in self.pifs[ref]["VLAN_slave_of"]]
        attached = {ref: self.pifs[ref]["currently_attached"] for ref in refs}
        self.records.bond(device, members, bridge, mode="active-backup")
        for ref in refs:
            self.pifs[ref]["currently_attached"] = attached[ref]
        bond = record_ref(f"pif {device}")
        is_on_vlan = any(self.pifs[vlan]["management"] for vlan in vlans)
        self._move_configuration(refs[0], bond)
        if self.pifs[refs[0]]["management"]:
            self._move_management(bond)
        elif not is_on_vlan:
            self.up(bond)
        for vlan in vlans:
            self._move_vlan(bond, vlan)
        if is_on_vlan:
            self.up(bond)
        self._move_vifs(self.records.network_of(self.pifs[refs[0]])["bridge"], bridge)

    def destroy(self, device: str) -> None:
        """Bond.destroy: the Bond record goes last."""
        bond, record = record_ref(f"pif {device}"), self.records.bond_of(device)
        members, primary, was_plugged = record["slaves"], record["primary_slave"], self.pifs[bond]["currently_attached"]
        vlans = [self._vlan(vlan) for vlan in self.pifs[bond]["VLAN_slave_of"]]
        is_on_vlan = any(self.pifs[vlan]["management"] for vlan in vlans)
        self._move_configuration(bond, primary)
        if self.pifs[bond]["management"]:
            self._move_management(primary)
            for member in members:
                if member != primary:
                    self.up(member)
        elif was_plugged and not is_on_vlan:
            self._up_all(members)
        for vlan in vlans:
            self._move_vlan(primary, vlan)
        if is_on_vlan:
            self._up_all(members)
        bridges = [self.records.network_of(self.pifs[ref])["bridge"] for ref in (bond, primary)]
        self._move_vifs(*bridges)
        self._forget(bond)
        del self.records.classes["Bond"][record_ref(f"bond {device}")]
        for member in members:
            self.pifs[member]["bond_slave_of"] = NULL

    def _up_all(self, refs: list[str]) -> None:
        for ref in refs:
            self.up(ref)

    def _vlan(self, ref: str) -> str:
        return str(self.records.classes["VLAN"][ref]["untagged_PIF"])

    def _move_configuration(self, source: str, target: str) -> None:
        self.pifs[target].update({key: self.pifs[source][key] for key in _CONFIGURATION})
        self.pifs[source].update(_NO_CONFIGURATION)

    def _move_management(self, target: str) -> None:
        self.up(target, "--management")
        for ref, pif in self.pifs.items():
            pif["management"] = ref == target

    def _move_vlan(self, carrier: str, old: str) -> None:
        """The VLAN's PIF is destroyed and made anew on the other carrier, on the same network.

        Where the carrier has the tag already, VIFs and IP configuration go to that PIF.
        """
        before: Record = self.pifs[old]
        bridge = self.records.network_of(before)["bridge"]
        was_plugged = before["currently_attached"]
        if was_plugged and not before["management"]:
            self.down(old)
        new = self._vlan_with_tag(carrier, before["VLAN"])
        if new is None:
            device, tag = self.pifs[carrier]["device"], int(before["VLAN"])
            self.records.vlan(device, tag, bridge)["MAC"] = "fe:ff:ff:ff:ff:ff"
            new = record_ref(f"pif {device}.{tag}")
        else:
            self._move_vifs(bridge, self.records.network_of(self.pifs[new])["bridge"])
        self._move_configuration(old, new)
        self._forget(old)
        if not was_plugged:
            return
        if before["management"]:
            self._move_management(new)
        else:
            self.up(new)
        self._move_vifs(bridge, bridge)

    def _vlan_with_tag(self, carrier: str, tag: str) -> str | None:
        vlans = map(self._vlan, self.pifs[carrier]["VLAN_slave_of"])
        return next((vlan for vlan in vlans if self.pifs[vlan]["VLAN"] == tag), None)

    def _forget(self, ref: str) -> None:
        pif = self.pifs.pop(ref)
        self.records.network_of(pif)["PIFs"].remove(ref)
        vlan = self.records.classes["VLAN"].pop(pif["VLAN_master_of"], None)
        if vlan is not None:
            self.pifs[vlan["tagged_PIF"]]["VLAN_slave_of"].remove(pif["VLAN_master_of"])

    def _move_vifs(self, source: str, target: str) -> None:
        """VIF.move, as the hotplug script does it: a port that stands where it must is left alone."""
        for vif, bridge in self.vifs.items():
            if bridge != source:
                continue
            self.vifs[vif] = target
            if vif not in ports_of(self.host.sandbox, target):
                mark = f'external_ids:xs-vif-uuid="{record_uuid(f"vif {vif}")}"'
                words = ["--if-exists", "del-port", vif, "--", "add-port", target, vif]
                vsctl(self.host.sandbox, *words, "--", "set", "Interface", vif, mark)

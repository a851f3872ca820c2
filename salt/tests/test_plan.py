"""What is decided about a domain, from what is desired, defined and runs; without a hypervisor."""

import pytest
import virtapi_domain_definition
import virtapi_domain_xml
import virtapi_seed_files
from salt.exceptions import CommandExecutionError
from virtapi_domain_plan import Plan

UUID = "a0000000-0000-4000-8000-000000000001"
SETTINGS = {"accelerate": False, "switch": "linux", "rbd_user": "libvirt", "clusters": {}}


def volume(number, **other):
    limits = dict.fromkeys(("read_iops_limit", "write_iops_limit", "read_bps_limit", "write_bps_limit"))
    uuid = "b0000000-0000-4000-8000-{:012d}".format(number)
    path = "/srv/vol-{}.raw".format(number)
    here = {"uuid": uuid, "type": "raw", "size_bytes": 1, "cache": "none", "path": path, "snapshots": []}
    return dict(here, **dict(limits, **other))


def interface(number):
    return {"bridge": "br-7-{}".format(number), "mac": "52:54:00:00:00:{:02x}".format(number), "vlans": []}


def machine(**other):
    one = {"name": "web", "domain": "vm-7", "cores": 1, "ram_bytes": 2**30, "cputime_limit": None, "virt_method": "KVM"}
    one.update(interfaces=[interface(1)], volumes=[volume(1), volume(2)])
    return dict(one, **other)


def definition(vm, settings=SETTINGS):
    """As if it had gone through libvirt."""
    text = vm if isinstance(vm, str) else virtapi_domain_xml.to_text(virtapi_domain_xml.build(UUID, vm, settings))
    return virtapi_domain_definition.read(text)


def plan(desired, defined, running):
    return Plan(definition(desired), definition(defined), running and definition(running))


def merged(desired, defined):
    root = virtapi_domain_definition.merge(definition(desired), definition(defined))
    text = virtapi_domain_xml.to_text(root)
    assert plan(desired, text, None).undefined == [], "what was merged is what was desired"
    return text


CASES = {
    "nothing": ({}, [], [], []),
    "name": ({"name": "db"}, ["name"], [], []),
    "cores": ({"cores": 2}, ["cores"], [], ["1 cores become 2"]),
    "memory": ({"ram_bytes": 2**30 + 1}, ["ram_bytes"], [], ["1048576 KiB of memory become 1048577"]),
    "cputime": ({"cputime_limit": 50}, ["cputime_limit"], [("limit_cpu", None)], []),
    "limit": ({"volumes": [volume(1), volume(2, read_bps_limit=5)]}, ["volumes"], [("limit_disk", "vdb")], []),
    "cache": (
        {"volumes": [volume(1, cache="unsafe"), volume(2)]},
        ["volumes"],
        [],
        ["volume {} changes".format(volume(1)["uuid"])],
    ),
    "no cache of its own": (
        {"volumes": [volume(1, cache="default"), volume(2)]},
        ["volumes"],
        [],
        ["volume {} changes".format(volume(1)["uuid"])],
    ),
    "more, in front": ({"volumes": [volume(3), volume(1), volume(2)]}, ["volumes"], [("attach_disk", "vdc")], []),
    "another order": ({"volumes": [volume(2), volume(1)]}, [], [], []),
    "less": ({"volumes": [volume(2)]}, ["volumes"], [("detach_disk", "vda")], []),
    "interface more": ({"interfaces": [interface(2), interface(1)]}, ["interfaces"], [("attach_interface", None)], []),
    "a device": ({"gpus": [{"address": "0000:3b:00.0"}]}, ["gpus"], [], ["device 0000:3b:00.0 comes"]),
    "a filter": ({"security_rules": []}, ["security_rules"], [("filter_interface", "virtapi-" + UUID)], []),
    "packets": ({"interfaces": [dict(interface(1), mtu=9000)]}, ["interfaces"], [], ["interface 52:54:00:00:00:01 changes"]),
    "interface less": ({"interfaces": []}, ["interfaces"], [("detach_interface", None)], []),
}


@pytest.mark.parametrize("change, undefined, actions, restart", CASES.values(), ids=CASES.keys())
def test_each_difference(change, undefined, actions, restart):
    def of(defined, running):
        found = plan(machine(**change), defined, running)
        todo = [(action.kind, action.target) for each in found.actions.values() for action in each]
        return found.undefined, todo, found.restart_reasons

    assert of(machine(), machine()) == (undefined, actions, restart)
    assert of(machine(), None) == (undefined, [], []), "off, there is only the definition"
    left = of(machine(**change), machine())
    assert (left[0], left[2]) == ([], restart), "defined, and not yet in what runs"
    merged(machine(**change), machine())


def test_another_switch_and_another_type_are_for_the_next_start():
    running = definition(machine())
    desired = definition(machine(), dict(SETTINGS, switch="openvswitch", accelerate=True))
    found = Plan(desired, running, running)
    assert found.undefined == ["virt_method", "interfaces"]
    assert found.restart_reasons == ["qemu becomes kvm", "interface 52:54:00:00:00:01 changes"]
    assert not any(found.actions.values())


def test_another_type_has_another_cpu():
    def retyped(desired, defined):
        root = virtapi_domain_definition.merge(definition(machine(), desired), definition(machine(), defined))
        return root.get("type"), root.find("cpu") is not None

    kvm = dict(SETTINGS, accelerate=True)
    assert retyped(kvm, SETTINGS) == ("kvm", True)
    assert retyped(SETTINGS, kvm) == ("qemu", False)


def test_the_size_of_packets_that_nobody_speaks_of_stays():
    has = machine(interfaces=[dict(interface(1), mtu=1400)])
    found = plan(machine(), has, has)
    assert (found.undefined, found.restart_reasons) == ([], [])
    assert '<mtu size="1400"' in merged(machine(), has)


def test_an_interface_that_is_cut_off_is_only_told_of():
    running = definition(machine())
    link = running.interfaces[0].element.makeelement("link", {"state": "down"})
    running.interfaces[0].element.append(link)
    running = virtapi_domain_definition.Definition(running.root)
    found = Plan(definition(machine(interfaces=[])), definition(machine()), running)
    assert found.actions["interfaces"] == []
    assert found.restart_reasons == ["interface 52:54:00:00:00:01 is cut off, and not yet released"]


def test_memory_that_a_guest_was_left_with_goes_with_the_old_size():
    text = merged(machine(ram_bytes=2**31), DEFINED)
    assert "2097152" in text and "currentMemory" not in text
    assert "currentMemory" in merged(machine(cores=2), DEFINED)


DEFINED = """<domain type='qemu' id='3' xmlns:qemu='urn:q'>
  <name>vm-7</name><uuid>{}</uuid><title>web</title><memory unit='KiB'>1048576</memory>
  <metadata><m:inner xmlns:m='urn:m' m:of='x'>&lt;kept&gt;</m:inner><other xmlns='urn:default'/></metadata>
  <currentMemory unit='KiB'>1048576</currentMemory><vcpu placement='static'>1</vcpu>
  <cputune><vcpupin vcpu='0' cpuset='1'/></cputune>
  <devices><emulator>/usr/bin/q</emulator>
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>
    <disk type='file' device='disk'><driver name='qemu' type='raw' cache='none' io='native'/>
      <source file='/srv/vol-1.raw'/><target dev='vda' bus='virtio'/><serial>&lt;x&amp;</serial>
      <address type='pci' slot='0x09'/></disk>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/srv/foreign'/>
      <target dev='vdb' bus='virtio'/></disk>
    <interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='old'/><model type='virtio'/>
      <address type='pci' slot='0x08'/></interface>
    <interface type='bridge'><mac address='52:54:00:ff:ff:ff'/><source bridge='foreign'/></interface>
  </devices><qemu:commandline><qemu:arg value='-x'/></qemu:commandline></domain>""".format(UUID)


def test_what_others_have_done_stays():
    desired = machine(cores=2, cputime_limit=50)
    assert plan(desired, DEFINED, None).undefined == ["cores", "cputime_limit", "volumes", "interfaces"]
    text = merged(desired, DEFINED)
    for kept in (
        '<vcpupin vcpu="0" cpuset="1" />',
        'slot="0x09"',
        'slot="0x08"',
        'io="native"',
        "/srv/foreign",
        'device="cdrom"',
        "52:54:00:ff:ff:ff",
        '<qemu:arg value="-x" />',
        'xmlns:qemu="urn:q"',
        'm:of="x">&lt;kept&gt;</m:inner>',
        'xmlns:m="urn:m"',
        '="urn:default"',
        "<serial>&lt;x&amp;</serial>",
        "<emulator>/usr/bin/q</emulator>",
    ):
        assert kept in text
    for new in ("<vcpu>2</vcpu>", "<quota>50000</quota>", '<target dev="vdc" bus="virtio" />', "ua-br-7-1", '"br-7-1"'):
        assert new in text
    assert '"old"' not in text


@pytest.mark.parametrize("restarts, new", [(1, "vdc"), (2, "vda")])
def test_a_new_volume_has_the_place_of_the_old_one_after_a_restart(restarts, new):
    text = merged(machine(volumes=[volume(2), volume(3)], restarts=restarts), machine(restarts=1))
    disks = {disk.source: disk.target for disk in virtapi_domain_definition.read(text).disks}
    assert disks == {"/srv/vol-2.raw": "vdb", "/srv/vol-3.raw": new}


def test_a_limit_of_cpu_time_goes_and_pinning_stays():
    tuned = merged(machine(cputime_limit=50), DEFINED)
    text = merged(machine(), tuned)
    assert "quota" not in text and "vcpupin" in text
    assert "cputune" not in merged(machine(), machine(cputime_limit=50))


FIRST, SECOND = ({"seed": {"meta-data": text}} for text in "ab")
CHANGE, KEPT = [("change_seed", "hda")], ["its seed changes"]
SEEDS = {
    "the same": (FIRST, FIRST, FIRST, [], [], []),
    "files that cloud-init needs are there": ({"seed": {"meta-data": "a", "user-data": ""}}, FIRST, FIRST, [], [], []),
    "another": (SECOND, FIRST, FIRST, ["seed"], CHANGE, []),
    "another, and the guest keeps the old one": (SECOND, SECOND, FIRST, [], [], KEPT),
    "none any more": ({}, FIRST, FIRST, ["seed"], CHANGE, []),
    "the first, and there is no drive": (FIRST, {}, {}, ["seed"], [], KEPT),
    "off": (SECOND, FIRST, None, ["seed"], [], []),
}


@pytest.mark.parametrize("desired, defined, running, undefined, actions, restart", SEEDS.values(), ids=SEEDS.keys())
def test_seeds(desired, defined, running, undefined, actions, restart):
    found = plan(machine(**desired), machine(**defined), None if running is None else machine(**running))
    todo = [(action.kind, action.target) for each in found.actions.values() for action in each]
    assert (found.undefined, todo, found.restart_reasons) == (undefined, actions, restart)


ONE, TWO, THREE = ({"address": "0000:3b:00.{}".format(number)} for number in range(3))
BARE = {"interfaces": [], "volumes": []}
BOTH = dict(BARE, gpus=[ONE, TWO])
DEVICES = (
    "<domain type='qemu'><name>vm-7</name><uuid>" + UUID + "</uuid><title>web</title>"
    "<memory unit='KiB'>1048576</memory><vcpu>1</vcpu><devices><hostdev mode='subsystem' type='pci' managed='no'><source>"
    "<address domain='0x0000' bus='0x3b' slot='0x00' function='0x2'/></source><address type='pci' slot='0x0a'/></hostdev>"
    "<hostdev mode='subsystem' type='usb'><source/></hostdev></devices></domain>"
)
GPUS = {
    "another order": ([TWO, ONE], None, [], []),
    "one less": ([TWO], None, ["gpus"], ["device 0000:3b:00.0 goes"]),
    "another": ([THREE, TWO], None, ["gpus"], ["device 0000:3b:00.2 comes", "device 0000:3b:00.0 goes"]),
    "none": ([], None, ["gpus"], ["device 0000:3b:00.0 goes", "device 0000:3b:00.1 goes"]),
    "nobody knows of any": (None, None, ["gpus"], ["device 0000:3b:00.0 goes", "device 0000:3b:00.1 goes"]),
    "none, and others have some": (None, DEVICES, [], []),
    "one that others have given it": ([THREE], DEVICES, [], []),
    "one more": ([ONE], DEVICES, ["gpus"], ["device 0000:3b:00.0 comes"]),
}


@pytest.mark.parametrize("gpus, given, undefined, reasons", GPUS.values(), ids=GPUS.keys())
def test_devices_that_are_passed_through(gpus, given, undefined, reasons):
    wanted, given_ = machine(**dict(BARE, gpus=gpus)), given or machine(**BOTH)
    found = plan(wanted, given_, given_)
    assert (found.undefined, found.restart_reasons) == (undefined, reasons)
    assert not any(found.actions.values())
    assert ('slot="0x0a"' in merged(wanted, given_)) == (given is not None)


@pytest.mark.parametrize("address", ["", "3b:00.0", "0000:3B:00.0", "0000:3b:20.0", "0000:3b:00.8", "0000:3b:00.0\n", "/../x"])
def test_what_is_no_device_is_an_error(address):
    with pytest.raises(CommandExecutionError, match="no address of a PCI device"):
        definition(machine(gpus=[{"address": address}]))


XML = (
    "<domain type='qemu'><name>vm-7</name><uuid>" + UUID + "</uuid><title>web</title>{}"
    "<memory unit='KiB'>1048576</memory><vcpu>1</vcpu><devices/></domain>"
)
OTHERS = "<m:vm xmlns:m='urn:m' restarts='7'>x</m:vm>"
NONE, OTHER = XML.format(""), XML.format("<metadata>{}</metadata>".format(OTHERS))
NUMBER = {
    number: XML.format("<metadata>{}<v:vm xmlns:v='urn:virtapi' restarts='{}'/></metadata>".format(OTHERS, number))
    for number in (1, 2, 3, 4, "x")
}
ABOVE = XML.format("<metadata xmlns:v='urn:virtapi'>{}<v:vm restarts='2'/></metadata>".format(OTHERS))
KEEP, ASKED = [("keep_restarts", None)], ["restart 3 is asked for"]
RESTARTS = {
    "the same": (3, NUMBER[3], NUMBER[3], [], [], []),
    "more": (3, NUMBER[2], NUMBER[2], ["restarts"], [], ASKED),
    "more, declared above": (3, ABOVE, ABOVE, ["restarts"], [], ASKED),
    "defined, and not restarted yet": (3, NUMBER[3], NUMBER[2], [], [], ASKED),
    "less": (3, NUMBER[3], NUMBER[4], [], KEEP, []),
    "nothing is kept": (3, NONE, NONE, ["restarts"], KEEP, []),
    "nothing of ours is kept": (3, OTHER, OTHER, ["restarts"], KEEP, []),
    "what is kept is no number": (3, NUMBER["x"], NUMBER["x"], ["restarts"], KEEP, []),
    "the first number is defined, and not yet kept in what runs": (3, NUMBER[3], NONE, [], KEEP, []),
    "that, and one more": (3, NUMBER[2], NONE, ["restarts"], [], ASKED),
    "nobody knows": (None, NUMBER[2], NUMBER[2], [], [], []),
    "off": (3, NUMBER[2], None, ["restarts"], [], []),
}


@pytest.mark.parametrize("restarts, defined, running, undefined, actions, reasons", RESTARTS.values(), ids=RESTARTS.keys())
def test_restarts(restarts, defined, running, undefined, actions, reasons):
    wanted = machine(volumes=[], interfaces=[], restarts=restarts)
    found = plan(wanted, defined, running)
    todo = [(action.kind, action.target) for each in found.actions.values() for action in each]
    assert (found.undefined, todo, found.restart_reasons) == (undefined, actions, reasons)
    text = merged(wanted, defined)
    assert ("urn:m" in text) == (defined != NONE)
    if restarts is not None:
        assert text.count('restarts="3"') == text.count("urn:virtapi") == 1


FOREIGN = "<disk type='file' device='cdrom'><source file='/srv/x.iso'/><target dev='hda' bus='ide'/></disk>"
OURS = (
    "<disk type='file' device='cdrom'>{}<target dev='hdc' bus='ide'/><readonly/><alias name='ua-seed'/>"
    "<address type='drive' unit='1'/></disk>"
)


@pytest.mark.parametrize(
    "seed, ours, targets",
    [
        ({"meta-data": "a"}, "", ["hda", "hdb"]),
        ({"meta-data": "a"}, OURS.format(""), ["hda", "hdc"]),
        ({"meta-data": "a"}, OURS.format("<source file='/y.iso'/>"), ["hda", "hdc"]),
        (None, OURS.format("<source file='/y.iso'/>"), ["hda"]),
    ],
)
def test_a_drive_of_others_stays_beside_that_of_the_seed(seed, ours, targets):
    wanted = machine(volumes=[], interfaces=[], seed=seed)
    empty = virtapi_domain_xml.to_text(virtapi_domain_xml.build(UUID, dict(wanted, seed=None), SETTINGS))
    root = merged(wanted, empty.replace("</devices>", FOREIGN + ours + "</devices>"))
    found = virtapi_domain_definition.parse(root).findall("devices/disk")
    assert [disk.find("target").get("dev") for disk in found] == targets
    assert found[0].find("source").get("file") == "/srv/x.iso"
    if seed:
        assert found[1].find("source").get("file") == virtapi_seed_files.path(UUID, seed)
    assert all(disk.find("address") is not None for disk in found if disk.find("target").get("dev") == "hdc")

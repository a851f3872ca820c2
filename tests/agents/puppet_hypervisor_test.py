"""What the Puppet module decides about a hypervisor, and how it reads what the tools there say; without a hypervisor."""
import hashlib
import json
import pathlib
import re
import struct
import subprocess
import tempfile
import unittest

from puppet_sandbox import ROOT

UUID = "a0000000-0000-4000-8000-000000000001"
SETTINGS = {"accelerate": False, "switch": "linux", "rbd_user": "libvirt", "clusters": {}}


def volume(number, **other):
    limits = dict.fromkeys(("read_iops_limit", "write_iops_limit", "read_bps_limit", "write_bps_limit"))
    return {"uuid": f"b0000000-0000-4000-8000-{number:012d}", "type": "raw", "size_bytes": 1, **limits, "cache": "none",
            "path": f"/srv/vol-{number}.raw", **other}


def interface(number):
    return {"bridge": f"br-7-{number}", "mac": f"52:54:00:00:00:{number:02x}", "vlans": []}


def machine(**other):
    return {"name": "web", "domain": "vm-7", "cores": 1, "ram_bytes": 2**30, "cputime_limit": None, "virt_method": "KVM",
            "interfaces": [interface(1)], "volumes": [volume(1), volume(2)], **other}


def ask(*questions):
    run = subprocess.run(["ruby", ROOT / "tests/agents/puppet_hypervisor.rb"], input=json.dumps(questions),
                         capture_output=True, encoding="utf-8", check=False)
    if run.returncode != 0:
        raise AssertionError(run.stderr)
    return json.loads(run.stdout)


class PlanTest(unittest.TestCase):
    maxDiff = None

    def plans(self, *cases):
        """The plan of each: what is desired, defined, and runs."""
        names = ("desired", "defined", "running")
        answers = ask(*({"ask": "plan", "uuid": UUID, "settings": SETTINGS, **dict(zip(names, case))} for case in cases))
        for answer in answers:
            self.assertEqual(answer["left"], [], "what was merged is what was desired")
        return answers

    def test_each_difference(self):
        one = machine()
        cases = {
            "nothing": ({}, [], [], []),
            "name": ({"name": "db"}, ["vm_name"], [], []),
            "cores": ({"cores": 2}, ["cores"], [], ["1 cores become 2"]),
            "memory": ({"ram_bytes": 2**30 + 1}, ["ram_bytes"], [], ["1048576 KiB of memory become 1048577"]),
            "cputime": ({"cputime_limit": 50}, ["cputime_limit"], [["limit_cpu", None]], []),
            "limit": ({"volumes": [volume(1), volume(2, read_bps_limit=5)]}, ["volumes"], [["limit_disk", "vdb"]], []),
            "cache": ({"volumes": [volume(1, cache="unsafe"), volume(2)]}, ["volumes"], [],
                      [f"volume {volume(1)['uuid']} changes"]),
            "more, in front": ({"volumes": [volume(3), volume(1), volume(2)]}, ["volumes"], [["attach_disk", "vdc"]], []),
            "another order": ({"volumes": [volume(2), volume(1)]}, [], [], []),
            "less": ({"volumes": [volume(2)]}, ["volumes"], [["detach_disk", "vda"]], []),
            "interface more": ({"interfaces": [interface(2), interface(1)]}, ["interfaces"], [["attach_interface", None]], []),
            "a device": ({"gpus": [{"address": "0000:3b:00.0"}]}, ["gpus"], [], ["device 0000:3b:00.0 comes"]),
            "a filter": ({"security_rules": []}, ["security_rules"], [["filter_interface", f"virtapi-{UUID}"]], []),
            "a filter, and an interface more": (
                {"security_rules": [], "interfaces": [interface(1), interface(2)]}, ["interfaces", "security_rules"],
                [["attach_interface", None], ["filter_interface", f"virtapi-{UUID}"]], []),
            "packets": ({"interfaces": [{**interface(1), "mtu": 9000}]}, ["interfaces"], [], [f"interface {interface(1)['mac']} changes"]),
            "interface less": ({"interfaces": []}, ["interfaces"], [["detach_interface", None]], []),
        }
        changed = [machine(**change) for change, *_ in cases.values()]
        both = self.plans(*((desired, one, one) for desired in changed))
        off = self.plans(*((desired, one, None) for desired in changed))
        defined = self.plans(*((desired, desired, one) for desired in changed))
        for (name, (_, undefined, actions, restart)), *answers in zip(cases.items(), both, off, defined):
            with self.subTest(name):
                found = [(answer["undefined"], answer["actions"], answer["restart"]) for answer in answers]
                self.assertEqual(found[0], (undefined, actions, restart))
                self.assertEqual(found[1], (undefined, [], []), "off, there is only the definition")
                self.assertEqual((found[2][0], found[2][2]), ([], restart), "defined, and not yet in what runs")

    def test_seeds(self):
        none, first, second = machine(), machine(seed={"meta-data": "a"}), machine(seed={"meta-data": "b"})
        change, kept = [["change_seed", "hda"]], ["its seed changes"]
        cases = {
            "the same": ((first, first, first), [], [], []),
            "files that cloud-init needs are there": ((machine(seed={"meta-data": "a", "user-data": ""}), first, first), [], [], []),
            "another": ((second, first, first), ["seed"], change, []),
            "another, and the guest keeps the old one": ((second, second, first), [], [], kept),
            "none any more": ((none, first, first), ["seed"], change, []),
            "the first, and there is no drive": ((first, none, none), ["seed"], [], kept),
            "off": ((second, first, None), ["seed"], [], []),
        }
        for (name, (_, *expected)), found in zip(cases.items(), self.plans(*(case[0] for case in cases.values()))):
            with self.subTest(name):
                self.assertEqual([found["undefined"], found["actions"], found["restart"]], expected)

    def test_restarts(self):
        xml = f"""<domain type='qemu'><name>vm-7</name><uuid>{UUID}</uuid><title>web</title>%s<memory unit='KiB'>1048576</memory>
            <vcpu>1</vcpu><devices/></domain>"""
        foreign = "<m:vm xmlns:m='urn:m' restarts='7'>x</m:vm>"
        number = "<v:vm xmlns:v='urn:virtapi' restarts='%s'/>"
        above = "<metadata xmlns:v='urn:virtapi'>" + foreign + "<v:vm restarts='2'/></metadata>"
        defined = {number_: xml % f"<metadata>{foreign}{number % number_}</metadata>" for number_ in (1, 2, 3, "x")}
        none, other, declared = xml % "", xml % f"<metadata>{foreign}</metadata>", xml % above
        keep, asked = [["keep_restarts", None]], ["restart 3 is asked for"]
        cases = {
            "the same": (3, defined[3], defined[3], [], [], []),
            "more": (3, defined[2], defined[2], ["restarts"], [], asked),
            "more, declared above": (3, declared, declared, ["restarts"], [], asked),
            "defined, and not restarted yet": (3, defined[3], defined[2], [], [], asked),
            "less": (3, defined[3], xml % f"<metadata>{number % 4}</metadata>", [], keep, []),
            "nothing is kept": (3, none, none, ["restarts"], keep, []),
            "nothing of ours is kept": (3, other, other, ["restarts"], keep, []),
            "what is kept is no number": (3, defined["x"], defined["x"], ["restarts"], keep, []),
            "the first number is defined, and not yet kept in what runs": (3, defined[3], none, [], keep, []),
            "that, and one more": (3, defined[2], none, ["restarts"], [], asked),
            "nobody knows": (None, defined[2], defined[2], [], [], []),
            "off": (3, defined[2], None, ["restarts"], [], []),
        }
        found = self.plans(*((machine(volumes=[], interfaces=[], restarts=wanted), *given) for wanted, *given, _, _, _ in cases.values()))
        for (name, (wanted, given, _, *expected)), answer in zip(cases.items(), found, strict=True):
            with self.subTest(name):
                self.assertEqual([answer["undefined"], answer["actions"], answer["restart"]], expected)
                self.assertEqual("<m:vm xmlns:m='urn:m' restarts='7'>x</m:vm>" in answer["merged"], given != none)
                if wanted is not None:
                    self.assertEqual(len(re.findall("(?:v|virtapi):vm[^>]* restarts='3'/>", answer["merged"])), 1)

    def test_a_new_volume_has_the_place_of_the_old_one_after_a_restart(self):
        asked = [(machine(volumes=[volume(2), volume(3)], restarts=restarts), machine(restarts=1), None) for restarts in (1, 2)]
        for found, new in zip(self.plans(*asked), ("vdc", "vda"), strict=True):
            self.assertEqual(found["left"], [])
            disks = re.findall("<source file='/srv/vol-(.)[^>]*>.*?<target dev='(.*?)'", found["merged"], re.S)
            self.assertEqual(disks, [("2", "vdb"), ("3", new)])

    def test_devices_that_are_passed_through(self):
        first, second, third = ({"address": f"0000:3b:00.{number}"} for number in range(3))
        foreign = ("<hostdev mode='subsystem' type='pci' managed='no'><source><address domain='0x0000' bus='0x3b' slot='0x00' function='0x2'/>"
                   "</source><address type='pci' slot='0x0a'/></hostdev><hostdev mode='subsystem' type='usb'><source/></hostdev>")
        defined = f"""<domain type='qemu'><name>vm-7</name><uuid>{UUID}</uuid><title>web</title><memory unit='KiB'>1048576</memory>
            <vcpu>1</vcpu><devices>{foreign}</devices></domain>"""
        bare = {"interfaces": [], "volumes": []}
        both = machine(**bare, gpus=[first, second])
        cases = {
            "another order": ((machine(**bare, gpus=[second, first]), both, both), [], []),
            "one less": ((machine(**bare, gpus=[second]), both, both), ["gpus"], ["device 0000:3b:00.0 goes"]),
            "another": ((machine(**bare, gpus=[third, second]), both, both), ["gpus"], ["device 0000:3b:00.2 comes", "device 0000:3b:00.0 goes"]),
            "none": ((machine(**bare, gpus=[]), both, both), ["gpus"], ["device 0000:3b:00.0 goes", "device 0000:3b:00.1 goes"]),
            "nobody knows of any": ((machine(**bare), both, both), ["gpus"], ["device 0000:3b:00.0 goes", "device 0000:3b:00.1 goes"]),
            "none, and others have some": ((machine(**bare), defined, defined), [], []),
            "one that others have given it": ((machine(**bare, gpus=[third]), defined, defined), [], []),
            "one more": ((machine(**bare, gpus=[first]), defined, None), ["gpus"], []),
        }
        for (name, (_, *expected)), found in zip(cases.items(), self.plans(*(case[0] for case in cases.values())), strict=True):
            with self.subTest(name):
                self.assertEqual([found["undefined"], found["restart"], found["actions"]], [*expected, []])
                self.assertEqual("slot='0x0a'" in found["merged"], "others" in name or name == "one more")

    def test_a_drive_of_others_stays_beside_that_of_the_seed(self):
        defined = """<domain type='qemu'><name>vm-7</name><uuid>%s</uuid><title>web</title><memory unit='KiB'>1048576</memory><vcpu>1</vcpu>
            <devices><disk type='file' device='cdrom'><source file='/srv/installer.iso'/><target dev='hda' bus='ide'/></disk>
            %%s</devices></domain>""" % UUID
        ours = ("<disk type='file' device='cdrom'>%s<target dev='hdc' bus='ide'/><readonly/><alias name='ua-seed'/>"
                "<address type='drive' unit='1'/></disk>")
        given = machine(interfaces=[], volumes=[], seed={"meta-data": "a"})
        fresh, empty, other = self.plans(
            (given, defined % "", None), (given, defined % (ours % ""), None), (given, defined % (ours % "<source file='/x.iso'/>"), None))
        for found, target in ((fresh, "hdb"), (empty, "hdc"), (other, "hdc")):
            self.assertEqual(found["undefined"], ["seed"])
            self.assertEqual(re.findall("<target dev='(.*?)'", found["merged"]), ["hda", target])
            self.assertEqual(len(re.findall(rf"<source file='/var/lib/libvirt/virtapi-seeds/{UUID}-[0-9a-f]{{32}}.iso'/>", found["merged"])), 1)
        self.assertIn("<address type='drive' unit='1'/>", other["merged"])
        (gone,) = self.plans((machine(interfaces=[], volumes=[]), defined % (ours % "<source file='/x.iso'/>"), None))
        self.assertEqual(re.findall("<target dev='(.*?)'", gone["merged"]), ["hda"])

    def test_what_others_have_done_stays(self):
        defined = """<domain type='qemu' id='3' xmlns:qemu='urn:q'>
            <name>vm-7</name><uuid>%s</uuid><title>web</title><memory unit='KiB'>1048576</memory>
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
            </devices><qemu:commandline><qemu:arg value='-x'/></qemu:commandline></domain>""" % UUID
        (answer,) = self.plans((machine(cores=2, cputime_limit=50), defined, None))
        self.assertEqual(answer["undefined"], ["cores", "cputime_limit", "volumes", "interfaces"])
        merged = answer["merged"]
        for kept in ("<vcpupin vcpu='0' cpuset='1'/>", "slot='0x09'", "slot='0x08'", "io='native'", "/srv/foreign", "device='cdrom'",
                     "52:54:00:ff:ff:ff", "<qemu:arg value='-x'/>", "xmlns:qemu='urn:q'", "<serial>&lt;x&amp;</serial>",
                     "<emulator>/usr/bin/q</emulator>"):
            self.assertIn(kept, merged)
        for new in ("<vcpu>2</vcpu>", "<quota>50000</quota>", "<target dev='vdc' bus='virtio'/>", "ua-br-7-1", "bridge='br-7-1'"):
            self.assertIn(new, merged)
        self.assertNotIn("bridge='old'", merged)

    def test_the_size_of_packets_that_nobody_speaks_of_stays(self):
        has = machine(interfaces=[{**interface(1), "mtu": 1400}])
        (plan,) = self.plans((machine(), has, has))
        self.assertEqual((plan["undefined"], plan["restart"]), ([], []))
        self.assertIn("<mtu size='1400'/>", plan["merged"])


class SeedTest(unittest.TestCase):
    SECRET = "correct horse battery staple"

    def shown(self, seed):
        (found, same) = ask(*({"ask": "shown", "type": name, "uuid": UUID, "seed": seed} for name in ("virtapi_domain", "virtapi_container")))
        self.assertNotIn(self.SECRET, json.dumps([found, same]))
        if "error" in found:
            self.assertIn("seed must be", same["error"])
        else:
            self.assertEqual(found, same)
        return found

    def test_what_is_in_it_is_shown_nowhere(self):
        should, told = self.shown({"meta-data": "", "user-data": self.SECRET})
        self.assertRegex(should, "^[0-9a-f]{32}$")
        self.assertIn(should, told)
        self.assertNotEqual(self.shown({"user-data": self.SECRET + "."})[0], should)
        self.assertEqual(self.shown("none")[0], "none")

    def test_what_is_no_seed_is_refused(self):
        for wrong in (self.SECRET, {"User": self.SECRET}, {"../a": self.SECRET}, {"a\n": self.SECRET}, {"user-data": [self.SECRET]}):
            self.assertIn("seed must be texts by the names of files", self.shown(wrong)["error"])


class GoldenImageTest(unittest.TestCase):
    def test_a_raw_volume_is_made_from_the_one_that_the_document_means(self):
        with tempfile.TemporaryDirectory() as place:
            path, qcow2 = pathlib.Path(place) / "golden", pathlib.Path(place) / "golden.qcow2"
            path.write_bytes(b"x" * 600)
            qcow2.write_bytes(b"QFI\xfb" + struct.pack(">IQIIQ", 3, 0, 0, 16, 700))
            right = {kind: f"{kind}:{hashlib.new(kind, b'x' * 600).hexdigest()}" for kind in ("sha256", "sha512")}
            here = f"/srv/vol-1.raw: the golden image {path}"
            cases = [(path, "raw", 600, None, None), (path, "raw", 600, right["sha256"], None), (path, "raw", 600, right["sha512"], None),
                     (qcow2, "qcow2", 700, None, None), (path, "raw", 599, None, f"{here} has 600 bytes, the volume only 599"),
                     (path, "qcow2", 600, None, f"{here} is no qcow2"), (f"{path}x", "raw", 600, None, f"{here}x is not here"),
                     (path, "raw", 600, f"sha256:{'0' * 64}", f"{here} is another one: its checksum is {right['sha256']}"),
                     (path, "raw", 600, f"sha512:{'0' * 128}", f"{here} is another one: its checksum is {right['sha512']}")]
            found = ask(*({"ask": "golden", "bytes": size, "backing": {"path": str(image), "format": kind, "checksum": checksum}}
                          for image, kind, size, checksum, _ in cases))
            self.assertEqual(found, [said for *_, said in cases])

    def test_what_is_no_copy_is_made_by_one_command(self):
        uuid = "a0000000-0000-4000-8000-000000001001"
        with tempfile.TemporaryDirectory() as place:
            image = pathlib.Path(place) / "golden"
            image.write_bytes(b"x" * 600)
            below = {"path": str(image), "format": "raw", "checksum": None}
            for number, (kind, backing, words) in enumerate((("qcow2", None, []), ("qcow2", below, ["-b", str(image), "-F", "raw"]), ("raw", None, []))):
                directory = pathlib.Path(place) / str(number)
                directory.mkdir()
                (found,) = ask({"ask": "made", "uuid": uuid, "type": kind, "backing": backing, "directory": str(directory)})
                unfinished = f"{directory}/vol-1.unfinished"
                self.assertEqual(found, [[["create", "-q", "-f", kind, *words, unfinished, "1024"]], ["vol-1"]])


# What a port of a VXLAN may be, and what is seen in it: nothing where it is somebody else's, None where it is not as it should be.
RIGHT = "vx1a4be59c6e0c"
TUNNELS = [({}, {RIGHT: "fd00::2"}), ({"external_ids": {}}, {}), ({"external_ids": {"virtapi-peer": "fd00::3"}}, {RIGHT: None}),
           ({"name": "vx1"}, {"vx1": None}), ({"protected": False}, {RIGHT: None}), ({"type": ""}, {RIGHT: None}),
           ({"options": {"remote_ip": "fd00::2", "key": "70002"}}, {RIGHT: None}), ({"options": {}}, {RIGHT: None})]


class ReadingTest(unittest.TestCase):
    def test_a_batch_of_virsh(self):
        def answers(uuid, state, name):
            xml = f"<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><vcpu current='1'>2</vcpu></domain>"
            return f"M {uuid}{state}\n\nM {uuid}{xml}\n\nM {uuid}{xml}\n\n"
        other = UUID[:-1] + "2"
        # The mark in a name is only dangerous to whom knows it.
        text = answers(UUID, "running (booted)", "x") + answers(other, "shut off (crashed)", "N y")
        (found,) = ask({"ask": "virsh", "text": text.replace("M ", "MARK "), "mark": "MARK", "persistent": [UUID],
                       "autostart": [other]})
        self.assertEqual(found, [[UUID, "running", "booted", True, False, "x", 1],
                                 [other, "crashed", "crashed", False, True, "N y", None]])
        with self.assertRaisesRegex(AssertionError, "only a part"):
            ask({"ask": "virsh", "text": f"MARK {UUID}running (booted)\n", "mark": "MARK", "persistent": [], "autostart": []})

    def test_states(self):
        cases = {"running (booted)": "running", "idle": "running", "in shutdown (user)": "running", "paused (user)": "paused",
                 "pmsuspended": "paused", "shut off (shutdown)": "stopped", "shut off (crashed)": "crashed", "crashed (panicked)": "crashed"}
        xml = "<domain type='qemu'><name>x</name><vcpu>1</vcpu></domain>"
        texts = [f"M {UUID}{told}\nM {UUID}{xml}\nM {UUID}{xml}" for told in cases]
        found = ask(*({"ask": "virsh", "text": text, "mark": "M", "persistent": [], "autostart": []} for text in texts))
        self.assertEqual([domain[1] for (domain,) in found], list(cases.values()))

    def test_network_devices(self):
        text = json.dumps([{}, {"ifname": "br-7-1", "flags": ["UP"], "linkinfo": {"info_kind": "bridge"}}, {"ifname": "lo", "flags": ["UP"]},
                           {"ifname": "vx5", "flags": ["BROADCAST"], "master": "vxlan-5", "mtu": 1450,
                            "linkinfo": {"info_kind": "vxlan", "info_data": {"id": 5, "link": "eno1"}}},
                           {"ifname": "vt5", "link": "eno2", "mtu": 1500, "linkinfo": {"info_kind": "vlan", "info_data": {"id": 5}}}])
        (found,) = ask({"ask": "links", "text": text, "of": "vx5"})
        self.assertEqual(found, {"bridges": ["br-7-1"], "master": "vxlan-5", "vni": 5, "up": False, "mtu": 1450, "below": "eno1"})
        (found,) = ask({"ask": "links", "text": text, "of": "vt5"})
        self.assertEqual((found["below"], found["mtu"]), ("eno2", 1500))

    def test_open_vswitch(self):
        bridges = {"headings": ["name", "ports", "datapath_type"],
                   "data": [["br-7-1", ["uuid", "u1"], "netdev"], ["uplink0", ["set", [["uuid", "u2"], ["uuid", "u3"]]], "netdev"]]}
        ports = {"headings": ["_uuid", "name", "tag", "trunks"],
                 "data": [[["uuid", "u1"], "up-7-1", ["set", []], ["set", []]], [["uuid", "u2"], "dn-7-1", 100, ["set", []]],
                          [["uuid", "u3"], "dn-8-1", ["set", []], ["set", [200, 100]]]]}
        (found,) = ask({"ask": "ovs", "text": self.tables(bridges, ports), "of": ["up-7-1", "dn-7-1", "dn-8-1", "none"]})
        self.assertEqual(found, {"bridges": ["br-7-1", "uplink0"], "datapath": "netdev", "tunnels": {}, "narrowest": [], "ports": [
            ["br-7-1", False, []], ["uplink0", True, [100]], ["uplink0", False, [100, 200]], [None, False, []]]})

    @staticmethod
    def tables(bridges, ports, interfaces=None):
        return "".join(f"{json.dumps(table)}\n" for table in (bridges, ports, interfaces or {"headings": ["name"], "data": []}))

    def test_tunnels_of_open_vswitch(self):
        for change, tunnels in TUNNELS:
            port = {"name": RIGHT, "protected": True, "external_ids": {"virtapi-peer": "fd00::2"}, "type": "vxlan",
                    "options": {"remote_ip": "fd00::2", "key": "70001", "df_default": "false"}, **change}
            port = {name: ["map", list(map(list, value.items()))] if isinstance(value, dict) else value for name, value in port.items()}
            tables = [{"headings": headings, "data": [[{**port, "_uuid": ["uuid", "u1"]}[name] for name in headings]]}
                      for headings in (["_uuid", "name", "protected", "external_ids"], ["name", "type", "options"])]
            bridges = {"headings": ["name", "ports"], "data": [["vxlan-70001", ["uuid", "u1"]]]}
            (found,) = ask({"ask": "ovs", "text": self.tables(bridges, *tables), "of": [], "vni": 70001})
            self.assertEqual(found["tunnels"], tunnels, change)

    def test_the_narrowest_port_of_open_vswitch(self):
        ports = {name: [mtu, kind] for name, mtu, kind in (("eno1", 9000, ""), ("eno2", 1600, ""), ("uplink0", 1500, "internal"),
                                                            ("dn-7-1", ["set", []], "patch"), ("gone", ["set", []], ""))}
        bridges = {"headings": ["name", "ports"], "data": [["uplink0", ["set", [["uuid", name] for name in ports]]],
                                                           ["empty", ["set", []]]]}
        tables = ({"headings": ["_uuid", "name"], "data": [[["uuid", name], name] for name in ports]},
                  {"headings": ["name", "mtu", "type"], "data": [[name, *row] for name, row in ports.items()]})
        (found,) = ask({"ask": "ovs", "text": self.tables(bridges, *tables), "of": [], "narrowest": ["uplink0", "empty", "none"]})
        self.assertEqual(found["narrowest"], [["eno2", 1600], None, None])

    def test_an_old_catalog_is_followed_no_more(self):
        fresh, early, old = ask(*({"ask": "old_catalog", "uuid": UUID, "age": age} for age in (0, -100, 100)))
        self.assertEqual((fresh, early), ([None, None], [None, None]))
        for said in old:
            self.assertRegex(said, "the catalog is 10[0-9] s old, and what virtapi says is followed for 60 s")

    def test_headers_of_qcow2(self):
        with tempfile.TemporaryDirectory() as place:
            header = struct.pack(">4sIQIIQ", b"QFI\xfb", 3, 32, 5, 16, 2**40)
            files = {"backed": header + "/ä/x".encode(), "alone": struct.pack(">4sIQIIQ", b"QFI\xfb", 3, 0, 0, 16, 7), "short": header[:20],
                     "raw": b"\0" * 64, "empty": b""}
            for name, content in files.items():
                pathlib.Path(place, name).write_bytes(content)
            found = ask(*({"ask": "qcow2", "path": f"{place}/{name}"} for name in files))
        self.assertEqual(found, [[2**40, "/ä/x"], [7, None], None, None, None])


if __name__ == "__main__":
    unittest.main()

"""What filters the packets of a machine, as Salt's own loader loads the modules; with a stand-in for virsh."""

import pytest
from libvirt_stub import FIRST, apply, converge, libvirt
from test_states import states, uuid

SSH = {
    "direction": "ingress",
    "ethertype": "IPv4",
    "protocol": "tcp",
    "port_range_min": 22,
    "port_range_max": 22,
    "remote_ip_prefix": "10.0.0.0/8",
}
NAME = "virtapi-" + uuid(1)


@pytest.fixture
def refers(libvirt):
    return lambda: tuple(NAME in libvirt.domains[uuid(1)][what] for what in ("defined", "running"))


def test_a_filter_comes_changes_and_goes_while_it_runs(libvirt, apply, converge, refers):
    converge(["nwfilter-define", *FIRST], security_rules=[])
    assert (list(libvirt.filters), refers()) == ([NAME], (True, True))
    expected = {"security_rules": {"old": "filtered otherwise", "new": ["ingress IPv4 tcp 22 22 10.0.0.0/8"]}}
    result, asked = apply(test=True, security_rules=[SSH])
    assert (result["result"], result["changes"], asked) == (None, expected, [])
    result = converge(["nwfilter-define"], security_rules=[SSH])
    assert (result["changes"], "warnings" in result) == (expected, False)
    assert 'srcipaddr="10.0.0.0"' in libvirt.filters[NAME]
    result = converge(["define", "update-device --live", "nwfilter-undefine"])
    assert result["changes"] == {"security_rules": {"old": "filtered", "new": "none"}}
    assert (libvirt.filters, refers()) == ({}, (False, False))
    converge(["nwfilter-define", "define", "update-device --live"], security_rules=[SSH])
    assert (list(libvirt.filters), refers()) == ([NAME], (True, True))


def test_what_others_have_done_to_it_is_undone(libvirt, converge):
    converge(["nwfilter-define", *FIRST], security_rules=[SSH])
    libvirt.filters[NAME] = libvirt.filters[NAME].replace('srcipmask="8"', 'srcipmask="0"')
    libvirt.filters["foreign"] = "<filter/>"
    converge(["nwfilter-define"], security_rules=[SSH])
    assert "foreign" in libvirt.filters


def test_one_that_does_not_run(converge):
    converge(["nwfilter-define", "define"], security_rules=[SSH], state="stopped")
    converge(["define", "nwfilter-undefine"], state="stopped")
    # It stops, and so nothing of what runs is changed.
    converge(["autostart", "start"])
    converge(["nwfilter-define", "define", "autostart --disable", "shutdown"], security_rules=[SSH], state="stopped")


def test_a_filter_of_others_stays_where_there_is_none_of_ours(libvirt, converge):
    converge(FIRST)
    domain = libvirt.domains[uuid(1)]
    for what in ("defined", "running"):
        domain[what] = domain[what].replace('<model type="virtio" />', '<model type="virtio" /><filterref filter="clean-traffic" />')
    converge([])
    converge(["nwfilter-define", "define", "update-device --live"], security_rules=[])
    assert "clean-traffic" not in domain["running"]


def test_where_nothing_is_filtered_each_run_says_so(libvirt, apply, refers, tmp_path):
    libvirt.bridges(tmp_path, "0")
    for _ in range(3):
        result, _ = apply(security_rules=[SSH])
        assert result["warnings"] == [
            "vm-7: unfiltered: the kernel passes bridged packets by its filter (net.bridge.bridge-nf-call-iptables, "
            "net.bridge.bridge-nf-call-ip6tables, br_netfilter)"
        ]
    assert refers() == (True, True), "it is there when the kernel is told"
    for _ in range(3):
        result, _ = apply(security_rules=[SSH], switch="openvswitch")
        assert "vm-7: unfiltered: libvirt filters nothing on bridges of Open vSwitch" in result["warnings"]
    assert (libvirt.filters, refers()) == ({}, (False, False))
    result, _ = apply(switch="openvswitch")
    assert "unfiltered" not in str(result.get("warnings"))


def test_a_libvirt_without_filters(libvirt, apply, converge, refers):
    libvirt.filters = None
    converge(FIRST)
    result, asked = apply(security_rules=[SSH])
    assert (result["result"], asked, refers()) == (False, ["nwfilter-define"], (False, False))
    assert "not supported by the connection driver" in result["comment"]


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": "sctp"},
        {"protocol": "any"},
        {"protocol": "icmp"},
        {"port_range_max": 21},
        {"port_range_max": 65536},
        {"port_range_min": -1},
        {"ethertype": "IPv6"},
        {"ethertype": "ARP"},
        {"direction": "both"},
        {"remote_ip_prefix": "nowhere"},
    ],
)
def test_a_rule_that_cannot_be_carried_out_touches_nothing(converge, apply, change):
    converge(["nwfilter-define", *FIRST], security_rules=[SSH])
    result, asked = apply(security_rules=[SSH, dict(SSH, **change)], cores=2)
    assert (result["result"], result["changes"], asked) == (False, {}, [])
    assert result["comment"].startswith("vm-7: security rule ")
    assert result["comment"].endswith(" is none that can be carried out")

"""Which addresses links may be dialled at: every spelling of a private one stays closed."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satchel.egress.guard import CLOSED_4, Guard

HOSTILE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a00:1::",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2600:1:2:3:0:5efe:7f00:1",
    "2600:1:2:3:200:5efe:a00:1",
    "localhost",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2606:4700:4700::1111", "2a00:1450:4001::8a"]


@pytest.mark.parametrize("address", HOSTILE)
def test_a_private_address_is_closed_in_every_spelling(address: str) -> None:
    assert not Guard().admits(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_open(address: str) -> None:
    assert Guard().admits(address)


@given(st.sampled_from(CLOSED_4), st.integers(0, 2**32 - 1))
def test_no_way_of_carrying_a_closed_ipv4_address_opens_it(network: object, number: int) -> None:
    assert isinstance(network, type(CLOSED_4[0]))
    address = IPv4Address(int(network.network_address) + number % network.num_addresses)
    for carried in (f"::ffff:{address}", f"64:ff9b::{address}", f"::{address}", str(IPv6Address(0x2002 << 112 | int(address) << 80 | 1))):
        assert not Guard().admits(carried)


def test_an_operator_opens_networks_and_no_more() -> None:
    guard = Guard(["10.1.0.0/16", "192.168.7.7", "fd00::/8"])
    assert [guard.admits(one) for one in ("10.1.2.3", "10.2.2.3", "192.168.7.7", "192.168.7.8", "fd00::1", "::ffff:10.1.2.3")] == [
        *(True, False, True, False, True, True)
    ]


def test_an_own_prefix_for_ipv4_is_looked_through() -> None:
    guard = Guard(nat64="2a00:64::/96")
    assert guard.admits("2a00:64::808:808")
    assert not guard.admits("2a00:64::a00:1")
    assert Guard().admits("2a00:64::a00:1")
    with pytest.raises(ValueError, match="96 bits"):
        Guard(nat64="2a00:64::/64")

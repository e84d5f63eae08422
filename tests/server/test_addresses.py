"""The table of public addresses, checked against each range that must not be reached."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_server.addresses import is_public

NOT_PUBLIC = {
    "this network": ["0.0.0.0", "0.255.255.255"],
    "private": ["10.0.0.1", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"],
    "carrier-grade NAT": ["100.64.0.0", "100.127.255.255"],
    "loopback": ["127.0.0.1", "127.255.255.255", "::1"],
    "link-local and cloud metadata": ["169.254.0.0", "169.254.169.254", "fe80::1", "fe80::1%eth0", "febf::1"],
    "protocol assignments": ["192.0.0.1", "192.0.0.170", "2001::", "2001:1ff:ffff::1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.255", "2001:db8::1", "3fff:fff::1"],
    "anycast services that are no servers of ours": ["192.31.196.1", "192.52.193.1", "192.175.48.1", "2620:4f:8000::1"],
    "6to4 relays": ["192.88.99.1", "192.88.99.255"],
    "benchmarking": ["198.18.0.0", "198.19.255.255", "2001:2::1"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
    "reserved and broadcast": ["240.0.0.0", "255.255.255.255"],
    "unspecified": ["::"],
    "IPv4-compatible": ["::10.0.0.1", "::8.8.8.8"],
    "IPv4-mapped": ["::ffff:127.0.0.1", "::ffff:8.8.8.8"],
    "IPv4-translated": ["::ffff:0:127.0.0.1"],
    "NAT64": ["64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1"],
    "discard": ["100::1"],
    "Teredo": ["2001:0:7f00:1::", "2001:0:ffff::1"],
    "ORCHID": ["2001:10::1", "2001:20::1"],
    "6to4": ["2002:7f00:1::1", "2002:808:808::1"],
    "6bone": ["3ffe::1"],
    "segment routing": ["5f00::1"],
    "unique local": ["fc00::1", "fd12:3456::1"],
    "site-local": ["fec0::1", "feff::1"],
    "ISATAP": ["2a00::5efe:127.0.0.1", "2a00::200:5efe:10.0.0.1"],
    "outside global unicast": ["4000::1", "1fff::1", "8000::1"],
}

PUBLIC = [
    *("1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0"),
    *("169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.88.98.255"),
    *("192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "203.0.112.255", "203.0.114.0"),
    *("223.255.255.255", "2001:200::1", "2001:db7:ffff::1", "2001:db9::1", "2003::1", "2606:4700::1111", "2a00::1"),
    *("3ffd::1", "3fff:1000::1"),
]


@pytest.mark.parametrize("text", [text for texts in NOT_PUBLIC.values() for text in texts])
def test_what_is_not_public_is_refused(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_the_neighbours_of_each_range_are_public(text: str) -> None:
    assert is_public(ip_address(text))


@given(st.ip_addresses())
def test_nothing_is_public_that_the_standard_library_calls_private(address: IPv4Address | IPv6Address) -> None:
    if is_public(address):
        assert address.is_global
        assert not any((address.is_multicast, address.is_reserved, address.is_private))


@given(st.ip_addresses(v=4), st.sampled_from([0, 0xFFFF << 32, 0xFFFF << 48, 0x64FF9B << 96, 0x2002 << 112]))
def test_no_address_that_embeds_ipv4_is_public(inner: IPv4Address, prefix: int) -> None:
    shift = 80 if prefix >> 112 == 0x2002 else 0
    assert not is_public(IPv6Address(prefix | int(inner) << shift))

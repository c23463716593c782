"""The resolver that lets only public addresses pass."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
import trio
from attrs import Factory, define
from hypothesis import given
from hypothesis import strategies as st

from trioreply._net.resolvers import CachingResolver, PublicResolver, is_public

V6, V4, V4B = "2606:4700::1", "93.184.216.34", "93.184.216.35"


@define
class Names:
    """A resolver that finds ``answer``."""

    answer: Sequence[str] = (V4,)
    asked: list[tuple[str, int]] = Factory(list)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Give it."""
        self.asked.append((host, port))
        await trio.lowlevel.checkpoint()
        return self.answer


PUBLIC = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2000::",
    "2001:200::1",
    "2606:4700:4700::1111",
    "2a00:1450:4001::1",
    "3ffe:ffff::",
    "64:ff9b::101:101",
]
NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
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
    "::7f00:1",
    "::808:808",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::808:808",
    "100::1",
    "2001::1",
    "2001:0:a00:1::",
    "2001:2::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a00:1::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd12::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "2606:4700::1%eth0",
]


@pytest.mark.parametrize("address", PUBLIC)
async def test_public_addresses_pass(address: str) -> None:
    """What can be reached from everywhere is given as it came, and may be given in a URL."""
    assert await PublicResolver(Names([address])).resolve("h", 80) == [address]
    assert list(await PublicResolver().resolve(address, 80)) == [address]


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_other_addresses_are_refused(address: str) -> None:
    """What leads to this machine, its network, nowhere or to many is refused, as an answer and as a host."""
    for resolver in (PublicResolver(Names([address])), PublicResolver()):
        with pytest.raises(PermissionError, match=f"{re.escape(address)} is not a public address"):
            await resolver.resolve(address, 80)


@pytest.mark.parametrize("answer", [[V4, "10.0.0.1", V4B], [V6, "::1"], ["127.0.0.1", V4]])
async def test_one_refused_address_refuses_the_name(answer: list[str]) -> None:
    """A name with one address that is not public is refused as a whole: who owns it chose them all."""
    with pytest.raises(PermissionError):
        await PublicResolver(Names(answer)).resolve("evil.test", 80)


async def test_the_guard_changes_nothing() -> None:
    """A name with public addresses keeps them in their order, and one with none has none."""
    names = Names([V6, V4, V4B])
    assert await PublicResolver(names).resolve("H.test", 81) == [V6, V4, V4B]
    assert names.asked == [("H.test", 81)]
    assert await PublicResolver(Names([])).resolve("h", 80) == []
    assert repr(PublicResolver()) == "PublicResolver(SystemResolver())"


async def test_what_the_guard_sees() -> None:
    """The guard checks what a memory with overrides in it gives, but not those of a memory in front of it."""
    inside = PublicResolver(CachingResolver(Names(), overrides={"h": "127.0.0.1"}))
    with pytest.raises(PermissionError):
        await inside.resolve("h", 80)
    outside = CachingResolver(PublicResolver(Names()), overrides={"h": "127.0.0.1"})
    assert list(await outside.resolve("h", 80)) == ["127.0.0.1"]


async def test_refusals_are_not_remembered() -> None:
    """A name that leads to a public address later is not refused any more."""
    names = Names(["127.0.0.1"])
    cache = CachingResolver(PublicResolver(names))
    with pytest.raises(PermissionError):
        await cache.resolve("h", 80)
    names.answer = [V4]
    assert list(await cache.resolve("h", 80)) == [V4]


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_public_is_what_python_calls_global_at_most(address: IPv4Address | IPv6Address) -> None:
    """Nothing passes that the standard library of any version calls private, reserved or no unicast."""
    if is_public(str(address)) and not str(address).startswith("64:ff9b::"):
        assert address.is_global
        assert not any([address.is_private, address.is_multicast, address.is_reserved, address.is_loopback])


@given(st.ip_addresses(v=4))
def test_nat64_is_as_public_as_what_it_holds(address: IPv4Address) -> None:
    """An address of the well-known NAT64 prefix leads to its IPv4 address, and is judged by it."""
    translated = str(IPv6Address(int(ip_address("64:ff9b::")) + int(address)))
    assert is_public(translated) == is_public(str(address))
    assert not is_public(f"::ffff:{address}")


def test_only_addresses_can_be_public() -> None:
    """A resolver that gives a name is a mistake, which is not guessed about."""
    with pytest.raises(ValueError, match="localhost"):
        is_public("localhost")

"""Servers that vouch for themselves."""

from __future__ import annotations

import datetime as dt

import pytest

import trioreply
from trioreply import NetworkError, SslErrorCode, SslErrors
from trioreply.testing import MemoryNetwork, OriginResponse, SelfSigned, open_origin

DEVICE = SelfSigned("device.test", "*.wild.test", "192.0.2.1", "2001:db8::1")


async def codes_for(identity: SelfSigned, *, host: str = "device.test", trusted: bool = False) -> list[str]:
    """What a client finds wrong with ``identity`` when it looks for ``host``."""
    config = identity.trust() if trusted else trioreply.SslConfiguration(use_system_ca=False)
    async with (
        MemoryNetwork() as network,
        open_origin({"/": OriginResponse()}, network=network, host=host, tls=identity.serve()) as origin,
        trioreply.open_manager(resolver=network, dialer=network, ssl=config) as manager,
        manager.get(origin.url()) as reply,
    ):
        codes = [error.code.name async for event in reply if isinstance(event, SslErrors) for error in event.errors]
    assert (reply.error is NetworkError.NO_ERROR) == (not codes)
    return codes


async def test_nobody_vouches_for_it() -> None:
    """A client that does not know it finds that it is self-signed, and nothing else wrong with it."""
    assert await codes_for(DEVICE) == [SslErrorCode.SELF_SIGNED_CERTIFICATE.name]


async def test_who_trusts_it_accepts_it() -> None:
    """Trusted by its own configuration it is accepted, for the names that it was made for and for no others."""
    assert await codes_for(DEVICE, host="a.wild.test", trusted=True) == []
    assert await codes_for(DEVICE, host="other.test", trusted=True) == [SslErrorCode.HOST_NAME_MISMATCH.name]


def test_certificate_is_for_the_names_given() -> None:
    """Host names, wildcards and addresses of both kinds are its alternative names."""
    assert DEVICE.certificate.subject_alternative_names == ("device.test", "*.wild.test", "192.0.2.1", "2001:db8::1")
    assert DEVICE.certificate.is_self_signed
    assert not DEVICE.certificate.is_ca


async def test_validity_can_be_chosen() -> None:
    """It may have expired, or not be valid yet."""
    for dates, code in (
        ({"not_after": dt.datetime(2001, 1, 1, tzinfo=dt.UTC)}, SslErrorCode.CERTIFICATE_EXPIRED),
        ({"not_before": dt.datetime(2999, 1, 1, tzinfo=dt.UTC)}, SslErrorCode.CERTIFICATE_NOT_YET_VALID),
    ):
        assert await codes_for(SelfSigned("device.test", **dates), trusted=True) == [code.name]


def test_no_two_are_the_same() -> None:
    """Each has a key of its own."""
    assert SelfSigned("device.test").certificate.pin != DEVICE.certificate.pin


def test_names_are_ascii() -> None:
    """A name that no certificate can hold is refused."""
    with pytest.raises(ValueError, match="A-label"):
        SelfSigned("dévice.test")

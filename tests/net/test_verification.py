"""What is found to be wrong with certificates, beside what the real OpenSSL says; and what follows from ignoring it."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path
from typing import Protocol, cast

import pytest
from attrs import frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trioreply import Certificate, SslError, SslErrorCode
from trioreply._net.verification import Tolerance, Verdict, covers, error_code, list_errors, merge, pin_error

from ..certificates import (
    HOST,
    INTERMEDIATE,
    SAMPLES,
    SERVER,
    Sample,
    Served,
    Validity,
    issued,
    self_signed,
    server,
    stranger,
)

NOW = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
EXPIRED = SslErrorCode.CERTIFICATE_EXPIRED
NOT_YET = SslErrorCode.CERTIFICATE_NOT_YET_VALID
MISMATCH = SslErrorCode.HOST_NAME_MISMATCH
REJECTED = SslErrorCode.CERTIFICATE_REJECTED
SELF_SIGNED = SslErrorCode.SELF_SIGNED_CERTIFICATE
UNSPECIFIED = SslErrorCode.UNSPECIFIED

LEAF, ISSUER = Certificate.load(issued(SERVER, INTERMEDIATE).chain)
(OLD_LEAF,) = Certificate.load(issued(server(validity=Validity.PAST)).chain)
(OTHER,) = Certificate.load(self_signed(server("wrong.example")).chain)
GARBAGE = Certificate(b"garbage")


class NativeCertificate(Protocol):
    """As much of the standard library's own objects as is needed."""

    def public_bytes(self, form: int, /) -> bytes:
        """The certificate; form 2 is DER."""
        ...


class ChainSource(Protocol):
    """The object behind an `ssl.SSLObject`, which knows the chains of a failed handshake on every Python."""

    def get_unverified_chain(self) -> list[NativeCertificate] | None:
        """As the server sent it."""
        ...

    def get_verified_chain(self) -> list[NativeCertificate] | None:
        """As OpenSSL built it."""
        ...


@frozen
class Refusal:
    """A certificate that OpenSSL did not accept."""

    verdict: Verdict
    peer_chain: tuple[Certificate, ...]
    built_chain: tuple[Certificate, ...]


def certificates(chain: list[NativeCertificate] | None) -> tuple[Certificate, ...]:
    """The chain as our values."""
    return tuple(Certificate(one.public_bytes(2)) for one in chain or ())


def server_context(served: Served, folder: Path) -> ssl.SSLContext:
    """What shows these certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    path = folder / "served.pem"
    path.write_bytes(served.pem)
    context.load_cert_chain(path)
    return context


def client_context(*roots: bytes) -> ssl.SSLContext:
    """What trusts these roots, and otherwise is as our own contexts are."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST
    context.hostname_checks_common_name = False
    for root in roots:
        context.load_verify_locations(cadata=root.decode())
    return context


def refusal(client_side: ssl.SSLContext, server_side: ssl.SSLContext, host: str = HOST) -> Refusal | None:
    """Why the client refuses the server's certificate, by a handshake of the real OpenSSL in memory."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(back, there, server_hostname=host)
    peer = server_side.wrap_bio(there, back, server_side=True)
    for end in (client, peer, client):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            native = cast("ChainSource", vars(client)["_sslobj"])
            chains = certificates(native.get_unverified_chain()), certificates(native.get_verified_chain())
            return Refusal(Verdict(error.verify_code, error.verify_message), *chains)
    return None


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_lists_are_those_of_qt(sample: Sample, tmp_path: Path) -> None:
    """Whatever is wrong with a certificate: the list has Qt's codes in Qt's order, each with its certificate."""
    served = sample.make()
    roots = [served.root] if sample.trusted else []
    refused = refusal(client_context(*roots), server_context(served, tmp_path))
    chain = Certificate.load(served.chain + served.root)
    expected = tuple(SslError(SslErrorCode[name], chain[place]) for name, place in sample.errors)
    assert (refused is None) == (not expected)
    if refused is not None:
        found = list_errors(
            refused.verdict, host=HOST, peer_chain=refused.peer_chain, built_chain=refused.built_chain, now=NOW
        )
        assert found == expected
        assert error_code(refused.verdict.code) in [error.code for error in found]
        assert all(error.message == "" for error in found)


@pytest.mark.parametrize("host", ["127.0.0.2", "::2"])
def test_addresses_are_compared(host: str, tmp_path: Path) -> None:
    """An address that the certificate is not for is a wrong host, as a name is; OpenSSL has another number for it."""
    served = issued()
    refused = refusal(client_context(served.root), server_context(served, tmp_path), host)
    assert refused is not None
    assert refused.verdict.code == 64
    found = list_errors(
        refused.verdict, host=host, peer_chain=refused.peer_chain, built_chain=refused.built_chain, now=NOW
    )
    assert [error.code for error in found] == [MISMATCH]
    assert refusal(client_context(served.root), server_context(served, tmp_path), "127.0.0.1") is None


LABELS = ["a", "b", "A", "x-y", "xn--a", "0"]
PATTERNS = st.lists(st.sampled_from([*LABELS, "*", "*", "a*", "*b", "x_y"]), min_size=1, max_size=4).map(".".join)
HOSTS = st.lists(st.sampled_from([*LABELS, "x_y"]), min_size=1, max_size=4).map(".".join)


@given(PATTERNS, HOSTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hosts_match_as_openssl_says(tmp_path: Path, pattern: str, host: str) -> None:
    """Whether a name or a wildcard matches a host is what OpenSSL thinks, too."""
    served = self_signed(server(pattern))
    refused = refusal(client_context(served.root), server_context(served, tmp_path), host)
    (certificate,) = Certificate.load(served.chain)
    assert certificate.matches_host(host) == (refused is None)


@given(st.sampled_from(LABELS), st.lists(st.sampled_from(LABELS), min_size=1, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_wildcards_match_as_openssl_says(tmp_path: Path, label: str, rest: list[str]) -> None:
    """A wildcard matches one more label in front of its own, if that makes three, and OpenSSL agrees."""
    served = self_signed(server(".".join(["*", *rest])))
    (certificate,) = Certificate.load(served.chain)
    host = ".".join([label, *rest])
    assert certificate.matches_host(host) == (len(rest) > 1)
    assert (refusal(client_context(served.root), server_context(served, tmp_path), host) is None) == (len(rest) > 1)


def errors_of(
    code: int, *chain: Certificate, host: str = HOST, check_name: bool = True, check_time: bool = True
) -> list[SslError]:
    """What is found after a verdict of OpenSSL about a chain."""
    verdict = Verdict(code, "OpenSSL's words")
    return list(
        list_errors(
            verdict,
            host=host,
            peer_chain=chain,
            built_chain=chain,
            now=NOW,
            check_name=check_name,
            check_time=check_time,
        )
    )


@pytest.mark.parametrize(
    ("number", "code"),
    {
        2: 1, 4: 2, 6: 3, 7: 4, 9: 5, 10: 6, 13: 7, 14: 8, 18: 9, 19: 10, 20: 11, 21: 12, 23: 13, 24: 14, 79: 14,
        25: 15, 26: 16, 27: 17, 28: 18, 29: 19, 30: 20, 31: 20, 62: 22, 64: 22, 1: -1, 50: -1, 66: -1, 999: -1,
    }.items(),
)  # fmt: skip
def test_numbers_of_openssl(number: int, code: int) -> None:
    """Each of OpenSSL's numbers that Qt knows has Qt's code."""
    assert error_code(number) == code


@given(st.integers(0, 100), st.lists(st.sampled_from([LEAF, ISSUER, OLD_LEAF, OTHER, GARBAGE]), max_size=4))
def test_verdict_is_always_in_the_list(code: int, chain: list[Certificate]) -> None:
    """OpenSSL's verdict is in the list, whatever else is found and whatever the chain is; nothing is in it twice."""
    found = errors_of(code, *chain)
    assert error_code(code) in [error.code for error in found]
    assert len(set(found)) == len(found)
    assert all(error.certificate in chain or (error.certificate is None and not chain) for error in found)
    assert all(error.code is not MISMATCH for error in found[1:])


def test_verdicts_that_our_look_does_not_confirm() -> None:
    """Where we find nothing wrong the verdict stays, and is of the server's own certificate."""
    assert errors_of(10, LEAF, ISSUER) == [SslError(EXPIRED, LEAF)]
    assert errors_of(62, LEAF, ISSUER) == [SslError(MISMATCH, LEAF)]
    assert errors_of(9, OLD_LEAF, ISSUER) == [SslError(NOT_YET, OLD_LEAF), SslError(EXPIRED, OLD_LEAF)]
    assert errors_of(79, LEAF, ISSUER) == [SslError(SslErrorCode.INVALID_CA_CERTIFICATE, LEAF)]


def test_issuers_that_may_not_issue() -> None:
    """The lowest issuer that may not issue is the one that the verdict is about."""
    assert errors_of(79, LEAF, ISSUER, OTHER, OTHER)[0].certificate == OTHER


def test_verdicts_without_a_code() -> None:
    """A verdict that has no code is told in OpenSSL's words; one that has is told in ours."""
    (error,) = errors_of(66, LEAF, ISSUER)
    assert (error, error.error_string) == (SslError(UNSPECIFIED, LEAF), "OpenSSL's words")
    assert errors_of(18, LEAF)[0].error_string == SslError(SELF_SIGNED).error_string


@pytest.mark.parametrize("code", [4, 6, 7, 9, 10, 13, 14])
def test_openssl_has_the_last_word_on_the_name(code: int) -> None:
    """Once OpenSSL has come to signatures and dates it is content with the name, and so are we."""
    (error,) = errors_of(code, LEAF, ISSUER, host="elsewhere.example")
    assert error == SslError(error_code(code), LEAF)


@pytest.mark.parametrize("code", [2, 19, 20, 27, 28])
def test_what_is_about_the_top(code: int) -> None:
    """Who is missing, not trusted or rejected is at the top of the chain, or above it."""
    assert errors_of(code, LEAF, ISSUER, OTHER) == [SslError(error_code(code), OTHER)]


def test_checks_that_are_switched_off() -> None:
    """What is not looked at is not in the list, unless OpenSSL has said so."""
    assert errors_of(18, OLD_LEAF, host="x", check_name=False) == [
        SslError(SELF_SIGNED, OLD_LEAF),
        SslError(EXPIRED, OLD_LEAF),
    ]
    assert errors_of(18, OLD_LEAF, host="x", check_time=False) == [
        SslError(MISMATCH, OLD_LEAF),
        SslError(SELF_SIGNED, OLD_LEAF),
    ]
    assert errors_of(62, LEAF, check_name=False) == [SslError(MISMATCH, LEAF)]
    assert errors_of(10, OLD_LEAF, check_time=False) == [SslError(EXPIRED, OLD_LEAF)]


def test_end_of_a_chain_that_is_trusted() -> None:
    """A chain that breaks off above trusted certificates is told apart from one above the peer's."""
    code = SslErrorCode.UNABLE_TO_GET_ISSUER_CERTIFICATE
    assert errors_of(2, LEAF, ISSUER) == [SslError(code, ISSUER)]
    assert errors_of(2, LEAF) == [
        SslError(code, LEAF),
        SslError(SslErrorCode.UNABLE_TO_VERIFY_FIRST_CERTIFICATE, LEAF),
    ]


@pytest.mark.parametrize(("seconds", "codes"), [(-1, [NOT_YET, SELF_SIGNED]), (0, [SELF_SIGNED])])
def test_first_second(seconds: int, codes: list[SslErrorCode]) -> None:
    """A certificate is valid in its first second, and not before."""
    now = LEAF.not_before + dt.timedelta(seconds=seconds)
    found = list_errors(Verdict(18, ""), host=HOST, peer_chain=[LEAF, ISSUER], built_chain=[], now=now)
    assert sorted(error.code for error in found) == codes


@pytest.mark.parametrize(("seconds", "codes"), [(-1, [SELF_SIGNED]), (0, [EXPIRED, SELF_SIGNED])])
def test_last_second(seconds: int, codes: list[SslErrorCode]) -> None:
    """A certificate has expired in the second that it names, as OpenSSL compares times."""
    now = LEAF.not_after + dt.timedelta(seconds=seconds)
    found = list_errors(Verdict(18, ""), host=HOST, peer_chain=[LEAF, ISSUER], built_chain=[], now=now)
    assert sorted(error.code for error in found) == codes


def test_merging() -> None:
    """A merged list is the old one and what is new in the other; the host name comes first, however late."""
    old = (SslError(SELF_SIGNED, LEAF), SslError(EXPIRED, LEAF))
    new = (SslError(EXPIRED, LEAF), SslError(MISMATCH, LEAF), SslError(REJECTED, LEAF))
    assert merge(old, new) == (new[1], *old, new[2])
    assert merge(old, ()) == old
    assert merge((), old) == old


def test_covering() -> None:
    """Errors are covered by the same ones, code and certificate, or by more; not by less, nor by others."""
    errors = [SslError(SELF_SIGNED, LEAF), SslError(EXPIRED, LEAF)]
    assert covers(errors, errors)
    assert covers([*reversed(errors), SslError(MISMATCH)], errors)
    assert covers(iter(errors), iter(errors))
    assert not covers(errors[:1], errors)
    assert not covers([SslError(error.code) for error in errors], errors)
    assert not covers([SslError(error.code, OTHER) for error in errors], errors)


@pytest.mark.parametrize("code", SslErrorCode)
def test_each_error_loosens_one_check_or_none(code: SslErrorCode) -> None:
    """An error loosens exactly one check, or cannot be ignored by itself."""
    tolerance = Tolerance((SslError(code, ISSUER),), LEAF)
    assert [tolerance.trust, tolerance.name, tolerance.time, bool(tolerance.unloosenable)].count(True) == 1
    assert tolerance.unloosenable in ((), tolerance.errors)


def test_what_is_loosened() -> None:
    """The host name loosens the name, dates the time, who issued it the trust; and what is about the leaf nothing."""
    codes = {code: Tolerance((SslError(code, LEAF),), LEAF) for code in SslErrorCode}
    assert [code for code, tolerance in codes.items() if tolerance.name] == [MISMATCH]
    assert [code.value for code, tolerance in codes.items() if tolerance.time] == [5, 6, 7, 8]
    trust = [code.value for code, tolerance in codes.items() if tolerance.trust]
    assert trust == [1, 2, 3, 4, 9, 10, 11, 12, 14, 15, 17, 19, 20]
    assert codes[SslErrorCode.INVALID_PURPOSE].unloosenable == (SslError(SslErrorCode.INVALID_PURPOSE, LEAF),)
    assert codes[UNSPECIFIED].unloosenable == (SslError(UNSPECIFIED, LEAF),)


def test_pins_need_no_loosening() -> None:
    """A pin that does not match loosens nothing, and can be ignored; OpenSSL's rejection of a root is another thing."""
    pinned = Tolerance((SslError(REJECTED, LEAF),), LEAF)
    assert (pinned.trust, pinned.name, pinned.time, pinned.unloosenable) == (False, False, False, ())
    assert Tolerance((SslError(REJECTED, ISSUER),), LEAF).trust


def test_tolerance_of_everything() -> None:
    """Who ignores everything loosens everything, and nothing is left that could not be ignored."""
    tolerance = Tolerance((SslError(UNSPECIFIED, LEAF),), LEAF, everything=True)
    assert tolerance.trust
    assert tolerance.name
    assert tolerance.time
    assert tolerance.unloosenable == ()


def test_tolerance_is_a_key() -> None:
    """Tolerances are equal if they ignore the same of the same certificate, and only then."""
    errors = (SslError(SELF_SIGNED, LEAF),)
    others = {Tolerance((), LEAF), Tolerance(errors, OTHER), Tolerance(errors, LEAF, everything=True)}
    assert len({Tolerance(errors, LEAF), Tolerance(errors, LEAF), *others}) == 4


def test_pins() -> None:
    """One pinned key anywhere in the verified chain is enough; without a verified chain only the leaf's counts."""
    (other,) = Certificate.load(stranger().chain)
    unknown = "sha256/" + "A" * 43 + "="
    assert pin_error([LEAF.pin], chain=[LEAF, other], leaf=LEAF) is None
    assert pin_error([unknown, other.pin], chain=[LEAF, other], leaf=LEAF) is None
    assert pin_error([LEAF.pin], chain=[], leaf=LEAF) is None
    assert pin_error([other.pin], chain=[], leaf=LEAF) == SslError(REJECTED, LEAF)
    assert pin_error([unknown], chain=[LEAF, other], leaf=LEAF) == SslError(REJECTED, LEAF)
    assert pin_error([], chain=[LEAF], leaf=LEAF) is None


def test_words_about_pins() -> None:
    """Who reads that no pin matches is told the pin of the certificate at hand, or that it has none."""
    pins = ["sha256/" + "A" * 43 + "="]
    error = pin_error(pins, chain=[], leaf=LEAF)
    assert error is not None
    assert error.error_string.endswith(f"; the certificate's own is {LEAF.pin}")
    error = pin_error(pins, chain=[], leaf=GARBAGE)
    assert error is not None
    assert error.error_string.endswith("; the certificate's own is one that cannot be decoded")

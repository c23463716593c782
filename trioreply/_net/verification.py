"""What is wrong with a server's certificate, and what follows from ignoring some of it. Decisions only: plain values.

OpenSSL stops at the first error, and Python says which. Qt shows a list, because who decides should see everything at
once. So the rest of the list is found here, under these rules:

* **OpenSSL judges.** Its own verdict is always in the list, even where our look at the certificate finds nothing
  wrong. What we find besides is for people to see; nothing is accepted because we found nothing.
* **Qt's order.** The host name first, then the others as OpenSSL's verification comes to them: who issued the chain,
  then the dates, from the top of the chain down to the server's own certificate.
* **Each error has its certificate**, because errors are ignored by code and certificate.

What was hard: knowing where OpenSSL does *not* look. It checks dates of every certificate in the chain but the
topmost of a chain whose end it could not find; it gives "no certificate could be verified" only if the chain has just
one; and the name is settled before the dates are looked at.

What was ignored becomes a `Tolerance`: which of three checks (trust, name, time) to loosen when the connection is made
again. Errors that none of them covers cannot be ignored one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from .._model.tls import Certificate, SslError, SslErrorCode
from .._model.values import frozen

_NAME = {SslErrorCode.HOST_NAME_MISMATCH}
_TIME = {
    SslErrorCode.CERTIFICATE_NOT_YET_VALID,
    SslErrorCode.CERTIFICATE_EXPIRED,
    SslErrorCode.INVALID_NOT_BEFORE_FIELD,
    SslErrorCode.INVALID_NOT_AFTER_FIELD,
}
# What is of no importance once the server's own certificate is trusted as it is.
_TRUST = {
    SslErrorCode.UNABLE_TO_GET_ISSUER_CERTIFICATE,
    SslErrorCode.UNABLE_TO_DECRYPT_CERTIFICATE_SIGNATURE,
    SslErrorCode.UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY,
    SslErrorCode.CERTIFICATE_SIGNATURE_FAILED,
    SslErrorCode.SELF_SIGNED_CERTIFICATE,
    SslErrorCode.SELF_SIGNED_CERTIFICATE_IN_CHAIN,
    SslErrorCode.UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE,
    SslErrorCode.UNABLE_TO_VERIFY_FIRST_CERTIFICATE,
    SslErrorCode.INVALID_CA_CERTIFICATE,
    SslErrorCode.PATH_LENGTH_EXCEEDED,
    SslErrorCode.CERTIFICATE_UNTRUSTED,
    SslErrorCode.SUBJECT_ISSUER_MISMATCH,
    SslErrorCode.AUTHORITY_ISSUER_SERIAL_NUMBER_MISMATCH,
}

# The numbers of OpenSSL's x509_vfy.h.
_CODES = {
    2: SslErrorCode.UNABLE_TO_GET_ISSUER_CERTIFICATE,
    4: SslErrorCode.UNABLE_TO_DECRYPT_CERTIFICATE_SIGNATURE,
    6: SslErrorCode.UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY,
    7: SslErrorCode.CERTIFICATE_SIGNATURE_FAILED,
    9: SslErrorCode.CERTIFICATE_NOT_YET_VALID,
    10: SslErrorCode.CERTIFICATE_EXPIRED,
    13: SslErrorCode.INVALID_NOT_BEFORE_FIELD,
    14: SslErrorCode.INVALID_NOT_AFTER_FIELD,
    18: SslErrorCode.SELF_SIGNED_CERTIFICATE,
    19: SslErrorCode.SELF_SIGNED_CERTIFICATE_IN_CHAIN,
    20: SslErrorCode.UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE,
    21: SslErrorCode.UNABLE_TO_VERIFY_FIRST_CERTIFICATE,
    23: SslErrorCode.CERTIFICATE_REVOKED,
    24: SslErrorCode.INVALID_CA_CERTIFICATE,  # of OpenSSL 1.1; from 3.0 on that is 79
    25: SslErrorCode.PATH_LENGTH_EXCEEDED,
    26: SslErrorCode.INVALID_PURPOSE,
    27: SslErrorCode.CERTIFICATE_UNTRUSTED,
    28: SslErrorCode.CERTIFICATE_REJECTED,
    29: SslErrorCode.SUBJECT_ISSUER_MISMATCH,
    30: SslErrorCode.AUTHORITY_ISSUER_SERIAL_NUMBER_MISMATCH,
    31: SslErrorCode.AUTHORITY_ISSUER_SERIAL_NUMBER_MISMATCH,
    62: SslErrorCode.HOST_NAME_MISMATCH,
    64: SslErrorCode.HOST_NAME_MISMATCH,  # the same of an IP address
    79: SslErrorCode.INVALID_CA_CERTIFICATE,
}

# The end of the chain was not found: 2 above trusted certificates, 20 above those that the peer sent.
_INCOMPLETE = {2, 20}
# OpenSSL comes to these once it is content with the name.
_BEYOND_NAME = {4, 6, 7, 9, 10, 13, 14}
# What is said of the top of the chain; everything else is of the server's own certificate, unless we find a better one.
_OF_TOP = {2, 19, 20, 27, 28}


@frozen
class Verdict:
    """What OpenSSL said first: ``verify_code`` and ``verify_message`` of `ssl.SSLCertVerificationError`."""

    code: int
    message: str


def error_code(verify_code: int) -> SslErrorCode:
    """Qt's code for OpenSSL's ``X509_V_ERR_`` number; ``UNSPECIFIED`` for those that Qt does not know either."""
    return _CODES.get(verify_code, SslErrorCode.UNSPECIFIED)


def list_errors(
    verdict: Verdict,
    *,
    host: str,
    peer_chain: Sequence[Certificate],
    built_chain: Sequence[Certificate],
    now: datetime,
    check_name: bool = True,
    check_time: bool = True,
) -> tuple[SslError, ...]:
    """All that is wrong with a certificate that OpenSSL did not accept; never empty.

    Args:
        verdict: what OpenSSL said.
        host: the name or address that the certificate must have.
        peer_chain: as the server sent it, its own certificate first.
        built_chain: as far as OpenSSL came in building one, from the server's own certificate up.
        now: the wall clock, with a time zone.
        check_name: whether the host name is looked at.
        check_time: whether the dates are looked at.
    """
    chain = tuple(built_chain) or tuple(peer_chain[:1])
    names = _name_errors(chain, host) if check_name and verdict.code not in _BEYOND_NAME else ()
    times = tuple(_time_errors(_dated(verdict, chain), now)) if check_time else ()
    said = _said(verdict, chain)
    # Which certificate is out of date OpenSSL does not say. We know better, if we see at least one that is.
    is_seen = any(error.code is said[0].code for error in (*names, *times))
    return merge(names, (*(() if is_seen else said), *times))


def _said(verdict: Verdict, chain: Sequence[Certificate]) -> tuple[SslError, ...]:
    """The verdict, and what OpenSSL always says along with it."""
    message = "" if verdict.code in _CODES else verdict.message
    first = SslError(error_code(verdict.code), _culprit(verdict.code, chain), message=message)
    if verdict.code in _INCOMPLETE and len(chain) == 1:
        return first, SslError(SslErrorCode.UNABLE_TO_VERIFY_FIRST_CERTIFICATE, chain[0])
    return (first,)


def _culprit(verify_code: int, chain: Sequence[Certificate]) -> Certificate | None:
    """Whom a verdict is about."""
    if not chain:
        return None
    if verify_code in _OF_TOP:
        return chain[-1]
    if error_code(verify_code) is SslErrorCode.INVALID_CA_CERTIFICATE:
        return next((issuer for issuer in chain[1:] if _appears(_is_no_ca, issuer)), chain[0])
    return chain[0]


def _name_errors(chain: Sequence[Certificate], host: str) -> tuple[SslError, ...]:
    return tuple(
        SslError(SslErrorCode.HOST_NAME_MISMATCH, leaf)
        for leaf in chain[:1]
        if _appears(lambda certificate: not certificate.matches_host(host), leaf)
    )


def _dated(verdict: Verdict, chain: Sequence[Certificate]) -> Sequence[Certificate]:
    """The certificates whose dates are looked at."""
    # Of a chain without an end the topmost certificate only serves to check the signature below it.
    return chain[:-1] if verdict.code in _INCOMPLETE and len(chain) > 1 else chain


def _time_errors(chain: Sequence[Certificate], now: datetime) -> Iterator[SslError]:
    for certificate in reversed(chain):
        if _appears(lambda dated: dated.not_before > now, certificate):
            yield SslError(SslErrorCode.CERTIFICATE_NOT_YET_VALID, certificate)
        if _appears(lambda dated: dated.not_after <= now, certificate):
            yield SslError(SslErrorCode.CERTIFICATE_EXPIRED, certificate)


def _is_no_ca(certificate: Certificate) -> bool:
    return not certificate.is_ca


def _appears(wrong: Callable[[Certificate], bool], certificate: Certificate) -> bool:
    """Whether something appears wrong. What cannot be decoded does not: OpenSSL has judged it, or will."""
    try:
        return wrong(certificate)
    except ValueError:
        return False


def merge(old: Iterable[SslError], new: Iterable[SslError]) -> tuple[SslError, ...]:
    """``old`` and what ``new`` adds to it, an error of the host name first."""
    errors = dict.fromkeys([*old, *new])
    return tuple(sorted(errors, key=lambda error: error.code not in _NAME))


def covers(ignored: Iterable[SslError], errors: Iterable[SslError]) -> bool:
    """Whether each of ``errors``, code and certificate, is in ``ignored``; more may be."""
    return set(ignored).issuperset(errors)


@frozen
class Tolerance:
    """What is ignored of one server's certificate. Part of the key under which connections are kept."""

    errors: tuple[SslError, ...]
    leaf: Certificate
    """The server's own certificate, which must be the same when the connection is made again."""
    everything: bool = False
    """Whether nothing is verified at all."""

    @property
    def trust(self) -> bool:
        """Whether the leaf is trusted as it is, whoever issued it."""
        return self.everything or any(self._is_of_trust(error) for error in self.errors)

    @property
    def name(self) -> bool:
        """Whether the leaf may be for another host."""
        return self.everything or any(error.code in _NAME for error in self.errors)

    @property
    def time(self) -> bool:
        """Whether dates are of no importance."""
        return self.everything or any(error.code in _TIME for error in self.errors)

    @property
    def unloosenable(self) -> tuple[SslError, ...]:
        """Errors that would come again, because no check that can be loosened is what finds them."""
        if self.everything:
            return ()
        return tuple(
            error
            for error in self.errors
            if error.code not in _NAME | _TIME and not self._is_of_trust(error) and not self._is_of_pin(error)
        )

    def _is_of_pin(self, error: SslError) -> bool:
        # `pin_error` is always of the leaf, and OpenSSL's rejections are of the top of the chain.
        return error.code is SslErrorCode.CERTIFICATE_REJECTED and error.certificate == self.leaf

    def _is_of_trust(self, error: SslError) -> bool:
        is_rejection = error.code is SslErrorCode.CERTIFICATE_REJECTED
        return error.code in _TRUST or (is_rejection and not self._is_of_pin(error))


def pin_error(pins: Iterable[str], *, chain: Sequence[Certificate], leaf: Certificate) -> SslError | None:
    """What is wrong with the server's key, if it is not one of those that are expected.

    Args:
        pins: as `Certificate.pin`; none means that every key is.
        chain: as it was verified, where one of the keys is enough; empty if that was not done, and only the leaf's
            counts: the rest of a chain proves nothing unless it is verified.
        leaf: the server's own certificate.
    """
    expected = frozenset(pins)
    if not expected or not expected.isdisjoint(_pins(chain or (leaf,))):
        return None
    own = "".join(_pins((leaf,))) or "one that cannot be decoded"
    message = f"None of the pinned keys is in the certificate chain; the certificate's own is {own}"
    return SslError(SslErrorCode.CERTIFICATE_REJECTED, leaf, message=message)


def _pins(chain: Sequence[Certificate]) -> Iterator[str]:
    for certificate in chain:
        try:
            yield certificate.pin
        except ValueError:
            continue

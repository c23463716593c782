"""Secure connections for ``https:``: what certificate errors stand in the way, and what follows from an answer.

A connection is first tried as the configuration says. If OpenSSL refuses the certificate, the connection is closed and
its slot given back; all the errors are found (`list_errors`), and only then somebody is asked. If exactly those errors
may be ignored, the connection is made again, loosened by them alone, and the certificate must be the same, byte for
byte, before a byte of the request is sent.

What was ignored is part of the key under which a connection is kept (`TlsKey`), and so is everything else that decides
whom we would accept: a reply never gets a connection that somebody else's leniency has opened.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from .._model.errors import SslHandshakeFailedError
from .._model.events import Encrypted, SslErrors
from .._model.exchange import Sink
from .._model.messages import OWN_CONTEXT, TlsAnswer, TlsQuestion
from .._model.ssl_configuration import VerifyMode
from .._model.tls import Certificate, SslError, SslErrorCode, TlsInfo
from .._net.connection import MessageSink, Origin, TlsKey
from .._net.interfaces import ByteStream
from .._net.tls import CertificateRefused, TlsStream, handshake
from .._net.verification import Tolerance, covers, list_errors, merge, pin_error
from .environments import ALPN, TlsEnvironment

MAX_REDIALS = 4
"""How often one request may connect again because of certificates. One is the rule, a server in the middle of an
exchange of its certificate takes two or three, and what needs more is playing with us."""


class Refused(Exception):  # noqa: N818 - nobody's fault so far: a decision is due
    """The server's certificate is not accepted, and the connection is closed.

    Without ``errors`` it is another certificate than the one whose errors are ignored, of which nothing is known yet.
    """

    def __init__(self, errors: Sequence[SslError], tls: TlsInfo) -> None:
        super().__init__()
        self.errors = tuple(errors)
        self.tls = tls


async def secure(
    env: TlsEnvironment,
    transport: ByteStream,
    context: ssl.SSLContext,
    *,
    origin: Origin,
    key: TlsKey,
    sink: MessageSink,
) -> tuple[TlsStream, TlsInfo]:
    """A secure channel over ``transport``; the caller closes that if this raises.

    Raises:
        Refused: the certificate has errors that are not ignored, or is not the one whose errors are.
        SslHandshakeFailedError, RemoteHostClosedError: see `handshake`.
    """
    reuse = key.configuration is None or key.configuration.session_reuse
    try:
        stream = await handshake(
            transport,
            context,
            key.name,
            resume=env.sessions.get(origin, context) if reuse else None,
            on_session=(lambda session: env.sessions.put(origin, session, context)) if reuse else None,
        )
    except CertificateRefused as refusal:
        raise _refused(refusal, key, context, now=env.now()) from None
    env.handshakes += 1
    env.resumptions += stream.session_reused
    agreed = stream.alpn
    if agreed is not None and agreed not in ALPN:
        stream.close_nowait()
        raise SslHandshakeFailedError(
            f"SSL handshake failed: alpn: the server chose {agreed!r}, which is not spoken here; leave it out of alpn="
        )
    info = stream.info(() if key.tolerance is None else key.tolerance.errors)
    found = _unexpected(info, key, context)
    if found is not None:
        stream.close_nowait()
        raise Refused(found, info)
    await sink.put(Encrypted(info))
    return stream, info


def _refused(refusal: CertificateRefused, key: TlsKey, context: ssl.SSLContext, *, now: datetime) -> Refused:
    """What to tell about a certificate that OpenSSL did not accept."""
    leaf = next(iter(refusal.peer_chain), None)
    info = TlsInfo(version="", cipher="", peer_certificate=leaf, peer_chain=refusal.peer_chain)
    tolerance = key.tolerance
    if tolerance is not None and leaf != tolerance.leaf:
        return Refused([], info)
    errors = list_errors(
        refusal.verdict,
        host=key.name,
        peer_chain=refusal.peer_chain,
        built_chain=refusal.built_chain,
        now=now,
        check_name=context.check_hostname,
        check_time=tolerance is None or not tolerance.time,
    )
    # Who issued the chain is settled before names and dates are looked at, unless that is what was refused.
    was_verified = not Tolerance(errors, _leaf(info)).trust and (tolerance is None or not tolerance.trust)
    pin = _pin_error(info, key, verified_chain=refusal.built_chain if was_verified else ())
    errors = errors if pin is None else (*errors, pin)
    return Refused(errors if tolerance is None else merge(tolerance.errors, errors), info)


def _unexpected(info: TlsInfo, key: TlsKey, context: ssl.SSLContext) -> tuple[SslError, ...] | None:
    """What is wrong with a channel that OpenSSL is content with, as for `Refused`; ``None`` if nothing is."""
    tolerance = key.tolerance
    if tolerance is not None and _leaf(info) != tolerance.leaf:
        return ()
    was_verified = context.verify_mode is ssl.CERT_REQUIRED and (tolerance is None or not tolerance.trust)
    pin = _pin_error(info, key, verified_chain=info.verified_chain if was_verified else ())
    ignored = () if tolerance is None else tolerance.errors
    return None if pin is None or pin in ignored else merge(ignored, (pin,))


def _pin_error(info: TlsInfo, key: TlsKey, *, verified_chain: tuple[Certificate, ...]) -> SslError | None:
    if key.configuration is None or not key.configuration.pins:
        return None
    return pin_error(key.configuration.pins, chain=verified_chain, leaf=_leaf(info))


def _leaf(info: TlsInfo) -> Certificate:
    """The server's certificate; where there is none (pre-shared keys), one that nothing equals."""
    return info.peer_certificate or Certificate(b"")


async def with_decisions(
    key: TlsKey, sink: Sink, attempt: Callable[[TlsKey], Awaitable[None]], *, strict: bool
) -> None:
    """``attempt`` with ``key``, and again with what is ignored after each certificate that was refused.

    Raises:
        SslHandshakeFailedError: the errors are not ignored, or cannot be; or `MAX_REDIALS` did not do.
    """
    redials = 0
    while True:
        try:
            await attempt(key)
        except Refused as refused:
            refusal = refused
        else:
            return
        if redials == MAX_REDIALS:
            raise SslHandshakeFailedError(
                f"SSL handshake failed: the server shows another certificate each time; gave up after {redials} redials"
            )
        redials += 1
        key = key._replace(tolerance=await _decide(key, refusal, sink, strict=strict))


async def _decide(key: TlsKey, refused: Refused, sink: Sink, *, strict: bool) -> Tolerance | None:
    """What may be ignored of ``refused``; ``None`` to look at another certificate from the start.

    Raises:
        SslHandshakeFailedError: nothing may, or what may is not enough.
    """
    if not refused.errors:
        return None
    if key.tolerance is not None and covers(key.tolerance.errors, refused.errors):
        raise _insisted(refused.errors[-1])  # there is nothing new, so OpenSSL does not let it pass
    answer = await _ask(key, refused, sink, strict=strict)
    if answer is None or not covers(answer.errors, refused.errors):
        first = refused.errors[0]
        remedy = _REMEDIES.get(first.code, _REMEDY)
        if key.configuration is None or strict:
            remedy = _STRICT if strict else OWN_CONTEXT
        raise SslHandshakeFailedError(f"SSL handshake failed: {first.error_string}; {remedy}")
    tolerance = Tolerance(refused.errors, _leaf(refused.tls), everything=answer.everything)
    if tolerance.unloosenable:
        raise _insisted(tolerance.unloosenable[0])
    return tolerance


def _insisted(error: SslError) -> SslHandshakeFailedError:
    return SslHandshakeFailedError(
        f"SSL handshake failed: {error.error_string}; this error cannot be ignored by itself: "
        "use SslConfiguration(verify=VerifyMode.NONE, pins=...) with the certificate's own pin"
    )


async def _ask(key: TlsKey, refused: Refused, sink: Sink, *, strict: bool) -> TlsAnswer | None:
    chain = refused.tls.peer_chain
    if key.configuration is not None and key.configuration.verify is VerifyMode.QUERY and not strict:
        await sink.put(SslErrors(refused.errors, chain))
        return TlsAnswer(refused.errors, everything=True)
    final = "" if key.configuration is not None else OWN_CONTEXT
    return await sink.ask(TlsQuestion(refused.errors, chain, tls=refused.tls, final=final, strict=strict))


_STRICT = (
    "the host is known to want strict transport security (HSTS), so this cannot be ignored; remove its policy from the "
    "HstsStore, or trust the certificate with SslConfiguration(ca_certificates=...)"
)
_REMEDY = (
    "to go on all the same answer the SslErrors event, or trust the certificate with "
    "SslConfiguration(ca_certificates=...)"
)
_DATES = "to go on all the same answer the SslErrors event; check also this machine's clock"
_REMEDIES = {
    SslErrorCode.HOST_NAME_MISMATCH: (
        "to go on all the same answer the SslErrors event, or say with peer_verify_name= which name to expect"
    ),
    SslErrorCode.CERTIFICATE_REJECTED: "if the server's key was changed on purpose, change SslConfiguration(pins=...)",
    SslErrorCode.CERTIFICATE_EXPIRED: _DATES,
    SslErrorCode.CERTIFICATE_NOT_YET_VALID: _DATES,
}

"""Events in words, for people: what ``-v`` and the demo print. Pure functions of values.

What a server sends ends up on a terminal here, and a terminal obeys escape sequences. So every text from outside goes
through `printable`, which leaves nothing in it that a terminal would act upon.
"""

from __future__ import annotations

from typing import assert_never

from yarl import URL

from .. import (
    AuthenticationRequired,
    Certificate,
    Encrypted,
    ErrorOccurred,
    Event,
    Finished,
    Informational,
    MetaDataChanged,
    Progress,
    ProxyAuthenticationRequired,
    ReadyRead,
    Redirected,
    RequestSent,
    Retrying,
    SocketStartedConnecting,
    SslErrors,
    TlsInfo,
)


def details(event: Event) -> str:
    """What is worth saying about ``event`` beside its name."""
    match event:
        case SocketStartedConnecting() | SslErrors() | Encrypted() | RequestSent():
            text = _about_connection(event)
        case ProxyAuthenticationRequired() | AuthenticationRequired():
            text = _about_demand(event)
        case Informational(status_code=status, headers=headers) | MetaDataChanged(status_code=status, headers=headers):
            text = f"{'no status' if status is None else status}, {len(headers)} header{'s'[: len(headers) != 1]}"
        case Redirected(status_code=status, url=url):
            text = f"{status} to {shown_url(url)}"
        case Retrying(attempt=attempt, delay=delay, reason=reason):
            text = f"attempt {attempt} in {round(delay, 3):g} s: {reason}"
        case ReadyRead(bytes_available=available):
            text = size(available)
        case Progress():
            text = f"{event.direction.value} {percent(event)} {amount(event)}".replace("  ", " ")
        case ErrorOccurred(error=error, message=message):
            text = f"{error.name}: {message}"
        case Finished(error=error):
            text = error.name
        case _:
            assert_never(event)
    return printable(text)


def _about_demand(event: ProxyAuthenticationRequired | AuthenticationRequired) -> str:
    challenge = event.challenge
    parts = [f"{challenge.scheme} {challenge.realm}".strip()]
    if challenge.previous_user is not None:
        parts.append(f"{challenge.previous_user!r} was not accepted")
    if isinstance(event, ProxyAuthenticationRequired):
        parts.append(f"at the proxy {event.proxy}")
    return "; ".join(parts)


def _about_connection(event: SocketStartedConnecting | SslErrors | Encrypted | RequestSent) -> str:
    match event:
        case SocketStartedConnecting(host=host, port=port, address=address):
            return f"{host}:{port}" if address in (None, host) else f"{host}:{port} at {address}"
        case SslErrors(errors=errors, peer_chain=chain):
            codes = ", ".join(error.code.name for error in errors)
            return f"{codes} of {subject_of(chain[0])}" if chain else codes
        case Encrypted(tls=tls):
            return _about_channel(tls)
        case _:
            return ""


def _about_channel(tls: TlsInfo) -> str:
    parts = [f"{tls.version} {tls.cipher}"]
    if tls.alpn is not None:
        parts.append(tls.alpn)
    if tls.peer_certificate is not None:
        parts.append(f"{subject_of(tls.peer_certificate)}{_expiry(tls.peer_certificate)}")
    if tls.session_reused:
        parts.append("session resumed")
    if tls.ignored_errors:
        parts.append(f"in spite of {', '.join(error.code.name for error in tls.ignored_errors)}")
    return "; ".join(parts)


def subject_of(certificate: Certificate) -> str:
    """Whose ``certificate`` is; of one that cannot be decoded, its fingerprint."""
    try:
        return certificate.subject
    except ValueError:
        return f"sha256:{certificate.fingerprint()}"


def _expiry(certificate: Certificate) -> str:
    try:
        return f" until {certificate.not_after:%Y-%m-%d}"
    except ValueError:
        return ""


def amount(progress: Progress) -> str:
    """How much of how much: ``16.0 of 64.0 KiB``; only how much, where there is no total or nothing to come."""
    if not progress.total:
        return size(progress.done)
    done, total = size(progress.done), size(progress.total)
    number, _, unit = done.partition(" ")
    return f"{number if total.endswith(f' {unit}') else done} of {total}"


def percent(progress: Progress) -> str:
    """``25%``; empty while nobody knows, and where nothing comes. 100% is said of what is complete only."""
    fraction = progress.fraction
    return "" if fraction is None or not progress.total else f"{int(fraction * 100)}%"


def size(count: int) -> str:
    """A number of bytes, in the unit that people would choose."""
    if count < 1024:
        return f"{count} B"
    amount_left = float(count)
    for unit in ("KiB", "MiB", "GiB"):
        amount_left /= 1024
        # 1023.95 would be shown as 1024.0
        if amount_left < 1023.95:
            return f"{amount_left:.1f} {unit}"
    return f"{amount_left / 1024:.1f} TiB"


def printable(text: str) -> str:
    """``text`` on one line, with everything that would steer a terminal written as an escape."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def shown_url(url: URL) -> str:
    """``url`` without the user name and password that it may hold."""
    return str(url.with_user(None) if url.raw_user is not None or url.raw_password is not None else url)

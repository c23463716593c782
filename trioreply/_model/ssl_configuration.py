"""How connections are to be secured, as a value: `SslConfiguration` (``QSslConfiguration``).

It is pure data. Nothing is read from the disk here, so a file that cannot be read is found out about when the first
connection needs it; what a value alone shows to be wrong is a `ValueError` or a `TypeError` at once, which starts with
the field's name.

Two configurations are equal if they would secure a connection in the same way, as far as their values show it: the
pool keeps connections under them. So everything is brought into one form when it comes in: sources of certificates
are a path or bytes, pins are ``sha256/...``. Secrets are compared too, but never shown.
"""

from __future__ import annotations

import base64
import binascii
import enum
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, TypedDict, Unpack, cast

import attrs
from attrs import field, frozen

from .._facade import public
from .tls import PIN_PREFIX, Certificate

Source = Path | bytes
"""Where a certificate or a key comes from: a file, or what would stand in it (PEM or DER)."""

SourceLike = str | bytes | os.PathLike[str] | Certificate
"""What may be given for a `Source`. Text is PEM if it contains ``-----BEGIN``, and a path otherwise."""

PskFunction = Callable[[str | None], tuple[str, bytes]]
"""From the server's hint, if it gave one, to an identity and a key."""

Psk = tuple[str, bytes] | PskFunction
"""A pre-shared key: identity and key, or what finds them."""

MAX_PSK_SIZE: Final = 256
"""Bytes of an identity, in UTF-8, and of a key; more cannot be given to Python's ``ssl``."""

_BASE64_SIZE = 44
_PIN_SIZE = 32
_ONE_SOURCE = (str, bytes, bytearray, memoryview, os.PathLike, Certificate)


@public
class VerifyMode(enum.Enum):
    """What is done about the server's certificate (``QSslSocket::PeerVerifyMode``, the same numbers)."""

    NONE = 0
    """It is not verified: anybody can be in the middle. No `SslErrors`."""
    QUERY = 1
    """It is verified, `SslErrors` tells what is wrong, and the request goes on nevertheless."""
    PEER = 2
    """It is verified, and errors that nobody ignores end the request."""
    AUTO = 3
    """The default: what suits the role, and that is `PEER` for a client."""


@public
class TlsVersion(enum.IntEnum):
    """Versions of TLS, by their numbers on the wire, which are also those of ``ssl.TLSVersion``."""

    TLS_1_0 = 0x0301
    TLS_1_1 = 0x0302
    TLS_1_2 = 0x0303
    TLS_1_3 = 0x0304


_VERSIONS_BY_TEXT = {
    "TLSv1": TlsVersion.TLS_1_0,
    "TLSv1.0": TlsVersion.TLS_1_0,
    "TLSv1.1": TlsVersion.TLS_1_1,
    "TLSv1.2": TlsVersion.TLS_1_2,
    "TLSv1.3": TlsVersion.TLS_1_3,
}


def _source(name: str, value: object) -> Source:
    if isinstance(value, Certificate):
        return value.der
    if isinstance(value, bytes | bytearray | memoryview):
        if not value:
            raise ValueError(f"{name}: nothing is in it; give PEM or DER, or a path")
        return bytes(value)
    if isinstance(value, str) and "-----BEGIN" in value:
        return value.encode()
    return Path(_path(name, value))


def _path(name: str, value: object) -> str:
    # Bytes are no path here: they are what would stand in the file.
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name}: {type(value).__name__} is neither a path nor PEM nor DER; give one of these")
    path = os.fsdecode(value)
    if not path or "\0" in path:
        raise ValueError(f"{name}: {path!r} is no path; give the path of a file")
    return path


def _several(name: str, value: object, one: tuple[type, ...]) -> tuple[object, ...]:
    """``value`` as a tuple, whether it is one or several."""
    if isinstance(value, one):
        return (value,)
    if not isinstance(value, Iterable):
        raise TypeError(f"{name}: {value!r} is neither one nor several; give a list, which may be empty")
    return tuple(value)


def _ca_certificates(value: SourceLike | Iterable[SourceLike]) -> tuple[Source, ...]:
    return tuple(_source("ca_certificates", one) for one in _several("ca_certificates", value, _ONE_SOURCE))


def _certificate(value: SourceLike | None) -> Source | None:
    return None if value is None else _source("certificate", value)


def _private_key(value: str | bytes | os.PathLike[str] | None) -> Source | None:
    if isinstance(value, Certificate):
        raise TypeError("private_key: a certificate holds no key; give the key that was made for it")
    return None if value is None else _source("private_key", value)


def _password(value: str | bytes | None) -> bytes | None:
    if value is not None and not isinstance(value, str | bytes):
        raise TypeError(f"password: {type(value).__name__} is none; give text or bytes")
    return value.encode() if isinstance(value, str) else value


def _version(name: str, value: object) -> TlsVersion | None:
    if value is None:
        return None
    try:
        return _VERSIONS_BY_TEXT[value] if isinstance(value, str) else TlsVersion(cast("int", value))
    except (KeyError, ValueError):
        remedy = "give a TlsVersion, a ssl.TLSVersion such as TLSv1_2, or a text such as 'TLSv1.2'"
        raise ValueError(f"{name}: {value!r} is no version of TLS; {remedy}") from None


def _minimum_version(value: TlsVersion | int | str | None) -> TlsVersion | None:
    return _version("minimum_version", value)


def _maximum_version(value: TlsVersion | int | str | None) -> TlsVersion | None:
    return _version("maximum_version", value)


def _ciphers(value: str | None) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"ciphers: {value!r} is no text; give OpenSSL's names with colons between them")
    if value is not None and not (value and value.isascii() and value.isprintable()):
        raise ValueError(f"ciphers: {value!r} names none; give OpenSSL's names with colons between them, or None")
    return value


def _alpn(value: Iterable[str] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"alpn: {value!r} is no list; give several names, such as ['h2', 'http/1.1']")
    names = tuple(value)
    for name in names:
        # RFC 7301 section 3.1: a name is 1 to 255 bytes.
        if not isinstance(name, str):
            raise TypeError(f"alpn: {name!r} is no text; give names such as 'http/1.1'")
        if not name.isascii() or not 1 <= len(name) <= 255:
            raise ValueError(f"alpn: {name!r} is no protocol's name; give 1 to 255 ASCII characters")
    return names


def _psk(value: Psk | None) -> Psk | None:
    if value is None:
        return None
    if callable(value):
        _check_can_be_key(value)
        return value
    if not isinstance(value, tuple | list) or [type(part) for part in value] != [str, bytes]:
        # Without the value, which is a secret.
        raise TypeError("psk: give an identity (text) and a key (bytes), or a function of the hint that returns them")
    identity, key = value
    if "\0" in identity or len(identity.encode()) > MAX_PSK_SIZE:
        raise ValueError(f"psk: an identity has no NUL in it, and in UTF-8 at most {MAX_PSK_SIZE} bytes; shorten it")
    if not 1 <= len(key) <= MAX_PSK_SIZE:
        raise ValueError(f"psk: a key of {len(key)} bytes; give 1 to {MAX_PSK_SIZE}")
    return identity, key


def _check_can_be_key(function: PskFunction) -> None:
    try:
        hash(function)
    except TypeError as error:
        # Better here than when a pool looks for a connection.
        raise TypeError(f"psk: {error}, and connections are kept under it; give a plain function") from error


def _pins(value: str | bytes | Iterable[str | bytes]) -> tuple[str, ...]:
    # Any of them will do, so their order is of no meaning.
    return tuple(sorted({_pin(one) for one in _several("pins", value, (str, bytes))}))


def _pin(value: object) -> str:
    digest = value if isinstance(value, bytes) else _digest(value)
    if len(digest) != _PIN_SIZE:
        remedy = "give 'sha256/' and the base64 of the SHA-256 of the SubjectPublicKeyInfo: Certificate.pin"
        raise ValueError(f"pins: {value!r} is none; {remedy}")
    return PIN_PREFIX + base64.b64encode(digest).decode("ascii")


def _digest(value: object) -> bytes:
    """The digest that a text names; nothing if it names none."""
    if not isinstance(value, str):
        raise TypeError(f"pins: {value!r} is none; give text such as Certificate.pin, or 32 bytes")
    text = value.strip().removeprefix(PIN_PREFIX)
    if len(text) == _BASE64_SIZE + 1:
        text = text.removeprefix("/")  # curl writes two slashes; base64 itself may begin with one
    try:
        if len(text.replace(":", "")) == 2 * _PIN_SIZE:
            return bytes.fromhex(text.replace(":", ""))
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""


def _key_log(value: str | os.PathLike[str] | None) -> Path | None:
    return None if value is None else Path(_path("key_log", value))


class SslConfigurationChanges(TypedDict, total=False):
    """What `SslConfiguration.replace` can change: every field."""

    ca_certificates: SourceLike | Iterable[SourceLike]
    use_system_ca: bool
    certificate: SourceLike | None
    private_key: str | bytes | os.PathLike[str] | None
    password: str | bytes | None
    verify: VerifyMode
    minimum_version: TlsVersion | int | str | None
    maximum_version: TlsVersion | int | str | None
    ciphers: str | None
    alpn: Iterable[str] | None
    psk: Psk | None
    pins: str | bytes | Iterable[str | bytes]
    session_reuse: bool
    key_log: str | os.PathLike[str] | None


# A pool hashes it for every request, and it has many fields.
@public
@frozen(kw_only=True, repr=False, cache_hash=True)
class SslConfiguration:
    """How connections are secured (``QSslConfiguration``). Hashable; its ``repr`` shows no secrets.

    Where certificates or keys are wanted, give a path, the PEM text, or bytes that are PEM or DER; for certificates a
    `Certificate`, too.

    Raises:
        ValueError, TypeError: a value cannot be meant; the text starts with the field's name.
    """

    ca_certificates: tuple[Source, ...] = field(default=(), converter=_ca_certificates)
    """Who may vouch for a server: one source, or several; a PEM source may hold many certificates."""
    use_system_ca: bool = True
    """Whether those whom the operating system trusts may vouch, too."""
    certificate: Source | None = field(default=None, converter=_certificate)
    """What is shown to a server that asks who we are; as PEM followed by the chain (``localCertificateChain``)."""
    private_key: Source | None = field(default=None, converter=_private_key)
    """The certificate's key; ``None`` if it stands in the same PEM."""
    password: bytes | None = field(default=None, converter=_password)
    """Opens ``private_key``."""
    verify: VerifyMode = VerifyMode.AUTO
    minimum_version: TlsVersion | None = field(default=None, converter=_minimum_version)
    """The oldest version to agree on; ``None``: TLS 1.2 (``SecureProtocols``), since RFC 8996 forbids older ones."""
    maximum_version: TlsVersion | None = field(default=None, converter=_maximum_version)
    """The newest version to agree on; ``None``: the newest there is."""
    ciphers: str | None = field(default=None, converter=_ciphers)
    """OpenSSL's cipher list for TLS 1.2 and older; ``None``: Python's choice."""
    alpn: tuple[str, ...] | None = field(default=None, converter=_alpn)
    """Protocols to offer, the best first (``allowedNextProtocols``, RFC 7301); ``None``: those that are spoken here."""
    psk: Psk | None = field(default=None, converter=_psk)
    """A pre-shared key: identity and key, or a function of the server's hint. Needs Python 3.13."""
    pins: tuple[str, ...] = field(default=(), converter=_pins)
    """If any: one of the server's verified chain must have one of these keys. Each as `Certificate.pin`, ``sha256//``
    and base64 (as curl), base64 alone, hexadecimal, or 32 bytes."""
    session_reuse: bool = True
    """Whether a later connection may resume the session of an earlier one, which saves time."""
    key_log: Path | None = field(default=None, converter=_key_log)
    """A file to append the secrets of each connection to, for programs that look into recorded traffic."""

    def __attrs_post_init__(self) -> None:
        for name in ("use_system_ca", "session_reuse"):
            value: object = getattr(self, name)
            if not isinstance(value, bool):
                raise TypeError(f"{name}: {value!r} is neither; give True or False")
        if not isinstance(self.verify, VerifyMode):
            raise TypeError(f"verify: {self.verify!r} is no way to verify; give a member of VerifyMode")
        if self.private_key is not None and self.certificate is None:
            raise ValueError("private_key: there is no certificate that it is for; give certificate= too")

    def replace(self, **changes: Unpack[SslConfigurationChanges]) -> SslConfiguration:
        """A copy with ``changes``, checked as a new configuration is.

        Raises:
            ValueError, TypeError: as for the class.
        """
        return attrs.evolve(self, **changes)

    def __repr__(self) -> str:
        changed = [
            f"{name}={_shown(name, value)}" for name in _DEFAULTS if (value := getattr(self, name)) != _DEFAULTS[name]
        ]
        return f"SslConfiguration({', '.join(changed)})"


def _shown(name: str, value: object) -> str:
    match name, value:
        case (("password" | "psk"), _):
            return "<hidden>"
        case "ca_certificates", tuple():
            return f"({', '.join(_shown('', one) for one in value)})"
        case _, bytes():  # a key, or PEM that may hold one
            return f"<{len(value)} bytes>"
        case _:
            return repr(value)


_DEFAULTS: dict[str, object] = {entry.name: entry.default for entry in attrs.fields(SslConfiguration)}

DEFAULT_CONFIGURATION = SslConfiguration()
"""What holds where nothing is said: the system's authorities, TLS 1.2 or later, everything verified."""

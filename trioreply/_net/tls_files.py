"""Certificates and keys, from wherever the application has them, into an `ssl.SSLContext`.

Everything here blocks, because it reads files. What is wrong with a file is a `SslHandshakeFailedError` that names the
field of `SslConfiguration` it came from, and never a certificate less. What was hard:

* OpenSSL takes a certificate of ours and its key from PEM files only. So what was given as bytes, or is DER, goes
  through a file that nobody else can open: in memory where the system can do that, else on disk, for a moment. A PEM
  file of the application's is used where it is.
* If that fails, OpenSSL does not say which of the two files, or the password, it is about. `_loading_failure` finds
  out.
* For a password that it lacks, OpenSSL asks on the terminal, and waits. So it always gets somebody to ask: `_Password`.
"""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from .._model.errors import SslHandshakeFailedError
from .._model.ssl_configuration import Source, SslConfiguration
from .._model.values import define, frozen

_KEY_LABELS = {b"\x02": "RSA PRIVATE KEY", b"\x04": "EC PRIVATE KEY"}
"""What PEM calls a private key, by the tag of the second element (RFC 8017 A.1.2: the modulus; RFC 5915: the key).
Any other is PKCS #8 (RFC 5958)."""


def configuration_failure(name: str, what: str, remedy: str) -> SslHandshakeFailedError:
    """The error for a field of `SslConfiguration` that cannot be used as it is."""
    return SslHandshakeFailedError(f"SSL handshake failed: {name}: {what}; {remedy}")


def words_of(error: Exception) -> str:
    """What an error says, without its place in Python's source code."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.partition(" (_ssl.c")[0]


def load_anchors(context: ssl.SSLContext, source: Source) -> None:
    """Trust all certificates of ``source``, one of ``ca_certificates``.

    Raises:
        SslHandshakeFailedError: it cannot be read, holds no certificate, or a damaged one.
    """
    content = _read("ca_certificates", source)
    try:
        _add_anchors(context, content)
    except (ssl.SSLError, ValueError) as error:  # ValueError: it is empty
        where = "the given bytes" if isinstance(source, bytes) else repr(str(source))
        what = f"no valid certificates in {where}: {words_of(error)}"
        raise configuration_failure("ca_certificates", what, "give certificates as PEM or DER") from error


def _add_anchors(context: ssl.SSLContext, content: bytes) -> None:
    # PEM is told from DER by the type, and must then be ASCII: bundles are full of comments in other languages.
    is_pem = _is_pem(content)
    context.load_verify_locations(cadata=content.decode("ascii", "backslashreplace") if is_pem else content)


def load_own_certificate(context: ssl.SSLContext, configuration: SslConfiguration, platform: str) -> None:
    """What to show to a server that asks who we are; nothing, if there is nothing.

    Raises:
        SslHandshakeFailedError: a file cannot be read or used, they do not fit together, or the password is wrong.
    """
    if configuration.certificate is None:
        return
    certificate = _own("certificate", configuration.certificate, _certificate_pem)
    key = certificate
    if configuration.private_key is not None:
        key = _own("private_key", configuration.private_key, _key_pem)
    password = _Password(configuration.password)
    try:
        with certificate.file(platform) as certificate_path, key.file(platform) as key_path:
            context.load_cert_chain(certificate_path, key_path, password)
    except _MissingPasswordError as error:
        what = "the private key is encrypted, and there is no password"
        raise configuration_failure("password", what, "give the one that the key was encrypted with") from error
    except (ssl.SSLError, ValueError) as error:  # ValueError: a password of more than a kilobyte
        raise _loading_failure(error, certificate.content, was_asked=password.was_asked) from error
    except OSError as error:
        what = f"it must be in a file for OpenSSL, and there can be none: {words_of(error)}"
        remedy = "give the path of a PEM file, or make room where temporary files are"
        raise configuration_failure("certificate", what, remedy) from error


def _loading_failure(error: Exception, certificate: bytes, *, was_asked: bool) -> SslHandshakeFailedError:
    reason = (error.reason if isinstance(error, ssl.SSLError) else None) or ""
    if reason in ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):  # the latter: a key of another kind
        what = "it does not belong to the certificate"
        return configuration_failure("private_key", what, "give the key that the certificate was made for")
    if was_asked:
        what = "it does not open the private key"
        return configuration_failure("password", what, "check it, and that the key is undamaged")
    what = f"it cannot be used: {words_of(error)}"
    if reason.endswith(("_TOO_SMALL", "_TOO_WEAK")) or not _holds_certificates(certificate):
        remedy = "give a PEM chain, the own certificate first, or one certificate as DER"
        return configuration_failure("certificate", what, remedy)
    remedy = "give the key as PEM or DER; without private_key= it must be in the file with the certificate"
    return configuration_failure("private_key", what, remedy)


def _holds_certificates(content: bytes) -> bool:
    try:
        _add_anchors(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), content)
    except (ssl.SSLError, ValueError):
        return False
    return True


class _MissingPasswordError(Exception):
    """Travels through OpenSSL, to whoever gave it the `_Password`."""


@define
class _Password:
    """What OpenSSL asks when a key is encrypted."""

    _password: bytes | None
    was_asked: bool = False

    def __call__(self) -> bytes:
        self.was_asked = True
        if self._password is None:
            raise _MissingPasswordError
        return self._password


@frozen
class _Pem:
    """A certificate or a key of ours."""

    content: bytes
    path: Path | None
    """Where the same stands in a file of the application's."""

    def file(self, platform: str) -> AbstractContextManager[str]:
        """The path of a file with `content`, which is there for as long as the block runs."""
        if self.path is not None:
            return nullcontext(str(self.path))
        return private_file(self.content, platform=platform)


def _own(name: str, source: Source, to_pem: Callable[[bytes], bytes]) -> _Pem:
    content = _read(name, source)
    if _is_pem(content):
        return _Pem(content, None if isinstance(source, bytes) else source)
    return _Pem(to_pem(content), None)


def private_file(content: bytes, *, platform: str) -> AbstractContextManager[str]:
    """The path of a new file with ``content``, which only this user can open, and only while the block runs."""
    if platform == "linux" and hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        return _file_in_memory(content)
    return _file_on_disk(content)


@contextmanager
def _file_in_memory(content: bytes) -> Iterator[str]:
    with os.fdopen(os.memfd_create("trioreply"), "wb") as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


@contextmanager
def _file_on_disk(content: bytes) -> Iterator[str]:
    handle, path = tempfile.mkstemp(prefix="trioreply-")  # for its owner only
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        yield path  # closed by now: Windows lets nobody else open it before
    finally:
        Path(path).unlink()


def _read(name: str, source: Source) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        return source.read_bytes()
    except OSError as error:
        what = f"cannot read {str(source)!r}: {words_of(error)}"
        raise configuration_failure(name, what, "check the path, and that the file may be read") from error


def _is_pem(content: bytes) -> bool:
    return b"-----BEGIN " in content


def _certificate_pem(der: bytes) -> bytes:
    return ssl.DER_cert_to_PEM_cert(der).encode()


def _key_pem(der: bytes) -> bytes:
    """DER does not say what kind of key it is; the tags of its first two elements do."""
    # Behind the outer SEQUENCE's tag and length; the first element is an INTEGER of one byte, or a SEQUENCE.
    start = 2 + (der[1] & 0x7F if der[1:2] >= b"\x80" else 0)
    first, second = der[start : start + 1], der[start + 3 : start + 4]
    label = "ENCRYPTED PRIVATE KEY" if first == b"\x30" else _KEY_LABELS.get(second, "PRIVATE KEY")
    return f"-----BEGIN {label}-----\n".encode() + base64.encodebytes(der) + f"-----END {label}-----\n".encode()

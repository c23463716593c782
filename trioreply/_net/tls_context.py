"""From a `SslConfiguration` to an `ssl.SSLContext`, and the caches of contexts and of sessions that a manager keeps.

Building a context blocks: it reads files, and loading the system's certificates takes some 15 ms. So `build_context`
is plain code for a worker thread, and `TlsContexts` calls it once for each configuration. The rules here:

* **The same on every Python.** What decides about trust is set, not inherited: the defaults of ``ssl`` differ between
  versions, and no peer should be trusted on one and refused on the other.
* **Never less verification than was asked for.** Whatever cannot be done as configured is a `SslHandshakeFailedError`
  that names the field and the remedy. Nothing is skipped, and nothing falls back.
* **Loosened by what was ignored, and by nothing else.** Given a `Tolerance`, OpenSSL goes on to judge the rest:

  - trust: the shown leaf is the only anchor, and a chain may end in it (``X509_V_FLAG_PARTIAL_CHAIN``); what else the
    server sends is looked at nevertheless, so an authority in it that may not be one stays an error;
  - name: ``check_hostname`` is off; time: ``X509_V_FLAG_NO_CHECK_TIME``;
  - everything, or `VerifyMode.NONE`: nothing is verified.

* **A pre-shared key loosens nothing.** Where it is used no certificate comes, so there is nothing to verify; where the
  server sends a certificate after all, that one is judged like any other. So ``CERT_REQUIRED`` and ``check_hostname``
  stay as they are.

What was hard is the certificates and keys, which is why they have a file of their own: `trioreply._net.tls_files`.
"""

from __future__ import annotations

import ssl
import sys
import warnings
from collections import OrderedDict
from collections.abc import Hashable
from contextlib import nullcontext, suppress
from functools import partial
from typing import Final, Protocol, cast

import trio

from .._model.running import RunSync
from .._model.ssl_configuration import Psk, PskFunction, SslConfiguration, TlsVersion, VerifyMode
from .._model.values import frozen
from .tls import Resumable
from .tls_files import configuration_failure, load_anchors, load_own_certificate, words_of
from .verification import Tolerance

MOST_CONTEXTS = 64
"""Contexts a manager keeps. One with the system's certificates takes some 800 KiB, and an application has a
handful of configurations; only whoever makes a new one for every request, or ignores errors of very many servers,
gets this far, and then pays with building again."""

MOST_SESSIONS = 256
"""Sessions a manager keeps: a few kilobytes each, one for each origin that was talked to lately."""

NO_CHECK_TIME: Final = ssl.VerifyFlags(0x200000)
"""``X509_V_FLAG_NO_CHECK_TIME`` of OpenSSL 1.1 and later, for which Python has no name."""

HAS_PSK: Final = bool(getattr(ssl, "HAS_PSK", False))
"""Whether this Python can use pre-shared keys: from 3.13 on, if its OpenSSL can."""

_PSK_CIPHERS = (
    "ECDHE-PSK-CHACHA20-POLY1305:DHE-PSK-AES256-GCM-SHA384:DHE-PSK-AES128-GCM-SHA256:DHE-PSK-CHACHA20-POLY1305:"
    "PSK-AES256-GCM-SHA384:PSK-AES128-GCM-SHA256:PSK-CHACHA20-POLY1305"
)
"""For TLS 1.2, where Python's own choice leaves them out: authenticated encryption only, forward secrecy first."""

_SYSTEM_VERIFIES = ("darwin", "win32")
"""Platforms whose trust store is no file for OpenSSL, and where the system itself had better judge (truststore)."""


def build_context(
    configuration: SslConfiguration,
    *,
    tolerance: Tolerance | None = None,
    alpn: tuple[str, ...] = (),
    key_log: str | None = None,
    platform: str = sys.platform,
    has_psk: bool = HAS_PSK,
) -> ssl.SSLContext:
    """A new context for a client. Blocks: it reads files.

    Args:
        configuration: what the application wants. Its ``alpn`` and its ``key_log`` win over the arguments here. With
            `VerifyMode.QUERY` verification is as strict as ever: going on nevertheless is the caller's part.
        tolerance: the errors that the application chose to ignore.
        alpn: protocols to offer, best first (RFC 7301).
        key_log: file to append the secrets to, in NSS's format.
        platform: as `sys.platform`.
        has_psk: whether pre-shared keys can be used.

    Raises:
        SslHandshakeFailedError: something in ``configuration`` cannot be used; the text says which field, and what
            to do about it.
    """
    context = _new_context(configuration, tolerance, platform)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    _set_versions(context, configuration)
    _set_ciphers(context, configuration)
    _set_verification(context, configuration, tolerance)
    load_own_certificate(context, configuration, platform)
    context.set_alpn_protocols(alpn if configuration.alpn is None else configuration.alpn)
    if configuration.psk is not None:
        _set_psk(context, configuration.psk, has_psk=has_psk)
    if path := configuration.key_log or key_log:
        _set_key_log(context, str(path))
    return context


def _verifies(configuration: SslConfiguration, tolerance: Tolerance | None) -> bool:
    everything = tolerance is not None and tolerance.everything
    return configuration.verify is not VerifyMode.NONE and not everything


def _trusts_system(configuration: SslConfiguration, tolerance: Tolerance | None) -> bool:
    pinned_to_leaf = tolerance is not None and tolerance.trust
    return configuration.use_system_ca and _verifies(configuration, tolerance) and not pinned_to_leaf


def _new_context(configuration: SslConfiguration, tolerance: Tolerance | None, platform: str) -> ssl.SSLContext:
    """A context that trusts what the system trusts, if that is wanted, and nobody else."""
    if not _trusts_system(configuration, tolerance):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The system cannot be told to overlook dates, and truststore does not pass on the callback for pre-shared keys.
    beyond_system = configuration.psk is not None or (tolerance is not None and tolerance.time)
    if platform in _SYSTEM_VERIFIES and not beyond_system:
        with suppress(ImportError):  # without it OpenSSL uses what it finds
            import truststore  # may not be installed

            return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


def _set_verification(context: ssl.SSLContext, configuration: SslConfiguration, tolerance: Tolerance | None) -> None:
    """What a certificate must fulfil, and who may vouch for it beside the system."""
    # Not VERIFY_X509_STRICT: it refuses many private CAs, and only some versions of Python set it.
    context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST
    # The common name has not been a host name since RFC 2818, and RFC 9525 section 6.3 forbids it.
    context.hostname_checks_common_name = False
    context.check_hostname = False  # until it is known that there is any verification: the other way round is an error
    if not _verifies(configuration, tolerance):
        context.verify_mode = ssl.CERT_NONE
        return
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = tolerance is None or not tolerance.name
    if tolerance is not None and tolerance.time:
        context.verify_flags |= NO_CHECK_TIME
    if tolerance is not None and tolerance.trust:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=tolerance.leaf.der)
        return
    for source in configuration.ca_certificates:
        load_anchors(context, source)


def _set_versions(context: ssl.SSLContext, configuration: SslConfiguration) -> None:
    lowest = ssl.TLSVersion(configuration.minimum_version or TlsVersion.TLS_1_2)
    highest = ssl.TLSVersion(configuration.maximum_version or ssl.TLSVersion.MAXIMUM_SUPPORTED)
    is_old = lowest < ssl.TLSVersion.TLSv1_2
    try:
        if configuration.maximum_version is not None and highest < lowest:
            raise ValueError("there is none")
        # Python warns of the old versions: whoever configures one was told. Only then, since filters are global.
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning) if is_old else nullcontext():
            context.minimum_version = lowest
            context.maximum_version = highest
    except ValueError as error:
        what = f"no version from {lowest.name} to {highest.name} can be offered: {error}"
        remedy = "give a minimum_version that is not above maximum_version, both known to this OpenSSL"
        raise configuration_failure("minimum_version", what, remedy) from error


def _set_ciphers(context: ssl.SSLContext, configuration: SslConfiguration) -> None:
    ciphers = configuration.ciphers
    if ciphers is None:
        if configuration.psk is None:
            return  # Python's own choice
        usual = (cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3")
        ciphers = ":".join([_PSK_CIPHERS, *usual])
    try:
        # Without authentication there is no certificate to verify, and without encryption no secret: neither is ever
        # a cipher, whatever the string's other words (such as ALL) contain.
        context.set_ciphers(f"{ciphers}:!aNULL:!eNULL")
    except ssl.SSLError as error:
        what = f"{ciphers!r} selects no cipher of this OpenSSL"
        remedy = "use OpenSSL's cipher list format, for TLS 1.2 and older; the ciphers of TLS 1.3 are always on"
        raise configuration_failure("ciphers", what, remedy) from error


class _TakesPsk(Protocol):
    """What an `ssl.SSLContext` is from Python 3.13 on."""

    def set_psk_client_callback(self, callback: PskFunction, /) -> None: ...


def _set_psk(context: ssl.SSLContext, psk: Psk, *, has_psk: bool) -> None:
    """Let the server choose a pre-shared key (RFC 4279; RFC 8446 section 2.2).

    A function of the application's runs during the handshake. If it raises, Python reports that to
    `sys.unraisablehook` and goes on without a key.
    """
    if not has_psk:
        what = f"Python {sys.version_info.major}.{sys.version_info.minor} cannot use pre-shared keys"
        raise configuration_failure("psk", what, "use Python 3.13 or later, or authenticate with certificates")
    cast("_TakesPsk", context).set_psk_client_callback(psk if callable(psk) else lambda _hint: psk)


def _set_key_log(context: ssl.SSLContext, path: str) -> None:
    try:
        context.keylog_filename = path
    except OSError as error:
        what = f"cannot append to {path!r}: {words_of(error)}"
        remedy = "choose a file that may be written, here or in SSLKEYLOGFILE"
        raise configuration_failure("key_log", what, remedy) from error


_Key = tuple[SslConfiguration, Tolerance | None, tuple[str, ...]]


class TlsContexts:
    """The contexts of one manager: each is built once, by a worker thread, and kept while it is among the
    `MOST_CONTEXTS` used last.

    Args:
        run_sync: where what blocks is run.
        key_log: see `build_context`; for all configurations that name no file of their own.
    """

    def __init__(self, run_sync: RunSync, *, key_log: str | None = None) -> None:
        self._run_sync = run_sync
        self._key_log = key_log
        self._contexts: OrderedDict[_Key, ssl.SSLContext] = OrderedDict()
        self._builds: dict[_Key, trio.Event] = {}

    async def get(
        self,
        source: SslConfiguration | ssl.SSLContext,
        *,
        tolerance: Tolerance | None = None,
        alpn: tuple[str, ...] = (),
    ) -> ssl.SSLContext:
        """The context for ``source``: a context of the application's itself, untouched, or the one built from it.

        A checkpoint only when it waits, which is until the context was built for the first time. When whoever builds
        it is cancelled, or fails, another one that waits for it tries itself.

        Raises:
            SslHandshakeFailedError: see `build_context`; not remembered, since files can be put right.
        """
        if isinstance(source, ssl.SSLContext):
            return source
        key = (source, tolerance, alpn)
        while (context := self._contexts.get(key)) is None:
            if (build := self._builds.get(key)) is not None:
                await build.wait()
            else:
                await self._build(key)
        self._contexts.move_to_end(key)
        return context

    async def _build(self, key: _Key) -> None:
        configuration, tolerance, alpn = key
        build = partial(build_context, configuration, tolerance=tolerance, alpn=alpn, key_log=self._key_log)
        done = self._builds[key] = trio.Event()
        try:
            # Abandoned when cancelled: the files may lie on a network that hangs, and nothing depends on the outcome.
            self._contexts[key] = await self._run_sync(build, abandon_on_cancel=True)
        finally:
            del self._builds[key]
            done.set()
        if len(self._contexts) > MOST_CONTEXTS:
            self._contexts.popitem(last=False)


@frozen
class _Kept:
    session: Resumable
    context: ssl.SSLContext


class TlsSessions:
    """Sessions to resume: the newest for each key, of the `MOST_SESSIONS` keys used last.

    The key is whatever the caller lets connections be shared by, such as an origin and its proxy.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()

    def get(self, key: Hashable, context: ssl.SSLContext) -> Resumable | None:
        """Take the session for ``key`` out: a ticket that is used twice lets observers link the two connections
        (RFC 8446 appendix C.4). The new connection brings a new one.

        One that came from another context is not given, and stays: Python accepts a session with its own context only.
        """
        kept = self._kept.get(key)
        if kept is None or kept.context is not context:
            return None
        del self._kept[key]
        return kept.session

    def put(self, key: Hashable, session: Resumable, context: ssl.SSLContext) -> None:
        """Keep ``session``, which a connection made with ``context`` got, in place of an older one."""
        self._kept[key] = _Kept(session, context)
        self._kept.move_to_end(key)
        if len(self._kept) > MOST_SESSIONS:
            self._kept.popitem(last=False)

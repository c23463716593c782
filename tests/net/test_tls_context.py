"""From a configuration to a context: every setting, and what happens to one that cannot be used."""

from __future__ import annotations

import re
import ssl
import sys
from pathlib import Path

import pytest
import trustme

from trioreply._model.ssl_configuration import SslConfiguration, TlsVersion, VerifyMode
from trioreply._model.tls import Certificate, SslError, SslErrorCode
from trioreply._net.tls_context import build_context
from trioreply._net.verification import Tolerance

from .handshakes import HOST, refused, shake_hands

KEY = b"k" * 32
LEAF = Certificate(ssl.PEM_cert_to_DER_cert(trustme.CA().cert_pem.bytes().decode()))
needs_psk = pytest.mark.skipif(sys.version_info < (3, 13), reason="pre-shared keys need Python 3.13")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who signs the server's certificate."""
    return trustme.CA()


@pytest.fixture(scope="module")
def server(authority: trustme.CA) -> ssl.SSLContext:
    """A server with a certificate for `HOST`, which speaks two protocols."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    context.set_alpn_protocols(["one", "two"])
    return context


@pytest.fixture
def trusting(authority: trustme.CA) -> SslConfiguration:
    """What trusts that server, and nobody else."""
    return SslConfiguration(use_system_ca=False, ca_certificates=authority.cert_pem.bytes())


def psk_server(version: ssl.TLSVersion) -> ssl.SSLContext:
    """A server without a certificate, which knows the client called "me"."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("PSK")
    keys = {"me": KEY}
    if sys.version_info >= (3, 13):  # for the type checker
        context.set_psk_server_callback(lambda identity: keys.get(identity or "", b""), "who?")
    return context


def test_defaults_are_strict_and_explicit() -> None:
    """Without any choice of the application's, verification is complete, and equal on all Pythons."""
    context = build_context(SslConfiguration())
    assert context.protocol == ssl.PROTOCOL_TLS_CLIENT
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.verify_flags == ssl.VERIFY_X509_TRUSTED_FIRST
    assert not context.hostname_checks_common_name
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.parametrize("mode", [VerifyMode.AUTO, VerifyMode.QUERY, VerifyMode.PEER])
def test_every_mode_but_none_verifies(mode: VerifyMode) -> None:
    """Whether an error may be passed over is decided when it has been seen; so the context is strict."""
    context = build_context(SslConfiguration(verify=mode))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_mode_none_accepts_any_certificate(server: ssl.SSLContext) -> None:
    """`VerifyMode.NONE` verifies nothing, not even the name."""
    context = build_context(SslConfiguration(verify=VerifyMode.NONE))
    assert context.verify_mode == ssl.CERT_NONE
    assert shake_hands(context, server, host="other.example").client.version() == "TLSv1.3"


def test_system_store_is_used_when_wanted(
    authority: trustme.CA, server: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL's default store counts with ``use_system_ca``, and without it does not."""
    authority.cert_pem.write_to_path(tmp_path / "store.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "store.pem"))
    shake_hands(build_context(SslConfiguration(), platform="linux"), server)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(build_context(SslConfiguration(use_system_ca=False), platform="linux"), server)


def test_given_authorities_add_to_the_system_store(
    authority: trustme.CA, server: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``ca_certificates`` are trusted beside the system's, not instead."""
    other = trustme.CA()
    other.cert_pem.write_to_path(tmp_path / "store.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "store.pem"))
    context = build_context(SslConfiguration(ca_certificates=authority.cert_pem.bytes()), platform="linux")
    others_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    other.issue_cert(HOST).configure_cert(others_server)
    shake_hands(context, server)
    shake_hands(context, others_server)


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_the_system_judges_where_it_can(platform: str) -> None:
    """On macOS and Windows truststore lets the system itself verify, as strictly as OpenSSL would."""
    truststore = pytest.importorskip("truststore")
    context = build_context(SslConfiguration(), platform=platform)
    assert isinstance(context, truststore.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_without_truststore_openssl_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Truststore is an extra: without it OpenSSL verifies, with what it finds of the system's certificates."""
    monkeypatch.setitem(sys.modules, "truststore", None)
    context = build_context(SslConfiguration(), platform="darwin")
    assert (type(context), context.verify_mode) == (ssl.SSLContext, ssl.CERT_REQUIRED)


def tolerating(code: SslErrorCode) -> Tolerance:
    """What is left after such an error was ignored."""
    return Tolerance((SslError(code, LEAF),), LEAF)


def test_the_system_judges_all_but_names_it_is_told_to_pass() -> None:
    """A wrong name can be ignored with the system judging the rest."""
    truststore = pytest.importorskip("truststore")
    tolerance = tolerating(SslErrorCode.HOST_NAME_MISMATCH)
    context = build_context(SslConfiguration(), tolerance=tolerance, platform="darwin")
    assert isinstance(context, truststore.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, False)


@pytest.mark.parametrize(
    ("configuration", "tolerance"),
    [
        (SslConfiguration(use_system_ca=False), None),
        (SslConfiguration(verify=VerifyMode.NONE), None),
        (SslConfiguration(), tolerating(SslErrorCode.SELF_SIGNED_CERTIFICATE)),
        (SslConfiguration(), tolerating(SslErrorCode.CERTIFICATE_EXPIRED)),
        (SslConfiguration(), Tolerance((), LEAF, everything=True)),
        pytest.param(SslConfiguration(psk=("me", KEY)), None, marks=needs_psk),
    ],
    ids=["no-store", "none", "trust", "time", "everything", "psk"],
)
def test_the_system_is_not_asked_what_it_cannot_answer(
    configuration: SslConfiguration, tolerance: Tolerance | None
) -> None:
    """OpenSSL verifies where the system's store is not wanted, or the system cannot be told what to pass over."""
    assert type(build_context(configuration, tolerance=tolerance, platform="darwin")) is ssl.SSLContext


@pytest.mark.parametrize(
    ("lowest", "highest"), [(TlsVersion.TLS_1_2, TlsVersion.TLS_1_2), (TlsVersion.TLS_1_3, TlsVersion.TLS_1_3)]
)
def test_version_range_is_kept(
    trusting: SslConfiguration, server: ssl.SSLContext, lowest: TlsVersion, highest: TlsVersion
) -> None:
    """The version agreed on lies in the configured range."""
    configuration = trusting.replace(minimum_version=lowest, maximum_version=highest)
    pair = shake_hands(build_context(configuration), server)
    assert pair.client.version() == {TlsVersion.TLS_1_2: "TLSv1.2", TlsVersion.TLS_1_3: "TLSv1.3"}[lowest]


def test_old_versions_are_silent_when_configured() -> None:
    """Python's warnings about old versions do not reach whoever asked for one (here they would be errors)."""
    configuration = SslConfiguration(minimum_version=TlsVersion.TLS_1_0, maximum_version=TlsVersion.TLS_1_1)
    context = build_context(configuration)
    assert (context.minimum_version, context.maximum_version) == (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)


def test_impossible_version_range_is_refused() -> None:
    """A maximum below the minimum offers nothing, and the default minimum is not lowered silently."""
    with refused("minimum_version: no version from TLSv1_2 to TLSv1_1 can be offered"):
        build_context(SslConfiguration(maximum_version=TlsVersion.TLS_1_1))


def test_ciphers_are_offered_as_configured(trusting: SslConfiguration, server: ssl.SSLContext) -> None:
    """``ciphers`` decides what TLS 1.2 may use."""
    configuration = trusting.replace(ciphers="ECDHE+AES256", maximum_version=TlsVersion.TLS_1_2)
    cipher = shake_hands(build_context(configuration), server).client.cipher()
    assert cipher is not None
    assert "AES256" in cipher[0]


def test_no_cipher_goes_without_authentication_or_encryption() -> None:
    """Not even ALL at the lowest security level contains what would leave nothing to verify or nothing secret."""
    context = build_context(SslConfiguration(ciphers="ALL:COMPLEMENTOFALL:@SECLEVEL=0"))
    names = [cipher["name"] for cipher in context.get_ciphers()]
    assert names
    assert not [name for name in names if re.search("NULL|ADH|AECDH", name)]


@pytest.mark.parametrize("ciphers", ["NONSENSE", "TLS_AES_128_GCM_SHA256", "aNULL:@SECLEVEL=0"])
def test_ciphers_that_select_nothing_are_refused(ciphers: str) -> None:
    """A cipher string that leaves no cipher is an error, and never the defaults."""
    with refused(f"ciphers: '{ciphers}' selects no cipher"):
        build_context(SslConfiguration(ciphers=ciphers))


def test_configured_protocols_win(trusting: SslConfiguration, server: ssl.SSLContext) -> None:
    """ALPN offers what the connection would like, unless the application configured something else."""
    usual = build_context(trusting, alpn=("one",))
    assert shake_hands(usual, server).client.selected_alpn_protocol() == "one"
    chosen = build_context(trusting.replace(alpn=("two",)), alpn=("one",))
    assert shake_hands(chosen, server).client.selected_alpn_protocol() == "two"
    none = build_context(trusting)
    assert shake_hands(none, server).client.selected_alpn_protocol() is None


def test_key_log_gets_the_secrets(trusting: SslConfiguration, server: ssl.SSLContext, tmp_path: Path) -> None:
    """The secrets go to the configured file, else to the one that the manager knows."""
    usual, own = tmp_path / "usual", tmp_path / "own"
    shake_hands(build_context(trusting, key_log=str(usual)), server)
    assert "CLIENT_TRAFFIC_SECRET_0" in usual.read_text()
    before = usual.read_text()
    shake_hands(build_context(trusting.replace(key_log=str(own)), key_log=str(usual)), server)
    assert "CLIENT_TRAFFIC_SECRET_0" in own.read_text()
    assert usual.read_text() == before


@pytest.mark.parametrize("path", ["", "missing/log"])
def test_key_log_that_cannot_be_written_is_refused(path: str, tmp_path: Path) -> None:
    """Who wants a key log and would not get one is told so."""
    with refused("key_log: cannot append to"):
        build_context(SslConfiguration(), key_log=f"{tmp_path}/{path}")


@needs_psk
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_pre_shared_key_needs_no_certificate(version: ssl.TLSVersion) -> None:
    """With a pre-shared key the handshake succeeds without a certificate, though verification stays on."""
    context = build_context(SslConfiguration(psk=("me", KEY)))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    pair = shake_hands(context, psk_server(version))
    assert pair.client.getpeercert(binary_form=True) is None


@needs_psk
def test_pre_shared_key_may_depend_on_the_hint() -> None:
    """A function gets the server's hint (TLS 1.2 has one) and gives identity and key."""
    hints = []

    def choose(hint: str | None) -> tuple[str, bytes]:
        hints.append(hint)
        return "me", KEY

    shake_hands(build_context(SslConfiguration(psk=choose)), psk_server(ssl.TLSVersion.TLSv1_2))
    assert hints[-1] == "who?"


@needs_psk
@pytest.mark.parametrize("psk", [("me", b"wrong" * 4), ("somebody", KEY)], ids=["key", "identity"])
def test_wrong_pre_shared_key_fails(psk: tuple[str, bytes]) -> None:
    """Another key than the server's, or one for somebody else, ends the handshake."""
    with pytest.raises(ssl.SSLError):
        shake_hands(build_context(SslConfiguration(psk=psk)), psk_server(ssl.TLSVersion.TLSv1_2))


@needs_psk
def test_certificate_instead_of_a_pre_shared_key_is_judged(server: ssl.SSLContext) -> None:
    """A server that answers with a certificate all the same gains nothing by it."""
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(build_context(SslConfiguration(psk=("me", KEY), use_system_ca=False)), server)


@needs_psk
def test_own_ciphers_stand_with_a_pre_shared_key() -> None:
    """``ciphers`` is the application's word, with a pre-shared key too."""
    context = build_context(SslConfiguration(psk=("me", KEY), ciphers="PSK-AES256-GCM-SHA384"))
    cipher = shake_hands(context, psk_server(ssl.TLSVersion.TLSv1_2)).client.cipher()
    assert cipher is not None
    assert cipher[0] == "PSK-AES256-GCM-SHA384"


def test_pre_shared_key_without_support_is_refused() -> None:
    """A Python that cannot use pre-shared keys says so, and does not go on without."""
    with refused("psk: Python 3"):
        build_context(SslConfiguration(psk=("me", KEY)), has_psk=False)

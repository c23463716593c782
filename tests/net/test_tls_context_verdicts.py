"""What a context accepts: real handshakes with certificates of every kind, strict and loosened by what was ignored.

The hand-made certificates carry no key identifiers, which strict verification would demand: where they pass, it is off.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Protocol

import pytest

from tests.certificates import HOST, INTERMEDIATE, SAMPLES, Identity, Served, issued, self_signed
from trioreply._model.ssl_configuration import SslConfiguration
from trioreply._model.tls import Certificate, SslError, SslErrorCode
from trioreply._net.tls_context import build_context
from trioreply._net.verification import Tolerance

from .handshakes import shake_hands

NOBODY = SslConfiguration(use_system_ca=False)

FAULTY = [name for name, sample in SAMPLES.items() if sample.errors]
NOT_TO_LOOSEN = [
    "for_clients",  # the purpose is the leaf's own, whoever trusts it
    "intermediate_is_no_ca",  # OpenSSL looks at all that the server sent, above a trusted leaf too
]
GOOD = [name for name, sample in SAMPLES.items() if not sample.errors]


class Accepts(Protocol):
    """See `accepts`."""

    def __call__(
        self, configuration: SslConfiguration, served: Served, *, tolerance: Tolerance | None = None, host: str = HOST
    ) -> bool:
        """Try it."""
        ...


def who_trusts(served: Served) -> SslConfiguration:
    """A client that trusts the root of ``served``, and nobody else."""
    return NOBODY.replace(ca_certificates=served.root)


def of_sample(name: str) -> tuple[SslConfiguration, Served]:
    """A client as the sample wants it, and what the server shows."""
    sample = SAMPLES[name]
    served = sample.make()
    return (who_trusts(served) if sample.trusted else NOBODY), served


def errors_of(name: str) -> tuple[SslError, ...]:
    """All that is wrong with the sample."""
    sample = SAMPLES[name]
    served = sample.make()
    chain = Certificate.load(served.chain + served.root)
    return tuple(SslError(SslErrorCode[code], chain[place]) for code, place in sample.errors)


def tolerating(served: Served, *errors: SslError) -> Tolerance:
    """What is left when these were ignored."""
    return Tolerance(errors, Certificate.load(served.chain)[0])


@pytest.fixture
def accepts(tmp_path: Path) -> Accepts:
    """Whether a client accepts what a server shows."""

    def accepts(
        configuration: SslConfiguration, served: Served, *, tolerance: Tolerance | None = None, host: str = HOST
    ) -> bool:
        (tmp_path / "server.pem").write_bytes(served.pem)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(tmp_path / "server.pem")
        try:
            shake_hands(build_context(configuration, tolerance=tolerance), server, host=host)
        except ssl.SSLCertVerificationError:
            return False
        return True

    return accepts


@pytest.mark.parametrize("name", GOOD)
def test_good_certificate_is_accepted(accepts: Accepts, name: str) -> None:
    """A certificate with nothing wrong passes, on every Python, by name and by address."""
    configuration, served = of_sample(name)
    assert all(accepts(configuration, served, host=host) for host in (HOST, "127.0.0.1", "::1"))


@pytest.mark.parametrize("name", FAULTY)
def test_strict_context_refuses_what_is_wrong(accepts: Accepts, name: str) -> None:
    """Whatever is wrong with a certificate, nothing goes through before it was ignored."""
    assert not accepts(*of_sample(name))


@pytest.mark.parametrize("name", [name for name in FAULTY if name not in NOT_TO_LOOSEN])
def test_ignoring_all_errors_is_enough(accepts: Accepts, name: str) -> None:
    """Loosened by its errors, and by those alone, a context accepts the certificate."""
    configuration, served = of_sample(name)
    assert accepts(configuration, served, tolerance=tolerating(served, *errors_of(name)))


@pytest.mark.parametrize("name", NOT_TO_LOOSEN)
def test_what_openssl_insists_on_stays_refused(accepts: Accepts, name: str) -> None:
    """Where no single check could be loosened the certificate is refused, rather than anything else let through."""
    configuration, served = of_sample(name)
    assert not accepts(configuration, served, tolerance=tolerating(served, *errors_of(name)))


def checks_of(name: str) -> dict[str, set[SslError]]:
    """The sample's errors, by the check that finds them."""
    served = SAMPLES[name].make()
    found: dict[str, set[SslError]] = {}
    for error in errors_of(name):
        tolerance = tolerating(served, error)
        for check in ("trust", "name", "time"):
            if getattr(tolerance, check):
                found.setdefault(check, set()).add(error)
    return found


@pytest.mark.parametrize(("name", "kept"), [(name, check) for name in FAULTY for check in checks_of(name)])
def test_ignoring_less_is_not_enough(accepts: Accepts, name: str, kept: str) -> None:
    """If the errors of one check are not ignored, the certificate is refused, whatever else was ignored."""
    configuration, served = of_sample(name)
    others = set(errors_of(name)) - checks_of(name)[kept]
    assert not accepts(configuration, served, tolerance=tolerating(served, *others))


@pytest.mark.parametrize("name", FAULTY)
def test_ignoring_everything_accepts_all(accepts: Accepts, name: str) -> None:
    """To ignore errors without a list is to verify nothing."""
    configuration, served = of_sample(name)
    leaf = Certificate.load(served.chain)[0]
    assert accepts(configuration, served, tolerance=Tolerance((), leaf, everything=True))


def test_ignored_trust_is_for_that_certificate_only(accepts: Accepts) -> None:
    """Another certificate than the one that was shown is refused, and so is one from an authority that is trusted."""
    shown = self_signed()
    error = SslError(SslErrorCode.SELF_SIGNED_CERTIFICATE, Certificate.load(shown.chain)[0])
    tolerance = tolerating(shown, error)
    assert accepts(NOBODY, shown, tolerance=tolerance)
    assert not accepts(NOBODY, self_signed(Identity("Somebody", (HOST,))), tolerance=tolerance)
    assert not accepts(who_trusts(issued()), issued(), tolerance=tolerance)


def test_common_name_is_no_host_name(accepts: Accepts) -> None:
    """Only the alternative names say for whom a certificate is (RFC 9525)."""
    served = issued(Identity(HOST, names=()))
    assert not accepts(who_trusts(served), served)


def test_intermediate_certificate_is_no_anchor(accepts: Accepts) -> None:
    """To be trusted, a chain must end in a root, on every Python, even if one in its middle is given as trusted."""
    served = issued(intermediate=INTERMEDIATE)
    in_the_middle = Certificate.load(served.chain)[1]
    assert not accepts(NOBODY.replace(ca_certificates=in_the_middle), served)

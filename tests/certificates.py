"""Hand-made certificates: everything that can be wrong with a server's, each with its chain, its key, and its root.

Each function makes its certificates once, and gives the same ones ever after. Nearly all have the same key: who has
which does not matter here, but where a signature must be false, or a pin another one. The dates
are so far from any present that no clock is needed: a certificate was valid in 2021, or is until 2090, or from then on.

`SAMPLES` has them all by name, with the errors that are to be found in them.
"""

from __future__ import annotations

import datetime as dt
import enum
import functools
import ipaddress
from collections.abc import Callable

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOST = "localhost"
"""The host that certificates are for, unless they are for another one."""

NAMES = (HOST, "127.0.0.1", "::1")


class Validity(enum.Enum):
    """From when until when."""

    NOW = (2020, 2090)
    PAST = (2020, 2021)
    FUTURE = (2090, 2099)

    @property
    def not_before(self) -> dt.datetime:
        """The first second."""
        return dt.datetime(self.value[0], 1, 1, tzinfo=dt.UTC)

    @property
    def not_after(self) -> dt.datetime:
        """The last second."""
        return dt.datetime(self.value[1], 12, 31, 23, 59, 59, tzinfo=dt.UTC)


@frozen
class Served:
    """What a server needs to show a certificate, and what a client needs to check it. All is PEM."""

    chain: bytes
    """The server's own certificate, then the intermediate one if there is one, without the root."""
    key: bytes
    root: bytes
    """Who vouches for it. For a self-signed one that is itself."""

    @property
    def pem(self) -> bytes:
        """Chain and key, for `ssl.SSLContext.load_cert_chain`."""
        return self.chain + self.key


@functools.cache
def shared_key() -> ec.EllipticCurvePrivateKey:
    """The key of nearly every certificate."""
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def other_key() -> ec.EllipticCurvePrivateKey:
    """Another key, for who claims to be somebody else."""
    return ec.generate_private_key(ec.SECP256R1())


def pem_of_key(key: ec.EllipticCurvePrivateKey, password: bytes | None = None) -> bytes:
    """A key as PEM, encrypted if there is a password."""
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


@functools.cache
def key_pem(password: bytes | None = None) -> bytes:
    """The shared key as PEM, encrypted if there is a password."""
    return pem_of_key(shared_key(), password)


@frozen
class Identity:
    """Whom a certificate is for, and what it may do."""

    common_name: str
    names: tuple[str, ...] = ()
    validity: Validity = Validity.NOW
    is_ca: bool = False
    path_length: int | None = None
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH


ROOT = Identity("Test Root", is_ca=True)
INTERMEDIATE = Identity("Test Intermediate", is_ca=True)
SERVER = Identity("Test Server", NAMES)


def name_of(common_name: str) -> x509.Name:
    """A name with nothing special in it."""
    parts = {NameOID.ORGANIZATION_NAME: "trioreply tests", NameOID.COMMON_NAME: common_name}
    return x509.Name([x509.NameAttribute(oid, part) for oid, part in parts.items()])


def general_name(text: str) -> x509.GeneralName:
    """An alternative name: an address if it looks like one."""
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def template(identity: Identity, issuer: str, key: ec.EllipticCurvePrivateKey | None = None) -> x509.CertificateBuilder:
    """A certificate for ``identity`` that only needs a signature."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(name_of(identity.common_name))
        .issuer_name(name_of(issuer))
        .public_key((key or shared_key()).public_key())
        .serial_number(1000 + len(identity.common_name))
        .not_valid_before(identity.validity.not_before)
        .not_valid_after(identity.validity.not_after)
        .add_extension(x509.BasicConstraints(identity.is_ca, identity.path_length), critical=True)
    )
    if identity.names:
        names = x509.SubjectAlternativeName([general_name(name) for name in identity.names])
        builder = builder.add_extension(names, critical=False)
    if not identity.is_ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([identity.purpose]), critical=False)
    return builder


def pem_of(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


@functools.cache
def certificate(identity: Identity, issuer: str) -> bytes:
    """A certificate for ``identity`` that ``issuer`` has signed, PEM."""
    return pem_of(template(identity, issuer).sign(shared_key(), hashes.SHA256()))


@functools.cache
def self_signed(identity: Identity = SERVER) -> Served:
    """A certificate that vouches for itself."""
    own = certificate(identity, identity.common_name)
    return Served(own, key_pem(), own)


@functools.cache
def issued(identity: Identity = SERVER, intermediate: Identity | None = None, root: Identity = ROOT) -> Served:
    """A certificate from a root, directly or by way of an intermediate one."""
    top = certificate(root, root.common_name)
    if intermediate is None:
        return Served(certificate(identity, root.common_name), key_pem(), top)
    chain = certificate(identity, intermediate.common_name) + certificate(intermediate, root.common_name)
    return Served(chain, key_pem(), top)


@functools.cache
def forged() -> Served:
    """A certificate that names a root that has not signed it."""
    own = pem_of(template(SERVER, ROOT.common_name).sign(other_key(), hashes.SHA256()))
    return Served(own, key_pem(), certificate(ROOT, ROOT.common_name))


@functools.cache
def stranger(identity: Identity = SERVER) -> Served:
    """A self-signed certificate with another key than all the others."""
    own = pem_of(template(identity, identity.common_name, other_key()).sign(other_key(), hashes.SHA256()))
    return Served(own, pem_of_key(other_key()), own)


def with_root(served: Served) -> Served:
    """The same, with a server that sends its root, too."""
    return Served(served.chain + served.root, served.key, served.root)


def server(*names: str, validity: Validity = Validity.NOW) -> Identity:
    """A server for ``names``, or for the usual ones."""
    return Identity("Test Server", names or NAMES, validity)


def intermediate(validity: Validity = Validity.NOW, *, is_ca: bool = True, path_length: int | None = None) -> Identity:
    """Someone between a root and a server."""
    return Identity("Test Intermediate", validity=validity, is_ca=is_ca, path_length=path_length)


def root(validity: Validity = Validity.NOW, *, path_length: int | None = None) -> Identity:
    """Someone that everybody else relies on."""
    return Identity("Test Root", validity=validity, is_ca=True, path_length=path_length)


PAST, FUTURE = Validity.PAST, Validity.FUTURE
OTHER = "wrong.example"


@frozen
class Sample:
    """A server's certificate, and what is wrong with it for a client that wants `HOST`.

    Each error is the name of a `trioreply.SslErrorCode` and the place of the certificate that it belongs to: 0 is the
    server's own, 1 the next one above.
    """

    make: Callable[[], Served]
    errors: tuple[tuple[str, int], ...] = ()
    trusted: bool = True
    """Whether the client trusts the root."""


SELF_SIGNED = ("SELF_SIGNED_CERTIFICATE", 0)
IN_CHAIN = "SELF_SIGNED_CERTIFICATE_IN_CHAIN"
NO_ISSUER = "UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE"
UNVERIFIED = ("UNABLE_TO_VERIFY_FIRST_CERTIFICATE", 0)
WRONG_HOST = ("HOST_NAME_MISMATCH", 0)
EXPIRED = "CERTIFICATE_EXPIRED"
NOT_YET = "CERTIFICATE_NOT_YET_VALID"

SAMPLES: dict[str, Sample] = {
    "good": Sample(issued),
    "good_intermediate": Sample(lambda: issued(intermediate=INTERMEDIATE)),
    "self_signed": Sample(self_signed, (SELF_SIGNED,), trusted=False),
    "self_signed_and_trusted": Sample(self_signed),
    "untrusted": Sample(issued, ((NO_ISSUER, 0), UNVERIFIED), trusted=False),
    "untrusted_intermediate": Sample(lambda: issued(intermediate=INTERMEDIATE), ((NO_ISSUER, 1),), trusted=False),
    "untrusted_root_sent": Sample(lambda: with_root(issued()), ((IN_CHAIN, 1),), trusted=False),
    "wrong_host": Sample(lambda: issued(server(OTHER)), (WRONG_HOST,)),
    "expired": Sample(lambda: issued(server(validity=PAST)), ((EXPIRED, 0),)),
    "not_yet_valid": Sample(lambda: issued(server(validity=FUTURE)), ((NOT_YET, 0),)),
    "wrong_host_expired": Sample(lambda: issued(server(OTHER, validity=PAST)), (WRONG_HOST, (EXPIRED, 0))),
    "self_signed_expired": Sample(
        lambda: self_signed(server(validity=PAST)), (SELF_SIGNED, (EXPIRED, 0)), trusted=False
    ),
    "self_signed_wrong_host": Sample(lambda: self_signed(server(OTHER)), (WRONG_HOST, SELF_SIGNED), trusted=False),
    "self_signed_all_wrong": Sample(
        lambda: self_signed(server(OTHER, validity=FUTURE)), (WRONG_HOST, SELF_SIGNED, (NOT_YET, 0)), trusted=False
    ),
    "untrusted_all_wrong": Sample(
        lambda: issued(server(OTHER, validity=PAST)),
        (WRONG_HOST, (NO_ISSUER, 0), UNVERIFIED, (EXPIRED, 0)),
        trusted=False,
    ),
    "expired_intermediate": Sample(lambda: issued(intermediate=intermediate(PAST)), ((EXPIRED, 1),)),
    "expired_root": Sample(lambda: issued(root=root(PAST)), ((EXPIRED, 1),)),
    "all_dates_wrong": Sample(
        lambda: issued(server(OTHER, validity=PAST), intermediate(FUTURE), root(PAST)),
        (WRONG_HOST, (EXPIRED, 2), (NOT_YET, 1), (EXPIRED, 0)),
    ),
    "untrusted_expired_intermediate": Sample(
        lambda: issued(server(validity=PAST), intermediate(PAST)), ((NO_ISSUER, 1), (EXPIRED, 0)), trusted=False
    ),
    "untrusted_expired_root_sent": Sample(
        lambda: with_root(issued(server(validity=PAST), root=root(PAST))),
        ((IN_CHAIN, 1), (EXPIRED, 1), (EXPIRED, 0)),
        trusted=False,
    ),
    "intermediate_is_no_ca": Sample(
        lambda: issued(server(OTHER), intermediate(is_ca=False)), (WRONG_HOST, ("INVALID_CA_CERTIFICATE", 1))
    ),
    "path_too_long": Sample(
        lambda: issued(server(validity=PAST), INTERMEDIATE, root(path_length=0)),
        (("PATH_LENGTH_EXCEEDED", 0), (EXPIRED, 0)),
    ),
    "for_clients": Sample(
        lambda: issued(Identity("Test Server", NAMES, purpose=ExtendedKeyUsageOID.CLIENT_AUTH)),
        (("INVALID_PURPOSE", 0),),
    ),
    "forged": Sample(forged, (("CERTIFICATE_SIGNATURE_FAILED", 0),)),
    "wildcard": Sample(lambda: issued(server("*.test.example")), (WRONG_HOST,)),
    "addresses_only": Sample(lambda: issued(server("127.0.0.1", "::1")), (WRONG_HOST,)),
}

"""A server that vouches for itself, as routers, printers and other devices do: for what nobody has certified.

The certificate is made by cryptography, which trioreply itself needs; it is imported when the first one is made.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import TYPE_CHECKING, Unpack, final

import trioreply

from .tls import ServerTls, TlsOptions

if TYPE_CHECKING:
    from cryptography import x509

# So far from any present that no clock is needed.
_LONG_AGO = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_FAR_FUTURE = dt.datetime(2999, 12, 31, tzinfo=dt.UTC)


@final
class SelfSigned:
    """A key of its own, and a certificate for ``names`` that is signed with nothing but that key.

    Args:
        names: what the certificate is for: host names, wildcards, or IP addresses.
        not_before: when it begins to be valid, UTC; default is long ago.
        not_after: when it ends to be valid, UTC; default is in the far future.

    Raises:
        ValueError: a name is not ASCII (give its IDNA form), or it would end before it begins.
    """

    def __init__(self, *names: str, not_before: dt.datetime = _LONG_AGO, not_after: dt.datetime = _FAR_FUTURE) -> None:
        # Imported here because it takes a while, and few who import this package make certificates.
        from cryptography import x509  # see above
        from cryptography.hazmat.primitives import hashes, serialization  # see above
        from cryptography.hazmat.primitives.asymmetric import ec  # see above

        key = ec.generate_private_key(ec.SECP256R1())  # made in no time
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "trioreply self-signed")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(not_before)
            .not_valid_after(not_after)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        )
        self.certificate_pem: bytes = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        """The certificate, PEM."""
        self.key_pem: bytes = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        """Its key, PEM."""

    @property
    def certificate(self) -> trioreply.Certificate:
        """The certificate, as clients see it."""
        return trioreply.Certificate.load(self.certificate_pem)[0]

    def serve(self, **options: Unpack[TlsOptions]) -> ServerTls:
        """Settings for a server that shows it; for ``options`` see `ServerTls.from_pem`."""
        return ServerTls.from_pem(self.certificate_pem, self.key_pem, **options)

    def trust(self) -> trioreply.SslConfiguration:
        """A client's configuration that trusts this certificate, and nothing else."""
        return trioreply.SslConfiguration(ca_certificates=[self.certificate_pem], use_system_ca=False)


def _general_name(name: str) -> x509.GeneralName:
    from cryptography import x509  # as above

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)

"""Certificates for tests: an authority of your own, that nobody else trusts.

The certificates are made by trustme, which is imported when the first authority is; everything else in
`trioreply.testing` works without it. Keys are on elliptic curves, which are made in no time.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Unpack

import trioreply

from .tls import ServerTls, TlsOptions

if TYPE_CHECKING:
    import trustme


class Authority:
    """An authority that issues certificates to test servers and their clients.

    Raises:
        ImportError: trustme is not installed.
    """

    def __init__(self) -> None:
        try:
            import trustme  # may not be installed
        except ImportError as error:
            raise ImportError(
                "an Authority makes its certificates with trustme: pip install 'trioreply[test]'"
            ) from error
        self._ca = trustme.CA()

    @property
    def certificate_pem(self) -> bytes:
        """The authority's own certificate, PEM: what a client must trust."""
        return self._ca.cert_pem.bytes()

    def serve(
        self,
        *names: str,
        not_before: dt.datetime | None = None,
        not_after: dt.datetime | None = None,
        **options: Unpack[TlsOptions],
    ) -> ServerTls:
        """Settings for a server with a certificate for ``names``: host names, wildcards, or IP addresses.

        Args:
            names: what the certificate is for.
            not_before: when it begins to be valid, UTC; default is long ago.
            not_after: when it ends to be valid, UTC; default is in the far future.
            options: as for `ServerTls.from_pem`.
        """
        leaf = self._ca.issue_cert(*names, not_before=not_before, not_after=not_after)
        return ServerTls.from_pem(_chain_of(leaf), leaf.private_key_pem.bytes(), **options)

    def client_certificate(self, identity: str) -> tuple[bytes, bytes]:
        """A certificate for a client named ``identity`` and its key, both PEM."""
        leaf = self._ca.issue_cert(identity)
        return _chain_of(leaf), leaf.private_key_pem.bytes()

    def trust(self) -> trioreply.SslConfiguration:
        """A client's configuration that trusts this authority, and no other."""
        return trioreply.SslConfiguration(ca_certificates=[self.certificate_pem], use_system_ca=False)


def _chain_of(leaf: trustme.LeafCert) -> bytes:
    return b"".join(blob.bytes() for blob in leaf.cert_chain_pems)

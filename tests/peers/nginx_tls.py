"""An nginx that speaks TLS in many ways, each on a port of its own, and the certificates for it.

One port is one way, because most of what nginx can be told of TLS holds for a whole port. The certificates come from
an authority that is made for the occasion; nobody else trusts it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import trustme
from attrs import frozen

from trioreply import SslConfiguration

from .nginx import Nginx, running_nginx

NAMES = ("one.test", "two.test")
"""Two servers on the port ``named``, with a certificate each."""

# What a server has, whatever its TLS is like.
_CONTENTS = """
        root {root}/files;
        add_header X-Connection $connection always;
        add_header X-Requests $connection_requests always;
        location = /tls {{
            default_type text/plain;
            return 200 "$ssl_protocol,$ssl_session_reused,$ssl_server_name,$ssl_client_s_dn";
        }}
        location = /until-the-end/page.html {{
            alias {root}/files/page.html;
            ssi on;
            chunked_transfer_encoding off;
        }}
        location = /brief {{ alias {root}/files/small; keepalive_timeout 20ms; }}
        location /dav/ {{ dav_methods PUT DELETE; create_full_put_path on; }}
        location /at-most-1m/ {{ dav_methods PUT; client_max_body_size 1m; }}
"""

RESUMING = {
    "TLSv1.2 tickets": "ssl_protocols TLSv1.2; ssl_session_tickets on;",
    "TLSv1.2 ids": "ssl_protocols TLSv1.2; ssl_session_tickets off; ssl_session_cache shared:a:1m;",
    "TLSv1.3 tickets": "ssl_protocols TLSv1.3; ssl_session_tickets on;",
    "TLSv1.3 ids": "ssl_protocols TLSv1.3; ssl_session_tickets off; ssl_session_cache shared:b:1m;",
}
"""Ports that let sessions be resumed: by what the client keeps (tickets), and by what the server keeps."""

OLD = {
    "TLSv1": "ssl_protocols TLSv1; ssl_ciphers ALL:@SECLEVEL=0;",
    "TLSv1.1": "ssl_protocols TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;",
}
"""Ports that speak an old version and nothing else."""

_WAYS = {
    "usual": "ssl_protocols TLSv1.2 TLSv1.3;",
    **RESUMING,
    **OLD,
    "clients": "ssl_verify_client on; ssl_client_certificate {root}/ca.pem;",
    "clients, TLSv1.3": "ssl_protocols TLSv1.3; ssl_verify_client on; ssl_client_certificate {root}/ca.pem;",
}


def _server(certificate: str, settings: str, name: str = "") -> str:
    named = f"server_name {name};" if name else ""
    return f"""
    server {{{{
        listen 127.0.0.1:{{port}} ssl;
        {named}
        ssl_certificate {{root}}/{certificate}.pem;
        ssl_certificate_key {{root}}/{certificate}.pem;
        {settings}
        {_CONTENTS}
    }}}}
"""


_SERVERS = {
    **{name: _server("server", settings) for name, settings in _WAYS.items()},
    "named": "".join(_server(name, "ssl_protocols TLSv1.3;", name) for name in NAMES),
    "self-signed": _server("self-signed", "ssl_protocols TLSv1.2 TLSv1.3;"),
}


@frozen
class SecureNginx:
    """An nginx, and whom its clients must trust."""

    nginx: Nginx
    ca: trustme.CA

    def url(self, name: str, target: str) -> str:
        """The absolute URL of ``target`` on the port called ``name``."""
        return f"https://127.0.0.1:{self.nginx.ports[name]}{target}"

    @property
    def trust(self) -> SslConfiguration:
        """A client's configuration that trusts this server's authority, and no other."""
        return SslConfiguration(ca_certificates=[self.ca.cert_pem.bytes()], use_system_ca=False)

    def as_client(self, identity: str, issuer: trustme.CA | None = None) -> SslConfiguration:
        """The same, with a client's certificate, from that authority or another one."""
        own = (issuer or self.ca).issue_cert(identity)
        return self.trust.replace(certificate=own.private_key_and_cert_chain_pem.bytes())


@contextlib.contextmanager
def running_secure_nginx(root: Path) -> Iterator[SecureNginx]:
    """A secure nginx that runs in the empty directory ``root``; skipped as `running_nginx` is."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(root / "ca.pem"))
    for file, identity in {"server": "127.0.0.1", **{name: name for name in NAMES}}.items():
        ca.issue_cert(identity).private_key_and_cert_chain_pem.write_to_path(str(root / f"{file}.pem"))
    # Nobody's authority but its own: an authority that serves, as devices in a cellar do.
    lonely = trustme.CA()
    (root / "self-signed.pem").write_bytes(lonely.private_key_pem.bytes() + lonely.cert_pem.bytes())
    with running_nginx(root, _SERVERS) as nginx:
        yield SecureNginx(nginx, ca)

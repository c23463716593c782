"""An nginx that listens on Unix sockets, one plain and one with TLS, beside its usual port.

The sockets lie in its own directory, so their paths are as free as its ports are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from trioreply import SslConfiguration
from trioreply.testing import Authority

from .nginx import Nginx, running_nginx

SERVED_NAME = "served.test"
"""Whose certificate is shown on the secure socket."""

_CONTENTS = """
        root {root}/files;
        add_header X-Connection $connection always;
        add_header X-Requests $connection_requests always;
        location = /alive {{ access_log off; return 200 "alive"; }}
        location = /echo {{ return 200 "$request_method $request_uri $http_host"; }}
        location = /page.html {{ ssi on; add_trailer X-Served-By nginx; }}
        # A reference without a host: wherever the client is, it stays there.
        location = /moved {{ absolute_redirect off; return 302 /small; }}
        location = /brief {{ alias {root}/files/small; keepalive_timeout 20ms; }}
        location /dav/ {{ dav_methods PUT DELETE; create_full_put_path on; }}
        location /at-most-1m/ {{ dav_methods PUT; client_max_body_size 1m; }}
"""

_SERVERS = {
    "local": f"""
    server {{{{
        listen unix:{{root}}/plain.sock;
        {_CONTENTS}
    }}}}
""",
    "secure local": f"""
    server {{{{
        listen unix:{{root}}/secure.sock ssl;
        ssl_certificate {{root}}/server.pem;
        ssl_certificate_key {{root}}/server.pem;
        {_CONTENTS}
    }}}}
""",
}


@frozen
class LocalNginx:
    """An nginx, and where its sockets are."""

    nginx: Nginx
    root: Path
    authority: Authority

    @property
    def socket(self) -> Path:
        """Where it speaks plain HTTP."""
        return self.root / "plain.sock"

    @property
    def secure_socket(self) -> Path:
        """Where it speaks TLS, as `SERVED_NAME`."""
        return self.root / "secure.sock"

    @property
    def trust(self) -> SslConfiguration:
        """A client's configuration that trusts its authority, and no other."""
        return self.authority.trust()


@contextlib.contextmanager
def running_local_nginx(root: Path) -> Iterator[LocalNginx]:
    """One that runs in the empty directory ``root``; skipped as `running_nginx` is."""
    authority = Authority()
    chain, key = authority.client_certificate(SERVED_NAME)
    (root / "server.pem").write_bytes(key + chain)
    with running_nginx(root, _SERVERS) as nginx:
        yield LocalNginx(nginx, root, authority)

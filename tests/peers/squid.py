"""A squid of our own: a proxy with one port for each way to be spoken to, and a record of what went through.

It runs in a directory of its own, on free ports of this machine, as one process (and two shells that check passwords)
that is stopped by its id. It leads to 127.0.0.0/8 and nowhere else, stores nothing, and asks no name server: a few
names, one of them known to nobody but it, stand in its own hosts file.

What was hard:

* Started by root it would become somebody who may not enter the tests' directories. So it is somebody else from the
  beginning, and all its paths are relative: who stands in a directory need not be able to walk there.
* It writes about a request when that is over, which for a tunnel is after both ends have closed. Nobody could know
  when to look into a file, so the record comes over a socket, which can be waited for.
* Its passwords are checked by scripts of ours, because the programs that come with it lie somewhere else everywhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import trio
from attrs import frozen

from trioreply import Proxy, ProxyType, SslConfiguration
from trioreply.testing import Authority

from .nginx import find_program
from .process import ServerProcess, free_ports, guarded

USER, PASSWORD = "Aladdin", "open sesame \u20ac"
REALM = "a cave"
NONCE_USES = 5
"""Requests that one nonce of its Digest is good for."""
KNOWN_NAME = "only-the-proxy-knows.test"
"""A name of this machine that no resolver has heard of."""

DOORS = ("plain", "secure", "basic", "digest", "secure-basic")
"""Its ports, by what they want of a client: nothing, TLS, a login, or both."""

_ATTEMPTS = 5
_CONFIGURATION = """\
visible_hostname {name}
http_port 127.0.0.1:{plain} name=plain
https_port 127.0.0.1:{secure} name=secure tls-cert=server.pem
http_port 127.0.0.1:{basic} name=basic
http_port 127.0.0.1:{digest} name=digest
https_port 127.0.0.1:{secure_basic} name=secure-basic tls-cert=server.pem

# Who may come in, and how they show it.
auth_param basic program /bin/sh basic.sh
auth_param basic realm {realm}
auth_param basic casesensitive on
auth_param basic children 1 startup=0 idle=1
auth_param digest program /bin/sh digest.sh
auth_param digest realm {realm}
auth_param digest children 1 startup=0 idle=1
auth_param digest nonce_max_count {uses}
acl wants_basic myportname basic secure-basic
acl wants_digest myportname digest
auth_schemes basic wants_basic
auth_schemes digest wants_digest
acl known proxy_auth REQUIRED

# Where they may go; -n asks nobody for addresses, nor for names.
acl names dstdomain -n localhost {known}
acl here dst -n 127.0.0.0/8
http_access deny !names !here
http_access deny wants_basic !known
http_access deny wants_digest !known
http_access allow all
hosts_file hosts
dns_nameservers 127.0.0.1

logformat seen %{{User-Agent}}>h %>p %rm %ru %>Hs %[un
access_log tcp://127.0.0.1:{log} seen
buffered_logs off
cache_log cache.log

# Nothing is stored, nothing is shared with another squid, and nobody is waited for in the end.
cache deny all
cache_mem 0
memory_pools off
sslproxy_session_cache_size 0
netdb_filename none
pid_filename none
coredump_dir none
pinger_enable off
max_filedescriptors 1024
shutdown_lifetime 0 seconds

# An upload that fills this buffer looks to squid 5 like a client that has gone (curl's uploads do, too). None does.
client_request_buffer_max_size 64 MB
"""

# A line for every question, until there are no more; squid writes it as in URLs.
_BASIC = """\
while read -r login; do
    if [ "$login" = '{login}' ]; then echo OK; else echo ERR; fi
done
"""
_DIGEST = """\
while read -r who; do
    if [ "$who" = '"{user}":"{realm}"' ]; then echo 'OK ha1="{hash}"'; else echo ERR; fi
done
"""


@frozen
class Seen:
    """A request that is over, as squid saw it."""

    method: str
    target: str
    status: int
    port: int
    """The client's, which tells connections apart."""
    user: str
    """Who it was; ``-`` for nobody in particular."""


class Squid(ServerProcess):
    """A proxy in the empty directory ``root``; made by `running_squid`."""

    def __init__(self, program: str, root: Path, log: socket.socket) -> None:
        self.authority = Authority()
        """Whom a client must trust for the secure ports."""
        self.ports: dict[str, int] = {}
        """Where it listens, by the names in `DOORS`."""
        self._program = program
        self._root = root
        self._log = log
        # It stands in its own pages, and in the name of the memory that it shares with itself.
        self._name = f"squid{log.getsockname()[1]}"
        self._pen: socket.socket | None = None
        self._written = b""
        self._seen: dict[str, list[Seen]] = {}
        self._write_files()

    @property
    def trust(self) -> SslConfiguration:
        """A configuration for its secure ports."""
        return self.authority.trust()

    def proxy(
        self, door: str = "plain", login: tuple[str, str] | None = (USER, PASSWORD), via: Proxy | None = None
    ) -> Proxy:
        """The way through one of its `DOORS`, with ``login`` where one is wanted."""
        wants_login = "basic" in door or "digest" in door
        user, password = login if wants_login and login is not None else (None, None)
        tls = self.trust if "secure" in door else None
        return Proxy(ProxyType.HTTP, "127.0.0.1", self.ports[door], user, password, tls=tls, via=via)

    def start(self) -> None:
        """Start it on free ports.

        Raises:
            RuntimeError: it does not start; the text holds what it says.
        """
        for _ in range(_ATTEMPTS):
            ports = dict(zip(DOORS, free_ports(len(DOORS)), strict=True))
            self._process = self._launch(ports)
            # It opens all of them before it answers on any. If one is taken it serves the others, and says so.
            answers = self._answers(ports["plain"], b"/alive", lambda answer: self._name.encode("ascii") in answer)
            if answers and "Cannot bind" not in self._words:
                self.ports = ports
                return
            self.stop()
        raise RuntimeError(f"squid does not start: {self._words}")

    def stop(self) -> None:
        """As `ServerProcess.stop`."""
        super().stop()
        if self._pen is not None:
            self._pen.close()
            self._pen = None

    async def wait_seen(self, agent: str, target: str) -> list[Seen]:
        """Wait until the user agent ``agent`` was seen to ask for ``target``; gives what else it did, oldest first."""
        record = self._seen.setdefault(agent, [])
        while not any(seen.target == target for seen in record):
            await self._read_log()
        return [seen for seen in record if seen.target != target]

    async def _read_log(self) -> None:
        if self._pen is None:
            await trio.lowlevel.wait_readable(self._log)
            self._pen = self._log.accept()[0]
            self._pen.setblocking(False)
        await trio.lowlevel.wait_readable(self._pen)
        data = self._pen.recv(64 * 1024)
        if not data:
            raise RuntimeError(f"squid has ended: {self._words}")
        *lines, self._written = (self._written + data).split(b"\n")
        for line in lines:
            agent, port, method, target, status, user = line.decode("ascii").split(" ")
            self._seen.setdefault(agent, []).append(Seen(method, target, int(status), int(port), user))

    @property
    def _words(self) -> str:
        return (self._root / "cache.log").read_text("utf-8", "replace")

    def _write_files(self) -> None:
        secret = hashlib.md5(f"{USER}:{REALM}:{PASSWORD}".encode(), usedforsecurity=False).hexdigest()
        chain, key = self.authority.client_certificate("127.0.0.1")
        files: Mapping[str, bytes] = {
            "server.pem": key + chain,
            "hosts": f"127.0.0.1 localhost {KNOWN_NAME}\n".encode(),
            "basic.sh": _BASIC.format(login=f"{quote(USER)} {quote(PASSWORD)}").encode(),
            "digest.sh": _DIGEST.format(user=USER, realm=REALM, hash=secret).encode(),
        }
        for name, content in files.items():
            (self._root / name).write_bytes(content)

    def _launch(self, ports: Mapping[str, int]) -> subprocess.Popen[bytes]:
        configuration = _CONFIGURATION.format(
            name=self._name,
            realm=REALM,
            uses=NONCE_USES,
            known=KNOWN_NAME,
            log=self._log.getsockname()[1],
            **{door.replace("-", "_"): port for door, port in ports.items()},
        )
        (self._root / "squid.conf").write_text(configuration, "utf-8")
        (self._root / "cache.log").write_bytes(b"")
        other = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        if other is not None:
            for path in (self._root, *self._root.iterdir()):
                os.chown(path, other.pw_uid, other.pw_gid)
        with (self._root / "cache.log").open("ab") as words:
            return subprocess.Popen(
                guarded([self._program, "-N", "-n", self._name, "-f", "squid.conf"]),
                cwd=self._root,
                stdin=subprocess.DEVNULL,
                stderr=words,
                user=None if other is None else other.pw_uid,
                group=None if other is None else other.pw_gid,
                extra_groups=None if other is None else (),
            )


@contextlib.contextmanager
def running_squid(root: Path) -> Iterator[Squid]:
    """A squid that runs in the empty directory ``root``; see `find_program`."""
    program = find_program("squid", "squid")
    with socket.create_server(("127.0.0.1", 0)) as log:
        squid = Squid(program, root, log)
        try:
            squid.start()
            yield squid
        finally:
            squid.stop()

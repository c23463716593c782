"""What the options say about TLS: whom to trust, who we are, and what happens when a certificate is not accepted.

The names are curl's where curl has the option. Its ``--pass`` takes the password itself, which every user of the
machine can then read in the list of processes; ours takes the place where it is, as openssl's ``-passin`` does, and an
answer to a mistake never repeats what was typed there.

Whoever says whom to trust has decided, and is not asked: a question is for those who gave nothing to decide by.
"""

from __future__ import annotations

import argparse
import enum
import os
import re
from pathlib import Path

from .. import SslConfiguration, VerifyMode
from .kinds import readable_file

VERSIONS = ("1.0", "1.1", "1.2", "1.3")

NAMES = {
    "ca_certificates": "--cacert",
    "certificate": "-E/--cert",
    "private_key": "--key",
    "password": "--pass",
    "pins": "--pin",
    "minimum_version": "--tls-min",
    "maximum_version": "--tls-max",
}
"""From the fields of `SslConfiguration` to what the user typed."""

_REMEDIES = {
    "to go on all the same answer the SslErrors event, or trust the certificate with "
    "SslConfiguration(ca_certificates=...)": "compare the certificate with the one you expect; if it is the one, "
    "trust it with --cacert, or its key with --insecure and --pin",
    "use SslConfiguration(verify=VerifyMode.NONE, pins=...)": "use --insecure and --pin",
    "SslConfiguration(certificate=..., private_key=...)": "--cert and --key",
    "SslConfiguration(minimum_version=...)": "--tls-min",
    "without private_key=": "without --key",
}
"""From the library's advice to ours."""

_MISTAKE = re.compile(rf"SSL handshake failed: ({'|'.join(NAMES)}): (.*)", re.DOTALL)


class OnBadCertificate(enum.Enum):
    """What happens when the server's certificate is not accepted."""

    ASK = "ask"
    """Somebody is asked, if there is a terminal."""
    REFUSE = "refuse"
    GO_ON = "go on"
    """A warning is all that happens."""


def add_tls_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to ``parser``, as a group."""
    group = parser.add_argument_group("whom to trust, and who we are (https)")
    group.add_argument(
        "-k", "--insecure", action="store_true", help="go on whatever the certificate; with --pin only the pin counts"
    )
    group.add_argument(
        "--cacert",
        metavar="FILE",
        type=readable_file,
        action="append",
        default=[],
        help="trust these authorities, too: PEM or DER; repeatable",
    )
    group.add_argument(
        "--pin",
        metavar="sha256/...",
        action="append",
        default=[],
        help="the server must have this key; repeatable, then any of them",
    )
    group.add_argument(
        "-E", "--cert", metavar="FILE", type=readable_file, help="our certificate, PEM (with its chain) or DER"
    )
    group.add_argument("--key", metavar="FILE", type=readable_file, help="its key, if it is not in the same file")
    group.add_argument(
        "--pass",
        metavar="SOURCE",
        type=_password,
        dest="password",
        help="where the key's password is: env:NAME, or the first line of file:PATH",
    )
    group.add_argument("--tls-min", metavar="VERSION", type=_version, help="the oldest TLS to agree on; default 1.2")
    group.add_argument("--tls-max", metavar="VERSION", type=_version, help="the newest TLS to agree on")


def ssl_configuration(options: argparse.Namespace) -> SslConfiguration | None:
    """What ``options`` make of TLS; ``None`` if they say nothing about it.

    Raises:
        ValueError: they cannot be meant; the text starts with the option, or with the library's name for it.
    """
    _check_combination(options)
    configuration = SslConfiguration(
        ca_certificates=options.cacert,
        certificate=options.cert,
        private_key=options.key,
        password=options.password,
        pins=options.pin,
        verify=_verify_mode(options),
        minimum_version=options.tls_min,
        maximum_version=options.tls_max,
    )
    return None if configuration == SslConfiguration() else configuration


def on_bad_certificate(options: argparse.Namespace) -> OnBadCertificate:
    """What ``options`` want done about a certificate that is not accepted."""
    if options.insecure and not options.pin:
        return OnBadCertificate.GO_ON
    decided = options.insecure or options.cacert or options.pin
    return OnBadCertificate.REFUSE if decided else OnBadCertificate.ASK


def mistake_in_options(message: str) -> str | None:
    """``message``, a reply's error string, as a mistake of the user's, if it is about what the options named.

    Some can be seen only when a file is used: that a password is wrong, for instance.
    """
    found = _MISTAKE.match(message)
    return None if found is None else f"{NAMES[found[1]]}: {in_words_of_options(found[2])}"


def in_words_of_options(message: str) -> str:
    """``message`` with the library's advice replaced by what can be done here."""
    for ours, theirs in _REMEDIES.items():
        message = message.replace(ours, theirs)
    return message


def _verify_mode(options: argparse.Namespace) -> VerifyMode:
    if not options.insecure:
        return VerifyMode.AUTO
    # As curl does it: --insecure does not switch a pin off. QUERY would.
    return VerifyMode.NONE if options.pin else VerifyMode.QUERY


def _check_combination(options: argparse.Namespace) -> None:
    if options.cert is None and options.key is not None:
        raise ValueError("--key: there is no certificate that it is for; give --cert, too")
    if options.cert is None and options.password is not None:
        raise ValueError("--pass: there is no key that it could open; give --cert and --key, too")
    if options.tls_min is not None and options.tls_max is not None and options.tls_min > options.tls_max:
        raise ValueError("--tls-min: it is above --tls-max, so there is no version left")


def _password(source: str) -> bytes:
    kind, _, place = source.partition(":")
    if kind == "env" and (value := os.environ.get(place)) is not None:
        return os.fsencode(value)
    if kind == "file":
        try:
            with Path(place).open("rb") as file:
                return file.readline().rstrip(b"\r\n")
        except (OSError, ValueError):  # ValueError: a NUL in the name
            raise argparse.ArgumentTypeError("its file cannot be read; check the name behind file:") from None
    if kind == "env":
        raise argparse.ArgumentTypeError("its environment variable is not set; check the name behind env:")
    raise argparse.ArgumentTypeError("say where it is, as env:NAME or file:PATH; others could read it here")


def _version(text: str) -> str:
    if text not in VERSIONS:
        raise argparse.ArgumentTypeError(f"{text!r} is no version of TLS; give one of {', '.join(VERSIONS)}")
    return f"TLSv{text}"

"""The command and TLS: certificates that are not accepted, questions about them, and the options that decide."""

from __future__ import annotations

import json
import os
import signal
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

import trioreply
from tests import certificates
from trioreply import Certificate, SslError, SslErrorCode, SslErrors
from trioreply._cli.app import main
from trioreply._cli.asking import Dialogue
from trioreply._cli.certificates import QUESTION, TITLE, certificate_rows, judge_certificates
from trioreply._cli.exits import Exit
from trioreply._cli.files import StandardInput
from trioreply._cli.render import open_printer
from trioreply._cli.tls_options import OnBadCertificate
from trioreply.testing import Authority, Origin, OriginResponse, SelfSigned, ServerTls, open_origin

from .conftest import Person, in_a_thread, serving
from .test_render import without_rich

Output = pytest.CaptureFixture[bytes]

BODY = b"secret\n"
ROUTES = {"/": OriginResponse(body=BODY)}
DEVICE = SelfSigned("127.0.0.1")
OTHER_PIN = f"sha256/{'A' * 43}="
ADVICE = (
    "compare the certificate with the one you expect; if it is the one, trust it with --cacert, or its key with "
    "--insecure and --pin"
)
REFUSED = f"trioreply: SSL handshake failed: The certificate is self-signed, and not trusted; {ADVICE}\n"
SHOWN = f"""\
{TITLE}:
  problem  The certificate is self-signed, and not trusted (SELF_SIGNED_CERTIFICATE)
  subject  CN=trioreply self-signed
  issuer   CN=trioreply self-signed
  valid    2000-01-01 00:00:00 to 2999-12-31 00:00:00 UTC
  names    127.0.0.1
  key      EC secp256r1
  serial   {DEVICE.certificate.serial_number:x}
  sha256   {DEVICE.certificate.fingerprint()}
  pin      {DEVICE.certificate.pin}
"""


@pytest.fixture
def device() -> Iterator[Origin]:
    """A device that vouches for itself."""
    with serving(ROUTES, DEVICE.serve()) as origin:
        yield origin


def test_script_is_never_asked(device: Origin, capfdbinary: Output) -> None:
    """Without a terminal the transfer fails at once, with the list on standard error, and no request is sent."""
    assert main([device.url()]) == Exit.TRANSPORT
    assert capfdbinary.readouterr() == (b"", (SHOWN + REFUSED).encode())
    assert not device.requests


@pytest.mark.parametrize("missing", ["stdin", "stderr", "closed"])
def test_both_ends_must_be_a_terminal(device: Origin, *, person: Person, capfdbinary: Output, missing: str) -> None:
    """A terminal to read from is not enough without one to show the question on, and the other way round."""
    person.answers("y\n")
    with Path(os.devnull).open("r+") as elsewhere:
        streams = {"stdin": None} if missing == "closed" else {missing: elsewhere}
        assert person.runs([device.url()], **streams) == Exit.TRANSPORT
    assert QUESTION not in person.sees()
    assert capfdbinary.readouterr().out == b""


@pytest.mark.parametrize("rich", [True, False])
def test_person_is_shown_the_certificate_and_asked(
    device: Origin, *, person: Person, monkeypatch: pytest.MonkeyPatch, capfdbinary: Output, rich: bool
) -> None:
    """On a terminal errors and certificate are a table, every digit of it; after a yes the body comes."""
    if rich:
        pytest.importorskip("rich")
    else:
        without_rich(monkeypatch)
    person.answers("y\n")
    assert person.runs([device.url()]) == Exit.OK
    assert capfdbinary.readouterr().out == BODY
    assert len(device.requests) == 1
    shown = person.sees()
    assert shown.count(QUESTION) == 1
    assert ("┃" in shown or "│" in shown) == rich
    for text in (TITLE, "SELF_SIGNED_CERTIFICATE", DEVICE.certificate.fingerprint(), DEVICE.certificate.pin):
        assert text in shown
    assert max(len(line) for line in shown.splitlines()) <= 80 or not rich


@pytest.mark.parametrize("answer", ["Y\n", " yes\n", "YES\n"])
def test_yes(device: Origin, *, person: Person, capfdbinary: Output, answer: str) -> None:
    """A yes may be long, and in any case."""
    person.answers(answer)
    assert person.runs([device.url()]) == Exit.OK
    assert capfdbinary.readouterr().out == BODY


@pytest.mark.parametrize("answer", ["\n", "n\n", "no\n", "yesterday\n", "\x04"], ids=ascii)
def test_anything_else_is_a_no(device: Origin, *, person: Person, capfdbinary: Output, answer: str) -> None:
    """Anything else, Enter alone and the end of the input too, fails the transfer, and no request is sent."""
    person.answers(answer)
    assert person.runs([device.url()]) == Exit.TRANSPORT
    assert capfdbinary.readouterr().out == b""
    assert not device.requests
    lines = person.sees().splitlines()
    assert lines[-1] + "\n" == REFUSED


def test_question_can_be_interrupted(device: Origin, person: Person) -> None:
    """Ctrl-C ends the command while it asks, and what it says then has a line of its own."""
    person.when(QUESTION, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert person.runs([device.url()]) == Exit.INTERRUPTED
    assert person.sees().splitlines()[-2:] == [QUESTION, "trioreply: interrupted"]
    assert not device.requests


def test_question_does_not_outlast_the_limit(device: Origin, person: Person) -> None:
    """``--max-time`` counts while the question is open, too."""
    assert person.runs(["--max-time", "0.3", device.url()]) == Exit.TRANSPORT
    assert person.sees().endswith("trioreply: --max-time: it was not over after 0.3 s\n")


def test_verbose_shows_the_channel(device: Origin, *, person: Person, capfdbinary: Output) -> None:
    """``-v`` has a line for the errors and a line for the channel, with what was ignored."""
    person.answers("y\n")
    assert person.runs(["-v", device.url()]) == Exit.OK
    assert capfdbinary.readouterr().out == BODY
    shown = person.sees()
    assert "SslErrors               SELF_SIGNED_CERTIFICATE of CN=trioreply self-signed\n" in shown
    assert (
        "Encrypted               TLSv1.3 TLS_AES_256_GCM_SHA384; http/1.1; CN=trioreply self-signed until 2999-12-31; "
        "in spite of SELF_SIGNED_CERTIFICATE\n"
    ) in shown


def test_insecure_goes_on_with_a_warning(device: Origin, *, person: Person, capfdbinary: Output) -> None:
    """``-k`` asks nobody, even on a terminal, says in a line what is wrong, and gives the events as they are."""
    person.answers("n\n")
    assert person.runs(["-k", "--events", device.url()]) == Exit.OK
    warning = "The certificate is self-signed, and not trusted; going on all the same, because of --insecure"
    assert f"trioreply: warning: {warning}\n" in person.sees()
    assert QUESTION not in person.sees()
    records = {record["event"]: record for record in map(json.loads, capfdbinary.readouterr().out.splitlines())}
    certificate = {"sha256": DEVICE.certificate.fingerprint(), "subject": "CN=trioreply self-signed"}
    error = {
        "code": "SELF_SIGNED_CERTIFICATE",
        "certificate": certificate,
        "message": "The certificate is self-signed, and not trusted",
    }
    assert records["SslErrors"]["errors"] == [error]
    assert records["Encrypted"]["tls"]["peer_certificate"] == certificate
    assert records["Encrypted"]["tls"]["ignored_errors"] == [error]


def test_authorities_can_be_added(
    device: Origin, *, files: Callable[[str, bytes], str], person: Person, capfdbinary: Output
) -> None:
    """``--cacert`` trusts what is in each of its files; what it does not vouch for fails without a question."""
    other = files("other.pem", Authority().certificate_pem)
    person.answers("y\n")
    assert person.runs(["--cacert", other, device.url()]) == Exit.TRANSPORT
    assert not device.requests
    own = files("own.pem", DEVICE.certificate_pem)
    assert person.runs(["--cacert", other, "--cacert", own, device.url()]) == Exit.OK
    assert capfdbinary.readouterr().out == BODY
    assert QUESTION not in person.sees()


@pytest.mark.parametrize("trusted", [True, False])
def test_pin_is_never_switched_off(
    device: Origin, *, files: Callable[[str, bytes], str], person: Person, capfdbinary: Output, trusted: bool
) -> None:
    """A server with another key than the pinned one is refused, without a question, whoever else is trusted."""
    person.answers("y\n")
    trust = ["--cacert", files("own.pem", DEVICE.certificate_pem)] if trusted else ["-k"]
    assert person.runs([*trust, "--pin", OTHER_PIN, device.url()]) == Exit.TRANSPORT
    assert not device.requests
    assert person.runs([*trust, "--pin", OTHER_PIN, "--pin", DEVICE.certificate.pin, device.url()]) == Exit.OK
    assert capfdbinary.readouterr().out == BODY
    shown = person.sees()
    assert (
        f"None of the pinned keys is in the certificate chain; the certificate's own is {DEVICE.certificate.pin}; "
        in (shown)
    )
    assert "warning" not in shown
    assert QUESTION not in shown


def test_pin_alone_is_no_trust(device: Origin, capfdbinary: Output) -> None:
    """The right key does not replace what else is verified."""
    assert main(["--pin", DEVICE.certificate.pin, device.url()]) == Exit.TRANSPORT
    assert capfdbinary.readouterr().err == (SHOWN + REFUSED).encode()


AUTHORITY = Authority()
PASSWORD = "open sesame"


@pytest.fixture(scope="module")
def picky() -> Iterator[Origin]:
    """A server with a good certificate that wants one of its clients, too, and speaks TLS 1.2."""
    tls = AUTHORITY.serve("127.0.0.1", client_ca=AUTHORITY.certificate_pem, maximum_version=ssl.TLSVersion.TLSv1_2)
    with serving(ROUTES, tls) as origin:
        yield origin


@pytest.fixture
def trust(files: Callable[[str, bytes], str]) -> list[str]:
    """The arguments to trust `AUTHORITY`."""
    return ["--cacert", files("ca.pem", AUTHORITY.certificate_pem)]


def test_certificate_of_ours(
    picky: Origin, *, trust: list[str], files: Callable[[str, bytes], str], capfdbinary: Output
) -> None:
    """``--cert`` and ``--key`` say who we are, from two files or from one."""
    chain, key = AUTHORITY.client_certificate("me@example.org")
    assert main([*trust, "--cert", files("c.pem", chain), "--key", files("k.pem", key), picky.url()]) == Exit.OK
    assert main([*trust, "-E", files("both.pem", chain + key), picky.url()]) == Exit.OK
    assert capfdbinary.readouterr() == (BODY + BODY, b"")


def test_missing_certificate_of_ours(picky: Origin, trust: list[str], capfdbinary: Output) -> None:
    """A server that wants to know who we are is answered by a message that names the options."""
    assert main([*trust, picky.url()]) == Exit.TRANSPORT
    assert b"client certificate: --cert and --key\n" in capfdbinary.readouterr().err


def test_no_version_in_common(picky: Origin, trust: list[str], capfdbinary: Output) -> None:
    """A server that speaks too old a version is refused, with the option that would allow it."""
    assert main([*trust, "--tls-min", "1.3", picky.url()]) == Exit.TRANSPORT
    assert b"no TLS version in common; --tls-min allows older ones" in capfdbinary.readouterr().err


@pytest.mark.parametrize("source", ["env", "file"])
def test_password_of_the_key(
    picky: Origin,
    *,
    trust: list[str],
    files: Callable[[str, bytes], str],
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: Output,
    source: str,
) -> None:
    """``--pass`` opens the key; a wrong one, or none, is wrong usage, never shown, and never asked for."""
    mine = certificates.self_signed(certificates.Identity("Me"))
    pem = mine.chain + certificates.key_pem(PASSWORD.encode())
    monkeypatch.setenv("TRIOREPLY_TEST", PASSWORD)
    right = "env:TRIOREPLY_TEST" if source == "env" else f"file:{files('pass', PASSWORD.encode())}"
    wrong = f"file:{files('wrong', b'simsalabim')}"
    argv = [*trust, "--cert", files("both.pem", pem), picky.url()]
    # Opened, and then refused by the server, which does not know who has made it.
    assert main(["--pass", right, *argv]) == Exit.TRANSPORT
    assert main(["--pass", wrong, *argv]) == Exit.USAGE
    assert main(argv) == Exit.USAGE
    opened, mistaken, missing = capfdbinary.readouterr().err.decode().splitlines()
    assert "give one with --cert and --key" in opened
    assert mistaken == "trioreply: --pass: it does not open the private key; check it, and that the key is undamaged"
    assert missing.startswith("trioreply: --pass: the private key is encrypted, and there is no password; give ")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--cacert", "key.pem"], "--cacert: no valid certificates in "),
        (["--cert", "key.pem"], "-E/--cert: it cannot be used: "),
        (["--cert", "own.pem"], "--key: it cannot be used: "),
        (["--cert", "own.pem", "--key", "key.pem"], "--key: it does not belong to the certificate; "),
    ],
)
def test_useless_file_is_wrong_usage(
    device: Origin,
    *,
    files: Callable[[str, bytes], str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfdbinary: Output,
    argv: list[str],
    message: str,
) -> None:
    """A file that holds something else is a mistake in the option that names it, in the words of the options."""
    files("own.pem", DEVICE.certificate_pem)
    files("key.pem", SelfSigned("other.test").key_pem)
    monkeypatch.chdir(tmp_path)
    assert main([*argv, device.url()]) == Exit.USAGE
    error = capfdbinary.readouterr().err.decode()
    assert error.startswith(f"trioreply: {message}")
    assert "=" not in error
    assert not device.connections


def test_what_cannot_be_ignored(
    *, person: Person, files: Callable[[str, bytes], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that a yes cannot overcome fails all the same, and the message says what could."""
    served = certificates.SAMPLES["for_clients"].make()
    monkeypatch.setenv("SSL_CERT_FILE", files("root.pem", served.root))  # OpenSSL's word for "the system's"
    person.answers("y\n")
    with serving(ROUTES, ServerTls.from_pem(served.chain, served.key)) as origin:
        assert person.runs([origin.url()]) == Exit.TRANSPORT
    assert "cannot be ignored by itself: use --insecure and --pin with the certificate's own pin\n" in person.sees()


def test_other_handshake_failures_are_no_mistakes(capfdbinary: Output) -> None:
    """A server that does not speak TLS is the server's matter."""
    with in_a_thread(open_origin(ROUTES)) as origin:
        assert main([origin.url().replace("http:", "https:")]) == Exit.TRANSPORT
    assert b"the server does not speak TLS there" in capfdbinary.readouterr().err


def test_rows_say_whose_problem_it_is() -> None:
    """An error of another certificate than the server's own names that certificate; without a chain there is none."""
    chain = Certificate.load(certificates.issued(intermediate=certificates.INTERMEDIATE).chain)
    errors = (
        SslError(SslErrorCode.UNABLE_TO_GET_LOCAL_ISSUER_CERTIFICATE, chain[1]),
        SslError(SslErrorCode.CERTIFICATE_EXPIRED, chain[0]),
    )
    rows = certificate_rows(SslErrors(errors, chain))
    assert rows[0][1].endswith("CERTIFICATE), said of CN=Test Intermediate,O=trioreply tests")
    assert rows[1] == ("problem", "The certificate has expired (CERTIFICATE_EXPIRED)")
    assert ("subject", "CN=Test Server,O=trioreply tests") in rows
    nothing = SslErrors((SslError(SslErrorCode.NO_PEER_CERTIFICATE),))
    assert certificate_rows(nothing) == [("problem", "The peer showed no certificate (NO_PEER_CERTIFICATE)")]


@pytest.mark.parametrize("name", ["a\x1b[2J\x9b", "b\nsha256: fake", "c\u2028pin: fake\u202e"], ids=ascii)
def test_rows_steer_nothing(name: str) -> None:
    """A certificate cannot steer the terminal, nor say of itself what only we may say."""
    identity = certificates.Identity(name)
    served = certificates.self_signed(identity)
    (certificate,) = Certificate.load(served.chain)
    error = SslError(SslErrorCode.CERTIFICATE_REJECTED, certificate, message=name)
    rows = certificate_rows(SslErrors((error,), (certificate,)))
    assert all(text.isprintable() for row in rows for text in row)
    assert dict(rows)["sha256"] == certificate.fingerprint()
    assert dict(rows)["pin"] == certificate.pin
    assert len(rows) == 9


async def judged(reply: trioreply.Reply, keyboard: StandardInput) -> trioreply.NetworkError:
    """How ``reply`` ends when somebody at ``keyboard`` is asked about its certificate."""
    printer = open_printer(None)
    judge = judge_certificates(printer, OnBadCertificate.ASK, Dialogue(printer, keyboard))
    with trio.fail_after(10):
        async for event in reply:
            await judge(reply, event, 0)
    return reply.error


async def test_terminal_that_has_gone_is_a_no() -> None:
    """A keyboard that cannot be read any more gives no answer, and that is a no."""
    async with (
        open_origin(ROUTES, tls=DEVICE.serve()) as origin,
        trioreply.open_manager() as manager,
        manager.get(origin.url()) as reply,
    ):
        assert await judged(reply, StandardInput(-1)) is trioreply.NetworkError.SSL_HANDSHAKE_FAILED


class LatePerson(StandardInput):
    """Says yes when the reply is over."""

    def __init__(self, reply: trioreply.Reply) -> None:
        super().__init__(-1)
        self._reply = reply

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The answer."""
        self._reply.abort()
        await trio.testing.wait_all_tasks_blocked()
        return b"y\n"[:max_bytes]


async def test_answer_that_comes_too_late() -> None:
    """A yes to a question that is over changes nothing, and is no mistake."""
    async with (
        open_origin(ROUTES, tls=DEVICE.serve()) as origin,
        trioreply.open_manager() as manager,
        manager.get(origin.url()) as reply,
    ):
        assert await judged(reply, LatePerson(reply)) is trioreply.NetworkError.OPERATION_CANCELED

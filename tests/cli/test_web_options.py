"""The options about redirects, credentials, cookies, codings and retries, as arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from trioreply import Bearer, Cookie, RedirectPolicy, RetryPolicy
from trioreply._cli.args import Fetch, parse
from trioreply._cli.exits import CommandError, Exit
from trioreply._cli.web_options import Keeping, SteadyRetry

URL = "http://h.test/p"


def fetch(*argv: str, url: str = URL) -> Fetch:
    """What ``argv`` asks to be fetched."""
    command = parse([*argv, url])
    assert isinstance(command, Fetch)
    return command


@pytest.mark.parametrize(
    ("argv", "policy"),
    [
        ([], RedirectPolicy.NO_LESS_SAFE),
        (["-L"], RedirectPolicy.NO_LESS_SAFE),
        (["--no-location"], RedirectPolicy.MANUAL),
        (["--no-location", "--location"], RedirectPolicy.NO_LESS_SAFE),
        (["-L", "--redirect-policy", "same-origin"], RedirectPolicy.SAME_ORIGIN),
        (["--redirect-policy", "user-verified"], RedirectPolicy.USER_VERIFIED),
        (["--no-location", "--redirect-policy", "manual"], RedirectPolicy.MANUAL),
    ],
)
def test_redirects_are_followed_unless_told_otherwise(argv: list[str], policy: RedirectPolicy) -> None:
    """Redirects are followed as the library does it; ``-L`` never loosens a policy that was given."""
    request = fetch(*argv).request
    assert (request.redirect_policy, request.max_redirects) == (policy, 50)
    assert fetch(*argv, "--max-redirs", "0").request.max_redirects == 0


@pytest.mark.parametrize(
    ("argv", "auth", "asked"),
    [
        ([], None, None),
        (["-u", "me:a:b"], ("me", "a:b"), None),
        (["--user", "me:"], ("me", ""), None),
        (["-u", "me"], None, "me"),
        (["--oauth2-bearer", "a.b"], Bearer("a.b"), None),
    ],
)
def test_who_we_are(argv: list[str], auth: object, asked: str | None) -> None:
    """The password begins behind the first colon; one that is left out is to be asked for, an empty one is not."""
    command = fetch(*argv)
    assert (command.request.auth, command.user) == (auth, asked)


@pytest.mark.parametrize(
    ("argv", "url", "said"),
    [
        ([], URL, False),
        (["-u", "me"], URL, False),
        (["-u", "me:p"], URL, True),
        (["--oauth2-bearer", "t"], URL, True),
        (["-H", "authorization: x"], URL, True),
        ([], "http://me@h.test/", False),
        ([], "http://me:p@h.test/", True),
    ],
)
def test_what_was_said_is_not_asked_for(argv: list[str], url: str, said: bool) -> None:
    """Whoever has given a password, in whatever place, is not going to be asked for one."""
    assert fetch(*argv, url=url).has_credentials is said


def test_netrc() -> None:
    """Credentials are looked up nowhere, in the usual file, or in one that is named."""
    assert fetch().netrc is False
    assert fetch("-n").netrc is True
    assert fetch("--netrc", "--netrc-file", __file__).netrc == Path(__file__)


@pytest.mark.parametrize(
    ("argv", "policy"),
    [
        ([], None),
        (["--retry", "0"], RetryPolicy(1)),
        (["--retry", "3"], RetryPolicy(4)),
        (["--retry", "3", "--retry-delay", "7"], SteadyRetry(4, backoff=7)),
    ],
)
def test_retry(argv: list[str], policy: RetryPolicy | None) -> None:
    """``--retry`` counts what comes after the first attempt, and nothing is retried unasked."""
    assert fetch(*argv).request.retry == policy


def test_given_delay_is_kept() -> None:
    """``--retry-delay`` is the wait before each attempt, and does not grow."""
    policy = SteadyRetry(9, backoff=7)
    assert [policy.delay(failures, chance) for failures in (1, 8) for chance in (0, 1)] == [7] * 4


def test_decoding() -> None:
    """Bodies are decoded unless told otherwise."""
    assert fetch().request.decompress
    assert fetch("--compressed").request.decompress
    assert not fetch("--no-compressed").request.decompress


def test_typed_cookies() -> None:
    """Cookies that are typed are for the URL's host, everywhere on it, and behind https never without it."""
    cookie = Cookie("a", "1=2", domain="h.test", path="/")
    nameless = Cookie("", "x", domain="h.test", path="/")
    assert fetch("-b", "a=1=2; x;", "--cookie", "b=3").keeping.cookies == (
        cookie,
        nameless,
        Cookie("b", "3", domain="h.test", path="/"),
    )
    secure = fetch("-b", "__Host-a=1", url="https://h.test/deep/").keeping.cookies
    assert secure == (Cookie("__Host-a", "1", domain="h.test", path="/", secure=True),)


def test_cookie_files(tmp_path: Path) -> None:
    """What is no NAME=VALUE is a file; one that is also to be written need not be there yet."""
    jar = tmp_path / "jar"
    argv = ["-b", __file__, "-b", str(jar), "-c", str(jar), "--hsts", str(tmp_path / "h")]
    assert fetch(*argv).keeping == Keeping(cookie_files=(Path(__file__),), cookie_jar=jar, hsts=tmp_path / "h")
    jar.touch()
    assert fetch(*argv).keeping.cookie_files == (Path(__file__), jar)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--max-redirs", "-1"], "--max-redirs: '-1' is not a number from 0 on"),
        (["--max-redirs", "1e3"], "--max-redirs: '1e3' is not a number from 0 on"),
        (["--retry", "9999999999"], "--retry: '9999999999' is not a number from 0 on"),
        (["--retry-delay", "1"], "--retry-delay: there is nothing to wait for; give --retry, too"),
        (["--retry", "1", "--retry-delay", "0"], "--retry-delay: '0' is not a number of seconds above 0"),
        (["--redirect-policy", "any"], "--redirect-policy: 'any' is none; give one of manual, no-less-safe, same-o"),
        (["--redirect-policy", "manual", "-L"], "--redirect-policy: --location or --no-location says something else"),
        (["--redirect-policy", "same-origin", "--no-location"], "--redirect-policy: --location or --no-location says"),
        (["-u", "me:p", "--oauth2-bearer", "t"], "--oauth2-bearer: a request has one Authorization; leave --user or"),
        (["-u", "me:open\nsesame"], "-u/--user: the password holds a control character"),
        (["--oauth2-bearer", "open sesame"], "--oauth2-bearer: it is empty, or holds a space"),
        (["--netrc-file", "/no/such"], "--netrc-file: '/no/such' is not a file that can be read"),
        (["-b", "/no/such"], "-b/--cookie: '/no/such' is neither NAME=VALUE nor a file that can be read"),
        (["-b", "/", "-c", "/tmp/jar"], "-b/--cookie: '/' is neither NAME=VALUE nor a file that can be read"),
        (["-b", "a=open\nsesame"], "-b/--cookie: value: it holds a control character"),
        (["-b", "__Secure-a=sesame"], "-b/--cookie: the cookie '__Secure-a' cannot be sent to that URL"),
        (["-c", "/dev/null"], "-c/--cookie-jar: '/dev/null' is no file; give the name of one"),
        (["-c", "-"], "-c/--cookie-jar: '-' is no file"),
        (["--hsts", "/"], "--hsts: '/' is no file"),
        (["--hsts", "/no/such/file"], "--hsts: '/no/such/file' is in a directory that does not exist"),
    ],
)
def test_usage_errors_name_the_option_and_no_secret(argv: list[str], message: str) -> None:
    """What cannot work is refused before anything is sent, in the words of the option, and shows no password."""
    with pytest.raises(CommandError) as caught:
        fetch(*argv)
    assert str(caught.value).startswith(message)
    assert caught.value.code is Exit.USAGE
    assert "sesame" not in str(caught.value)

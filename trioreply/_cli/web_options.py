"""What the options say about the web as it is: redirects, who we are, cookies, codings, and another try.

The names and what they mean are curl's where curl has the option. What the library does by itself the command does as
well, so redirects are followed, cookies are kept from hop to hop, and bodies are decoded unless an option says
otherwise; curl's options for that are understood, and change nothing.

Passwords and tokens are never repeated in an answer to a mistake.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import frozen
from yarl import URL

from .. import Bearer, Cookie, CookieJar, RedirectPolicy, RequestFields, RetryPolicy
from .kinds import count, readable_file, seconds, writable_file

NAMES = {"auth": "-u/--user", "token": "--oauth2-bearer"}
"""From the library's fields to what the user typed."""

POLICIES = {policy.name.lower().replace("_", "-"): policy for policy in RedirectPolicy}


@frozen(kw_only=True)
class Keeping:
    """What is known before the transfer, and where is kept what becomes known by it."""

    cookies: tuple[Cookie, ...] = ()
    cookie_files: tuple[Path, ...] = ()
    """Each a ``cookies.txt``, to be read."""
    cookie_jar: Path | None = None
    """A ``cookies.txt``, to be written."""
    hsts: Path | None = None


class SteadyRetry(RetryPolicy):
    """Waits for the same time before each attempt."""

    def delay(self, failures: int, chance: float) -> float:
        """See `RetryPolicy.delay`."""
        del failures, chance  # it makes no difference how often it failed
        return self.backoff


def add_web_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to ``parser``, in groups."""
    _add_redirects(parser.add_argument_group("where redirects may lead"))
    _add_credentials(parser.add_argument_group("who we are (http)"))
    _add_stores(parser.add_argument_group("what is remembered"))
    _add_retries(parser.add_argument_group("what happens when it fails"))


def _add_redirects(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-L",
        "--location",
        action=argparse.BooleanOptionalAction,
        help="follow redirects, or deliver them as they come; they are followed by default",
    )
    group.add_argument("--max-redirs", metavar="N", type=count, default=50, help="follow this many at most; default 50")
    group.add_argument(
        "--redirect-policy",
        metavar="POLICY",
        type=_policy,
        help=f"which are followed: {', '.join(POLICIES)}; default no-less-safe (never from https to http)",
    )


def _add_credentials(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-u", "--user", metavar="USER[:PASSWORD]", help="log in; a password that is left out is asked for"
    )
    group.add_argument("--oauth2-bearer", metavar="TOKEN", help="send this bearer token")
    group.add_argument("-n", "--netrc", action="store_true", help="look into ~/.netrc when the server asks")
    group.add_argument("--netrc-file", metavar="FILE", type=readable_file, help="look into this file instead")


def _add_stores(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-b",
        "--cookie",
        metavar="COOKIES",
        action="append",
        default=[],
        help="cookies to send, 'NAME=VALUE; ...', or a cookies.txt to read; repeatable",
    )
    group.add_argument(
        "-c",
        "--cookie-jar",
        metavar="FILE",
        type=writable_file,
        help="write all cookies to this cookies.txt at the end",
    )
    group.add_argument(
        "--hsts", metavar="FILE", type=writable_file, help="keep the hosts that want https in this file, and obey it"
    )


def _add_retries(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--retry", metavar="N", type=count, help="try up to N times more if the failure may pass")
    group.add_argument(
        "--retry-delay",
        metavar="SECONDS",
        type=seconds,
        help="wait that long before each; the default begins with 0.5 and doubles",
    )


def web_fields(options: argparse.Namespace) -> RequestFields:
    """What ``options`` make of a request.

    Raises:
        ValueError: they cannot be meant; the text starts with the option, or with the library's name for it.
    """
    return {
        "redirect_policy": _redirect_policy(options),
        "max_redirects": options.max_redirs,
        "auth": _auth(options),
        "decompress": options.compressed,
        "retry": _retry(options),
    }


def user_without_password(options: argparse.Namespace) -> str | None:
    """The user whose password is yet to be asked for."""
    return None if options.user is None or ":" in options.user else options.user


def netrc(options: argparse.Namespace) -> bool | Path:
    """Where to look for credentials: in a file, in the usual one, or nowhere."""
    source: Path | bool = options.netrc_file or options.netrc
    return source


def keeping(options: argparse.Namespace, urls: Sequence[URL]) -> Keeping:
    """What is remembered: before the transfers that begin at ``urls``, and after them.

    Raises:
        ValueError: the text starts with the option.
    """
    texts = [text for text in options.cookie if "=" in text]
    files = [path for text in options.cookie if "=" not in text and (path := _cookie_file(text, options)) is not None]
    return Keeping(
        cookies=tuple(cookie for text in texts for url in urls for cookie in _cookies(text, url)),
        cookie_files=tuple(files),
        cookie_jar=options.cookie_jar,
        hsts=options.hsts,
    )


def _policy(text: str) -> RedirectPolicy:
    if text not in POLICIES:
        raise argparse.ArgumentTypeError(f"{text!r} is none; give one of {', '.join(POLICIES)}")
    return POLICIES[text]


def _redirect_policy(options: argparse.Namespace) -> RedirectPolicy:
    policy: RedirectPolicy | None = options.redirect_policy
    if policy is None:
        return RedirectPolicy.MANUAL if options.location is False else RedirectPolicy.NO_LESS_SAFE
    if options.location is (policy is RedirectPolicy.MANUAL):
        raise ValueError("--redirect-policy: --location or --no-location says something else; leave one of them out")
    return policy


def _auth(options: argparse.Namespace) -> tuple[str, str] | Bearer | None:
    if options.oauth2_bearer is not None:
        if options.user is not None:
            raise ValueError("--oauth2-bearer: a request has one Authorization; leave --user or this out")
        return Bearer(options.oauth2_bearer)
    if options.user is None or ":" not in options.user:
        return None
    user, _, password = options.user.partition(":")
    return user, password


def _retry(options: argparse.Namespace) -> RetryPolicy | None:
    if options.retry is None:
        if options.retry_delay is not None:
            raise ValueError("--retry-delay: there is nothing to wait for; give --retry, too")
        return None
    if options.retry_delay is None:
        return RetryPolicy(options.retry + 1)
    return SteadyRetry(options.retry + 1, backoff=options.retry_delay)


def _cookies(text: str, url: URL) -> Iterator[Cookie]:
    """The cookies in ``text``, for the host of ``url``; over https they go over https only."""
    jar = CookieJar()
    for pair in filter(None, map(str.strip, text.split(";"))):
        name, equals, value = pair.partition("=")
        try:
            cookie = Cookie(
                name if equals else "", value if equals else name, path="/", secure=url.scheme == "https"
            ).normalized(url)
        except ValueError as error:
            raise ValueError(f"-b/--cookie: {error}") from None
        if not jar.validate(cookie, url):
            raise ValueError(f"-b/--cookie: the cookie {cookie.name!r} cannot be sent to that URL")
        yield cookie


def _cookie_file(text: str, options: argparse.Namespace) -> Path | None:
    """The file to read; ``None`` if it is going to be written for the first time."""
    path = Path(text)
    if path.is_dir() or not os.access(path, os.R_OK):
        if options.cookie_jar == path and not path.exists():
            return None
        raise ValueError(f"-b/--cookie: {text!r} is neither NAME=VALUE nor a file that can be read")
    return path

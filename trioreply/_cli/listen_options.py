"""What ``trioreply events`` is asked for, checked."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from attrs import evolve, frozen

from .. import NetworkError, Operation, RetryPolicy
from .body_options import Content
from .errands import Errand, add_errand_options, add_header_option, errand_fields, make_request, refuse_fields
from .kinds import positive_count
from .parsing import as_wrong_usage, make_parser

DESCRIPTION = """\
Print the server-sent events of a URL as they come, one on a line: its kind, its id and its text, with tabs in between.
When the connection ends it is made again, and goes on with the events after the last one.
"""
LAST_EVENT_ID = "Last-Event-ID"


@frozen(kw_only=True)
class Listen(Errand):
    """``trioreply events URL``."""

    is_json: bool
    last_event_id: str
    reconnect: RetryPolicy | None
    """``None`` for the library's own."""
    is_once: bool
    """Whether the end of the connection is the end."""
    count: int | None
    """After how many events it ends."""


def parse_listen(argv: Sequence[str]) -> Listen:
    """What ``argv``, without the word, asks for.

    Raises:
        CommandError: it asks for nothing sensible; the message names the option.
    """
    options = make_listen_parser().parse_args(argv)
    with as_wrong_usage():
        request = make_request(options, options.url, sent=Content(), operation=Operation.GET)
        refuse_fields(request, (LAST_EVENT_ID,), advice="give it with --last-event-id")
        fields = errand_fields(options, request, [request.url])
    return Listen(
        **fields,
        is_json=options.json,
        last_event_id=options.last_event_id,
        reconnect=_reconnect(request.retry),
        is_once=not options.reconnect,
        count=options.count,
    )


def make_listen_parser() -> argparse.ArgumentParser:
    """The parser of ``trioreply events``."""
    parser = make_parser("trioreply events", DESCRIPTION, usage="trioreply events [options] URL")
    # -n counts here, as it does for head and tail; who wants to say --netrc says that.
    parser.conflict_handler = "resolve"
    parser.add_argument("url", metavar="URL", help="where the events come from")
    parser.set_defaults(compressed=True)
    shown = parser.add_argument_group("what is shown")
    how = parser.add_argument_group("how")
    add_errand_options(parser)
    shown.add_argument("--json", action="store_true", help="print each event as a line of JSON")
    shown.add_argument("-n", "--count", metavar="N", type=positive_count, help="end after N events")
    shown.add_argument("-v", "--verbose", action="store_true", help="print what happens besides, to standard error")
    how.add_argument("--last-event-id", metavar="ID", default="", help="begin behind the event with this id")
    how.add_argument(
        "--reconnect",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="connect again, or end with the connection; it is done by default",
    )
    add_header_option(how)
    return parser


def _reconnect(policy: RetryPolicy | None) -> RetryPolicy | None:
    """``--retry`` for a stream that has worked before: what may pass then is a little more."""
    if policy is None:
        return None
    return evolve(
        policy,
        on_status=policy.on_status | {500},
        on_errors=policy.on_errors | {NetworkError.HOST_NOT_FOUND},
    )

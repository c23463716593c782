"""Challenges and credentials in header fields: ``WWW-Authenticate``, ``Proxy-Authenticate``, ``Authentication-Info``.

The grammar is RFC 9110 section 11, and it is an awkward one: the comma separates parameters as well as challenges, and
fields may be repeated, so what a comma means is known only after what follows it::

    challenges = [ challenge *( OWS "," OWS challenge ) ]
    challenge  = auth-scheme [ 1*SP ( token68 / [ auth-param *( OWS "," OWS auth-param ) ] ) ]
    auth-param = token BWS "=" BWS ( token / quoted-string )

The rules here: what follows a comma is a parameter if it reads as one, else it begins a challenge. Whatever does not
read as either makes the challenge that it stands in unusable, its parameters included, and nothing else. A parameter
given twice with two values is a contradiction and does the same. Schemes that nobody knows are kept: others decide.

The text comes from the peer, so it is read once, from left to right: no pattern in here can be made to go back over
what it has read, and what is past the limits is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from .._model.credentials import Challenge

MAX_SIZE = 64 * 1024
"""Characters of all fields together: far more than any real challenge, Negotiate's tickets included."""

MAX_CHALLENGES = 64
"""Challenges in all fields together. Servers offer two or three."""

TOKEN68 = "token68"
"""Under this name the parameters hold the one value of a challenge such as ``Negotiate YII=``."""

_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_CONTROL = r"\x00-\x08\x0a-\x1f\x7f"
_QUOTED = rf'"[^"\\{_CONTROL}]*+(?:\\[^{_CONTROL}][^"\\{_CONTROL}]*+)*+"'
_END = r"[ \t]*+(?=,|\Z)"
_PARAMETER = re.compile(rf"({_WORD})[ \t]*+=[ \t]*+({_WORD}|{_QUOTED}){_END}", re.ASCII)
_SCHEME = re.compile(rf"({_WORD})(?:[ \t]++|{_END})", re.ASCII)
_TOKEN68 = re.compile(rf"([A-Za-z0-9\-._~+/]++=*+){_END}", re.ASCII)
_QUOTED_STRING = re.compile(_QUOTED)
_SEPARATORS = re.compile(r"[ \t,]*+")
_UNTIL_COMMA_OR_QUOTE = re.compile(r'[^,"]*+')
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_TO_ESCAPE = re.compile(r'(["\\])')


class _Draft:
    """A challenge that is being read."""

    __slots__ = ("is_usable", "parameters", "scheme")

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme
        self.parameters: dict[str, str] = {}
        self.is_usable = bool(scheme)

    def add(self, name: str, value: str) -> None:
        if self.parameters.setdefault(name.lower(), value) != value:
            self.is_usable = False

    def finished(self) -> Challenge:
        realm = self.parameters.pop("realm", "")
        return Challenge(self.scheme, realm, MappingProxyType(self.parameters))


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """The usable challenges in the fields ``values``, in their order (RFC 9110 section 11.6.1).

    The names of parameters are in lower case; ``realm`` is no parameter of the result, but its realm. What is malformed
    or contradictory is left out; so is a whole field that goes past `MAX_SIZE`, and everything past `MAX_CHALLENGES`.
    """
    drafts: list[_Draft] = []
    size = 0
    for value in values:
        size += len(value)
        if size > MAX_SIZE or len(drafts) > MAX_CHALLENGES:
            break
        drafts += _drafts(value)
    return [draft.finished() for draft in drafts[:MAX_CHALLENGES] if draft.is_usable]


def parse_parameters(values: Iterable[str]) -> Mapping[str, str]:
    """The parameters in the fields ``values``, such as those of Authentication-Info (RFC 9110 section 11.6.3).

    Empty if anything about them is malformed or contradictory.
    """
    draft = _Draft("none")
    position = 0
    text = ",".join(values)
    if len(text) > MAX_SIZE:
        return {}
    while (position := _after_separators(text, position)) < len(text):
        parameter = _PARAMETER.match(text, position)
        if parameter is None:
            return {}
        draft.add(parameter[1], _unquoted(parameter[2]))
        position = parameter.end()
    return draft.parameters if draft.is_usable else {}


def quoted(value: str) -> str:
    """``value`` as a quoted-string (RFC 9110 section 5.6.4)."""
    return '"' + _TO_ESCAPE.sub(r"\\\1", value) + '"'


def _drafts(text: str) -> list[_Draft]:
    """What one field holds, from left to right."""
    current = _Draft("")  # catches parameters that belong to no challenge
    drafts: list[_Draft] = []
    position = 0
    while (position := _after_separators(text, position)) < len(text) and len(drafts) <= MAX_CHALLENGES:
        if (parameter := _PARAMETER.match(text, position)) and TOKEN68 not in current.parameters:
            current.add(parameter[1], _unquoted(parameter[2]))
            position = parameter.end()
        elif scheme := _SCHEME.match(text, position):
            current = _Draft(scheme[1])
            drafts.append(current)
            position = _after_value(text, scheme.end(), current)
        else:
            current.is_usable = False  # and with it the parameters that follow
            position = _end_of_element(text, position)
    return drafts


def _after_value(text: str, position: int, draft: _Draft) -> int:
    """Read what stands behind a scheme, up to a comma: one value, one parameter, or nothing."""
    if parameter := _PARAMETER.match(text, position):
        draft.add(parameter[1], _unquoted(parameter[2]))
        return parameter.end()
    if token := _TOKEN68.match(text, position):
        draft.add(TOKEN68, token[1])
        return token.end()
    end = _end_of_element(text, position)
    if text[position:end].strip(" \t"):
        draft.is_usable = False
    return end


def _after_separators(text: str, position: int) -> int:
    found = _SEPARATORS.match(text, position)
    return position if found is None else found.end()


def _end_of_element(text: str, position: int) -> int:
    """Where the next comma is that stands in no quoted-string; a string that is not closed takes everything."""
    while (found := _UNTIL_COMMA_OR_QUOTE.match(text, position)) and found.end() < len(text):
        if text[found.end()] == ",":
            return found.end()
        string = _QUOTED_STRING.match(text, found.end())
        if string is None:
            break
        position = string.end()
    return len(text)


def _unquoted(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value

"""Credentials for the tunnels of one request: what proxies are told, and who is asked when they refuse it.

HTTP proxies demand credentials for a CONNECT as they do for a request that they forward, so the talk is the same one
(`Conversation`), over a CONNECT request as the proxy sees it. A SOCKS proxy has neither realms nor schemes: a user name
and a password are right, or they are not.

Nobody is asked while a connection is held. A demand ends the connection and the lease (`LoginDemanded`), and only then
`ProxyLogins.answer` looks for credentials, or asks for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import Factory, field
from yarl import URL

from .._model.auth import UserPassword, make_login
from .._model.credentials import Challenge
from .._model.errors import (
    ProxyAuthenticationRequiredError,
    ProxyConnectionRefusedError,
    ProxyError,
)
from .._model.exchange import Sink
from .._model.headers import encode_text, make_headers, with_missing
from .._model.messages import ProxyChallenge, ResponseHead
from .._model.options import LoadControl, Operation
from .._model.proxies import Proxy
from .._model.request import Request
from .._model.urls import authority_form
from .._model.values import define
from .._net.tunnel import LoginDemanded
from .._policies.auth_guard import Setting, proxy_guard, proxy_login, proxy_place
from .._policies.credential_cache import CredentialCache, Owner, Space
from .._wire.codec import RequestHead

if TYPE_CHECKING:
    from .._policies.auth_decide import Attempt, Conversation

_AUTHORIZATION = "Proxy-Authorization"
_SOCKS = "SOCKS"
_GUARD = proxy_guard()


@define(eq=False)
class _HttpTalk:
    """The talk with one HTTP proxy about a tunnel to one target."""

    conversation: Conversation
    request: Request
    attempt: Attempt | None
    was_sent: bool = False


@define(eq=False)
class _SocksTalk:
    """What one SOCKS proxy is told."""

    login: UserPassword | None
    refused: list[UserPassword] = Factory(list)


@define(eq=False)
class ProxyLogins:
    """The credentials for the proxies on one request's way.

    Args:
        cache: what proxies have accepted before.
        make_cnonce: gives unpredictable text of token characters.
        request: the request that needs the tunnels.
        sink: where to ask.
    """

    _cache: CredentialCache
    _make_cnonce: Callable[[], str]
    _request: Request
    _sink: Sink
    _http: dict[tuple[Proxy, str], _HttpTalk] = field(default=Factory(dict), init=False)
    _socks: dict[Proxy, _SocksTalk] = field(default=Factory(dict), init=False)

    def connect_head(self, proxy: Proxy, url: URL) -> RequestHead:
        """The CONNECT request with which ``proxy`` is asked for a tunnel to host and port of ``url``."""
        target = authority_form(url)
        talk = self._http.get((proxy, target))
        if talk is None:
            talk = self._http[proxy, target] = self._begin(proxy, url)
        headers = talk.request.headers
        fields = [("Host", target), *headers.items()]
        if talk.attempt is not None:
            if talk.was_sent:
                talk.attempt = talk.conversation.again(talk.attempt)
            talk.was_sent = True
            fields = [(name, value) for name, value in fields if name.lower() != _AUTHORIZATION.lower()]
            fields.append((_AUTHORIZATION, talk.attempt.value))
        encoded = tuple((name.encode("ascii"), encode_text(value)) for name, value in fields)
        return RequestHead("CONNECT", target, encoded)

    def accepted(self, proxy: Proxy, target: str, head: ResponseHead) -> None:
        """``proxy`` has opened a tunnel: its credentials, if it has demanded any, are good for others too.

        Raises:
            ProtocolFailure: it pretends to know the password, and does not.
        """
        talk = self._http[proxy, target]
        proof = talk.conversation.accepted(head)
        if proof is not None:
            proof.check()

    def socks_login(self, proxy: Proxy) -> UserPassword | None:
        """User and password for a SOCKS proxy: those it has accepted before, or its entry's."""
        talk = self._socks.get(proxy)
        if talk is None:
            known = self._cache.of_realm(proxy_place(proxy), Owner(None, proxy.user), "")
            talk = self._socks[proxy] = _SocksTalk(proxy_login(proxy) if known is None else known.login)
        return talk.login

    def socks_accepted(self, proxy: Proxy) -> None:
        """``proxy`` has accepted the login."""
        login = self.socks_login(proxy)
        if login is not None and self._request.authentication_reuse is LoadControl.AUTOMATIC:
            place = proxy_place(proxy)
            space = Space("", login, is_private=False, session=None, prefixes=(place.directory,))
            self._cache.remember(place.origin, space)

    async def answer(self, demand: LoginDemanded) -> None:
        """Find other credentials; after this the tunnel may be tried again.

        Raises:
            ProxyAuthenticationRequiredError: there are none.
            ProxyConnectionRefusedError: the proxy does not accept those it was given, and there are no others.
        """
        if demand.head is None:
            await self._answer_socks(demand.proxy)
        else:
            await self._answer_http(demand, demand.head)

    def _begin(self, proxy: Proxy, url: URL) -> _HttpTalk:
        # Nothing else of the request is a proxy's business that opens a tunnel.
        agent = self._request.headers.get("User-Agent")
        own = make_headers(None if agent is None else {"User-Agent": agent})
        request = Request(
            url,
            operation=Operation.CUSTOM,
            verb="CONNECT",
            headers=with_missing(own, make_headers(proxy.headers)),
            proxy=proxy,
            authentication_reuse=self._request.authentication_reuse,
        )
        from .._policies.auth_decide import Conversation

        conversation = Conversation(Setting(_GUARD, self._cache, self._make_cnonce), request)
        attempt = None if _GUARD.is_said(request) else conversation.opening()
        return _HttpTalk(conversation, request, attempt)

    async def _answer_http(self, demand: LoginDemanded, head: ResponseHead) -> None:
        from .._policies.auth_decide import Ask, Send

        talk = self._http[demand.proxy, demand.target]
        step = talk.conversation.next() if talk.conversation.challenged(head) else None
        if isinstance(step, Ask):
            answer = await self._sink.ask(step.question)
            step = talk.conversation.answered(answer)
        if not isinstance(step, Send):
            raise _unauthenticated(demand.proxy)
        talk.attempt = step.attempt
        talk.was_sent = False

    async def _answer_socks(self, proxy: Proxy) -> None:
        talk = self._socks[proxy]
        refused, own = talk.login, proxy_login(proxy)
        if refused is not None:
            self._cache.forget(proxy_place(proxy).origin, "", refused)
            talk.refused.append(refused)
        if own is not None and own not in talk.refused:
            talk.login = own
            return
        from .._policies.auth_decide import MAX_ROUNDS

        answer = None
        if len(talk.refused) < MAX_ROUNDS:
            challenge = Challenge(_SOCKS, previous_user=None if refused is None else refused.user)
            answer = await self._sink.ask(ProxyChallenge(proxy, challenge))
        login = None if answer is None else _checked(answer)
        if login is None or login == refused:
            raise _unauthenticated(proxy) if refused is None else _refused(proxy)
        talk.login = login


def _checked(answer: tuple[str, str]) -> UserPassword:
    try:
        return make_login(*answer, field="answer")
    except ValueError as error:
        raise ProxyAuthenticationRequiredError(str(error)) from error


def _unauthenticated(proxy: Proxy) -> ProxyError:
    return ProxyAuthenticationRequiredError(
        f"Proxy requires authentication: {proxy} wants a user and a password; give them with the Proxy, or answer the "
        "ProxyAuthenticationRequired event"
    )


def _refused(proxy: Proxy) -> ProxyError:
    error = ProxyConnectionRefusedError(
        f"Connection to proxy refused: {proxy} does not accept the user and the password that it was given"
    )
    error.is_final = True  # a password does not get better, and repeating it locks doors
    return error

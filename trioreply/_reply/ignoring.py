"""What the application says about the certificate errors of one reply (``QNetworkReply::ignoreSslErrors``).

It may say so before there are any, or while it is asked. Nothing of this reaches another reply.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._model.messages import TlsAnswer, TlsQuestion
from .questions import Ask

if TYPE_CHECKING:
    from .._model.tls import SslError

_NONE: frozenset[SslError] = frozenset()  # each one made anew would take 216 bytes


class IgnoredErrors:
    """The errors that are ignored, and the question about them that is open."""

    __slots__ = ("_ask", "_errors", "_everything", "_question")

    def __init__(self) -> None:
        self._everything = False
        self._errors = _NONE
        self._ask: Ask | None = None
        self._question: TlsQuestion | None = None

    def say(self, errors: Iterable[SslError] | None) -> None:
        """Ignore exactly ``errors``, instead of what was said before; ``None`` for whatever comes.

        An open question is thereby answered, or refused if it is about others.

        Raises:
            TypeError: one of ``errors`` is none.
        """
        from .._model.tls import SslError  # whoever has one has imported it

        listed = frozenset(() if errors is None else errors)
        for error in listed:
            if not isinstance(error, SslError):
                raise TypeError(f"errors: {error!r} is no SslError; give those of the SslErrors event")
        self._everything = errors is None
        self._errors = listed
        if self._ask is not None and self._question is not None and not self._ask.is_settled:
            self._answer(self._ask, self._question)
            self._ask.refuse()

    def asked(self, ask: Ask, question: TlsQuestion) -> None:
        """``question`` comes up; what was said before may answer it."""
        self._ask, self._question = ask, question
        if question.final:
            ask.refuse(question.final)
        else:
            self._answer(ask, question)

    def over(self) -> None:
        """No question is open."""
        self._ask = self._question = None

    def _answer(self, ask: Ask, question: TlsQuestion) -> None:
        if self._everything:
            ask.settle(TlsAnswer(question.errors, everything=True))
        elif self._errors.issuperset(question.errors):
            ask.settle(TlsAnswer(question.errors))

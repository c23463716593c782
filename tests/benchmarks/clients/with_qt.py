"""Qt's own QNetworkAccessManager through PySide6, in Qt's event loop: the model that trioreply is built on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QEventLoop, QUrl
from PySide6.QtNetwork import (
    QNetworkAccessManager,
    QNetworkProxy,
    QNetworkReply,
    QNetworkRequest,
    QSslCertificate,
    QSslConfiguration,
)

from ..job import Site
from . import Session, Take
from .on_callbacks import Loop, Outcome

__all__ = ["open_session", "run"]

_application = QCoreApplication([])


def _turn() -> None:
    _application.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)


_loop = Loop(_turn)
run = _loop.run


class _Qt(Session):
    """One manager."""

    def __init__(self, manager: QNetworkAccessManager, site: Site) -> None:
        self._manager = manager
        self._site = site
        self._trusts = QSslConfiguration.defaultConfiguration()
        if site.ca_file is not None:
            self._trusts.setCaCertificates(QSslCertificate.fromData(Path(site.ca_file).read_bytes()))

    async def all_of(self, tasks: list[Callable[[], Awaitable[None]]]) -> None:
        """See `Session.all_of`."""
        await _loop.all_of(tasks)

    async def get(self, path: str) -> bytes:
        """See `Session.get`."""
        reply = self._open(path)
        await self._end(reply)
        body = bytes(reply.readAll().data())
        reply.deleteLater()
        return body

    async def download(self, path: str, take: Take) -> None:
        """See `Session.download`."""
        reply = self._open(path)
        reply.readyRead.connect(lambda: take(bytes(reply.readAll().data())))
        await self._end(reply)
        reply.deleteLater()

    def _open(self, path: str) -> QNetworkReply:
        request = QNetworkRequest(QUrl(f"{self._site.base}/{path}"))
        if self._site.ca_file is not None:
            request.setSslConfiguration(self._trusts)
        return self._manager.get(request)

    async def _end(self, reply: QNetworkReply) -> None:
        outcome = Outcome[None](_loop)
        reply.finished.connect(lambda: outcome.give(None))
        await outcome
        if reply.error() is not QNetworkReply.NetworkError.NoError:
            raise RuntimeError(reply.errorString())


@asynccontextmanager
async def open_session(_variant: str, *, site: Site, connections: int) -> AsyncIterator[Session]:
    """See `ClientModule.open_session`. How many connections Qt uses cannot be said: they are six."""
    del connections
    manager = QNetworkAccessManager()
    manager.setProxy(QNetworkProxy(QNetworkProxy.ProxyType.NoProxy))
    yield _Qt(manager, site)

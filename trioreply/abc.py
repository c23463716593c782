"""What you may implement yourself: schemes, stores, and the way to the network."""

from . import _essentials  # noqa: F401 - so that what these are made of says where it comes from
from ._facade import export
from ._model.exchange import Handler, Sink
from ._net.interfaces import ByteStream, Dialer, LocalDialer, Resolver
from ._policies.cookie_store import CookieStore

__all__ = (
    "ByteStream",
    "CookieStore",
    "Dialer",
    "Handler",
    "LocalDialer",
    "Resolver",
    "Sink",
)

export(globals(), __all__, module=__name__)

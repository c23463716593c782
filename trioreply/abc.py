"""What you may implement yourself: schemes, and the way to the network."""

from ._facade import export
from ._model.exchange import Handler, Sink
from ._net.interfaces import ByteStream, Dialer, Resolver

__all__ = (
    "ByteStream",
    "Dialer",
    "Handler",
    "Resolver",
    "Sink",
)

export(globals(), __all__, module=__name__)

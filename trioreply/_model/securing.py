"""What may be given where a connection is to be secured: our configuration, or a context that the user has made.

It stands alone because both a request and a proxy need it, and a request may have a proxy. And the class of
configurations is imported here only, by whoever asks about one: where nothing is said about TLS and nothing is secured,
it is not needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .ssl_configuration import SslConfiguration


def check_ssl(value: object, *, field: str = "ssl") -> None:
    """Nothing, if ``value`` says how to secure a connection.

    Raises:
        TypeError: it does not; the text starts with ``field``.
    """
    # A context is known by what it can do: this layer of values knows no ssl module.
    if as_configuration(value) is None and not callable(getattr(value, "wrap_bio", None)):
        raise TypeError(f"{field}: give a SslConfiguration or a ssl.SSLContext, not {value!r}")


def as_configuration(value: object) -> SslConfiguration | None:
    """``value`` if it is a configuration; ``None`` if it is a context."""
    from .ssl_configuration import SslConfiguration

    return value if isinstance(value, SslConfiguration) else None


def usual_configuration() -> SslConfiguration:
    """What holds where nothing is said."""
    from .ssl_configuration import DEFAULT_CONFIGURATION

    return DEFAULT_CONFIGURATION

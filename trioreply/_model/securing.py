"""What may be given where a connection is to be secured: our configuration, or a context that the user has made.

It stands alone because both a request and a proxy need it, and a request may have a proxy.
"""

from __future__ import annotations

from .ssl_configuration import SslConfiguration


def check_ssl(value: object, *, field: str = "ssl") -> None:
    """Nothing, if ``value`` says how to secure a connection.

    Raises:
        TypeError: it does not; the text starts with ``field``.
    """
    # A context is known by what it can do: this layer of values knows no ssl module.
    if not isinstance(value, SslConfiguration) and not callable(getattr(value, "wrap_bio", None)):
        raise TypeError(f"{field}: give a SslConfiguration or a ssl.SSLContext, not {value!r}")

"""What is promised to users: where names are found, what they call themselves, and what importing them costs."""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import inspect
import pkgutil
import subprocess
import sys
from types import ModuleType
from typing import get_args

import pytest

import trioreply
from trioreply._model import errors as error_values
from trioreply._model import events as event_values
from trioreply._model import messages as message_values

# fmt: off
PROMISED = [
    "open_manager", "Manager", "ManagerConfig", "fetch", "Response", "Request", "RequestFields", "RequestFactory",
    "Reply", "ReplyWriter", "Limits", "RetryPolicy", "Operation", "Priority", "RedirectPolicy", "CacheLoad",
    "LoadControl", "Http2", "Direction", "Attribute", "KnownHeader", "VerifyMode", "ProxyType", "SslErrorCode",
    "Event", "SocketStartedConnecting", "SslErrors", "Encrypted", "ProxyAuthenticationRequired",
    "AuthenticationRequired", "RequestSent", "Informational", "Redirected", "Retrying", "MetaDataChanged",
    "ReadyRead", "Progress", "ErrorOccurred", "Finished", "NetworkError", "SslConfiguration", "SslError",
    "Certificate", "TlsInfo", "Challenge", "Cookie", "CookieJar", "HstsPolicy", "HstsStore", "MemoryCache",
    "DiskCache", "CacheEntry", "Proxy", "ProxyFactory", "Bearer", "FormBody", "MultipartBody", "Part",
    "Http2Configuration", "Timings",
]
# fmt: on
"""The names of the design. One that exists anywhere in the package must be importable from its top."""

PROMISED_ABC = ["Handler", "Sink", "CookieStore", "CacheStore", "Dialer", "Resolver"]
"""What users may implement, or call from an implementation of theirs."""

PUBLIC_MODULES = [
    info.name
    for info in pkgutil.walk_packages(trioreply.__path__, "trioreply.")
    if not any(part.startswith("_") for part in info.name.split("."))
]


def implementation() -> list[ModuleType]:
    """Every underscored module of the package but the programs, and but for those whose extra is not installed."""
    names = [info.name for info in pkgutil.walk_packages(trioreply.__path__, "trioreply.")]
    others = ["trioreply.__main__", "trioreply._cli"]
    if importlib.util.find_spec("httptools") is None:
        others.append("trioreply._wire.h1_fast")
    return [importlib.import_module(name) for name in names if "._" in name and not name.startswith(tuple(others))]


def exists(name: str) -> bool:
    """Whether some module defines ``name``."""
    return any(name in vars(module) for module in implementation())


def public_names() -> list[tuple[str, object]]:
    """Everything that the public modules list, with the place where it is listed."""
    modules = [importlib.import_module(name) for name in ["trioreply", *PUBLIC_MODULES]]
    return [
        (f"{module.__name__}.{name}", getattr(module, name))
        for module in modules
        for name in getattr(module, "__all__", ())
    ]


@pytest.mark.parametrize("name", PROMISED)
def test_promised_name_is_at_the_top(name: str) -> None:
    """A promised name that exists is importable from `trioreply`, and listed there."""
    if exists(name):
        assert hasattr(trioreply, name)
        assert name in trioreply.__all__


@pytest.mark.parametrize("name", PROMISED_ABC)
def test_interface_is_in_abc(name: str) -> None:
    """What users may implement is importable from `trioreply.abc`."""
    if exists(name):
        assert hasattr(importlib.import_module("trioreply.abc"), name)


@pytest.mark.parametrize("module", ["trioreply", "trioreply.abc", "trioreply.errors", "trioreply.events"])
def test_public_module_lists_its_names(module: str) -> None:
    """A public module lists what it exports, in order, once, and all of it is there."""
    names = list(importlib.import_module(module).__all__)
    assert names == sorted(set(names))
    assert all(hasattr(importlib.import_module(module), name) for name in names)


def test_every_error_is_public() -> None:
    """Every exception and group of them is in `trioreply.errors`, and at the top too unless Python has its name."""
    groups = {"ReplyError", "TransportError", "ProxyError", "ContentError", "ProtocolError", "ServerError"}
    classes = {code.exception.__name__ for code in error_values.NetworkError if code.exception is not None}
    assert groups | classes <= set(importlib.import_module("trioreply.errors").__all__)
    assert {name for name in groups | classes if not hasattr(builtins, name)} <= set(trioreply.__all__)


def test_no_builtin_is_shadowed() -> None:
    """``from trioreply import *`` leaves Python's own names alone."""
    assert not [name for name in trioreply.__all__ if hasattr(builtins, name)]


def test_every_event_and_message_is_public() -> None:
    """What a reader may receive and what a scheme may send can be named without an underscore."""
    classes = {*get_args(event_values.Event), *get_args(message_values.Message)}
    assert classes <= {value for _, value in public_names() if isinstance(value, type)}


def test_public_things_call_themselves_public() -> None:
    """A traceback, a ``repr`` and the documentation name a public class or function by the place to import it from."""
    own = [(place, value) for place, value in public_names() if inspect.isclass(value) or inspect.isfunction(value)]
    hidden = [place for place, value in own if "._" in str(value.__module__)]
    assert not hidden
    wrong = [place for place, value in own if not hasattr(sys.modules[value.__module__], value.__name__)]
    assert not wrong


def test_no_public_name_is_private() -> None:
    """Public modules list no underscored name, dunders apart."""
    names = [place.rpartition(".")[2] for place, _ in public_names()]
    assert not [name for name in names if name.startswith("_") and not name.endswith("__")]


def test_import_is_lean() -> None:
    """Importing trioreply imports nothing that only some applications need."""
    heavy = "rich cryptography publicsuffixlist h2 httptools asyncio trioreply.testing trioreply._cli"
    script = f"import sys, trioreply; print(*(name for name in {heavy.split()!r} if name in sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []

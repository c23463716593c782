"""What is imported when: nothing with the package, little for a plain exchange, the rest for those who use it."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pickle
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import trioreply
from trioreply import _facade

# fmt: off
LATE = [
    "trioreply.abc", "trioreply.errors", "trioreply.events", "trioreply.testing", "trioreply._cli",
    "trioreply._jobs.download", "trioreply._jobs.download_job", "trioreply._jobs.event_stream",
    "trioreply._jobs.fetch_all", "trioreply._model.content", "trioreply._model.cookies", "trioreply._model.forms",
    "trioreply._model.hsts", "trioreply._model.known_headers", "trioreply._model.request_factory",
    "trioreply._model.sse", "trioreply._model.ssl_configuration", "trioreply._model.tls", "trioreply._model.x509",
    "trioreply._net.tls", "trioreply._net.tls_context", "trioreply._net.tls_files", "trioreply._net.verification",
    "trioreply._policies.auth_decide", "trioreply._policies.cookie_store", "trioreply._policies.cookiejar",
    "trioreply._policies.hsts", "trioreply._policies.hsts_store", "trioreply._policies.proxy_environment",
    "trioreply._policies.retry_decide", "trioreply._reply.records", "trioreply._schemes.data",
    "trioreply._schemes.file", "trioreply._schemes.reply_writer", "trioreply._schemes.resource",
    "trioreply._schemes.secure", "trioreply._wire.digest", "trioreply._wire.socks",
    "asyncio", "cryptography", "datetime", "h2", "importlib.resources", "json", "netrc", "publicsuffixlist", "rich",
    "sqlite3", "tempfile",
]
# fmt: on
"""What a plain exchange has no use for."""

NEW = "import sys; print(*sorted(name for name in sys.modules if name not in before))"

FETCH = """
import sys, trio
from functools import partial
before = set(sys.modules)
import trioreply

async def answer(stream):
    async with stream:
        while await stream.receive_some():
            await stream.send_all(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nhi")

async def main():
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, host="127.0.0.1"), answer, 0)
        port = listener.socket.getsockname()[1]
        async with trioreply.open_manager(trust_env=False) as manager:
            response = await manager.fetch(f"http://127.0.0.1:{port}/")
            assert response.text() == "hi"
            async with manager.get(f"http://127.0.0.1:{port}/") as reply:
                assert await reply.read_all() == b"hi"
        nursery.cancel_scope.cancel()

trio.run(main)
"""


def in_new_process(script: str) -> str:
    """What ``script`` prints in an interpreter that has imported nothing of ours."""
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def declared() -> dict[str, str]:
    """The module that type checkers see each public name come from."""
    tree = ast.parse(inspect.getsource(trioreply))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: f".{node.module or alias.name}" for node in imports for alias in node.names}


def test_the_package_alone_is_nothing() -> None:
    """``import trioreply`` imports the package, its table of names, and no library."""
    new = in_new_process(f"import sys; before = set(sys.modules); import trioreply; {NEW}").split()
    assert [name for name in new if name.startswith("trioreply")] == [
        "trioreply",
        "trioreply._facade",
        "trioreply._version",
    ]
    assert not {"trio", "attrs", "yarl", "ssl", "asyncio"} & set(new)


def test_plain_exchange_is_lean() -> None:
    """A request and its response over plain HTTP import nothing that only other exchanges need."""
    new = set(in_new_process(FETCH + NEW).split())
    assert "trioreply._essentials" in new
    assert not [name for name in LATE if name in new]


def test_essentials_are_all_a_plain_exchange_needs() -> None:
    """After ``from trioreply import open_manager`` a plain exchange imports nothing more but its parser's, by then."""
    script = FETCH.replace("before = set(sys.modules)\nimport trioreply\n", "import trioreply\n")
    script = script.replace("trio.run(main)", "trioreply.open_manager; before = set(sys.modules); trio.run(main)")
    new = [name for name in in_new_process(script + NEW).split() if name.startswith("trioreply")]
    assert all(name.startswith("trioreply._wire.h1") for name in new)


def test_type_checkers_see_what_there_is() -> None:
    """Every public name is declared for type checkers, and is found at run time in the very place that they see."""
    homes = declared()
    assert {*homes, "__version__"} == {*trioreply.__all__, "abc", "errors", "events"}
    for name, home in homes.items():
        module = importlib.import_module(home, "trioreply")
        assert getattr(trioreply, name) is (module if home == f".{name}" else getattr(module, name))


def test_everything_is_listed_before_it_is_there() -> None:
    """``dir(trioreply)`` lists all public names, also those that nobody has used yet."""
    listed = json.loads(in_new_process("import json, trioreply; print(json.dumps(dir(trioreply)))"))
    assert {*trioreply.__all__, "abc", "errors", "events", "__doc__"} <= set(listed)
    assert listed == sorted(listed)


def test_star() -> None:
    """``from trioreply import *`` gives everything that is listed, as what it is."""
    namespace: dict[str, object] = {}
    exec("from trioreply import *", namespace)
    assert {name for name in namespace if name != "__builtins__"} == set(trioreply.__all__)
    assert all(namespace[name] is getattr(trioreply, name) for name in trioreply.__all__)


def test_unknown_name() -> None:
    """A name that does not exist is an AttributeError in Python's words; importing it is an ImportError."""
    with pytest.raises(AttributeError, match=r"^module 'trioreply' has no attribute 'Reqest'$") as caught:
        getattr(trioreply, "Reqest")  # noqa: B009 - type checkers would not let it pass
    assert (caught.value.name, caught.value.obj) == ("Reqest", trioreply)
    with pytest.raises(ImportError, match="cannot import name 'Reqest'"):
        exec("from trioreply import Reqest")
    assert not hasattr(trioreply, "_essential")


def test_unknown_name_imports_nothing() -> None:
    """Who only looks whether there is a name, such as a debugger, has nothing imported for that."""
    new = in_new_process(f"import sys; before = set(sys.modules); import trioreply; hasattr(trioreply, 'x'); {NEW}")
    assert "trioreply._essentials" not in new.split()


def test_failed_import_leaves_nothing() -> None:
    """If the module of a name cannot be imported, that error is told each time, and nothing is kept."""
    namespace: dict[str, object] = {}
    find = _facade.finder(namespace, ("Thing",), {"Thing": "._nowhere"})
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match=r"trioreply\._nowhere"):
            find("Thing")
    assert namespace == {}


def test_failed_import_is_the_exchange_s() -> None:
    """What cannot be imported in the middle of an exchange is that reply's error, and is tried again by the next."""
    script = """
import sys, trio, trioreply

async def main():
    async with trioreply.open_manager(trust_env=False) as manager:
        sys.modules["trioreply._schemes.data"] = None
        try:
            await manager.fetch("data:,x")
        except trioreply.ReplyError as error:
            print(error.code.name, type(error.__cause__).__name__)
        del sys.modules["trioreply._schemes.data"]
        print((await manager.fetch("data:,x")).text())

trio.run(main)
"""
    assert in_new_process(script).splitlines() == ["UNKNOWN_NETWORK ModuleNotFoundError", "x"]


def test_found_once() -> None:
    """A name that was found is the package's from then on, and is not looked for again."""
    namespace: dict[str, object] = {}
    find = _facade.finder(namespace, ("Request", "Cookie"), {"Cookie": "._model.cookies", "errors": ".errors"})
    assert [find("Request"), find("Cookie")] == [trioreply.Request, trioreply.Cookie]
    assert find("errors") is trioreply.errors
    assert list(namespace) == ["Request", "Cookie", "errors"]


def test_threads() -> None:
    """Threads that use names for the first time at the same time all get the same objects."""
    script = """
import threading, trioreply
names = ["Manager", "CookieJar", "SslConfiguration", "errors"]
start, found = threading.Barrier(8), []

def use():
    start.wait()
    found.append(tuple(id(getattr(trioreply, name)) for name in names))

threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(found), len(set(found)))
"""
    assert in_new_process(script).split() == ["8", "1"]


def test_names_are_public_however_they_come() -> None:
    """A class says that it comes from the package, also if others have imported the module that it stands in."""
    script = """
import importlib, sys, trioreply
wrong = []
for name, home in trioreply._HOMES.items():
    if home != f".{name}":
        made = getattr(importlib.import_module(home, "trioreply"), name)
        if isinstance(made, type) and made.__module__ != "trioreply":
            wrong.append(name)
print("trioreply._essentials" in sys.modules, wrong)
from trioreply._model.errors import TimeoutError, ConnectionRefusedError
trioreply.NetworkError
print(TimeoutError.__module__, ConnectionRefusedError.__module__, trioreply.ReplyError.__module__)
"""
    assert in_new_process(script).splitlines() == ["False []", "trioreply.errors trioreply.errors trioreply"]


@pytest.mark.parametrize("module", ["abc", "errors", "events"])
def test_public_module_alone(module: str) -> None:
    """What a public module exports is public, also if that module is the first of ours that is imported."""
    script = f"""
import trioreply.{module} as module
values = [getattr(module, name) for name in module.__all__]
print({{value.__module__ for value in values if isinstance(value, type)}})
"""
    places = ast.literal_eval(in_new_process(script))
    assert places <= {"trioreply", f"trioreply.{module}"}


def test_pickles_find_their_class() -> None:
    """A pickle is read by a process that has not imported anything of ours."""
    values = [trioreply.Limits(), trioreply.SslConfiguration(), trioreply.Operation.GET, trioreply.CookieJar]
    data = pickle.dumps(values)
    assert b"trioreply._" not in data
    text = in_new_process(f"import pickle; print(pickle.loads({data!r}))")
    assert text == f"{values}\n"


def test_help() -> None:
    """``help(trioreply)`` tells about everything that is public."""
    text = pydoc.plain(pydoc.render_doc(trioreply))
    missing = {name for name in trioreply.__all__ if name not in text}
    assert missing <= {"__version__"}  # it is shown as VERSION
    assert "class Manager(" in text


def test_essentials_are_disjoint() -> None:
    """The essentials list no name twice, and none that has a home of its own."""
    essentials = importlib.import_module("trioreply._essentials")
    listed = ast.parse(Path(essentials.__file__ or "").read_text("utf-8"))
    names = [alias.name for node in listed.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert len(names) == len(set(names))
    assert set(essentials.__all__) == set(trioreply.__all__) - {*trioreply._HOMES, "__version__"}

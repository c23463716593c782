"""What all tests share: how hypothesis looks for counter-examples, and a guard against testing the wrong files."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import trioreply

# The same examples in every run: a test that fails sometimes is a test that nobody believes. The search for new ones
# is the `fuzz` profile's, which `nox -s fuzz` chooses.
settings.register_profile("default", derandomize=True, deadline=None, max_examples=100, database=None)
settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "5000")),
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# Whoever runs the tests may need a proxy for the world outside; what is tested is all on this machine.
for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
    os.environ.pop(name, None)
    os.environ.pop(name.upper(), None)

# Whom this machine trusts is nothing to the tests, and costs 15 ms wherever somebody wants to know: here it is nobody.
os.environ["SSL_CERT_FILE"] = os.devnull

if os.environ.get("TRIOREPLY_TEST_INSTALLED"):
    # The noxfile's sessions test the wheel that they installed; the source tree beside it must not stand in for it.
    location = Path(trioreply.__file__).resolve()
    if not location.is_relative_to(Path(sys.prefix).resolve()):
        raise RuntimeError(f"the installed package should be tested, but {location} was imported")


MOST_WORKERS = 8
"""More of them would mostly collect."""


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Share the whole suite out among all cores, if pytest-xdist is there and nobody said ``-n``.

    Not a few tests, for starting workers would take longer; nor with ``-s`` or ``--pdb``: workers have no terminal.
    Each worker begins with a range of its own, so that servers which are started once for many tests are seldom started
    twice, and who is done first takes over from the others.
    """
    if config.getoption("numprocesses", 0) is not None or hasattr(config, "workerinput"):
        return
    is_usual = config.getoption("markexpr") == "not soak"  # what hammers and measures wants the machine for itself
    is_whole = is_usual and config.args == config.getini("testpaths") and not config.getoption("keyword")
    needs_terminal = config.getoption("capture") == "no" or config.getoption("usepdb")
    if is_whole and not needs_terminal and not config.getoption("collectonly"):
        config.option.numprocesses = min(os.cpu_count() or 1, MOST_WORKERS)
        config.option.dist = "worksteal"


def pytest_collection_finish() -> None:
    """Let the garbage collector forget what stays until the end: the modules, and thousands of tests.

    Several tests collect garbage on purpose, and each collection would look through all of that: a second's work.
    """
    gc.collect()
    gc.freeze()

"""The front door: ``nox -s NAME`` runs one kind of check, as the automation does.

The tests run against the built wheel in an environment of its own, never against the source tree: what is tested is
what people install. The wheel is built once in a run, by the session `build`, which the others require.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.10.14"
nox.options.sessions = ["tests", "lint", "types", "docs"]
nox.options.error_on_missing_interpreters = True
nox.options.default_venv_backend = "venv"

ROOT = Path(__file__).parent
REQUIRED = ["3.11", "3.12", "3.13"]
# Newer ones are tested where they are installed.
PYTHONS = [*REQUIRED, *(version for version in ("3.14", "3.15") if shutil.which(f"python{version}"))]
# Where one Python is enough.
USUAL = "3.13"

EXTRAS = nox.project.load_toml(ROOT / "pyproject.toml")["project"]["optional-dependencies"]
INSTALLED_EXTRAS = {"core": "test", "all": "all,test", "minimum": "all,test"}
MINIMUM = ROOT / "tests" / "constraints" / "minimum.txt"


@nox.session(python=USUAL, default=False)
def build(session: nox.Session) -> None:
    """Build the wheel that the other sessions install, into ``dist/``."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", "dist", ".")


def install_wheel(session: nox.Session, kind: str, *others: str) -> None:
    """Install the built wheel and the test tools, and see to it that the source tree is not imported instead."""
    (wheel,) = (ROOT / "dist").glob("*.whl")
    constraints = ("-c", str(MINIMUM)) if kind == "minimum" else ()
    session.install(f"trioreply[{INSTALLED_EXTRAS[kind]}] @ {wheel.as_uri()}", *others, *constraints)
    # Safe path: neither `python -m` nor the processes that the tests start look for modules in the current directory.
    session.env.update(PYTHONSAFEPATH="1", TRIOREPLY_TEST_INSTALLED="1")


def installed_pytest(session: nox.Session) -> str:
    """The path of pytest's script: running it, unlike ``python -m pytest``, adds no directory of ours to the path."""
    return str(Path(session.bin) / "pytest")


@nox.session(python=PYTHONS, requires=["build"])
@nox.parametrize("kind", ["core", "all", "minimum"], ids=["core", "all", "minimum"])
def tests(session: nox.Session, kind: str) -> None:
    """The tests, with: no extras, all extras, or all extras and the oldest release of everything.

    So every journey and every sweep runs over both parsers: over h11 where there are no extras, else over httptools.
    """
    install_wheel(session, kind)
    session.run("pytest", *session.posargs)


@nox.session(python=USUAL, requires=["build"], default=False)
def coverage(session: nox.Session) -> None:
    """The tests with all extras, and every branch must have been taken."""
    install_wheel(session, "all")
    session.env["COVERAGE_FILE"] = str(ROOT / ".coverage")
    session.run("coverage", "erase")
    session.run("coverage", "run", installed_pytest(session), *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session(python=USUAL, requires=["build"], default=False)
def soak(session: nox.Session) -> None:
    """The tests that take long: hammers, storms, bombs."""
    install_wheel(session, "all")
    session.run("pytest", "-m", "soak", *session.posargs)


@nox.session(python=USUAL, requires=["build"], default=False)
def fuzz(session: nox.Session) -> None:
    """Look for new counter-examples; ``FUZZ_EXAMPLES`` says how many to try for each property (default 5,000)."""
    install_wheel(session, "all")
    session.env["HYPOTHESIS_PROFILE"] = "fuzz"
    session.run("pytest", *(session.posargs or ["tests/fuzz"]))


# More clients to measure beside ours. They are compiled, and what has no wheel for this system is left out.
COMPILED_PEERS = ["pycurl>=7.45", "pyreqwest>=0.15", "PySide6-Essentials>=6.10"]


@nox.session(python=USUAL, requires=["build"], default=False)
def bench(session: nox.Session) -> None:
    """Measure beside the peers; ``-- --check`` compares with the baseline, ``-- --smoke`` only sees that it runs."""
    install_wheel(session, "all", *EXTRAS["bench"])
    if "--smoke" not in session.posargs:
        session.install("httpx>=0.28")
        for peer in COMPILED_PEERS:
            session.install("--only-binary=:all:", peer, success_codes=[0, 1])
    session.run("python", "tests/benchmarks/run.py", *session.posargs)


@nox.session(python=USUAL)
def lint(session: nox.Session) -> None:
    """Faults that can be seen without running anything, and the formatting."""
    session.install(*EXTRAS["lint"])
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    # It takes its time over each file, so it sees each only once.
    strict = [file for file in python_files("trioreply") if not file.startswith(BLOCKS)]
    others = [file for file in python_files("trioreply", "tests") if file not in strict]
    session.run("flake8-async", f"--enable={','.join(ASYNC_RULES + STRICT_ASYNC_RULES)}", *strict)
    session.run("flake8-async", f"--enable={','.join(ASYNC_RULES)}", *others)


# Trio's rules that ruff does not know; it has the others.
ASYNC_RULES = [
    "ASYNC101",  # no yield inside a nursery or a cancel scope
    "ASYNC103",  # a caught cancellation is raised again
    "ASYNC104",  # as 103, by another way out
    "ASYNC111",  # what a task uses is closed after its nursery
    "ASYNC112",  # a nursery with one task is a plain call
    "ASYNC113",  # what is started in __aenter__ has begun
    "ASYNC120",  # no checkpoint in an except that then forgets the exception
    "ASYNC121",  # no control flow out of a nursery
    "ASYNC122",  # a deadline is counted from the right moment
    "ASYNC123",  # an exception of a group keeps its context
    "ASYNC126",  # an exception group can be split
    "ASYNC128",  # what is started says when it has started
]

# Not for the tests: they also do what careless users do.
STRICT_ASYNC_RULES = [
    "ASYNC102",  # no unprotected await where something is cleaned up
    "ASYNC900",  # no async generator without a safe wrapper
]

# The files of our `async with` blocks. Leaving them waits on purpose, and they say themselves what a cancellation does
# then; for the checker, any await there is unprotected.
BLOCKS = (
    "trioreply/_opening.py",
    "trioreply/_reply/reply.py",
    "trioreply/_jobs/",
    "trioreply/_schemes/reply_writer.py",
    "trioreply/testing/",
)


def python_files(*folders: str) -> list[str]:
    """Every Python file below the folders."""
    return [str(file.relative_to(ROOT)) for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]


@nox.session(python=[PYTHONS[0], PYTHONS[-1]])
def types(session: nox.Session) -> None:
    """Strict type checking of the package, the tests, and the ways an application uses both."""
    session.install("-e", ".[all,test]", *EXTRAS["types"])
    session.run("mypy", "--python-version", str(session.python), *session.posargs)


@nox.session(python=USUAL)
def docs(session: nox.Session) -> None:
    """Build the documentation, the coming changelog included; a warning is an error, and nothing is fetched."""
    session.install("-e", ".[all]", *EXTRAS["docs"])
    output = os.fspath(ROOT / "docs" / "_build" / "html")
    session.run("sphinx-build", "-W", "-n", "--keep-going", "-b", "html", "docs", output, *session.posargs)

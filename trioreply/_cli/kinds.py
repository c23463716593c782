"""The kinds of values that options have: from a word on the command line to a value, or to why it cannot be one.

Each function is an argparse ``type=``. What it says becomes the end of a message that begins with the option.
"""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path


def seconds(text: str) -> float:
    """A number of seconds above 0.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def count(text: str) -> int:
    """An integer from 0 on.

    Raises:
        ArgumentTypeError: it is none.
    """
    # More digits than this are no count of anything that could happen.
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 on")
    return int(text)


def positive_count(text: str) -> int:
    """An integer from 1 on.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def readable_file(text: str) -> Path:
    """A file that is there, and that we may read.

    Raises:
        ArgumentTypeError: it is none.
    """
    path = Path(text)
    if path.is_dir() or not os.access(path, os.R_OK):
        raise argparse.ArgumentTypeError(f"{text!r} is not a file that can be read; check the name")
    return path


def writable_file(text: str) -> Path:
    """A file of our own, which need not be there yet: devices, pipes and directories cannot be replaced by one.

    Raises:
        ArgumentTypeError: it is something else, or its directory does not exist.
    """
    path = Path(text)
    if text == "-" or (path.exists() and not path.is_file()):
        raise argparse.ArgumentTypeError(f"{text!r} is no file; give the name of one")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is in a directory that does not exist; give the name of a file")
    return path


def directory(text: str) -> Path:
    """A directory that is there.

    Raises:
        ArgumentTypeError: it is something else, or nothing.
    """
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no directory; make it, or check the name")
    return path

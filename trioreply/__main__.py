"""``python -m trioreply``: the same as the command ``trioreply``."""

import sys

from ._cli.app import main

sys.exit(main())

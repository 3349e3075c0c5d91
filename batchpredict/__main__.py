"""`python -m batchpredict` is the `batchpredict` command."""

import sys

from batchpredict.cli import main

sys.exit(main())

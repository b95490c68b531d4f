"""`python -m medqa`: the entry of the command line."""

import sys

from medqa.commands import main

sys.exit(main())

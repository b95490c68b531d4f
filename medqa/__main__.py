import sys

from medqa.commands import main

sys.exit(main())

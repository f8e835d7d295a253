"""`python -E -P -m model.engine`: see command.py."""

import sys

from model.engine.command import main

sys.exit(main())

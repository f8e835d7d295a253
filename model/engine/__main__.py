"""`python -E -P -m model.engine`: see command.py."""

import logging
import os
import sys

from model.engine.command import main

status = main()
logging.shutdown()
sys.stdout.flush()
sys.stderr.flush()
# Not sys.exit: while the worker is inside torch (an import, a matrix product) the interpreter's own end would tear that
# thread down in C++ and abort the process; and freeing what torch holds takes seconds that a waiting client would feel.
os._exit(status)

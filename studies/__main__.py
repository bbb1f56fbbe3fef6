"""`python -m studies` is the command `thinbert`."""

import sys

from studies.command_line import main

if __name__ == "__main__":
    sys.exit(main())

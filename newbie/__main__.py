"""python -m newbie"""

import sys

from newbie.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

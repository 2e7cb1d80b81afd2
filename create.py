"""Draw pictures from prompts: python create.py --prompt FILE|TEXT|-, or nothing for the prompt loop."""

import sys

from newbie.cli.create import main

if __name__ == "__main__":
    sys.exit(main())

"""Draw one picture with the bundled model and say what ran: python test.py. Writes success_output.png beside itself."""

import sys
from pathlib import Path

# ---------------------------------------------------------------------------------------------------------------
# PROMPT: what test.py draws. Change it and run it again.
# ---------------------------------------------------------------------------------------------------------------
PROMPT = """\
<character_1>
<gender>1girl</gender>
<appearance>blue_hair, twintails, blue_eyes</appearance>
<clothing>white_serafuku</clothing>
<expression>smile</expression>
<position>left</position>
</character_1>

<character_2>
<gender>1girl</gender>
<appearance>yellow_hair, pigtails, green_eyes</appearance>
<clothing>red_dress</clothing>
<expression>open_mouth</expression>
<position>right</position>
</character_2>

<general_tags>
<count>2girls</count>
<background>blue_sky</background>
</general_tags>
"""
# ---------------------------------------------------------------------------------------------------------------

if __name__ == "__main__":
    from newbie.cli.test import draw

    sys.exit(draw(PROMPT, Path(__file__).resolve().parent))

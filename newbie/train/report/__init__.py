"""How well a model obeys: draw prompts, let the probe read the pictures, set the numbers beside those of drawings.

pictures = draw_pictures(pipeline, specs, request)       # or with folder=...: kept, and resumed
found = judge(pictures, specs, probe)                    # a Verdict on each
compare(Path("runs/plain"), Path("runs/cached"))         # two reports, attribute by attribute, paired
"""

from newbie.train.probe import judge
from newbie.train.report.asked import understand
from newbie.train.report.distance import frechet, variety
from newbie.train.report.pictures import draw_pictures
from newbie.train.report.result import Report, compare
from newbie.train.report.suites import Task

__all__ = ["Report", "Task", "compare", "draw_pictures", "frechet", "judge", "understand", "variety"]

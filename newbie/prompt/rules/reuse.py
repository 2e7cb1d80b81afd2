"""What can be wrong with character files, variables, wildcards and alternatives; found in newbie/prompt/reuse/."""

from __future__ import annotations

from newbie.prompt.diagnostics import Rule

_NOT_DRAWN = "The character would be missing from the picture, so nothing is drawn. "

NO_PLACE = Rule(
    "NB601",
    "error",
    "a character file is named where none can be read",
    _NOT_DRAWN + "A name says nothing without a folder: src is read in prompts that were read from a file themselves. "
    "Attributes hold no commas and no < or >, else the tag is text.",
    '<character_1 src="characters/blue, long.xml"/>',
    '<character_1 src="characters/blue_long.xml"/>',
)
OUTSIDE = Rule(
    "NB602",
    "error",
    "a character file lies outside the prompt's folder, or is no ordinary file",
    _NOT_DRAWN
    + "A prompt from somebody else must not read what it likes: names lead down from the prompt's own folder, "
    "links too, and name ordinary .xml or .txt files.",
    '<character_1 src="../../miku.xml"/>',
    '<character_1 src="characters/miku.xml"/>',
)
UNREADABLE = Rule(
    "NB603",
    "error",
    "a character file cannot be read",
    _NOT_DRAWN + "The file is missing, too large, not a text in UTF-8, or the system refuses it.",
    '<character_1 src="characters/mikku.xml"/>',
    '<character_1 src="characters/miku.xml"/>',
)
CIRCLE = Rule(
    "NB604",
    "error",
    "character files name each other in a circle, too deep or too often",
    _NOT_DRAWN + "A file may build on another one, up to eight deep and a hundred in one prompt; none on itself.",
    '<!-- in miku.xml -->\n<character_1 src="miku.xml"><clothing>red_dress</clothing></character_1>',
    '<!-- in miku_red.xml -->\n<character_1 src="miku.xml"><clothing>red_dress</clothing></character_1>',
)
NO_CHARACTER = Rule(
    "NB605",
    "error",
    "a character file holds something else than one character",
    "What stands beside the character would be dropped. A second character, <general_tags> or a caption belongs "
    "into the prompt itself, or into a style preset.",
    "<!-- in miku.xml -->\n<appearance>aqua_hair</appearance>\n<general_tags><count>1girl</count></general_tags>",
    "<!-- in miku.xml -->\n<appearance>aqua_hair</appearance>",
)
NO_VALUE = Rule(
    "NB606",
    "error",
    "a variable without a value",
    "The model would read the dollar sign and the braces. A value comes from --var, from an attribute beside src, or "
    "from a default where the variable is met first.",
    "<appearance>${hair}, smile</appearance>",
    "<appearance>${hair:blue_hair}, smile</appearance>",
)
NO_WORDS = Rule(
    "NB607",
    "error",
    "a wildcard without words",
    "The model would read the name of the list. Lists are .txt files in the folder that --wildcards names, or in the "
    "folder wildcards beside the prompt's file.",
    "<appearance>__hiar__, smile</appearance>",
    "<appearance>__hair__, smile</appearance>",
)
NO_END = Rule(
    "NB608",
    "error",
    "alternatives without end: too deep, too many or too long",
    "Alternatives are nested at most 16 deep, lists name lists at most 8 deep and never themselves, and one prompt has "
    "at most 1,000 choices and 256 KiB.",
    "{a|{b|{c|{d|{e|{f|{g|{h|{i|{j|{k|{l|{m|{n|{o|{p|{q|r}}}}}}}}}}}}}}}}}",
    "__letters__",
)
AS_IT_STANDS = Rule(
    "NB609",
    "info",
    "text that looks like an alternative, a variable or a wildcard, and is sent as it stands",
    "Braces and bars mean themselves unless you ask otherwise: --expand chooses one of them.",
    "1girl, {red|blue}_hair",
    "1girl, red_hair",
)
RULES = (NO_PLACE, OUTSIDE, UNREADABLE, CIRCLE, NO_CHARACTER, NO_VALUE, NO_WORDS, NO_END, AS_IT_STANDS)
CHECKS = ()

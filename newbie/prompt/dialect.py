"""What sort of prompt this is: pasted system prompt in front, JSON around it, XML, a tag list, or sentences."""

from __future__ import annotations

import re

from newbie.prompt.infotext import COMMANDS, CUT
from newbie.prompt.scene import SEPARATORS, Dialect

# The words with which every system prompt of this model ends.
_MARKER = re.compile(r"<Prompt\s+Start>", re.IGNORECASE)
_JSON = re.compile(r"""\{\s*+(?:"|['“][\w ]++['”]\s*+:)""")  # also what Python prints, or a telephone types
_SENTENCE_END = re.compile(r"[。！？]|[.!?](?:\s|$)")
_SPLIT = re.compile(rf"[,，、\n\r]+|{CUT}")

# Words that sentences need and Danbooru tags avoid.
_SENTENCE_WORDS = frozenset(
    re.findall(
        r"\w+",
        """a an the is are was were am be been being has have had does do did this that these those there it its he she
        they his her him them their i you my your we our us who whose which while with and as but because so please
        draw""",
    )
)
# Of other scripts; compiled when a text has some, for that takes a while.
_CJK = "[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f]"
_CJK_SENTENCE_SIGNS = "[的了着在是有把她他它們们]|一[个個位名只张幅]|です|ます|いる|ている|した|[をがはに]"
BULLETS = frozenset("-*•·–—")  # in front of the lines of a list; no part of a tag
_BLANK = r"[^\S\n]"  # also those that no keyboard has: the canonical text has plain ones in their place
BULLET = re.compile(
    rf"^{_BLANK}*((?:[{re.escape(''.join(sorted(BULLETS)))}]|\d{{1,2}}[.)])(?={_BLANK}+\S)|\d{{1,2}}、){_BLANK}*", re.M
)
_JOINED = re.compile(r"[^\W_]_\(?[^\W_]")
MAX_TAG_WORDS = 4
MAX_LONE_WORDS = 2
MAX_CJK_TAG = 8


def split_system_prompt(text: str, first_tag: int) -> int:
    """Offset behind a pasted system prompt, 0 without one. `first_tag` is where the first known tag begins.

    A system prompt ends with <Prompt Start>; pasted twice, the last one counts. Behind the first tag of the prompt the
    words are part of the prompt.
    """
    ends = [m.end() for m in _MARKER.finditer(text, 0, first_tag)]
    return ends[-1] if ends else 0


def marker_inside(text: str, start: int) -> tuple[int, int] | None:
    """Where a later <Prompt Start> stands."""
    match = _MARKER.search(text, start)
    return match.span() if match else None


def has_marker(text: str) -> bool:
    return _MARKER.search(text) is not None


def is_json(text: str) -> bool:
    """The JSON wrapper of a ComfyUI template: read as plain text, as the model does."""
    start = separators.end() if (separators := SEPARATORS.match(text)) else 0
    return _JSON.match(text, start) is not None and SEPARATORS.fullmatch(text, text.rfind("}") + 1) is not None


def plain_dialect(text: str) -> Dialect:
    """Of a prompt without tags of the language: mostly tags, or mostly sentences."""
    items = [part.strip() for part in _SPLIT.split(text) if part.strip()]
    if not items:
        return "empty"
    if is_booru_list(text):
        return "tags"
    if len(items) == 1:
        return "tags" if looks_like_tag(items[0], MAX_LONE_WORDS) else "text"
    tags = sum(map(looks_like_tag, items))
    return "tags" if 2 * tags > len(items) else "text"


def is_booru_list(text: str) -> bool:
    """Tags as Danbooru's own search has them: blanks between them, underscores inside (`1girl blue_hair smile`).

    At least three, of which one shows that underscores are inside; none that a sentence needs, and no weights, which
    begin where commas end.
    """
    words = text.split()
    if len(words) < 3 or _SPLIT.search(text.strip()):
        return False
    if not any(map(_JOINED.search, words)) or not all(map(looks_like_tag, words)):
        return False
    return not any(word.startswith("(") or word.lower() in _SENTENCE_WORDS or word in BULLETS for word in words)


def looks_like_tag(item: str, max_words: int = MAX_TAG_WORDS) -> bool:
    """Whether a comma-separated part is a tag (`blue hair`, `>_<`, 蓝发) rather than part of a sentence."""
    words = item.split()
    item = " ".join(words)
    if len(words) > max_words or ": " in item or " :" in item or not words or not COMMANDS.isdisjoint(words):
        return False
    if words[0] in BULLETS and len(words) > 1:
        return False
    if not item.isascii() and re.search(_CJK, item):
        return len(item) <= MAX_CJK_TAG and not _SENTENCE_END.search(item) and not re.search(_CJK_SENTENCE_SIGNS, item)
    if len(words) == 1:
        return True
    return not _SENTENCE_END.search(item) and _SENTENCE_WORDS.isdisjoint(w.lower() for w in words)

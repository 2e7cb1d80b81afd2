"""Tags that do not fit together. The reader finds these while it reads: scan, balance, unknown, build."""

from __future__ import annotations

from newbie.prompt.diagnostics import Rule

NEVER_CLOSED = Rule(
    "NB101",
    "warning",
    "an element is opened and never closed",
    "The model was trained on elements that end. Where this one ends is guessed here, and the words behind it may be "
    "taken for words of another element.",
    "<character_1>\n<appearance>blue_hair\n<clothing>white_dress</clothing>\n</character_1>",
    "<character_1>\n<appearance>blue_hair</appearance>\n<clothing>white_dress</clothing>\n</character_1>",
)
CLOSES_NOTHING = Rule(
    "NB102",
    "warning",
    "a closing tag has nothing to close",
    "Either its opening tag was forgotten, and the words in front of it belong to no element, or it is left over.",
    "<character_1>\n<appearance>blue_hair</appearance>\n</clothing>\n</character_1>",
    "<character_1>\n<appearance>blue_hair</appearance>\n</character_1>",
)
WRONG_CLOSING = Rule(
    "NB103",
    "warning",
    "an element is closed by the tag of another",
    "The model reads two names for one list of words, and binds the words to neither as firmly as to one.",
    "<character_1>\n<appearance>blue_hair</clothing>\n<action>waving</action>\n</character_1>",
    "<character_1>\n<appearance>blue_hair</appearance>\n<action>waving</action>\n</character_1>",
)
OVERLAP = Rule(
    "NB104",
    "warning",
    "two elements overlap instead of standing inside or beside each other",
    "Words between the two tags belong to both elements or to none; no training caption looks so.",
    "<character_1>\n<appearance>blue_hair <clothing>red_dress</appearance></clothing>\n</character_1>",
    "<character_1>\n<appearance>blue_hair</appearance>\n<clothing>red_dress</clothing>\n</character_1>",
)
UNKNOWN_ELEMENT = Rule(
    "NB105",
    "warning",
    "an element that the prompt language does not have",
    "The model never saw this name in training: it reads the letters and has to guess what they are for.",
    "<character_1>\n<apperance>blue_hair</apperance>\n</character_1>",
    "<character_1>\n<appearance>blue_hair</appearance>\n</character_1>",
)
MISSPELT_ELEMENT = Rule(
    "NB106",
    "warning",
    "a misspelt tag that is read as ordinary text",
    "Without its partner it is no element; the words behind it stay in the element before.",
    "<general_tags>\n<style>anime_style <backgroud> sunset</style>\n</general_tags>",
    "<general_tags>\n<style>anime_style</style>\n<background>sunset</background>\n</general_tags>",
)
ATTRIBUTES = Rule(
    "NB107",
    "info",
    "attributes reach the encoders as text and mean nothing to the scene",
    "The language has few attributes; others are letters between the name of an element and its words.",
    '<character_1 id="a">\n<appearance>blue_hair</appearance>\n</character_1>',
    "<character_1>\n<appearance>blue_hair</appearance>\n</character_1>",
)
COMMENT = Rule(
    "NB108",
    "info",
    "a comment reaches the encoders like any other text",
    "The text you type is the text that is sent, and the words of a comment draw too. `--canonical` leaves comments "
    "out; comments that speak to this program (`<!-- newbie: … -->`) are never sent.",
    "<!-- the blue one -->\n<caption>A girl waves.</caption>",
    "<caption>A girl waves.</caption>",
)
LOOSE_TEXT = Rule(
    "NB109",
    "info",
    "text outside all elements is read as a caption",
    "Inside a block such words belong to no element. Both draw, but nobody can say what they describe.",
    "<general_tags>\n<count>1girl</count>\n</general_tags>\nA girl waves.",
    "<general_tags>\n<count>1girl</count>\n</general_tags>\n<caption>A girl waves.</caption>",
)
MISPLACED = Rule(
    "NB110",
    "warning",
    "an element stands where the language does not expect it",
    "What stands in a character is bound to that character, what stands in <general_tags> to the whole picture.",
    "<general_tags>\n<clothing>red_hat</clothing>\n</general_tags>",
    "<character_1>\n<clothing>red_hat</clothing>\n</character_1>",
)
MARKER_INSIDE = Rule(
    "NB111",
    "warning",
    "<Prompt Start> stands inside the prompt instead of before it",
    "These words end a system prompt. In the middle they are text that the model was never shown there.",
    "<caption>A girl waves.</caption> <Prompt Start> at sunset",
    "<caption>A girl waves at sunset.</caption>",
)

JSON_WRAPPER = Rule(
    "NB114",
    "info",
    "JSON around a prompt, which is read as plain text",
    "Some templates wrap a prompt in JSON. The model then reads braces and quotation marks too, and nothing in it is "
    "an element: no region and no edit can name a character of it. The linter looks at its texts all the same.",
    '{"image": {"tags": "1girl, solo", "caption": "A girl waves."}}',
    "<general_tags>\n<count>1girl, solo</count>\n</general_tags>\n<caption>A girl waves.</caption>",
)

WRAPPING = Rule(
    "NB115",
    "info",
    "a code fence, an XML header or CDATA brackets around the prompt",
    "Chat programs and XML editors put them there. They are no part of the scene, but the model reads every sign.",
    "```xml\n<caption>A girl waves.</caption>\n```",
    "<caption>A girl waves.</caption>",
)

RULES = (
    NEVER_CLOSED,
    CLOSES_NOTHING,
    WRONG_CLOSING,
    OVERLAP,
    UNKNOWN_ELEMENT,
    MISSPELT_ELEMENT,
    ATTRIBUTES,
    COMMENT,
    LOOSE_TEXT,
    MISPLACED,
    MARKER_INSIDE,
    JSON_WRAPPER,
    WRAPPING,
)
CHECKS = ()

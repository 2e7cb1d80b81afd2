"""Prompts written as lists of lines, as chat programs and people type them: dashes, dots or numbers, and headings.

    Character 1:                     1. long hair
    - long hair, blue eyes           2. blue eyes
    - Outfit: white dress
    Background: classroom

A list without headings is a list of tags, or sentences; one with headings is a scene. Headings are the elements of the
language and the words that people use for them. The text itself stays as it was typed, signs in front of lines too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from newbie.prompt.dialect import BULLET, is_json, plain_dialect
from newbie.prompt.infotext import parts
from newbie.prompt.scan import scan
from newbie.prompt.scene import STRAY, Block, Character, Field, Scene, Value, cut
from newbie.prompt.schema import CAPTION, CHARACTER, GENERAL, LOOSE, PLACES, TAGS, lookup
from newbie.prompt.source import Span
from newbie.prompt.vocabulary import bundled
from newbie.prompt.whose import is_list, is_theirs, sentences

if TYPE_CHECKING:
    from newbie.prompt.read import Reading  # the reader asks for lists

_HEADING = re.compile(
    r"""(?P<mark>\#{1,6}[ \t]+|\*{2}|__|\[|【)? (?P<name>[^\W\d_][^\W_]*+(?:[ _\#]{1,2}[^\W_]++){0,3}) [ \t]*
    (?:[(（](?P<aside>[^()（）\n]{1,40})[)）] [ \t]*)?
    (?:(?P<colon>[:：])(?:\*{2}|__|\]|】)?(?=\s|$|(?<=：)) |
     (?P<close>\*{2}|__|\]|】)(?:[ \t]*[(（](?P<behind>[^()（）\n]{1,40})[)）])?(?:[ \t]*[:：])? |
     (?P<dash>[-–—])(?=[ \t]) | $)[ \t]*""",
    re.VERBOSE,
)
# What closes "**Girl A: Luna**" and ends "## Girl A - Luna:".
_CLOSED_BEHIND = re.compile(r"(?:[:：]?(?:\*{2}|__|\]|】))?[:：]?\Z")
_NUMERALS = "一二三四五六七八九"
_GIRL, _BOY = "girl|woman|女孩|少女|女生|女の子|女性|소녀", "boy|man|男孩|少年|男生|男の子|男性|소년"
_PERSON = re.compile(
    rf"(?:(?P<girl>{_GIRL})|(?P<boy>{_BOY})|character|char|person|subject|figure|角色|人物|キャラクター|キャラ|캐릭터|인물)"
    rf"[ _#]*(?P<number>\d{{1,2}}|(?<![a-z])[a-z]|[{_NUMERALS}])?",
    re.IGNORECASE,
)
_NAME = re.compile(r"[A-Z][\w.'’\-]*(?: [A-Z][\w.'’\-]*){0,2}")  # "Character 1: Hatsune Miku"
_MOST_NAMES = 32  # that sentences are searched for
NEGATIVE = "negative"  # the heading of what is not wanted: no part of the scene
# What people write above the elements of the language, beside their own names.
_MEANT = {
    GENERAL: "scene setting overall common shared global prompt positive positive_prompt 提示词 正面提示词 正向提示词 "
    "プロンプト 프롬프트 场景 画面 整体 全体 シーン 전체",
    "n": "名字 姓名 名前 이름",
    "gender": "sex 性别 性別 성별",
    "appearance": "hair eyes face body looks look features species 外貌 外观 头发 眼睛 外見 髪 髪型 瞳 외모 머리 눈",
    "clothing": "outfit attire wearing accessories dress clothes 服装 衣服 服饰 衣装 服 의상 옷",
    "expression": "emotion 表情 표정",
    "interaction": "互动 やり取り 상호작용",
    "body_type": "build body_shape 体型 身材 체형",
    "action": "pose actions 动作 姿势 ポーズ 動作 포즈 동작",
    "position": "placement 位置 위치",
    "count": "people 人数 인원",
    "artists": "画师 画家 绘师 絵師 화가",
    "style": "art_style medium 画风 风格 画風 スタイル 작풍 스타일",
    "background": "backdrop 背景 배경",
    "environment": "location place 环境 地点 場所 環境 장소",
    "perspective": "camera view angle composition framing shot 构图 视角 镜头 構図 アングル 구도",
    "lighting": "light 光线 光照 照明 조명",
    "atmosphere": "mood 氛围 雰囲気 분위기",
    "quality": "quality_tags 质量 品質 품질",
    "objects": "props items 物品 小物 소품",
    TAGS: "tags",
    CAPTION: "description summary 描述 説明 설명",
    NEGATIVE: "negative negative_prompt avoid exclude unwanted undesired_content uc 负面 负面提示词 ネガティブ "
    "ネガティブプロンプト 네거티브",
}
MEANT = {word: name for name, listed in _MEANT.items() for word in listed.split()}
_OF_PERSON = frozenset(("n", "gender", "appearance", "clothing", "expression", "action", "interaction", "position"))
_SIDES = frozenset(place for place in PLACES if re.search("left|right|center", place))
_NOTHING = Value("")
_PARTS_OF = {"hair": "hair", "eyes": "eyes", "头发": "头发", "眼睛": "眼睛"}  # "Hair: long, blue" names its word once


@dataclass
class _Section:
    """What stands under one heading of a person or of the picture: its place, and its elements."""

    number: int  # 0: the picture
    start: int
    inner: int
    stop: int
    fields: list[Field] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def add(self, name: str, value: Value) -> None:
        if value.text and not (name == LOOSE and STRAY.fullmatch(value.text)):
            self.fields.append(Field(name, value, value.span))
            self.stop = value.span.stop
            if name == "n":
                self.names.add(value.text)


class Outline(NamedTuple):
    """`scene` for a list with headings; `items`, one per line, for one without. `bullets` are the signs in front."""

    scene: Scene | None
    items: tuple[Value, ...]
    bullets: tuple[Span, ...]
    parts_of: Mapping[int, str] = {}  # "hair", "eyes" of the value that begins there; "1girl" of such a person
    negative: tuple[Value, ...] = ()  # what stands under a heading such as "Avoid:"

    @property
    def is_tags(self) -> bool:
        return plain_dialect("\n".join(item.text for item in self.items)) == "tags"


def list_of(reading: Reading) -> Outline | None:
    """The list that a prompt is; it is none with tags of the language, around it or in it, and JSON is none."""
    if reading.dialect == "xml":
        return None
    scanned = scan(reading.source)
    return None if scanned.tags or is_json(scanned.view) else outline(scanned.view, reading.body_start)


class _Line(NamedTuple):
    indent: int
    bulleted: bool
    heading: str  # the element or block that it names: "character", "appearance", GENERAL, "" for none
    number: int  # of a character; 0 where the heading has none
    aside: Value  # what stands in parentheses behind the name of a character
    of: str
    value: Value  # without sign and heading
    start: int
    apart: bool  # an empty line stands before it
    by_place: _Line | None = None  # of "Left:": the person that it is where there are several such

    @property
    def names_a_person(self) -> bool:
        """Whether it is the heading of a person with nothing but a name beside it."""
        beside = self.value.text
        is_name = self.heading == CHARACTER and _NAME.fullmatch(beside) and not _is_place(beside)
        return bool(is_name) and beside not in bundled()

    @property
    def place(self) -> int:
        """Where a person begins, or the value of an element."""
        return self.start if self.heading == CHARACTER else self.value.span.start


def outline(view: str, start: int = 0) -> Outline | None:
    """The list that a text without tags of the language is, or None. Lines of a web UI's settings are no list."""
    if "\n" not in view or parts(view[start:]).settings:
        return None
    lines = _people_by_place(list(_lines(view, start)))
    bullets = tuple(Span(*m.span(1)) for m in BULLET.finditer(view, start))
    headed = sum(line.heading != "" for line in lines)
    if not headed:
        whole = len(lines) > 1 and all(line.bulleted for line in lines)
        return Outline(None, tuple(line.value for line in lines), bullets) if whole else None
    if headed < 2 and len(bullets) < 2:
        return None
    scene, negative = _scene(lines)
    return Outline(scene, (), bullets, {line.place: line.of for line in lines if line.of}, negative)


def _people_by_place(lines: list[_Line]) -> list[_Line]:
    """Headings such as "Left:" and "Right:" are people where there are several of them."""
    several = sum(line.by_place is not None for line in lines) > 1
    return [line.by_place or line for line in lines] if several else lines


def _lines(view: str, start: int) -> Iterator[_Line]:
    at, apart = start, False
    for text in view[start:].split("\n"):
        if text.strip():
            yield _line(view, at, at + len(text), apart)
        apart = not text.strip()
        at += len(text) + 1


def _line(view: str, start: int, stop: int, apart: bool) -> _Line:
    bullet = BULLET.match(view, start, stop)
    begins = bullet.end() if bullet else start
    while view[begins].isspace():
        begins += 1
    indent = (bullet.start(1) if bullet else begins) - start
    plain = _Line(indent, bullet is not None, "", 0, _NOTHING, "", cut(view, begins, stop), begins, apart)
    match = _HEADING.match(view, begins, stop)
    mark = (match["mark"] or "") if match else ""
    if not match or not (match["colon"] or match["close"] or match["dash"] or mark.startswith("#")):
        return plain
    value = cut(view, match.end(), stop)
    if mark and not match["close"] and (closed := _CLOSED_BEHIND.search(value.text)):
        value = cut(view, value.span.start, value.span.start + closed.start())
    written = "_".join(match["name"].lower().replace("#", " ").split())
    person = _PERSON.fullmatch(match["name"])
    if person and (person["number"] or not match["dash"]):
        group = "aside" if match["aside"] else "behind"
        aside = cut(view, *match.span(group)) if match[group] else _NOTHING
        number, kind = _number(person["number"] or ""), "1girl" if person["girl"] else "1boy" if person["boy"] else ""
        return plain._replace(heading=CHARACTER, number=number, aside=aside, of=kind, value=value)
    known = lookup(match["name"])
    name = MEANT.get(written) or (known.name if known and known.element.kind in ("leaf", "general") else "")
    if not name and not plain.bulleted and not value.text and match["colon"]:
        name = GENERAL  # a heading of its own words, such as "Details:"
    if written in _SIDES and not plain.bulleted and (match["colon"] or match["close"]):
        person_there = plain._replace(heading=CHARACTER, aside=cut(view, *match.span("name")), value=value)
        plain = plain._replace(by_place=person_there)
    return plain._replace(heading=name, of=_PARTS_OF.get(written, ""), value=value) if name else plain


def _number(written: str) -> int:
    """Of "Character 2" and "Girl B" the 2."""
    if written.isdigit() or not written:
        return int(written or 0)
    return "abcdefghijklmnopqrstuvwxyz".find(written.lower()) + 1 or _NUMERALS.find(written) + 1


def _scene(lines: list[_Line]) -> tuple[Scene, tuple[Value, ...]]:
    """The scene, and what is not wanted."""
    people: list[_Section] = []
    general = _Section(0, 0, 0, 0)
    apart: dict[str, list[Value]] = {TAGS: [], CAPTION: [], NEGATIVE: []}  # what stands in no block

    def put(name: str, value: Value) -> None:
        if name in apart:
            apart[name] += value.items if name == TAGS else [value] if value.text else []
        else:
            (section if name in _OF_PERSON or name == LOOSE else general).add(name, value)

    names = (line.value.text for line in lines if line.value.text and (line.heading == "n" or line.names_a_person))
    everyone = set(islice(names, _MOST_NAMES))

    def tell(line: _Line, *, given: bool = False) -> None:
        """A line without an element. A person's sentences are theirs as far as they plainly speak of that person."""
        if section is general:
            put(LOOSE, line.value)
            return
        for i, each in enumerate(sentences(line.value)):
            alone = line.bulleted or (given and i == 0)
            theirs = is_list(each) or is_theirs(each.text, section.names, everyone - section.names, given=alone)
            put(LOOSE if theirs else CAPTION, each)

    section, leaf, above = general, "", lines[0]  # where lines go; the element that is open, and its heading
    first = False  # whether a person's heading stands right above, and nothing beside it
    for line in lines:
        was_first, first = first, line.heading == CHARACTER and not line.value.text
        if line.heading == CHARACTER:
            section, leaf = _person(line, people), ""
            if _is_place(line.aside.text):
                put("position", _lower(line.aside))
            else:
                put(LOOSE, line.aside)
            if line.names_a_person:
                put("n", line.value)
            elif _is_place(line.value.text):
                put("position", _lower(line.value))
            else:
                tell(line, given=True)
        elif line.heading == GENERAL:
            section, leaf = general, ""
            put(LOOSE, line.value)
        elif line.heading:
            if line.heading in _OF_PERSON:
                if section is general:
                    section = people[-1] if people and line.bulleted else _person(line, people)
            elif not line.bulleted:
                section = general
            put(line.heading, line.value)
            leaf, above = "" if line.value.text else line.heading, line
        elif leaf and not (line.bulleted and above.bulleted and line.indent <= above.indent):
            put(leaf, line.value)
        elif not line.bulleted and line.apart and not was_first and plain_dialect(line.value.text) == "text":
            put(CAPTION, line.value)
        else:
            leaf = ""
            tell(line, given=was_first)
    characters = tuple(
        Character(tuple(p.fields), Span(p.start, p.stop), Span(p.inner, p.stop), number=p.number) for p in people
    )
    scene = Scene(
        characters, Block(tuple(general.fields)), tuple(apart[TAGS]), tuple(apart[CAPTION]), dialect="outline"
    )
    return scene, tuple(apart[NEGATIVE])


def _is_place(text: str) -> bool:
    return "_".join(text.lower().split()) in PLACES


def _lower(value: Value) -> Value:
    """A place as the model knows it: headings have capitals."""
    return Value(value.text.lower(), value.span)


def _person(line: _Line, people: list[_Section]) -> _Section:
    """A new section; a person without a number gets the next one."""
    number = line.number or max((p.number for p in people), default=0) + 1
    people.append(_Section(number, line.start, line.value.span.start, max(line.value.span.stop, line.start + 1)))
    return people[-1]

"""Two dozen characters of our own, each with one fixed design, so that a name in `<n>` means something."""

from __future__ import annotations

from typing import Any, Final

# name: gender, hair colour, hair style, eye colour, outfit, colour of the outfit, what is worn
_DESIGNS: Final = """
akari      girl  orange  twintails   green   serafuku  red     hair_bow
mizuki     girl  blue    long_hair   aqua    kimono    blue    hair_flower
hotaru     girl  black   bob_cut     red     dress     black   -
sumire     girl  purple  braid       purple  sweater   purple  glasses
momoko     girl  pink    hair_buns   brown   dress     pink    -
wakaba     girl  green   short_hair  yellow  overalls  green   hair_flower
yukino     girl  white   long_hair   blue    blazer    white   -
natsumi    girl  brown   ponytail    brown   shirt     yellow  -
kohaku     girl  blonde  short_hair  yellow  hoodie    yellow  cat_ears
shiori     girl  black   long_hair   purple  serafuku  blue    glasses
tsubaki    girl  red     ponytail    red     kimono    red     hair_flower
ruri       girl  blue    twintails   blue    hoodie    black   headphones
hinata     girl  blonde  twintails   blue    dress     white   hair_bow
kaede      girl  red     bob_cut     green   sweater   green   -
mikan      girl  orange  braid       brown   overalls  blue    -
luna       girl  white   hair_buns   purple  dress     purple  cat_ears
ren        boy   black   spiky_hair  red     blazer    black   -
sora       boy   blue    short_hair  aqua    hoodie    blue    headphones
haruto     boy   brown   short_hair  green   shirt     white   -
taiga      boy   orange  spiky_hair  yellow  hoodie    red     cat_ears
yuki       boy   white   short_hair  aqua    sweater   white   glasses
midori     boy   green   spiky_hair  green   kimono    green   -
kaito      boy   purple  spiky_hair  blue    blazer    purple  -
leo        boy   blonde  short_hair  pink    overalls  red     -
"""


def _design(line: str) -> tuple[str, dict[str, Any]]:
    name, *values = line.split()
    fields = ("gender", "hair_color", "hair_style", "eye_color", "outfit", "outfit_color")
    worn = () if values[-1] == "-" else (values[-1],)
    return name, {**dict(zip(fields, values[:-1], strict=True)), "accessories": worn}


NAMED: Final[dict[str, dict[str, Any]]] = dict(_design(line) for line in _DESIGNS.strip().splitlines())

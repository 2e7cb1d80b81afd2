"""Tags that contradict each other.

hair length: short_hair | long_hair very_long_hair          tags on different sides of `|` exclude each other
    unless asymmetrical_hair                                with one of these in the prompt nothing is said
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

# What one person cannot be or do at once.
PERSON = """
hair length: bald | very_short_hair short_hair pixie_cut | medium_hair | long_hair very_long_hair absurdly_long_hair
    unless short_hair_with_long_locks asymmetrical_hair multiple_views
hair colour: black_hair | brown_hair light_brown_hair dark_brown_hair | red_hair dark_red_hair | orange_hair
    | blonde_hair platinum_blonde_hair dark_blonde_hair light_blonde_hair strawberry_blonde_hair
    | pink_hair light_pink_hair | purple_hair light_purple_hair dark_purple_hair
    | blue_hair light_blue_hair dark_blue_hair navy_hair aqua_hair | green_hair light_green_hair dark_green_hair
    | white_hair grey_hair silver_hair
    unless multicolored_hair two-tone_hair gradient_hair streaked_hair colored_inner_hair colored_tips split-color_hair
    rainbow_hair roots_(hair) highlights multiple_views
eye colour: black_eyes | brown_eyes light_brown_eyes hazel_eyes | red_eyes dark_red_eyes | orange_eyes amber_eyes
    | yellow_eyes | green_eyes light_green_eyes | blue_eyes light_blue_eyes dark_blue_eyes aqua_eyes
    | purple_eyes light_purple_eyes | pink_eyes | grey_eyes silver_eyes | white_eyes
    unless heterochromia multicolored_eyes two-tone_eyes gradient_eyes rainbow_eyes multiple_views
curls: straight_hair | wavy_hair curly_hair
hair worn: hair_up | hair_down
fringe: no_bangs | bangs blunt_bangs straight_bangs swept_bangs parted_bangs long_bangs
skin: pale_skin fair_skin white_skin | dark_skin dark-skinned_female dark-skinned_male tan
height: tall tall_female tall_male | short petite
mouth: open_mouth open_smile :d | closed_mouth closed_smile
    unless multiple_views
eyes: closed_eyes | wide-eyed open_eyes half-closed_eyes one_eye_closed wink eye_contact
    unless multiple_views
mood: smile light_smile gentle_smile happy_smile grin open_smile | frown scowl pout angry furious
    unless evil_smile forced_smile multiple_views
no expression: expressionless | smile grin laughing crying screaming shouting angry frown
    unless multiple_views
posture: standing standing_on_one_leg | sitting seiza wariza yokozuwari indian_style
    | lying on_back on_stomach on_side prone | squatting crouching
    unless multiple_views
lying: on_back | on_stomach prone | on_side
legs: legs_apart | legs_together crossed_legs
feet: barefoot no_shoes | shoes sneakers loafers mary_janes high_heels boots knee_boots ankle_boots sandals slippers
    unless shoes_removed single_shoe multiple_views
arms: arms_at_sides | arms_up outstretched_arms spread_arms | crossed_arms | arms_behind_back | arms_behind_head
hood: hood_up | hood_down
side: left left_side center_left | right right_side center_right | center
"""

# What one picture cannot be.
PICTURE = """
place: indoors | outdoors
time of day: day morning noon afternoon blue_sky | night midnight night_sky starry_sky
    unless multiple_views split_screen
season: spring_(season) | summer | autumn | winter
    unless multiple_views split_screen
weather: sunny clear_sky | rain heavy_rain storm thunderstorm overcast cloudy_sky
    unless sunshower
moon: full_moon | crescent_moon | half_moon | new_moon
background: white_background | black_background | grey_background | red_background | blue_background
    | green_background | yellow_background | orange_background | pink_background | purple_background
    | brown_background | transparent_background
    unless gradient_background two-tone_background multicolored_background striped_background multiple_views
detail: simple_background | detailed_background
angle: from_above bird's-eye_view | from_below worm's-eye_view
    unless multiple_views
side of view: from_behind | straight-on
    unless multiple_views
framing: close-up extreme_close-up portrait | upper_body | lower_body | cowboy_shot | full_body
    | wide_shot very_wide_shot
    unless multiple_views split_screen inset zoom_layer
colour: monochrome greyscale | colorful
    unless partially_colored spot_color
quality: masterpiece best_quality high_quality amazing_quality great_quality | worst_quality low_quality bad_quality
resolution: highres absurdres high_resolution max_high_resolution | lowres
text: no_text textless | text english_text japanese_text chinese_text korean_text speech_bubble
realism: photorealistic realistic | chibi flat_color cel_shading
number of girls: 1girl | 2girls | 3girls | 4girls | 5girls | 6+girls
more girls: 1girl | multiple_girls
number of boys: 1boy | 2boys | 3boys | 4boys | 5boys | 6+boys
more boys: 1boy | multiple_boys
alone: solo | duo trio group couple crowd 2girls 3girls 4girls 5girls 6+girls multiple_girls 2boys 3boys 4boys 5boys
    6+boys multiple_boys
nobody: no_humans | solo 1girl 2girls 3girls multiple_girls 1boy 2boys 3boys multiple_boys
"""


@dataclass(frozen=True)
class Conflict:
    """`sides`: on which side each tag stands."""

    name: str
    sides: dict[str, int]
    unless: frozenset[str]


@cache
def of_person() -> tuple[Conflict, ...]:
    return read_conflicts(PERSON)


@cache
def of_picture() -> tuple[Conflict, ...]:
    return read_conflicts(PICTURE)


def read_conflicts(text: str) -> tuple[Conflict, ...]:
    """The conflicts of a text in the form above."""
    paragraphs = text.strip().replace("\n    ", " ").splitlines()
    return tuple(_conflict(*paragraph.split(":", 1)) for paragraph in paragraphs)


def _conflict(name: str, written: str) -> Conflict:
    exclusive, _, unless = written.partition(" unless ")
    sides = {tag: side for side, tags in enumerate(exclusive.split("|")) for tag in tags.split()}
    return Conflict(name, sides, frozenset(unless.split()))

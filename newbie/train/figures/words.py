"""The vocabulary: every value a drawing can show, and the words people use for it.

Each table maps a value of `spec.py` to its spellings. The first English spelling is the canonical tag; underscores
are turned into spaces where a caption is written with spaces. The second table of each pair is Chinese.
"""

from __future__ import annotations

from typing import Final

Words = dict[str, tuple[str, ...]]

GENDERS: Final = ("girl", "boy")
GENDER_TAGS: Final[Words] = {"girl": ("1girl", "girl"), "boy": ("1boy", "boy")}
GENDER_ZH: Final[Words] = {"girl": ("女孩", "少女"), "boy": ("男孩", "少年")}

HAIR_COLORS: Final = (
    "red", "orange", "blonde", "green", "blue", "purple", "pink", "brown", "black", "white",
)  # fmt: skip
HAIR_COLOR_TAGS: Final[Words] = {color: (f"{color}_hair",) for color in HAIR_COLORS} | {
    "blonde": ("blonde_hair", "yellow_hair", "golden_hair", "blond_hair"),
    "white": ("white_hair", "silver_hair"),
}
HAIR_COLOR_ZH: Final[Words] = {
    "red": ("红发", "红色头发"),
    "orange": ("橙发", "橙色头发"),
    "blonde": ("金发", "黄发", "金色头发"),
    "green": ("绿发", "绿色头发"),
    "blue": ("蓝发", "蓝色头发"),
    "purple": ("紫发", "紫色头发"),
    "pink": ("粉发", "粉色头发"),
    "brown": ("棕发", "棕色头发"),
    "black": ("黑发", "黑色头发"),
    "white": ("白发", "银发", "白色头发"),
}

GIRL_STYLES: Final = ("short_hair", "bob_cut", "long_hair", "twintails", "ponytail", "braid", "hair_buns")
BOY_STYLES: Final = ("short_hair", "spiky_hair")
HAIR_STYLES: Final = (*GIRL_STYLES, "spiky_hair")
HAIR_STYLE_TAGS: Final[Words] = {
    "short_hair": ("short_hair",),
    "bob_cut": ("bob_cut", "bobcut"),
    "long_hair": ("long_hair",),
    "twintails": ("twintails", "twin_tails", "pigtails"),
    "ponytail": ("ponytail", "side_ponytail"),
    "braid": ("braid", "side_braid", "single_braid"),
    "hair_buns": ("hair_buns", "double_bun"),
    "spiky_hair": ("spiky_hair", "messy_hair"),
}
HAIR_STYLE_ZH: Final[Words] = {
    "short_hair": ("短发",),
    "bob_cut": ("波波头",),
    "long_hair": ("长发",),
    "twintails": ("双马尾",),
    "ponytail": ("马尾", "单马尾"),
    "braid": ("麻花辫", "辫子"),
    "hair_buns": ("丸子头", "双丸子头"),
    "spiky_hair": ("刺猬头",),
}

EYE_COLORS: Final = ("blue", "green", "red", "purple", "brown", "yellow", "pink", "aqua")
EYE_COLOR_TAGS: Final[Words] = {color: (f"{color}_eyes",) for color in EYE_COLORS} | {
    "yellow": ("yellow_eyes", "golden_eyes"),
    "aqua": ("aqua_eyes", "cyan_eyes"),
}
EYE_COLOR_ZH: Final[Words] = {
    "blue": ("蓝眼睛", "蓝眼"),
    "green": ("绿眼睛", "绿眼"),
    "red": ("红眼睛", "红眼"),
    "purple": ("紫眼睛", "紫眼"),
    "brown": ("棕眼睛", "棕眼"),
    "yellow": ("黄眼睛", "金眼"),
    "pink": ("粉眼睛", "粉眼"),
    "aqua": ("青眼睛", "青眼"),
}

GIRL_OUTFITS: Final = ("serafuku", "dress", "hoodie", "shirt", "kimono", "sweater", "blazer", "overalls")
BOY_OUTFITS: Final = ("hoodie", "shirt", "kimono", "sweater", "blazer", "overalls")
OUTFITS: Final = GIRL_OUTFITS
OUTFIT_TAGS: Final[Words] = {outfit: (outfit,) for outfit in OUTFITS} | {
    "serafuku": ("serafuku", "sailor_uniform"),
    "shirt": ("shirt", "collared_shirt"),
    "sweater": ("sweater", "turtleneck_sweater"),
    "blazer": ("blazer", "suit_jacket"),
}
OUTFIT_ZH: Final[Words] = {
    "serafuku": ("水手服",),
    "dress": ("连衣裙",),
    "hoodie": ("卫衣", "连帽衫"),
    "shirt": ("衬衫",),
    "kimono": ("和服",),
    "sweater": ("毛衣",),
    "blazer": ("西装外套",),
    "overalls": ("背带裤",),
}
OUTFIT_COLORS: Final = ("red", "yellow", "green", "blue", "purple", "pink", "black", "white")
OUTFIT_COLOR_ZH: Final[Words] = {
    "red": ("红色",), "yellow": ("黄色",), "green": ("绿色",), "blue": ("蓝色",), "purple": ("紫色",),
    "pink": ("粉色",), "black": ("黑色",), "white": ("白色",),
}  # fmt: skip

MOUTHS: Final = ("smile", "open_mouth", "serious", "sad")
MOUTH_TAGS: Final[Words] = {
    "smile": ("smile", "smiling"),
    "open_mouth": ("open_mouth", "laughing"),
    "serious": ("serious", "expressionless"),
    "sad": ("sad", "frown"),
}
MOUTH_ZH: Final[Words] = {
    "smile": ("微笑",),
    "open_mouth": ("张嘴", "大笑"),
    "serious": ("严肃",),
    "sad": ("难过", "悲伤"),
}

LIDS: Final = ("open", "closed_eyes", "wink")
LID_TAGS: Final[Words] = {"closed_eyes": ("closed_eyes",), "wink": ("wink", "one_eye_closed")}
LID_ZH: Final[Words] = {"closed_eyes": ("闭眼", "闭着眼睛"), "wink": ("眨眼",)}

BLUSH_TAGS: Final = ("blush", "blushing")
BLUSH_ZH: Final = ("脸红",)

ACCESSORIES: Final = ("hair_bow", "cat_ears", "glasses", "hair_flower", "headphones")
WORN: Final = ("glasses", "hair_bow", "hair_flower", "headphones")  # <clothing>; cat ears are <appearance>
ACCESSORY_TAGS: Final[Words] = {
    "hair_bow": ("hair_bow", "hair_ribbon"),
    "cat_ears": ("cat_ears", "animal_ears"),
    "glasses": ("glasses",),
    "hair_flower": ("hair_flower",),
    "headphones": ("headphones",),
}
ACCESSORY_ZH: Final[Words] = {
    "hair_bow": ("蝴蝶结",),
    "cat_ears": ("猫耳",),
    "glasses": ("眼镜",),
    "hair_flower": ("发花",),
    "headphones": ("耳机",),
}

ACTIONS: Final = ("standing", "waving", "peace_sign", "arms_up", "hands_on_hips", "sitting")
SEATED: Final = ("sitting",)  # seen in a full body only
ACTION_TAGS: Final[Words] = {
    "standing": ("standing",),
    "waving": ("waving", "wave"),
    "peace_sign": ("peace_sign", "v"),
    "arms_up": ("arms_up", "cheering"),
    "hands_on_hips": ("hands_on_hips",),
    "sitting": ("sitting",),
}
ACTION_ZH: Final[Words] = {
    "standing": ("站立",),
    "waving": ("挥手",),
    "peace_sign": ("比耶", "剪刀手"),
    "arms_up": ("举起双手",),
    "hands_on_hips": ("叉腰",),
    "sitting": ("坐着",),
}

PROPS: Final = ("book", "balloon", "bouquet", "teddy_bear", "ice_cream")  # held in one hand; "" is none
PROP_TAGS: Final[Words] = {
    "book": ("holding_book", "book"),
    "balloon": ("holding_balloon", "balloon"),
    "bouquet": ("holding_bouquet", "bouquet"),
    "teddy_bear": ("holding_teddy_bear", "teddy_bear"),
    "ice_cream": ("holding_ice_cream", "ice_cream"),
}
PROP_ZH: Final[Words] = {
    "book": ("拿着书",),
    "balloon": ("拿着气球",),
    "bouquet": ("拿着花束",),
    "teddy_bear": ("抱着玩具熊",),
    "ice_cream": ("拿着冰淇淋",),
}

POSITIONS: Final = ("left", "center_left", "center", "center_right", "right")
POSITION_TAGS: Final[Words] = {
    "left": ("left", "left_side"),
    "center_left": ("center_left",),
    "center": ("center", "middle"),
    "center_right": ("center_right",),
    "right": ("right", "right_side"),
}
POSITION_ZH: Final[Words] = {
    "left": ("左边", "左侧"),
    "center_left": ("中间偏左",),
    "center": ("中间", "中央"),
    "center_right": ("中间偏右",),
    "right": ("右边", "右侧"),
}

BACKGROUNDS: Final = (
    "white_background", "blue_sky", "sunset", "night", "cherry_blossoms", "beach", "forest", "snow",
    "classroom", "flower_field",
)  # fmt: skip
BACKGROUND_TAGS: Final[Words] = {
    "white_background": ("white_background", "simple_background"),
    "blue_sky": ("blue_sky", "sky", "clouds"),
    "sunset": ("sunset", "evening"),
    "night": ("night", "night_sky", "starry_sky"),
    "cherry_blossoms": ("cherry_blossoms", "petals"),
    "beach": ("beach", "ocean"),
    "forest": ("forest", "trees"),
    "snow": ("snow", "winter"),
    "classroom": ("classroom", "chalkboard"),
    "flower_field": ("flower_field", "meadow"),
}
BACKGROUND_ZH: Final[Words] = {
    "white_background": ("白色背景", "简单背景"),
    "blue_sky": ("蓝天", "天空"),
    "sunset": ("日落", "黄昏"),
    "night": ("夜晚", "星空"),
    "cherry_blossoms": ("樱花",),
    "beach": ("海滩", "海边"),
    "forest": ("森林",),
    "snow": ("雪", "下雪"),
    "classroom": ("教室",),
    "flower_field": ("花田", "花海"),
}

FRAMINGS: Final = ("upper_body", "full_body")
FRAMING_TAGS: Final[Words] = {"upper_body": ("upper_body",), "full_body": ("full_body",)}
FRAMING_ZH: Final[Words] = {"upper_body": ("上半身",), "full_body": ("全身",)}

LIGHTS: Final = ("daylight", "warm_light", "moonlight", "backlighting")
LIGHT_TAGS: Final[Words] = {
    "daylight": ("daylight", "soft_light"),
    "warm_light": ("warm_light", "golden_hour"),
    "moonlight": ("moonlight", "blue_light"),
    "backlighting": ("backlighting", "rim_light"),
}
LIGHT_ZH: Final[Words] = {
    "daylight": ("日光",),
    "warm_light": ("暖光",),
    "moonlight": ("月光",),
    "backlighting": ("逆光",),
}

STYLES: Final = ("anime_style", "watercolor", "flat_color", "pixel_art")
STYLE_TAGS: Final[Words] = {
    "anime_style": ("anime_style", "cel_shading"),
    "watercolor": ("watercolor", "watercolor_style"),
    "flat_color": ("flat_color", "no_lineart"),
    "pixel_art": ("pixel_art",),
}
STYLE_ZH: Final[Words] = {
    "anime_style": ("动漫风格",),
    "watercolor": ("水彩",),
    "flat_color": ("平涂",),
    "pixel_art": ("像素画",),
}

SHAPES: Final = ("square", "portrait", "landscape")

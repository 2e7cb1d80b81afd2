"""The words that safety.py looks for, as data. A crude list by need: it exists so that such pictures are not drawn.

Latin entries are written in lower case with single blanks; a blank matches any separator or none ("little girl" finds
little_girl, little-girl and littlegirl). A plural s is found too. Entries in other scripts match anywhere in the text.
"""

from __future__ import annotations

# Refused whatever else the prompt says.
ALONE = """
toddlercon | lolicon | loli con | shotacon | shota con | kodomocon | babycon | child porn
child pornography | child pornographic | kiddie porn | kid porn | kids porn | teen porn | cub porn
child sex | child erotica | child nude | child nudity | nude child | nude children | naked child
naked children | child molestation | child abuse material | pedophilia | paedophilia | pedophilic
paedophilic | pedo porn | jailbait | jail bait | underage sex | underage porn | underage nude | loli hentai
loli porn | loli sex | shota porn | shota sex | shota hentai | oppai loli
"""

ALONE_OTHER = """
ロリコン | ショタコン | ロリエロ | エロロリ | ロリ巨乳 | ペドフィリア | 児童ポルノ | 幼女エロ | 炼铜 | 恋童
恋童癖 | 儿童色情 | 兒童色情 | 童交 | 幼交 | 로리콘 | 쇼타콘 | 아동포르노
"""

# Words for minors. They are fine by themselves.
MINOR = """
loli | lo li | lolis | lolibaba | shota | child | children | kid | kiddo | kiddie | toddler | infant
newborn | preschooler | preteen | pre teen | tween | teen | teenager | teenage | teenaged | underage
underaged | under age | minors | a minor | juvenile | prepubescent | pre pubescent | pubescent | prepubertal
little girl | little boy | young girl | young boy | small girl | small boy | tiny girl | tiny boy
baby girl | baby boy | a baby | cute baby | human baby | babies | female child | male child | aged down
age regression | de aged | kindergarten | kindergartener | kindergartner | kindergarten uniform
nursery school | preschool | grade school | grade schooler | elementary school | elementary schooler
elementary schoolgirl | elementary student | primary school | primary schooler | middle school
middle schooler | middle schoolgirl | junior high | high schooler | high school student | high school girl
high school boy | high school kid | school girl | schoolgirl | school boy | schoolboy | schoolchild
school child | schoolchildren | school kid | randoseru | girl child | boy child | under 18 | under eighteen
below 18 | younger than 18 | not yet 18 | gradeschooler
"""

MINOR_OTHER = """
ショタ | 幼女 | 幼児 | 幼い | 女児 | 男児 | 児童 | 子供 | 子ども | こども | 小学生 | 小学校 | 中学生
中学校 | 高校生 | 女子高生 | 男子高生 | 園児 | 幼稚園 | 保育園 | 未成年 | 赤ちゃん | 赤ん坊 | 乳児
女子小学生 | 女子中学生 | ランドセル | 童女 | 儿童 | 兒童 | 小孩 | 孩子 | 孩童 | 幼童 | 幼儿 | 幼兒 | 女童
男童 | 小女孩 | 小男孩 | 小萝莉 | 萝莉 | 蘿莉 | 正太 | 婴儿 | 嬰兒 | 宝宝 | 初中生 | 高中生 | 国中生
國中生 | 小学女生 | 未满18 | 未满十八 | 不满18 | 未滿18 | 18歳未満 | 十八歳未満 | 쇼타 | 미성년 | 아동
어린이 | 초등학생 | 중학생 | 고등학생
"""

# ロリ inside longer katakana words is calories, Florida or lolita fashion; these are the forms that do mean it.
MINOR_FORMS = (
    r"(?<![ァ-ヶー])ロリ(?![ァ-ヶー])|ロリ(?:コン|っ子|っ娘|ショタ|キャラ|ボディ|ヌード|セックス|レイプ|エロ|ビッチ)"
    r"|(?:合法|リアル|ガチ|エロ)ロリ|(?<![가-힣])로리(?![가-힣])"
)

# Words that make a picture sexual. They are fine by themselves.
SEXUAL = """
nude | nudity | naked | nsfw | not safe for work | sex | sexual | sexually | sexualized | sexualised | sexy
erotic | erotica | eroticism | ero | ecchi | hentai | porn | porno | pornographic | pornography | xxx | r18
r 18 | rule34 | rule 34 | explicit | rating explicit | rating questionable | smut | lewd | lewdness | slutty
slut | whore | horny | aroused | arousal | lustful | in heat | nipple | areola | areolae | topless
bottomless | bare breast | exposed breast | breasts out | breast out | boobs out | bare boobs
naked breasts | tits | boobs | pussy | pussies | vagina | vaginal | vulva | labia | clitoris | clit | cunt
mons pubis | pubic hair | genital | genitals | genitalia | penis | penises | cock | big dick | huge dick
erect dick | dick pic | dicks | testicle | testicles | ballsack | scrotum | erection | erect penis | anus
anal | butthole | asshole | ass focus | spread ass | blowjob | blow job | fellatio | cunnilingus | oral sex
handjob | hand job | footjob | paizuri | titfuck | deepthroat | irrumatio | cum | cumshot | cum on | cumming
creampie | semen | ejaculation | ejaculating | orgasm | ahegao | bukkake | gangbang | gang bang | orgy
threesome | foursome | masturbation | masturbating | masturbate | fucking | fucked | fuck | intercourse
penetration | missionary position | doggystyle | doggy style | cowgirl position | reverse cowgirl
girl on top | rape | raped | rapist | raping | molest | molested | molesting | molestation | groping
groped | groper | incest | bdsm | bondage | shibari | sex slave | sex toy | dildo | vibrator | buttplug
butt plug | strap on | futanari | futa | upskirt | up skirt | pantyshot | panty shot | panties | panty
underwear only | lingerie | thong | g string | no panties | no bra | no underwear | panties down
panty pull | panties aside | clothes pull | undressing | stripping | striptease | stripper | spread legs
spreading legs | legs spread | cameltoe | camel toe | wet shirt | wardrobe malfunction | nip slip | nipslip
sideboob | underboob | micro bikini | seductive | seducing | seduction | sensual | provocative pose
suggestive pose | sexually suggestive | fetish | onlyfans | prostitute | prostitution | escort service
naked apron | nude cover | body writing | tentacle sex | impregnation | mating press | breeding
convenient censoring | uncensored | mosaic censoring | love juice | pussy juice | sex act | after sex
before sex | imminent sex | see through clothes | see through shirt | see through dress | skin tight nude
undressed | unclothed | without clothes | no clothes | no clothing | completely nude | stark naked
in the nude | nudes | nudist
"""

SEXUAL_OTHER = """
えっち | 全裸 | 半裸 | 裸体 | ヌード | セックス | 性交 | 性行為 | 性器 | 乳首 | 乳輪 | おっぱい丸出し
まんこ | マンコ | ちんこ | チンコ | ちんぽ | チンポ | ペニス | クンニ | 手コキ | 中出し | パイズリ
オナニー | 自慰 | アヘ顔 | レイプ | 強姦 | 輪姦 | 凌辱 | 陵辱 | 痴漢 | パンチラ | パンティ | 下着姿 | 射精
精液 | 巨根 | 調教 | 18禁 | 成人向け | 淫 | 孕ませ | 種付け | 援交 | 援助交際 | 裸露 | 赤裸 | 裸女 | 做爱
做愛 | 性爱 | 性愛 | 色情 | 情色 | 黄片 | 乳头 | 乳頭 | 阴道 | 陰道 | 阴部 | 阴茎 | 陰莖 | 鸡巴 | 雞巴
肉棒 | 小穴 | 口交 | 肛交 | 手淫 | 性高潮 | 内射 | 內射 | 颜射 | 强奸 | 强暴 | 強暴 | 轮奸 | 性感 | 内裤
內褲 | 胖次 | 露点 | 露點 | 走光 | 色图 | 涩图 | 瑟图 | 无码 | 無碼 | 调教 | 情趣内衣 | 情趣用品 | 情趣服
脱光 | 脫光 | 光着身子 | 一丝不挂 | 不穿衣服 | 没穿衣服 | 섹스 | 나체 | 누드 | 알몸 | 야한 | 성행위 | 유두
강간
"""
# 裸 (naked), エロ, エッチ and フェラ, but not in barefoot, clown, etching or Ferrari.
SEXUAL_FORMS = "|".join(
    [
        r"裸(?![足脚腳眼色子麦婚線线])",
        r"(?<![ァ-ヶー])エロ(?![ァ-ヶー])",
        r"エロ(?:ロリ|ショタ)",
        r"エッチ(?!ング)",
        r"(?<![ァ-ヶー])フェラ(?!ー)",
    ]
)

# Innocent phrases that contain a word from above. They are taken out before anything is looked for.
INNOCENT = """
no nudity | no nude | no nsfw | not nsfw | no sex | no sexual | no sexual content | non sexual | not sexual
nothing sexual | no porn | no explicit | not explicit | no explicit content | not sexy | no erotic
no erotica | not nude | not naked | no child | no children | no kids | no kid | no loli | no shota
no minors | no underage | not a child | not underage | no teen | no lolicon | no shotacon | kid icarus
kid uprising | eustass kid | eustass captain kid | captain kid | kaitou kid | kaito kid | billy the kid
sundance kid | kid goku | kid buu | kid cudi | kid flash | teen titans | teen wolf | teen gohan
juvenile feather | child s play | childs play | children s book | childrens book
children s book illustration | child s drawing | childs drawing | destiny s child | inner child
brain child | child bearing | baby doll | baby blue | baby pink | baby face | baby hair | baby bump
baby metal | baby spice | elementary school teacher | kindergarten teacher | preschool teacher
primary school teacher | middle school teacher | junior high teacher | high school teacher
teenage mutant ninja | a minor key | a minor scale | a minor chord | rape blossom | rape blossoms
rape flower | rape flowers | rape field | rape seed | moby dick | pussy cat | pussy willow | pussycat dolls
opposite sex | same sex | sex pistols | naked eye | naked sword | naked tree | naked trees | naked branches
naked mole rat | naked singularity | nude color | nude colour | nude tone | nude lipstick | nude heels
nude pumps | nude makeup | cock a doodle | cum laude | anal retentive | explicit outline | explicit lines
explicit instructions | boobs armor | dog breeding | horse breeding | breeding ground | breeding season
cattle breeding | thong sandals | sex and the city
"""

INNOCENT_OTHER = """
女孩子 | 男孩子 | 女の子供服 | 正太阳 | 正太陽 | 赤裸裸的真相 | 女童话 | 女童話 | 女童真 | 女童年 | 男童话
男童装 | 女童装 | 裸露的岩 | 裸露岩 | 小学校教師 | 中学校教師 | 幼稚園教諭 | 小学老师 | 淫雨
"""

# "twelve years old"
NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
}  # fmt: skip
CJK_NUMBERS = {
    "一": 1, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "十": 10,
    "十一": 11, "十二": 12, "十三": 13, "十四": 14, "十五": 15, "十六": 16, "十七": 17,
}  # fmt: skip

# Letters that are drawn like Latin ones, and digits and signs that stand for letters.
LOOKALIKES = str.maketrans("аеорсухіѕԁɡοαιν", "aeopcyxisdgoaiv")
LEET = str.maketrans("013457@$!", "oieastasi")

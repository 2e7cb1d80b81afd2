"""Tags for eyes, face and mood."""

GROUPS = """
eye colour: appearance
    black_eyes, brown_eyes, light_brown_eyes, hazel_eyes, red_eyes, dark_red_eyes, orange_eyes, amber_eyes,
    yellow_eyes = golden_eyes = gold_eyes, green_eyes, light_green_eyes, blue_eyes, light_blue_eyes, dark_blue_eyes,
    aqua_eyes = cyan_eyes = teal_eyes = turquoise_eyes, purple_eyes = violet_eyes, light_purple_eyes, pink_eyes,
    grey_eyes = gray_eyes, silver_eyes, white_eyes

eyes: appearance
    heterochromia = odd_eyes = different_colored_eyes, multicolored_eyes, two-tone_eyes, gradient_eyes, rainbow_eyes,
    glowing_eyes, glowing_eye, sparkling_eyes, heart-shaped_pupils = heart_eyes = heart_pupils,
    star-shaped_pupils = star_eyes, slit_pupils = cat_eyes, cross-shaped_pupils, symbol-shaped_pupils,
    diamond-shaped_pupils, flower-shaped_pupils, horizontal_pupils, dilated_pupils, constricted_pupils, no_pupils,
    ringed_eyes, empty_eyes, blank_eyes, solid_eyes, black_sclera, colored_sclera, bright_pupils, white_pupils,
    mechanical_eye, third_eye, extra_eyes, one-eyed, cyclops, long_eyelashes, eyelashes, colored_eyelashes,
    white_eyelashes, thick_eyebrows, eyebrows, short_eyebrows, forked_eyebrows, thick_eyelashes,
    tsurime = slanted_eyes, tareme = droopy_eyes, sanpaku, jitome, bags_under_eyes, eyes_visible_through_hair,
    eyelids, big_eyes, round_eyes, narrow_eyes, dull_eyes, bright_eyes, lips, thick_lips, teeth, upper_teeth_only,
    tongue, long_tongue, nose, pointy_nose, forehead, cheeks, chin, round_face, ears, forehead_jewel

eyes now: expression
    closed_eyes = eyes_closed, half-closed_eyes = half_closed_eyes, one_eye_closed = one_closed_eye, wink = winking,
    wide-eyed = wide_eyes, open_eyes, squinting, narrowed_eyes, rolling_eyes, cross-eyed, crazy_eyes, unfocused_eyes,
    covered_eyes, eye_contact, @_@ = spiral_eyes, looking_at_viewer = looking_at_camera, looking_at_another,
    looking_away, looking_back, looking_up, looking_down, looking_to_the_side = sideways_glance, looking_ahead,
    looking_afar, looking_over_shoulder, looking_over_eyewear, looking_at_object, looking_at_phone,
    looking_at_mirror, looking_outside, looking_at_each_other, averting_eyes, glancing, staring

mouth: expression
    smile = smiling, light_smile = slight_smile, gentle_smile, happy_smile, grin = grinning, evil_smile = evil_grin,
    smirk, smug = smug_face = doyagao, open_mouth = mouth_open, slightly_open_mouth, closed_mouth = mouth_closed,
    parted_lips, closed_smile, open_smile, frown = frowning, pout = pouting, clenched_teeth, gritted_teeth, grimace,
    wavy_mouth, triangle_mouth, chestnut_mouth, dot_mouth, split_mouth, small_mouth, wide_mouth, heart-shaped_mouth,
    biting_lip = lip_biting, licking_lips, tongue_out, puckered_lips, puffed_cheeks, toothy_smile, smile_with_teeth,
    nervous_smile, forced_smile, sad_smile, crazy_smile, drooling, saliva, yawning = yawn, sneezing,
    laughing = laugh, giggling, shouting = yelling, screaming, talking, whispering, singing, whistling, :d = :D, :o,
    :3, :p = :P, :q, :<, :>, :|, :t, ;d = ;D, ;), ;p, ;q, >:), >:(, ;o, xd = xD, x3, ^_^ = ^^, >_<, >_>, <_<, o_o,
    0_0, +_+, -_-, =_=, t_t = T_T = tt, ._., +++, >:d, >o<, d:, <3, ;_;, ^o^, =3, x_x, uwu, owo, ><

mood: expression
    happy, joyful, cheerful, excited, content, calm, relaxed, peaceful_expression, serious, stern, determined,
    confident, proud, arrogant, angry = mad, annoyed, irritated, furious, rage, upset, disgust = disgusted, disdain,
    contempt, sad = sadness, depressed, lonely, melancholic, gloomy_(expression), crying, crying_with_eyes_open,
    tears, teary_eyes = tearing_up, streaming_tears, teardrop, tears_of_joy, happy_tears, sobbing, wiping_tears,
    surprised, shocked, amazed, astonished, confused, thinking = pensive, worried, nervous, anxious, scared = afraid,
    fear, terrified, panicking, panic, embarrassed, shy, bashful, flustered, blush = blushing, light_blush,
    full-face_blush, nose_blush, ear_blush, bored, tired, sleepy, exhausted, drunk, sick, pain, dizzy,
    flying_sweatdrops, sweatdrop = sweat_drop, anger_vein, nervous_sweating, jealous, envy, disappointed, trembling,
    shivering, expressionless = no_expression, emotionless, poker_face, blank_stare, gloom_(expression), shaded_face,
    mischievous, playful, teasing, curious, innocent, dreamy, daydreaming, lovestruck, yandere, tsundere, kuudere,
    dandere, evil, insane = crazy, bloodthirsty, glaring = glare, scowl, sulking, troubled, unamused, spoken_heart,
    spoken_exclamation_mark, spoken_question_mark, spoken_ellipsis, heart, heart-shaped_eyes, !, ?, !?, ?!, ..., zzz,
    raised_eyebrow, raised_eyebrows, furrowed_brow, v-shaped_eyebrows, upturned_eyebrows
"""

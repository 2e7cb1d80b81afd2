"""Tags for hair: colour, length, cut, what is done with it, what is in it."""

GROUPS = """
hair colour: appearance
    black_hair, brown_hair = brunette = brunet, light_brown_hair, dark_brown_hair,
    blonde_hair = blond_hair = blonde = blond = yellow_hair = golden_hair, platinum_blonde_hair, dark_blonde_hair,
    light_blonde_hair, strawberry_blonde_hair, red_hair = redhead = ginger_hair, dark_red_hair, orange_hair,
    pink_hair, light_pink_hair, purple_hair = violet_hair, light_purple_hair, dark_purple_hair, blue_hair,
    light_blue_hair, dark_blue_hair, navy_hair, aqua_hair = cyan_hair = teal_hair = turquoise_hair, green_hair,
    light_green_hair, dark_green_hair, white_hair, grey_hair = gray_hair, silver_hair

hair colours: appearance
    multicolored_hair = multi-colored_hair = multicoloured_hair, two-tone_hair = two_tone_hair,
    gradient_hair = ombre_hair, streaked_hair = hair_streaks, colored_inner_hair = inner_color, colored_tips,
    split-color_hair = split_color_hair, rainbow_hair, roots_(hair), highlights, glowing_hair, shiny_hair,
    crystal_hair, flaming_hair = fire_hair, tentacle_hair, water_hair, starry_hair

hair length: appearance
    bald, very_short_hair, short_hair, medium_hair = shoulder-length_hair, long_hair, very_long_hair,
    absurdly_long_hair, short_hair_with_long_locks, big_hair, buzz_cut, pixie_cut

hair style: appearance
    bob_cut = bob_hair = bobcut, inverted_bob, hime_cut, wolf_cut, undercut, mohawk, afro, dreadlocks, pompadour,
    bowl_cut, mullet, twintails = twin_tails = pigtails = twin_tail, low_twintails = low_pigtails, short_twintails,
    long_twintails, high_twintails, uneven_twintails, ponytail = pony_tail, high_ponytail, low_ponytail,
    side_ponytail, short_ponytail, long_ponytail, folded_ponytail, split_ponytail, two_side_up = two_side_ups,
    one_side_up, half_updo = half_up_half_down, half_up_braid, updo, hair_bun = single_hair_bun = bun,
    double_bun = twin_buns, hair_buns, side_bun, braided_bun, cone_hair_bun, donut_hair_bun, braid = braided_hair,
    single_braid, twin_braids = double_braids, side_braid, french_braid, crown_braid, low-tied_long_hair,
    low-braided_long_hair, multiple_braids, braided_ponytail, front_braid, hair_over_shoulder, tri_tails, quad_tails,
    drill_hair = drills, twin_drills = twindrills, side_drill, ringlets, topknot, beehive_hairdo, cornrows,
    hair_rings, hair_loops, single_hair_ring, single_hair_intake, hair_intakes, ahoge = cowlick, huge_ahoge,
    double_ahoge, antenna_hair, heart_ahoge, hair_flaps, hair_between_eyes, hair_over_one_eye, hair_over_eyes,
    hair_behind_ear, hair_down, hair_up, hair_pulled_back, hair_slicked_back = slicked_back_hair, hair_spread_out,
    hair_strand, asymmetrical_hair, lone_nape_hair, widow's_peak, receding_hairline, flipped_hair, feather_hair,
    bow-shaped_hair, heart_hair, hair_ears, cat_hair_ears, object_on_head

hair texture: appearance
    straight_hair, wavy_hair = waved_hair, curly_hair = curls, messy_hair = bed_head = bedhead,
    spiky_hair = spiked_hair, fluffy_hair, silky_hair, wet_hair, floating_hair, wind_blown_hair = hair_blowing,
    thick_hair, untied_hair, unkempt_hair, expressive_hair

fringe: appearance
    bangs = fringe, blunt_bangs, straight_bangs, swept_bangs = side-swept_bangs, parted_bangs, asymmetrical_bangs,
    crossed_bangs, choppy_bangs, curtained_hair = curtain_bangs, arched_bangs, diagonal_bangs, double-parted_bangs,
    braided_bangs, long_bangs, short_bangs, no_bangs, middle_part, side_part, sidelocks, long_sidelocks,
    drill_sidelocks, braided_sidelock, single_sidelock, sideburns, tucked_sidelocks

beard: appearance
    beard, long_beard, mustache = moustache, goatee, stubble, facial_hair, goatee_stubble, full_beard, thick_mustache

in the hair: clothing
    hair_ornament = hair_accessory, hair_ribbon = ribbon_in_hair, hair_bow = bow_in_hair,
    hair_flower = flower_in_hair, hairband = headband_(hair), hairclip = hair_clip = hairpin_(clip), hairpin,
    hair_tie, hair_scrunchie = scrunchie, hair_bobbles, hair_beads, hair_bell, hair_stick, hair_tubes,
    x_hair_ornament, heart_hair_ornament, star_hair_ornament, moon_hair_ornament, crescent_hair_ornament,
    leaf_hair_ornament, snowflake_hair_ornament, butterfly_hair_ornament, cat_hair_ornament, rabbit_hair_ornament,
    fish_hair_ornament, skull_hair_ornament, food-themed_hair_ornament, carrot_hair_ornament, feather_hair_ornament,
    bone_hair_ornament, musical_note_hair_ornament, lolita_hairband, frilled_hairband, bow_hairband,
    butterfly_on_head, leaf_on_head, flower_on_head, animal_on_head,
    [red blue black white pink green yellow purple]_hairband,
    [red blue black white pink green yellow purple]_hair_ribbon,
    [red blue black white pink green yellow purple]_hair_bow, [red blue white pink yellow purple]_hair_flower
"""

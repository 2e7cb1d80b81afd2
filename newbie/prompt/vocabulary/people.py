"""Tags for who is in the picture: how many, what they are, how they are built."""

GROUPS = """
count: count
    1girl = one_girl = single_girl = 1_girl, 2girls = two_girls = 2_girls, 3girls = three_girls, 4girls = four_girls,
    5girls = five_girls, 6+girls, multiple_girls, 1boy = one_boy = single_boy = 1_boy, 2boys = two_boys = 2_boys,
    3boys = three_boys, 4boys = four_boys, 5boys = five_boys, 6+boys, multiple_boys, 1other, 2others, 3others,
    multiple_others, solo, solo_focus, no_humans, duo, trio, group, everyone, crowd, couple, people, male_focus,
    female_focus, other_focus, multiple_persona, dual_persona, twins, triplets, sisters, brothers, siblings,
    brother_and_sister, family, mother_and_daughter, father_and_daughter, mother_and_son, father_and_son, clone

name: n
    original_character, original

gender: gender
    girl, boy, woman, man, female, male, androgynous, ambiguous_gender, reverse_trap = crossdressing_girl,
    crossdressing = cross-dressing, genderswap = gender_bender, mature_female = mature_woman,
    mature_male = mature_man, adult, old_man, old_woman, elderly, young_adult

role: appearance
    princess, prince, queen, king, knight, samurai, ninja = kunoichi, witch, wizard, mage,
    magical_girl = mahou_shoujo, idol, maid, butler, nurse, doctor, teacher, student, office_lady, salaryman,
    police = policeman = policewoman, soldier, pilot, sailor, pirate, priest, priestess, nun, miko = shrine_maiden,
    cowboy, cowgirl, chef, waitress, waiter, musician, singer, dancer, ballerina, athlete, cheerleader, detective,
    scientist, mechanic, farmer, hunter, archer, bard, thief, assassin, mercenary, bride, groom, angel, demon, devil,
    vampire, ghost, zombie, skeleton, fairy, elf, dark_elf, dwarf, orc, goblin, giant, mermaid, centaur, lamia,
    harpy, dryad, slime, alien, robot, android, cyborg, doll, goddess, god, valkyrie, dragon_girl, dragon_boy,
    cat_girl = catgirl = nekomimi_girl, cat_boy = catboy, dog_girl, dog_boy, fox_girl = kitsune_girl, fox_boy,
    wolf_girl, wolf_boy, rabbit_girl = bunny_girl, mouse_girl, cow_girl, horse_girl, bird_girl, tiger_girl,
    sheep_girl, deer_girl, raccoon_girl = tanuki_girl, shark_girl, monster_girl, demon_girl, demon_boy, angel_boy,
    oni, kitsune, youkai, succubus, werewolf, superhero, villain, gyaru = gal, delinquent, hero, heroine, gang,
    tourist, astronaut, firefighter, fisherman, blacksmith, merchant, monk, paladin, summoner, necromancer,
    alchemist, streamer

build: body_type
    slim, slender, petite, tall, short, tall_female, tall_male, muscular, muscular_male, muscular_female, toned,
    chubby, plump, curvy, thin, skinny, fat, athletic_build = athletic_body, broad_shoulders, narrow_waist,
    wide_hips, long_legs, abs, biceps, flat_chest, small_breasts, medium_breasts, large_breasts = big_breasts,
    huge_breasts, height_difference, size_difference, aged_up, stocky, lean

skin: appearance
    dark_skin, dark-skinned_female, dark-skinned_male, pale_skin, fair_skin, white_skin, tan = tanned_skin,
    tanlines = tan_lines, [blue red green grey purple pink black]_skin, shiny_skin, freckles, scar,
    scar_on_face = facial_scar, scar_across_eye, mole, mole_under_eye = beauty_mark_under_eye, mole_under_mouth,
    tattoo, arm_tattoo, facial_tattoo, leg_tattoo, shoulder_tattoo, back_tattoo, facial_mark = face_mark,
    forehead_mark, whisker_markings, body_markings, bandaid = band-aid, bandaid_on_face, bandaid_on_nose,
    bandaid_on_knee, bandages, scales, stitches, bruise, wet, sweat, dirty, dirty_face, body_paint, facepaint,
    birthmark, cracked_skin, glowing_skin, goosebumps, injury, wrinkles

body parts: appearance
    arms, legs, hands, feet, fingers, toes, navel, collarbone, armpits, midriff, stomach, thighs, knees, ankles,
    shoulders, back, neck, waist, hips, chest, nape, wrists, elbows, barefoot, bare_shoulders, bare_arms, bare_legs,
    bare_back, claws, fur, body_fur, hooves, paws, mechanical_arms = robot_arms, mechanical_legs, prosthesis,
    prosthetic_arm, joints, doll_joints, robot_joints, extra_arms, tentacles, spikes, shell, gills, fins, antennae

animal features: appearance
    animal_ears = kemonomimi, cat_ears = nekomimi, dog_ears, fox_ears = kitsunemimi, wolf_ears,
    rabbit_ears = bunny_ears, mouse_ears, bear_ears, horse_ears, cow_ears, sheep_ears, goat_ears, tiger_ears,
    lion_ears, panda_ears, raccoon_ears, squirrel_ears, bat_ears, deer_ears, pointy_ears = pointed_ears = elf_ears,
    long_pointy_ears, robot_ears, animal_ear_fluff = ear_fluff, floppy_ears, extra_ears, ears_down, ear_piercing,
    tail, cat_tail, dog_tail, fox_tail, wolf_tail, rabbit_tail, mouse_tail, horse_tail, cow_tail, tiger_tail,
    lion_tail, squirrel_tail, dragon_tail, demon_tail, lizard_tail, fish_tail, shark_tail, multiple_tails, two_tails,
    nine_tails, fluffy_tail, horns, single_horn, demon_horns, dragon_horns, cow_horns, goat_horns, sheep_horns,
    oni_horns, curled_horns, broken_horn, antlers, unicorn_horn, wings, angel_wings = feathered_wings, demon_wings,
    bat_wings, dragon_wings, fairy_wings, butterfly_wings, insect_wings, bird_wings, mechanical_wings, black_wings,
    white_wings, red_wings, blue_wings, purple_wings, low_wings, head_wings, energy_wings, ice_wings, single_wing,
    mini_wings, multiple_wings, spread_wings, halo, glowing_halo, broken_halo, fangs, fang, sharp_teeth, skin_fang,
    whiskers, snout, beak, mane, feathers

fingers and nails: appearance
    fingernails, long_fingernails, sharp_fingernails, nail_polish, [black red blue pink purple green white]_nails,
    toenails, toenail_polish, makeup, lipstick, [red pink purple black]_lips, eyeshadow,
    [red blue purple pink]_eyeshadow, eyeliner, mascara, blush_stickers
"""

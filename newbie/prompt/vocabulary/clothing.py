"""Tags for what people wear."""

GROUPS = """
tops: clothing
    shirt, t-shirt = tee_shirt = tshirt, blouse, sweater = jumper, turtleneck, turtleneck_sweater,
    sleeveless_turtleneck, sweater_vest, ribbed_sweater, aran_sweater, cardigan, hoodie = hooded_sweatshirt,
    sweatshirt, tank_top, crop_top = cropped_top, camisole, tube_top, halterneck, vest, waistcoat, polo_shirt,
    dress_shirt, collared_shirt, button-up_shirt = button_up_shirt, sleeveless_shirt, off-shoulder_shirt,
    striped_shirt, plaid_shirt, print_shirt, hawaiian_shirt, frilled_shirt, cropped_shirt, oversized_shirt,
    tied_shirt, undershirt, jersey, tunic, corset, bustier, bodysuit, leotard, unitard, tabard, poncho, shawl,
    shrug_(clothing), capelet, off-shoulder_sweater, loose_shirt,
    [black white red blue green yellow pink purple grey brown orange aqua]_shirt,
    [black white red blue green yellow pink purple grey brown beige orange]_sweater,
    [black white red blue green yellow pink purple grey orange brown]_hoodie,
    [black white red blue pink grey yellow green]_cardigan, [black white red blue brown grey yellow]_vest,
    [black white grey red blue]_tank_top

jackets: clothing
    jacket, blazer, coat, trench_coat = trenchcoat, overcoat, winter_coat, duffel_coat, fur_coat, raincoat,
    lab_coat = labcoat, leather_jacket, denim_jacket = jean_jacket, track_jacket, letterman_jacket, bomber_jacket,
    hooded_jacket, hooded_coat, open_jacket, open_coat, open_shirt, open_clothes, open_cardigan, open_hoodie,
    cropped_jacket, suit_jacket, down_jacket, haori, cape, cloak, hooded_cloak, robe, mantle, jacket_on_shoulders,
    coat_on_shoulders, jacket_around_waist = clothes_around_waist, fur-trimmed_jacket, fur-trimmed_coat, fur_trim,
    fur_collar, parka, [black white red blue green yellow pink purple grey brown orange]_jacket,
    [black white red blue brown grey beige green]_coat, [black white red blue purple]_cape,
    [black white red blue purple green]_cloak, [black blue red grey white brown]_blazer

bottoms: clothing
    pants = trousers, jeans, shorts, denim_shorts, short_shorts, bike_shorts, gym_shorts, dolphin_shorts, leggings,
    sweatpants, track_pants, cargo_pants, baggy_pants, capri_pants, overalls, suspenders, suspender_skirt, skirt,
    pleated_skirt, miniskirt = mini_skirt, long_skirt, pencil_skirt, high-waist_skirt, plaid_skirt, denim_skirt,
    frilled_skirt, layered_skirt, tutu, bubble_skirt, striped_skirt, hakama, hakama_skirt, hakama_pants, yoga_pants,
    torn_pants, torn_jeans, skort, bloomers, buruma, sarong, puffy_shorts, pelvic_curtain, waist_cape,
    [black white red blue green pink purple grey brown yellow orange aqua]_skirt,
    [black white red blue green grey brown beige]_pants, [black white red blue green pink grey brown]_shorts

dresses: clothing
    dress, sundress, long_dress, short_dress, evening_gown, gown, ball_gown, wedding_dress, cocktail_dress,
    pinafore_dress, sailor_dress, sweater_dress, shirt_dress, summer_dress, sleeveless_dress, strapless_dress,
    off-shoulder_dress, backless_dress, frilled_dress, layered_dress, pleated_dress, plaid_dress, striped_dress,
    polka_dot_dress, floral_dress, lace-trimmed_dress, china_dress = cheongsam = qipao,
    lolita_fashion = lolita_dress, gothic_lolita, sweet_lolita, hanfu, ao_dai, dirndl, nightgown, apron_dress,
    collared_dress, high-low_skirt, dress_bow, armored_dress, puffy_dress, halter_dress, fur-trimmed_dress,
    [black white red blue green pink purple yellow orange grey brown aqua]_dress

uniforms and costumes: clothing
    uniform, school_uniform, serafuku = sailor_uniform = sailor_suit, gakuran, military_uniform, police_uniform,
    nurse_uniform, maid_uniform, maid_outfit = maid_costume, gym_uniform, baseball_uniform, basketball_uniform,
    soccer_uniform, volleyball_uniform, tennis_uniform, cheerleader_outfit, sportswear, track_suit = tracksuit,
    business_suit, suit, formal_clothes, formal_wear, tuxedo, pilot_suit, spacesuit, wetsuit, diving_suit, plugsuit,
    jumpsuit, racing_suit, kimono, short_kimono, yukata, furisode, nontraditional_miko, traditional_clothes,
    japanese_clothes, chinese_clothes, korean_clothes, hanbok, monk_outfit, priest_robes, nun_outfit = habit,
    witch_costume, santa_costume, halloween_costume, animal_costume, kigurumi, magical_girl_outfit, idol_clothes,
    stage_costume, waitress_uniform, chef_uniform, employee_uniform, armor = armour, breastplate, full_armor,
    shoulder_armor, pauldrons, gauntlets, vambraces, greaves, chainmail, plate_armor, power_armor, pajamas = pyjamas,
    loungewear, bathrobe, casual_clothes = casual, streetwear, steampunk_clothes, cyberpunk_clothes, fantasy_clothes,
    punk_clothes, gothic_clothes, alternate_costume, matching_outfits, costume, cosplay, contemporary,
    official_alternate_costume, [black white blue red green pink purple]_serafuku,
    [black white red blue green pink purple yellow]_kimono, [black white blue grey]_suit,
    [blue black red white pink]_track_suit

swimwear: clothing
    swimsuit = bathing_suit, one-piece_swimsuit, school_swimsuit, competition_swimsuit, bikini, frilled_bikini,
    striped_bikini, sports_bikini, swim_trunks = swimming_trunks, swim_briefs, swim_cap, rash_guard, towel,
    beach_towel, swim_ring = innertube, [black white red blue pink yellow green]_bikini,
    [black white blue red]_swimsuit

legwear: clothing
    thighhighs = thigh_highs = thigh-highs, zettai_ryouiki, over-kneehighs, kneehighs = knee_highs = knee-high_socks,
    socks, ankle_socks, loose_socks, bobby_socks, tabi, pantyhose, tights, stockings, fishnets, striped_thighhighs,
    striped_socks, single_thighhigh, garter_straps, thigh_strap, leg_warmers, toeless_legwear, lace-trimmed_legwear,
    argyle_legwear, frilled_socks, mismatched_legwear, asymmetrical_legwear, uneven_legwear,
    [black white red blue pink purple grey brown]_thighhighs, [black white grey blue red pink]_socks,
    [black white brown grey]_pantyhose, [black white]_kneehighs

footwear: clothing
    shoes, sneakers = trainers = running_shoes, loafers, mary_janes, high_heels = heels, platform_footwear, boots,
    ankle_boots, knee_boots, thigh_boots, high_heel_boots, cross-laced_footwear, lace-up_boots,
    rain_boots = rubber_boots, combat_boots, cowboy_boots, fur_boots, sandals, flip-flops = flip_flops, slippers,
    geta, zouri, okobo, uwabaki, ballet_slippers, roller_skates, inline_skates, ice_skates, toeless_footwear,
    animal_slippers, no_shoes, single_shoe, shoes_removed, armored_boots, strappy_heels, dress_shoes, unworn_shoes,
    winged_footwear, [black white red brown blue pink purple]_footwear, [black white brown red]_boots,
    [black white red]_shoes

headwear: clothing
    hat, baseball_cap, cap, beret, beanie, bucket_hat, sun_hat, straw_hat, witch_hat, wizard_hat, top_hat,
    mini_top_hat, fedora, bowler_hat, sailor_hat, peaked_cap, military_hat, garrison_cap, cabbie_hat, newsboy_cap,
    cowboy_hat, santa_hat, party_hat, chef_hat, nurse_cap, mob_cap, pirate_hat, police_hat,
    graduation_cap = mortarboard, fur_hat, ushanka, nightcap, helmet, crown, mini_crown, tiara, circlet, diadem,
    laurel_crown, flower_crown = head_wreath, hood, hood_up, hood_down, animal_hood, cat_hood, veil, bridal_veil,
    headdress, maid_headdress, headscarf, bandana, headband, sweatband, forehead_protector, earmuffs, headphones,
    headset, headphones_around_neck, cat_ear_headphones, goggles, goggles_on_head, goggles_around_neck,
    eyewear_on_head, sunglasses_on_head, mask_on_head, hat_ribbon, hat_bow, hat_flower, hat_feather,
    fake_animal_ears, rabbit_hood, tilted_headwear, tokin_hat, rice_hat, hachimaki, turban, bonnet, hooded_capelet,
    holding_hat, hat_removed, [black white red blue brown green yellow pink]_hat, [black white red]_headwear,
    [black red white blue]_beret

face and eyewear: clothing
    glasses = spectacles = eyeglasses, round_eyewear = round_glasses, semi-rimless_eyewear = semi-rimless_glasses,
    under-rim_eyewear, rimless_eyewear, black-framed_eyewear, red-framed_eyewear, blue-framed_eyewear,
    brown-framed_eyewear, monocle, sunglasses = shades, opaque_glasses, heart-shaped_eyewear, star-shaped_eyewear,
    tinted_eyewear, adjusting_eyewear, eyewear_removed, safety_glasses, visor, eyepatch = eye_patch,
    medical_eyepatch, bandage_over_one_eye, blindfold, mask, face_mask, surgical_mask, mouth_mask, half_mask,
    fox_mask, oni_mask, gas_mask, masquerade_mask, domino_mask, skull_mask, bird_mask, covered_mouth, veil_over_face,
    earphones, earbuds, mouth_veil

accessories: clothing
    scarf, muffler, plaid_scarf, striped_scarf, necktie = tie, striped_necktie, plaid_necktie, short_necktie,
    bowtie = bow_tie, bolo_tie, neckerchief, ascot, cravat, jabot, neck_ribbon, neck_bell, choker, ribbon_choker,
    collar, necklace, pearl_necklace, bead_necklace, pendant, locket, cross_necklace, heart_necklace, magatama,
    dog_tags, earrings, hoop_earrings, stud_earrings, single_earring, star_earrings, heart_earrings,
    crescent_earrings, cross_earrings, tassel_earrings, pearl_earrings, piercing, lip_piercing, ring, wedding_ring,
    bracelet, bead_bracelet, bangle, watch = wristwatch, pocket_watch, wristband, armband, armlet, wrist_cuffs,
    detached_collar, wrist_scrunchie, anklet, thighlet, jewelry = jewellery, gem, brooch, badge, pin, emblem, medal,
    chain, belt, belt_buckle, belt_pouch, sash, obi, obiage, obijime, waist_apron, apron, maid_apron, white_apron,
    bow, ribbon, lace, frills, ruffles, tassel, bell, jingle_bell, pom_pom_(clothes), gloves, fingerless_gloves,
    elbow_gloves, half_gloves, mittens, single_glove, lace_gloves, bridal_gauntlets, arm_warmers, detached_sleeves,
    arm_guards, bandaged_arm, bandaged_leg, bandaged_hand, kneepads = knee_pads, elbow_pads, holster, thigh_holster,
    sheath, scabbard, quiver, harness, straps, epaulettes, aiguillette, lanyard, id_card, name_tag, corsage,
    boutonniere, flower_on_chest, cufflinks, handkerchief, pocket, zipper, buttons, lapels, wing_collar,
    sailor_collar, popped_collar, hood_ornament, waist_bow, back_bow, leg_ribbon, arm_ribbon, ankle_ribbon,
    wrist_ribbon, ear_ornament, [black white red blue green yellow pink purple]_scarf,
    [red blue black white pink green yellow purple]_ribbon, [red blue black white pink yellow green purple]_bow,
    [red black blue green white purple]_necktie, [red black blue white green pink]_bowtie,
    [black white red blue brown]_gloves, [red blue green black white yellow]_neckerchief,
    [black white red blue]_choker, [black brown red white]_belt, [blue white red black]_sailor_collar

sleeves and cut: clothing
    long_sleeves, short_sleeves, sleeveless, puffy_sleeves = puff_sleeves, puffy_short_sleeves, puffy_long_sleeves,
    wide_sleeves, juliet_sleeves, bell_sleeves, see-through_sleeves, sleeves_past_wrists, sleeves_past_fingers,
    sleeves_rolled_up, sleeve_cuffs, frilled_sleeves, layered_sleeves, single_sleeve, off_shoulder, one_shoulder,
    single_bare_shoulder, strapless, cutouts = clothing_cutout, shoulder_cutout, back_cutout, side_slit, high_collar,
    v-neck, plunging_neckline, crew_neck, cowl_neck, asymmetrical_clothes, oversized_clothes, tight_clothes,
    loose_clothes, torn_clothes, wet_clothes, layered_clothes, fur-trimmed_sleeves, ribbon-trimmed_sleeves,
    gold_trim, lace_trim, white_trim, red_trim, black_trim, bow_trim, two-tone_clothes, unbuttoned,
    partially_unbuttoned, unzipped, shirt_tucked_in, bare_midriff, crossed_straps, spaghetti_strap, single_strap

patterns: clothing
    striped, vertical_stripes, horizontal_stripes, diagonal_stripes, plaid = tartan, checkered = chequered,
    polka_dot = polka_dots, argyle, floral_print, animal_print, leopard_print, tiger_print, zebra_print, cow_print,
    star_print, heart_print, camouflage = camo, gradient_clothes, print_kimono, logo, clothes_writing, text_print,
    sequins, glitter, denim, leather, fur, silk, wool, knit, lace_fabric, see-through, transparent_fabric, latex,
    velvet, embroidery, patchwork, paw_print, cherry_print, strawberry_print, dragon_print, snowflake_print,
    butterfly_print, colorblock

bags: clothing
    bag, backpack, school_bag, randoseru, handbag = purse, shoulder_bag, tote_bag, messenger_bag, duffel_bag,
    shopping_bag, paper_bag, plastic_bag, fanny_pack = waist_pack, pouch, satchel, suitcase, briefcase, wallet,
    basket, guitar_case, sling_bag
"""

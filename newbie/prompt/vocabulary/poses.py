"""Tags for what people do: poses, gestures, activities, contact."""

GROUPS = """
posture: action
    standing, standing_on_one_leg, sitting = seated, sitting_on_chair, sitting_on_bed, sitting_on_floor,
    sitting_on_desk, sitting_on_bench, sitting_on_lap, sitting_on_stairs, sitting_sideways, crossed_legs,
    indian_style = sitting_cross-legged = cross-legged, seiza, wariza, yokozuwari, hugging_own_legs, kneeling,
    on_one_knee, squatting, crouching, lying = lying_down, on_back, on_stomach, on_side, fetal_position, reclining,
    leaning_forward, leaning_back, leaning_to_the_side, leaning_on_object, leaning_on_wall, against_wall, bent_over,
    all_fours = on_all_fours, crawling, upside-down = upside_down, handstand, arched_back, contrapposto, legs_apart,
    legs_together, knees_together_feet_apart, knees_up, knee_up, leg_up, leg_lift, legs_up, feet_up, tiptoes,
    pigeon-toed, dangling_legs, feet_out_of_frame, hunched_over, stretching = stretch, spread_arms, perched, prone,
    slouching, straddling, dynamic_pose, action_pose, fighting_stance, jojo_pose, pinup_pose,
    head_tilt = tilted_head, head_down, head_back, head_rest = chin_rest, facing_away, facing_viewer, facing_another,
    turning_around, turning_head, back-to-back = back_to_back, face-to-face = face_to_face,
    side-by-side = side_by_side, cheek-to-cheek, forehead-to-forehead, heads_together

movement: action
    walking, running = sprinting, jumping, hopping, skipping, dancing, spinning = twirling, pirouette, flying,
    floating, falling, hovering, midair = mid-air, swimming, diving, underwater_swimming, climbing, riding,
    riding_bicycle = cycling, riding_horse = horseback_riding, driving, skating, skateboarding, surfing, skiing,
    snowboarding, sledding, marching, sneaking, dashing, chasing, dodging, rolling, sliding, swinging, kicking,
    high_kick, punching, throwing, catching, pushing, pulling, lifting, carrying, dragging, balancing, marathon,
    landing, charging_forward, levitating, tripping, wading, soaring

hands and arms: action
    waving = waving_hand = hand_wave, arms_up = raised_arms, arm_up = raised_arm, arms_at_sides,
    arms_behind_back = hands_behind_back, arms_behind_head = hands_behind_head, arm_behind_back, arm_behind_head,
    arms_under_breasts, crossed_arms = arms_crossed = folded_arms, outstretched_arm, outstretched_arms,
    outstretched_hand = reaching_out, reaching, reaching_towards_viewer, hand_up, hands_up,
    hand_on_hip = hand_on_own_hip, hands_on_hips = hands_on_own_hips, hand_on_own_chest, hand_on_own_face,
    hand_on_own_cheek, hands_on_own_cheeks, hand_on_own_chin, hand_on_own_head, hand_on_own_knee, hands_on_own_knees,
    hand_on_headwear, hand_in_pocket = hand_in_own_pocket, hands_in_pockets = hands_in_own_pockets, hand_in_own_hair,
    hand_over_own_mouth, covering_own_mouth, covering_face, covering_own_eyes, hand_to_own_mouth,
    finger_to_mouth = shushing, finger_to_cheek, index_finger_raised, pointing, pointing_at_viewer, pointing_up,
    pointing_at_self, pointing_down, pointing_forward, thumbs_up = thumb_up, thumbs_down,
    peace_sign = victory_sign = v_sign, v, double_v, v_over_eye, w_arms, ok_sign, fist_pump, clenched_hand = fist,
    clenched_hands, raised_fist, own_hands_together, own_hands_clasped = clasped_hands, interlocked_fingers, praying,
    steepled_fingers, salute = saluting, curtsy, bowing = bow_(bend), clapping, beckoning, shrugging,
    facepalm = face_palm, finger_gun, heart_hands = hand_heart, heart_hands_duo, finger_heart,
    paw_pose = cat_pose = nekopose, claw_pose, fox_shadow_puppet, rabbit_pose, double_fox_shadow_puppet, open_hand,
    palm, cupping_hands, adjusting_hair, playing_with_own_hair, tucking_hair = tucking_hair_behind_ear, hair_flip,
    tying_hair, brushing_hair, combing_hair, adjusting_clothes, adjusting_headwear, adjusting_necktie,
    adjusting_gloves, skirt_hold = holding_skirt, dress_lift_curtsy, clothes_grab, t-pose, rubbing_eyes,
    scratching_head, scratching_cheek, counting_on_fingers, snapping_fingers, air_quotes, cheek_rest, hands_in_hair,
    hand_fan_pose, pinky_out, one_arm_up, x_arms, m_hands, knocking

holding: action
    holding = holding_object, holding_sword, holding_weapon, holding_gun, holding_knife, holding_staff, holding_wand,
    holding_bow_(weapon), holding_spear = holding_polearm, holding_shield, holding_axe, holding_scythe,
    holding_umbrella, holding_flower, holding_bouquet, holding_book, holding_phone = holding_smartphone, holding_cup,
    holding_mug, holding_drink, holding_can, holding_bottle, holding_food, holding_fruit, holding_plate,
    holding_tray, holding_spoon, holding_fork, holding_chopsticks, holding_ice_cream, holding_lollipop, holding_pen,
    holding_pencil, holding_paper, holding_letter, holding_sign, holding_card, holding_flag, holding_fan,
    holding_lantern, holding_candle, holding_microphone, holding_instrument, holding_guitar, holding_camera,
    holding_ball, holding_balloon, holding_bag, holding_basket, holding_box, holding_gift,
    holding_stuffed_toy = holding_stuffed_animal, holding_doll, holding_animal, holding_cat, holding_leaf,
    holding_fruit_basket, holding_broom, holding_mask, holding_mirror, holding_helmet, holding_jacket,
    holding_clothes, holding_towel, holding_pillow, holding_controller, holding_key, holding_money,
    holding_watering_can, holding_leash, holding_stick, holding_rope, holding_poke_ball, holding_tablet_pc,
    holding_another's_hand, holding_own_arm, holding_own_hair, dual_wielding

activities: action
    reading, writing, drawing_(action) = sketching, painting_(action), studying, sleeping = asleep, waking_up,
    dreaming, eating, drinking, cooking, baking, cleaning, sweeping, washing, washing_dishes, doing_laundry,
    hanging_clothes, gardening, watering, fishing, hunting, shopping, working, typing, playing_games = gaming,
    playing_instrument, playing_guitar, playing_piano, playing_violin, playing_flute, playing_drums, playing_cards,
    playing_chess, playing_sports, listening_to_music, taking_photo = photographing, selfie, watching_television,
    talking_on_phone, texting, meditating, exercising, working_out, jogging, training_(action), fighting, battle,
    sparring, aiming, shooting, firing, casting_spell = spellcasting, summoning, archery, sword_fight, drawing_sword,
    unsheathing, sheathing, blocking, stargazing, sunbathing, bathing = taking_bath, showering, drying_hair,
    sitting_by_fire, camping, hiking, traveling, waiting, hiding, searching, peeking = peeking_out, posing, dressing,
    tying_shoes, putting_on_shoes, applying_makeup, feeding, blowing, blowing_bubbles, blowing_kiss, licking, biting,
    chewing, smelling, smelling_flower, smoking, vomiting, coughing, celebrating, toasting_(gesture), opening_gift,
    lighting_candle, blowing_candles, crying_out, cheering, presenting, looking_through, playing_in_snow,
    building_snowman, splashing, dripping, pouring, sewing, knitting, conducting, performing, streaming,
    praying_at_shrine, gathering, harvesting, digging, wiping, repairing, experimenting, brushing_teeth

contact: interaction
    hug = hugging = embracing, hug_from_behind, group_hug, holding_hands = hand_holding = hand_in_hand,
    locked_arms = linked_arms, arm_around_shoulder = arm_around_shoulders, arm_around_waist, arm_around_neck,
    hand_on_another's_shoulder, hand_on_another's_head, hand_on_another's_cheek, hand_on_another's_face,
    hand_on_another's_chin, headpat = head_pat = petting, patting, kiss = kissing, cheek_kiss = kissing_cheek,
    forehead_kiss = kissing_forehead, hand_kiss = kissing_hand, imminent_kiss, princess_carry = bridal_carry,
    piggyback = piggyback_ride, shoulder_carry, carrying_person, lap_pillow, leaning_on_person,
    head_on_another's_shoulder, head_on_chest, back_hug, feeding_another, sharing_umbrella = shared_umbrella,
    sharing_food, sharing_scarf = shared_scarf, high_five, handshake = shaking_hands, fist_bump, pinky_swear,
    dancing_together, whispering_in_ear, cheek_pinching, cheek_poking, cheek_pull, poking, tickling, hair_brushing,
    braiding_another's_hair, tying_another's_hair, adjusting_another's_clothes, wiping_another's_tears, comforting,
    protecting, hiding_behind_another, pulling_another, pushing_another, arm_wrestling, fighting_each_other,
    grabbing, grabbing_another's_arm, eye_to_eye, reaching_for_another, walking_together, playing_together,
    talking_to_each_other, arguing, confession, proposal, sitting_together, hand_grab, arm_grab, arm_hug, tail_wrap,
    wing_hug, nuzzle = nuzzling, cuddling = snuggling, glomp, surrounded
"""

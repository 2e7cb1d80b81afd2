"""Tags for things: flowers, animals, food, furniture, tools, vehicles, weapons."""

GROUPS = """
flowers: objects
    flower, flowers, rose, red_rose, white_rose, blue_rose, pink_rose, yellow_rose, black_rose, sunflower, tulip,
    lily_(flower) = lily, lotus, hydrangea, hibiscus, daisy, dandelion, chrysanthemum, camellia, carnation,
    iris_(flower), lavender, morning_glory, spider_lily = red_spider_lily, wisteria, peony, orchid, poppy,
    violet_(flower), forget-me-not, lily_of_the_valley, baby's-breath, bluebell, daffodil, magnolia, azalea, anemone,
    bouquet, wreath, flower_pot, vase, potted_plant = houseplant, cactus, succulent_plant, clover, four-leaf_clover,
    fern, bamboo, mushroom, pine_cone, acorn, seedling, plant, leaf, lily_pad, ivy_vines,
    [red blue white pink purple yellow orange]_flower

animals: objects
    animal, cat, black_cat, white_cat, kitten, calico, dog, puppy, shiba_inu, corgi, fox, wolf, rabbit = bunny,
    hamster, mouse_(animal), squirrel, bear, panda, polar_bear, teddy_bear, tiger, lion, leopard, elephant, giraffe,
    monkey, horse, pony, unicorn, pegasus, cow, pig, sheep, goat, deer, fawn, raccoon, tanuki, hedgehog, otter,
    seal_(animal), bat_(animal) = bat, bird, crow, raven, owl, eagle, hawk, dove, pigeon, sparrow, parrot, swan,
    duck, duckling, chicken, chick, rooster, penguin, flamingo, crane_(animal), peacock, seagull, hummingbird, fish,
    goldfish, koi, whale, dolphin, shark, jellyfish, octopus, squid, crab, lobster, starfish, seahorse, turtle, frog,
    snake, lizard, crocodile, dragon, eastern_dragon, phoenix, griffin, slime_(creature), butterfly, blue_butterfly,
    moth, bee, dragonfly, beetle, ladybug = ladybird, spider, spider_web, ant, firefly = fireflies, cicada, snail,
    insect, bug, feather, paw, bone, egg, nest, seashell = shell_(sea), fishbowl, birdcage,
    stuffed_toy = stuffed_animal = plushie, stuffed_bunny = stuffed_rabbit, stuffed_cat, dinosaur, creature, monster,
    wildlife, pet, sea_turtle, manta_ray, clownfish, swallow_(bird), mosquito

food: objects
    food, fruit, apple, orange_(fruit), banana, strawberry, cherry, grapes, peach, pear, watermelon, melon, lemon,
    lime_(fruit), pineapple, blueberry, raspberry, kiwi_(fruit), mango, coconut, tomato, carrot, corn, potato,
    sweet_potato, pumpkin, eggplant, onion, cabbage, lettuce, cucumber, garlic, radish, chili_pepper, bread, toast,
    toast_in_mouth, baguette, croissant, melonpan, sandwich, hamburger = burger, hot_dog, pizza, pasta, spaghetti,
    noodles, ramen, udon, soba, sushi, onigiri = rice_ball, rice, bento, curry, curry_rice, omurice, tempura,
    takoyaki, taiyaki, okonomiyaki, yakitori, dango, mochi, dumpling, steamed_bun = baozi, soup, salad, steak, meat,
    sausage, bacon, fried_egg, fried_chicken, french_fries = fries, egg_(food), cheese, popcorn, chips, cake,
    birthday_cake, cake_slice = slice_of_cake, shortcake, cupcake, cheesecake, pie, pancake = pancakes, waffle,
    crepe, doughnut = donut, cookie, biscuit, macaron, chocolate, chocolate_bar, candy, lollipop, cotton_candy,
    candy_apple, candy_cane, gingerbread, marshmallow, pudding, jelly, parfait, ice_cream,
    ice_cream_cone = soft_serve, popsicle = ice_pop, shaved_ice, pocky, honey, jam, whipped_cream, sprinkles, tea,
    green_tea, coffee, latte_art, milk, juice, orange_juice, soda, ramune, cola, beer, wine, red_wine, champagne,
    sake, cocktail, bubble_tea = boba, hot_chocolate = cocoa, smoothie, milkshake, water_bottle, ice_cube,
    bubble_gum = chewing_gum, dessert, sweets, pastry, wagashi, mooncake, snack, breakfast, lunch, dinner, picnic,
    sandwich_in_mouth, food_in_mouth

tableware: objects
    cup, teacup, mug, coffee_cup, coffee_mug, glass, wine_glass, drinking_glass, drinking_straw = straw, bottle,
    wine_bottle, thermos, can, soda_can, plate, bowl, dish, saucer, tray, teapot, kettle, jug, pitcher, spoon, fork,
    knife, table_knife, chopsticks, ladle, spatula, whisk, frying_pan, pot, cutting_board, lunchbox, jar, napkin,
    tablecloth, sake_bottle, tokkuri, disposable_cup, cooler

furniture: objects
    chair, armchair, office_chair, wheelchair, stool, couch = sofa, bed, canopy_bed, bunk_bed, futon, hammock,
    pillow, body_pillow, cushion, blanket, bed_sheet, mattress, table, desk, school_desk, coffee_table, chabudai,
    cabinet, wardrobe, closet, drawer, dresser, shelf, cupboard, locker, lamp, desk_lamp, floor_lamp, chandelier,
    lantern, paper_lantern, candle, candlestick, candelabra, clock, alarm_clock, grandfather_clock, wall_clock,
    calendar, picture_frame, painting_(object), photo_(object), photograph, globe, hourglass, television = tv,
    refrigerator = fridge, oven, stove, microwave, sink, faucet, washing_machine, vacuum_cleaner, electric_fan,
    air_conditioner, trash_can, mop, broom, bucket, ladder, throne, swing, slide, umbrella_stand, aquarium_tank,
    bookcase, counter, whiteboard, chalkboard = blackboard, podium, easel, piano_bench, coat_rack, cage

things to use: objects
    book, open_book, stack_of_books = pile_of_books, notebook, magazine, newspaper, letter, envelope, love_letter,
    postcard, paper, scroll, map, card, playing_card, tarot, photo_album, pen, pencil, quill, paintbrush,
    palette_(object), crayon, chalk, eraser, ruler, scissors, stapler, tape, glue, phone = cellphone,
    smartphone = cell_phone, telephone, laptop, computer, monitor, keyboard_(computer), mouse_(computer),
    tablet_pc = tablet, handheld_game_console, nintendo_switch, game_controller = controller, joystick, camera,
    video_camera, binoculars, telescope, microscope, magnifying_glass, compass, radio, speaker, microphone,
    microphone_stand, umbrella = parasol, paper_umbrella = oil-paper_umbrella, closed_umbrella, transparent_umbrella,
    folding_fan = hand_fan, paper_fan = uchiwa, walking_stick, cane, crutch, rope, chains, handcuffs, shackles, key,
    lock, padlock, keychain, coin, money, gold, treasure_chest, gemstone, crystal, crystal_ball, diamond, pearl, orb,
    potion, vial, test_tube, flask, beaker, syringe, stethoscope, pill, bandage_roll, thermometer, clipboard,
    gift = present, gift_box, box, cardboard_box, crate, barrel, sack, balloon, heart_balloon, kite, pinwheel, yo-yo,
    spinning_top, dice, chess_piece, board_game, puzzle, jigsaw_puzzle, ball, beachball = beach_ball, soccer_ball,
    basketball, baseball, baseball_bat, volleyball, tennis_ball, tennis_racket, badminton_racket, golf_club,
    hockey_stick, skateboard, surfboard, snowboard, skis, jump_rope, dumbbell, punching_bag, trophy, whistle, flag,
    banner, pom_poms, fishing_rod, watering_can, shovel, pickaxe, hammer, wrench, saw, screwdriver, axe, sickle,
    pitchfork, wheelbarrow, flashlight, torch, lighter, match, cigarette, smoking_pipe, ashtray, comb, hairbrush,
    hand_mirror, lipstick_tube, perfume, soap, toothbrush, towel_(object), ring_box, music_box, snow_globe,
    dreamcatcher, wind_chime, teru_teru_bouzu, maneki-neko, daruma_doll, kokeshi, ofuda, gohei, ema, omikuji,
    christmas_tree, christmas_ornament, christmas_stocking, jack-o'-lantern, snowman, sandcastle, campfire,
    speech_bubble, thought_bubble, arrow_(symbol), music_note = musical_note, eighth_note, heart_(symbol),
    star_(symbol), crescent, cross, pentagram, yin_yang, gear, gears, cable, wire, screen, drone, robot_toy,
    mannequin, mechanical_parts, battery, light_bulb, bathrobe_hook, sparkler

instruments: objects
    instrument = musical_instrument, guitar, electric_guitar, acoustic_guitar, bass_guitar, violin, cello,
    double_bass, piano, grand_piano, keyboard_(instrument), synthesizer, organ, accordion, harp, lyre, flute,
    clarinet, saxophone, trumpet, trombone, tuba, french_horn, harmonica, ocarina, recorder, drum, drum_set = drums,
    drumsticks, taiko, tambourine, bell_(instrument), xylophone, shamisen, koto, biwa_lute, erhu, guzheng,
    sheet_music, music_stand, amplifier, turntable, vinyl_record, metronome

weapons: objects
    weapon, sword, katana, longsword, greatsword = huge_sword, rapier, scimitar, saber = sabre, dagger, kunai,
    shuriken, wakizashi, tachi, tantou, broadsword, energy_sword, sheathed, polearm, spear = lance, halberd, trident,
    naginata, scythe, battle_axe, mace, flail, club_(weapon), war_hammer, whip, staff, wand, bow_(weapon), crossbow,
    arrow, arrow_(projectile), shield, gun, handgun = pistol, revolver, rifle, assault_rifle, sniper_rifle, shotgun,
    submachine_gun, machine_gun, rocket_launcher, cannon, grenade, bomb, bullet, ammunition, chainsaw, fan_(weapon),
    gauntlet_(weapon), laser_gun, mecha, tank, turret, missile, planted_sword, broken_sword, bayonet,
    magazine_(weapon), trigger_discipline, sheathed_sword

vehicles: objects
    car, sports_car, truck, van, bus, taxi, police_car, ambulance, fire_truck, motorcycle = motorbike, scooter,
    moped, bicycle = bike, tricycle, train, steam_locomotive = steam_train, tram, subway, airplane = plane,
    fighter_jet, biplane, helicopter, hot_air_balloon, airship, rocket, spaceship = spacecraft, space_station,
    satellite, ufo, boat, rowboat, sailboat, ship, sailing_ship, cruise_ship, submarine, canoe, kayak, yacht,
    gondola, raft, carriage, cart, wagon, sled = sleigh, stroller, shopping_cart, steering_wheel, wheel, tire,
    anchor, parachute, glider, broom_riding, hoverboard, bulldozer, tractor
"""

"""Tags for where it is: plain backgrounds, rooms, towns, nature."""

GROUPS = """
plain background: background
    simple_background = plain_background, white_background, black_background, grey_background = gray_background,
    red_background, blue_background, light_blue_background, green_background, yellow_background, orange_background,
    pink_background, purple_background, brown_background, beige_background, aqua_background, gradient_background,
    two-tone_background = two_tone_background, multicolored_background, transparent_background, patterned_background,
    striped_background, polka_dot_background, checkered_background, floral_background, starry_background,
    heart_background, star_background, sparkle_background, abstract_background,
    blurry_background = blurred_background, dark_background, detailed_background, colorful_background,
    halftone_background, grid_background, sunburst_background, spotlight_background, monochrome_background,
    text_background, no_background, photo_background, plant_background, snowflake_background, fiery_background,
    cloudy_background, city_background

indoors: background
    indoors = inside = interior, bedroom, living_room, kitchen, bathroom, dining_room, hallway = corridor, attic,
    basement, balcony, veranda, classroom, school, library, laboratory, infirmary, gym = gymnasium, cafeteria,
    clubroom, music_room, art_room, office, hospital, hotel_room, restaurant, cafe = coffee_shop, bakery,
    bar_(place), bookstore = bookshop, convenience_store = konbini, supermarket, shop = store, mall, arcade,
    cinema = movie_theater, theater = theatre, stage, concert_hall, museum, art_gallery, aquarium, greenhouse,
    workshop, garage, warehouse, factory, church_interior, throne_room, dungeon, prison, cell, castle_interior,
    tavern, inn, train_interior, bus_interior, car_interior, airplane_interior, cockpit, spaceship_interior,
    elevator, stairwell, locker_room, bath, bathtub, onsen = hot_spring, sauna, swimming_pool_indoors, tatami,
    shouji = shoji, fusuma, kotatsu, fireplace, window, windowsill, curtains, door, wall, floor, wooden_floor,
    wooden_wall, tile_floor, brick_wall, ceiling, stairs, pillar, column, bookshelf, carpet, rug, mirror,
    reflection_room, changing_room, studio, control_room, game_room, messy_room, dark_room, empty_room, dojo, genkan

town: background
    outdoors = outside, city, cityscape, town, village, street, alley, road, sidewalk, crosswalk, intersection,
    highway, bridge, tunnel, plaza, market, marketplace, shopping_street, food_stall, park, playground, garden,
    backyard, courtyard, rooftop, skyline, skyscraper, building, house, apartment, school_rooftop, school_gate,
    school_yard, bus_stop, train_station, railroad_tracks, railroad_crossing, airport, harbor = harbour, port, pier,
    dock, lighthouse, castle, palace, tower, clock_tower, cathedral, church, temple, shrine, torii, pagoda, stadium,
    amusement_park, ferris_wheel, carousel, roller_coaster, zoo, farm, barn, windmill, watermill,
    graveyard = cemetery, ruins, battlefield, construction_site, parking_lot, gas_station, phone_booth,
    vending_machine, street_lamp = streetlight, lamppost, utility_pole = telephone_pole, power_lines, traffic_light,
    traffic_sign, road_sign, sign, neon_lights, neon_sign, billboard, poster, fence, chain-link_fence, wooden_fence,
    railing, gate, wall_(outdoor), stone_wall, stone_floor, bench, fountain, well, statue, monument, arch, archway,
    balustrade, terrace, canal, pavement, puddle, festival, summer_festival, stone_lantern, wind_turbine,
    satellite_dish, antenna, tokyo, kyoto, paris, london, venice, new_york, cyberpunk_city, futuristic_city,
    fantasy_city, floating_city, post-apocalyptic_city, abandoned_building, slum, hut, cabin, cottage, tent,
    campsite, tombstone

nature: background
    nature, landscape, scenery, forest, bamboo_forest, jungle, woods, grassland, meadow, field, flower_field,
    sunflower_field, wheat_field, rice_paddy = rice_field, lavender_field, grass, hill, mountain, mountains,
    snowy_mountain, mount_fuji, volcano, cliff, canyon, valley, cave, desert, dune, oasis, savanna, tundra, swamp,
    marsh, river, riverbank, stream, brook, creek, waterfall, lake, lakeside, pond, ocean = sea, beach,
    seaside = seashore, shore, coast, island, floating_island, coral_reef, coral, underwater, waves, wave, sand,
    rock, rocks, stone, cobblestone, mud, ice, iceberg, glacier, snow, snowfield, snowy_forest, path, dirt_road,
    trail, tree, trees, pine_tree, palm_tree, cherry_tree, willow, bare_tree, tree_stump, log, branch, roots, vines,
    ivy, moss, bush, hedge, leaves, autumn_leaves = fall_leaves, falling_leaves, maple_leaf, ginkgo_leaf,
    cherry_blossoms = sakura = cherry_blossom, plum_blossoms, falling_petals, petals = flower_petals, rose_petals,
    horizon, sky, space, outer_space, planet, earth_(planet), moon_surface, star_field, galaxy, nebula, aurora,
    heaven, hell, dreamscape, fantasy_world, wonderland, lava, crystal_cave, spring_(water), mushroom_forest,
    ocean_floor, sandbar, tide_pool, peach_blossoms, wisteria_trellis, vineyard, orchard, pasture, ranch, tropics,
    wilderness
"""

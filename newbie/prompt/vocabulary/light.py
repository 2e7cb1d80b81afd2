"""Tags for light, time of day, weather and mood of a scene."""

GROUPS = """
light: lighting
    sunlight, moonlight, starlight, candlelight, lamplight, firelight, natural_light = natural_lighting,
    soft_light = soft_lighting, hard_light = hard_lighting, warm_light = warm_lighting, cool_light = cold_lighting,
    dim_light = dim_lighting = low_light, bright_light = bright_lighting, ambient_light = ambient_lighting,
    studio_lighting, cinematic_lighting, dramatic_lighting, volumetric_lighting = volumetric_light,
    rim_light = rim_lighting, backlighting = backlight = backlit, sidelighting = side_lighting, underlighting,
    top_lighting = overhead_lighting, spotlight, stage_lights, neon_lighting = neon_light, colored_lighting,
    god_rays = crepuscular_rays = light_rays, sunbeam, dappled_sunlight = dappled_light,
    light_particles = floating_light_particles, glowing = glow, bloom, lens_flare, light_leak, bokeh, caustics,
    shadow, shadows, dark_shadow, high_contrast, low_contrast, chiaroscuro, silhouette, reflection, reflected_light,
    flare, golden_hour = golden_hour_lighting, blue_hour, window_light, lantern_light, flashlight_beam,
    bioluminescence, overexposure, underexposed, blinding_light, shade, three-point_lighting, global_illumination,
    ray_tracing, subsurface_scattering, diffuse_light, flickering_light, laser, string_lights = fairy_lights,
    christmas_lights, city_lights

time: background
    day = daytime, morning, sunrise, dawn, noon, afternoon, evening, sunset, dusk, twilight, night = nighttime,
    midnight, spring_(season) = springtime, summer, autumn = fall_(season), winter

sky: background
    blue_sky, clear_sky, cloudy_sky, night_sky, starry_sky, orange_sky, red_sky, pink_sky, purple_sky, gradient_sky,
    evening_sky, grey_sky, dark_sky, green_sky, yellow_sky, cloud, clouds = cloudy, dark_clouds, storm_clouds,
    cumulonimbus_cloud, sun, full_moon, crescent_moon, half_moon, red_moon, blood_moon, blue_moon, new_moon, moon,
    star_(sky), stars, shooting_star, milky_way, constellation, comet, meteor, rainbow, eclipse, solar_eclipse,
    contrail, birds_in_sky, sea_of_clouds, multiple_moons, fireworks

weather: atmosphere
    rain = raining = rainy, heavy_rain, light_rain, storm, thunderstorm, lightning, wind = windy, breeze, gust,
    snowing = snowfall, blizzard, hail, fog = foggy, mist = misty, haze, overcast, sunny, sunshower, sandstorm,
    tornado, heat_haze, snowflakes, frost, dew, humid, cold, hot, raindrops,
    water_drop = water_drops = water_droplets, typhoon, drizzle

mood of the scene: atmosphere
    peaceful = tranquil, serene, calm_atmosphere, cozy = cosy, warm_atmosphere, romantic, nostalgic, melancholy,
    gloomy, dark, eerie, creepy, scary, horror_(theme) = horror, mysterious, magical, mystical,
    dreamy_atmosphere = dreamlike, ethereal, surreal, whimsical, fantasy, science_fiction = sci-fi, cyberpunk,
    steampunk, dieselpunk, solarpunk, post-apocalypse = post-apocalyptic, gothic, medieval, victorian, retro_(theme),
    futuristic, epic, dramatic, tense, energetic, lively, festive, cheerful_atmosphere, joyful_atmosphere,
    lonely_atmosphere, solemn, sacred, holy, cute = kawaii, cool, elegant, luxurious, rustic, tropical, urban, rural,
    quiet, chaotic, majestic, refreshing, intimate, christmas, halloween, valentine, new_year, easter, birthday,
    tanabata, wedding, party, white_day, school_festival, chinese_new_year, graduation, vacation, date,
    summer_vacation, slice_of_life, everyday_life

effects: other
    sparkle = sparkles, sparks, embers, fire = flames, flame, smoke, steam, explosion, magic, magic_circle, spell,
    aura, energy, energy_ball, energy_beam, electricity, lightning_bolt, ice_crystals, water_splash = splash,
    bubbles = bubble, air_bubble, dust, debris, floating_object, floating_rocks, falling_feathers, feather_effect,
    confetti, paper_lanterns_floating, motion_lines, speed_lines, motion_blur, afterimage, trail_of_light, glitch,
    static, hologram, holographic_interface, screen_glow, shattered_glass, broken_glass, cracks, blood_moonlight,
    butterfly_swarm, particles, emphasis_lines, impact_lines, wind_effect, shockwave, portal, runes, glowing_runes,
    ripples = ripple, tornado_of_petals, ink_splash, paint_splatter = paint_splash, stardust
"""

"""Tags for the picture itself: camera, composition, style, colours, quality."""

GROUPS = """
framing: perspective
    close-up = closeup, extreme_close-up, portrait, face_focus, headshot = head_shot, bust = bust_shot,
    upper_body = half_body, lower_body, cowboy_shot = medium_shot = three-quarter_shot,
    full_body = full_shot = full-body, wide_shot = long_shot, very_wide_shot, feet_out_of_frame_(framing),
    head_out_of_frame, out_of_frame, cropped, cropped_legs, cropped_torso, cropped_shoulders, cropped_arms,
    letterboxed, border, white_border, black_border, framed, split_screen, multiple_views, character_sheet,
    reference_sheet, turnaround, inset, zoom_layer, rotated, centered, off_center, symmetry, asymmetry,
    rule_of_thirds, negative_space, panorama, eye_focus, foot_focus, hand_focus, back_focus, group_shot,
    establishing_shot, projected_inset, partially_out_of_frame, solo_portrait, group_picture, profile_picture, icon

angle: perspective
    from_above = high_angle, from_below = low_angle, from_side = side_view, from_behind = back_view = rear_view,
    from_outside, straight-on = front_view = from_front, dutch_angle = tilted_angle, eye_level,
    bird's-eye_view = birds-eye_view = overhead_view = top-down_view, worm's-eye_view, pov = first-person_view,
    pov_hands, three-quarter_view = three_quarter_view, profile = side_profile, isometric, fisheye = fish-eye_lens,
    wide-angle = wide_angle, telephoto, macro, perspective, foreshortening, atmospheric_perspective, vanishing_point,
    one-point_perspective, two-point_perspective, aerial_view, over-the-shoulder, through_window, sideways,
    selfie_angle

depth: perspective
    depth_of_field, shallow_depth_of_field, blurry, blurry_foreground, foreground_blur, background_blur_bokeh,
    sharp_focus, soft_focus, tilt-shift, vignetting = vignette, film_grain, chromatic_aberration, scanlines, noise,
    out_of_focus, deep_focus, long_exposure

style: style
    anime_style = anime, manga_style = manga, comic, 4koma, western_comics_(style), cartoon, chibi = super_deformed,
    chibi_inset, realistic, photorealistic, semi-realistic, realistic_shading, photo_(medium) = photo, digital_art,
    digital_painting, painting_(medium) = painting, oil_painting_(medium) = oil_painting,
    watercolor = watercolour, watercolor_(medium), gouache, acrylic_paint_(medium), pastel_(medium), ink_(medium),
    marker_(medium), colored_pencil_(medium) = colored_pencil, graphite_(medium) = pencil_drawing = pencil_sketch,
    charcoal_(medium), crayon_(medium), traditional_media, mixed_media, sketch = rough_sketch, lineart = line_art,
    line_drawing, flat_color = flat_colors = flat_shading, cel_shading = cel-shading, soft_shading, painterly,
    impressionism, impasto, expressionism, art_nouveau, art_deco, pop_art, ukiyo-e, sumi-e = ink_wash_painting,
    chinese_painting, fine_art_parody, stained_glass, mosaic, pixel_art, 3d = 3d_render, low_poly, voxel, vector_art,
    papercraft, paper_cutout, origami, embroidery_(medium), clay_(medium) = claymation, illustration, concept_art,
    game_cg, visual_novel_style, official_art, key_visual, promotional_art, cover, book_cover, album_cover,
    magazine_cover, movie_poster, poster_(medium), wallpaper, sticker, emote, tarot_card_style, fake_screenshot,
    anime_screencap = anime_screenshot, anime_coloring, retro_artstyle = retro_style, 1980s_(style) = 80s_style,
    1990s_(style) = 90s_style, 2000s_(style), toon_(style), minimalism = minimalist, abstract, surrealism, vaporwave,
    synthwave, fantasy_art, dark_fantasy, storybook_style = storybook_illustration, ghibli_style, moe, bishoujo,
    bishounen, gekiga, ink_sketch, detailed_lineart, thick_outlines = thick_lineart, thin_lineart,
    no_lineart = lineless, colored_lineart, white_outline, halftone, screentones = screentone,
    hatching_(texture) = hatching, crosshatching = cross-hatching, stippling, grainy, brush_strokes, textured,
    canvas_(texture), limited_palette, spot_color, unfinished, step-and-repeat, animification, thick_painting

colours: style
    monochrome, greyscale = grayscale = black_and_white, sepia, colorful = vibrant = vibrant_colors = vivid_colors,
    pastel_colors = pastel_tones, muted_color = muted_colors = desaturated, pale_color = pale_colors,
    neon_palette = neon_colors, warm_colors, cool_colors = cold_colors, dark_colors, bright_colors = light_colors,
    high_saturation = saturated, low_saturation, partially_colored, blue_theme, red_theme, green_theme, pink_theme,
    purple_theme, yellow_theme, orange_theme, white_theme, black_theme, brown_theme, grey_theme, aqua_theme,
    colour_gradient = color_gradient, complementary_colors, inverted_colors, tinted, duotone

quality: quality
    masterpiece, best_quality, high_quality, amazing_quality, great_quality, good_quality, normal_quality,
    average_quality, low_quality, bad_quality, worst_quality, very_aesthetic, aesthetic, very_awa, displeasing,
    very_displeasing, absurdres, highres = high_res, lowres = low_res, high_resolution, max_high_resolution,
    ultra_high_resolution, incredibly_absurdres, 4k, 8k, uhd, hdr, detailed, highly_detailed = very_detailed,
    extremely_detailed, ultra-detailed = ultra_detailed, intricate_details, detailed_face, detailed_eyes,
    detailed_hands, perfect_anatomy, perfect_hands, newest, recent, mid, early, old, oldest, no_text, textless,
    no_watermark, no_signature, professional, award-winning, beautiful, stunning, sharp, clean, year_2023, year_2024,
    year_2025, safe, general, sensitive, year_2022, refined, clear_lines, vivid

flaws: quality
    bad_anatomy, bad_hands, bad_feet, bad_proportions, bad_perspective, bad_eyes, bad_face, bad_composition,
    extra_fingers, missing_fingers, fused_fingers, too_many_fingers, extra_limbs = extra_limb, extra_digits,
    fewer_digits, missing_limb, missing_arms, missing_legs, extra_legs, extra_hands, malformed, malformed_hands,
    mutated_hands, deformed, disfigured, mutation, mutilated, ugly, poorly_drawn, poorly_drawn_hands,
    poorly_drawn_face, jpeg_artifacts, artifacts, compression_artifacts, pixelated, overexposed, oversaturated,
    undersaturated, error, unclear, duplicate, cloned_face, long_neck, gross_proportions, username, artist_name,
    signature, watermark, web_address, text, english_text, japanese_text, chinese_text, korean_text, logo_(object),
    copyright_name, character_name, dated, patreon_username, twitter_username, commentary, title, subtitled,
    speech_text, sound_effects, censored, twitter_logo, artist_logo, weibo_logo, mosaic_(texture), sample_watermark,
    worst_detail, blurred, ai-generated

place in the picture: position
    center = centre = middle, left, right, center_left = left_of_center, center_right = right_of_center,
    left_side = on_the_left, right_side = on_the_right, foreground = front, background = behind, full-frame,
    tight_shot, top, bottom, upper_left = top_left, upper_right = top_right, lower_left = bottom_left,
    lower_right = bottom_right, midground, far_left, far_right
"""

"""From noise to latents: time grids, solvers, guidance, noise, previews."""

"""How newbie-mini is made: pictures drawn by program, an autoencoder, a Next-DiT with its text encoders."""

"""What a prompt's structure says about the picture: who stands where, and which words speak for which area."""

"""q, k, v to o: one signature, several kernels, and a choice that can be explained."""

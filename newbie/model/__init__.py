"""The Next-DiT. It knows attention kernels by their signature and nothing of what stands above it."""

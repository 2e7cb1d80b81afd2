"""Text encoders: prompts become caption features (Gemma 3) and a pooled vector (Jina CLIP v2)."""

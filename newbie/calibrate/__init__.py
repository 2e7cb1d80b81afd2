"""Quantised models on disk: look at what layers are given, fit their weights to it, write, and tell what it cost."""

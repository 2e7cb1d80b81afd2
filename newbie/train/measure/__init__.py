"""Does the structure of prompts act? Binding with and without regions, the response to weights, edits that stay put."""

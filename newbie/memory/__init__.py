"""What a model needs, what there is, and how the one is made to fit into the other."""

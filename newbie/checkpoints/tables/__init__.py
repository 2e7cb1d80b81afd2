"""Rule tables: the names other programs give to the tensors of each network."""

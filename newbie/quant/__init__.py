"""What a linear layer is when its weights are stored in fewer bits: codecs, and the layers that decode on use."""

"""Random weights for training from nothing."""

from __future__ import annotations

import torch
from torch import nn

from newbie.model.layers import RMSNorm
from newbie.model.nextdit import NextDiT


@torch.no_grad()
def initialise(model: NextDiT, generator: torch.Generator) -> NextDiT:
    """Fill every parameter, the same for the same generator, and return the model.

    Linear layers get Xavier's uniform distribution, biases zero, norms one. What the conditioning vector
    drives starts at zero, so that each block begins as the identity, and so does the output (Peebles and
    Xie 2023).
    """
    for name, module in model.named_modules():
        if isinstance(module, RMSNorm):
            nn.init.ones_(module.weight)
        elif isinstance(module, nn.Linear):
            if "adaLN_modulation" in name or name == "final_layer.linear":
                nn.init.zeros_(module.weight)
            elif name.startswith("t_embedder"):
                nn.init.normal_(module.weight, std=0.02, generator=generator)
            else:
                nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model

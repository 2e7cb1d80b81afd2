"""Adapters: small files that change what a large network does. Read in every spelling, worn beside the weights."""

from newbie.lora.attach import Worn, attach, merge
from newbie.lora.read import Adapter, read_adapter

__all__ = ["Adapter", "Worn", "attach", "merge", "read_adapter"]

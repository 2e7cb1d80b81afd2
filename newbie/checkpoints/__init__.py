"""Files into models: find the parts, read any common layout, convert by tables, report everything, run nothing half."""

from newbie.checkpoints.components import Components, locate
from newbie.checkpoints.hashes import weights_hash
from newbie.checkpoints.hub import Download, download
from newbie.checkpoints.inspect import Inspection, inspect
from newbie.checkpoints.load import Loaded, load_gemma, load_jina, load_transformer, load_vae
from newbie.checkpoints.plan import require_fit
from newbie.checkpoints.report import LoadReport
from newbie.checkpoints.save import Trained, save_model, save_weights
from newbie.checkpoints.verify import Verification, verify

__all__ = [
    "Components",
    "Download",
    "Inspection",
    "LoadReport",
    "Loaded",
    "Trained",
    "Verification",
    "download",
    "inspect",
    "load_gemma",
    "load_jina",
    "load_transformer",
    "load_vae",
    "locate",
    "require_fit",
    "save_model",
    "save_weights",
    "verify",
    "weights_hash",
]

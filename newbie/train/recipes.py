"""newbie-mini, in one place: how large each part is and how long it trains."""

from __future__ import annotations

from dataclasses import dataclass

from newbie.model.config import NextDiTConfig
from newbie.text.gemma import GemmaConfig
from newbie.text.jina import JinaConfig
from newbie.train.autoencoder import AutoencoderRecipe
from newbie.train.flow import FlowRecipe, Stage
from newbie.vae import AutoencoderConfig


@dataclass(frozen=True)
class MiniRecipe:
    """The dials of the bundled model. `width` sets the transformer; everything else follows or is fixed."""

    size: int = 256  # pixels of the main stage; the first stage has half, the last twice as many
    pictures: int = 12_000  # of the main stage; the first stage has twice as many, the last an eighth
    vocabulary: int = 1500
    width: int = 192
    layers: int = 7
    autoencoder_steps: int = 3000
    half_steps: int = 2700
    full_steps: int = 1600
    double_steps: int = 200
    seed: int = 7

    def stages(self) -> tuple[Stage, ...]:
        """Each twice as large as the one before, the last spread among it; a stage without steps is left out.

        Pictures are drawn at shift 1.5, training looks at more noise than that: there it is decided what stands where,
        and there a model trained at 1.5 could hardly tell two hair styles, or a wave from none, by the prompt.
        """
        every = (
            Stage(self.size // 2, self.pictures * 2, self.half_steps, batch=64),
            Stage(self.size, self.pictures, self.full_steps, batch=48, shift=3.0),
            Stage(self.size * 2, max(self.pictures // 8, 1), self.double_steps, batch=16, shift=4.0, spread=True),
        )
        return tuple(stage for stage in every if stage.steps)

    def autoencoder(self) -> AutoencoderRecipe:
        config = AutoencoderConfig(block_out_channels=(32, 64, 96, 128), layers_per_block=1, norm_num_groups=8)
        return AutoencoderRecipe(config=config, steps=self.autoencoder_steps, seed=self.seed)

    def flow(self, vocabulary: int) -> FlowRecipe:
        """`vocabulary` is the number of pieces the tokenizers really have."""
        text_width = 192
        return FlowRecipe(
            transformer=NextDiTConfig(
                dim=self.width,
                n_layers=self.layers,
                n_refiner_layers=2,
                n_heads=self.width // 32,
                n_kv_heads=self.width // 64,
                axes_dims=(8, 12, 12),
                axes_lens=(1024, 512, 512),
                cap_feat_dim=text_width,
                clip_text_dim=128,
                multiple_of=64,
                ffn_dim_multiplier=0.75,
            ),
            text_encoder=GemmaConfig(
                vocab_size=vocabulary,
                hidden_size=text_width,
                intermediate_size=512,
                num_hidden_layers=5,
                num_attention_heads=4,
                num_key_value_heads=2,
                head_dim=48,
                query_pre_attn_scalar=48,
                sliding_window=512,
            ),
            clip=JinaConfig(
                vocab_size=vocabulary,
                hidden_size=128,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=384,
            ),
            stages=self.stages(),
            seed=self.seed,
        )

"""A small transformer over patches of the spectrogram, which in training sees only some of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mirclr.models.encoder import Encoder
from mirclr.models.options import check_share, check_strides, check_whole


def sinusoids(count: int, width: int, device: torch.device | None = None) -> Tensor:
    """`(count, width)`: sine and cosine of every position at `width / 2` rates from 1 to 1/10000 (arXiv 1706.03762)."""
    rates = torch.exp(torch.arange(width // 2, device=device) * (-2.0 * math.log(10_000.0) / width))
    angles = torch.arange(count, device=device)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class Patches(nn.Module):
    """`(B, F, N)` to tokens `(B, F', N', width)`: a linear map of every patch, and where in the spectrogram it lies.

    Frequency and time have positions of their own, so that any length works (Koutini et al., arXiv 2110.05069,
    sec. 3): learned for the fixed number of rows, sinusoids for time, whose gain is learned because a clip's place in
    its own window means little. The last row and column are filled up with zeros, the mean of normalised frames.
    """

    def __init__(self, bands: int, patch: Sequence[int], width: int) -> None:
        super().__init__()
        self.high, self.long = patch
        self.cut = nn.Conv2d(1, width, (self.high, self.long), (self.high, self.long))
        self.frequency = nn.Parameter(0.02 * torch.randn(-(-bands // self.high), 1, width))
        self.time_gain = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, frames: Tensor) -> Tensor:
        missing = (-frames.shape[2] % self.long, -frames.shape[1] % self.high)
        whole = functional.pad(frames.unsqueeze(1), (0, missing[0], 0, missing[1]))
        tokens: Tensor = self.cut(whole).permute(0, 2, 3, 1)
        time = self.time_gain * sinusoids(tokens.shape[2], tokens.shape[3], tokens.device)
        return tokens + self.frequency + time


class Block(nn.Module):
    """Attention and a perceptron of four times the width, each behind a layer norm (arXiv 2002.04745, pre-LN)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.before_attention, self.before_perceptron = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values, self.joined = nn.Linear(width, 3 * width), nn.Linear(width, width)
        inner = (nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width))
        self.perceptron = nn.Sequential(*inner, nn.Dropout(dropout))
        self.read = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, T, width)` to two of the same shape: tokens for the next block, and the same normalised, for pooling."""
        tokens = tokens + self._attention(self.before_attention(tokens))
        tokens = tokens + self.perceptron(self.before_perceptron(tokens))
        return tokens, self.read(tokens)

    def _attention(self, tokens: Tensor) -> Tensor:
        parts = self.queries_keys_values(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys, values = parts.unbind(0)
        share = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(queries, keys, values, dropout_p=share)
        joined: Tensor = self.joined(mixed.transpose(1, 2).flatten(2))
        return functional.dropout(joined, share)


class PatchTransformer(Encoder):
    """Patches as tokens through pre-norm transformer blocks; tokens are dropped in training and averaged at the end.

    `bands`: F, supplied by the builder, any number >= 1; `patch`: (bands, frames) of one token; `width` of a token,
    even and a multiple of the `heads`; `depth`: blocks; `dropout`: of attention and perceptron.

    `mask`: share of tokens each clip goes without in training, drawn anew from torch's generator for every clip and
    pass; none in eval and none in `sequence`. It regularises as an effect does and saves its share of the time
    (Patchout, arXiv 2110.05069). Myna (arXiv 2502.12511) drops nine tenths, as its only effect and in batches of
    thousands; half is for training beside other effects, and leaves a clip of 4 s 64 of 128 tokens.

    The embedding is the mean over tokens after every block, each through a layer norm; no maximum, which grows with the
    number of tokens and would differ between training and use. The defaults are 0.81 M parameters and 0.21 GFLOP for
    4 s of 64 bands at 62.5 frames a second, half of that in training.

    Raises ValueError when an option is out of range.
    """

    source = "Gong et al., arXiv 2104.01778; Koutini et al., arXiv 2110.05069"

    def __init__(
        self,
        bands: int = 64,
        width: int = 128,
        depth: int = 4,
        heads: int = 4,
        patch: Sequence[int] = (16, 8),
        mask: float = 0.5,
        dropout: float = 0.0,
    ) -> None:
        check_whole(4096, bands=bands)
        check_whole(2048, width=width)
        check_whole(64, depth=depth, heads=heads)
        check_strides(2, 256, "bands and frames of one token", patch=patch)
        check_share(mask=mask, dropout=dropout)
        if width % heads or width % 2:
            raise ValueError(f"encoder.width must be even and a multiple of heads, got width={width}, heads={heads}")
        super().__init__()
        self.patches = Patches(bands, patch, width)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(depth))
        self.dim = self.channels = width * depth
        self.frame_stride, self.bands, self.mask = patch[1], bands, mask

    def forward(self, frames: Tensor) -> Tensor:
        """`(B, F, N)` to `(B, D)`; D = width * depth."""
        tokens = self.patches(self.checked(frames)).flatten(1, 2)
        kept = self._kept(tokens) if self.training and self.mask else tokens
        return torch.cat([read.mean(dim=1) for read in self._reads(kept)], dim=1)

    def sequence(self, frames: Tensor) -> Tensor:
        """`(B, F, N)` to `(B, ceil(N / patch[1]), D)`: every block's tokens averaged over frequency."""
        tokens = self.patches(self.checked(frames))
        shape = tokens.shape[1:3]
        reads = self._reads(tokens.flatten(1, 2))
        return torch.cat([read.unflatten(1, shape).mean(dim=1) for read in reads], dim=2)

    def depths(self) -> list[nn.Module]:
        return [self.patches, *self.blocks]

    def _reads(self, tokens: Tensor) -> list[Tensor]:
        """`(B, T, width)` after every block, normalised."""
        reads = []
        for block in self.blocks:
            tokens, read = block(tokens)
            reads.append(read)
        return reads

    def _kept(self, tokens: Tensor) -> Tensor:
        """A random choice of `1 - mask` of the tokens of each clip, at least one."""
        batch, count, width = tokens.shape
        keep = max(1, round(count * (1 - self.mask)))
        order = torch.rand(batch, count, device=tokens.device).argsort(dim=1)[:, :keep]
        return tokens.gather(1, order[:, :, None].expand(-1, -1, width))

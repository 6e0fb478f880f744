"""Text as vectors without a vocabulary: words and their character n-grams, hashed into a fixed number of buckets.

A word is the mean of the vectors of its n-grams and of itself (fastText: Bojanowski et al., "Enriching word vectors
with subword information", TACL 2017, arXiv 1607.04606, section 3.2), a text the mean of its words. Words that were
never seen land near those they share letters with. The hash is BLAKE2b: the same in every process and on every machine.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

_WORD = re.compile(r"[^\W_]+")
_APOSTROPHES = str.maketrans("", "", "'’ʼ`")
MOST_BUCKETS = 2**22


def folded(text: str) -> str:
    """`text` without case, accents and apostrophes: 'Jóga' is 'joga', 'STRAẞE' is 'strasse', 'don't' is 'dont'."""
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter)).translate(_APOSTROPHES)


def words_of(text: str) -> list[str]:
    """The words of a text, folded, in order: runs of letters and digits of any script."""
    return _WORD.findall(folded(text))


def grams_of(word: str, shortest: int, longest: int) -> list[str]:
    """The different n-grams, `shortest` to `longest` letters, of '<word>', and '<word>' itself, which comes first.

    The brackets mark beginning and end: 'art' inside 'heart' is not the word '<art>'.
    """
    whole = f"<{word}>"
    sizes = range(shortest, min(longest, len(whole)) + 1)
    parts = (whole[at : at + size] for size in sizes for at in range(len(whole) - size + 1))
    return list(dict.fromkeys([whole, *parts]))


def bucket_of(gram: str, buckets: int) -> int:
    """The bucket 0..`buckets` - 1 of an n-gram; depends on its letters alone."""
    return int.from_bytes(blake2b(gram.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") % buckets


@functools.lru_cache(maxsize=2**16)
def buckets_of(word: str, shortest: int, longest: int, buckets: int) -> np.ndarray:
    """The buckets of a folded word, int64: that of the word itself, then those of its n-grams."""
    return np.array([bucket_of(gram, buckets) for gram in grams_of(word, shortest, longest)], np.int64)


@dataclass(frozen=True)
class Bags:
    """Texts as weighted buckets: `ids` (K,) int64 and `weights` (K,) of all texts in a row, `offsets` (B,) where each
    begins. The weights of a text sum to 1; a text without a word has none."""

    ids: Tensor
    weights: Tensor
    offsets: Tensor

    def __len__(self) -> int:
        return len(self.offsets)

    def to(self, device: torch.device) -> Bags:
        """The same on `device`."""
        return Bags(self.ids.to(device), self.weights.to(device), self.offsets.to(device))


class HashedText(nn.Module):
    """Texts to vectors `(B, width)`: the mean over words of the mean over a word's buckets.

    Every word weighs the same, however long. A text without a word is zero. Once it knows what it learns from, n-grams
    of none of those texts are left out, unless a text has no others: their vectors are still random.

    Two n-grams that share a bucket share its vector: of n different n-grams a given one is alone in its bucket of B
    with probability exp(-n / B).

    Args:
        buckets: vectors to learn, 2..2^22. Of the 10,000 n-grams of a thousand words 2^13 leave three in ten alone, and
            one shared bucket among the twenty of a word changes little; a step costs in proportion.
        width: numbers of a vector.
        shortest, longest: letters of an n-gram, brackets counted. The paper's 3 to 6; 3 to 5 here, because the word
            itself is in as well.

    Attributes: `seen` (buckets,) bool, the buckets of the texts it learned from.

    Raises ValueError when an option is out of range.
    """

    source = "Bojanowski et al., fastText, arXiv 1607.04606"
    seen: Tensor

    def __init__(self, buckets: int = 2**13, width: int = 64, shortest: int = 3, longest: int = 5) -> None:
        super().__init__()
        _check(buckets=(buckets, 2, MOST_BUCKETS), width=(width, 1, 4096), shortest=(shortest, 1, 16))
        _check(longest=(longest, shortest, 16))
        self.buckets, self.width, self.shortest, self.longest = buckets, width, shortest, longest
        # Random vectors of length one keep texts as far apart as their n-grams are, before anything is learned.
        self.vectors = nn.Parameter(torch.randn(buckets, width) / width**0.5)
        self.register_buffer("seen", torch.zeros(buckets, dtype=torch.bool))

    def bags(self, texts: Sequence[str]) -> Bags:
        """Texts to buckets, on the CPU."""
        return self.bags_of_words([words_of(text) for text in texts])

    def bags_of_words(self, texts: Sequence[Sequence[str]]) -> Bags:
        """The same of texts that are folded words already."""
        found = [buckets_of(w, self.shortest, self.longest, self.buckets) for words in texts for w in words]
        share = [1 / len(words) for words in texts for _ in words]
        sizes = np.array([len(ids) for ids in found], np.int64)
        ends = np.cumsum(np.concatenate([[0], sizes]))
        first = np.cumsum([0, *(len(words) for words in texts)])[:-1]
        ids = np.concatenate([np.zeros(0, np.int64), *found])
        weights = np.repeat(np.array(share) / sizes, sizes).astype(np.float32)
        return Bags(torch.from_numpy(ids), torch.from_numpy(weights), torch.from_numpy(ends[first].astype(np.int64)))

    def forward(self, bags: Bags) -> Tensor:
        """`(B, width)`, float32."""
        weights = self._learned(bags).to(self.vectors.dtype)
        return functional.embedding_bag(bags.ids, self.vectors, bags.offsets, mode="sum", per_sample_weights=weights)

    def _learned(self, bags: Bags) -> Tensor:
        """The weights `(K,)` with those of unseen buckets shared out among the seen ones of the text."""
        ends = torch.cat([bags.offsets[1:], bags.offsets.new_tensor([len(bags.ids)])])
        text = torch.repeat_interleave(ends - bags.offsets)
        known = bags.weights * self.seen[bags.ids]
        share = torch.zeros(len(bags), device=known.device).index_add_(0, text, known)[text]
        return torch.where(share > 0, known / share.clamp(min=1e-12), bags.weights)

    def mark_seen(self, bags: Bags) -> None:
        """Note the buckets of texts to learn from."""
        self.seen[bags.ids] = True

    def unseen(self, text: str) -> list[str]:
        """The words of `text`, folded, that were as a whole in no text it learned from: their letters still place them.

        A word whose bucket another one fell into counts as seen.
        """
        whole = {w: buckets_of(w, self.shortest, self.longest, self.buckets)[0] for w in words_of(text)}
        return [word for word, bucket in whole.items() if not bool(self.seen[int(bucket)])]


def _check(**options: tuple[int, int, int]) -> None:
    for name, (value, low, high) in options.items():
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"text.{name} must be a whole number in {low}..{high}, got {value!r}")

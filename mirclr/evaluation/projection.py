"""Vectors in the plane, to look at: PCA, t-SNE, and UMAP where it is installed.

What is projected is what retrieval compares: vectors standardised over all tracks and scaled to length 1. PCA
(Hotelling 1933) is linear: distances far apart mean something. t-SNE (van der Maaten and Hinton 2008) and UMAP
(McInnes, Healy and Melville 2018) keep neighbours together and nothing else: sizes of groups and gaps between them say
nothing.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence

import numpy as np

from mirclr.errors import UsageError
from mirclr.evaluation.neighbours import unit
from mirclr.evaluation.probes import Standardiser
from mirclr.seeds import generator

PCA, TSNE, UMAP = "PCA", "t-SNE", "UMAP"
PERPLEXITY = 30  # scikit-learn's default, and van der Maaten's choice
WITHOUT_UMAP = "UMAP needs a package: pip install 'mirclr[umap]'; PCA and t-SNE need none"
FEWEST = 5  # below, there is nothing to see
MOST = 5000  # t-SNE of more takes minutes, and its points cover each other


def methods() -> tuple[str, ...]:
    """What can be drawn here."""
    return (PCA, TSNE, UMAP) if importlib.util.find_spec("umap") else (PCA, TSNE)


def chosen_methods(names: Sequence[str]) -> tuple[str, ...]:
    """The methods called `names`, whatever their case; all that are here for none.

    Raises UsageError on an unknown one, or UMAP where it is not installed.
    """
    known = {name.casefold(): name for name in (PCA, TSNE, UMAP)}
    for name in names:
        if name.casefold() not in known:
            raise UsageError(f"no method {name!r}: it is one of {', '.join(known.values())}")
    found = tuple(dict.fromkeys(known[name.casefold()] for name in names)) or methods()
    if UMAP in found and UMAP not in methods():
        raise UsageError(WITHOUT_UMAP)
    return found


def sampled(count: int, seed: int) -> np.ndarray:
    """Ascending row numbers: all of `count`, or `MOST` of them drawn by `seed`."""
    if count <= MOST:
        return np.arange(count)
    return np.sort(generator(seed, "projection").choice(count, MOST, replace=False))


def project(vectors: np.ndarray, method: str, seed: int = 0) -> np.ndarray:
    """`(N, D)` vectors, N >= `FEWEST`, to `(N, 2)` places, as `place` puts them once they are standardised."""
    return place(unit(Standardiser.fitted(vectors)(vectors)), method, seed)


def place(known: np.ndarray, method: str, seed: int = 0) -> np.ndarray:
    """`(N, D)` rows of length 1, N >= `FEWEST`, to `(N, 2)` places. The same seed gives the same places on one machine.

    Raises ValueError on an unknown method or too few rows, UsageError for UMAP where it is not installed.
    """
    if method not in (PCA, TSNE, UMAP):
        raise ValueError(f"method must be one of {PCA}, {TSNE}, {UMAP}, got {method!r}")
    if len(known) < FEWEST:
        raise ValueError(f"{len(known)} vectors cannot be projected; at least {FEWEST} are needed")
    return {PCA: _pca, TSNE: _tsne, UMAP: _umap}[method](known, seed)


def _pca(vectors: np.ndarray, seed: int) -> np.ndarray:
    """The two directions of greatest variance; each turned so that its largest entry is positive."""
    del seed  # nothing is drawn
    _, _, axes = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    largest = np.abs(axes[:2]).argmax(axis=1)
    axes = axes[:2] * np.sign(axes[:2][np.arange(len(axes[:2])), largest])[:, None]
    placed = (vectors - vectors.mean(axis=0)) @ axes.T
    return np.pad(placed, ((0, 0), (0, 2 - placed.shape[1])))  # vectors of one dimension lie on a line


def _tsne(vectors: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE as Tsne

    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    start = _pca(vectors, seed)
    spread = start[:, 0].std()
    start = start / spread * 1e-4 if spread > 0 else generator(seed, "t-SNE").normal(0, 1e-4, start.shape)
    return np.asarray(Tsne(perplexity=perplexity, init=start, random_state=seed, n_jobs=1).fit_transform(vectors))


def _umap(vectors: np.ndarray, seed: int) -> np.ndarray:
    try:
        from umap import UMAP as Umap
    except ImportError as error:
        raise UsageError(WITHOUT_UMAP) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that a seed costs it its threads
        near = min(15, len(vectors) - 1)
        return np.asarray(Umap(n_neighbors=near, init="pca", random_state=seed).fit_transform(vectors))

"""Supervised contrastive learning (Khosla et al., arXiv 2004.11362), also with clips that have no label."""

from __future__ import annotations

from torch import Tensor

from mirclr.losses.labels import label_rows
from mirclr.losses.relations import Pairs, Relation, Weights


class SupCon(Relation):
    """`-1/|P(i)| sum over p in P(i) of log( exp(cos(i, p) / t) / sum over a != i of exp(cos(i, a) / t) )`, L_out, the
    mean over all rows i. The positives P(i) share a label with i, or are other views of its item.

    With several labels a row (tags), one in common is enough: SemiSupCon's choice for music (Guinot et al., arXiv
    2407.13840), and the batch of that paper too, in which clips with and without labels stand together. The positives
    of an unlabelled row are its own other views, and to every other row it is a negative: a labelled row and an
    unlabelled one of the same unknown label are pushed apart as any two clips are in self-supervised learning.

    The denominator is the paper's, over all other rows, the positives too. So with two views and no labels the loss is
    `nt_xent`; with more views it is not, since there the views of an item do not stand in each other's denominators.
    Chance, all projections equal, is `log(V B - 1)`. The least is near `log |P(i)|`, the positives
    equal and all else far.

    Groups leave the rows that are of an equal group and no positives out of the denominator. A row that sees no other
    item (one item, or one group without common labels) costs 0 and pulls nothing.

    Args:
        temperature: t > 0; 0.1 is the paper's.
        chunk: rows computed at a time; changes memory (`chunk` x V B numbers), not the result.
    """

    source = "Khosla et al., arXiv 2004.11362, eq. 2 (L_out); unlabelled clips: Guinot et al., arXiv 2407.13840"

    def weights(self, labels: Tensor, z: Tensor) -> Weights:
        """1 at the positives, by `labels` `(V, B, C)`: 1 where a view has the label, else 0; a row of NaN has none.

        Raises ValueError on other shapes, on labels that are neither 0 nor 1, and on rows that are NaN in part.
        """
        rows = label_rows(labels, z)
        if ((rows != 0) & (rows != 1)).any():
            raise ValueError("supcon takes labels of 0 and 1, got others: soft or mixed labels are for gen_supcon")

        def positives(part: slice, pairs: Pairs) -> Tensor:
            return ((rows[part] @ rows.T > 0) | pairs.own) & pairs.others

        return positives

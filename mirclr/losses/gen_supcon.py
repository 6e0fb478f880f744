"""Generalised supervised contrastive learning (Kim et al., arXiv 2206.00384): as alike as the labels are."""

from __future__ import annotations

import torch
from torch import Tensor

from mirclr.losses.labels import check_numbers, label_cosines, unit_labels
from mirclr.losses.objective import wide, within
from mirclr.losses.relations import Pairs, Relation, Weights


class GenSupCon(Relation):
    """`-sum over j != i of p_ij log( exp(cos(z_i, z_j) / t) / sum over a != i of exp(cos(z_i, z_a) / t) )`, the mean
    over all rows i, with `p_ij = cos(y_i, y_j) / sum over a != i of cos(y_i, y_a)` of the labels y.

    A cross-entropy between two distributions over the other rows of the batch, the row itself in neither: the cosines
    of the labels divided by their sum, and the softmax of the cosines of the projections. Labels may be soft: shares of
    two clips (CutMix, mixup), a teacher's probabilities, several tags at once, or `mixed_labels` of both. Where every
    row has one label, in whole, this is `supcon`.

    An unlabelled row, and one with all labels 0, which has no cosine, has weight 1 to and from the other views of its
    item and 0 to all else: it learns as in `supcon`, and a batch without any label is the same loss there and here. A
    labelled row unlike every other row, its own views included, has no target: it costs 0 and pulls nothing itself. So
    does a row that sees no other item (one item, or one group without common labels).

    Chance, all projections equal, is `log(V B - 1)`. The least is the mean entropy of the targets, not 0. Groups leave
    the rows that are of an equal group and of weight 0 out of the denominator.

    Args:
        temperature: t > 0; 0.1 is the authors'.
        chunk: rows computed at a time; changes memory (`chunk` x V B numbers), not the result.
    """

    source = "Kim et al., Generalized Supervised Contrastive Learning, arXiv 2206.00384"

    def weights(self, labels: Tensor, z: Tensor) -> Weights:
        """The cosines of `labels` `(V, B, C)` >= 0, how much of each label a view has, on any scale (only the direction
        of a row counts); a row of NaN is unlabelled.

        Raises ValueError on other shapes, on negative labels, and on rows that are NaN in part.
        """
        unit = unit_labels(labels, z)

        def likeness(part: slice, pairs: Pairs) -> Tensor:
            return label_cosines(unit, part, pairs.own, unknown=0.0) * pairs.others

        return likeness


def mixed_labels(labels: Tensor, teacher: Tensor, weight: float) -> Tensor:
    """`(1 - weight) labels + weight teacher`, both `(..., C)` and >= 0: labels with the help of a teacher.

    A row of NaN in `labels`, which has no label, takes the teacher's alone, at any weight: with weight 0 the teacher
    labels what people did not and changes nothing else. A row of NaN in `teacher` leaves the label as it is. The two
    have to be on one scale: a one-hot row goes with a softmax, a multi-hot one with sigmoids.

    Kim et al. distil by a second loss, of the teacher's probabilities alone, added to the first:
    `GenSupCon(z, labels) + alpha GenSupCon(z, teacher)`. Mixed rows cost one loss, and cover what only one of the two
    knows.

    Raises ValueError where the shapes differ, on a weight outside 0..1, and on rows that are NaN in part, infinite or
    negative.
    """
    within("weight", weight, 0.0, 1.0)
    if labels.ndim < 1 or labels.shape != teacher.shape:
        raise ValueError(
            f"labels and teacher must be (..., C) alike, got {tuple(labels.shape)} and {tuple(teacher.shape)}"
        )
    check_numbers("labels", labels)
    check_numbers("teacher", teacher)
    labels = wide(labels)
    teacher = teacher.to(labels)
    mixed = torch.lerp(labels, teacher, weight)
    return mixed.where(~teacher.isnan(), labels).where(~labels.isnan(), teacher)

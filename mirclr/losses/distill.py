"""Distillation of a teacher's similarities (CompRess, arXiv 2010.14713; SEED, arXiv 2101.04731)."""

from __future__ import annotations

import torch
from torch import Tensor

from mirclr.losses.labels import label_cosines, unit_labels
from mirclr.losses.objective import positive, within
from mirclr.losses.relations import Pairs, Relation, Weights


class Distill(Relation):
    """`-sum over j != i of p_ij log( exp(cos(z_i, z_j) / t) / sum over a != i of exp(cos(z_i, z_a) / t) )`, the mean
    over all rows i, with `p_i` the softmax over j != i of `cos(y_i, y_j) / T` of the teacher's vectors y.

    The student learns to whom a clip is near, not where it lies: the teacher's vectors (an embedding, tag
    probabilities) may have any dimension and need no head to be mapped. As in CompRess with two memories, the student
    compares its own projections with each other and the teacher its own vectors; SEED compares both with the teacher's.
    Their memories of anchors are the other rows of the batch here. The cross-entropy is SEED's; CompRess's divergence
    is less by the entropy of p, which is no function of the student.

    A row of NaN, or of zeros, was not heard by the teacher: as if its cosine were 1 with the other views of its item,
    and it is in nobody else's target. Groups leave rows of an equal group out of both distributions. A row that sees no
    other item (one item, or one group) costs 0 and pulls nothing. Chance, all projections equal, is `log(V B - 1)`; the
    least is the mean entropy of the targets, not 0.

    Args:
        temperature: t > 0 of the student. 0.04 is CompRess's.
        teacher_temperature: T > 0. Equal to `temperature`, as in CompRess, a perfect student has the teacher's own
            cosines up to a constant; below it (SEED's code: 1e-4 to the student's 0.2) the student spreads them.
        weight: 0..1, the teacher's share of the target. The rest is shared evenly by the row's own other views, the
            target of self-supervised learning; at 0, with two views, the loss is `nt_xent`.
        chunk: rows computed at a time; changes memory (`chunk` x V B numbers), not the result.
    """

    source = "Abbasi Koohpayegani et al., CompRess, arXiv 2010.14713; Fang et al., SEED, arXiv 2101.04731"

    def __init__(
        self, temperature: float = 0.04, teacher_temperature: float = 0.04, weight: float = 1.0, chunk: int = 512
    ) -> None:
        super().__init__(temperature, chunk)
        positive("teacher_temperature", teacher_temperature)
        within("weight", weight, 0.0, 1.0)
        self.teacher_temperature, self.weight = teacher_temperature, weight

    def weights(self, labels: Tensor, z: Tensor) -> Weights:
        """The target, of the teacher's vector of every view `labels` `(V, B, C)`: any real numbers, not normalised; a
        row of NaN is one the teacher did not hear.

        Raises ValueError on other shapes, on infinite numbers, and on rows that are NaN in part.
        """
        unit = unit_labels(labels, z, signed=True)

        def target(part: slice, pairs: Pairs) -> Tensor:
            cosines = label_cosines(unit, part, pairs.own, unknown=-torch.inf)
            hidden = ~pairs.others | pairs.mates
            teacher = torch.softmax(cosines.masked_fill(hidden, -torch.inf) / self.teacher_temperature, dim=1)
            return torch.lerp(pairs.own.to(teacher) / (len(z) - 1), teacher, self.weight)

        return target

"""Where this detector leaves the published computation: one option each (reasons: docs/boxes.md)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Corrections:
    """All on: the right mode, for new trainings. All off: the published computation, number for number.

    The first five change nothing for a single image without padding (``for_published_weights``); the others
    change what the weights mean.
    """

    images_apart: bool = True  # counts, fills and queries of each image by itself; padding is never chosen
    padding_masked: bool = True  # convolutions, means, norms and gates see only what an image covers
    fold_norms: bool = True  # in evaluation the second neck's norms and branches are one convolution
    gather_samples: bool = (
        True  # in evaluation on a CPU deformable attention sums rows, without maps of samples
    )
    boxes_of_chosen: bool = True  # classes and boxes only for tokens and layers whose numbers are used
    border_cells: bool = True  # cells within 1 % of an image's border count too
    bounded_priority: bool = True  # self-attention goes by the product of probabilities, not of logits
    normed_references: bool = True  # the next layer starts from the box that this layer gave out
    add_scores: bool = True  # coarse salience is added to the finer scores, where its scaling has no effect


def published() -> Corrections:
    """None of them."""
    return Corrections(**dict.fromkeys(Corrections.__dataclass_fields__, False))


def for_published_weights() -> Corrections:
    """Those that give published weights the boxes that they were trained to give."""
    return Corrections(border_cells=False, bounded_priority=False, normed_references=False, add_scores=False)

"""Which augmentation a training draws, said once at its start."""

import logging
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger(__name__)


def log_augmentation(transforms: Any) -> None:
    """Log what ``transforms`` of the training set draw: a line, or one a data set where they are by set.

    Transforms that cannot say it in words (``__str__``) are named by their class.
    """
    by_set = transforms if isinstance(transforms, Mapping) else {"": transforms}
    for name, drawn in by_set.items():
        silent = type(drawn).__str__ is object.__str__
        words = type(drawn).__name__ if silent else str(drawn) or "none"
        logger.info("augmentation%s: %s", f" of {name}" if name else "", words)

"""What is wrong with annotations: collected over a whole file, so that all of it is told at once."""

import logging
from dataclasses import dataclass, field

from util.words import first_few

logger = logging.getLogger(__name__)
_TOLD = 5  # sentences of a kind that a message holds


@dataclass
class Faults:
    """Sentences about one source. ``errors`` end the reading; ``repairs`` were put right and are told.

    What has one sensible reading is a repair: a box without an extent is no object, a box given twice is
    one object, a box beyond the border ends at it. What hides a mistake is an error.
    """

    source: str  # the file or folder that is read
    errors: list[str] = field(default_factory=list)
    repairs: dict[str, list[str]] = field(default_factory=dict)  # by what was done

    def error(self, sentence: str) -> None:
        self.errors.append(sentence)

    def repair(self, done: str, what: str) -> None:
        """Note that ``done`` ("empty boxes left out") befell ``what``."""
        self.repairs.setdefault(done, []).append(what)

    def raise_errors(self) -> None:
        """Raise ValueError with the first few errors, if there are any."""
        if self.errors:
            more = len(self.errors) - _TOLD
            rest = f" And {more} more like these." if more > 0 else ""
            raise ValueError(f"{self.source}: " + " ".join(self.errors[:_TOLD]) + rest)

    def repair_sentences(self) -> list[str]:
        """One sentence a kind of repair, with its number and the first few that it befell."""
        sentences = []
        for done, befell in self.repairs.items():
            sentences.append(f"{self.source}: {len(befell)} {done}: {first_few(befell, _TOLD)}.")
        return sentences

    def log_repairs(self) -> None:
        for sentence in self.repair_sentences():
            logger.warning("%s", sentence)

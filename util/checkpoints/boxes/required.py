"""What is built for the one detector, and not for those that it is compared with."""

from models.boxes.detector import SalienceDetr
from util.checkpoints.checkpoint import LoadedModel


def require_salience_detr(loaded: LoadedModel, use: str) -> None:
    """Raise ValueError unless the model is a ``SalienceDetr``; ``use`` says what there is for that alone."""
    if not isinstance(loaded.model, SalienceDetr):
        kind = type(loaded.model).__name__
        raise ValueError(f"{loaded.file}: a {kind}, expected a SalienceDetr: {use} is for that alone.")

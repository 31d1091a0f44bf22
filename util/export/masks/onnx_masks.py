"""An exported mask model in ONNX Runtime, as a member of whatever looks at images."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datasets.masks.meaning import MaskMeaning
from models.masks.mask_model import MaskModel, MaskOutputs
from util.export.masks.graph import INPUT, MaskGraphFacts
from util.export.session import open_session, properties_of, read_graph
from util.prediction.masks.predict import MaskPredictor, Member

_LEAST = 0.5 / 255  # half a byte: of a probability of 0 or 1 the logit would be infinite


class GraphModel(MaskModel):
    """The maps of a graph, as a model gives them."""

    def __init__(self, file: Path, device: str) -> None:
        session = open_session(read_graph(file), file, device)
        facts = MaskGraphFacts.from_properties(properties_of(session), file)
        counts = tuple(len(values) for values in facts.mask_classes.attributes.values())
        told = len(session.get_outputs()) > 1  # a graph of before has maps alone
        super().__init__(len(facts.mask_classes), attribute_values=counts if told else ())
        self.session, self.facts = session, facts
        self.thresholds.copy_(torch.tensor(facts.thresholds))

    def forward(self, images: Tensor, targets: None = None) -> MaskOutputs:
        """(B, C, H, W) images in [0, 1] of the graph's canvas. Raises ValueError for another size."""
        if tuple(images.shape[-2:]) != self.facts.size:
            raise ValueError(
                f"images of {tuple(images.shape[-2:])}, expected {self.facts.size} (height, width): a graph "
                "is of one canvas. Leave out --scales, or add --windows 0.5."
            )
        outputs = self.session.run(None, {INPUT: images.cpu().numpy()})
        found, *told = map(np.asarray, outputs)
        if self.facts.bytes_out:
            maps = (torch.from_numpy(found).float() / 255.0).logit(_LEAST)
        else:
            maps = torch.from_numpy(found)
        return MaskOutputs(maps, self.facts.stride, tuple(map(torch.from_numpy, told)))


def load_graph(file: Path, device: str) -> MaskPredictor:
    """The graph in ``file``. Raises ValueError when it is not that of a mask model."""
    model = GraphModel(file, device)
    facts = model.facts
    meaning = MaskMeaning(facts.mask_classes, facts.labels)
    return MaskPredictor(file, meaning, Member(model, facts.mask_classes, facts.size))

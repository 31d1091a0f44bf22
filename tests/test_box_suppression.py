"""Which boxes stay: torchvision's answer in one size, in PyTorch and in ONNX."""

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torchvision.ops import nms

from models.boxes.suppression import stays
from util.export.operators import TRANSLATIONS


def squares(batch: int, count: int, side: int, seed: int = 0) -> Tensor:
    """Squares of two cells on a small grid, so that many are neighbours; random order."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.stack([torch.randperm(side * side, generator=generator)[:count] for _ in range(batch)])
    x, y = (centres % side).float(), (centres // side).float()
    return torch.stack([x - 1, y - 1, x + 1, y + 1], -1)


def test_what_stays_is_what_torchvision_keeps():
    boxes = squares(3, 90, 12)
    found = stays(boxes, 0.3)
    for image, own in enumerate(boxes):
        kept = nms(own, -torch.arange(90.0), 0.3)
        assert found[image].nonzero().flatten().tolist() == sorted(kept.tolist())
    assert 20 < int(found[0].sum()) < 80


def test_a_box_that_is_gone_drops_none():
    """Of three in a row the middle one goes, so the last stays."""
    boxes = torch.tensor([[[0.0, 0, 2, 2], [1, 0, 3, 2], [2, 0, 4, 2]]])
    assert stays(boxes, 0.3).tolist() == [[True, False, True]]


class _Stays(nn.Module):
    def forward(self, boxes: Tensor) -> Tensor:
        return stays(boxes, 0.3)


def test_the_graph_gives_the_same_for_any_batch():
    program = torch.onnx.export(
        _Stays(),
        (squares(2, 90, 12),),
        dynamo=True,
        verbose=False,
        input_names=["boxes"],
        dynamic_shapes={"boxes": {0: torch.export.Dim("batch", min=1)}},
        custom_translation_table=TRANSLATIONS,
    )
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    for batch in (1, 3):
        boxes = squares(batch, 90, 12, seed=batch)
        assert np.array_equal(session.run(None, {"boxes": boxes.numpy()})[0], stays(boxes, 0.3).numpy())

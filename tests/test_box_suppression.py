"""Which boxes stay: torchvision's answer in one size, in PyTorch and in ONNX."""

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torchvision.ops import nms

from models.boxes.decoder import Stage
from models.boxes.detections import detect
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


def found(batch: int, seed: int = 0) -> Stage:
    """What a decoder says of 40 queries and 3 classes, many boxes on top of each other."""
    generator = torch.Generator().manual_seed(seed)
    centre, side = torch.rand(2, batch, 40, 2, generator=generator)
    boxes = torch.cat([0.3 * centre + 0.3, 0.2 * side + 0.2], -1)
    return Stage(torch.randn(batch, 40, 3, generator=generator), boxes)


class _Thinned(nn.Module):
    def forward(self, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        stage = Stage(boxes[..., :3] * 4.0 - 2.0, boxes)
        sizes = torch.tensor([[96, 64]]).expand(boxes.shape[0], -1)
        final = detect(stage, None, sizes, count=60, clip=True, nms_overlap=0.5)
        return final.boxes, final.scores, final.labels


def test_detections_without_their_overlapped_ones_are_a_graph_too():
    program = torch.onnx.export(
        _Thinned(),
        (found(2).boxes,),
        dynamo=True,
        verbose=False,
        input_names=["boxes"],
        opset_version=20,
        dynamic_shapes={"boxes": {0: torch.export.Dim("batch", min=1)}},
        custom_translation_table=TRANSLATIONS,
    )
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    for batch in (1, 3):
        boxes = found(batch, seed=batch).boxes
        expected = _Thinned()(boxes)
        assert 0 < int((expected[1] == 0).sum()) < expected[1].numel()
        for one, other in zip(session.run(None, {"boxes": boxes.numpy()}), expected, strict=True):
            np.testing.assert_allclose(np.asarray(one), other.numpy(), atol=1e-5)


def test_a_large_batch_mate_changes_no_overlap():
    stage, sizes = found(2), torch.tensor([[60, 60], [60_000_000, 60]])
    alone = Stage(stage.logits[:1], stage.boxes[:1])
    one, both = (
        detect(part, None, size, count=60, clip=False, nms_overlap=0.5)
        for part, size in ((alone, sizes[:1]), (stage, sizes))
    )
    assert torch.equal(one.scores[0], both.scores[0]) and torch.equal(one.boxes[0], both.boxes[0])

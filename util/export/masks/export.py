"""A mask model as one verified ONNX file: what tools/pytorch2onnx.py writes."""

import argparse
from typing import Any

import numpy as np
import torch

from models.backbone import input_channels
from models.masks.mask_model import MaskModel, enlarged
from util.checkpoints.checkpoint import load_model
from util.config import instantiate, load_config, require_sections
from util.export.masks.graph import INPUT, ByteMaps, MaskGraphFacts, SmallMaps, export_graph
from util.export.program import OPSETS, advice_unheard
from util.export.session import open_session
from util.training.task import Say, Task

LIMIT = 2e-3  # of a logit: a thousandth of a probability, and no more than rounding in float32
_BATCH_SIZES = (1, 3)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What a mask model's export can be asked besides."""
    parser.add_argument("--classes", type=int, default=5, help="of --model-config (5)")
    parser.add_argument("--opset", type=int, default=20, choices=OPSETS, help="20")
    parser.add_argument("--dynamic", action="store_true", help="any batch size; otherwise 1")
    parser.add_argument(
        "--uint8",
        action="store_true",
        help="probabilities of the canvas's pixels as bytes; otherwise small logits",
    )


@advice_unheard()
def exported(args: argparse.Namespace, task: Task, say: Say) -> bytes:
    """The file's content, of ``--checkpoint`` or ``--model-config``; says how far it is from the model.

    Raises ValueError when that is more than rounding.
    """
    import onnx

    model, facts = _described(args, task)
    attributes = facts.mask_classes.attributes if model.attribute_values else ()
    graph = (ByteMaps if args.uint8 else SmallMaps)(model, tuple(attributes)).eval()
    example = torch.rand(1, facts.channels, *facts.size, generator=torch.Generator().manual_seed(0))
    proto = export_graph(graph, example, opset=args.opset, dynamic=args.dynamic)
    onnx.helper.set_model_props(proto, facts.to_properties())
    proto.producer_name = "CephDETR"
    content = proto.SerializeToString()
    sizes = _BATCH_SIZES if args.dynamic else (1,)
    say(f"outputs:  {', '.join(graph.outputs)}")
    say(f"verified: {verify(content, graph, facts, args.output, sizes)}, random images")
    return content


@torch.inference_mode()
def verify(
    content: bytes, graph: SmallMaps, facts: MaskGraphFacts, name: object, sizes: tuple[int, ...]
) -> str:
    """How far ONNX Runtime is from PyTorch, in words. Raises ValueError where it is more than rounding."""
    session = open_session(content, name)  # pyright: ignore[reportArgumentType]  (only for messages)
    by_size = [_differences(session, graph, facts, size) for size in sizes]
    said = []
    for number, (output, *found) in enumerate(zip(graph.outputs, *by_size, strict=True)):
        largest = float(np.max(found))  # NaN if any is
        limit, unit = (1.0, "of 255") if facts.bytes_out and not number else (LIMIT, "of a logit")
        if not largest <= limit:
            raise ValueError(
                f"{name}: {output} of ONNX Runtime and PyTorch differ by {largest:.2g} {unit}, expected at "
                f"most {limit:g}. Nothing is written. Try another --opset, or another onnxruntime."
            )
        said.append(f"{output} {largest:.1e} {unit}")
    return f"largest difference: {', '.join(said)}"


def _differences(session: Any, graph: SmallMaps, facts: MaskGraphFacts, size: int) -> list[float]:
    """The largest of each output, on ``size`` random images; cells of equal rank count nowhere."""
    images = torch.rand(size, facts.channels, *facts.size, generator=torch.Generator().manual_seed(size))
    pairs = zip(session.run(None, {INPUT: images.numpy()}), graph(images), strict=True)
    found = [np.abs(ours.astype(np.float64) - theirs.double().numpy()) for ours, theirs in pairs]
    undecided = graph.model.undecided(images, LIMIT)
    if undecided is not None:
        found[0][(enlarged(undecided.float(), found[0].shape[-2:]) > 0).numpy()] = 0.0
    return [float(values.max()) for values in found]


def _described(args: argparse.Namespace, task: Task) -> tuple[MaskModel, MaskGraphFacts]:
    """The model, trained or with random weights, and what the file is to say of it."""
    if args.checkpoint:
        loaded = load_model(args.checkpoint)
        transforms = instantiate(loaded.config.eval_transforms)
        model, meaning, size = loaded.model, loaded.meaning, (transforms.height, transforms.width)
        source = str(loaded.file)
    else:
        config = load_config(args.model_config)
        require_sections(config, ("model", "size"), args.model_config)
        torch.manual_seed(0)
        meaning = task.example_meaning(args.classes)
        model, size = task.build_model(config.model, meaning).eval(), tuple(config.size)
        source = f"{args.model_config}, random weights"
    with torch.inference_mode():
        channels = input_channels(model.encoder_parameters())
        stride = 1 if args.uint8 else model(torch.zeros(1, channels, *size)).stride
    facts = MaskGraphFacts(
        mask_classes=meaning.class_set,
        labels=meaning.labels,
        size=(int(size[0]), int(size[1])),
        channels=int(channels),
        thresholds=tuple(model.thresholds.tolist()),
        stride=int(stride),
        bytes_out=bool(args.uint8),
        checkpoint=source,
    )
    return model, facts

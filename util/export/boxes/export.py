"""A detector as one verified ONNX file: what tools/pytorch2onnx.py writes."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from models.backbone import input_channels
from models.precision import exact_inference
from transforms.augment import EvalTransforms
from util.checkpoints.boxes.required import require_salience_detr
from util.checkpoints.checkpoint import LoadedModel, untrained
from util.checkpoints.described import load_described
from util.config import instantiate, load_config, require_sections
from util.export.boxes.facts import BoxGraphFacts
from util.export.boxes.graph import OPSETS, DetectionGraph, export_graph
from util.export.boxes.onnx_boxes import BoxGraph, model_input
from util.export.boxes.verify import verify
from util.export.program import advice_unheard
from util.training.task import Say, Task

_LARGE = (800, 1344)  # height and width for a model whose images have no canvas of one size
_VERIFIED = 3  # images of each kind


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What a detector's export can be asked besides."""
    parser.add_argument(
        "--classes", type=int, help="of --model-config alone (its num_classes, or 80 where it has none)"
    )
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help=f"canvas; default: the config's, or {_LARGE[0]} {_LARGE[1]} where images keep their own sizes",
    )
    parser.add_argument("--opset", type=int, default=20, choices=OPSETS, help="20")
    parser.add_argument("--dynamic", action=argparse.BooleanOptionalAction, default=True, help="any batch")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder whose images verify too")
    parser.add_argument("--subset", default="test", help="of --data (test)")


@advice_unheard()
def exported(args: argparse.Namespace, task: Task, say: Say) -> bytes:
    """The file's content, of ``--checkpoint`` or ``--model-config``; says how far it is from the model.

    Raises ValueError when that is more than it may be.
    """
    import onnx

    loaded = load_described(args.checkpoint, args.model_config) if args.checkpoint else _random(args, task)
    require_salience_detr(loaded, "export")
    size = canvas_of(loaded, args.size)
    channels = input_channels(loaded.model.parameters())
    facts = BoxGraphFacts(loaded.meaning.classes, size, channels, str(loaded.file))
    graph = DetectionGraph(of_lone_images(loaded))
    with exact_inference():
        proto = export_graph(graph, channels, size, opset=args.opset, dynamic=args.dynamic)
    onnx.helper.set_model_props(proto, facts.to_properties())
    proto.producer_name = "CephDETR"
    content = proto.SerializeToString()
    images = [random_images(channels, size), *real_images(args, loaded, task, facts)]
    with exact_inference():
        largest, unsteady = verify(BoxGraph(content, args.output), DetectionGraph(loaded.model), images)
    count = sum(map(len, images)) - unsteady
    if told := seen_otherwise(loaded, size):
        say(told)
    say(f"verified: largest difference {largest:.1e} of a score or a side, {count} images")
    if unsteady:
        say(f"{unsteady} more left out: rounding alone changes what the model finds on them")
    return content


def of_lone_images(loaded: LoadedModel) -> nn.Module:
    """The model as it answers on an image by itself: with published weights batch mates have a say."""
    model: Any = loaded.model
    if model.corrections.images_apart:
        return model
    section = OmegaConf.to_container(loaded.config.model)
    assert isinstance(section, dict)
    section.pop("corrections")
    apart = ("images_apart", "padding_masked", "fold_norms", "boxes_of_chosen")  # the same on a lone image
    corrections = replace(model.corrections, **dict.fromkeys(apart, True))
    own = instantiate(untrained(section), num_classes=model.num_classes, corrections=corrections)
    own.load_state_dict(model.state_dict())
    return own.eval()


def canvas_of(loaded: LoadedModel, asked: list[int] | None) -> tuple[int, int]:
    """(height, width) of the canvas. Raises ValueError where another is asked for than the model has."""
    transforms = instantiate(loaded.config.eval_transforms)
    if not isinstance(transforms, EvalTransforms):
        height, width = EvalTransforms(asked or _LARGE).height, EvalTransforms(asked or _LARGE).width
        return height, width
    own = (transforms.height, transforms.width)
    if asked and tuple(asked) != own:
        raise ValueError(
            f"--size {asked[0]} {asked[1]}: the model is evaluated on {own[0]} x {own[1]} (height, width). "
            "Leave --size out."
        )
    return own


def seen_otherwise(loaded: LoadedModel, size: tuple[int, int]) -> str:
    """What differs where the checkpoint sees images at sizes of their own; empty for one canvas of both."""
    if isinstance(instantiate(loaded.config.eval_transforms), EvalTransforms):
        return ""
    return (
        f"the file letterboxes images onto {size[0]} x {size[1]} (height, width). The checkpoint sees each "
        "at a size of its own, so on images of another shape they find different boxes; --size fits the file "
        "to your images"
    )


def random_images(channels: int, size: tuple[int, int]) -> Tensor:
    """(n, C, H, W) noise of several grains, so that there is something to find."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(_VERIFIED, channels, size[0] // 16, size[1] // 16, generator=generator)
    fine = torch.rand(_VERIFIED, channels, *size, generator=generator)
    return (nn.functional.interpolate(images, size, mode="bilinear") + 0.2 * fine).clamp(0.0, 1.0)


def real_images(
    args: argparse.Namespace, loaded: LoadedModel, task: Task, facts: BoxGraphFacts
) -> list[Tensor]:
    """Images of ``--data``, or of the folder that the model was trained on where that is there."""
    folder = args.data or OmegaConf.select(loaded.config, "data.folder")
    if folder is None or (args.data is None and not Path(folder).is_dir()):
        return []
    dataset = task.open_data(folder, args.subset if args.data else loaded.config.data.val)
    letterbox, rng = EvalTransforms(facts.size), np.random.default_rng(0)
    pictures = [letterbox(dataset.load(n), rng).image for n in range(min(_VERIFIED, len(dataset)))]
    canvases = [_with_channels(picture, facts.channels) for picture in pictures]
    return [torch.from_numpy(model_input(canvases))]


def _with_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    from datasets.files.colour import as_colour, as_grey

    return as_colour(picture) if channels == 3 else as_grey(picture)


def _random(args: argparse.Namespace, task: Task) -> LoadedModel:
    """The model of a config with random weights: its speed and its graph, not its answers."""
    config = load_config(args.model_config)
    require_sections(config, ("model",), args.model_config)
    torch.manual_seed(0)
    meaning = task.example_meaning(args.classes or config.get("num_classes", 80))
    model: Any = task.build_model(untrained(config.model), meaning).eval()
    for parameter in model.parameters():
        if not parameter.any():  # a layer that starts at zero would hide what lies before it
            nn.init.normal_(parameter, std=0.02)
    content = OmegaConf.to_container(config)
    assert isinstance(content, dict)
    size = content.get("size")
    transforms = {"_target_": "transforms.augment:EvalTransforms", "size": size or list(args.size or _LARGE)}
    transforms = content.get("eval_transforms", transforms)
    evaluated = OmegaConf.create({"eval_transforms": transforms, "model": content["model"]})
    return LoadedModel(model, task, meaning, evaluated, {}, args.model_config)

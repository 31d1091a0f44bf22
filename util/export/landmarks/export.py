"""A landmark model as one verified ONNX file: what tools/pytorch2onnx.py writes."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf

from datasets.files.image_files import SourceImage
from datasets.landmarks.landmark_set import load_landmark_set
from datasets.landmarks.meaning import LandmarkMeaning
from datasets.prepared.prepared import PreparedDataset
from datasets.prepared.subsets import read_header
from transforms.augment import EvalTransforms
from transforms.sample import MILLIMETRES
from util.checkpoints.checkpoint import LoadedModel, load_model
from util.config import L, instantiate, load_config, require_sections
from util.export.landmarks.graph import GraphOptions, export_graph, with_metadata
from util.export.landmarks.metadata import INPUT, RAW_INPUT, OnnxMetadata
from util.export.landmarks.onnx_model import OnnxGraph, OnnxPredictor
from util.export.landmarks.precision import halved, quantised
from util.export.landmarks.verify import displacement, verify
from util.export.program import OPSETS, advice_unheard
from util.prediction.landmarks.image_landmarks import canvas_sample, model_input
from util.prediction.landmarks.plausibility import limits_of_file
from util.prediction.landmarks.predict import LandmarkPredictor
from util.training.reproduce import environment_record
from util.training.task import Say, Task

LIMIT = 0.1  # mm or percent of the folder's unit: mean displacement that int8 or fp16 may cause
_HELD_OUT = ("test", "val", "train")  # on the first of these subsets that a folder has
_VERIFIED, _MEASURED, _CALIBRATED = 4, 16, 32  # real images


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What a landmark model's export can be asked besides."""
    parser.add_argument("--landmark-set", default="cl38", help="of --model-config (cl38)")
    parser.add_argument("--opset", type=int, default=20, help=f"{OPSETS.start} to {OPSETS.stop - 1} (20)")
    parser.add_argument("--dynamic", action="store_true", help="any batch size; otherwise 1")
    parser.add_argument("--raw", action="store_true", help="a uint8 image of any size in, its pixels out")
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument("--fp16", action="store_true", help="describe the image in float16")
    precision.add_argument(
        "--int8",
        type=Path,
        metavar="DIR",
        help="int8 convolutions, calibrated on train of this prepared folder",
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="prepared folder whose images (test, else val) verify"
    )
    parser.add_argument("--verify", action=argparse.BooleanOptionalAction, default=True)


@advice_unheard()
def exported(args: argparse.Namespace, task: Task, say: Say) -> bytes:
    """The file's content, of ``--checkpoint`` or ``--model-config``; says how far it is from the model.

    Raises ValueError when that is more than it may be.
    """
    options = GraphOptions(opset=args.opset, dynamic=args.dynamic, raw=args.raw)
    if args.checkpoint:
        loaded = load_model(args.checkpoint)
    else:
        loaded = untrained(args.model_config, args.landmark_set, task)
    metadata = describe(loaded, raw=options.raw, precision="fp32")
    images, unit = real_images(args.data or args.int8 or data_folder(loaded), _HELD_OUT, _MEASURED)
    graph = export_graph(loaded.model, metadata.size, options)
    content = with_metadata(graph, metadata)
    if args.verify:
        difference = verify(OnnxGraph(content, args.output), loaded.model, images[:_VERIFIED])
        count = len(images[:_VERIFIED])
        say(f"verified: largest difference {difference:.1e} px of the input, {count} real and random images")
    if args.fp16:
        graph = export_graph(halved(loaded.model), metadata.size, options)
        content = with_metadata(graph, describe(loaded, raw=options.raw, precision="fp16"))
    elif args.int8:
        feeds = calibration_feeds(real_images(args.int8, ("train",), _CALIBRATED)[0], metadata)
        graph = quantised(graph, loaded.model, feeds)
        content = with_metadata(graph, describe(loaded, raw=options.raw, precision="int8"))
    if args.verify and images:
        check_displacement(OnnxGraph(content, args.output), loaded, images, unit, say)
    elif args.verify and args.fp16:
        say("that was the graph in fp32: fp16 is not compared without real images, give --data DIR")
    return content


def check_displacement(
    graph: OnnxGraph, loaded: LoadedModel, images: Sequence[SourceImage], unit: str, say: Say
) -> None:
    """Say how far the graph moves the landmarks of source images; ValueError beyond the limit.

    ``unit``: what the spacing of ``images`` is in.
    """
    moved = displacement(LandmarkPredictor(loaded), OnnxPredictor(graph), images, unit)
    say(f"{graph.metadata.precision} against PyTorch on real images: {moved}")
    if not moved.lengths.mean() <= LIMIT and graph.metadata.precision != "fp32":
        raise ValueError(
            f"{graph.metadata.precision} moves landmarks by {moved.lengths.mean():.3f} {unit} on average, "
            f"expected at most {LIMIT} {unit} on images of known spacing. Nothing is written. Export in fp32."
        )


def describe(loaded: LoadedModel, *, raw: bool, precision: str) -> OnnxMetadata:
    """What the file is to say about itself."""
    transforms = instantiate(loaded.config.eval_transforms)
    if type(transforms) is not EvalTransforms:
        raise ValueError(
            f"{loaded.file}: evaluated with {type(transforms).__name__}, expected EvalTransforms: the "
            "exported file would not say how to prepare an image."
        )
    normalise = getattr(loaded.model, "normalise", None)
    record = environment_record()
    changes = " with uncommitted changes" if record["uncommitted_changes"] else ""
    trained = loaded.file.suffix != ".py"  # a config has no weights to know limits of
    limits = limits_of_file(loaded.file, len(loaded.meaning.names)) if trained else None
    shapes = loaded.meaning.landmark_shapes
    return OnnxMetadata(
        landmark_set=loaded.meaning.landmark_set,
        labels=loaded.meaning.labels,
        size=(transforms.height, transforms.width),
        mean=getattr(normalise, "mean", None),
        std=getattr(normalise, "std", None),
        precision=precision,
        raw=raw,
        checkpoint=str(loaded.file),
        commit=record["commit"] and record["commit"] + changes,
        plausibility=None if limits is None else limits.to_dict(),
        landmark_shapes=None if shapes is None else dict(shapes),
    )


def untrained(file: Path, landmark_set: str, task: Task) -> LoadedModel:
    """The model of a config with random weights: its speed and its graph, not its answers."""
    config = load_config(file)
    require_sections(config, ("model", "size"), file)
    meaning = LandmarkMeaning(load_landmark_set(landmark_set), "none: random weights")
    torch.manual_seed(0)
    model = instantiate(config.model, num_landmarks=len(meaning.names)).eval()
    for parameter in model.parameters():
        if not parameter.any():  # a layer that starts at zero would hide what lies before it
            torch.nn.init.normal_(parameter, std=0.02)
    evaluated = OmegaConf.create({"eval_transforms": L(EvalTransforms)(size=list(config.size))})
    return LoadedModel(model, task, meaning, evaluated, {}, file)


def data_folder(loaded: LoadedModel) -> Path | None:
    """The prepared folder that a checkpoint names, if it is there."""
    folder = OmegaConf.select(loaded.config, "data.folder")
    return Path(folder) if folder and (Path(folder) / "dataset.json").is_file() else None


def real_images(folder: Path | None, subsets: Sequence[str], count: int) -> tuple[list[SourceImage], str]:
    """Up to ``count`` images of a prepared folder, evenly spread over the first of ``subsets`` that it has,
    and the unit that their spacing is in.
    """
    if folder is None:
        return [], MILLIMETRES
    there = [subset for subset in subsets if subset in read_header(folder)["split"]]
    dataset = PreparedDataset(folder, (there or subsets)[0])
    chosen = np.unique(np.linspace(0, len(dataset) - 1, count).astype(int))
    samples = [dataset.load(index) for index in chosen]
    images = [SourceImage(sample.image, sample.spacing, Path(sample.case), None) for sample in samples]
    return images, dataset.unit.name


def calibration_feeds(images: Sequence[SourceImage], metadata: OnnxMetadata) -> list[dict[str, np.ndarray]]:
    """Inputs of the graph, one image each."""
    if metadata.raw:
        return [{RAW_INPUT: image.image} for image in images]
    letterbox = EvalTransforms(metadata.size)
    return [{INPUT: model_input([canvas_sample(image, letterbox)])} for image in images]

"""Add edges at full resolution to a trained mask model, and train them alone: minutes, on one core.

    python tools/refine_masks.py --checkpoint runs/jsrt/best.pt --output runs/jsrt_refined

The new checkpoint goes by test.py and inference.py like any other (docs/mask_models.md).
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

from datasets.loader import eval_loader  # noqa: E402
from datasets.masks.dataset import MaskDataset  # noqa: E402
from models.masks.refined_net import RefinedMaskNet  # noqa: E402
from transforms.augment import EvalTransforms, TrainTransforms  # noqa: E402
from transforms.intensity import Intensity  # noqa: E402
from util.arguments import positive  # noqa: E402
from util.checkpoints.checkpoint import config_of, load_checkpoint, load_model, save_checkpoint  # noqa: E402
from util.training.engine import evaluate  # noqa: E402
from util.training.masks.edge_training import seen_by, train_edges  # noqa: E402
from util.training.reproduce import seed_everything  # noqa: E402

_PLAIN, _REFINED = "models.masks.neck_net:NeckMaskNet", "models.masks.refined_net:RefinedMaskNet"


def main() -> None:
    args = parse_args()
    file = args.output / "best.pt"
    if file.exists():
        raise ValueError(f"{file}: exists already. Give another --output.")
    seed_everything(args.seed)
    loaded = load_model(args.checkpoint)
    checkpoint = load_checkpoint(args.checkpoint)
    config = refined_config(config_of(checkpoint, args.checkpoint), args)
    model = loaded.task.build_model(config.model, loaded.meaning)
    model.load_state_dict({**model.state_dict(), **checkpoint["weights"]})
    train, val = opened(config)
    loaded.task.require_same(loaded.meaning, train, args.checkpoint)
    print(f"trained: last cost {trained(model, train, config, args):.4f}")
    loader = eval_loader(val, 2, 0, collate=loaded.task.collate)
    results = evaluate(loaded.task, model, loader, "cpu")
    metrics = loaded.task.headline(results)
    words = ", ".join(f"{word} {value}" for word, value in loaded.task.words(metrics).items())
    print(f"val, at a probability of 0.5: {words}")
    weights = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    said = {"config": OmegaConf.to_yaml(config), "weights": weights, "metrics": metrics}
    save_checkpoint(file, {**checkpoint, **said, **loaded.task.beside_weights(results)})
    print(f"-> {file}")


def refined_config(config: DictConfig, args: argparse.Namespace) -> DictConfig:
    """The checkpoint's with the refined model, on a canvas ``--reduction`` times as long, and ``--data``."""
    if config.model["_target_"] != _PLAIN:
        raise ValueError(
            f"{args.checkpoint}: a model of {config.model['_target_']}, expected {_PLAIN}, as "
            "configs/masks/jsrt.py has it."
        )
    config = OmegaConf.create(OmegaConf.to_container(config, resolve=True))  # pyright: ignore
    size = [side * args.reduction for side in config.size]
    config.model = {**config.model, "_target_": _REFINED, "reduction": args.reduction}
    config.size, config.eval_transforms.size, config.train_transforms.size = size, size, size
    config.data.folder = str(args.data or config.data.folder)
    return config


def opened(config: Any) -> tuple[MaskDataset, MaskDataset]:
    """What the checkpoint was trained on, and what it was chosen by: of a fold the parts of that fold."""
    val = MaskDataset(config.data.folder, config.data.val, EvalTransforms(config.size))
    return MaskDataset(config.data.folder, config.data.train), val


def trained(model: RefinedMaskNet, train: MaskDataset, config: Any, args: argparse.Namespace) -> float:
    """Draw augmented images of train, as configs/masks/parts/augmentation.py has it, and train on them."""
    turned = TrainTransforms(
        config.size,
        zoom=(0.85, 1.18),
        rotation=10.0,
        intensity=Intensity(strength=0.5, invert=0.0, cutout=0.0),
        artefacts=0.0,
    )
    order = np.random.default_rng(args.seed).permutation(len(train))[: args.images]
    samples = (turned(train.load(int(n)), np.random.default_rng([args.seed, int(n)])) for n in order)
    seen = list(seen_by(model, samples))
    print(f"{len(seen)} images seen")
    return train_edges(model, seen, steps=args.steps, seed=args.seed)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="best.pt of a NeckMaskNet")
    parser.add_argument("--output", type=Path, required=True, help="folder of the new best.pt")
    parser.add_argument("--data", type=Path, help="prepared folder (default: that of the training)")
    parser.add_argument("--reduction", type=positive(int), default=3, help="new canvas / trained canvas (3)")
    parser.add_argument("--steps", type=positive(int), default=250, help="of six images (250)")
    parser.add_argument("--images", type=positive(int), default=200, help="at most so many, in memory (200)")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"refine_masks: {error}")

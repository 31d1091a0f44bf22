"""Pre-train backbone and neck on X-rays without labels: restore what was painted over.

    python tools/pretrain_restoration.py --config-file configs/train_config.py --output runs/restored.pt
    python main.py --config-file ... --init-checkpoint runs/restored.pt 'train.init_parts=[backbone,neck]'

Half of each image is hidden behind grey squares, and a linear layer on the neck's finest map draws the local
contrast of the whole (after masked autoencoders, He et al., 2022, and Models Genesis, Zhou et al., 2019).
Only the images of ``data.train`` are read, not their landmarks.
"""

import argparse
import logging
import sys
from pathlib import Path

import cv2
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from datasets.loader import TrainSampler, train_loader
from datasets.prepared import PreparedDataset
from models.landmark_detr import LandmarkDetr
from models.normalisation import LocalContrast
from util.checkpoint import FORMAT, save_checkpoint
from util.config import instantiate, load_config
from util.training.optim import learning_rate_factor, parameter_groups
from util.training.reproduce import make_deterministic, seed_everything
from util.training.settings import TrainSettings

logger = logging.getLogger(__name__)

_STRIDE = 4  # of the neck's finest map
_CLIP = 3.0  # local standard deviations


class Restoration(nn.Module):
    """A landmark DETR's backbone and neck with a layer that draws the image.

    ``square``: side of the squares that hide the image, as a share of its height; ``hidden``: share of them.
    """

    def __init__(self, model: LandmarkDetr, fine_dim: int, *, square: float, hidden: float) -> None:
        super().__init__()
        self.backbone, self.neck, self.normalise = model.backbone, model.neck, model.normalise
        self.draw = nn.Conv2d(fine_dim, _STRIDE**2, 1)
        self.square, self.hidden = square, hidden

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 1, H, W) in [0, 1] -> drawn local contrast, the true one, and 1 where it was hidden."""
        target = LocalContrast()(images).clamp(-_CLIP, _CLIP)
        hidden = self._hide(images)
        seen = self.normalise(torch.where(hidden, images.mean((2, 3), keepdim=True), images))
        drawn = F.pixel_shuffle(self.draw(self.neck(self.backbone(seen)).fine), _STRIDE)
        return drawn, target, hidden.float()

    def _hide(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        side = max(1, round(self.square * height))
        cells = torch.rand(len(images), 1, -(-height // side), -(-width // side)) < self.hidden
        squares = cells.repeat_interleave(side, 2).repeat_interleave(side, 3)
        return squares[..., :height, :width].to(images.device)


def main() -> None:
    args = parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    cfg = load_config(args.config_file, args.overrides)
    settings = TrainSettings.from_config(cfg.train)
    make_deterministic()
    data = PreparedDataset(cfg.data.folder, cfg.data.train, instantiate(cfg.train_transforms), settings.seed)
    seed_everything(settings.seed)
    model = instantiate(cfg.model, num_landmarks=len(data.landmark_set))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    fine_dim = model.heatmap.classify.in_channels
    restoration = Restoration(model, fine_dim, square=args.square, hidden=args.hidden).to(device)
    optimizer = instantiate(cfg.optimizer, params=parameter_groups(restoration))
    rates = [group["lr"] for group in optimizer.param_groups]
    batches = iter(train_loader(data, TrainSampler(len(data), settings.batch_size, seed=settings.seed), 1))
    precision = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[settings.mixed_precision]
    images = torch.empty(0)
    for step in tqdm(range(settings.iterations), mininterval=10.0, unit="it"):
        factor = learning_rate_factor(step, iterations=settings.iterations, warmup=settings.warmup)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = factor * rate
        images = next(batches).images.to(device)
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            drawn, target, hidden = restoration(images)
        error = (drawn.float() - target).abs()
        loss = ((0.25 + hidden) * error).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(restoration.parameters(), settings.clip_norm)
        optimizer.step()
        if (step + 1) % settings.log_every == 0:
            inside = (hidden * error).sum() / hidden.sum()
            logger.info("step %d: error where hidden %.4f", step + 1, inside.item())
    content = {"config": OmegaConf.to_yaml(cfg), "landmark_set": data.landmark_set.to_dict(), "metrics": {}}
    content |= {"format": FORMAT, "labels": "none", "weights": model.cpu().state_dict()}
    save_checkpoint(args.output, content | {"iteration": settings.iterations})
    if args.picture is not None:
        save_picture(restoration.cpu().eval(), images.cpu(), args.picture)


@torch.no_grad()
def save_picture(restoration: Restoration, images: Tensor, file: Path) -> None:
    """Rows of three images: what the network sees, draws, and what is true."""
    drawn, target, hidden = restoration(images)
    seen = torch.where(hidden > 0, 0.0, target)
    rows = torch.cat([torch.cat(list(part[:4, 0]), 1) for part in (seen, drawn, target)], 0)
    grey = (255.0 * (rows / (2.0 * _CLIP) + 0.5).clamp(0, 1)).byte().numpy()
    cv2.imwrite(str(file), grey)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="config values")
    parser.add_argument("--config-file", default="configs/train_config.py")
    parser.add_argument("--output", type=Path, required=True, help="checkpoint to write")
    parser.add_argument("--picture", type=Path, help="PNG of the last batch: seen, drawn, true")
    parser.add_argument("--square", type=float, default=0.0625, help="side of a hidden square (0.0625)")
    parser.add_argument("--hidden", type=float, default=0.5, help="share that is hidden (0.5)")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    main()

"""Rows of docs/ledger.md, each told by its difference from another row or from a config file.

    python main.py --config-file configs/experiments/table.py:parts/l1 [key=value ...]

A row writes to runs/NAME with "_" for "/" unless it says otherwise.
"""

from pathlib import Path

from models.boxes.corrections import Corrections
from models.boxes.refinement import BoxRefinement
from models.normalisation import LocalContrast
from util.config import L, Row

_CONFIGS = Path(__file__).parent.parent
_DEFAULT = _CONFIGS / "train_config.py"
_OWN = _CONFIGS / "own_data.py"
_TEETH = _CONFIGS / "boxes" / "teeth.py"
_UNET_RESNET18 = _CONFIGS / "models" / "unet_resnet18.py"
_UNET_RESNET34 = _CONFIGS / "models" / "unet_resnet34.py"
_HRNET_W32 = _CONFIGS / "models" / "hrnet_w32.py"
_AFTER_PHANTOMS = {"train.init_checkpoint": "runs/pretraining_phantom/best.pt"}

rows = {
    # CL-Detection 2023's 38 landmarks (tools/prepare_cl_detection2023.py), selected by SDR 2 mm.
    "cl_detection2023": Row(
        _DEFAULT,
        {"data.folder": "data/cl38", "train.output_dir": "runs/cl38_resnet18", "train.select": "sdr2"},
    ),
    # 25 training images at 512x416.
    "images_25": Row(_DEFAULT, {"data.train": "train:25", "train.iterations": 1000, "train.eval_every": 250}),
    # 500 steps of larger shifts from the default experiment.
    "larger_shifts_isbi2015": Row(
        _DEFAULT,
        {
            "optimizer.lr": 3e-4,
            "train_transforms.intensity.strength": 2.0,
            "train_transforms.zoom": (0.7, 1.4),
            "train_transforms.artefacts": 0.4,
            "train_transforms.capital": 0.1,
            "train.init_checkpoint": "runs/isbi2015_resnet18/best.pt",
            "train.iterations": 500,
            "train.eval_every": 100,
        },
    ),
    # The same from the 38 landmarks of "cl_detection2023": the weights that ship.
    "larger_shifts_cl38": Row(
        "larger_shifts_isbi2015",
        {
            "data.folder": "data/cl38",
            "train.init_checkpoint": "runs/cl38_resnet18/best.pt",
            "train.select": "sdr2",
        },
    ),
    # 500 steps more with devices of other machines in front of the head: the 19 landmarks that ship.
    "devices_isbi2015": Row(
        "larger_shifts_isbi2015",
        {
            "train_transforms.devices": 0.3,
            "train.init_checkpoint": "runs/larger_shifts_isbi2015/last.pt",
            "train.eval_every": 125,
        },
    ),
    # All of that in one training from ImageNet weights: model.backbone.weights=FILE or .pretrained=true.
    "imagenet_isbi2015": Row(
        "devices_isbi2015",
        {
            "optimizer.lr": 7e-4,
            "train.init_checkpoint": None,
            "train.iterations": 1200,
            "train.eval_every": 300,
        },
        model=_CONFIGS / "models" / "landmark_detr_lite0.py",
    ),
    "imagenet_cl38": Row(
        "imagenet_isbi2015",
        {
            "data.folder": "data/cl38",
            "train.iterations": 650,
            "train.eval_every": 325,
            "train.select": "sdr2",
        },
    ),
    # A larger input for the 38 landmarks: 400 steps at 768x640 from the weights that ship.
    "cl38_768": Row(
        "larger_shifts_cl38",
        {
            "size": (768, 640),
            "train_transforms.intensity.grain": 1.5,
            "train.init_checkpoint": "weights/cephdetr38.safetensors",
            "train.iterations": 400,
        },
    ),
    # 500 steps more from the weights of 19 landmarks, with pictures so hard that soft tissue is black.
    "hard_isbi2015": Row(
        "larger_shifts_isbi2015",
        {
            "train_transforms.intensity.hard": 0.3,
            "train_transforms.intensity.invert": 0.1,
            "train_transforms.artefacts": 0.5,
            "train.init_checkpoint": "weights/cephdetr19.safetensors",
        },
    ),
    # The ledger: the default experiment at 256x224, on which ideas are ranked in twenty minutes.
    "ledger/base": Row(_DEFAULT, {"size": (256, 224), "train.iterations": 1500, "train.eval_every": 500}),
    # Local contrast in place of grey values: soft tissue is dark, and exposures differ.
    "ledger/contrast": Row("ledger/base", {"model.normalise": L(LocalContrast)()}),
    # Elastic deformation: other heads from the same X-ray.
    "ledger/elastic": Row("ledger/base", {"train_transforms.elastic": 0.01}),
    # A deeper backbone.
    "ledger/resnet34": Row("ledger/base", {"model.backbone.name": "resnet34"}),
    # The heatmap baseline, and with a deeper encoder.
    "ledger/unet": Row("ledger/base", model=_UNET_RESNET18),
    "ledger/unet_resnet34": Row("ledger/base", model=_UNET_RESNET34),
    # The other heatmap baseline, with the steps that fit into the minutes of the base.
    "ledger/hrnet_w32": Row(
        "ledger/base", {"train.iterations": 600, "train.eval_every": 200}, model=_HRNET_W32
    ),
    # The landmark DETR over HRNet-W32, with the steps of the HRNet-W32 heatmaps.
    "ledger/hrnet_w32_detr": Row(
        "ledger/base",
        {"model.backbone.name": "hrnet_w32", "train.iterations": 600, "train.eval_every": 200},
    ),
    # Few training images.
    "ledger/images_25": Row(
        "ledger/base", {"data.train": "train:25", "train.iterations": 1000, "train.eval_every": 250}
    ),
    "ledger/images_50": Row("ledger/images_25", {"data.train": "train:50"}),
    "ledger/unet_images_25": Row("ledger/images_25", model=_UNET_RESNET18),
    "ledger/unet_images_50": Row("ledger/images_50", model=_UNET_RESNET18),
    # The base on 38 landmarks: CL-Detection 2023, selected by SDR 2 mm.
    "ledger/cl38": Row(
        "ledger/base",
        {
            "data.folder": "data/cl38",
            "train.select": "sdr2",
            "train.iterations": 1000,
            "train.eval_every": 200,
        },
    ),
    "ledger/cl38_resnet34": Row("ledger/cl38", {"model.backbone.name": "resnet34"}),
    "ledger/cl38_unet": Row("ledger/cl38", model=_UNET_RESNET18),
    "ledger/cl38_unet_resnet34": Row("ledger/cl38", model=_UNET_RESNET34),
    # Heatmaps of twice the resolution.
    "ledger/cl38_unet_stride2": Row(
        "ledger/cl38",
        {
            "model.trunk.stride": 2,
            "model.trunk.decoder_channels": (256, 128, 64, 32),
            "model.codec.stride": 2,
        },
        model=_UNET_RESNET18,
    ),
    # The steps that fit into the minutes of the DETR.
    "ledger/cl38_hrnet_w32": Row(
        "ledger/cl38", {"train.iterations": 400, "train.eval_every": 100}, model=_HRNET_W32
    ),
    # The parts: 38 landmarks at 256x224, 500 steps, on which parts are ranked in ten minutes.
    "parts/base": Row("ledger/cl38", {"train.iterations": 500, "train.eval_every": 250}),
    # The encoder updates all tokens, salient or not.
    "parts/all_tokens": Row("parts/base", {"model.encoder.level_ratios": (1.0, 1.0, 1.0, 1.0)}),
    # From a training on phantoms ("pretraining/phantom").
    "parts/from_phantoms": Row("parts/base", _AFTER_PHANTOMS),
    # Training without changed grey values, zoom, rotation, or burnt-in text and markers.
    "parts/grey_values_kept": Row("parts/base", {"train_transforms.intensity.strength": 0.0}),
    "parts/one_size": Row("parts/base", {"train_transforms.zoom": (1.0, 1.0)}),
    "parts/upright": Row("parts/base", {"train_transforms.rotation": 0.0}),
    "parts/nothing_burnt_in": Row("parts/base", {"train_transforms.artefacts": 0.0}),
    # GroupNorm in place of BatchNorm in backbone and neck, from scratch.
    "parts/group_norm": Row("parts/base", {"model.backbone.norm": "group"}),
    # L1 alone, without uncertainty; the Laplace likelihood alone.
    "parts/l1": Row("parts/base", {"criterion.likelihood_weight": 0.0, "criterion.l1_weight": 0.4}),
    "parts/laplace": Row("parts/base", {"criterion.likelihood_weight": 0.4, "criterion.l1_weight": 0.0}),
    # No moving average of the weights; no denoising queries in training.
    "parts/no_average": Row("parts/base", {"train.ema_decay": 0.0}),
    "parts/no_denoising": Row("parts/base", {"criterion.denoising_weight": 0.0}),
    # Three decoder layers in place of one.
    "parts/three_layers": Row("parts/base", {"model.decoder.num_layers": 3}),
    # A third ROI stage before the two, of twice the window; both windows half as large again.
    "parts/wide_stage": Row("parts/base", {"model.roi_windows": (0.047, 0.0235, 0.008)}),
    "parts/wider_windows": Row("parts/base", {"model.roi_windows": (0.035, 0.012)}),
    # Phantoms to start from: tools/prepare_phantom.py --train 1500 --val 40 --test 200 --size 512.
    "pretraining/phantom": Row(
        "ledger/base",
        {"data.folder": "data/phantom1500", "train.iterations": 1000, "train.eval_every": 250},
    ),
    # ISBI 2015 at 256x224 after phantoms, a third of the base's steps; with 25 training images.
    "pretraining/isbi2015_from_phantoms": Row(
        "ledger/base",
        {
            "train.output_dir": "runs/isbi2015_from_phantoms",
            "train.iterations": 500,
            "train.eval_every": 125,
            **_AFTER_PHANTOMS,
        },
    ),
    "pretraining/images_25_from_phantoms": Row(
        "pretraining/isbi2015_from_phantoms",
        {"data.train": "train:25", "train.output_dir": "runs/images_25_from_phantoms"},
    ),
    # 38 landmarks with larger shifts at 512x416, from 256x224 ("parts/from_phantoms") and so from phantoms.
    "pretraining/cl38_512": Row(
        "larger_shifts_cl38",
        {
            "train.output_dir": "runs/cl38_512_from_phantoms",
            "train.init_checkpoint": "runs/parts_from_phantoms/best.pt",
            "train.eval_every": 250,
        },
    ),
    # Any landmarks: 68 corners of 17 vertebrae, whose mirror image exchanges its pairs (docs/own_data.md).
    "own/spine68": Row(
        _OWN,
        {
            "data.folder": "data/spine68",
            "size": "auto:192",
            "train_transforms.flip": 0.5,
            "train_transforms.rotation": 8.0,
            "train_transforms.zoom": (0.85, 1.12),
            "train.iterations": 400,
            "train.eval_every": 100,
        },
    ),
    # 3.5 times the steps, from the weights that ship.
    "own/spine68_long": Row(
        "own/spine68",
        {
            "train.init_checkpoint": "weights/cephdetr19.safetensors",
            "train.iterations": 1400,
            "train.eval_every": 200,
        },
    ),
    # And then on a canvas of 2.8 times the pixels, where end plates can be told apart and counted together.
    "own/spine68_large": Row(
        "own/spine68_long",
        {
            "size": "auto:320",
            "model.search_window": "auto",
            "optimizer.lr": 4e-4,
            "train.init_checkpoint": "runs/own_spine68_long/best.pt",
            "train.batch_size": 4,
            "train.iterations": 1000,
            "train.ema_decay": 0.995,
        },
    ),
    "own/spine68_unet": Row("own/spine68", model=_UNET_RESNET18),
    # Ten points of a chest; its heart's two have no partner among the pairs, so no mirror images.
    "own/chest10": Row(
        "own/spine68",
        {"data.folder": "data/chest10", "train_transforms.flip": 0.0, "train.iterations": 300},
    ),
    "own/chest10_unet": Row("own/chest10", model=_UNET_RESNET18),
    # The 19 points of ISBI 2015 on as small a canvas, beside spines and chests in one model.
    "own/isbi19": Row("own/chest10", {"data.folder": "data/isbi2015"}),
    # And the 38 of CL-Detection 2023, whose first 19 are the same points by other hands.
    "own/cl38": Row("own/chest10", {"data.folder": "data/cl38"}),
    # Boxes of teeth (tools/prepare_coco.py): short trainings from scratch, to be given other starts.
    "boxes/teeth_short": Row(
        _TEETH, {"train.iterations": 480, "train.eval_every": 480, "train.ema_decay": 0.99}
    ),
    # The same with a second look at the best boxes.
    "boxes/teeth_refined": Row(
        "boxes/teeth_short", {"model.refinement": L(BoxRefinement)(embed_dim="${embed_dim}")}
    ),
    # Without one correction of the published detector (docs/boxes.md).
    "boxes/no_border_cells": Row(
        "boxes/teeth_short", {"model.corrections": L(Corrections)(border_cells=False)}
    ),
    "boxes/no_bounded_priority": Row(
        "boxes/teeth_short", {"model.corrections": L(Corrections)(bounded_priority=False)}
    ),
    "boxes/no_normed_references": Row(
        "boxes/teeth_short", {"model.corrections": L(Corrections)(normed_references=False)}
    ),
    "boxes/no_add_scores": Row("boxes/teeth_short", {"model.corrections": L(Corrections)(add_scores=False)}),
}

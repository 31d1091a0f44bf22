"""Small chests as the files that people have, and the tool that prepares masks within this process."""

import contextlib
import importlib.util
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from tests.support.tiny_masks import CHEST, SIZE, chest_case

NUMBERS = range(12)


SPEC: Any = importlib.util.spec_from_file_location(
    "prepare_masks", Path(__file__).resolve().parents[2] / "tools/prepare_masks.py"
)


TOOL = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOOL)


def write_images(folder: Path, numbers=NUMBERS) -> Path:
    folder.mkdir(parents=True)
    for number in numbers:
        cv2.imwrite(str(folder / f"chest{number}.png"), chest_case(number).image)
    return folder


def masks_of(number: int) -> dict[str, np.ndarray]:
    return {
        name: shape.mask(SIZE) for name, shape in zip(CHEST.classes, chest_case(number).shapes, strict=True)
    }


def write_pngs(folder: Path, *, zoom: float = 1.0, absent: tuple[str, ...] = ("clavicle",)) -> Path:
    """A folder a class; a mask without pixels of the classes in ``absent`` is not written at all."""
    for number in NUMBERS:
        for name, mask in masks_of(number).items():
            if name in absent and not mask.any():
                continue
            (folder / name).mkdir(parents=True, exist_ok=True)
            size = round(SIZE[0] * zoom), round(SIZE[1] * zoom)
            resized = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_NEAREST)
            cv2.imwrite(str(folder / name / f"chest{number}.png"), resized)
    return folder


def chains_of(mask: np.ndarray) -> list[list[list[int]]]:
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [contour[:, 0].tolist() for contour in found]


def write_polygons(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for number in NUMBERS:
        entries = [
            {"label": name, "points": chain}
            for name, mask in masks_of(number).items()
            for chain in chains_of(mask)
        ]
        data = {
            "annotations": entries,
            "filename": "elsewhere.jpg",
            "metadata": {"width": 3060, "height": 3060},
        }
        (folder / f"chest{number}.json").write_text(json.dumps(data))
    return folder


def write_coco(file: Path, *, compressed: bool) -> Path:
    images, entries = [], []
    for number in NUMBERS:
        images.append(
            {"id": 50 + number, "file_name": f"x/chest{number}.jpg", "width": SIZE[0], "height": SIZE[1]}
        )
        for k, mask in enumerate(masks_of(number).values()):
            code = coco.encode(np.asfortranarray(mask, np.uint8))
            code["counts"] = code["counts"].decode()
            if not compressed:
                flat = mask.ravel(order="F").astype(int)
                edges = np.flatnonzero(np.diff(flat, prepend=0))
                code["counts"] = np.diff([0, *edges, len(flat)]).tolist()
            entries.append(
                {"id": len(entries), "image_id": 50 + number, "category_id": 7 + k, "segmentation": code}
            )
    categories = [{"id": 7 + k, "name": name} for k, name in enumerate(CHEST.classes)]
    file.write_text(json.dumps({"images": images, "annotations": entries, "categories": categories}))
    return file


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def prepare(folder: Path, *arguments: object) -> Done:
    """The tool within this process, which imports torch once; one test below runs it as people do."""
    return prepared("--images", folder / "images", "--output", folder / "out", *arguments)


def prepared(*arguments: object) -> Done:
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.setattr(sys, "argv", ["prepare_masks.py", *map(str, arguments)])
        try:
            TOOL.main()
        except ValueError as error:
            return Done(1, out.getvalue(), str(error))
    return Done(0, out.getvalue(), "")

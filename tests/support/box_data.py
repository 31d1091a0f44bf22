"""Small COCO data sets for tests: coloured or grey images with bright rectangles where the boxes are."""

import json
from pathlib import Path

import cv2
import numpy as np

CATEGORIES = [{"id": 7, "name": "tooth left"}, {"id": 3, "name": "tooth right"}, {"id": 90, "name": "plate"}]
BOXES = {  # of each image: category, left, top, width, height
    "a": [(3, 2.0, 3.0, 10.0, 8.0), (7, 20.0, 3.0, 10.0, 8.0), (90, 4.5, 15.25, 20.0, 6.0)],
    "b": [(90, 10.0, 10.0, 12.0, 5.0)],
    "c": [],
}
SIZE = (40, 30)  # width, height


def coco_data(names=("a", "b", "c")) -> dict:
    """A COCO file's content; image ids are 11, 12, 13."""
    images = [
        {"id": 11 + number, "file_name": f"{name}.png", "width": SIZE[0], "height": SIZE[1]}
        for number, name in enumerate(names)
    ]
    annotations = [
        {
            "image_id": 11 + number,
            "category_id": category,
            "bbox": list(box),
            "area": box[2] * box[3],
            "iscrowd": 0,
        }
        for number, name in enumerate(names)
        for category, *box in BOXES[name]
    ]
    annotations = [{"id": number, **item} for number, item in enumerate(annotations, start=1)]
    return {
        "images": images,
        "annotations": annotations,
        "categories": [dict(category) for category in CATEGORIES],
    }


def picture(name: str, *, colour: bool = True) -> np.ndarray:
    """(H, W[, 3]) dark noise of its own with the boxes of ``name`` bright."""
    rng = np.random.default_rng(ord(name[0]))
    image = cv2.GaussianBlur(rng.integers(0, 120, (SIZE[1], SIZE[0], 3), np.uint8), (0, 0), 1.5)
    for _, left, top, width, height in BOXES.get(name, ()):
        image[round(top) : round(top + height), round(left) : round(left + width)] = (230, 160, 90)
    return image if colour else image[..., 0]


def write_coco(folder: Path, *, colour: bool = True, names=("a", "b", "c"), subset: str = "train") -> Path:
    """COCO in its usual folders; the annotation file's path."""
    images = folder / f"{subset}2017"
    images.mkdir(parents=True, exist_ok=True)
    for name in names:
        image = picture(name, colour=colour)
        cv2.imwrite(str(images / f"{name}.png"), image[..., ::-1] if colour else image)
    file = folder / "annotations" / f"instances_{subset}2017.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(coco_data(names)))
    return file

"""Writing the prepared layout of boxes: a COCO file a split, PNG images, ``dataset.json``.

Boxes are in COCO's own convention, left, top, width and height in continuous pixels: there is nothing to
convert. Ids of images and categories stay those of the source, so that results fit its tools.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from datasets.boxes.box_dataset import read_sized
from datasets.boxes.class_set import BoxClasses
from datasets.boxes.objects import BoxRecord
from datasets.files.colour import as_colour, as_grey, shows_colour
from datasets.files.image_files import spacing_of
from datasets.prepared.folder import PreparedFolder, write_json
from transforms.geometry import scale, warp_image

COORDINATES = "COCO: bbox is left, top, width, height in continuous pixels; the image spans [0, width]"
_DECIMALS = 8  # of a pixel, in files: no box that was read becomes empty or equal to another


def read_record(record: BoxRecord) -> np.ndarray:
    """The picture of a record from its file, grey or RGB."""
    return read_sized(record.file, record.size)


def write_boxes(
    folder: str | Path,
    splits: Mapping[str, Sequence[BoxRecord]],
    classes: BoxClasses,
    *,
    about: Mapping[str, Any],
    longer_side: int = 0,
    colour: bool | None = None,
    read: Callable[[BoxRecord], np.ndarray] = read_record,
) -> None:
    """Write a whole prepared folder, or nothing; one image is in memory at a time.

    ``read`` gives the image of a record; it is asked in the order of the splits and their records.

    ``about`` is what else ``dataset.json`` tells: created_by, source_files, labels, seed. ``longer_side``
    shrinks larger images to it, 0 keeps them. ``colour`` None: RGB if any image shows colour, else grey.
    """
    records = [record for part in splits.values() for record in part]
    if colour is None:
        colour = any(shows_colour(read(record)) for record in records)
    with PreparedFolder(folder) as target:
        names = _names(splits)
        for split, part in splits.items():
            images, annotations = [], []
            for record in map(_with_spacing, part):
                name = names[split, record.image_id]
                image, ratio = _stored(record, read(record), longer_side, colour)
                target.add_image(split, name, image)
                images.append(_image_entry(record, name, image))
                annotations += _annotations(record, classes, ratio, first=len(annotations) + 1)
            data = {"images": images, "annotations": annotations, "categories": _categories(classes)}
            write_json(target.partial / "annotations" / f"{split}.json", data)
        target.finish(
            {"box_classes": classes.to_dict(), "colour": colour, **about, "coordinates": COORDINATES}
        )


def _with_spacing(record: BoxRecord) -> BoxRecord:
    """``record`` with the spacing that its file says, where the annotations say none."""
    if np.isfinite(record.spacing).all() or not record.file.is_file():
        return record
    try:
        return replace(record, spacing=spacing_of(record.file))
    except ValueError:  # oblong pixels of no length: inference asks for it, here it stays unknown
        return record


def _stored(
    record: BoxRecord, image: np.ndarray, longer_side: int, colour: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The image as it will be stored, and the (2,) factors by which it was shrunk along x and y."""
    image = as_colour(image) if colour else as_grey(image)
    if longer_side <= 0 or max(record.size) <= longer_side:
        return image, np.ones(2)
    factor = longer_side / max(record.size)
    size = np.maximum(np.round(np.array(record.size) * factor), 1).astype(int)
    ratio = size / np.array(record.size)  # exact per axis: sizes are whole pixels
    return warp_image(image, scale(*ratio), (int(size[0]), int(size[1]))), ratio


def _image_entry(record: BoxRecord, name: str, image: np.ndarray) -> dict[str, Any]:
    width, height = record.size
    stored = np.array(image.shape[1::-1])
    spacing = record.spacing * record.size / stored
    return {
        "id": record.image_id,
        "file_name": f"{name}.png",
        "width": int(stored[0]),
        "height": int(stored[1]),
        "spacing": None if np.isnan(spacing).any() else spacing.tolist(),
        "source_file": record.file.name,
        "source_width": width,
        "source_height": height,
    }


def _annotations(
    record: BoxRecord, classes: BoxClasses, ratio: np.ndarray, *, first: int
) -> Iterable[dict[str, Any]]:
    boxes = record.boxes * np.tile(ratio, 2)
    sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    ids = classes.category_ids(record.labels)
    for row, (box, category, ignored) in enumerate(zip(sides, ids, record.ignored, strict=True)):
        yield {
            "id": first + row,
            "image_id": record.image_id,
            "category_id": int(category),
            "bbox": np.round(box, _DECIMALS).tolist(),
            "area": round(float(record.areas[row] * ratio.prod()), _DECIMALS),
            "iscrowd": int(ignored),
        }


def _categories(classes: BoxClasses) -> list[dict[str, Any]]:
    return [{"id": number, "name": name} for number, name in zip(classes.ids, classes.names, strict=True)]


def _names(splits: Mapping[str, Sequence[BoxRecord]]) -> dict[tuple[str, int], str]:
    """A file name for each image: that of the source, with its split or id before it where two share one."""
    keys = [(split, record.image_id) for split, part in splits.items() for record in part]
    stems = [record.file.stem for part in splits.values() for record in part]
    plain = [re.sub(r"[^A-Za-z0-9._-]", "_", stem).lstrip(".-") or "image" for stem in stems]
    names = plain
    for longer in (
        [f"{split}_{name}" for (split, _), name in zip(keys, plain, strict=True)],
        [f"{split}_{number}_{name}" for (split, number), name in zip(keys, plain, strict=True)],
    ):
        count = Counter(names)
        names = [other if count[name] > 1 else name for name, other in zip(names, longer, strict=True)]
    return dict(zip(keys, names, strict=True))

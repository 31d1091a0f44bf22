"""Pictures of boxes as training sees them."""

from types import SimpleNamespace

import cv2
import numpy as np

from datasets.boxes.box_dataset import open_boxes
from tests.support.box_data import write_coco
from transforms.augment import TrainTransforms
from util.inspection.boxes.data_pictures import case_picture, chosen, data_pictures
from util.reporting.boxes.box_pictures import draw_boxes


def test_every_picture_of_a_coco_folder_is_made(tmp_path):
    write_coco(tmp_path)
    args = SimpleNamespace(data=tmp_path, subset="train", count=3, draws=3, seed=0, sheet=10)
    said = []
    pictures = dict(data_pictures({"train_transforms": TrainTransforms((64, 64))}, args, said.append))
    assert list(pictures) == ["a", "a_augmented", "b", "b_augmented", "classes", "sizes", "contact_sheet"]
    for content in pictures.values():
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        assert min(image.shape[:2]) > 200 and image.std() > 5
    assert said == ["1 of 3 images have no box; they are trained on as background."]


def test_boxes_are_drawn_where_they_lie_at_any_size(tmp_path):
    write_coco(tmp_path, colour=False)
    sample = open_boxes(tmp_path, "train").load(1)  # one box from 10, 10 to 22, 15 of 40x30 pixels
    drawn = case_picture(sample, 400).astype(int)
    red = np.argwhere((drawn[..., 0] > 180) & (drawn[..., 1] < 90) & (drawn[..., 2] < 90))
    assert abs(red[:, 0].max() - 150) <= 2 and abs(red[:, 1].min() - 100) <= 2


def test_names_beyond_ascii_can_be_read():
    """OpenCV writes a question mark for every letter that it does not know: all of them look alike."""
    drawn = {}
    for name in ("кот", "пёс", "???", "cat"):
        canvas = np.zeros((60, 80, 3), np.uint8)
        draw_boxes(canvas, np.array([[10.0, 30.0, 60.0, 55.0]]), (0, 200, 0), [f"{name} 0.50"])
        drawn[name] = canvas
        edge = np.zeros((3, 2, 3), np.uint8)
        draw_boxes(edge, np.array([[0.0, 0.0, 2.0, 3.0]]), (0, 200, 0), [name])
    assert len({canvas.tobytes() for canvas in drawn.values()}) == 4
    filled = [np.argwhere(canvas.any(-1)).min(0) for canvas in drawn.values()]
    assert np.ptp(filled, axis=0).max() <= 4, "the patches are about as high"
    dark = [(canvas[:29, :, 1] > 0).sum() - (canvas[:29, :, 1] == 200).sum() for canvas in drawn.values()]
    assert min(dark) > 20, "letters are on each"


def test_chosen_images_have_boxes_where_any_has(tmp_path):
    write_coco(tmp_path)
    dataset = open_boxes(tmp_path, "train")
    assert chosen(dataset, 5, 0) == [0, 1] and len(chosen(dataset, 1, 3)) == 1

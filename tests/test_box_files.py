"""COCO, YOLO and Pascal VOC reach training alike, and what is wrong in them gets a sentence."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from PIL import Image
from tifffile import TiffWriter

from datasets.boxes.batch import collate_boxes
from datasets.boxes.box_dataset import open_boxes
from datasets.boxes.coco_folder import find_image
from datasets.files.colour import as_grey, picture_size, read_picture
from datasets.files.image_files import read_images
from datasets.prepared.prepared import PreparedDataset
from tests.support.box_data import BOXES, CATEGORIES, SIZE, coco_data, picture, write_coco
from tests.support.run_scripts import run_scripts
from tests.support.xray_files import write_dicom as write_xray
from transforms.augment import EvalTransforms
from util.prediction.boxes.image_boxes import source_sample

TOOL = "tools/prepare_coco.py"
IDS = (3, 7, 90)


def edited(folder: Path, change: Callable[[dict], object]) -> Path:
    """A COCO data set whose annotation file was changed."""
    file = write_coco(folder)
    data = coco_data()
    change(data)
    file.write_text(json.dumps(data))
    return file


def arguments(file: Path, out: Path, *more: object) -> list[object]:
    return [TOOL, "--train", file, "--images", file.parents[1] / "train2017", "--output", out, *more]


def stated(name: str) -> list[list[float]]:
    """Label, left, top, right, bottom of the boxes of an image."""
    return [[IDS.index(number), x, y, x + w, y + h] for number, x, y, w, h in BOXES[name]]


def found(sample) -> list[list[float]]:
    return [[label, *box] for label, box in zip(sample.labels.tolist(), sample.boxes.tolist(), strict=True)]


def test_coco_as_it_lies(tmp_path):
    write_coco(tmp_path)
    dataset = open_boxes(tmp_path, "train")
    assert dataset.cases == ("a", "b", "c") and dataset.classes.ids == IDS
    assert dataset.classes.names == ("tooth right", "tooth left", "plate") and dataset.classes.pairs == (
        (0, 1),
    )
    for index, name in enumerate("abc"):
        sample = dataset.load(index)
        assert found(sample) == stated(name)
        assert np.array_equal(sample.image, picture(name))
    assert [record.image_id for record in dataset.records] == [11, 12, 13]
    assert len(collate_boxes([dataset[0], dataset[2]])) == 2  # an image without objects trains too


def test_a_prepared_folder_says_the_same(tmp_path):
    file = write_coco(tmp_path / "coco")
    (done,) = run_scripts([arguments(file, tmp_path / "out")])
    assert done.returncode == 0, done.stderr
    assert "train: 3 images, 4 boxes" in done.stdout
    assert "a mirror image exchanges: tooth right and tooth left\n" in done.stdout
    first, second = open_boxes(tmp_path / "coco", "train"), open_boxes(tmp_path / "out", "train")
    assert first.classes == second.classes
    for index in range(3):
        one, other = first.load(index), second.load(index)
        assert found(one) == found(other) and np.array_equal(one.image, other.image)
        assert np.array_equal(one.areas, other.areas)
    assert len(open_boxes(tmp_path / "out", "train:2")) == 2  # drawn as for landmarks
    with pytest.raises(ValueError, match="boxes are annotated, expected landmarks"):
        PreparedDataset(tmp_path / "out", "train")


def test_grey_pictures_are_stored_grey_and_can_be_shrunk(tmp_path):
    file = write_coco(tmp_path / "coco", colour=False)
    image = tmp_path / "coco/train2017/a.png"
    Image.fromarray(np.asarray(Image.open(image))).convert("RGB").save(image)  # grey stored as RGB
    out = tmp_path / "out"
    (done,) = run_scripts([arguments(file, out, "--size", 20)])
    assert done.returncode == 0, done.stderr
    sample = open_boxes(out, "train").load(0)
    assert sample.image.shape == (15, 20) and sample.source_size == (20, 15)
    assert np.allclose(np.array(found(sample))[:, 1:] * 2, np.array(stated("a"))[:, 1:])
    assert np.allclose(sample.areas * 4, [80, 80, 120])


def test_yolo_and_pascal_voc(tmp_path):
    write_coco(tmp_path)
    cv2.imwrite(str(tmp_path / "train2017/d.png"), picture("c"))  # without a label file
    names = ("tooth right", "tooth left", "plate")
    (tmp_path / "names.txt").write_text("\n".join(names) + "\n")
    for folder in ("yolo", "voc"):
        (tmp_path / folder).mkdir()
    for name in "abc":
        rows, objects = [], ""
        for label, left, top, right, bottom in stated(name):
            shares = np.array([left + right, top + bottom, 2 * (right - left), 2 * (bottom - top)]) / 2
            rows.append(" ".join(map(str, [label, *(shares / (*SIZE, *SIZE))])))
            ends = {"xmin": left + 1, "ymin": top + 1, "xmax": right, "ymax": bottom}
            box = "".join(f"<{key}>{value}</{key}>" for key, value in ends.items())
            objects += f"<object><name>{names[label]}</name><difficult>{int(label == 2)}</difficult>"
            objects += f"<bndbox>{box}</bndbox></object>"
        (tmp_path / f"yolo/{name}.txt").write_text("\n".join(rows))
        size = f"<size><width>{SIZE[0]}</width><height>{SIZE[1]}</height></size>"
        (tmp_path / f"voc/{name}.xml").write_text(f"<annotation>{size}{objects}</annotation>")
    images = ["--images", tmp_path, "--output"]  # its folder train2017 is that of the split
    yolo = [TOOL, "--from", "yolo", "--train", tmp_path / "yolo", *images, tmp_path / "a"]
    voc = [TOOL, "--from", "voc", "--train", tmp_path / "voc", *images, tmp_path / "b"]
    for done in run_scripts([[*yolo, "--classes", tmp_path / "names.txt"], voc]):
        assert done.returncode == 0, done.stderr
        assert "1 images without a label file left out: d.png." in done.stderr
    yolo_data, voc_data = open_boxes(tmp_path / "a", "train"), open_boxes(tmp_path / "b", "train")
    assert yolo_data.classes.ids == (0, 1, 2) and voc_data.classes.names == tuple(sorted(names))
    for index, name in enumerate("abc"):
        sample, other = yolo_data.load(index), voc_data.load(index)
        assert np.allclose(found(sample), stated(name), atol=1e-3) or not stated(name)
        order = [voc_data.classes.names.index(names[label]) for label in sample.labels]
        assert other.labels.tolist() == order and np.allclose(sample.boxes, other.boxes, atol=1e-3)
        assert other.ignored.tolist() == [label == 2 for label in sample.labels]


def test_sixteen_bit_dicom_and_turned_pictures(tmp_path):
    file = edited(tmp_path, rename_images)
    folder = tmp_path / "train2017"
    deep = np.linspace(0, 4000, SIZE[0] * SIZE[1]).reshape(SIZE[::-1]).astype(np.uint16)
    cv2.imwrite(str(folder / "a.tif"), deep)
    write_dicom(folder / "b.dcm", deep)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees: stored as 30x40, seen as 40x30
    Image.fromarray(np.rot90(picture("c"))).save(folder / "c.jpg", exif=exif, quality=95)
    dataset = open_boxes(tmp_path, "train")
    for index in range(3):
        assert dataset.load(index).image.shape == (SIZE[1], SIZE[0], 3)
    assert dataset.load(0).image[0, 0, 0] < 10 and dataset.load(0).image[-1, -1, 0] > 245
    assert np.abs(dataset.load(2).image.astype(int) - picture("c")).mean() < 6
    (done,) = run_scripts([arguments(file, tmp_path / "out")])
    assert done.returncode == 0, done.stderr
    prepared = open_boxes(tmp_path / "out", "train")
    assert all(np.array_equal(prepared.load(k).image, dataset.load(k).image) for k in range(3))


@pytest.mark.parametrize("size", [0, 20])
def test_a_model_sees_in_training_the_shape_that_pixels_have_in_inference(tmp_path, size):
    """A film of 40x30 pixels twice as high as wide; the box stays where it lies in its pixels."""
    file = edited(tmp_path, rename_images)
    folder = tmp_path / "train2017"
    deep = np.linspace(0, 4000, SIZE[0] * SIZE[1]).reshape(SIZE[::-1]).astype(np.uint16)
    for name in ("a.tif", "c.jpg"):
        cv2.imwrite(str(folder / name), deep.astype(np.uint8))
    film = write_xray(folder / "b.dcm", deep, bits=16, PixelSpacing=[0.2, 0.1])  # rows, columns
    (done,) = run_scripts([arguments(file, tmp_path / "out", "--size", size)])
    assert done.returncode == 0, done.stderr
    letterbox, rng = EvalTransforms((64, 64)), np.random.default_rng(0)
    stored = open_boxes(tmp_path / "out", "train")
    assert np.isnan(stored.load(0).spacing).all()
    seen = letterbox(stored.load(1), rng)
    source = source_sample(next(read_images(film)), stored.classes, colour=False)
    shrink = 1.0 if size == 0 else 0.5
    there = letterbox(source, rng).to_source * [[shrink], [shrink], [1.0]]
    assert np.allclose(seen.to_source, there)
    assert np.isclose(seen.to_source[0, 0], 2 * seen.to_source[1, 1])


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_a_tiff_is_the_picture_that_inference_sees_however_it_lies(tmp_path, turn, colour):
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(picture("a", colour=colour)).save(tmp_path / "a.tif", exif=exif)
    (there,) = read_images(tmp_path / "a.tif")
    size = there.image.shape[1::-1]
    assert size == (SIZE if turn < 5 else SIZE[::-1]) == picture_size(tmp_path / "a.tif")
    read = as_grey(read_picture(tmp_path / "a.tif", size))
    assert read.shape == there.image.shape and np.abs(read.astype(int) - there.image).max() <= 1


@pytest.mark.parametrize("colour", [False, True])
def test_a_tiff_of_several_pictures_is_refused_and_a_reduced_copy_is_none(tmp_path, colour):
    first, second = (picture(name, colour=colour) for name in "ab")
    for name, pages in {"two": [(first, 0), (second, 0)], "copy": [(second[:9, :9], 1), (first, 0)]}.items():
        with TiffWriter(tmp_path / f"{name}.tif") as tiff:
            for page, kind in pages:
                tiff.write(page, subfiletype=kind)
    assert np.array_equal(read_picture(tmp_path / "copy.tif"), first)
    with pytest.raises(ValueError, match=r"two\.tif.*2 images, expected one"):
        read_picture(tmp_path / "two.tif", SIZE)


def rename_images(data: dict) -> None:
    for image, name in zip(data["images"], ("a.tif", "b.dcm", "c.jpg"), strict=True):
        image["file_name"] = name


def write_dicom(file: Path, pixels: np.ndarray) -> None:
    dataset = pydicom.Dataset()
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = pixels.tobytes()
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    dataset.file_meta = meta
    dataset.save_as(file, enforce_file_format=True)


def set_box(*box: float | None) -> Callable[[dict], object]:
    return lambda data: data["annotations"][0].update(bbox=list(box))


def set_box_to(value: object) -> Callable[[dict], object]:
    return lambda data: data["annotations"][0].update(bbox=value)


def keypoints_only(data: dict) -> None:
    data["categories"] = [{"id": 3, "name": "person", "keypoints": ["nose"]}]
    for annotation in data["annotations"]:
        annotation.pop("bbox")
        annotation.update(keypoints=[1, 1, 2], category_id=3)


def masks_only(data: dict) -> None:
    for annotation in data["annotations"]:
        annotation.pop("bbox")
        annotation["segmentation"] = [[1, 1, 5, 1, 5, 5]]


ERRORS = {
    "annotation 1 is of image 99, which is not among": lambda d: d["annotations"][0].update(image_id=99),
    "[50, 3, 60, 11] (left, top, right, bottom) lies outside of its image of 40x30": set_box(50, 3, 10, 8),
    "holds NaN or infinity": set_box(float("nan"), 3, 10, 8),
    "bbox [1, 2, 3], expected x, y, width, height": set_box(1, 2, 3),
    "category 5 is unknown, expected one of 3, 7, 90": lambda d: d["annotations"][0].update(category_id=5),
    "no class, expected at least one": lambda d: d.update(categories=[], annotations=[]),
    "names of classes ['plate'] come more than once": lambda d: d["categories"].__setitem__(
        slice(None), [*CATEGORIES, {"id": 4, "name": "plate"}]
    ),
    "segmentation but no bbox": masks_only,
    "keypoints and no boxes": keypoints_only,
    "no object in any image": lambda d: d.update(annotations=[]),
    "no object in any image (2 images have crowds or difficult ones only)": lambda d: [
        annotation.update(iscrowd=1) for annotation in d["annotations"]
    ],
    "image x.png is not in": lambda d: d["images"][1].update(file_name="x.png"),
    "40x30 pixels, annotated as 50x30": lambda d: d["images"][1].update(width=50),
    "image 11 ('a.png') and image 12 ('sub/a.png'): both would be": lambda d: d["images"][1].update(
        file_name="sub/a.png"
    ),
    "image id 11 of 'b.png': expected integers, each once": lambda d: d["images"][1].update(id=11),
    "no list `images`": lambda d: d.pop("images"),
    "no image, expected at least one": lambda d: d.update(images=[], annotations=[]),
    "no list `categories`": lambda d: d.pop("categories"),
    "image id [11] of 'a.png': expected integers": lambda d: d["images"][0].update(id=[11]),
    "annotation 1 is of image [11], which is not among": lambda d: d["annotations"][0].update(image_id=[11]),
    "image 11 ('a.png'): size infx30, expected positive numbers": lambda d: d["images"][0].update(
        width=float("inf")
    ),
    "annotation 1 of a.png: area inf, expected a number": lambda d: d["annotations"][0].update(
        area=float("inf")
    ),
    "annotation 1 of a.png: area 'x', expected a number": lambda d: d["annotations"][0].update(area="x"),
    "annotation 1 of a.png: no bbox, expected a file of boxes": set_box_to(None),
    "every box lies within the first pixel of its image": lambda d: [
        item.update(bbox=[side / 40 for side in item["bbox"]]) for item in d["annotations"]
    ],
    "category {'id': 1.5, 'name': 'x'}: expected an integer id": lambda d: d["categories"].append(
        {"id": 1.5, "name": "x"}
    ),
    "category {'id': 4, 'name': None}: expected an integer id and a name": lambda d: d["categories"].append(
        {"id": 4, "name": None}
    ),
}
REPAIRS = {
    "1 empty boxes left out: annotation 1 of a.png (0 x 0)": set_box(1, 1, 0, 0),
    "empty boxes left out: annotation 1 of a.png (-5 x 4)": set_box(10, 1, -5, 4),
    "1 boxes given twice left out: annotation 9 of a.png = annotation 1 of a.png": lambda d: d[
        "annotations"
    ].append({**d["annotations"][0], "id": 9}),
    "2 boxes given twice left out: annotation 9 of a.png = annotation 1 of a.png": lambda d: d[
        "annotations"
    ].extend({**d["annotations"][0], "id": 9 + n, "bbox": [2 + 1e-9 * n, 3, 10, 8]} for n in range(2)),
    "1 boxes cut off at the border of their image: annotation 1 of a.png [-5, 3, 5, 11]": set_box(
        -5, 3, 10, 8
    ),
    "1 classes have no box here: 'tooth right'": lambda d: d["annotations"][0].update(category_id=90),
    "images kept that show crowds or difficult objects only: 1": lambda d: d["annotations"][3].update(
        iscrowd=1
    ),
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """How the tool ends on each faulty file, and whether it left a folder."""
    folder = tmp_path_factory.mktemp("faulty")
    calls = {}
    for number, (sentence, change) in enumerate({**ERRORS, **REPAIRS}.items()):
        file = edited(folder / str(number), change)
        calls[sentence] = arguments(file, folder / f"out{number}")
    broken = edited(folder / "broken", lambda data: None)
    broken.write_text('{"images": [')
    calls["not valid JSON"] = arguments(broken, folder / "out_broken")
    calls["no such folder"] = [TOOL, "--train", broken, "--images", folder / "none", "--output", folder / "o"]
    calls["Give --classes FILE"] = [
        *calls["no such folder"][:3],
        "--images",
        folder,
        "--output",
        folder / "o",
    ]
    calls["Give --classes FILE"] += ["--from", "yolo"]
    done = run_scripts(list(calls.values()))
    return {
        sentence: (end, Path(call[call.index("--output") + 1]))
        for (sentence, call), end in zip(calls.items(), done, strict=True)
    }


@pytest.mark.parametrize("sentence", [*ERRORS, "not valid JSON", "no such folder", "Give --classes FILE"])
def test_what_hides_a_mistake_is_refused_and_nothing_stays(faulty, sentence):
    end, out = faulty[sentence]
    assert end.returncode == 1 and "Traceback" not in end.stderr
    assert sentence in end.stderr
    assert not out.exists() and not list(out.parent.glob(f".{out.name}*"))


@pytest.mark.parametrize("sentence", REPAIRS)
def test_what_has_one_sensible_reading_is_put_right_and_told(faulty, sentence):
    end, out = faulty[sentence]
    assert end.returncode == 0, end.stderr
    assert sentence in end.stderr
    header = json.loads((out / "dataset.json").read_text())
    assert any(sentence in repair for repair in header["repairs"])
    for sample in map(open_boxes(out, "train").load, range(3)):
        assert (sample.boxes >= 0).all() and (sample.boxes <= [*SIZE, *SIZE]).all()
        assert (sample.boxes[:, 2:] > sample.boxes[:, :2]).all()
        assert len({tuple(row) for row in found(sample)}) == len(sample.boxes)


@pytest.mark.parametrize("size", [0, 20])
def test_every_box_that_was_prepared_can_be_read(tmp_path, size):
    def crowded(data: dict) -> None:  # a box thinner than what files used to keep, and one beside another
        first = data["annotations"][0]
        boxes = {8: [30, 3, 1e-5, 8], 9: [2 + 1e-5, 3, 10, 8]}
        data["annotations"] += [{**first, "id": number, "bbox": box} for number, box in boxes.items()]

    file = edited(tmp_path, crowded)
    (done,) = run_scripts([arguments(file, tmp_path / "out", "--size", size)])
    assert done.returncode == 0, done.stderr
    assert "train: 3 images, 6 boxes" in done.stdout
    assert sum(len(record.labels) for record in open_boxes(tmp_path / "out", "train").records) == 6


def test_the_same_picture_in_two_splits_is_named(tmp_path):
    train = write_coco(tmp_path, names=("a", "b"))
    val = write_coco(tmp_path, names=("c",), subset="val")
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 256, (8, 10), np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)
    for file in ("train2017/a.png", "val2017/c.png"):
        cv2.imwrite(str(tmp_path / file), image)
    data = coco_data(("b",))
    data["images"][0]["file_name"] = "c.png"
    val.write_text(json.dumps(data))
    folders = [tmp_path / "train2017", tmp_path / "val2017"]
    call = [TOOL, "--train", train, "--val", val, "--images", *folders, "--output", tmp_path / "out"]
    (done,) = run_scripts([call])
    assert done.returncode == 0, done.stderr
    assert "1 X-rays are in two splits: a (train) = c (val)" in done.stderr
    assert open_boxes(tmp_path / "out", "val").repeated == ("c",)


def test_a_hold_out_takes_val_from_train(tmp_path):
    file = write_coco(tmp_path)
    (done,) = run_scripts([arguments(file, tmp_path / "out", "--hold-out", 1, "--seed", 3)])
    assert done.returncode == 0, done.stderr
    train, val = (open_boxes(tmp_path / "out", subset) for subset in ("train", "val"))
    assert len(train) == 2 and len(val) == 1 and set(train.cases) | set(val.cases) == {"a", "b", "c"}


def test_a_hold_out_keeps_images_that_share_a_name(tmp_path):
    file = write_coco(tmp_path)
    data = json.loads(file.read_text())
    for image, folder in zip(data["images"][:2], ("one", "other"), strict=True):
        place = tmp_path / "train2017" / folder / "same.png"
        place.parent.mkdir()
        (tmp_path / "train2017" / image["file_name"]).rename(place)
        image["file_name"] = f"{folder}/same.png"
    file.write_text(json.dumps(data))
    (done,) = run_scripts([arguments(file, tmp_path / "out", "--hold-out", 1)])
    assert done.returncode == 0, done.stderr
    assert [len(open_boxes(tmp_path / "out", subset)) for subset in ("train", "val")] == [2, 1]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("3 0.5 0.5 0.1 0.1", "class 3 is unknown, expected 0 to 2"),
        ("0 0.5 0.5 0.1", "4 numbers, expected class, centre"),
        ("0 0.1 0.1 0.2 0.1 0.2 0.2", "outlines, not boxes"),
        ("0 0.5 0.5 nan 0.1", "NaN or infinity"),
        ("0 0.5 x 0.1 0.1", "expected an integer and four numbers"),
        ("0 1.5 0.5 0.1 0.1", "outside of its image"),
    ],
)
def test_faulty_yolo_rows_are_named(tmp_path, row, sentence):
    from datasets.boxes.faults import Faults
    from datasets.boxes.text_labels import read_class_names, read_yolo

    write_coco(tmp_path)
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text(row + "\n")
    faults = Faults("labels")
    classes = read_class_names(tmp_path / "names.txt")
    read_yolo(tmp_path / "labels", classes, [tmp_path / "train2017"], faults)
    with pytest.raises(ValueError, match=sentence):
        faults.raise_errors()


def test_text_files_that_are_none_are_named(tmp_path):
    from datasets.boxes.faults import Faults
    from datasets.boxes.text_labels import read_class_names, read_voc, read_yolo

    write_coco(tmp_path)
    yaml_faults = {
        "names: [a": "not valid YAML",
        "nc: 1": "no class name",
        "names: {1: a, 2: b}": r"numbers \['1', '2'\], expected 0 to 1",
        "names: [a, '', b]": "one is empty",  # without it b would be 1 and not 2
    }
    for text, sentence in yaml_faults.items():
        (tmp_path / "data.yaml").write_text(text)
        with pytest.raises(ValueError, match=rf"data\.yaml: .*{sentence}"):
            read_class_names(tmp_path / "data.yaml")
    names = tmp_path / "names.txt"
    names.write_text("a\n\nb\n")
    with pytest.raises(ValueError, match=r"names\.txt: .*one is empty"):
        read_class_names(names)
    names.write_text("a\nb\n\n", encoding="utf-8-sig")  # as Windows' editor writes it
    classes, folders, faults = read_class_names(names), [tmp_path / "train2017"], Faults("labels")
    assert classes.names == ("a", "b")
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "a.txt").write_text("1 0.5 0.5 0.1 0.1\n", encoding="utf-8-sig")
    (record,) = read_yolo(labels, classes, folders, faults)
    assert record.labels.tolist() == [1] and not faults.errors
    (labels / "a.txt").write_bytes(b"\xff\xfe0 0.5")
    with pytest.raises(ValueError, match=r"a\.txt: no text in UTF-8"):
        read_yolo(labels, classes, folders, faults)
    for width in ("x", "inf"):
        size = f"<size><width>{width}</width><height>30</height></size>"
        (labels / "a.xml").write_text(f"<annotation>{size}</annotation>")
        with pytest.raises(ValueError, match=rf"a\.xml: size {width}x30, expected numbers"):
            read_voc(labels, classes, folders, faults)


@pytest.mark.parametrize("names", ["[11, no, '021']", "{2: 021, 0: 11, 1: no}"])
def test_class_names_of_yolos_own_file(tmp_path, names):
    from datasets.boxes.text_labels import read_class_names

    file = tmp_path / "data.yaml"
    file.write_text(f"train: ../train/images\nnc: 3\nnames: {names}\n")
    assert read_class_names(file).names == ("11", "no", "021")


@pytest.mark.parametrize("count", [0, 3, 4])
def test_only_a_part_can_be_held_out(tmp_path, count):
    write_coco(tmp_path)
    file = tmp_path / "annotations/instances_train2017.json"
    (done,) = run_scripts([arguments(file, tmp_path / "out", "--hold-out", count)])
    assert done.returncode == (count > 0), done.stderr
    assert count == 0 or f"--hold-out {count}: expected 1 to 2 of the 3 images" in done.stderr


def test_coco_folders_that_are_none_are_named(tmp_path):
    with pytest.raises(ValueError, match="no file annotations/instances_train"):
        open_boxes(tmp_path, "train")
    file = write_coco(tmp_path)
    file.with_name("instances_train2014.json").write_text(file.read_text())
    with pytest.raises(ValueError, match="2 files annotations/instances_train.* such as train2014"):
        open_boxes(tmp_path, "train")
    assert len(open_boxes(tmp_path, "train2017")) == 3


def test_an_image_by_its_whole_path_is_one_file_whatever_the_folders(tmp_path):
    write_coco(tmp_path)
    image = tmp_path / "train2017/a.png"
    assert find_image((tmp_path, image.parent), str(image)) == image


def test_files_of_one_name_in_two_folders_keep_their_own_case(tmp_path):
    def spread(data: dict) -> None:
        data["images"][0]["file_name"], data["images"][1]["file_name"] = "one/x.png", "two/x.png"

    edited(tmp_path, spread)
    for folder, name in (("one", "a"), ("two", "b")):
        (tmp_path / "train2017" / folder).mkdir()
        (tmp_path / f"train2017/{name}.png").rename(tmp_path / f"train2017/{folder}/x.png")
    dataset = open_boxes(tmp_path, "train")
    assert len(set(dataset.cases)) == 3
    assert np.array_equal(dataset.load(1).image, picture("b"))

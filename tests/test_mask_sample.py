"""Overlapping structures: classes, pixels of polygons, packed bits, and what a matrix does to them."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from datasets.masks.batch import collate
from datasets.masks.class_set import ClassSet
from datasets.masks.raster import fill, fill_chain, pack, plane
from datasets.masks.sample import MaskSample
from datasets.masks.shape import Shape
from datasets.sample import plain_fields
from datasets.sides import pairs_by_name
from transforms import geometry
from transforms.augment import EvalTransforms, TrainTransforms
from transforms.elastic import Deformation
from transforms.move import Move

LUNGS = ClassSet("chest", ("right_lung", "left_lung", "heart"), ((0, 1),), {"side": ("left", "right")})
UNIVERSAL = tuple(str(number) for number in range(1, 33))
SIZE = (40, 30)
EVEN_ODD_STAR = np.array([[20.0, 2.0], [29.0, 28.0], [4.0, 11.0], [36.0, 11.0], [11.0, 28.0]])


def disc(x: float, y: float, radius: float) -> np.ndarray:
    angles = np.linspace(0.0, 2.0 * np.pi, 60, endpoint=False)
    return np.array([x, y]) + radius * np.stack([np.cos(angles), np.sin(angles)], -1)


def centroid(mask: np.ndarray) -> np.ndarray:
    rows, columns = mask.nonzero()
    return np.array([columns.mean(), rows.mean()]) + 0.5


def masks_of(planes: np.ndarray) -> np.ndarray:
    return np.stack([plane(planes, k) for k in range(len(LUNGS))])


def a_sample(*, polygons: bool) -> MaskSample:
    """Three discs that overlap; as polygons or as pixels."""
    outlines = [disc(12.3, 14.6, 8.0), disc(26.1, 13.2, 7.0), disc(19.0, 18.0, 6.0)]
    masks = [fill(outline, SIZE) for outline in outlines]
    return MaskSample(
        image=np.zeros(SIZE[::-1], np.uint8),
        spacing=np.array([0.5, 0.5]),
        to_source=np.eye(3),
        case="one",
        person="somebody",
        class_set=LUNGS,
        planes=pack([] if polygons else masks, SIZE, 1),
        polygons=tuple((outline,) if polygons else () for outline in outlines),
        known=(True, False, True),
        attributes=(1,),
        shapes=tuple(map(Shape.of_mask, masks)),
        source_size=SIZE,
    )


def on_canvas(sample: MaskSample, matrix: np.ndarray, canvas: tuple[int, int]) -> np.ndarray:
    return masks_of(sample.moved(Move(matrix, canvas)).packed())


def test_a_pixel_belongs_to_the_polygon_that_holds_its_centre():
    square = np.array([[3.4, 2.6], [7.5, 2.6], [7.5, 5.4], [3.4, 5.4]])
    rows, columns = np.nonzero(fill(square, (10, 8)))
    # centres 3.5 to 6.5 lie inside; 7.5 on the border belongs to the right; rows 2.5 and 5.5 lie outside
    assert sorted(set(columns)) == [3, 4, 5, 6] and sorted(set(rows)) == [3, 4]
    assert len(rows) == 8


def test_polygons_that_share_a_border_share_no_pixel_and_leave_no_gap():
    rng = np.random.default_rng(0)
    for _ in range(50):
        apex = rng.integers(2, 18, 2) + rng.choice([0.0, 0.5])
        corners = np.array([[0.0, 0.0], [20.0, 0.0], [20.0, 20.0], [0.0, 20.0]])
        parts = [
            fill(np.stack([corners[k], corners[(k + 1) % 4], apex]), (20, 20)).astype(int) for k in range(4)
        ]
        np.testing.assert_array_equal(sum(parts), 1)


def test_a_polygon_that_crosses_itself_has_no_hole_and_one_outside_no_pixel():
    star = fill(EVEN_ODD_STAR, SIZE)
    assert star[15, 20], "the middle of a pentagram is wound around twice, so it is inside"
    assert not fill(EVEN_ODD_STAR + 100.0, SIZE).any()
    cut = fill(EVEN_ODD_STAR + np.array([15.0, -9.0]), SIZE)
    np.testing.assert_array_equal(cut[:19, 15:], star[9:28, :25])


def test_a_chain_of_pixels_restores_its_mask():
    rng = np.random.default_rng(1)
    for _ in range(50):
        noise = cv2.GaussianBlur(rng.standard_normal((40, 50)), (0, 0), 4)
        found, _ = cv2.findContours(
            (noise > 0).astype(np.uint8), cv2.RETR_EXTERNAL, int(rng.choice([1, 2]))
        )  # CHAIN_APPROX_NONE, CHAIN_APPROX_SIMPLE
        for chain in found:
            expected = cv2.drawContours(np.zeros((40, 50), np.uint8), [chain], -1, 1, cv2.FILLED)
            np.testing.assert_array_equal(fill_chain(chain[:, 0], (50, 40)), expected)


def test_a_square_chain_has_the_pixels_it_names_and_no_more():
    assert fill_chain(np.array([[10, 20], [109, 20], [109, 219], [10, 219]]), (300, 300)).sum() == 100 * 200


MILK_TEETH = tuple((n, 9 - n) for n in range(5)) + tuple((n, 29 - n) for n in range(10, 15))


@pytest.mark.parametrize(
    ("classes", "pairs"),
    [
        (("right_lung", "left_lung", "heart"), ((0, 1),)),
        (("Lung L", "Heart", "Lung R"), ((0, 2),)),
        (("11", "21", "38", "48"), ((0, 1), (2, 3))),
        (("finger-1", "Radius", "L4"), ()),
        (("left_lung", "heart"), None),
        (("11", "48"), None),
        (("LeftLung", "Heart", "RightLung"), ((0, 2),)),
        (("LungL", "LungR", "LLung", "RLung"), ((0, 1), (2, 3))),
        (("lung (left)", "lung (right)"), ((0, 1),)),
        (("Lt lung", "Rt lung"), ((0, 1),)),
        (("leftlung", "rightlung", "bright", "cleft"), ((0, 1),)),
        (("LeftLung", "Heart"), None),
        (("tooth_11", "tooth_21", "mandible"), ((0, 1),)),
        (("11", "21", "left canal", "right canal"), ((0, 1), (2, 3))),
        (("1", "11", "21"), ()),
        (
            UNIVERSAL,
            tuple((first, 15 - first) for first in range(8))
            + tuple((first, 47 - first) for first in range(16, 24)),
        ),
        (
            ("caries", *(f"#{number:02}" for number in range(1, 33))),
            tuple((n, 17 - n) for n in range(1, 9)) + tuple((n, 49 - n) for n in range(17, 25)),
        ),
        (UNIVERSAL[1:], None),  # 16 has no partner
        (UNIVERSAL[:4], ()),  # grades of something
        (("L", "R", "heart"), ((0, 1),)),
        (tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), None),  # hand signs, plates
        (tuple("slm"), None),
        (tuple("ABC"), ()),
        (tuple("ABCDEFGHIJKLMNOPQRST"), MILK_TEETH),
        ((*"ABCDEFGHIJKLMNOPQRST", "caries"), MILK_TEETH),
        (tuple("ABCDEFGHIJKLMNOPQRS"), None),  # K has no partner
    ],
)
def test_pairs_are_told_by_names(classes, pairs):
    assert pairs_by_name(classes) == pairs


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"classes": ()}, "at least one"),
        ({"classes": ("a", "a")}, "'a', 'a'"),
        ({"pairs": ((0, 0),)}, "each index once"),
        ({"pairs": ((0, 7),)}, "from 0 to 2"),
        ({"attributes": {"sex": ()}}, "'sex'"),
    ],
)
def test_an_unsound_class_set_is_refused(changes, named):
    data = {"name": "x", "classes": ("a", "b", "c"), "pairs": (), "attributes": {}, **changes}
    with pytest.raises(ValueError, match=named):
        ClassSet(**data)
    with pytest.raises(ValueError, match=r"somewhere: .*") as refused:
        ClassSet.from_dict(data, "somewhere")
    assert named in str(refused.value)


def test_a_class_set_comes_back_from_its_dict():
    assert ClassSet.from_dict(LUNGS.to_dict(), "x") == LUNGS
    unknown = ClassSet("x", ("left_lung",), None)
    assert ClassSet.from_dict(unknown.to_dict(), "x") == unknown


def test_bits_come_back_for_more_classes_than_a_byte_holds():
    rng = np.random.default_rng(2)
    masks = rng.random((29, 12, 9)) < 0.3
    planes = pack(masks, (9, 12), 4)
    assert planes.nbytes == 12 * 9 * 4
    np.testing.assert_array_equal([plane(planes, k) for k in range(29)], masks)


def test_packed_targets_of_29_classes_at_2048_take_16_8_megabytes():
    assert 2048 * 2048 * ClassSet("hand", tuple(map(str, range(29)))).num_bytes == 16_777_216


@pytest.mark.parametrize("polygons", [True, False])
def test_structures_go_where_the_matrix_says(polygons):
    sample = a_sample(polygons=polygons)
    turn = geometry.about(geometry.rotate(20.0) @ geometry.scale(1.7, 1.7), 20.0, 15.0)
    matrix, canvas = geometry.translate(13.2, 9.7) @ turn, (70, 60)
    moved = on_canvas(sample, matrix, canvas)
    atol = 0.06 if polygons else 0.12  # of canvas pixels; a source pixel covers 1.7
    discs = np.array([[12.3, 14.6, 8.0], [26.1, 13.2, 7.0], [19.0, 18.0, 6.0]])
    source = np.stack([fill(disc(*values), SIZE) for values in discs])
    centres = discs[:, :2] if polygons else np.stack([centroid(mask) for mask in source])
    for before, after, centre in zip(source, moved, centres, strict=True):
        np.testing.assert_allclose(centroid(after), geometry.warp_points(centre, matrix), atol=atol)
        assert after.sum() == pytest.approx(before.sum() * 1.7**2, rel=0.03)
    overlap = (source[0] & source[2]).sum()
    assert (moved[0] & moved[2]).sum() == pytest.approx(overlap * 1.7**2, rel=0.1) and overlap > 20


def test_pixels_are_those_of_the_nearest_pixel_of_the_source():
    sample = a_sample(polygons=False)
    matrix = geometry.about(geometry.rotate(-33.0) @ geometry.scale(0.8, 0.8), 20.0, 15.0)
    moved, inverse = on_canvas(sample, matrix, SIZE), np.linalg.inv(matrix)
    source = masks_of(sample.packed())
    for row in range(SIZE[1]):
        for column in range(SIZE[0]):
            x, y = np.floor(geometry.warp_points(np.array([column + 0.5, row + 0.5]), inverse)).astype(int)
            inside = 0 <= x < SIZE[0] and 0 <= y < SIZE[1]
            expected = source[:, y, x] if inside else np.zeros(3, bool)
            np.testing.assert_array_equal(moved[:, row, column], expected)


@pytest.mark.parametrize("polygons", [True, False])
def test_a_mirror_image_exchanges_left_and_right(polygons):
    sample = a_sample(polygons=polygons)
    before = masks_of(sample.packed())
    moved = sample.annotation_moved(Move(geometry.flip_x(SIZE[0]), SIZE))
    np.testing.assert_array_equal(masks_of(moved.packed()), before[[1, 0, 2], :, ::-1])
    assert moved.known == (False, True, True)
    assert moved.attributes == (0,)
    back = moved.annotation_moved(Move(geometry.flip_x(SIZE[0]), SIZE))
    np.testing.assert_array_equal(masks_of(back.packed()), before)
    turned = sample.annotation_moved(Move(geometry.about(geometry.rotate(180.0), 20.0, 15.0), SIZE))
    assert turned.known == sample.known, "half a turn is no mirror image"


def test_a_deformation_moves_polygons_and_pixels_alike():
    matrix, canvas = geometry.scale(4.0, 4.0), (160, 120)
    deformation = Deformation.random(canvas, 24.0, 5.0, np.random.default_rng(4))
    moved = [
        masks_of(a_sample(polygons=polygons).moved(Move(matrix, canvas, deformation)).packed())
        for polygons in (True, False)
    ]
    straight = on_canvas(a_sample(polygons=True), matrix, canvas)
    for polygon, pixels, before in zip(*moved, straight, strict=True):
        assert (polygon & pixels).sum() > 0.93 * (polygon | pixels).sum(), "up to pixels of the source"
        assert (polygon & before).sum() < 0.93 * (polygon | before).sum()


@pytest.mark.parametrize("transforms", [EvalTransforms((64, 96)), TrainTransforms((64, 96), elastic=0.01)])
def test_the_transforms_of_every_task_serve_masks(transforms):
    """The picture of a structure and its mask go the same way: bright pixels are the mask's."""
    sample = a_sample(polygons=True)
    mask = fill(sample.polygons[0][0], SIZE)
    moved = transforms(
        replace(sample, image=np.where(mask, 250, 0).astype(np.uint8)), np.random.default_rng(3)
    )
    assert moved.size == (96, 64)
    found = masks_of(moved.packed())[0]
    middle = (moved.image.max() / 2.0 + moved.image.min() / 2.0) < moved.image
    assert (found & middle).sum() > 0.9 * (found | middle).sum()
    assert moved.case == "one" and moved.shapes is sample.shapes


def test_a_mirror_image_is_refused_where_the_pairs_are_not_known():
    sample = replace(a_sample(polygons=True), class_set=ClassSet("x", LUNGS.classes, None))
    with pytest.raises(ValueError, match="not mirrored"):
        sample.moved(Move(geometry.flip_x(SIZE[0]), SIZE))


def test_a_batch_holds_bits_and_gives_masks():
    samples = [a_sample(polygons=True), replace(a_sample(polygons=False), case="two")]
    batch = collate(samples)
    assert batch.packed.shape == (2, 1, 30, 40) and batch.packed.dtype == torch.uint8
    np.testing.assert_array_equal(batch.targets[0].numpy(), masks_of(samples[0].packed()))
    np.testing.assert_array_equal(batch.targets[1].numpy(), batch.targets[0].numpy())
    for index in range(3):
        assert torch.equal(batch.target(index), batch.targets[:, index])
    assert batch.known.tolist() == [[True, False, True]] * 2
    assert batch.present.all() and batch.attributes.tolist() == [[1], [1]]
    assert batch.to("cpu").cases == ("one", "two") and len(batch) == 2
    with pytest.raises(ValueError, match="canvas sizes"):
        collate([samples[0], replace(samples[1], image=np.zeros((8, 8), np.uint8))])


def test_a_batch_is_kept_as_plain_data(tmp_path):
    """What a training leaves behind when its loss is not finite."""
    batch = collate([a_sample(polygons=True)])
    torch.save(plain_fields(batch), tmp_path / "batch.pt")
    kept = torch.load(tmp_path / "batch.pt", weights_only=True)
    assert kept["cases"] == ["one"] and torch.equal(kept["packed"], batch.packed)


def test_a_shape_is_the_union_of_its_parts():
    pixels = fill(disc(10.0, 10.0, 5.0), SIZE)
    shape = replace(Shape.of_mask(pixels), polygons=(disc(25.0, 15.0, 6.0), disc(22.0, 12.0, 6.0)))
    expected = pixels | fill(disc(25.0, 15.0, 6.0), SIZE) | fill(disc(22.0, 12.0, 6.0), SIZE)
    np.testing.assert_array_equal(shape.mask(SIZE), expected)
    plane_of = np.zeros(SIZE[::-1], np.uint8)
    shape.add_pixels(plane_of, 3)
    np.testing.assert_array_equal(plane_of, pixels * 8)
    assert not Shape() and not Shape.of_mask(np.zeros((3, 4), bool)) and shape
    assert not Shape().mask(SIZE).any()


def test_a_flip_of_the_training_transforms_exchanges_the_sides():
    still = {"zoom": (1.0, 1.0), "rotation": 0.0, "shift": 0.0, "artefacts": 0.0}
    sample, rng = a_sample(polygons=True), np.random.default_rng(0)
    straight = masks_of(TrainTransforms((64, 96), **still)(sample, rng).packed())
    flipped = TrainTransforms((64, 96), flip=1.0, **still)(sample, rng)
    mirrored = straight[[1, 0, 2], :, ::-1]
    assert (masks_of(flipped.packed()) ^ mirrored).sum() <= 4, "up to centres on an edge"
    assert flipped.attributes == (0,) and flipped.known == (False, True, True)
    unknown = replace(sample, class_set=ClassSet("x", LUNGS.classes, None))
    with pytest.raises(ValueError, match="not mirrored"):
        TrainTransforms((64, 96), flip=1.0)(unknown, rng)

"""From an image to masks in its own pixels: looks, mirror images, ensembles, cleaning, the mean field."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from datasets.files.image_files import SourceImage
from datasets.masks.class_set import ClassSet
from datasets.masks.meaning import MaskMeaning
from models.masks.mask_model import MaskModel, MaskOutputs
from util.prediction.masks import predict
from util.prediction.masks.clean import Cleaning
from util.prediction.masks.looks import MaskLooks
from util.prediction.masks.mean_field import MeanField, changed_shares
from util.prediction.masks.predict import MaskFinder, MaskPredictor, Member

SIDES = ClassSet("sides", ("left", "right", "bright"), ((0, 1),))
ONE = (Path("one.pt"),)


class HalvesModel(MaskModel):
    """``left``: bright pixels in the left half of the canvas; ``right``; ``bright``: all that are bright."""

    def __init__(self, gain: float = 40.0, stride: int = 1) -> None:
        super().__init__(3)
        self.gain, self.stride = gain, stride

    def forward(self, images: Tensor, targets: None = None) -> MaskOutputs:
        bright = self.gain * (images.mean(1) - 0.5)[:, :: self.stride, :: self.stride]
        left = torch.arange(bright.shape[-1]) < bright.shape[-1] / 2
        low = torch.full_like(bright, -self.gain)
        return MaskOutputs(
            torch.stack([torch.where(left, bright, low), torch.where(left, low, bright), bright], 1),
            self.stride,
        )


def finder(*models: MaskModel, canvas: tuple[int, int] = (64, 96), **looks) -> MaskFinder:
    members = [Member(model, SIDES, canvas) for model in models or (HalvesModel(),)]
    files = tuple(Path(f"{number}.pt") for number in range(len(members)))
    return MaskFinder(members, MaskLooks(files, **looks))


def xray(width: int = 240, height: int = 160, spacing: float = 0.5) -> SourceImage:
    image = np.zeros((height, width), np.uint8)
    image[40:80, 24:96] = 255
    image[60:100, 150:210] = 255
    return SourceImage(image, np.full(2, spacing), Path("x.png"), None)


def truth(image: SourceImage) -> list[np.ndarray]:
    bright = image.image > 127
    left = np.arange(bright.shape[1]) < bright.shape[1] / 2
    return [bright & left, bright & ~left, bright]


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.parametrize(
    "looks",
    [
        {},
        {"flip": True},
        {"scales": (1.0, 1.5)},
    ],
)
def test_masks_come_back_in_the_pixels_of_the_source(looks) -> None:
    image = xray()
    found = finder(**looks).find(image)
    assert found.size == (240, 160) and found.planes.dtype == np.uint8
    for mask, right in zip(found.masks(), truth(image), strict=True):
        assert dice(mask, right) > 0.97


def test_a_model_sees_pixels_square_that_are_longer_one_way() -> None:
    """As in training and in test.py, whose letterbox knows the spacing."""
    seen = []

    class Recording(HalvesModel):
        def forward(self, images: Tensor, targets: None = None) -> MaskOutputs:
            seen.append(images.flatten())
            return super().forward(images)

    square = xray()
    oblong = replace(square, image=square.image[::2].copy(), spacing=np.array([0.5, 1.0]))
    look = finder(Recording())
    look.find(square)
    found = look.find(oblong)
    assert torch.corrcoef(torch.stack(seen))[0, 1] > 0.98
    for mask, right in zip(found.masks(), truth(oblong), strict=True):
        assert dice(mask, right) > 0.95


def test_windows_over_a_larger_canvas_find_the_same_of_single_pixels() -> None:
    image = xray()
    looks = {"windows": 0.5, "scales": (0.5, 2.0), "flip": True}
    assert dice(finder(**looks).find(image).mask(2), truth(image)[2]) > 0.97


def test_a_mirror_image_counts_for_the_other_side() -> None:
    """A model that finds nothing but left things, seen both ways, finds each side half as surely."""
    model = HalvesModel()
    plain = model.forward

    def left_only(images: Tensor, targets: None = None) -> MaskOutputs:
        outputs = plain(images)
        outputs.logits[:, 1] = -40.0
        return outputs

    model.forward = left_only  # type: ignore[method-assign]
    image = xray()
    look = finder(model, flip=True, threshold=0.4)
    left, right, _ = look.find(image).masks()
    assert dice(left, truth(image)[0]) > 0.93 and dice(right, truth(image)[1]) > 0.93
    unknown = Member(model, ClassSet("unknown", SIDES.classes, None), (64, 96))
    with pytest.raises(ValueError, match=r"one\.pt: --flip, .* is not known: the data"):
        MaskFinder([unknown], MaskLooks(ONE, flip=True))


def test_an_ensemble_averages_probabilities_and_thresholds() -> None:
    sure, blind = HalvesModel(), HalvesModel(gain=0.0)  # the blind one says 1/2 everywhere
    image = xray()
    both = finder(sure, blind)
    probability = next(both.probabilities(list(both.look(image)), (240, 160)))
    assert probability[60, 60] == pytest.approx(0.75, abs=1e-3)
    assert probability[10, 60] == pytest.approx(0.25, abs=1e-3)
    sure.thresholds.fill_(0.8)
    blind.thresholds.fill_(0.6)
    assert finder(sure, blind).thresholds == pytest.approx([0.7] * 3)
    assert finder(sure, blind, threshold=0.3).thresholds == pytest.approx([0.3] * 3)


def test_an_ensemble_of_other_classes_is_refused() -> None:
    other = ClassSet("other", ("left", "right", "dark"), ())
    members = [Member(HalvesModel(), names, (64, 96)) for names in (SIDES, other)]
    with pytest.raises(ValueError, match=r"two\.pt: finds .*dark"):
        MaskFinder(members, MaskLooks((*ONE, Path("two.pt"))))


@pytest.mark.parametrize(("pairs", "message"), [((), "exchanges other classes"), (None, "is not known")])
def test_a_mirror_image_is_refused_where_the_members_know_other_pairs(pairs, message) -> None:
    """The maps of both would be put back by the pairs of the first."""
    members = [Member(HalvesModel(), classes, (64, 96)) for classes in (SIDES, replace(SIDES, pairs=pairs))]
    files = Path("0.pt"), Path("1.pt")
    MaskFinder(members, MaskLooks(files))
    with pytest.raises(ValueError, match=rf"1\.pt: --flip, but .*{message}"):
        MaskFinder(members, MaskLooks(files, flip=True))


def test_thresholds_are_those_of_the_checkpoint() -> None:
    model = HalvesModel(gain=0.0)
    model.thresholds.copy_(torch.tensor([0.4, 0.6, 0.5]))
    assert [bool(mask.all()) for mask in finder(model).find(xray(96, 64)).masks()] == [True, False, True]


def test_a_prediction_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match=r"x\.png: the prediction is not finite"):
        finder(HalvesModel(gain=float("nan"))).find(xray())


def test_specks_and_pinholes_go_by_their_size_in_mm2() -> None:
    mask = np.zeros((40, 40), bool)
    mask[5:25, 5:25] = True
    mask[10:12, 10:12] = False  # a hole of 4 pixels
    mask[30, 30] = mask[31, 31] = True  # a part of 2 pixels that touch at a corner
    mask[20:25, 5] = False  # a bay at the border of the structure is no hole
    spacing = np.array([0.5, 0.5])  # 4 pixels are 1 mm2
    kept = Cleaning(least_part_mm2=0.5, least_hole_mm2=1.0)(mask, spacing)
    assert kept[30, 30] and not kept[10, 10]
    cleaned = Cleaning(least_part_mm2=0.6, least_hole_mm2=1.1)(mask, spacing)
    assert not cleaned[30:32, 30:32].any() and cleaned[10:12, 10:12].all() and not cleaned[22, 5]
    assert cleaned.sum() == 20 * 20 - 5
    assert Cleaning()(mask, np.full(2, np.nan)) is mask
    with pytest.raises(ValueError, match="spacing of the image is unknown"):
        Cleaning(least_part_mm2=1.0)(mask, np.full(2, np.nan))


def test_what_touches_the_border_of_the_image_is_no_hole() -> None:
    mask = np.ones((20, 20), bool)
    mask[0:2, 5:7] = False
    assert not Cleaning(least_hole_mm2=100.0)(mask, np.ones(2))[0, 5]


def test_the_mean_field_takes_away_noise_and_follows_the_grey_edge() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.zeros(1, 1, 40, 40)
    image[..., 12:28, 12:28] = 1.0
    right = image[0, 0] > 0.5
    logits = torch.where(image > 0.5, 0.5, -0.5) + 0.8 * torch.randn(1, 1, 40, 40, generator=generator)
    refined = MeanField()(logits, image)
    wrong_before, wrong_after = (((maps[0, 0] > 0) != right).float().mean() for maps in (logits, refined))
    assert wrong_before > 0.2 and wrong_after < 0.05
    without_edges = MeanField(grey=100.0)(logits, image)
    assert wrong_after < ((without_edges[0, 0] > 0) != right).float().mean()


def test_the_mean_field_knows_no_class_from_another_nor_left_from_right() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, image = (
        torch.randn(1, 2, 24, 32, generator=generator),
        torch.rand(1, 1, 24, 32, generator=generator),
    )
    together = MeanField()(logits, image)
    torch.testing.assert_close(MeanField()(logits[:, 1:], image), together[:, 1:])
    torch.testing.assert_close(MeanField()(logits.flip(-1), image.flip(-1)).flip(-1), together)


def test_what_the_mean_field_changed_is_said() -> None:
    found = finder(mean_field=MeanField(), threshold=0.5).find(xray())
    assert found.notes["mean_field_changed"].keys() == set(SIDES.classes)
    before, after = torch.tensor([[[[1.0, 1.0, -1.0, 1.0]]]]), torch.tensor([[[[1.0, -1.0, 1.0, 2.0]]]])
    assert changed_shares(before, after, [0.5]) == pytest.approx([2 / 4])
    assert changed_shares(before, after, [0.8]) == [1.0]  # none before, one after
    for all_or_none in (0.1, 0.9):
        assert changed_shares(before, after, [all_or_none]) == [0.0]


@pytest.mark.parametrize("flip", [False, True])
def test_what_changed_is_counted_at_the_threshold_of_each_class(monkeypatch, flip) -> None:
    monkeypatch.setattr(predict, "changed_shares", lambda before, after, thresholds: thresholds)
    model = HalvesModel()
    model.thresholds.copy_(torch.tensor([0.25, 0.5, 0.75]))
    notes = finder(model, flip=flip, mean_field=MeanField()).find(xray()).notes
    assert notes["mean_field_changed"] == {"left": 0.25, "right": 0.5, "bright": 0.75}


class FaintModel(HalvesModel):
    """Never more than a probability of 0.27."""

    def forward(self, images: Tensor, targets: None = None) -> MaskOutputs:
        found = super().forward(images)
        return replace(found, logits=found.logits - self.gain / 2 - 1.0)


def test_the_mean_field_keeps_what_a_low_threshold_finds() -> None:
    plain, smoothed = (
        finder(FaintModel(), threshold=0.2, mean_field=field).find(xray()) for field in (None, MeanField())
    )
    for without, with_field in zip(plain.masks(), smoothed.masks(), strict=True):
        assert without.any() and dice(with_field, without) > 0.8


def test_memory_holds_one_class_at_source_size() -> None:
    """29 classes in bits and one as float32, whatever the number of looks: numpy's own count."""
    import tracemalloc

    image = SourceImage(np.zeros((2048, 2048), np.uint8), np.ones(2), Path("x.png"), None)
    look = finder(flip=True)
    tracemalloc.start()
    look.find(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 15 * 2048 * 2048  # three float32 maps, a mask and the bits


@pytest.mark.parametrize(
    ("looks", "message"),
    [
        ({"scales": ()}, "at least one"),
        ({"scales": (0.0,)}, "from 0.25 to 8"),
        ({"windows": 1.0}, "from 0 to 0.9"),
        ({"windows": 0.5}, "--windows 0.5 at --scales 1: .* change nothing"),
        ({"windows": 0.5, "scales": (0.5, 1.0)}, "at --scales 0.5 1: .* change nothing"),
        ({"threshold": 1.0}, "above 0 and below 1"),
    ],
)
def test_looks_that_make_no_sense_are_refused(looks, message) -> None:
    with pytest.raises(ValueError, match=message):
        MaskLooks(ONE, **looks)
    with pytest.raises(ValueError, match="given twice"):
        MaskLooks((*ONE, *ONE))


def test_a_model_alone_takes_one_plain_look() -> None:
    member = Member(HalvesModel(), SIDES, (64, 96))
    alone = MaskPredictor(Path("0.pt"), MaskMeaning(SIDES, "someone"), member)
    np.testing.assert_array_equal(alone([xray()])[0].planes, finder().find(xray()).planes)
    assert alone.answers.about() == {"classes": list(SIDES.classes), "labels": "someone"}


def test_a_plain_look_is_one_model_and_nothing_else() -> None:
    assert MaskLooks(ONE).plain and MaskLooks(ONE).to_dict() is None
    assert not MaskLooks(ONE, cleaning=Cleaning(1.0)).plain and not MaskLooks(ONE, threshold=0.5).plain
    assert MaskLooks(ONE, flip=True).to_dict()["flip"] is True


def test_looks_are_told_in_words() -> None:
    looks = MaskLooks(ONE, flip=True, cleaning=Cleaning(5.0, 2.5), mean_field=MeanField(2.0))
    done = "parts below 5 mm2 dropped, holes below 2.5 mm2 filled, mean field 2"
    assert str(looks) == f"{ONE[0]}, mirror image, {done}"
    assert str(MaskLooks(ONE, cleaning=Cleaning(5.0))) == f"{ONE[0]}, parts below 5 mm2 dropped"

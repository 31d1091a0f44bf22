"""A model that follows other readers: the fit, the same in numpy, PyTorch and ONNX, and the command."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from datasets.landmarks.landmark_set import load_landmark_set
from measurements.face_frame import FaceFrame, mean_face
from models.landmarks.landmark_model import LandmarkModel
from models.landmarks.prediction import Prediction
from models.landmarks.protocol import Protocol
from tests.conftest import TINY_SET
from tests.support.faces import E2
from tests.support.mean_shape_model import MeanShapeOutputs
from tests.support.run_tool import run_tool
from tests.support.smoke_checkpoint import write_smoke_checkpoint
from util.checkpoints.checkpoint import load_checkpoint, load_model, save_checkpoint
from util.checkpoints.weights_file import write_weights
from util.evaluation.landmarks.calibration import coverage_percent
from util.evaluation.landmarks.metrics import Errors
from util.evaluation.landmarks.protocol_fit import Residuals, fit_protocol
from util.evaluation.landmarks.protocol_gain import MORE_FILMS, adapted, gain
from util.export.landmarks.graph import GraphOptions, export_graph
from util.prediction.landmarks.protocol import ProtocolOffsets
from util.reporting.landmarks.protocol_report import write_report

FACE = E2[:19]
COUNT = len(FACE)
REFERENCE = mean_face(FACE[None])
CANVAS = (416, 512)


def posed(points: np.ndarray, degrees: float, size: float, *, mirrored: bool) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return size * points * ([-1.0, 1.0] if mirrored else [1.0, 1.0]) @ np.array([[c, s], [-s, c]]) + 400.0


def films(
    count: int, offset_mm: np.ndarray, *, seed: int = 0, noise: float = 1.0, upright: bool = True
) -> Errors:
    """A model that errs by Laplace noise, and readers who mark ``offset_mm`` (K, 2) off."""
    rng = np.random.default_rng(seed)
    cases = []
    for film in range(count):
        predicted = FACE + rng.laplace(0, noise / 2, FACE.shape)
        truth = FACE + offset_mm
        pose = (0.0, 1.0, False) if upright else (rng.uniform(-60, 60), rng.uniform(0.5, 2), film % 2 == 1)
        cases.append(
            [posed(one, pose[0], pose[1], mirrored=pose[2]) for one in (predicted, truth)] + [pose[1]]
        )
    predicted, truth = (np.stack([case[part] for case in cases]) for part in (0, 1))
    sizes = np.array([case[2] for case in cases])
    return Errors(
        cases=tuple(f"film{n}" for n in range(count)),
        predicted=predicted,
        truth=truth,
        spacing=np.ones((count, 2)),
        uncertainty_mm=np.broadcast_to(noise * sizes[:, None], (count, COUNT)).copy(),
    )


def fitted(errors: Errors) -> ProtocolOffsets:
    return fit_protocol(Residuals.of(errors, REFERENCE), REFERENCE, labels="clinic", canvas=CANVAS)


OFFSET = np.random.default_rng(5).normal(0, 1.5, (COUNT, 2))


@pytest.mark.parametrize("upright", [True, False])
def test_many_films_tell_the_offset_in_any_pose(upright: bool) -> None:
    protocol = fitted(films(60, OFFSET, upright=upright))
    found = protocol.offset @ FaceFrame(REFERENCE).to_image(FACE[None])[0].T
    np.testing.assert_allclose(found, OFFSET, atol=0.35)
    test = films(40, OFFSET, seed=9, upright=upright)
    radial, uncertainty = adapted(test, protocol)
    assert radial.mean() < 0.6 * test.radial_mm.mean()
    held = coverage_percent(radial, uncertainty)
    assert abs(held["68"] - 68) < 5 and abs(held["95"] - 95) < 3


def test_more_films_bring_more_and_one_does_no_harm() -> None:
    test = films(60, OFFSET, seed=9)
    mean = [
        np.mean([adapted(test, fitted(films(count, OFFSET, seed=seed)))[0].mean() for seed in range(10, 20)])
        for count in (1, 3, 10, 40)
    ]
    assert test.radial_mm.mean() > mean[0] > mean[1] > mean[2] > mean[3]


def test_small_offsets_are_followed_as_far_as_they_are_likely() -> None:
    """Not all or nothing: two and three films of offsets a fifth as large as the noise already help."""
    test = films(60, OFFSET / 5, seed=9)
    gained = {
        count: np.mean(
            [
                (test.radial_mm - adapted(test, fitted(films(count, OFFSET / 5, seed=seed)))[0]).mean()
                for seed in range(10, 20)
            ]
        )
        for count in (2, 3, 40)
    }
    assert gained[2] > 0.17 * gained[40] and gained[3] > 0.3 * gained[40]


def test_without_an_offset_nothing_is_lost() -> None:
    none = np.zeros((COUNT, 2))
    test = films(60, none, seed=9)
    for count in (1, 3, 10):
        after = [adapted(test, fitted(films(count, none, seed=seed)))[0].mean() for seed in range(10, 30)]
        assert np.mean(after) < 1.01 * test.radial_mm.mean()
        plain = np.mean(films(count, none, seed=10).vectors_mm, axis=0)  # what is taken off without shrinking
        assert np.mean(after) < np.linalg.norm(test.vectors_mm - plain, axis=-1).mean()


def test_a_gross_error_on_one_film_is_no_protocol() -> None:
    errors = films(6, np.zeros((COUNT, 2)))
    errors.predicted[0, 3] += 30.0
    size = np.linalg.norm(FaceFrame(REFERENCE).to_image(FACE[None])[0, :, 0])
    assert np.linalg.norm(fitted(errors).offset[3]) * size < 1.0 < 30.0 / 6


def test_residual_scatter_widens_the_radii() -> None:
    errors = films(40, OFFSET)
    sure = Errors(**{**vars(errors), "uncertainty_mm": errors.uncertainty_mm / 2})
    np.testing.assert_allclose(fitted(sure).factor, 2 * fitted(errors).factor, rtol=0.1)


def test_landmarks_that_films_lack() -> None:
    errors = films(5, OFFSET)
    errors.truth[:, 4] = np.nan
    errors.truth[1:, 5] = np.nan
    protocol = fitted(errors)
    np.testing.assert_array_equal(protocol.offset[4], 0.0)
    assert protocol.variance[4] > protocol.variance[5] > protocol.variance[6] > 0
    assert np.isfinite(adapted(films(3, OFFSET), protocol)[0]).all()
    errors.truth[:] = np.nan
    with pytest.raises(ValueError, match="no landmark is marked"):
        fitted(errors)


@pytest.mark.parametrize("count", [1, 3, 5, 10])
def test_an_offset_is_as_sure_as_its_variance_says(count: int) -> None:
    """Also where offsets are so small that chance explains them."""
    to_frame = np.linalg.inv(FaceFrame(REFERENCE).to_image(FACE[None])[0])
    for width in (0.15, 0.6):
        held = []
        for seed in range(20):
            offset = np.random.default_rng([seed, 7]).normal(0, width, (COUNT, 2))
            protocol = fitted(films(count, offset, seed=seed))
            error = np.abs(protocol.offset - offset @ to_frame.T)
            held.append(error < 1.96 * np.sqrt(protocol.variance)[:, None])
        assert np.mean(held) > 0.85, width


def test_what_more_films_would_bring() -> None:
    errors = films(5, OFFSET)
    found = gain(errors, fitted(errors))
    assert found.after is not None and found.after.mre_mm < found.before.mre_mm
    expected = list(found.expected_mre_mm.values())
    assert list(found.expected_mre_mm) == [0, *MORE_FILMS] and expected == sorted(expected, reverse=True)
    new = adapted(films(60, OFFSET, seed=9), fitted(errors))[0].mean()
    assert expected[0] == pytest.approx(new, rel=0.2)
    assert json.dumps(found.to_dict(), allow_nan=False)
    alone = films(1, OFFSET)
    one = gain(alone, fitted(alone))
    assert one.after is None and one.expected_mre_mm == {}  # one film cannot tell


def module(protocol: ProtocolOffsets) -> Protocol:
    arrays = {
        key: torch.from_numpy(getattr(protocol, key)) for key in ("reference", "offset", "variance", "factor")
    }
    return Protocol(**arrays, canvas=CANVAS)


@pytest.mark.parametrize("upright", [True, False])
def test_pytorch_says_what_numpy_says(upright: bool) -> None:
    protocol = fitted(films(4, OFFSET))
    pixels = films(6, OFFSET, seed=3, upright=upright).predicted
    scale = np.random.default_rng(0).uniform(0.5, 2.0, (6, COUNT, 1)) * np.ones(2)  # b in canvas pixels
    canvas = torch.tensor(CANVAS, dtype=torch.float32)
    given = Prediction(
        torch.from_numpy(pixels).float() / canvas, (torch.from_numpy(scale).float() / canvas).log()
    )
    found = module(protocol)(given)
    points, uncertainty = protocol.applied(pixels, 2.0 * scale[..., 0])  # rms radial error 2 b
    np.testing.assert_allclose((found.points * canvas).numpy(), points, atol=1e-3)
    found_rms = (2.0 * (found.scale * canvas).square().sum(-1)).sqrt()
    np.testing.assert_allclose(found_rms.numpy(), uncertainty, rtol=1e-4)


class Moving(LandmarkModel):
    """Finds a head whose place depends on the image, so that a graph cannot fold it away."""

    landmark_tensors = ()

    def forward(self, images: Tensor, targets: None = None) -> MeanShapeOutputs:
        points = self.mean_shape + 0.1 * images.mean((1, 2, 3))[:, None, None]
        return MeanShapeOutputs((self.calibrated(Prediction(points, torch.full_like(points, -4.0))),))


def test_the_exported_graph_follows_too() -> None:
    model = Moving(COUNT).eval()
    model.mean_shape.copy_(torch.from_numpy(FACE) / 250.0)
    plain = model(torch.zeros(1, 1, 512, 416)).final
    model.protocol = module(fitted(films(4, OFFSET)))
    images = torch.rand(3, 1, 512, 416, generator=torch.Generator().manual_seed(0))
    graph = export_graph(model, (512, 416), GraphOptions(dynamic=True))
    names, scales = OnnxGraphRunner(graph)(images.numpy())
    final = model(images).final
    np.testing.assert_allclose(names, final.points.numpy(), atol=1e-5)
    np.testing.assert_allclose(scales, final.scale.numpy(), rtol=1e-4)
    assert (model(torch.zeros(1, 1, 512, 416)).final.points - plain.points).abs().max() > 1e-3


class OnnxGraphRunner:
    """A graph without its metadata."""

    def __init__(self, graph) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(graph.SerializeToString())

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        return self._session.run(["points", "scales"], {"images": images})


def tiny_protocol() -> ProtocolOffsets:
    rng = np.random.default_rng(0)
    reference = mean_face(rng.normal(0, 1, (1, 5, 2)))
    return ProtocolOffsets(
        reference, rng.normal(0, 0.1, (5, 2)), np.full(5, 0.01), np.full(5, 1.5), 3, "clinic", (64, 64)
    )


def test_a_checkpoint_keeps_it_and_weights_files_too(tmp_path: Path) -> None:
    plain = write_smoke_checkpoint(tmp_path / "plain.pt", TINY_SET)
    content = load_checkpoint(plain) | {"protocol": tiny_protocol().to_dict()}
    save_checkpoint(tmp_path / "clinic.pt", content)
    write_weights(tmp_path / "clinic.safetensors", content)
    images = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        names = ("plain.pt", "clinic.pt", "clinic.safetensors")
        first, second, third = (load_model(tmp_path / name).model(images).final for name in names)
        expected = load_model(plain).model
        expected.protocol = load_model(tmp_path / "clinic.pt").model.protocol
        torch.testing.assert_close(expected(images).final.points, second.points)
    assert (first.points - second.points).abs().max() > 1e-3 and (second.scale > 1.49 * first.scale).all()
    torch.testing.assert_close(second.points, third.points, atol=5e-3, rtol=0)
    assert load_model(plain).model.protocol is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offset": [[0, 0]] * 4}, "arrays of"),
        ({"offset": [[0, None]] * 5}, "arrays of"),
        ({"variance": [-1.0] * 5}, "arrays of"),
        ({"films": None}, "not as written"),
        ({"canvas": 3}, "not as written"),
    ],
)
def test_a_protocol_that_is_not_as_written_is_refused(tmp_path: Path, changes: dict, message: str) -> None:
    content = load_checkpoint(write_smoke_checkpoint(tmp_path / "x.pt", TINY_SET))
    save_checkpoint(tmp_path / "x.pt", content | {"protocol": tiny_protocol().to_dict() | changes})
    with pytest.raises(ValueError, match=f"x.pt: its protocol .*{message}.*adapt_protocol"):
        load_model(tmp_path / "x.pt")


def test_a_protocol_of_other_landmarks_is_refused(tmp_path: Path) -> None:
    content = load_checkpoint(write_smoke_checkpoint(tmp_path / "x.pt", TINY_SET))
    save_checkpoint(tmp_path / "x.pt", content | {"protocol": fitted(films(2, OFFSET)).to_dict()})
    with pytest.raises(ValueError, match="its protocol has 19 landmarks, its model 5"):
        load_model(tmp_path / "x.pt")


def test_a_report_says_whether_there_is_anything_to_follow(tmp_path: Path) -> None:
    errors = films(15, OFFSET)
    moving = fitted(errors)
    still = fitted(films(15, np.zeros((COUNT, 2))))
    for protocol, said in ((moving, "to where these readers mark it"), (still, "by no more than chance")):
        write_report(
            tmp_path / "report.html",
            errors,
            protocol,
            gain(errors, protocol),
            landmark_set=load_landmark_set("isbi19"),
            checkpoint="best.pt",
        )
        text = (tmp_path / "report.html").read_text()
        assert said in text and "-0.00" not in text
        assert "best.pt follows 15 films of" in text and "judged by the offsets of the other 14" in text


def test_films_that_a_model_was_trained_on_are_suspected(tmp_path: Path) -> None:
    new = films(15, np.zeros((COUNT, 2)))
    learnt = replace(new, predicted=new.truth + 0.3 * (new.predicted - new.truth))
    for errors, is_said in ((new, False), (learnt, True)):
        protocol = fitted(errors)
        found = gain(errors, protocol)
        about = {"landmark_set": load_landmark_set("isbi19"), "checkpoint": "best.pt"}
        write_report(tmp_path / "report.html", errors, protocol, found, **about)
        assert bool(found.warning(15)) == is_said and found.warning(2) == ""
        assert ("Warning: the model errs less on these" in (tmp_path / "report.html").read_text()) == is_said


def test_the_tool(tmp_path: Path, tiny_prepared: Path) -> None:
    plain = write_smoke_checkpoint(tmp_path / "plain.pt", TINY_SET)
    files = [tmp_path / name for name in ("clinic.pt", "report.html", "numbers.json")]
    options = ("--data", tiny_prepared, "--subset", "train", "--workers", "0", "--device", "cpu")
    outputs = ("--output", files[0], "--report", files[1], "--json", files[2])
    ended = run_tool("tools/adapt_protocol.py", "--checkpoint", plain, *options, *outputs)
    assert ended.returncode == 0, ended.stderr
    assert "as it was:" in ended.stdout and "40 more" in ended.stdout
    content = load_checkpoint(files[0])
    assert content["labels"] == "synthetic, following 3 films of synthetic labels"
    assert json.loads(files[2].read_text())["protocol"] == content["protocol"]
    report = files[1].read_text()
    assert report.count("data:image/png;base64") == 2
    assert "follows 3 films of" in report and "judged by the offsets of the other 2" in report
    again = run_tool(
        "tools/adapt_protocol.py", "--checkpoint", files[0], *options, "--output", tmp_path / "b.pt"
    )
    assert again.returncode == 0, again.stderr
    other = load_checkpoint(tmp_path / "b.pt")  # a protocol is replaced, not piled up
    assert other["labels"] == content["labels"] and other["protocol"] == content["protocol"]
    weights = tmp_path / "weights.safetensors"
    refused = run_tool("tools/adapt_protocol.py", "--checkpoint", plain, *options, "--output", weights)
    assert refused.returncode == 2 and "expected a name that ends in .pt" in refused.stderr
    assert not weights.exists()

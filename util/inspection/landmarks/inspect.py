"""What happens inside a landmark model on one image, collected without changing model or result.

Forward hooks keep what the parts were given. What they do not hand out (attention weights, sampling points)
is computed again from that, with their own layers. Which views there are depends on the parts of the model.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from models.encoder import EncoderLayer, SalienceEncoder
from models.landmarks.decoder import DecoderLayer, LandmarkDecoder, StartQueries
from models.landmarks.prediction import Prediction
from models.landmarks.roi import RoiStage
from models.precision import exact_inference
from util.inspection.hooks import Call, parts_of, record_calls
from util.inspection.landmarks.views import Inspection, PathStep, RoiView, SalienceView, SamplingView


@exact_inference()
def inspect_model(model: nn.Module, image: Tensor) -> Inspection:
    """Run ``model`` once on a (1, 1, H, W) image in [0, 1] and look into all of its parts.

    Raises ValueError for a batch of several images, and for a model in training mode.
    """
    if image.ndim != 4 or image.shape[:2] != (1, 1) or model.training:
        raise ValueError(
            f"image {tuple(image.shape)}, model in {'training' if model.training else 'evaluation'} mode: "
            "expected one image (1, 1, H, W) and model.eval()."
        )
    encoders, starts = parts_of(model, SalienceEncoder), parts_of(model, StartQueries)
    decoders, stages = parts_of(model, LandmarkDecoder), parts_of(model, RoiStage)
    with record_calls([*encoders, *starts, *decoders, *stages, *_insides(model)]) as calls:
        outputs = model(image)
    logits, predictions = heatmap_logits(outputs), getattr(outputs, "predictions", (outputs.final,))
    views: dict[str, Any] = {
        "heatmaps": None if logits is None else _probabilities(logits),
        "salience": next((_salience(encoder, calls) for encoder in encoders), None),
        "sampling": tuple(view for decoder in decoders for view in _sampling(decoder, calls)),
        "landmark_attention": next((_attention(decoder, calls) for decoder in decoders), None),
        "roi": tuple(_roi(stage, calls) for stage in stages),
    }
    beginning = _beginning([calls[start] for start in starts])
    return Inspection(
        prediction=outputs.final,
        path=(*beginning, *_stages(predictions, views)),
        absent=tuple(text for name, text in _ABSENT.items() if _is_empty(views[name])),
        **views,
    )


_ABSENT = {
    "heatmaps": "no heatmaps: the model's outputs have none",
    "salience": "no salience and kept tokens: the model has no salience-filtered encoder",
    "sampling": "no sampling points: the model has no landmark decoder",
    "landmark_attention": "no attention between landmarks: the model has no landmark decoder",
    "roi": "no ROI windows: the model has no ROI stage",
}


def heatmap_logits(outputs: Any) -> Tensor | None:
    """(B, K, h, w) logarithm of a model's heatmaps up to a constant a map; None for a model without any."""
    heatmaps, codec = getattr(outputs, "heatmaps", None), getattr(outputs, "codec", None)
    return heatmaps if heatmaps is None or codec is None else codec.log_maps(heatmaps)


def _is_empty(view: object) -> bool:
    return view is None or (isinstance(view, tuple) and not view)


def _insides(model: nn.Module) -> list[nn.Module]:
    """The parts within encoders, decoders and ROI stages whose inputs or outputs the views need."""
    layers = parts_of(model, DecoderLayer)
    attentions = [part for layer in layers for part in (layer.self_attention, layer.cross_attention)]
    return [
        *parts_of(model, EncoderLayer),
        *attentions,
        *(stage.score for stage in parts_of(model, RoiStage)),
    ]


def _salience(encoder: SalienceEncoder, calls: dict[nn.Module, Call]) -> SalienceView:
    salience: Sequence[Tensor] = calls[encoder].inputs[1]
    kept = encoder.select(salience)[0]  # (S,) most salient first
    updates = kept.new_zeros(sum(level[0].numel() for level in salience))
    for layer in parts_of(encoder, EncoderLayer):
        count = calls[layer].inputs[0].shape[1]
        updates[kept[:count]] += 1
    maps = updates.split([level[0].numel() for level in salience])
    return SalienceView(
        tuple(_array(level[0]) for level in salience),
        tuple(_array(m.view(level.shape[1:])) for m, level in zip(maps, salience, strict=True)),
    )


def _sampling(decoder: LandmarkDecoder, calls: dict[nn.Module, Call]) -> list[SamplingView]:
    views, predictions = [], calls[decoder].output[1]  # a list that the model goes on to extend
    for layer, prediction in zip(parts_of(decoder, DecoderLayer), predictions, strict=False):
        queries, references, maps = calls[layer.cross_attention].inputs
        points, weights = layer.cross_attention.look(queries, references, maps)
        tensors = references[0], points[0], weights[0], prediction.points[0, 0]
        views.append(SamplingView(*map(_array, tensors)))
    return views


def _attention(decoder: LandmarkDecoder, calls: dict[nn.Module, Call]) -> np.ndarray:
    layers = [layer.self_attention for layer in parts_of(decoder, DecoderLayer)]
    weights = [layer(*calls[layer].inputs, average_attn_weights=False)[1] for layer in layers]
    return np.stack([_array(one[0]) for one in weights])


def _roi(stage: RoiStage, calls: dict[nn.Module, Call]) -> RoiView:
    queries, maps = calls[stage].inputs
    half, centres = stage.half_window(maps[0]), queries.points[0, 0]  # (2,), (K, 2)
    points = stage.window_points(centres, half)
    attention = calls[stage.score].output[0, 0].squeeze(-1).softmax(-1)
    after = calls[stage].output[1].points[0, 0]
    return RoiView(*map(_array, (centres, half, points, attention, after)))


def _beginning(starts: Sequence[Call]) -> list[PathStep]:
    steps = []
    for call in starts:
        steps += [PathStep("mean shape", _array(call.inputs[0]), None)]
        steps += [PathStep("start", _array(call.output.points[0, 0]), None)]
    return steps


def _stages(predictions: Sequence[Prediction], views: dict[str, Any]) -> list[PathStep]:
    names = [f"decoder layer {n + 1}" for n in range(len(views["sampling"]))]
    names += [f"ROI stage {n + 1}" for n in range(len(views["roi"]))]
    if len(names) != len(predictions):
        names = [f"stage {n + 1}" for n in range(len(predictions))]
    return [
        PathStep(name, _array(prediction.points[0]), _array(prediction.scale[0]))
        for name, prediction in zip(names, predictions, strict=True)
    ]


def _probabilities(logits: Tensor) -> np.ndarray:
    return _array(logits[0].float().flatten(1).softmax(-1).view(logits.shape[1:]))


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().numpy()

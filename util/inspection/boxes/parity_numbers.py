"""What the detector computes of a case, under the names that the reference numbers have."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from models.boxes.decoder import Stage
from models.boxes.denoising import Draws
from models.boxes.detector import SalienceDetr
from models.boxes.geometry import logit
from models.boxes.outputs import BoxOutputs
from models.boxes.position import encode_cells
from models.boxes.projection import anchors
from models.boxes.proposals import thinned
from models.boxes.pyramid import Pyramid
from models.boxes.selection import Selection, level_counts, most_taken
from models.boxes.targets import BoxTargets
from util.inspection.boxes.parity_case import Case
from util.inspection.boxes.parity_rule import image
from util.inspection.hooks import Calls, record_all_calls

Numbers = dict[str, Tensor]


def images_of(case: Case, dtype: torch.dtype) -> list[Tensor]:
    """(3, h, w) images in [0, 1], by the rule."""
    return [pixels.to(dtype) / 255.0 for pixels in pixels_of(case)]


def pixels_of(case: Case) -> list[Tensor]:
    """The same as uint8."""
    seed = case.meta["seed"]
    return [torch.from_numpy(image(name, height, width, seed)) for name, height, width in case.meta["images"]]


def padded(images: Sequence[Tensor], multiple: int = 32) -> tuple[Tensor, Tensor]:
    """(B, 3, H, W) images in the corner of a common canvas, and (B, 2) their widths and heights."""
    sizes = torch.tensor([[pixels.shape[2], pixels.shape[1]] for pixels in images])
    width, height = (-(-int(side) // multiple) * multiple for side in sizes.amax(0))
    canvas = images[0].new_zeros(len(images), 3, height, width)
    for place, pixels in zip(canvas, images, strict=True):
        place[:, : pixels.shape[1], : pixels.shape[2]] = pixels
    return canvas, sizes


def evaluation_numbers(model: SalienceDetr, images: Sequence[Tensor]) -> Numbers:
    """Every stage of an evaluation, down to the detections."""
    canvas, sizes = padded(images)
    with torch.no_grad(), record_all_calls(_listened(model)) as calls:
        outputs = model.eval()(canvas, sizes=sizes)
        numbers = _stages(model, calls, outputs)
    for name in ("scores", "labels", "boxes"):
        found = getattr(outputs.final, name)
        numbers |= {f"det/{number}/{name}": values for number, values in enumerate(found)}
    return numbers


def training_outputs(
    model: SalienceDetr, case: Case, dtype: torch.dtype
) -> tuple[BoxOutputs, BoxTargets, Numbers]:
    """Every stage of a forward in training, with the draws of the case."""
    canvas, sizes = padded(images_of(case, dtype))
    targets = targets_of(case, sizes, dtype)
    draws = Draws(*(torch.from_numpy(case.arrays[f"dn/rand/{place}"]) for place in range(4)))
    draws = Draws(draws.replace, draws.label.long(), draws.positive, draws.distance.to(dtype))
    with record_all_calls(_listened(model)) as calls:
        outputs = model.train()(canvas, targets, draws=draws)
    with torch.no_grad():
        numbers = _stages(model, calls, outputs)
    assert outputs.denoised is not None
    queries = outputs.denoised.queries
    numbers |= {
        "dn/label_query": queries.content,
        "dn/box_query": logit(queries.boxes, 0.0),
        "dn/attn_mask": queries.hidden(outputs.proposals.index.shape[1]),
        "dn/groups": torch.tensor(queries.groups),
        "dn/per_group": torch.tensor(queries.group_size),
    }
    return outputs, targets, numbers


def targets_of(case: Case, sizes: Tensor, dtype: torch.dtype) -> BoxTargets:
    """The objects of the case."""
    annotated = [
        {
            "boxes": torch.tensor(target["boxes"], dtype=dtype).reshape(-1, 4),
            "labels": torch.tensor(target["labels"], dtype=torch.int64),
        }
        for target in case.meta["targets"]
    ]
    return BoxTargets.of(annotated, sizes)


def backbone_numbers(model: SalienceDetr, images: Sequence[Tensor], prefixes: Sequence[str]) -> Numbers:
    """The backbone's and the first neck's maps of each image by itself, without padding."""
    numbers: Numbers = {}
    with torch.no_grad():
        for pixels, prefix in zip(images, prefixes, strict=True):
            maps = list(model.eval().backbone(model.normalise(pixels[None])))[-model.num_maps :]
            numbers |= _maps(f"{prefix}backbone", maps)
            numbers |= _maps(f"{prefix}neck", model.neck(maps, None))
    return numbers


def as_arrays(numbers: Numbers) -> dict[str, np.ndarray]:
    """The same as numpy arrays."""
    return {name: value.detach().numpy() for name, value in numbers.items()}


def _listened(model: SalienceDetr) -> list[nn.Module]:
    parts = [model.backbone, model.neck, model.projection, model.encoder, model.second_neck, model.decoder]
    return [*parts, *model.encoder.layers, *model.decoder.layers]


def _stages(model: SalienceDetr, calls: Calls, outputs: BoxOutputs) -> Numbers:
    pyramid = outputs.pyramid
    (encoder,), memory = calls[model.encoder], calls[model.projection][1].output
    selection, position = encoder.inputs[3], encoder.inputs[1]
    numbers = _maps("backbone", list(calls[model.backbone][0].output)[-model.num_maps :])
    numbers |= _maps("neck", calls[model.neck][0].output)
    numbers |= _places(pyramid, position)
    numbers |= _salience(model, calls[model.projection][0].output, outputs, selection)
    for number, layer in enumerate(model.encoder.layers):
        result = calls[layer][0].output
        numbers[f"enc/{number}/sa_index"] = result.attended
        numbers[f"enc/{number}/query"], numbers[f"enc/{number}/memory"] = result.queries, result.tokens
    last = calls[model.encoder.layers[-1]][0].output.tokens
    numbers |= {"enc/background": encoder.output - last, "enc/out": encoder.output}
    numbers |= _maps("neck2", calls[model.second_neck][0].output)
    return numbers | _proposals(model, memory, outputs) | _decoder(model, calls, outputs)


def _maps(name: str, maps: Sequence[Tensor]) -> Numbers:
    return {f"{name}/{level}": value for level, value in enumerate(maps)}


def _places(pyramid: Pyramid, position: Tensor) -> Numbers:
    numbers = _maps("mask", pyramid.maps(pyramid.padded))
    numbers |= _maps("pos", pyramid.maps(encode_cells(pyramid, position.shape[-1])))
    return numbers | {
        "flat/pos": position,
        "flat/mask": pyramid.padded,
        "flat/valid_ratios": pyramid.ratios,
        "flat/spatial_shapes": torch.tensor(pyramid.shapes),
        "enc/reference_points": pyramid.references,
    }


def _salience(model: SalienceDetr, memory: Tensor, outputs: BoxOutputs, selection: Selection) -> Numbers:
    pyramid, ratios = outputs.pyramid, model.ratios.levels
    flat = torch.cat([score.flatten(1) for score in outputs.salience], 1)
    numbers = _maps("salience/score", [score[:, None] for score in outputs.salience])
    numbers |= {f"salience/inds/{i}": selection.index[:, :n] for i, n in enumerate(selection.layer_sizes)}
    return numbers | {
        "salience/memory": memory,
        "salience/foreground_score": torch.where(pyramid.padded, flat.min(), flat),
        "salience/valid_token_nums": pyramid.counts.prod(-1).long(),
        "salience/focus_token_nums": level_counts(pyramid, ratios).sum(-1),
        "salience/level_token_nums": torch.tensor(most_taken(pyramid, ratios)),
    }


def _proposals(model: SalienceDetr, memory: Tensor, outputs: BoxOutputs) -> Numbers:
    head, chosen = model.proposals, outputs.proposals
    anchor, _ = anchors(outputs.pyramid, border_cells=False)
    scores = head.classify(memory).amax(-1)
    ranked, _ = thinned(scores, outputs.pyramid, model.num_queries)
    return {
        "prop/memory": memory,
        "prop/anchors": anchor,
        "prop/class_max": scores,
        "prop/coord": head.boxes(memory, anchor),
        "prop/topk_index": ranked,
        "prop/topk_scores": scores.gather(1, ranked),
        "prop/kept_index": chosen.index,
        "prop/enc_class": chosen.logits,
        "prop/enc_coord": chosen.boxes,
    }


def _decoder(model: SalienceDetr, calls: Calls, outputs: BoxOutputs) -> Numbers:
    numbers = {"dec/query0": calls[model.decoder][0].inputs[0]}
    for number, layer in enumerate(model.decoder.layers):
        (call,) = calls[layer]
        stage = _whole_stage(outputs, number)
        numbers[f"dec/{number}/query_pos"], numbers[f"dec/{number}/reference_points"] = call.inputs[1:3]
        numbers[f"dec/{number}/query"] = call.output
        numbers[f"dec/{number}/class"], numbers[f"dec/{number}/coord"] = stage.logits, stage.boxes
    return numbers


def _whole_stage(outputs: BoxOutputs, number: int) -> Stage:
    """A decoder layer's stage, the denoising queries before the others."""
    stage = outputs.stages[number]
    if outputs.denoised is None:
        return stage
    before = outputs.denoised.stages[number]
    return Stage(torch.cat([before.logits, stage.logits], 1), torch.cat([before.boxes, stage.boxes], 1))

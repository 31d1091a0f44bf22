"""How the published Salience-DETR checkpoints call the tensors of ``models.boxes``.

Every tensor of ours has one published counterpart; only a few are reshaped, none is split or permuted.
"""

import re
from collections.abc import Iterable

ALIASES = {  # published name: the published name of the same tensor
    "transformer.encoder.enhance_mcsp.weight": "transformer.encoder_class_head.weight",
    "transformer.encoder.enhance_mcsp.bias": "transformer.encoder_class_head.bias",
}
DERIVED = ("dim_tx", "dim_ty", "relative_position_index", "_classes_", "num_batches_tracked")
CLASSES = "_classes_"

_ATTENTION = {
    "offsets": "sampling_offsets",
    "weights": "attention_weights",
    "values": "value_proj",
    "output": "output_proj",
}
_DETECTOR = (  # ours: published, applied in order to the start of what is left of a name
    (r"neck\.convolutions\.(\d)\.", r"neck.convs.\1.0."),
    (r"neck\.norms\.(\d)\.", r"neck.convs.\1.1."),
    (r"ratios\.level_ratios", "transformer.level_filter_ratio"),
    (r"ratios\.layer_ratios", "transformer.layer_filter_ratio"),
    (r"level_embed", "transformer.level_embeds"),
    (r"salience\.alpha", "transformer.alpha"),
    (r"salience\.predictor\.mix\.", "transformer.enc_mask_predictor.layer1."),
    (r"salience\.predictor\.score\.", "transformer.enc_mask_predictor.layer2."),
    (r"projection\.linear\.", "transformer.enc_output."),
    (r"projection\.norm\.", "transformer.enc_output_norm."),
    (r"encoder\.background\.rows\.", "transformer.encoder.background_embedding.row_embed."),
    (r"encoder\.background\.columns\.", "transformer.encoder.background_embedding.col_embed."),
    (r"encoder\.layers\.(\d+)\.self_attention\.", r"transformer.encoder.layers.\1.pre_attention."),
    (r"encoder\.layers\.(\d+)\.self_norm\.", r"transformer.encoder.layers.\1.pre_norm."),
    (r"encoder\.layers\.(\d+)\.attention\.", r"transformer.encoder.layers.\1.self_attn."),
    (r"encoder\.layers\.(\d+)\.attention_norm\.", r"transformer.encoder.layers.\1.norm1."),
    (r"encoder\.layers\.(\d+)\.norm\.", r"transformer.encoder.layers.\1.norm2."),
    (r"encoder\.layers\.(\d+)\.widen\.", r"transformer.encoder.layers.\1.linear1."),
    (r"encoder\.layers\.(\d+)\.narrow\.", r"transformer.encoder.layers.\1.linear2."),
    (r"second_neck\.lateral\.(\d)\.", r"transformer.neck.lateral_convs.\1."),
    (r"second_neck\.stride\.(\d)\.", r"transformer.neck.downsample_blocks.\1."),
    (r"second_neck\.down\.(\d)\.", r"transformer.neck.layer_blocks.\1."),
    (r"second_neck\.up\.(\d)\.", r"transformer.neck.pan_blocks.\1."),
    (r"proposals\.classify\.", "transformer.encoder_class_head."),
    (r"proposals\.box\.", "transformer.encoder_bbox_head."),
    (r"content\.", "transformer.tgt_embed."),
    (r"decoder\.layers\.(\d+)\.self_attention\.", r"transformer.decoder.layers.\1.self_attn."),
    (r"decoder\.layers\.(\d+)\.self_norm\.", r"transformer.decoder.layers.\1.norm2."),
    (r"decoder\.layers\.(\d+)\.attention\.", r"transformer.decoder.layers.\1.cross_attn."),
    (r"decoder\.layers\.(\d+)\.attention_norm\.", r"transformer.decoder.layers.\1.norm1."),
    (r"decoder\.layers\.(\d+)\.norm\.", r"transformer.decoder.layers.\1.norm3."),
    (r"decoder\.layers\.(\d+)\.widen\.", r"transformer.decoder.layers.\1.linear1."),
    (r"decoder\.layers\.(\d+)\.narrow\.", r"transformer.decoder.layers.\1.linear2."),
    (r"decoder\.position\.widen\.", "transformer.decoder.ref_point_head.layers.0."),
    (r"decoder\.position\.mix\.", "transformer.decoder.ref_point_head.layers.1."),
    (r"decoder\.norm\.", "transformer.decoder.norm."),
    (r"decoder\.class_heads\.(\d+)\.", r"transformer.decoder.class_head.\1."),
    (r"decoder\.box_heads\.(\d+)\.", r"transformer.decoder.bbox_head.\1."),
    (r"denoising\.labels\.", "denoising_generator.label_encoder."),
    (r"refinement\.", "roi_refine_head."),
)
_SECOND_NECK = (  # anywhere in a published name that begins with transformer.neck.
    (r"\.deep\.", ".conv1."),
    (r"\.plain\.", ".conv2."),
    (r"\.blocks\.(\d)\.wide\.", r".bottlenecks.\1.conv1."),
    (r"\.blocks\.(\d)\.narrow\.", r".bottlenecks.\1.conv2."),
    (r"\.blocks\.(\d)\.gate\.score\.", r".bottlenecks.\1.se_module.conv_mask."),
    (r"\.blocks\.(\d)\.gate\.squeeze\.", r".bottlenecks.\1.se_module.se_module.0."),
    (r"\.blocks\.(\d)\.gate\.excite\.", r".bottlenecks.\1.se_module.se_module.2."),
    (r"\.convolution\.", ".0."),
    (r"\.norm\.", ".1."),
)


def _doubled(match: re.Match[str]) -> str:
    return f"{2 * int(match[1])}."


def _odd(match: re.Match[str]) -> str:
    return f"{2 * int(match[1]) + 1}."


_CONVNEXT = (  # after "backbone.features." of ours
    (r"^stem_", "features.0."),
    (r"^stages_(\d)\.downsample\.", lambda m: f"features.{_doubled(m)}"),
    (r"^stages_(\d)\.blocks\.", lambda m: f"features.{_odd(m)}"),
    (r"\.gamma$", ".layer_scale"),
    (r"\.conv_dw\.", ".block.0."),
    (r"(features\.\d\.\d+)\.norm\.", r"\1.block.2."),
    (r"\.mlp\.fc1\.", ".block.3."),
    (r"\.mlp\.fc2\.", ".block.5."),
)
_SWIN = (
    (r"^patch_embed\.proj\.", "0.features.0.0."),
    (r"^patch_embed\.norm\.", "0.features.0.2."),
    (r"^layers_(\d)\.downsample\.", lambda m: f"0.features.{_doubled(m)}"),
    (r"^layers_(\d)\.blocks\.", lambda m: f"0.features.{_odd(m)}"),
    (r"\.mlp\.fc1\.", ".mlp.0."),
    (r"\.mlp\.fc2\.", ".mlp.3."),
)
_FOCALNET = (
    (r"^stem\.", "0.patch_embed."),
    (r"^layers_(\d)\.downsample\.", lambda m: f"0.layers.{int(m[1]) - 1}.downsample."),
    (r"^layers_(\d)\.blocks\.", r"0.layers.\1.blocks."),
    (r"\.ls(\d)\.gamma$", r".gamma_\1"),
    (r"\.norm(\d)_post\.", r".norm\1."),
)


def published_names(ours: Iterable[str]) -> dict[str, str]:
    """Our name -> the published one, for the names of a whole detector."""
    ours = list(ours)
    rules = _backbone_rules(ours)
    return {
        name: _published(name, rules)
        for name in ours
        if not name.endswith("num_batches_tracked") or "second_neck" in name
    }


def published_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape under its published name of a tensor that has ``shape`` here."""
    if name.endswith(".layer_scale"):
        return (*shape, 1, 1)
    if ".modulation." in name or ".mlp." in name:  # 1x1 convolutions here, linear layers there
        linear = re.search(r"\.layers\.\d\.blocks\.\d+\.(modulation\.(f|proj)|mlp\.fc\d)\.weight$", name)
        return shape[:2] if linear else shape
    return shape


def _backbone_rules(ours: list[str]) -> tuple:
    found = {name.removeprefix("backbone.features.").split(".")[0] for name in ours}
    if "stem_0" in found:
        return _CONVNEXT
    if "patch_embed" in found:
        return _SWIN
    return _FOCALNET if "stem" in found else ()


def _published(name: str, backbone_rules: tuple) -> str:
    if name.startswith("backbone.norms."):
        number, _, rest = name.removeprefix("backbone.norms.").partition(".")
        return f"backbone.1.norm{int(number) + 1}.{rest}"
    if name.startswith("backbone.features."):
        rest = name.removeprefix("backbone.features.")
        for pattern, replacement in backbone_rules:
            rest = re.sub(pattern, replacement, rest)
        return f"backbone.{rest}"
    for pattern, replacement in _DETECTOR:
        found, count = re.subn(f"^{pattern}", replacement, name)
        if count:
            return _inner(found)
    raise ValueError(f"{name}: a tensor without a published name.")


def _inner(name: str) -> str:
    """What a part's own tensors are called inside it."""
    if name.startswith("transformer.neck."):
        for pattern, replacement in _SECOND_NECK:
            name = re.sub(pattern, replacement, name)
    attention = re.match(
        r"(.*layers\.\d+\.(?:self_attn|cross_attn)\.)(offsets|weights|values|output)(\..*)$", name
    )
    return name if attention is None else attention[1] + _ATTENTION[attention[2]] + attention[3]

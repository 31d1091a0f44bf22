"""Where the classes lie that older configs name by the module they lay in then.

A checkpoint, weights that were handed out and a run's ``config.yaml`` name their classes as ``module:Name``.
Whoever moves a class that a config can name adds its old module here, and old files keep loading.
"""

from typing import Any

MODULES = {  # before: now
    "models.decoder": "models.landmarks.decoder",
    "models.heatmap": "models.landmarks.heatmap",
    "models.heatmap_codec": "models.landmarks.baselines.heatmap_codec",
    "models.heatmap_decoding": "models.landmarks.baselines.heatmap_decoding",
    "models.heatmap_net": "models.landmarks.baselines.heatmap_net",
    "models.heatmap_trunks": "models.landmarks.baselines.heatmap_trunks",
    "models.heatmap_window": "models.landmarks.heatmap_window",
    "models.landmark_detr": "models.landmarks.landmark_detr",
    "models.landmark_model": "models.landmarks.landmark_model",
    "models.losses": "models.landmarks.losses",
    "models.losses_heatmap": "models.landmarks.baselines.losses_heatmap",
    "models.prediction": "models.landmarks.prediction",
    "models.regression": "models.landmarks.baselines.regression",
    "models.roi": "models.landmarks.roi",
    "models.simcc": "models.landmarks.baselines.simcc",
}


def renamed_targets(node: Any) -> Any:
    """A config as plain containers with every ``_target_`` under the name that it has today."""
    if isinstance(node, dict):
        return {
            key: _renamed(value) if key == "_target_" else renamed_targets(value)
            for key, value in node.items()
        }
    return [renamed_targets(item) for item in node] if isinstance(node, list) else node


def _renamed(path: str) -> str:
    module, colon, name = str(path).partition(":")
    return MODULES.get(module, module) + colon + name

"""Where to start with landmarks of your own (docs/own_data.md): canvas, windows and jitter by the data."""

from configs.models.landmark_detr_resnet18 import embed_dim, model
from configs.train_config import criterion, data, eval_transforms, optimizer, task, train, train_transforms

size = "auto"
model.update(roi_windows="auto", jitter="auto")
data.update(folder="data/mine")
train.update(output_dir="runs/mine")

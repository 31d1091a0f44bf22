"""The embedded default of masks: 29 bones of phantom hands, which need no download (`make demo-masks`).

python tools/prepare_hand_phantom.py --output data/phantom_hand
python main.py --config-file configs/masks/phantom_hand.py
"""

from configs.masks.jsrt import (
    criterion,
    data,
    eval_transforms,
    model,
    optimizer,
    size,
    task,
    train,
    train_transforms,
)

size = (256, 256)
data.update(folder="data/phantom_hand")
train.update(output_dir="runs/phantom_hand", iterations=300, eval_every=150, mixed_precision="no")

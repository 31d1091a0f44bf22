"""What an experiment is called, what it is chosen by, and its seed."""

from configs.masks.parts.training import optimizer, train

train.update(output_dir="runs/jsrt", select="dice", seed=0)

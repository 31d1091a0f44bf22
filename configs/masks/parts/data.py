"""Where the images are (tools/prepare_masks.py)."""

from tasks.masks import MaskTask
from util.config import L

task = L(MaskTask)()
data = dict(folder="data/masks", train="train", val="val", test="test", workers=2)

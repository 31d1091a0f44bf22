"""segmentation-models-pytorch's plain UNet over ResNet-18, with data, augmentation and loss of jsrt.py."""

from configs.masks.jsrt import criterion, data, eval_transforms, optimizer, task, train, train_transforms
from models.masks.smp_net import SmpMaskNet
from util.config import L

size = (256, 256)
model = L(SmpMaskNet)(architecture="Unet", encoder="resnet18")
optimizer.update(lr=1e-3)
train.update(output_dir="runs/jsrt_unet")

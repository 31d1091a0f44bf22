"""The fast landmark DETR: ResNet-18, 512 x 416."""

from models.backbone import TimmBackbone
from models.encoder import SalienceEncoder
from models.landmarks.decoder import LandmarkDecoder
from models.landmarks.landmark_detr import LandmarkDetr
from util.config import L

size = (512, 416)
embed_dim = 128
model = L(LandmarkDetr)(
    backbone=L(TimmBackbone)(name="resnet18"),
    embed_dim="${embed_dim}",
    encoder=L(SalienceEncoder)(embed_dim="${embed_dim}", num_heads=4),
    decoder=L(LandmarkDecoder)(embed_dim="${embed_dim}", num_heads=4),
)

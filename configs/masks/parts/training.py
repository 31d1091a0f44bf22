"""How long and how fast the model learns."""

from torch.optim import AdamW

from util.config import L

optimizer = L(AdamW)(lr=2e-3, weight_decay=1e-2)
train = dict(
    output_dir="runs/masks",
    iterations=800,
    batch_size=8,
    accumulate_steps=1,
    warmup=0.05,
    milestones=None,
    clip_norm=1.0,
    ema_decay=0.99,
    eval_every=400,
    eval_batch_size=4,
    save_minutes=10.0,
    log_every=20,
    patience=None,
    mixed_precision="no",
    encoder_lr=None,
    init_checkpoint=None,
    init_parts=None,
)

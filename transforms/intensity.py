"""Random changes of grey values, standing in for other detectors, exposures and film processing."""

import os
import random

import numpy as np

from transforms.in_words import in_words

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it calls home on import


class Intensity:
    """Gamma, contrast, inversion, blur, noise, local contrast and cut-outs; pixels keep their places.

    ``strength`` scales the ranges; 0 changes nothing. ``grain`` is the size of the noise's grains and the
    unit of the blur, in pixels of the canvas: at a canvas of twice the size, 2 gives the same picture.
    ``hard``, ``cutout`` and ``invert`` are probabilities; a hard picture has up to 2.2 times the contrast and
    up to half of the grey range taken off, so that soft tissue turns as black as air.
    """

    def __init__(
        self,
        strength: float = 1.0,
        *,
        grain: float = 1.0,
        invert: float = 0.05,
        cutout: float = 0.1,
        hard: float = 0.0,
    ) -> None:
        if not 0.0 <= strength <= 2.0:
            raise ValueError(f"intensity strength={strength}: expected a value from 0 to 2.")
        if not 1.0 <= grain <= 8.0:
            raise ValueError(f"intensity grain={grain}: expected pixels from 1 to 8.")
        if not 0.0 <= hard <= 1.0:
            raise ValueError(f"intensity hard={hard}: expected a probability from 0 to 1.")
        chances = {"invert": invert, "cutout": cutout, "hard": hard}
        sizes = {} if grain == 1.0 else {"grain": grain}
        self._words = in_words({"strength": strength, **sizes, **chances}) if strength else ""
        import albumentations as A  # only training needs it: prediction shares this package without it

        gamma = (100.0 / (1.0 + 0.8 * strength), 100.0 * (1.0 + 0.8 * strength))
        self.pixels = A.Compose(
            [
                A.RandomGamma(gamma_limit=gamma, p=0.7),
                A.RandomBrightnessContrast(0.2 * strength, 0.3 * strength, p=0.7),
                *([A.RandomBrightnessContrast((-0.5, 0.0), (0.0, 1.2), p=hard)] if hard else []),
                A.CLAHE(clip_limit=(1.0, 1.0 + 3.0 * strength), p=0.1),
                A.OneOf(
                    [
                        A.GaussianBlur(
                            blur_limit=0, sigma_limit=(0.3 * grain, (0.3 + 1.2 * strength) * grain)
                        ),
                        A.Sharpen(alpha=(0.1, 0.1 + 0.3 * strength)),
                    ],
                    p=0.2,
                ),
                A.GaussNoise(
                    std_range=(0.005, 0.005 + 0.04 * strength), noise_scale_factor=1.0 / grain, p=0.3
                ),
                A.CoarseDropout((1, 3), (0.03, 0.12), (0.03, 0.12), fill="random_uniform", p=cutout),
                A.InvertImg(p=invert),
            ],
            p=float(strength > 0),
        )

    def __str__(self) -> str:
        """What is drawn, by the names of the arguments; empty where nothing is."""
        return self._words

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(H, W[, 3]) uint8 -> the same shape, a pure function of the image and the state of ``rng``."""
        # set_random_seed would give every operation the same seed: all would happen together, or none
        self.pixels.set_random_state(rng, random.Random(int(rng.integers(2**31))))
        channels = image[..., None] if image.ndim == 2 else image
        return np.ascontiguousarray(self.pixels(image=channels)["image"].reshape(image.shape))

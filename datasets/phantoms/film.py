"""From attenuation to a grey film: response, blur, noise, borders and everything burnt in."""

import math

import cv2
import numpy as np

from datasets.phantoms.drawing import Structure, attenuation_map, blur, ellipse
from datasets.phantoms.shape import Face


def apparatus(face: Face, rng: np.random.Generator) -> list[Structure]:
    """Head holder with its steel ruler before the brow, and round markers, as structures in the beam."""
    parts = []
    if rng.random() < 0.6:
        x, foot = face["N'"][0] + rng.uniform(14.0, 28.0), face["N'"][1] + rng.uniform(-4.0, 16.0)
        arm = np.array([[x, -5.0], [x, foot], [x - rng.uniform(6.0, 14.0), foot]])
        parts.append(Structure(arm, rng.uniform(0.06, 0.2), width=rng.uniform(5.0, 8.0), soft=0.4))
        parts.append(Structure(arm[:1] + np.array([[0.0, 0.0], [0.0, foot - 24.0]]), 0.25, width=2.4))
        parts += _ruler(x, foot, rng)
    for _ in range(rng.integers(0, 3)):
        where = rng.uniform((10.0, 20.0), (180.0, 225.0))
        pellet = ellipse(where, np.array([1.6, 0.0]), np.array([0.0, 1.6]))
        parts.append(Structure(pellet, rng.uniform(0.5, 2.0), part="marker"))
    return parts


def _ruler(x: float, foot: float, rng: np.random.Generator) -> list[Structure]:
    """A tick every 2 mm, a long one every 10 mm."""
    steel, end = rng.uniform(0.8, 2.0), foot - 3.0
    ticks = [
        np.array([[x, y], [x + (3.0 if i % 5 == 0 else 1.8), y]])
        for i, y in enumerate(end - 2.0 * np.arange(11))
    ]
    back = np.array([[x, end], [x, end - 20.0]])
    return [Structure(back, steel, width=0.8), *[Structure(tick, steel, width=0.6) for tick in ticks]]


def expose(attenuation: np.ndarray, spacing: float, rng: np.random.Generator) -> np.ndarray:
    """(H, W) uint8 film of an attenuation map: scatter, texture, film curve, blur, noise, borders, burn-ins.

    The film curve is logistic in log exposure (Hurter and Driffield): thin parts drown in black, thick
    ones in white, and where the useful range lies differs from film to film.
    """
    # Fields of as many numbers as pixels have streams of their own: a film of another size is the same film.
    texture_rng, grain_rng, coarse_rng = rng.spawn(3)
    height = attenuation.shape[0]
    attenuation = attenuation * (1.0 + texture(attenuation.shape, spacing, texture_rng))
    beam = np.exp(-attenuation)
    beam = (beam + rng.uniform(0.0, 0.08) * blur(beam, 0.05 * height)) * heel(beam.shape, rng)
    middle, contrast = rng.uniform(0.65, 1.0), rng.uniform(2.0, 3.6)
    film = 1.0 / (1.0 + (beam * math.exp(middle)) ** contrast)
    film = blur(film, rng.uniform(0.1, 0.45) / spacing)
    film = film ** rng.uniform(0.7, 1.4)
    grain = grain_rng.standard_normal(film.shape, np.float32)
    grain += rng.uniform(0.0, 1.5) * blur(coarse_rng.standard_normal(film.shape, np.float32), 1.0)
    film = film + rng.uniform(0.005, 0.025) * grain
    black, white = rng.uniform(0.0, 0.08), rng.uniform(0.82, 0.97)
    image = np.clip(255.0 * (black + (white - black) * film), 0.0, 255.0).round().astype(np.uint8)
    _collimate(image, spacing, rng)
    _burn_text(image, spacing, rng)
    return image


def texture(shape: tuple[int, int], spacing: float, rng: np.random.Generator) -> np.ndarray:
    """(H, W) float32 relative unevenness of tissue, at 1.5 and 8 mm."""
    total = np.zeros(shape, np.float32)
    for grain_mm in (1.5, 8.0):
        cells = [max(2, round(side * spacing / grain_mm)) for side in shape]
        coarse = rng.standard_normal(cells, np.float32)
        total += rng.uniform(0.02, 0.06) * cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return total


def heel(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """(H, W) float32 slope of the beam's brightness across the film."""
    rows, columns = np.linspace(-1, 1, shape[0])[:, None], np.linspace(-1, 1, shape[1])[None]
    slope = rng.uniform(-0.15, 0.15) * rows + rng.uniform(-0.15, 0.15) * columns
    return (1.0 + slope).astype(np.float32)


def _collimate(image: np.ndarray, spacing: float, rng: np.random.Generator) -> None:
    """Borders that the beam never reached: white or black edges, blocks at top and bottom, a shoulder."""
    height, width = image.shape
    shade = int(rng.choice([rng.integers(0, 12), rng.integers(235, 256)]))
    edges = (rng.uniform(0.0, 4.0, 4) * (rng.random(4) < 0.5) / spacing).astype(int)
    image[: edges[0]], image[height - edges[1] :] = shade, shade
    image[:, : edges[2]], image[:, width - edges[3] :] = shade, shade
    if rng.random() < 0.4:
        block = np.array([12.0, 6.0]) / spacing
        for x in rng.uniform(0.1, 0.3) * width + np.arange(3) * 0.25 * width:
            image[: int(block[1]), int(x) : int(x + block[0])] = 250
            image[height - int(0.7 * block[1]) :, int(x) : int(x + block[0])] = 250
    if rng.random() < 0.35:
        reach = rng.uniform(0.1, 0.3) * width
        shoulder = np.array([[0, height - rng.uniform(0.04, 0.11) * height], [reach, height], [0, height]])
        cv2.fillPoly(image, [shoulder.round().astype(np.int32)], 245, cv2.LINE_AA)


def _burn_text(image: np.ndarray, spacing: float, rng: np.random.Generator) -> None:
    """A serial number in a corner, a date, a side letter: pixels without anatomy behind them."""
    height, width = image.shape
    serial, letter = f"SN{rng.integers(10**5, 10**6)}", str(rng.choice(["R", "L"]))
    date = f"{rng.integers(1, 29):02d}.{rng.integers(1, 13):02d}.{rng.integers(1990, 2024)}"
    spots = ((serial, 0.02, 0.03), (date, 0.7, 0.98), (letter, 0.93, 0.1))
    for text, x, y in spots:
        if rng.random() < 0.45:
            size, shade = rng.uniform(0.11, 0.17) / spacing, int(rng.choice([0, 255]))
            where = (int(x * width), int(y * height))
            cv2.putText(
                image,
                text,
                where,
                cv2.FONT_HERSHEY_SIMPLEX,
                size,
                shade,
                max(1, round(2 * size)),
                cv2.LINE_AA,
            )


def render(
    structures: list[Structure], size: tuple[int, int], spacing: float, rng: np.random.Generator
) -> np.ndarray:
    """(H, W) uint8 film of ``structures``. size: (width, height) in pixels; spacing: mm per pixel."""
    return expose(attenuation_map(structures, size, spacing), spacing, rng)

"""What a transform draws, for a log: names and values of what is on."""

from collections.abc import Mapping, Sequence


def in_words(drawn: Mapping[str, float | str | Sequence[float]]) -> str:
    """``{"zoom": (0.8, 1.25), "rotation": 15.0, "flip": 0.0}`` -> "zoom 0.8 to 1.25, rotation 15".

    What is 0, empty, or a range from 1 to 1 is off and left out.
    """
    said = []
    for name, value in drawn.items():
        if isinstance(value, str):
            said += [f"{name} ({value})"] if value else []
        elif isinstance(value, Sequence):
            low, high = min(value), max(value)
            said += [f"{name} {low:.4g} to {high:.4g}"] if (low, high) != (1.0, 1.0) else []
        elif value:
            said.append(f"{name} {value:.4g}")
    return ", ".join(said)

"""Any exported graph in ONNX Runtime, on random input, to be timed beside its model."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


class OnnxSubject:
    """A graph with its one input, on the CPU. Raises ValueError when there is none that can be timed."""

    def __init__(self, file: Path, threads: int) -> None:
        import onnxruntime

        if not file.is_file():
            raise ValueError(f"{file} not found. Give a graph that tools/pytorch2onnx.py wrote.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.force_spinning_stop", "1")  # idle while others are timed
        try:
            self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own classes, one per status code, without a common base
            reason = str(error).strip().partition("\n")[0]
            raise ValueError(f"{file}: ONNX Runtime cannot load it ({reason}). Export it again.") from error
        self.file, self._inputs = file, self._session.get_inputs()
        found = [(item.name, item.type, item.shape) for item in self._inputs]
        if len(found) != 1 or found[0][1] not in _TYPES or len(found[0][2]) not in (2, 4):
            raise ValueError(
                f"{file}: its inputs are {found}, expected one (B, C, H, W) or (H, W) of {sorted(_TYPES)}. "
                "Export it with tools/pytorch2onnx.py."
            )

    def call(self, batch_size: int, size: tuple[int, int]) -> Callable[[], Any]:
        """The graph on random images (B, C, H, W), grey or RGB as it takes them, or on a raw one (H, W).

        Raises ValueError when the graph was made for another batch or size.
        """
        declared = self._inputs[0].shape
        channels = 3 if list(declared[1:-2]) == [3] else 1
        asked = (batch_size, channels, *size)[-len(declared) :]
        for own, wanted in zip(declared, asked, strict=True):
            if isinstance(own, int) and own != wanted:
                raise ValueError(
                    f"{self.file}: takes {declared}, asked for {list(asked)}. Give the --batch-size and "
                    "--size that it was exported for, or export it with --dynamic."
                )
        kind = _TYPES[self._inputs[0].type]
        random = np.random.default_rng(0).random(asked)
        images = (255.0 * random if kind is np.uint8 else random).astype(kind)
        return partial(self._session.run, None, {self._inputs[0].name: images})

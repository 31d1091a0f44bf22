"""Stands for the docker command: writes down its arguments, and plays the container's part in test.sh.

Environment: FAKE_DOCKER_LOG, a file to which every call is added, one JSON list a line;
FAKE_DOCKER_PREDICTIONS, the file that the image "writes" (unset: the image fails). A run with --entrypoint is
carried out here, on the host's paths; ``save`` prints "image".
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

PREDICTIONS = "FAKE_DOCKER_PREDICTIONS"


def main(arguments: list[str]) -> int:
    with open(os.environ["FAKE_DOCKER_LOG"], "a", encoding="utf-8") as log:
        log.write(json.dumps(arguments) + "\n")
    if arguments[0] == "save":
        sys.stdout.write("image")
        return int(arguments[-1] == "no-such-image")
    if arguments[0] != "run":
        return 0
    places = dict(reversed(text.split(":")[:2]) for text in after(arguments, "--volume"))
    if "--entrypoint" in arguments:
        command = arguments[arguments.index("--entrypoint") + 3 :]  # program, image, then its arguments
        return subprocess.run([sys.executable, *(on_host(text, places) for text in command)]).returncode
    if PREDICTIONS not in os.environ:
        return 1
    shutil.copy(os.environ[PREDICTIONS], Path(places["/output"]) / "orthodontic-landmarks.json")
    return 0


def after(arguments: list[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(arguments) if name == option]


def on_host(text: str, places: dict[str, str]) -> str:
    """A path inside the container -> the host's, if it is in a volume."""
    inside = next((place for place in places if text.startswith(f"{place}/")), None)
    return text if inside is None else places[inside] + text.removeprefix(inside)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

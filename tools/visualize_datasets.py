"""See the data as training sees it: what is annotated, augmentation, targets, all cases at a glance.

    python tools/visualize_datasets.py --data data/phantom --subset train --show-dir DIR

docs/inspect.md says how to read each picture.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from datasets.prepared.subsets import kind_of
from util.arguments import positive
from util.checkpoints.checkpoint import with_task
from util.config import instantiate, require_sections
from util.files import write_atomic
from util.reporting.visualise import require_free_folder
from util.training.automatic import load_with_data

CONFIGS = {
    "landmarks": "configs/train_config.py",
    "boxes": "configs/boxes/train_config.py",
    "masks": "configs/masks/jsrt.py",
}
SECTIONS = ("model", "criterion", "train_transforms", "eval_transforms")


def main() -> None:
    args = parse_arguments()
    require_free_folder(args.show_dir)
    file = args.config_file or CONFIGS[kind_of(args.data)]
    config = load_with_data(file, args.data, args.subset)
    require_sections(config, SECTIONS, file)
    task = instantiate(with_task(config).task)
    for stem, content in task.data_pictures(config, args, print):
        file = args.show_dir / f"{stem}.png"
        write_atomic(file, content)
        print(file)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="See prepared data as training sees it.")
    parser.add_argument(
        "--data", "--coco-path", type=Path, required=True, help="prepared folder, or for boxes COCO's"
    )
    parser.add_argument("--subset", default="train", help="subset of the prepared folder (default: train)")
    parser.add_argument(
        "--config-file",
        help="whose transforms and loss to show (default: the first config of what --data annotates)",
    )
    parser.add_argument("--show-dir", type=Path, required=True, help="new or empty folder for the pictures")
    parser.add_argument("--count", type=positive(int), default=3, help="random cases shown one by one (3)")
    parser.add_argument("--draws", type=positive(int), default=5, help="augmentations of each (5)")
    parser.add_argument(
        "--sheet", type=positive(int), default=40, help="cases on the contact sheet at most (40)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choice of cases and the augmentation (0)")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except (ValueError, NotImplementedError) as error:
        sys.exit(f"visualize_datasets.py: {error}")

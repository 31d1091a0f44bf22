"""See the data as training sees it: landmarks by name, augmentation, salience targets, mean shape, all cases.

    python tools/visualize_datasets.py --data data/phantom --subset train --show-dir DIR

docs/inspect.md says how to read each picture.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from datasets.prepared.prepared import PreparedDataset
from util.arguments import positive
from util.config import instantiate, load_config, require_sections
from util.files import write_atomic
from util.inspection.dataset_figures import mean_shape_figure
from util.inspection.dataset_pictures import case_pictures, choose_cases, sheet_tiles, spread_cases
from util.inspection.heatmap_target import TargetMaker
from util.inspection.shape_spread import measure_spread
from util.reporting.figures import png
from util.reporting.visualise import contact_sheet, encode_png, require_free_folder

SECTIONS = ("model", "criterion", "train_transforms", "eval_transforms")


def main() -> None:
    args = parse_arguments()
    require_free_folder(args.show_dir)
    config = load_config(args.config_file)
    require_sections(config, SECTIONS, args.config_file)
    upright = PreparedDataset(args.data, args.subset, instantiate(config.eval_transforms))
    augmented = PreparedDataset(args.data, args.subset, instantiate(config.train_transforms), args.seed)
    target = TargetMaker(config)
    for index in choose_cases(len(upright), args.count, args.seed):
        for stem, figure in case_pictures(upright, augmented, index, args.draws, target):
            save(args.show_dir / f"{stem}.png", png(figure))
    title = f"{upright.folder.name}, {upright.subset}, {len(upright)} cases"
    save(args.show_dir / "mean_shape.png", png(mean_shape_figure(measure_spread(upright), title)))
    sheet = contact_sheet(sheet_tiles(upright, spread_cases(len(upright), args.sheet)))
    save(args.show_dir / "contact_sheet.png", encode_png(sheet))
    if target.reason:
        print(target.reason)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="See prepared data as training sees it.")
    parser.add_argument("--data", type=Path, required=True, help="prepared folder")
    parser.add_argument("--subset", default="train", help="subset of the prepared folder (default: train)")
    parser.add_argument(
        "--config-file", default="configs/train_config.py", help="whose transforms and loss to show"
    )
    parser.add_argument("--show-dir", type=Path, required=True, help="new or empty folder for the pictures")
    parser.add_argument("--count", type=positive(int), default=3, help="random cases shown one by one (3)")
    parser.add_argument("--draws", type=positive(int), default=5, help="augmentations of each (5)")
    parser.add_argument(
        "--sheet", type=positive(int), default=40, help="cases on the contact sheet at most (40)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choice of cases and the augmentation (0)")
    return parser.parse_args()


def save(file: Path, content: bytes) -> None:
    write_atomic(file, content)
    print(file)


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"visualize_datasets.py: {error}")

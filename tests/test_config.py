"""Config files: what is written is what is built, and a misspelt name is answered with the right one."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from tests.support.configs import CONFIGS, ROWS, TABLE
from tests.support.run_tool import ROOT
from util.config import L, differing_keys, instantiate, load_config, require_sections, require_targets_in
from util.training.settings import TrainSettings

SECTIONS = ("model", "criterion", "train_transforms", "eval_transforms", "data", "optimizer", "train")
FILE = "tests/support/tiny_config.py"
ROW_TABLE = """
from pathlib import Path
from util.config import Row

HERE = Path(__file__).parent
rows = {
    "a/base": Row(HERE / "base.py", {"size": (3, 4)}),
    "a/child": Row("a/base", {"train.steps": 2}),
    "other": Row("a/child", {"model.bias": False, "train.output_dir": "elsewhere"}, model=HERE / "other.py"),
    "misspelt": Row("a/base", {"train.step": 2}),
}
"""


def test_a_plain_section_takes_what_it_is_given_to():
    plain = {"train": TrainSettings}
    cfg = load_config("configs/train_config.py", ["train.epochs=3", "train.iterations=0"], plain)
    assert (cfg.train.epochs, cfg.train.iterations) == (3, 0)
    for key in ("train.epoch", "train.epochs.count", "epochs"):
        with pytest.raises(ValueError, match=f"override '{key}': no key"):
            load_config("configs/train_config.py", [f"{key}=3"], plain)


def test_saved_config_loads_as_the_same_and_builds_the_same(tmp_path):
    cfg = load_config(FILE, ["model.width=6", "train.iterations=3"])
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(cfg))
    again = load_config(tmp_path / "config.yaml")
    assert again == cfg and again.train.iterations == 3
    model = instantiate(again.model, num_landmarks=5)
    optimizer = instantiate(again.optimizer, params=model.parameters())
    assert model.head.weight.shape == (10, 6)
    assert optimizer.defaults["lr"] == 0.01


def test_one_load_does_not_leak_into_the_next():
    changed, fresh = load_config(FILE, ["model.width=9"]), load_config(FILE)
    assert (changed.model.width, fresh.model.width) == (9, 4)


def test_configs_import_each_other_anew_each_time(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "base.py").write_text("train = {'steps': 1}\n")
    child = tmp_path / "configs" / "child.py"
    child.write_text("from configs.base import train\ntrain['steps'] += 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [load_config(child).train.steps for _ in range(2)] == [2, 2]


def test_override_may_set_an_argument_that_the_config_leaves_at_its_default():
    assert "dropout" not in load_config(FILE).model
    cfg = load_config(FILE, ["model.dropout=0.5"])
    assert instantiate(cfg.model, num_landmarks=2).trunk[-1].p == 0.5


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.iteration=3", "did you mean 'iterations'"),
        ("model.widht=3", "did you mean 'width'"),
        ("model.dropuot=3", "did you mean 'dropout'"),
        ("trian.seed=3", "did you mean 'train'"),
        ("train.seed.x=3", "no key 'x'"),
        ("train.seed", "expected key=value"),
        ("train.seed=a: b", "not a YAML value"),
        ("train.output_dir=", "no value. Give one, or null where"),
        ("train.seed=two", "train.seed=two: expected a number in place of 0"),
        ("optimizer.lr=abc", "optimizer.lr=abc: expected a number in place of 0.01"),
        ("optimizer.eps=abc", "eps=abc: expected a number"),  # left at its default
    ],
)
def test_wrong_override_is_named_with_the_nearest_key(override, message):
    with pytest.raises(ValueError, match=message):
        load_config(FILE, [override])


@pytest.mark.parametrize(
    ("text", "value"),
    [("no", "no"), ("1e-4", 1e-4), ("[1, 2]", [1, 2]), ("null", None), ("true", True), ("'8'", "8")],
)
def test_override_values(text, value):
    assert load_config(FILE, [f"train.patience={text}"]).train.patience == value


@pytest.mark.parametrize("text", ["2024", "007", "1e3", "true", "'8'"])
def test_a_number_in_place_of_text_is_text(text):
    assert load_config(FILE, [f"train.output_dir={text}"]).train.output_dir == text.strip("'")


def test_a_run_needs_the_name_of_a_folder():
    for folder in (None, "", 5):
        with pytest.raises(ValueError, match=r"train\.output_dir=.*expected a folder"):
            TrainSettings(output_dir=folder, iterations=1, batch_size=1)  # pyright: ignore[reportArgumentType]


def test_recorded_call_checks_its_arguments():
    with pytest.raises(
        ValueError, match=r"Linear takes no argument 'in_feature'; did you mean 'in_features'"
    ):
        L(torch.nn.Linear)(in_feature=3)
    with pytest.raises(ValueError, match="imported by name"):
        L(lambda x: x)
    with pytest.raises(ValueError, match=r"Linear: no value for \['out_features'\]"):
        instantiate(L(torch.nn.Linear)(in_features=3))


def test_error_in_a_config_file_names_file_and_line(tmp_path):
    file = tmp_path / "wrong.py"
    file.write_text(
        "from torch.nn import Linear\nfrom util.config import L\n\nmodel = L(Linear)(in_feature=1)\n"
    )
    with pytest.raises(ValueError, match=r"wrong\.py.*in_features.*line 4"):
        load_config(file)
    with pytest.raises(ValueError, match=r"absent\.py not found"):
        load_config(tmp_path / "absent.py")


def test_differing_keys_names_what_changed_and_what_is_absent():
    one = OmegaConf.create({"a": {"b": [1, 2], "c": 3}, "d": None})
    other = OmegaConf.create({"a": {"b": [1, 5], "c": 3}})
    assert differing_keys(one, other) == ["a.b.1", "d"]
    assert differing_keys(one, one) == []


@pytest.mark.parametrize(
    "target",
    [
        "os:system",
        "models.backbone:timm.create_model",
        "subprocess:run",
        "models.landmarks.landmark_detr:torch.load",
    ],
)
def test_a_config_from_elsewhere_may_only_call_named_packages(target):
    node = OmegaConf.create({"_target_": "models.backbone:TimmBackbone", "name": [{"_target_": target}]})
    with pytest.raises(ValueError, match=f"calls '{target}'"):
        require_targets_in(node, ("models",), "best.pt")


def test_a_config_that_calls_only_named_packages_passes():
    require_targets_in(OmegaConf.create({"_target_": "models.backbone:TimmBackbone"}), ("models",), "best.pt")


@pytest.fixture
def row_table(tmp_path: Path) -> Path:
    (tmp_path / "base.py").write_text(
        "from torch.nn import Linear\nfrom util.config import L\n"
        "size, embed_dim = (1, 2), 8\ncriterion = {'weight': 1}\ntrain = {'steps': 1, 'output_dir': 'base'}\n"
        "model = L(Linear)(in_features='${embed_dim}', out_features='${size.1}')\n"
    )
    (tmp_path / "other.py").write_text(
        "from torch.nn import Linear\nfrom util.config import L\n"
        "size = (5, 6)\nmodel = L(Linear)(in_features=7, out_features='${size.0}')\n"
    )
    (tmp_path / "table.py").write_text(ROW_TABLE)
    return tmp_path / "table.py"


def test_a_row_is_its_base_with_what_it_changes(row_table):
    base, child, other = (load_config(f"{row_table}:{name}") for name in ("a/base", "a/child", "other"))
    assert (base.size, base.model.out_features, base.train) == (
        [3, 4],
        4,
        {"steps": 1, "output_dir": "runs/a_base"},
    )
    assert differing_keys(base, child) == ["train.output_dir", "train.steps"]
    assert child.train == {"steps": 2, "output_dir": "runs/a_child"}
    assert (other.model.in_features, other.model.out_features, other.model.bias) == (7, 3, False)
    assert other.train == {"steps": 2, "output_dir": "elsewhere"} and "embed_dim" not in other
    assert other.criterion == base.criterion  # the other model's config has none of its own
    assert load_config(f"{row_table}:a/base", ["size=[8, 9]"]).model.out_features == 9


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (":a/bse", "table.py: no row 'a/bse'; did you mean 'a/base'"),
        (":misspelt", "no key 'step'; did you mean 'steps'"),
        ("", "a table of rows. Choose one: .*table.py:a/base"),
        ("x.py:a", "table.pyx.py not found"),
    ],
)
def test_a_row_that_is_not_there_is_named(row_table, name, message):
    with pytest.raises(ValueError, match=message):
        load_config(f"{row_table}{name}")


def test_every_row_has_what_a_training_reads_and_a_run_folder_of_its_own():
    rows = [load_config(ROOT / row) for row in ROWS]
    for cfg in rows:
        require_sections(cfg, SECTIONS, TABLE)
        TrainSettings.from_config(cfg.train)
    assert len({cfg.train.output_dir for cfg in rows}) == len(rows)


@pytest.mark.parametrize("file", CONFIGS)
def test_every_shipped_config_loads_resolves_and_survives_yaml(file, tmp_path):
    cfg = load_config(ROOT / file)
    text = OmegaConf.to_yaml(cfg)
    assert "${" not in text
    (tmp_path / "config.yaml").write_text(text)
    assert load_config(tmp_path / "config.yaml") == cfg
    require_targets_in(cfg, ("tasks", "models", "transforms", "torch"), file)
    if "auto" in text:  # main.py finds these numbers by the data
        cfg = load_config(ROOT / file, ["size=[96, 64]"])
    for name in {"train_transforms", "eval_transforms", "criterion"} & cfg.keys():
        instantiate(cfg[name])

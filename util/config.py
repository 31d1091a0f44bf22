"""Python config files that describe objects without building them.

A config file is an ordinary Python module. ``L(Target)(key=value)`` records a call as plain data;
``instantiate`` performs it later. Between the two, the tree can be overridden from the command line
(``train.iterations=500``), printed, compared and saved as YAML next to a checkpoint.

Whatever a user can get wrong here is a ValueError that names the key and the nearest right one.
"""

import difflib
import importlib
import inspect
import runpy
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf

from util.checkpoints.renamed import renamed_targets

_TARGET = "_target_"
_MODEL_SECTIONS = ("model", "criterion", "embed_dim")  # what a row takes of another model's config
_MODEL_FILE = "model_path"
_PYTHON_ERRORS = (ValueError, TypeError, NameError, AttributeError, SyntaxError, ImportError)


class L:
    """Record a call to ``target``. Argument names are checked now; ``instantiate`` makes the call."""

    def __init__(self, target: Callable[..., Any]) -> None:
        self._target = target
        self._path = f"{target.__module__}:{target.__qualname__}"
        if "<" in self._path:
            raise ValueError(f"L() needs a function or class that can be imported by name, got {self._path}.")

    def __call__(self, **kwargs: Any) -> DictConfig:
        _require_arguments(self._target, kwargs, self._path)
        return OmegaConf.create({_TARGET: self._path, **kwargs})


@dataclass(frozen=True)
class Row:
    """An experiment told by its difference from another: a value of ``rows`` in a config file.

    ``base`` is a row of the same file or another config file. ``changes`` maps dotted keys to values. The
    sections ``model`` and ``criterion`` of the config file ``model`` stand in place of the base's.
    """

    base: str | Path
    changes: Mapping[str, Any] = field(default_factory=dict)
    model: Path | None = None


def load_config(
    file: str | Path, overrides: Iterable[str] = (), plain: Mapping[str, Callable[..., Any]] | None = None
) -> DictConfig:
    """Run a ``.py`` config (or read a saved ``.yaml``), apply dotted overrides, return the resolved tree.

    ``FILE.py:NAME`` is the row NAME of the table in FILE.py. An override may set any key that is there and
    any argument that a recorded call takes; ``plain`` names what sections that record none are given to, such
    as {"train": TrainSettings}. A config with a ``model_path`` takes the sections ``model`` and
    ``criterion`` from that config; what its own two name stands in place of what they say. Where there was
    text, a number is text (a folder named 2024). Raises ValueError.
    """
    cfg, changes, texts = _read(Path(file)), {}, {}
    for item in overrides:
        key, separator, value = item.partition("=")
        if not separator:
            raise ValueError(f"override {item!r}: expected key=value.")
        changes[key], texts[key] = _parse(item, value), value
    if _MODEL_FILE in cfg:
        _take_model(cfg, changes.pop(_MODEL_FILE, cfg[_MODEL_FILE]))
    for key, value in changes.items():
        _require_key(cfg, key, plain or {})
        _set(cfg, key, _fitting(_present(cfg, key), key, value, texts[key]))
    OmegaConf.resolve(cfg)
    cfg = cast(DictConfig, OmegaConf.create(OmegaConf.to_yaml(cfg)))  # as read back: tuples become lists
    OmegaConf.set_readonly(cfg, True)
    return cfg


def with_values(cfg: DictConfig, values: Mapping[str, Any]) -> DictConfig:
    """A copy of a loaded config with other values of these dotted keys."""
    copy = cfg.copy()
    OmegaConf.set_readonly(copy, False)
    for key, value in values.items():
        OmegaConf.update(copy, key, value, merge=False, force_add=True)
    OmegaConf.set_readonly(copy, True)
    return copy


def require_sections(cfg: DictConfig, names: Collection[str], source: str | Path) -> None:
    """Raise ValueError unless ``cfg`` (read from ``source``) has every section of ``names``."""
    absent = [name for name in names if name not in cfg]
    if absent:
        raise ValueError(f"{source}: no {absent}, expected the sections {sorted(names)}.")


def require_targets_in(node: Any, packages: Collection[str], source: str | Path) -> None:
    """Raise ValueError if ``node`` records a call to anything that ``packages`` do not define.

    For configs that come with a file from elsewhere: ``instantiate`` imports and calls what they name. The
    object found is looked at too, since a module of ``packages`` also holds what it imports.
    """
    for path in _targets(OmegaConf.to_container(node) if isinstance(node, DictConfig | ListConfig) else node):
        home = path.partition(":")[0]
        if not _inside(home, packages) or not _inside(getattr(_resolve(path), "__module__", ""), packages):
            raise ValueError(
                f"{source}: its config calls {path!r}, allowed are only classes and functions of "
                f"{sorted(packages)}. Do not use this file unless you know who made it."
            )


def require_plain(node: Any, source: str | Path) -> None:
    """Raise ValueError for a ``${...}`` anywhere in a saved config, as plain containers.

    It would be replaced when the config is used, perhaps by a secret of this machine's environment. What
    this project saves is resolved, so it has none.
    """
    for key, text in _leaves(node):
        if "${" in f"{key}{text}":
            raise ValueError(
                f"{source}: its config has {str(text)!r} at {key}, expected plain values, as main.py saves "
                "them. Do not use this file unless you know who made it; write the value itself."
            )


def differing_keys(one: DictConfig, other: DictConfig) -> list[str]:
    """Dotted keys whose values differ between two resolved configs, or that only one of them has."""
    left, right = dict(_leaves(one)), dict(_leaves(other))
    absent = object()
    return sorted(key for key in left | right if left.get(key, absent) != right.get(key, absent))


def nearest(name: str, options: Iterable[str]) -> str:
    """A hint for a misspelt ``name``: the nearest option, or all of them."""
    options = sorted(map(str, options))
    close = difflib.get_close_matches(name, options, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known here: {options}."


def instantiate(node: Any, **late: Any) -> Any:
    """Build the object described by ``node``, depth first. ``late`` adds arguments known only at run time.

    Raises ValueError for arguments that the target does not take or lacks.
    """
    if isinstance(node, ListConfig | list):
        return [instantiate(item) for item in node]
    if not isinstance(node, DictConfig | dict):
        return node
    kwargs = {str(key): instantiate(value) for key, value in node.items() if key != _TARGET}
    if _TARGET not in node:
        return kwargs
    target = _resolve(node[_TARGET])
    _require_arguments(target, kwargs | late, node[_TARGET], complete=True)
    return target(**kwargs, **late)


def _read(file: Path) -> DictConfig:
    table, separator, row = str(file).rpartition(".py:")
    if separator:
        return _read_row(Path(f"{table}.py"), row)
    if _existing(file).suffix == ".py":
        names = _run_fresh(file)
        if rows := {name for name, value in names.get("rows", {}).items() if isinstance(value, Row)}:
            raise ValueError(
                f"config file {file}: a table of rows. Choose one: {file}:{min(rows)}, for instance."
            )
        return OmegaConf.create({key: value for key, value in names.items() if _is_data(key, value)})
    try:
        cfg = OmegaConf.load(file)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"config file {file}: not valid YAML ({error}).") from error
    content = OmegaConf.to_container(cfg)
    require_plain(content, f"config file {file}")
    cfg = OmegaConf.create(renamed_targets(content))
    if not isinstance(cfg, DictConfig):
        raise ValueError(f"config file {file}: a {type(cfg).__name__}, expected keys with values.")
    return cfg


def _read_row(table: Path, name: str) -> DictConfig:
    """Row ``name`` of ``table``, with references open, so that a later ``size`` reaches all who use it."""
    rows = _run_fresh(_existing(table)).get("rows", {})
    if name not in rows:
        raise ValueError(f"config file {table}: no row {name!r}; {nearest(name, rows)}")
    row: Row = rows[name]
    cfg = _read_row(table, row.base) if isinstance(row.base, str) else _read(row.base)
    if row.model is not None:
        other = _read(row.model)
        cfg.pop("embed_dim", None)
        cfg.update({section: other[section] for section in _MODEL_SECTIONS if section in other})
    cfg.train.output_dir = f"runs/{name.replace('/', '_')}"
    for key, value in row.changes.items():
        _require_key(cfg, key, {})
        _set(cfg, key, value)
    return cfg


def _take_model(cfg: DictConfig, file: str) -> None:
    """Complete ``cfg`` by the model of the config ``file``; a config that a run saved is complete."""
    if _TARGET in cfg.get("model", {}):
        if file != cfg[_MODEL_FILE]:
            raise ValueError(
                f"override {_MODEL_FILE}={file}: this config holds its model already, that of "
                f"{cfg[_MODEL_FILE]}. Give the config that the run was started with."
            )
        return
    other = _read(Path(file))
    cfg[_MODEL_FILE] = file
    for section in (name for name in _MODEL_SECTIONS if name in other):
        own, its = cfg.get(section), other[section]
        cfg[section] = OmegaConf.merge(its, own or {}) if isinstance(its, DictConfig) else own or its


def _set(cfg: DictConfig, key: str, value: Any) -> None:
    parent_key, _, name = key.rpartition(".")
    parent = OmegaConf.select(cfg, parent_key) if parent_key else cfg
    if isinstance(parent, DictConfig) and not isinstance(value, list):
        parent.pop(name, None)  # a list would take nothing but a list: size=auto
    OmegaConf.update(cfg, key, value, merge=False, force_add=True)


def _present(cfg: DictConfig, key: str) -> Any:
    """The value of ``key``, or the default of an argument that a recorded call leaves out; else None."""
    parent_key, _, name = key.rpartition(".")
    parent = OmegaConf.select(cfg, parent_key) if parent_key else cfg
    if isinstance(parent, DictConfig) and name not in parent and _TARGET in parent:
        parameter = inspect.signature(_resolve(parent[_TARGET])).parameters.get(name)
        return None if parameter is None else parameter.default
    return OmegaConf.select(cfg, key)


def _fitting(present: Any, key: str, value: Any, text: str) -> Any:
    """``value``, written as ``text``, in place of ``present``: text stays text, a number is no text."""
    if isinstance(present, str) and not present.startswith("auto") and isinstance(value, int | float):
        return text
    number = isinstance(present, int | float) and not isinstance(present, bool)
    if number and isinstance(value, str) and not value.startswith(("auto", "${")):
        raise ValueError(f"override {key}={text}: expected a number in place of {present!r}.")
    return value


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise ValueError(f"config file {file} not found. Give a .py file of configs/ or a run's config.yaml.")
    return file


def _run_fresh(file: Path) -> dict[str, Any]:
    """Execute ``file`` and, anew, every config it imports: loads never share state."""

    def drop() -> dict[str, Any]:
        names = [name for name in sys.modules if name.split(".")[0] == "configs"]
        return {name: sys.modules.pop(name) for name in names}

    before = drop()
    try:
        return runpy.run_path(str(file))
    except _PYTHON_ERRORS as error:
        places = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
        place = places[-1] if places else None
        line = f"{place.filename}, line {place.lineno}" if place else str(file)
        raise ValueError(f"config file {file}: {error} ({type(error).__name__} at {line})") from error
    finally:
        drop()
        sys.modules.update(before)


def _is_data(name: str, value: Any) -> bool:
    return not name.startswith("_") and isinstance(
        value, DictConfig | ListConfig | dict | list | tuple | str | int | float | bool | None
    )


def _parse(item: str, text: str) -> Any:
    """YAML, where ``true`` and ``false`` are booleans and ``no`` is a word."""
    if not text.strip():
        raise ValueError(f"override {item!r}: no value. Give one, or null where the key takes none.")
    if text.lower() in ("yes", "no", "on", "off"):
        return text
    try:
        return OmegaConf.create(f"value: {text}").value
    except yaml.YAMLError as error:
        raise ValueError(
            f"override {item!r}: {text!r} is not a YAML value. Quote text: key='\"a: b\"'."
        ) from error


def _resolve(path: str) -> Any:
    """The object that ``module:name`` stands for."""
    module, _, name = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"config names {path!r}, which cannot be imported ({error}).") from error
    return found


def _require_arguments(
    target: Callable[..., Any], given: Mapping[str, Any], path: str, *, complete: bool = False
) -> None:
    """Raise ValueError unless ``target`` takes the arguments ``given``; ``complete``: and needs no more."""
    parameters = inspect.signature(target).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for name in given:
        if name not in parameters and not takes_any:
            raise ValueError(f"{path} takes no argument {name!r}; {nearest(name, parameters)}")
    absent = [
        name
        for name, parameter in parameters.items()
        if complete
        and parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and name not in given
    ]
    if absent:
        raise ValueError(f"{path}: no value for {absent}. Give it in the config file.")


def _require_key(cfg: DictConfig, key: str, plain: Mapping[str, Callable[..., Any]]) -> None:
    node: Any = OmegaConf.to_container(cfg)
    parts = key.split(".")
    for depth, part in enumerate(parts):
        if isinstance(node, list):
            node = dict(enumerate(node))
        options = {str(name): value for name, value in node.items()} if isinstance(node, dict) else {}
        taker = _resolve(options[_TARGET]) if _TARGET in options else None
        if taker is None and depth == 1:
            taker = plain.get(parts[0])
        if taker is not None:
            options = dict.fromkeys(inspect.signature(taker).parameters) | options
        if part not in options:
            raise ValueError(
                f"override {key!r}: no key {part!r}; {nearest(part, options.keys() - {_TARGET})}"
            )
        node = options[part]


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, DictConfig | ListConfig):
        node = cast(Any, OmegaConf.to_container(node))
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else None
    if items is None:
        yield prefix, node
        return
    for key, value in items:
        yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, dict) and _TARGET in node:
        yield str(node[_TARGET])
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _targets(child)


def _inside(module: str, packages: Collection[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)

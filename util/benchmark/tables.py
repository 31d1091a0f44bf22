"""The report of tools/benchmark_model.py for people: a table on the terminal and the one of the README."""

from typing import Any

_COLUMNS = (
    ("p50_ms", "p50 ms", ".1f"),
    ("p95_ms", "p95 ms", ".1f"),
    ("images_per_second", "images/s", ".1f"),
    ("ratio_to_backbone", "/backbone", ".2f"),
    ("ratio_to_hrnet_w32", "/HRNet", ".2f"),
    ("ratio_to_first", "/first", ".2f"),
    ("tflops", "TFLOP/s", ".3f"),
    ("share_of_matmul", "of matmul", ".0%"),
    ("speed_up", "speed-up", ".2f"),
)


def text_table(report: dict[str, Any]) -> str:
    """Sizes, then one block a setting, then what the numbers stand for."""
    height, width = report["size"]
    lines = [
        f"{height}x{width}, {report['device']}, {report['threads']} threads, {report['repeats']} rounds, "
        f"{report['clock']} clock",
        "",
        f"{'':34}{'params M':>10}{'GFLOPs':>9}{'peak MiB':>10}{'of it base':>12}",
    ]
    for model in report["models"]:
        memory = f"{model['peak_rss_mib']:>10.0f}{model['base_rss_mib']:>12.0f}"
        lines.append(_size_row(model["name"], model) + memory)
    lines.append(_size_row("hrnet_w32 backbone", report["hrnet_w32"]))
    for model in report["models"]:
        peaks = ", ".join(f"{name}: {mib:.0f} MiB" for name, mib in model["peak_device_mib"].items())
        lines += [f"  {model['name']} on the GPU: {peaks}"] if peaks else []
    for index, setting in enumerate(report["matmul"]):
        lines += ["", *_setting_block(report, index, setting)]
    lines += ["", "Not in GFLOPs:"]
    lines += [f"  {model['name']}: {', '.join(model['uncounted_ops'])}" for model in report["models"]]
    return "\n".join(lines)


def readme_table(report: dict[str, Any]) -> str:
    """The plain keys of every model: one precision, one batch size."""
    height, width = report["size"]
    cores = f"{report['threads']} CPU core{'s' if report['threads'] > 1 else ''}"
    place = cores if report["device"].startswith("cpu") else report["device"]
    rows = [
        f"| Model | Params M | GFLOPs | ms, {place}, {height}x{width} | / its backbone | / HRNet-W32 |",
        "|---|---|---|---|---|---|",
    ]
    for model in report["models"]:
        backbone = "-" if model["ratio_to_backbone"] is None else f"{model['ratio_to_backbone']:.2f}"
        rows.append(
            f"| `{model['name']}` | {model['params_m']:.1f} | {model['gflops']:.1f} | {model['p50_ms']:.0f} "
            f"| {backbone} | {model['ratio_to_hrnet_w32']:.2f} |"
        )
    return "\n".join(rows)


def _size_row(name: str, values: dict[str, Any]) -> str:
    return f"{name:34}{values['params_m']:>10.2f}{values['gflops']:>9.1f}"


def _setting_block(report: dict[str, Any], index: int, setting: dict[str, Any]) -> list[str]:
    title = f"{setting['precision']}, batch {setting['batch_size']}"
    rows, shares = [], []
    for model in report["models"]:
        values = model["settings"][index]
        rows.append((model["name"], values))
        if values["backbone"] is not None:
            rows.append(("  its backbone", values["backbone"]))
        if values["compiled"] is not None:
            rows.append(("  compiled", values["compiled"]))
        shares.append(f"  {model['name']}, share of time | FLOPs: {_shares(values['parts'])}")
    rows.append(("hrnet_w32 backbone", report["hrnet_w32"]["settings"][index]))
    for graph in report["onnx"]:
        rows += [(graph["file"], values) for values in graph["settings"] if _same(values, setting)]
    used = [column for column in _COLUMNS if any(values.get(column[0]) is not None for _, values in rows)]
    lines = [f"{title:34}" + "".join(f"{head:>11}" for _, head, _ in used)]
    lines += [
        f"{name:34}" + "".join(_cell(values.get(key), form) for key, _, form in used) for name, values in rows
    ]
    return [*lines, f"  a large matrix product: {setting['tflops']:.3f} TFLOP/s", *shares]


def _cell(value: float | None, form: str) -> str:
    return f"{'' if value is None else format(value, form):>11}"


def _shares(parts: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {part['share']:.0%} | {part['flops_share']:.0%}" for name, part in parts.items()
    )


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[key] == other[key] for key in ("precision", "batch_size"))

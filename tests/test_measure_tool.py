"""tools/measure.py: from a file of landmarks to measurements, tables and a report."""

import json
from dataclasses import replace
from html import escape
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.landmarks.landmark_set import LandmarkSet, load_landmark_set
from measurements import table
from measurements.analysis import analysis_from_dict, load_analysis
from measurements.norm import Patient
from measurements.shapes import shipped_shapes
from tests.support.faces import E1, E2, E3_PIXELS, E3_SPACING
from tests.support.rulers import film, with_teeth
from tests.support.run_tool import run_tool
from util.prediction.landmarks.answers import LandmarkAnswers
from util.prediction.landmarks.measuring import (
    Measurer,
    by_its_ruler,
    landmark_set_of,
    read_landmark_file,
    scale_known,
)
from util.reporting.landmarks.measurement_figures import tracing_picture, wiggle_chart

CL38 = load_landmark_set("cl38")


def image_record(pixels: np.ndarray, spacing: list[float] | None, file: str = "x.png") -> dict:
    rows = [
        {"index": k, "name": name, "x": x, "y": y, "uncertainty_px": 2.0}
        for k, (name, (x, y)) in enumerate(zip(CL38.landmarks, pixels.tolist(), strict=True), start=1)
    ]
    return {
        "file": file,
        "slice": None,
        "width": 600,
        "height": 800,
        "spacing_mm": spacing,
        "landmarks": rows,
    }


def landmark_file(folder: Path, *images: dict) -> Path:
    content = {"model": {"landmark_set": "cl38", "labels": "mean"}, "images": list(images), "failed": []}
    file = folder / "landmarks.json"
    file.write_text(json.dumps(content))
    return file


def measurer(*analyses: str) -> Measurer:
    return Measurer(CL38, [load_analysis(name) for name in analyses], Patient(), shipped_shapes())


def values(analysis: dict) -> dict[str, float | None]:
    return {record["code"]: record["value"] for record in analysis["measurements"]}


def test_pixels_and_spacing_become_millimetres() -> None:
    there, back = (measurer("steiner")(image, "x")[0] for image in (
        image_record(E2 / 0.2, [0.2, 0.2]), image_record(E3_PIXELS, E3_SPACING.tolist())
    ))  # fmt: skip
    assert values(there) == pytest.approx(values(back))
    assert values(there)["Pog-NB mm"] == pytest.approx(4.3385, abs=6e-5)


def test_an_uncertainty_in_pixels_counts_in_millimetres() -> None:
    fine, coarse = (measurer("wits")(image_record(E1 / mm, [mm, mm]), "x")[0] for mm in (0.1, 0.5))
    for one, other in zip(fine["measurements"], coarse["measurements"], strict=True):
        assert other["sd"] == pytest.approx(5 * one["sd"])


def test_tracing_is_in_the_pixels_of_the_image() -> None:
    found = measurer("wits")(image_record(E1 / 0.5, [0.5, 0.5]), "x")[0]["tracing"]
    lines = {line["line"]: (line["from"], line["to"]) for line in found}
    assert lines.keys() == {"B>A", "LIT>UIT", "M>I", "Po>Or", "UIT>LIT"}
    assert lines["M>I"] == ([150.0, 216.0], [204.0, 222.0])


def test_unknown_spacing_leaves_angles() -> None:
    found = values(measurer("steiner")(image_record(E2 / 0.2, None), "x")[0])
    assert found["SNA"] == pytest.approx(81.9276, abs=6e-5) and found["U1-NA mm"] is None


@pytest.mark.parametrize(
    ("record", "known"),
    [
        ({"spacing_mm": [0.1, 0.1]}, True),
        ({"spacing_mm": None}, False),
        ({"spacing_mm": [0.1, 0.1], "spacing_source": "PixelSpacing"}, True),
        ({"spacing_mm": [0.1, 0.1], "spacing_source": "--spacing"}, True),
        ({"spacing_mm": [0.1, 0.1], "spacing_source": "ImagerPixelSpacing / magnification 1.10"}, True),
        ({"spacing_mm": [0.1, 0.1], "spacing_source": "ImagerPixelSpacing"}, False),
        ({"spacing_mm": [0.1, 0.1], "spacing_source": "nominal"}, False),
    ],
)
def test_where_the_millimetre_is_the_patients(record: dict, known: bool) -> None:
    assert scale_known(record) == known


@pytest.mark.parametrize(
    ("factor", "flags"),
    [(1.0, []), (2.0, ["scale-unlikely"]), (0.1, ["scale-unlikely"]), (None, ["scale-unknown"])],
)
def test_a_spacing_that_makes_no_head_is_flagged(factor: float | None, flags: list[str]) -> None:
    spacing = None if factor is None else [0.1 * factor] * 2
    record = image_record(E2 / 0.1, spacing) | {"spacing_source": "--ruler 2" if spacing else "none"}
    (analysis,) = measurer("jarabak")(record, "x")
    found = {one["code"]: one["flags"] for one in analysis["measurements"]}
    assert [flag for flag in found["S-N"] if flag.startswith("scale")] == flags
    assert not any(flag.startswith("scale") for flag in found["SN-GoMe"])


@pytest.mark.parametrize(
    ("source", "asked", "share"),
    [("--ruler 2", None, 0.01), ("ruler", None, 0.01), ("PixelSpacing", None, 0.0), ("--ruler 2", 0.0, 0.0)],
)
def test_a_rulers_error_widens_lengths_where_no_other_is_asked_for(
    source: str, asked: float | None, share: float
) -> None:
    record = image_record(E2 / 0.1, [0.1, 0.1]) | {"spacing_source": source}
    for row in record["landmarks"]:
        row["uncertainty_px"] = 0.0
    (analysis,) = replace(measurer("jarabak"), scale_error=asked)(record, "x")
    found = {one["code"]: one for one in analysis["measurements"]}
    assert found["S-N"]["sd"] == pytest.approx(share * found["S-N"]["value"])
    assert found["SN-GoMe"]["sd"] == 0.0


def test_an_inferred_landmark_is_flagged_under_its_name_too() -> None:
    item = {"code": "x", "name": "x", "unit": "mm", "sign": "larger: longer"}
    recipes = [["length", "S>Sym"], ["length", "sella>symphysis"], ["length", "sella>nasion"]]
    items = [item | {"code": str(number), "recipe": recipe} for number, recipe in enumerate(recipes)]
    own = analysis_from_dict({"name": "own", "title": "own", "source": "own", "measurements": items}, "own")
    (found,) = Measurer(CL38, [own], Patient(), shipped_shapes())(image_record(E1, [1.0, 1.0]), "x")
    inferred = ["inferred-landmark" in one["flags"] for one in found["measurements"]]
    assert inferred == [True, True, False]


def test_landmarks_of_another_set_are_refused() -> None:
    record = image_record(E1, [1.0, 1.0])
    record["landmarks"].reverse()
    with pytest.raises(ValueError, match=r"^x: 38 landmarks that are not those of 'cl38'"):
        measurer("wits")(record, "x")
    two = LandmarkSet("two", ("S", "N"), ("S", "N"))
    with pytest.raises(ValueError, match="no measurement can be made"):
        Measurer(two, [load_analysis("wits")], Patient(), shipped_shapes())


def test_a_misspelt_landmark_is_refused_and_one_of_another_set_left_out() -> None:
    items = [
        {"code": code, "name": "x", "unit": "mm", "sign": "x", "recipe": ["length", line]}
        for code, line in (("here", "S>N"), ("own", "S>knee"), ("elsewhere", "S>Co"), ("wrong", "S>Nn"))
    ]
    file = {"name": "own", "title": "own", "source": "me"}
    three = LandmarkSet("three", ("S", "N", "knee"), ("S", "N", "K"))
    right, wrong = (analysis_from_dict(file | {"measurements": part}, "own") for part in (items[:3], items))
    own = Measurer(three, [right], Patient(), shipped_shapes())
    assert right.missing(own.index) == {"elsewhere": ["Co"]}
    with pytest.raises(ValueError, match=r"^own: wrong: landmarks \['Nn'\] are neither the model's nor"):
        Measurer(three, [wrong], Patient(), shipped_shapes())


def test_a_head_without_a_side_is_refused() -> None:
    flat = E1.copy()
    flat[:, 1] = 50.0
    with pytest.raises(ValueError, match=r"^x: nothing of 'wits' can be measured"):
        measurer("wits")(image_record(flat, [1.0, 1.0]), "x")


def test_an_analysis_without_its_landmarks_takes_no_other_with_it() -> None:
    points = E1.copy()
    points[CL38.abbreviations.index("UIT")] = np.nan
    wits, isbi = map(values, measurer("wits", "isbi2015")(image_record(points, [1.0, 1.0]), "x"))
    assert set(wits.values()) == {None}
    assert [code for code, value in isbi.items() if value is None] == ["MW ISBI"]


def test_landmark_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not found"):
        read_landmark_file(tmp_path / "landmarks.json")
    for text in ("{", "[]", '{"images": []}', '{"model": {}, "images": []}'):
        (tmp_path / "landmarks.json").write_text(text)
        with pytest.raises(ValueError, match="not the landmarks of images"):
            read_landmark_file(tmp_path / "landmarks.json")
    with pytest.raises(ValueError, match="no image in it"):
        read_landmark_file(landmark_file(tmp_path))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"file": None}, "image 2: file None"),
        ({"spacing_mm": 0.1}, r"image 2: spacing_mm 0.1, expected \[x, y\]"),
        ({"spacing_mm": [0.1, -0.1]}, "image 2: spacing_mm"),
        ({"x": "700"}, "image 2: nasion with x '700'"),
        ({"x": float("inf")}, "image 2: nasion with x inf"),
        ({"y": None}, "image 2: nasion with .* y None"),
        ({"uncertainty_px": -2.0}, "image 2: nasion .* uncertainty_px -2.0"),
    ],
)
def test_what_measurements_cannot_rest_on_is_refused(tmp_path: Path, changed: dict, message: str) -> None:
    image, other = (image_record(E1, [1.0, 1.0]) for _ in range(2))
    changed_record = image if "file" in changed or "spacing_mm" in changed else image["landmarks"][1]
    changed_record |= changed
    with pytest.raises(ValueError, match=message):
        read_landmark_file(landmark_file(tmp_path, other, image))


def test_a_picture_given_as_landmarks_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"\xff\xd8" * 1000)
    with pytest.raises(ValueError, match="not the landmarks of images") as refused:
        read_landmark_file(tmp_path / "x.json")
    assert len(str(refused.value)) < 300 + len(str(tmp_path))


def test_landmarks_left_out_leave_what_the_others_allow(tmp_path: Path) -> None:
    image = image_record(E2 / 0.5, [0.5, 0.5])
    del image["landmarks"][CL38.landmarks.index("B point")]
    landmark_set = landmark_set_of(read_landmark_file(landmark_file(tmp_path, image)))
    (found,) = Measurer(landmark_set, [load_analysis("steiner")], Patient(), shipped_shapes())(image, "x")
    assert values(found)["SNA"] == pytest.approx(81.9276, abs=6e-5) and found["not_measured"]["SNB"] == ["B"]


def test_a_set_of_ones_own_goes_by_its_names_and_abbreviations(tmp_path: Path) -> None:
    content = read_landmark_file(landmark_file(tmp_path, image_record(E1, [1.0, 1.0])))
    assert landmark_set_of(content).abbreviations[0] == "S"
    content["model"]["landmark_set"] = "mine"
    assert landmark_set_of(content).abbreviations[0] == "sella"
    content["model"] |= LandmarkAnswers(replace(CL38, name="mine"), "mean").about()
    assert landmark_set_of(content).abbreviations == CL38.abbreviations
    del content["model"]["abbreviations"]
    content["model"]["landmark_set"] = "isbi19"  # the same name for others
    assert len(landmark_set_of(content)) == 38


def test_the_tool(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), np.tile(np.arange(0, 240, 0.4).astype(np.uint8), (800, 1)))
    flat = np.full((38, 2), 5.0)
    file = landmark_file(
        tmp_path,
        image_record(E2 / 0.5, [0.5, 0.5], str(tmp_path / "x.png")),
        image_record(flat, [0.5, 0.5], "flat.png"),
    )
    outputs = ["--output", str(tmp_path / "m.json"), "--report", str(tmp_path / "m.html")]
    ended = run_tool(
        "tools/measure.py", "--landmarks", str(file), "--analysis", "steiner", "isbi2015", *outputs
    )
    assert ended.returncode == 1 and "flat.png: nothing of 'steiner' can be measured" in ended.stderr
    assert "81.9°" in ended.stdout and "The eight of ISBI 2015" in ended.stdout
    result = json.loads((tmp_path / "m.json").read_text())
    assert [one["file"] for one in result["failed"]] == ["flat.png"]
    assert values(result["images"][0]["analyses"][0])["SNA"] == pytest.approx(81.9276, abs=6e-5)
    page = (tmp_path / "m.html").read_text()
    assert '<p class="note">Not measured: flat.png: nothing of' in page and "read any more" not in page
    assert page.count("data:image/png;base64") == 4 and 'src="http' not in page and "Not a diagnosis" in page
    assert run_tool("tools/measure.py", "--landmarks", str(file), "--analysis", "stiener").returncode == 2


def test_an_implausible_picture_is_said_beside_its_measurements(tmp_path: Path) -> None:
    reason = "the landmarks form no shape of the training images: shape <3.0> times its limit"
    image = image_record(E2 / 0.5, [0.5, 0.5], str(tmp_path / "x.png"))
    strange = {**image, "file": str(tmp_path / "y.png"), "plausible": False, "plausible_reason": reason}
    file = landmark_file(tmp_path, {**image, "plausible": True, "plausible_reason": None}, strange)
    options = ["--analysis", "steiner", "--report", str(tmp_path / "m.html")]
    ended = run_tool("tools/measure.py", "--landmarks", str(file), *options)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("implausible: ") == 1 and f"y.png\nimplausible: {reason}\n" in ended.stdout
    page = (tmp_path / "m.html").read_text()
    warning = f'<p class="note">These landmarks may be of no such X-ray: {escape(reason)}.</p>'
    assert page.count("no such X-ray") == 1 and f"<h2>y.png</h2>\n{warning}" in page
    assert page.count("cannot be read any more, or is of another size: no picture is shown") == 2
    cv2.imwrite(str(tmp_path / "x.png"), film())  # 500 x 700 pixels, not 600 x 800
    assert run_tool("tools/measure.py", "--landmarks", str(file), *options).returncode == 0
    assert (tmp_path / "m.html").read_text() == page


def test_a_ruler_on_the_film_tells_the_millimetre(tmp_path: Path) -> None:
    file = tmp_path / "x.png"
    cv2.imwrite(str(file), with_teeth(film(), 20.0))
    record = {**image_record(E2 / 0.1, None, str(file)), "width": 500, "height": 700}
    found = by_its_ruler(record, 2.0)
    assert found["spacing_mm"] == pytest.approx([0.1, 0.1], rel=0.005) and scale_known(found)
    sn = values(measurer("jarabak")(found, "x")[0])["S-N"]
    assert sn == pytest.approx(67.616, rel=0.005)
    known = image_record(E2 / 0.1, [0.2, 0.4], str(file))
    known |= {"width": 500, "height": 700}
    for row in known["landmarks"]:
        row |= {"x_mm": 0.2 * row["x"], "y_mm": 0.4 * row["y"], "uncertainty_mm": 0.5, "moved_mm": 1.0}
    known["landmarks"][1] |= dict.fromkeys(("x", "x_mm", "y", "y_mm", "moved_mm"))
    found = by_its_ruler(known, 2.0)
    assert found["spacing_mm"] == pytest.approx([0.05, 0.1], rel=0.005)
    x, y = found["spacing_mm"]
    row, missing = found["landmarks"][0], found["landmarks"][1]
    assert (row["x_mm"], row["y_mm"]) == (row["x"] * x, row["y"] * y)
    assert row["uncertainty_mm"] == pytest.approx(2.0 * (x * y) ** 0.5)
    assert (
        row["moved_mm"] == pytest.approx(0.25, rel=0.005) and missing["moved_mm"] is missing["x_mm"] is None
    )
    with pytest.raises(ValueError, match="x.png: 500x700 pixels, but its landmarks were found on 600x800"):
        by_its_ruler({**record, "width": 600, "height": 800}, 2.0)
    cv2.imwrite(str(file), film())
    with pytest.raises(ValueError, match="x.png: no ruler was found"):
        by_its_ruler(record, 2.0)
    with pytest.raises(ValueError, match="no such file"):
        by_its_ruler({**record, "file": "elsewhere.png"}, 2.0)


@pytest.mark.parametrize(
    ("sex", "shown"),
    [(None, "120.2 ± 5.3, female"), ("female", "120.2 ± 5.3, female"), ("male", "134.3 ± 6.8, male")],
)
def test_a_norm_of_one_sex_says_whose_it_is(sex: str | None, shown: str) -> None:
    of_patient = replace(measurer("mcnamara"), patient=Patient(sex=sex))
    found = {one["code"]: one for one in of_patient(image_record(E2, [1.0, 1.0]), "x")[0]["measurements"]}
    assert table.row(found["Co-Gn"])[3] == f"unverified ({shown})"


def test_tracing_and_wiggle_show_what_is_there() -> None:
    black = np.zeros((300, 300), np.uint8)
    line = [{"line": "A>B", "from": [50.0, 60.0], "to": [150.0, 60.0]}]
    drawn = tracing_picture(black, np.full((1, 2), np.nan), line)
    assert drawn[60, 100].any() and not drawn[100].any()
    found = measurer("steiner", "mcnamara")(image_record(E2, [1.0, 1.0]), "x")
    chart = wiggle_chart(found[0]["measurements"])
    assert chart is not None
    assert [label.get_text() for label in chart.axes[0].get_yticklabels()] == ["SNA", "SNB", "ANB"]
    assert wiggle_chart(found[1]["measurements"]) is None  # all its norms are unverified

"""Annotations of other tools come in at the right place, by name, and with a word on what is missing."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from datasets.landmarks.exports.annotated import Annotated
from datasets.landmarks.exports.matching import match, numbered_persons, split_files
from datasets.landmarks.exports.readers import CONVENTIONS, read_export
from datasets.landmarks.landmark_set import LandmarkSet
from datasets.prepared.names import case_names
from datasets.prepared.prepared import PreparedDataset
from tests.support.run_tool import run_tool
from tests.support.xray_files import picture

NAMES = ("sella", "nasion", "A point")
SET = LandmarkSet("own", NAMES, ("S", "N", "A"))
CENTRES = {"sella": (10.5, 20.5), "nasion": (30.5, 5.5), "A point": (40.5, 25.5)}  # continuous: pixel centres
STEMS = [f"p{number // 2}_{number}" for number in range(10)]  # two images a patient
SPACING = (0.2, 0.25)


def tool_pixels(tool: str, name: str) -> tuple[float, float]:
    """The centre of a pixel as the tool writes it."""
    x, y = CENTRES[name]
    half = 0.0 if CONVENTIONS[tool] == "continuous" else 0.5
    return x - half, y - half


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number, stem in enumerate(STEMS):
        Image.fromarray(np.roll(picture(), number, 1)).save(folder / f"{stem}.png")
    return folder


@pytest.fixture
def landmarks(tmp_path):
    (tmp_path / "own.json").write_text(json.dumps(SET.to_dict()))
    return tmp_path / "own.json"


def write_labelme(folder, names=NAMES):
    folder.mkdir()
    for stem in STEMS:
        shapes = [
            {"label": name, "points": [list(tool_pixels("labelme", name))], "shape_type": "point"}
            for name in names
        ]
        shapes.append({"label": "jaw", "points": [[1, 2], [3, 4], [5, 6]], "shape_type": "polygon"})
        data = {"shapes": shapes, "imagePath": f"..\\images\\{stem}.png", "imageHeight": 40, "imageWidth": 56}
        (folder / f"{stem}.json").write_text(json.dumps(data), encoding="utf-8-sig")
    return folder


def write_cvat(folder, names=NAMES):
    folder.mkdir()
    lines = ["<?xml version='1.0'?><annotations>"]
    for number, stem in enumerate(STEMS):
        lines.append(f'<image id="{number}" name="sub/{stem}.png" width="56" height="40">')
        marks = [
            f'<points label="{name}" occluded="0" points="{",".join(map(str, tool_pixels("cvat", name)))}"/>'
            for name in names
        ]
        hidden = '<points label="nasion" outside="1" points="1,1"/>'
        lines.append(f'<skeleton label="head">{"".join(marks)}{hidden}</skeleton></image>')
    (folder / "annotations.xml").write_text("\n".join([*lines, "</annotations>"]))
    return folder / "annotations.xml"


def write_coco(folder, names=NAMES):
    folder.mkdir()
    order = names[::-1]
    keypoints = [value for name in order for value in (*tool_pixels("coco", name), 2)]
    data = {
        "images": [
            {"id": number, "file_name": f"{stem}.png", "width": 56, "height": 40}
            for number, stem in enumerate(STEMS)
        ],
        "annotations": [
            {"id": number, "image_id": number, "category_id": 7, "keypoints": [*keypoints, 0, 0, 0]}
            for number in range(len(STEMS))
        ],
        "categories": [{"id": 7, "name": "head", "keypoints": [*order, "unseen"]}],
    }
    (folder / "coco.json").write_text(json.dumps(data))
    return folder / "coco.json"


def write_csv(folder, names=NAMES):
    folder.mkdir()
    rows = ["Image;Landmark;X;Y"]
    for stem in STEMS:
        for name in names:
            x, y = (str(value).replace(".", ",") for value in tool_pixels("csv", name))
            rows.append(f"{stem}.png;{name};{x};{y}")
    (folder / "points.csv").write_text("\r\n".join(rows), encoding="utf-8-sig")
    return folder / "points.csv"


def write_slicer(folder, names=NAMES):
    folder.mkdir()
    for number, stem in enumerate(STEMS):
        sign, system = ((-1, "RAS"), (1, "LPS"))[number % 2]
        points = [
            {"label": name, "position": [*(sign * value for value in tool_pixels("slicer", name)), 0.0]}
            for name in names
        ]
        points.append({"label": "nasion", "position": [0, 0, 0], "positionStatus": "undefined"})
        data = {"markups": [{"type": "Fiducial", "coordinateSystem": system, "controlPoints": points}]}
        (folder / f"{stem}.mrk.json").write_text(json.dumps(data))
    return folder


WRITERS = {
    "labelme": write_labelme,
    "cvat": write_cvat,
    "coco": write_coco,
    "csv": write_csv,
    "slicer": write_slicer,
}


def pairs_of(matched):
    return {file.stem: entry.points for file, entry in matched.pairs.items()}


@pytest.mark.parametrize("tool", WRITERS)
def test_every_tool_gives_the_same_points(tmp_path, images, tool):
    files = sorted(images.iterdir())
    matched = match(read_export(tool, WRITERS[tool](tmp_path / "export")), files, SET, folder=images)
    points = pairs_of(matched)
    assert sorted(points) == sorted(STEMS) and not matched.without_annotation and not matched.without_image
    for found in points.values():
        assert found == {name: pytest.approx(tool_pixels(tool, name)) for name in NAMES}


@pytest.mark.parametrize(("tool", "convention"), [("labelme", None), ("coco", None), ("slicer", "index")])
def test_the_whole_tool_writes_a_prepared_folder(tmp_path, images, landmarks, tool, convention):
    export = WRITERS[tool](tmp_path / "export")
    arguments = ["--from", tool, "--landmarks", landmarks, "--images", images, "--annotations", export]
    arguments += ["--output", tmp_path / "data", "--group-by", r"/(p\d)_", "--val", 0.2, "--test", 0.2]
    arguments += ["--spacing", *SPACING] + (["--convention", convention] if convention else [])
    done = run_tool("tools/import_annotations.py", *arguments)
    assert done.returncode == 0, done.stderr
    assert f"{tool} counts pixels by {CONVENTIONS[tool]}" in done.stdout
    splits = {part: PreparedDataset(tmp_path / "data", part) for part in ("train", "val", "test")}
    assert [len(split) for split in splits.values()] == [6, 2, 2]
    patients = {part: {case.split("_")[0] for case in split.cases} for part, split in splits.items()}
    assert sum(map(len, patients.values())) == 5  # no patient in two splits
    folds = [PreparedDataset(tmp_path / "data", f"{part}@1/2").cases for part in ("train", "val")]
    assert [len({case.split("_")[0] for case in cases}) for cases in folds] == [2, 2]  # of 4, whole
    for split in splits.values():
        for index, case in enumerate(split.cases):
            sample = split.load(index)
            np.testing.assert_allclose(sample.points, [CENTRES[name] for name in NAMES], atol=1e-3)
            assert sample.spacing.tolist() == list(SPACING)
            assert np.array_equal(sample.image, np.roll(picture(), int(case.split("_")[1]), 1))


def test_a_wide_table_and_names_as_people_spell_them(tmp_path, images):
    (tmp_path / "w.csv").write_text("file,S_x,S_y,a-POINT_x,a-POINT_y,Nasion_x,Nasion_y\np0_0,1,2,3,4,,\n")
    matched = match(read_export("csv", tmp_path / "w.csv"), sorted(images.iterdir()), SET, folder=images)
    assert pairs_of(matched) == {"p0_0": {"sella": (1, 2), "A point": (3, 4)}}
    report = "\n".join(matched.report())
    assert "landmarks that are missing: nasion (1 of 1)" in report
    assert "9 images have no annotation" in report


@pytest.mark.parametrize("column", ["label", "name", "point", "landmark"])
def test_a_wide_table_may_say_more_of_an_image(tmp_path, column):
    (tmp_path / "w.csv").write_text(f"image,{column},S_x,S_y\n1.png,AP,1,2\n")
    assert [entry.points for entry in read_export("csv", tmp_path / "w.csv")] == [{"S": (1, 2)}]


def test_a_table_by_number_as_prepared_folders_have_it(tmp_path, images):
    (tmp_path / "n.csv").write_text("file,split,scale,p1x,p1y,p3x,p3y,p2x,p2y\np0_0.png,train,,1,2,3,4,,\n")
    matched = match(read_export("csv", tmp_path / "n.csv"), sorted(images.iterdir()), SET, folder=images)
    assert pairs_of(matched) == {"p0_0": {"sella": (1, 2), "A point": (3, 4)}}


def test_landmarks_beyond_the_image_are_refused_or_missing_as_asked(tmp_path, images, landmarks):
    rows = [f"{stem}.png,1,2,30,39.6,5,6" for stem in STEMS]  # 40 rows: y ends at 39.5
    (tmp_path / "n.csv").write_text("\n".join(["file,p1x,p1y,p2x,p2y,p3x,p3y", *rows]))
    arguments = ["--from", "csv", "--landmarks", landmarks, "--images", images]
    arguments += ["--annotations", tmp_path / "n.csv", "--output", tmp_path / "data"]
    refused = run_tool("tools/import_annotations.py", *arguments)
    assert refused.returncode == 1 and "(nasion) at x=30, y=39.6 is not inside" in refused.stderr
    assert not (tmp_path / "data").exists()
    done = run_tool("tools/import_annotations.py", *arguments, "--outside", "missing")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("left out as missing: nasion") == len(STEMS)
    points = PreparedDataset(tmp_path / "data", "train").load(0).points
    np.testing.assert_allclose(points, [(1.5, 2.5), (np.nan, np.nan), (5.5, 6.5)])


def test_images_without_a_length_are_said_when_they_come_in(tmp_path, images, landmarks):
    """Training and test refuse them, when the folder is made and the hour is late."""
    rows = [f"{stem}.png,1,2,{'30,9' if number else ','},5,6" for number, stem in enumerate(STEMS)]
    (tmp_path / "n.csv").write_text("\n".join(["file,p1x,p1y,p2x,p2y,p3x,p3y", *rows]))
    arguments = ["--from", "csv", "--landmarks", landmarks, "--images", images]
    arguments += ["--annotations", tmp_path / "n.csv"]
    for name, unit, words in (
        ("mm", (), "10 of 10 images have no spacing, without which none is trained or tested on; give "),
        ("pair", ("--unit", *NAMES[:2]), "1 of 10 images do not show the length of '% of sella to nasion'"),
        ("height", ("--unit", "image height"), ""),
    ):
        done = run_tool("tools/import_annotations.py", *arguments, "--output", tmp_path / name, *unit)
        assert done.returncode == 0, done.stderr
        assert words in done.stdout and ("without which" in done.stdout) == bool(words)
        assert ("--unit: p0_0.png\n" in done.stdout) == (name == "pair")


def test_cases_left_out_are_not_trained_on_and_move_no_other(tmp_path, images, landmarks):
    export = write_csv(tmp_path / "export")
    arguments = ["--from", "csv", "--landmarks", landmarks, "--images", images, "--annotations", export]
    assert run_tool("tools/import_annotations.py", *arguments, "--output", tmp_path / "all").returncode == 0
    whole = {part: PreparedDataset(tmp_path / "all", part).cases for part in ("train", "val", "test")}
    wrong = [whole["test"][0], whole["train"][0]]
    listed = f"{wrong[0]},looks wrong\n{wrong[1]};as Excel has it\np9_99.png\n"
    (tmp_path / "wrong.txt").write_text(listed)
    arguments += ["--leave-out", tmp_path / "wrong.txt", "--output", tmp_path / "fewer"]
    done = run_tool("tools/import_annotations.py", *arguments)
    assert done.returncode == 0 and "wrong.txt of no case: p9_99.png\n" in done.stdout, done.stderr
    fewer = {part: PreparedDataset(tmp_path / "fewer", part).cases for part in whole}
    assert fewer == whole | {"train": whole["train"][1:]}


def test_a_file_may_name_the_images_of_each_split(tmp_path, images, landmarks):
    arguments = ["--from", "csv", "--landmarks", landmarks, "--images", images]
    arguments += ["--annotations", write_csv(tmp_path / "export"), "--output", tmp_path / "data"]
    file = tmp_path / "split.json"
    named = {"train": ["p1_3", "p1_2.png"], "val": ["p0_0"], "test": ["p3_6", "p0_1"]}
    file.write_text(json.dumps(named))
    done = run_tool("tools/import_annotations.py", *arguments, "--split", file)
    assert done.returncode == 0 and "5 images that" in done.stdout and "p2_4, p2_5" in done.stdout, (
        done.stderr
    )
    written = {part: list(PreparedDataset(tmp_path / "data", part).cases) for part in named}
    assert written == named | {"train": ["p1_3", "p1_2"]}  # in the order of the file
    arguments[-1] = tmp_path / "torn"
    refused = run_tool("tools/import_annotations.py", *arguments, "--split", file, "--group-by", r"/(p\d)_")
    assert refused.returncode == 1 and "in more than one split, the first with p0_0, p0_1." in refused.stderr
    file.write_text('{"val": ["p0_0"]}')
    refused = run_tool("tools/import_annotations.py", *arguments, "--split", file)
    assert refused.returncode == 1 and "expected 'train' among them" in refused.stderr
    assert not (tmp_path / "torn").exists()


def test_a_folder_of_images_that_is_not_there_is_said(tmp_path, landmarks):
    arguments = ["--from", "csv", "--landmarks", landmarks, "--images", tmp_path / "gone"]
    arguments += ["--annotations", write_csv(tmp_path / "export"), "--output", tmp_path / "data"]
    refused = run_tool("tools/import_annotations.py", *arguments)
    assert refused.returncode == 1 and "gone: no such folder" in refused.stderr


def test_unknown_names_and_absent_images_are_said(tmp_path, images):
    export = write_csv(tmp_path / "export", ("sella", "nasion"))
    export.write_text(
        export.read_text("utf-8-sig").replace("p0_0.png;nasion", "p0_0.png;Nase") + "\ngone.png;sella;1;2"
    )
    report = "\n".join(
        match(read_export("csv", export), sorted(images.iterdir()), SET, folder=images).report()
    )
    assert "names that the set has not, left out: Nase (1 of 10)" in report
    assert "nasion (1 of 10), A point (10 of 10)" in report
    assert "1 annotated images are not there: gone.png" in report


@pytest.mark.parametrize("table", ["image,PM_x,PM_y\nx,1,2\n", "image,landmark,x,y\nx,PM,1,2\n"])
def test_capitals_decide_between_two_landmarks(tmp_path, table):
    two = LandmarkSet("two", ("PM", "Pm", "Gonion"), ("PM", "Pm", "Go"))
    (tmp_path / "t.csv").write_text(table)
    matched = match(read_export("csv", tmp_path / "t.csv"), [tmp_path / "x.png"], two, folder=tmp_path)
    assert pairs_of(matched) == {"x": {"PM": (1, 2)}}


def test_a_name_with_a_dot_is_the_file_of_that_name(tmp_path):
    files = [tmp_path / "patient.1.png", tmp_path / "patient.png"]
    assert list(match(marked("patient.1"), files, SET, folder=tmp_path).pairs) == files[:1]


def test_nothing_that_matches_is_refused_with_both_lists(tmp_path, images):
    export = write_csv(tmp_path / "export", ("sella",))
    export.write_text(export.read_text("utf-8-sig").replace("sella", "xyz"))
    with pytest.raises(ValueError, match=r"no landmark of 'own'.*xyz.*sella, nasion"):
        match(read_export("csv", export), sorted(images.iterdir()), SET, folder=images)


def test_two_annotations_of_one_image_are_refused(tmp_path, images):
    folder = write_labelme(tmp_path / "export")
    (folder / "again.json").write_bytes((folder / "p0_0.json").read_bytes())
    with pytest.raises(ValueError, match=r"p0_0\.png is annotated here and in .*expected once"):
        match(read_export("labelme", folder), sorted(images.iterdir()), SET, folder=images)
    coco = write_coco(tmp_path / "coco")
    data = json.loads(coco.read_text())
    data["annotations"].append(data["annotations"][0])
    coco.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=r"p0_0\.png: annotated twice"):
        read_export("coco", coco)


def test_two_images_of_one_name_are_told_by_their_folder_or_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(picture()).save(tmp_path / name / "x.png")
    files = [tmp_path / "a/x.png", tmp_path / "b/x.png"]
    (tmp_path / "p.csv").write_text("image,landmark,x,y\nb/x.png,sella,1,2\n")
    matched = match(read_export("csv", tmp_path / "p.csv"), files, SET, folder=tmp_path)
    assert list(matched.pairs) == [files[1]]
    (tmp_path / "p.csv").write_text("image,landmark,x,y\nx.png,sella,1,2\n")
    with pytest.raises(ValueError, match="share this name"):
        match(read_export("csv", tmp_path / "p.csv"), files, SET, folder=tmp_path)


def marked(*images):
    return [Annotated(image, image, {"sella": (1.0, 2.0)}) for image in images]


@pytest.mark.parametrize(
    ("image", "files", "found"),
    [
        ("1/x.png", ["1/x.png", "2/x.png", "11/x.png"], "1/x.png"),
        ("up/1/x.png", ["1/x.png", "11/x.png"], "1/x.png"),
        ("scans/1/x.png", ["1/x.png", "11/x.png"], "1/x.png"),
        ("1/x.png", ["a/1/x.png", "a/11/x.png"], "a/1/x.png"),
        (r"C:\data\1\x.png", ["1/x.jpg", "11/x.jpg"], "1/x.jpg"),
        (r"..\scans\x.png", ["x.png", "a/x.png"], "x.png"),
        ("../x.png", ["a/x.png"], "a/x.png"),
        ("x.png", ["a/x.png"], "a/x.png"),
        ("1/x.png", ["11/x.png", "3/x.png"], None),
        ("/home/1/x.png", ["11/x.png", "3/x.png"], None),
        ("a/1/x.png", ["b/1/x.png", "b/2/x.png"], None),
        ("a/x.png", ["x.png", "b/x.png"], None),
        ("1/x.png", ["11/x.png"], None),
        ("p1/x.png", ["p2/x.png"], None),
    ],
)
def test_folders_are_compared_whole(image, files, found):
    folder = Path("/data/scans")
    matched = match(marked(image, "y.png"), [folder / file for file in [*files, "y.png"]], SET, folder=folder)
    assert [file for file in matched.pairs if file.stem == "x"] == ([folder / found] if found else [])
    said = "" if found else f"annotated images are not there: {image} (of this name: {', '.join(files)})"
    assert said in "\n".join(matched.report()) and not matched.by_name_alone


@pytest.mark.parametrize(
    ("image", "file", "folders"),
    [
        ("up/1/x.png", "x.png", "up/1 for scans"),
        ("/home/1/x.png", "2/x.png", "home/1 for scans/2"),
        (r"D:\a\x.png", "x.dcm", "a for scans"),
    ],
)
def test_an_image_told_by_its_name_alone_is_said(image, file, folders):
    folder = Path("/data/scans")
    matched = match(marked(image), [folder / file], SET, folder=folder)
    assert list(matched.pairs) == [folder / file]
    assert f"told by name alone, the export's folder for yours: {folders} (1 of 1)" in list(matched.report())


def test_slicer_counts_millimetres_of_the_file(tmp_path, landmarks):
    (tmp_path / "images").mkdir()
    for number in range(3):
        image = sitk.GetImageFromArray(np.roll(picture(), number, 0))
        image.SetSpacing(SPACING)
        sitk.WriteImage(image, str(tmp_path / "images" / f"x{number}.mha"))
        position = [(CENTRES["sella"][axis] - 0.5) * SPACING[axis] for axis in (0, 1)]
        points = [{"label": "Sella", "position": [*position, 0.0]}]
        data = {"markups": [{"coordinateSystem": "LPS", "controlPoints": points}]}
        (tmp_path / f"x{number}.mrk.json").write_text(json.dumps(data))
    arguments = ["--from", "slicer", "--landmarks", landmarks, "--images", tmp_path / "images"]
    arguments += ["--annotations", tmp_path, "--output", tmp_path / "data", "--test", 0]
    done = run_tool("tools/import_annotations.py", *arguments)
    assert done.returncode == 0, done.stderr
    sample = PreparedDataset(tmp_path / "data", "val").load(0)
    np.testing.assert_allclose(sample.points[0], CENTRES["sella"], atol=1e-3)
    assert np.isnan(sample.points[1:]).all()


@pytest.mark.parametrize(
    ("tool", "name", "content"),
    [
        ("labelme", "x.json", "[]"),
        ("labelme", "x.json", '{"shapes": [{"label": "a"}]}'),
        ("labelme", "x.json", '{"shapes": null}'),
        ("labelme", "x.json", '{"shapes": [{"label": "a", "points": [[1, "b"]], "shape_type": "point"}]}'),
        ("labelme", "x.json", '{"shapes": [{"label": "a", "points": [[1, NaN]], "shape_type": "point"}]}'),
        ("cvat", "x.xml", "<annotations><image>"),
        ("cvat", "x.xml", '<a><image name="x"><points label="a" points="1,2;3,4"/></image></a>'),
        ("cvat", "x.xml", '<a><image name="x"><points label="a" points="1,2,3"/></image></a>'),
        ("cvat", "x.xml", '<a><track label="a"><points frame="0" points="1,2"/></track></a>'),
        ("coco", "x.json", '{"images": [{"id": 1}]}'),
        ("coco", "x.json", "not json"),
        ("csv", "x.csv", "a,b\n1,2\n"),
        ("csv", "x.csv", "image,landmark,x,y\na,b,1,two\n"),
        ("csv", "x.csv", "image,landmark,x,y\na,b,1,\n"),
        ("csv", "x.csv", "image,landmark,x,y\na,b,10,5,11,5\n"),
        ("csv", "x.csv", "image,b_x,b_y,b_x,b_y\na,1,2,3,4\n"),
        ("csv", "x.csv", "image,landmark,x,y\na,b,1,2\n,c,1,2\n"),
        ("csv", "x.csv", "image,landmark,x,y\na,b,1,2\n".encode("utf-16")),
        ("slicer", "x.mrk.json", '{"markups": [{"controlPoints": [{"label": "a"}]}]}'),
        ("slicer", "x.txt", ""),
    ],
)
def test_malformed_exports_are_refused_by_name(tmp_path, tool, name, content):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=str(tmp_path / name if name != "x.txt" else tmp_path)):
        read_export(tool, tmp_path)


def test_a_tables_message_names_the_line_of_the_point(tmp_path):
    (tmp_path / "x.csv").write_text("image,landmark,x,y\na,b,1,2\n\na,c,NA,NA\n")
    with pytest.raises(ValueError, match=r"x\.csv, line 4: 'c' at 'NA'"):
        read_export("csv", tmp_path)


def test_names_with_commas_do_not_hide_the_semicolons_of_a_table(tmp_path):
    (tmp_path / "x.csv").write_text("image;lung, left, upper_x;lung, left, upper_y\na;1,5;2\n\n;;\n")
    found = [entry for entry in read_export("csv", tmp_path) if entry.points]
    assert [entry.points for entry in found] == [{"lung, left, upper": (1.5, 2.0)}]


@pytest.mark.parametrize("first", [True, False])
def test_an_image_that_another_file_lists_without_points_is_annotated_once(tmp_path, images, first):
    export = write_cvat(tmp_path / "export")
    whole = export.read_text()
    empty = f'<annotations><image name="{STEMS[0]}.png" width="56" height="40"/></annotations>'
    for name, text in zip("ab", (empty, whole) if first else (whole, empty), strict=True):
        (tmp_path / "export" / f"{name}.xml").write_text(text)
    export.unlink()
    matched = match(read_export("cvat", tmp_path / "export"), sorted(images.iterdir()), SET, folder=images)
    assert len(matched.pairs) == len(STEMS) and not matched.without_annotation


def test_a_landmark_that_is_drawn_as_another_shape_is_said(tmp_path, images):
    folder = write_labelme(tmp_path / "export")
    data = json.loads((folder / "p0_0.json").read_text("utf-8-sig"))
    data["shapes"][1] |= {"shape_type": "circle", "points": [[1, 2], [3, 4]]}  # nasion
    data["shapes"].append(data["shapes"][0] | {"shape_type": "circle"})  # sella, marked by a point as well
    (folder / "p0_0.json").write_text(json.dumps(data))
    report = list(
        match(read_export("labelme", folder), sorted(images.iterdir()), SET, folder=images).report()
    )
    assert report[:2] == [
        "landmarks that are drawn, but not as a point, left out: nasion as circle (1 images)",
        "landmarks that are missing: nasion (1 of 10)",
    ]


def test_pixels_that_are_counted_from_one(tmp_path, images, landmarks):
    (tmp_path / "n.csv").write_text("\n".join(["file,p1x,p1y", *(f"{stem}.png,1,40" for stem in STEMS)]))
    arguments = ["--from", "csv", "--landmarks", landmarks, "--images", images, "--annotations"]
    arguments += [tmp_path / "n.csv", "--output", tmp_path / "data", "--convention", "one-based"]
    done = run_tool("tools/import_annotations.py", *arguments)
    assert done.returncode == 0 and "the centre of the first pixel is (1, 1)" in done.stdout, done.stderr
    np.testing.assert_allclose(PreparedDataset(tmp_path / "data", "train").load(0).points[0], (0.5, 39.5))


def test_splits_keep_groups_together_and_say_what_cannot_be():
    files = [Path(f"/data/{stem}.png") for stem in STEMS]
    split = split_files(files, {"val": 0.2, "test": 0.4}, 0, r"p\d")
    assert {part: len(members) for part, members in split.items()} == {"train": 4, "val": 2, "test": 4}
    assert sorted(file for members in split.values() for file in members) == files
    with pytest.raises(ValueError, match="no match in"):
        split_files(files, {"val": 0.2}, 0, r"patient(\d+)")
    with pytest.raises(ValueError, match="no regular expression"):
        split_files(files, {"val": 0.2}, 0, r"p(\d")
    with pytest.raises(ValueError, match="too few"):
        split_files(files[:2], {"val": 0.5, "test": 0.5}, 0, None)


def test_persons_are_numbered_by_group_and_do_not_carry_its_name():
    files = [Path(f"/data/{name}.png") for name in ("mary_1", "john_1", "mary_2")]
    assert list(numbered_persons(files, r"([a-z]+)_").values()) == ["p1", "p1", "p2"]
    assert list(numbered_persons(files, r"([a-z]+)_")) == [files[0], files[2], files[1]]


def test_case_names_are_safe_and_distinct():
    files = [Path("환자 1.png"), Path("환자-1.png"), Path("a/x.png"), Path("b/x.png"), Path(".x.png")]
    names = list(case_names(files).values())
    assert len(set(names)) == 5 and all(name.isascii() and " " not in name for name in names)
    assert names[2:4] == ["x", "x_2"]

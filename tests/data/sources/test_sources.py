import csv
import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pillow

from vitrial.data.io.decode import decode
from vitrial.data.manifest import INTERNAL, in_order
from vitrial.data.prepared import prepare_data
from vitrial.data.sources import draw_groups, load_dataset
from vitrial.data.sources.csv import CsvData
from vitrial.data.sources.folder import FolderData
from vitrial.data.sources.ham10000 import Ham10000Data
from vitrial.data.sources.phantom import PhantomData
from vitrial.errors import VitrialError
from vitrial.protocol import Image, Split


def png(value=0):
    content = io.BytesIO()
    Pillow.fromarray(np.full((16, 16, 3), value, np.uint8)).save(content, "PNG")
    return content.getvalue()


def tree(root, *names):
    """Empty files: sources list images without opening them."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"" if name.endswith("/") else b"x")
    return root


def folder(root, **more):
    return load_dataset(FolderData(source="folder", root=root, **more))


def where(dataset, *, fatal):
    return [problem.where for problem in dataset.problems if problem.fatal == fatal]


# Folders


def test_a_folder_is_a_class(tmp_path):
    tree(tmp_path, *(f"{c}/{i}.JPG" for c in ("2", "10", "1") for i in range(3)), "2/sub/4.png")
    dataset = folder(tmp_path)
    assert dataset.classes == ["1", "2", "10"]
    assert dataset.manifest["label"].value_counts().to_dict() == {"2": 4, "10": 3, "1": 3}
    assert dataset.manifest["group"].is_unique
    assert "split" not in dataset.manifest
    assert dataset.problems == []
    assert dataset.reader.read(dataset.manifest["image"][0]) == b"x"


@pytest.mark.parametrize("wrapped", ["", "data/"])
def test_splits_above_the_classes(tmp_path, wrapped):
    names = [f"{s}/{c}/{i}.png" for s in ("Train", "valid", "test") for c in "ab" for i in range(2)]
    tree(tmp_path, *(wrapped + name for name in names))
    manifest = folder(tmp_path).manifest
    assert manifest["split"].value_counts().to_dict() == {"train": 4, "val": 4, "test": 4}
    assert set(manifest["label"]) == {"a", "b"}


def test_control_and_test_are_classes(tmp_path):
    tree(tmp_path, "control/1.png", "test/1.png")
    assert folder(tmp_path).classes == ["control", "test"]


def test_splits_beside_classes_are_refused(tmp_path):
    tree(tmp_path, "train/a/1.png", "test/a/1.png", "extra/a/1.png")
    with pytest.raises(VitrialError, match="test, train and extra lie side by side"):
        folder(tmp_path)


def test_splits_without_classes_are_told(tmp_path):
    dataset = folder(tree(tmp_path, "train/1.png", "test/1.png"))
    assert where(dataset, fatal=True) == ["test/1.png", "train/1.png"]
    assert dataset.manifest.empty


def test_what_is_no_image_of_a_class_is_told(tmp_path):
    tree(tmp_path, "a/1.png", "b/1.png", "a/notes.txt", "loose.png")
    (tmp_path / "c").mkdir()
    dataset = folder(tmp_path)
    assert where(dataset, fatal=True) == ["loose.png"]
    assert where(dataset, fatal=False) == ["a/notes.txt", "c"]
    assert dataset.classes == ["a", "b"]


def test_linked_folders_are_told(tmp_path):
    tree(tmp_path, "root/a/1.png", "root/b/1.png", "other/1.png")
    (tmp_path / "root" / "c").symlink_to(tmp_path / "other")
    dataset = folder(tmp_path / "root")
    assert where(dataset, fatal=True) == ["c"]
    assert "link out of" in dataset.problems[0].what


def test_a_zip_of_folders(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name in ("set/a/1.png", "set/b/1.png"):
            archive.writestr(name, png())
    dataset = folder(tmp_path / "set.zip")
    assert (dataset.name, dataset.classes) == ("set", ["a", "b"])
    assert dataset.reader.read("set/a/1.png") == png()


def test_no_image_at_all(tmp_path):
    with pytest.raises(VitrialError, match="There is no image"):
        folder(tmp_path)


def test_numbers_in_names_count_by_value():
    assert in_order(["grade 10", "grade 2", "grade 2", "none"]) == ["grade 2", "grade 10", "none"]


# Tables


def table(root, text, **more):
    (root / "t.csv").write_text(text, encoding=more.pop("encoding", "utf-8"))
    return load_dataset(CsvData(source="csv", root=root, table="t.csv", **more))


def test_texts_stay_as_they_are_written(tmp_path):
    tree(tmp_path, "0012.png", "0013.png", "sub/1.png")
    rows = ["image;label;group;age;split", "0012.png; 01 ;007;64;a", "0013.png;2;;;"]
    text = "\n".join([*rows, "sub\\1.png;None;7;;", "", ""])
    dataset = table(tmp_path, text, encoding="utf-8-sig", group="group")
    manifest = dataset.manifest
    assert manifest["image"].tolist() == ["0012.png", "0013.png", "sub/1.png"]
    assert manifest["label"].tolist() == ["01", "2", "None"]
    assert manifest["group"].tolist() == ["007", "0013.png", "7"]
    assert manifest["age"].tolist() == ["64", "", ""]
    # The table's own column `split` was not asked for.
    assert "split" not in manifest
    assert manifest["table:split"].tolist() == ["a", "", ""]
    assert where(dataset, fatal=False) == ["column group", "groups"]


def test_every_fault_is_told_with_its_row(tmp_path):
    tree(tmp_path, *(f"{i}.png" for i in range(1, 8)), "IMG.PNG")
    rows = [
        "image,label",
        "1.png,a",  # 2
        "2.png,b",  # 3
        "1.png,a",  # 4: repeats row 2
        "/data/x.png,a",  # 5
        "../x.png,a",  # 6
        "none.png,a",  # 7
        "3.png,",  # 8
        "4.png,NaN",  # 9
        "5.png,a",  # 10: contradicts row 11
        "5.png,b",  # 11
        ",a",  # 12
        "6.png,a,b",  # 13
        "C:\\x.png,a",  # 14
        "7.png,b",  # 15
        "sub/img.jpg,b",  # 16
        "",
    ]
    dataset = table(tmp_path, "\n".join(rows))
    told = {problem.where: problem for problem in dataset.problems}
    assert set(told) == {f"row {n} of t.csv" for n in (4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16)}
    assert all(problem.fatal for problem in dataset.problems)
    assert dataset.manifest["image"].tolist() == ["1.png", "2.png", "7.png"]
    assert dataset.classes == ["a", "b"]
    words = {4: "repeats row 2", 5: "absolute", 6: "'..'", 7: "does not exist", 8: "no label"}
    words |= {10: "another label than row 11", 12: "names no file", 13: "3 cells", 14: "absolute"}
    for number, word in words.items():
        assert word in told[f"row {number} of t.csv"].what
    assert "there is 'IMG.PNG'" in told["row 16 of t.csv"].what


def test_paths_start_at_the_table(tmp_path):
    tree(tmp_path, "in/images/1.png", "in/masks/1.png", "in/images/2.png")
    (tmp_path / "in" / "t.csv").write_text(
        "image,label,mask\nimages/1.png,a,masks/1.png\nimages/2.png,a,no.png"
    )
    data = CsvData(source="csv", root=tmp_path, table="in/t.csv", mask="mask")
    dataset = load_dataset(data)
    assert dataset.manifest["image"].tolist() == ["in/images/1.png", "in/images/2.png"]
    assert dataset.manifest["mask"].tolist() == ["in/masks/1.png", None]
    assert where(dataset, fatal=False) == ["mask 'no.png'"]


def test_given_splits(tmp_path):
    tree(tmp_path, *(f"{i}.png" for i in range(6)))
    rows = ["0.png,a,p,TRAIN", "1.png,a,p,Validation", "2.png,a,q,val", "3.png,a,r,test"]
    rows += ["4.png,a,s,holdout", "5.png,a,s,"]
    dataset = table(tmp_path, "\n".join(["image,label,who,part", *rows]), group="who", split="part")
    assert dataset.manifest["split"].tolist() == ["train", "val", "val", "test"]
    assert where(dataset, fatal=True) == ["row 6 of t.csv", "row 7 of t.csv"]


def test_tables_that_cannot_be_read(tmp_path):
    tree(tmp_path, "1.png")
    with pytest.raises(VitrialError, match=r"no column 'label', did you mean labels\. Its columns"):
        table(tmp_path, "image,labels\n1.png,a")
    with pytest.raises(VitrialError, match="more than one column label"):
        table(tmp_path, "image,label,label\n1.png,a,b")
    with pytest.raises(VitrialError, match="not UTF-8"):
        table(tmp_path, "image,label\n1.png,café", encoding="latin-1")
    for nothing in ("", "\n", " \n\n"):
        with pytest.raises(VitrialError, match=r"t\.csv is empty: write a header"):
            table(tmp_path, nothing)
    with pytest.raises(VitrialError, match="its first row is blank"):
        table(tmp_path, "\nimage,label\n1.png,a")
    with pytest.raises(VitrialError, match=r"no 't\.tsv' below .*; tables there are t\.csv"):
        load_dataset(CsvData(source="csv", root=tmp_path, table="t.tsv"))
    dataset = table(tmp_path, "image,label\n")
    assert dataset.manifest.empty
    assert where(dataset, fatal=True) == ["t.csv"]


def test_columns_with_a_meaning_of_their_own_are_kept_under_another_name(tmp_path):
    tree(tmp_path, *(f"{i}.png" for i in range(12)))
    own = [*sorted(INTERNAL - {"image", "label"}), "table:row", "site"]
    rows = [f"{i}.png,{'ab'[i % 2]},{','.join(f'{name} {i}' for name in own)}" for i in range(12)]
    (tmp_path / "t.csv").write_text("\n".join([f"image,label,{','.join(own)}", *rows]))
    for i in range(12):
        Pillow.fromarray(np.random.default_rng(i).integers(0, 255, (16, 16), np.uint8)).save(
            tmp_path / f"{i}.png"
        )
    data = CsvData(source="csv", root=tmp_path, table="t.csv")
    kept = prepare_data(data, Split(), Image(resize=32), tmp_path / "cache").manifest
    for name in own:
        values = kept[name if name == "site" else f"table:{name}"]
        assert values.tolist() == [f"{name} {image[:-4]}" for image in kept["image"]], name
    internal = set(kept.columns) - {f"table:{name}" for name in own} - {"site"}
    assert internal <= INTERNAL, "a column that preparing adds must be listed"


def test_a_split_that_is_drawn_although_others_are_given_is_noted(tmp_path):
    tree(tmp_path, *(f"{i}.png" for i in range(6)))
    parts = ["train", "train", "train", "train", "test", "test"]
    rows = [f"{i}.png,{'ab'[i % 2]},{part}" for i, part in enumerate(parts)]
    text = "\n".join(["image,label,part", *rows])
    assert where(table(tmp_path, text, split="part"), fatal=False) == ["split val"]
    assert where(table(tmp_path, text), fatal=False) == []
    whole = table(tmp_path, text.replace("3.png,b,train", "3.png,b,val"), split="part")
    assert where(whole, fatal=False) == []


def test_images_of_other_classes_need_not_exist(tmp_path):
    tree(tmp_path, "1.png", "2.png")
    text = "image,label\n1.png,b\n2.png,a\nnone.png,c\n"
    dataset = table(tmp_path, text, classes=["b", "a"])
    assert (dataset.classes, dataset.problems) == (["b", "a"], [])
    with pytest.raises(VitrialError, match="no class 'd'"):
        table(tmp_path, text, classes=["a", "d"])


@pytest.mark.parametrize(
    ("name", "image", "label"),
    [("aptos2019/train.csv", "id_code", "diagnosis")],
)
def test_a_real_table(ham10000, tmp_path, name, image, label):
    source = ham10000.parent / name
    if not source.is_file():
        pytest.skip(f"there is no {source}")
    with source.open(newline="") as file:
        rows = [{**row, image: f"{row[image]}.png"} for row in csv.DictReader(file)]
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    tree(tmp_path, *(row[image] for row in rows))
    data = CsvData(source="csv", root=tmp_path, table="t.csv", image=image, label=label)
    dataset = load_dataset(data)
    assert dataset.classes == ["0", "1", "2", "3", "4"]
    # The competition's published distribution of grades.
    counts = {"0": 1805, "1": 370, "2": 999, "3": 193, "4": 295}
    assert dataset.manifest["label"].value_counts().to_dict() == counts
    assert dataset.problems == []


# HAM10000

COUNTS = {"akiec": 327, "bcc": 514, "bkl": 1099, "df": 115, "mel": 1113, "nv": 6705, "vasc": 142}


def test_ham10000(ham10000):
    dataset = load_dataset(Ham10000Data(source="ham10000", root=ham10000))
    manifest = dataset.manifest
    assert len(manifest) == 10015
    assert dataset.problems == []
    assert manifest["label"].value_counts().to_dict() == COUNTS
    sizes = manifest["group"].value_counts()
    assert len(sizes) == 7470
    assert ((sizes >= 2) & (sizes <= 6)).sum() == (sizes >= 2).sum() == 1956
    assert manifest["mask"].notna().all()
    assert manifest["age"].between(0, 100).sum() == 10015 - 57
    row = manifest[manifest["image"].str.endswith("ISIC_0027419.jpg")].iloc[0]
    assert (row["label"], row["group"], row["sex"]) == ("bkl", "HAM_0000118", "male")
    decoded = decode(dataset.reader.read(row["image"]), Image(resize=64))
    assert (decoded.width, decoded.height, decoded.notes) == (200, 150, [])
    # Skin is redder than blue.
    assert decoded.pixels[..., 0].mean() > decoded.pixels[..., 2].mean()
    mask = decode(dataset.reader.read(row["mask"]), Image(resize=64, channels=1))
    assert {0, 255} <= set(np.unique(mask.pixels))


def original_download(root, suffix, zipped):
    """The layout of the original download, with 4 images."""
    root.mkdir()
    ids = [f"ISIC_002430{i}" for i in range(4)]
    delimiter = "\t" if suffix == ".tab" else ","
    header = ["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization"]
    rows = [
        [f"HAM_{i // 2}", ids[i], "nv" if i < 2 else "mel", "histo", "", "male", "back"]
        for i in range(4)
    ]
    with (root / f"HAM10000_metadata{suffix}").open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    parts = {
        f"HAM10000_images_part_{p + 1}": [f"{i}.jpg" for i in ids[2 * p : 2 * p + 2]]
        for p in (0, 1)
    }
    inner = "HAM10000_segmentations_lesion_tschandl/"
    parts["HAM10000_segmentations_lesion_tschandl"] = [f"{inner}{i}_segmentation.png" for i in ids]
    for part, names in parts.items():
        if zipped:
            with zipfile.ZipFile(root / f"{part}.zip", "w") as archive:
                for name in names:
                    archive.writestr(name, png())
                    archive.writestr(f"__MACOSX/{name}", b"junk")
        else:
            tree(root / part, *names)
    return root


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("suffix", ["", ".csv", ".tab"])
def test_ham10000_as_downloaded(tmp_path, suffix, zipped):
    root = original_download(tmp_path / "ham", suffix, zipped)
    dataset = load_dataset(Ham10000Data(source="ham10000", root=root))
    assert dataset.manifest["label"].tolist() == ["nv", "nv", "mel", "mel"]
    assert dataset.manifest["group"].nunique() == 2
    assert dataset.manifest["age"].isna().all()
    assert dataset.problems == []
    for column in ("image", "mask"):
        for name in dataset.manifest[column]:
            dataset.reader.stamp(name)


def test_ham10000_in_parts(tmp_path):
    root = original_download(tmp_path / "ham", ".csv", True)
    (root / "HAM10000_images_part_2.zip").unlink()
    (root / "HAM10000_segmentations_lesion_tschandl.zip").unlink()
    dataset = load_dataset(Ham10000Data(source="ham10000", root=root))
    assert where(dataset, fatal=True) == [f"row {n} of HAM10000_metadata.csv" for n in (4, 5)]
    assert dataset.manifest["mask"].tolist() == [None, None]
    (root / "HAM10000_images_part_1.zip").unlink()
    with pytest.raises(VitrialError, match="holds no image of HAM10000"):
        load_dataset(Ham10000Data(source="ham10000", root=root))
    (root / "HAM10000_metadata.csv").unlink()
    with pytest.raises(VitrialError, match="holds no HAM10000_metadata"):
        load_dataset(Ham10000Data(source="ham10000", root=root))


# Classes and limits


def are_whole_groups(drawn, whole):
    sizes = whole["group"].value_counts()
    return drawn["group"].value_counts().to_dict() == sizes[drawn["group"].unique()].to_dict()


def test_phantoms_are_found():
    data = PhantomData(source="phantom", patients=40, size=32)
    whole = load_dataset(data)
    drawn = load_dataset(data.model_copy(update={"limit": 30}))
    assert drawn.classes == whole.classes
    assert 20 <= len(drawn.manifest) <= 40 < len(whole.manifest)
    assert are_whole_groups(drawn.manifest, whole.manifest)


def test_a_limit_draws_whole_groups_of_every_class(ham10000):
    whole = load_dataset(Ham10000Data(source="ham10000", root=ham10000)).manifest
    drawn = draw_groups(whole, 1000)
    assert abs(len(drawn) - 1000) < 20
    assert are_whole_groups(drawn, whole)
    shares = drawn["label"].value_counts() / 1000 - whole["label"].value_counts() / 10015
    assert shares.abs().max() < 0.005
    shuffled = draw_groups(whole.sample(frac=1, random_state=0).reset_index(drop=True), 1000)
    assert set(shuffled["image"]) == set(drawn["image"])
    assert set(drawn["image"]) <= set(draw_groups(whole, 2000)["image"])


def test_a_limit_keeps_rare_classes_and_given_splits():
    labels = ["common"] * 990 + ["rare"] * 10
    splits = ["train", "train", "train", "val", "test"] * 200
    groups = [f"p{i}" for i in range(1000)]
    manifest = pd.DataFrame({"image": groups, "label": labels, "group": groups, "split": splits})
    drawn = draw_groups(manifest, 50)
    counts = pd.crosstab(drawn["label"], drawn["split"])
    assert (counts.loc["rare"] >= 2).all()
    assert counts.loc["common", "train"] == 30
    assert draw_groups(manifest, 1000) is manifest

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from vitrial.data.io.by_stem import find_images, repeated_rows, sound_rows

words = st.sampled_from(["a", "b", "c", "d"])
folders = st.lists(st.sampled_from(["x", "y", "z.zip"]), max_size=3)
places = st.lists(
    st.tuples(folders, words, st.sampled_from([".png", ".JPG", ".txt"])), unique_by=str
)


@given(places, st.sets(words))
def test_the_nearest_image_of_each_wanted_stem_is_found(places, wanted):
    names = ["/".join([*folder, stem + suffix]) for folder, stem, suffix in places]
    depths = {
        stem: [len(f) for f, s, suffix in places if s == stem and suffix != ".txt"]
        for stem in wanted
    }
    found, notes = find_images(names, wanted)
    assert set(found) == {stem for stem, depth in depths.items() if depth}
    for stem, name in found.items():
        assert name in names
        assert name.count("/") == min(depths[stem])
    assert bool(notes) == any(len(depth) > 1 for depth in depths.values())
    assert find_images(names[::-1], wanted)[0] == found


@given(st.lists(st.tuples(words, st.sampled_from(["0", "1"]))))
def test_what_is_said_twice_is_kept_once_and_contradictions_not_at_all(said):
    rows = pd.DataFrame(said, columns=["key", "label"], dtype=str)
    rows.index += 2
    sound, problems = sound_rows(rows, "t.csv", [repeated_rows(rows["key"], rows["label"])])
    clear = {key: label for key, label in said if (key, "10"["01".index(label)]) not in said}
    assert dict(zip(sound["key"], sound["label"], strict=True)) == clear
    assert len(sound) == len(clear)
    assert len(sound) + len(problems) == len(rows)
    assert all(problem.fatal for problem in problems)

import numpy as np

from vitrial.explain.shown import Shown, ShownMap, read_shown, write_shown


def test_what_is_shown_comes_back_as_it_was(tmp_path):
    random = np.random.default_rng(0)
    values = random.random((2, 2), dtype=np.float32)
    heads = random.random((3, 2, 2), dtype=np.float32)
    maps = [
        ShownMap("a / random", "gradcam", "nävus $x$", 0.1 + 0.2, values, None),
        ShownMap("b / random", "attention", "", 1.0, values, heads),
    ]
    pixels = random.integers(0, 256, (8, 8, 1), dtype=np.uint8)
    shown = [
        Shown("x/1.png", "nävus $x$", pixels, pixels[..., 0] > 9, maps),
        Shown("x/2.png", "", pixels, None, []),
    ]
    write_shown(shown, tmp_path / "new" / "shown.npz")
    first, second = read_shown(tmp_path / "new" / "shown.npz")
    assert (first.image, first.label) == ("x/1.png", "nävus $x$")
    assert (second.image, second.label, second.mask, second.maps) == ("x/2.png", "", None, [])
    np.testing.assert_array_equal(first.pixels, pixels)
    np.testing.assert_array_equal(first.mask, shown[0].mask)
    for ours, theirs in zip(maps, first.maps, strict=True):
        assert (ours.arm, ours.method, ours.answer) == (theirs.arm, theirs.method, theirs.answer)
        assert ours.probability == theirs.probability
        np.testing.assert_array_equal(ours.values, theirs.values)
    assert first.maps[0].heads is None
    np.testing.assert_array_equal(first.maps[1].heads, heads)

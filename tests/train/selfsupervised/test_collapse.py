from vitrial.train.selfsupervised.collapse import collapse

SOUND = {"spread": 0.5, "information": 1.0}
ALIKE = {"spread": 0.001, "information": 1.0}
MUTE = {"spread": 0.5, "information": 0.001}


def test_a_sound_training_shows_nothing():
    assert collapse([], 0) is None
    assert collapse([SOUND] * 10, 2) is None


def test_five_epochs_in_a_row_show_a_collapse():
    assert collapse([SOUND] * 5 + [ALIKE] * 5, 2) == "the features of all images are alike"
    assert collapse([SOUND] * 5 + [MUTE] * 5, 2) == "the outputs of all images are alike"
    assert collapse([SOUND] * 5 + [ALIKE] * 4, 2) is None
    assert collapse([*[ALIKE] * 6, SOUND], 0) is None


def test_what_the_warm_up_shows_does_not_count():
    assert collapse([ALIKE] * 6, 2) is None
    assert collapse([ALIKE] * 7, 2) is not None


def test_byol_has_no_outputs_to_look_at():
    assert collapse([{"spread": 0.5}] * 5, 0) is None

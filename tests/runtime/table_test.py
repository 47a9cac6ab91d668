from runtime import table


def test_columns_are_as_wide_as_what_they_hold():
    lines = table.text("model", ["AUC", "a long heading"], {"ranker": [".7", ".25"], "x": ["-", "-"]}).splitlines()
    assert lines == [
        "model    AUC   a long heading",
        "ranker    .7              .25",
        "x          -                -",
    ]

import pytest

from curation.score.repetition import duplicate_share


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("用Python写代码很简单。" * 3, 0.6667),  # eight units a sentence, whether or not a space parts the scripts
        ("用 Python 写代码很简单。" * 3, 0.6667),
        ("the old mill by the river. " * 3, 0.6667),
        ("先烧水再下面条，水开之后加半碗凉水。", 0.0),
    ],
)
def test_share_of_units_that_were_said_before(text, share):
    assert duplicate_share(text, 6) == share

"""The words of a variant: read, taken off a target, and named by what their files hold."""

import pytest

from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.schema import Target
from mlaas_lab.variants import bare, named, of, words

HI = '{"prompt": "hi", "completion": "yo"}\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "brief.txt").write_text("Be brief.")
    (tmp_path / "train.jsonl").write_text(HI)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# A\ntext")
    return tmp_path


def test_the_rest_is_where_and_how():
    target = Target.parse("tiny?prompt=a.txt&max_tokens=9&shots=2@b&retrieve=c&top_k=1&seed=3")
    assert str(bare(target)) == "tiny?max_tokens=9&seed=3"
    assert bare(Target.parse("echo/a")) == Target.parse("echo/a")


def test_no_words_no_variant(folder):
    target = Target.parse("openai/m?max_tokens=9")
    assert words.read(target, folder) is None
    assert of(target, folder) is None
    assert named(target, folder) == str(target)


def test_relative_paths_begin_at_the_folder(folder, home):
    found = words.read(Target.parse("t?shots=2@a.jsonl&retrieve=/docs"), folder)
    assert (found.shots, found.examples, str(found.retrieve)) == (2, folder / "a.jsonl", "/docs")
    assert words.placed("~/x", folder) == home / "x"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("prompt=", "prompt is empty"),
        ("retrieve=%20", "retrieve is empty"),
        ("shots=0", "shots must be N or N@FILE, with N 1 or more, not '0'"),
        ("shots=many@f", "not 'many'"),
        ("top_k=2", "top_k goes with retrieve"),
        ("by=meaning", "by goes with retrieve"),
        ("retrieve=docs&by=meening", "passages are not ranked by 'meening'"),
        ("retrieve=docs&top_k=x", "top_k must be a number, 1 or more, not 'x'"),
        ("shots=2", "nobody says where its 2 examples come from"),
        ("prompt=%7Bcontexts%7D%20%7Bquestion%7D", "nothing is retrieved"),
        ("prompt=Say%20%7Bquestion%7D&retrieve=docs", "shows nothing of what is retrieved"),
    ],
)
def test_wrong_words_get_one_line(folder, word, said):
    with pytest.raises(UsageError) as caught:
        of(Target.parse(f"tiny?{word}"), folder)
    assert said in str(caught.value)
    assert "'tiny?" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("prompt=breif.txt", "breif.txt does not exist"),
        ("prompt=my%20breif.txt", "does not exist"),
        ("shots=1@trian.jsonl", "trian.jsonl does not exist"),
        ("retrieve=dosc", "Did you mean 'docs'"),
        ("retrieve=missing/deeper", "there is no folder"),
    ],
)
def test_a_file_that_is_not_there(folder, word, said):
    for ask in (of, named):
        with pytest.raises(DataError) as caught:
            ask(Target.parse(f"tiny?{word}"), folder)
        assert said in str(caught.value)
        assert str(caught.value).startswith("target 'tiny?")


def changes(folder, name=named):
    """Which changes of a file's content leave a target's name as it was."""
    files = {
        "prompt=brief.txt": ("brief.txt", "Be long."),
        "shots=1@train.jsonl": ("train.jsonl", HI + HI),
        "retrieve=docs": ("docs/a.md", "# A\nother"),
        "retrieve=docs&top_k=2": ("docs/b.txt", "one more"),
    }
    unseen = []
    for word, (path, text) in files.items():
        target = Target.parse(f"tiny?{word}")
        before = name(target, folder)
        assert before == name(target, folder)
        (folder / path).write_text(text)
        if name(target, folder) == before:
            unseen.append(word)
    return unseen


def test_the_name_holds_the_content(folder):
    assert changes(folder) == []


def test_control_a_name_without_content_is_caught(folder):
    assert len(changes(folder, lambda target, _folder: str(target))) == 4


def test_the_hash_of_a_variant_is_of_what_it_says(folder):
    (folder / "same.txt").write_text("Be brief.\n")
    (folder / "other.txt").write_text("Be long.")
    one, same, other = (of(Target.parse(f"tiny?prompt={n}"), folder).sha256 for n in ("brief", "same", "other.txt"))
    assert one == same != other
    wide, narrow = (of(Target.parse(f"tiny?retrieve=docs&top_k={k}"), folder).sha256 for k in (1, 2))
    assert wide != narrow

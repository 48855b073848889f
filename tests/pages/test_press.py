"""The press itself, with real kernels: a page is added without a change to any code, and what is wrong is named."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tools.press import breaks
from tools.press.page import PageError, read

ROOT = Path(__file__).parents[2]
SOURCE = """# %% [markdown] tags=["motto"]
# # A third page
#
# > A mean is a guess.

# %%
values = [1, 2, 6]
print(sum(values) / len(values))

# %% tags=["measured"]
import time; print(time.perf_counter())
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with the project's index and study data, and one page that the press has never seen."""
    study = Path("python", "groundup", "study")
    (tmp_path / study / "cards").mkdir(parents=True)
    for name in ("curriculum.yaml", "glossary.yaml"):
        shutil.copy(ROOT / study / name, tmp_path / study / name)
    (tmp_path / "notebooks" / "source" / "sprint").mkdir(parents=True)
    for index in (ROOT / "notebooks").glob("README*.md"):
        shutil.copy(index, tmp_path / "notebooks" / index.name)
    page(tmp_path).write_text(SOURCE, encoding="utf-8")
    return tmp_path


def page(root: Path) -> Path:
    return root / "notebooks" / "source" / "sprint" / "day35.py"


def notebook(root: Path) -> Path:
    return root / "notebooks" / "sprint" / "day35.ipynb"


def press(root: Path, *words: str) -> int:
    """The command in a process of its own, as it is run; its output goes where capsys looks."""
    command = [sys.executable, "-m", "tools.press", *words, "--root", str(root)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    print(done.stdout)
    print(done.stderr, file=sys.stderr)
    return done.returncode


def test_third_page(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert press(tree) == 0
    first = notebook(tree).read_text(encoding="utf-8")
    assert '"3.0\\n"' in first
    for name, link in (("README.md", "[Training against inference]"), ("README.zh.md", "[训练与推理]")):
        index = (tree / "notebooks" / name).read_text(encoding="utf-8")
        assert f"{link}(sprint/day35.ipynb)" in index
    capsys.readouterr()
    assert press(tree) == 0
    assert "all 1 pages are current" in capsys.readouterr().out
    assert press(tree, "--check") == 0
    # Only what is measured differs.
    assert press(tree, "--all") == 0
    second = notebook(tree).read_text(encoding="utf-8")
    pairs = zip(first.splitlines(), second.splitlines(), strict=True)
    assert sum(one != two for one, two in pairs) == 1

    # An edited source, an edited notebook, an output of another version of the code: each is named.
    notebook(tree).write_text(second.replace("sum(values)", "max(values)"), encoding="utf-8")
    assert press(tree, "--check") == 1
    assert "cell 2: the notebook's cell is not the source's" in capsys.readouterr().err
    notebook(tree).write_text(second.replace('"3.0\\n"', '"4.0\\n"'), encoding="utf-8")
    assert press(tree, "--check") == 1
    assert "cell 2: its output differs: '4.0' is now '3.0'" in capsys.readouterr().err
    notebook(tree).write_text(second, encoding="utf-8")
    page(tree).write_text(SOURCE + "\n# %%\nassert sum(values) == 10\n", encoding="utf-8")
    assert press(tree, "--check") == 1
    assert "not made from this source" in capsys.readouterr().err

    # A cell that fails: page, line, cell, and the notebook as it was.
    assert press(tree) == 1
    assert "notebooks/source/sprint/day35.py:14: cell 4: AssertionError" in capsys.readouterr().err
    assert notebook(tree).read_text(encoding="utf-8") == second


def test_breaks(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page(tree).write_text(SOURCE + "\n# %%\nassert min(values) == 1 and sum(values) == 9\n", encoding="utf-8")
    assert press(tree, "--break") == 1
    assert "the page has no tests/pages/breaks/day35.yaml" in capsys.readouterr().err
    data = tree / "tests" / "pages" / "breaks" / "day35.yaml"
    data.parent.mkdir(parents=True)

    def found(text: str) -> list[str]:
        data.write_text(text, encoding="utf-8")
        return breaks.check(read(tree, "sprint/day35"))

    one = '- {old: "[1, 2, 6]", new: "[1, 1, 6]", caught: sum(values) == 9}\n'
    both = one + '- {old: "[1, 2, 6]", new: "[0, 3, 6]", caught: min(values)}\n'
    assert found(both) == []
    assert found(one) == [
        "notebooks/source/sprint/day35.py:14: cell 4: no break for: assert min(values) == 1"
    ]
    # A bug that passes, that another clause meets, that crashes.
    for new, instead in {
        "[1, 3, 5]": "nothing failed",
        "[3, 3, 3]": "min(values) == 1",
        "None": "TypeError",
    }.items():
        (complaint,) = found(both.replace("[1, 1, 6]", new))
        expected = f"breaks/day35.yaml: break 1: should fail 'sum(values) == 9', but: {instead}"
        assert complaint.startswith(f"tests/pages/{expected}")
    # Places that are not there.
    for old, new, message in (
        ("[1, 2, 6]", "[7]", "'[7]' must stand once in the page's code, but is in 0 cells"),
        ("sum(values) == 9", "max", "'max' must begin one assertion"),
        ("caught", "seen", "needs old, new and caught"),
    ):
        with pytest.raises(PageError, match=re.escape(message)):
            found(one.replace(old, new))


def test_unknown_page(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert press(tree, "day77") == 1
    assert "'day77' is no page; pages: sprint/day35" in capsys.readouterr().err


def test_stale_index_is_named(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page(tree).unlink()
    assert press(tree) == 0
    (tree / "notebooks" / "glossary.md").write_text("old", encoding="utf-8")
    assert press(tree, "--check") == 1
    assert "notebooks/glossary.md:1: not what the study data give" in capsys.readouterr().err


def test_missing_language_is_named(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tree / "python" / "groundup" / "study" / "curriculum.yaml"
    data.write_text(data.read_text(encoding="utf-8").replace(", zh: 分词}", "}"), encoding="utf-8")
    assert press(tree, "--check") == 1
    assert "curriculum.yaml: sprint/day33: title must hold en and zh" in capsys.readouterr().err

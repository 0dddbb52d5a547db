"""The word list finds words in every file that git tracks or would track; tested in small git repositories."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "words.py"
WORD = "no" + "body"  # split so that this file itself passes

pytestmark = pytest.mark.apart


@dataclass
class Tree:
    """A folder with the script in its place, and with git where the test wants it."""

    folder: Path

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.folder, check=True, capture_output=True)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def check(self) -> tuple[int, str]:
        """Run the script; return its exit code and output."""
        result = subprocess.run(
            [sys.executable, "tests/words.py"], cwd=self.folder, capture_output=True, encoding="utf-8"
        )
        assert not result.stderr
        return result.returncode, result.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Tree:
    """A folder without git."""
    (tmp_path / "tree" / "tests").mkdir(parents=True)
    shutil.copy(SCRIPT, tmp_path / "tree" / "tests")
    return Tree(tmp_path / "tree")


@pytest.fixture
def tree(folder: Tree) -> Tree:
    """A repository without a commit."""
    folder.git("init", "-q")
    return folder


@pytest.mark.parametrize("tracked", [True, False])
def test_a_word_is_found_in_a_file_that_is_tracked_or_new(tree: Tree, tracked: bool) -> None:
    tree.write("page", f"one\n{WORD.title()} else\n")
    if tracked:
        tree.git("add", "page")
    assert tree.check() == (
        1,
        f"page:2: the project does not use “{WORD.title()}”; rephrase\n1 words to replace in 2 files.\n",
    )


@pytest.mark.parametrize(
    "line", ["done a" + "new", "def is_" + "told():", "// what is " + "to be", "for" + " EVER", "a test me" + "nds it"]
)
def test_each_form_is_found(tree: Tree, line: str) -> None:
    tree.write("page", line)
    assert tree.check()[0] == 1


def test_words_that_only_contain_one_pass(tree: Tree) -> None:
    tree.write("page", "recommended amendment, mendicant, forever, this sets, renewal\n")
    assert tree.check()[0] == 0


def test_ignored_and_binary_files_are_not_checked(tree: Tree) -> None:
    tree.write(".gitignore", "ignored\n")
    tree.write("ignored", WORD)
    tree.write("binary", f"\0{WORD}")
    assert tree.check()[0] == 0


def test_a_folder_without_git_is_not_checked(folder: Tree) -> None:
    folder.write("page", WORD)
    assert folder.check() == (0, "Words were not checked: this folder is not a git repository.\n")

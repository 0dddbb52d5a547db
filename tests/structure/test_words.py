"""The word list: a word in a changed line is found, in an older line it passes. In small repositories of git."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "words.py"
WORD = "no" + "body"  # spelled so that these lines pass

pytestmark = pytest.mark.apart


@dataclass
class Tree:
    """A folder with the script at its place, and git in it if wanted."""

    folder: Path

    def git(self, *arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main", *arguments],
            cwd=self.folder,
            check=True,
            capture_output=True,
        )

    def commit(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / name).write_text(text, encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-qm", "area: change")

    def check(self, *arguments: str) -> tuple[int, str]:
        """Exit code and output."""
        result = subprocess.run(
            [sys.executable, "tests/words.py", *arguments], cwd=self.folder, capture_output=True, encoding="utf-8"
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
    """A repository whose one commit has the word in a line of its own."""
    folder.git("init", "-q")
    folder.commit(page=f"one\nit helps {WORD}\nthree\n")
    return folder


def test_a_word_in_a_committed_line_is_found_and_an_older_one_passes(tree: Tree) -> None:
    tree.commit(page=f"one\nit helps {WORD}\nthree\nfour\n")
    assert tree.check()[0] == 0
    tree.commit(page=f"one\nit helps {WORD}\nthree\nfour\n{WORD.title()} else\n")
    code, report = tree.check()
    assert code == 1
    assert report.startswith(f"page:5: say it without “{WORD.title()}”\n1 words")


@pytest.mark.parametrize(
    "line", ["done a" + "new", "def is_" + "told():", "// what is " + "to be", "for" + " EVER", "a test me" + "nds it"]
)
def test_each_form_is_found(tree: Tree, line: str) -> None:
    tree.commit(page=line)
    assert tree.check()[0] == 1


def test_words_that_only_contain_one_pass(tree: Tree) -> None:
    tree.commit(page="recommended amendment, mendicant, forever, this sets, renewal\n")
    assert tree.check()[0] == 0


def test_changes_that_are_not_committed_count(tree: Tree) -> None:
    tree.commit(page="one\n")
    (tree.folder / "page").write_text(f"{WORD}\n", encoding="utf-8")
    assert tree.check()[0] == 1
    (tree.folder / "page").write_text("one\n", encoding="utf-8")
    (tree.folder / "new").write_text(f"{WORD}\n", encoding="utf-8")
    code, report = tree.check()
    assert code == 1 and report.startswith("new:1:")


def test_a_line_that_moved_is_an_older_line(tree: Tree) -> None:
    tree.git("mv", "page", "moved")
    tree.commit(moved=f"one\n    it helps {WORD}\n", other="it helps everyone\n")
    assert tree.check()[0] == 0


def test_a_branch_is_compared_with_where_it_left_the_main_one(tree: Tree) -> None:
    tree.git("switch", "-qc", "work")
    tree.commit(first=f"{WORD}\n")
    tree.commit(second="fine\n")
    assert tree.check()[0] == 1
    assert tree.check("HEAD^")[0] == 0


def test_a_clone_of_one_branch_is_compared_with_the_commit_before(tree: Tree, tmp_path: Path) -> None:
    tree.commit(page=f"{WORD} again\n")
    tree.git("clone", "-q", "--single-branch", str(tree.folder), str(tmp_path / "clone"))
    assert Tree(tmp_path / "clone").check()[0] == 1
    tree.git("clone", "-q", "--depth", "1", tree.folder.as_uri(), str(tmp_path / "shallow"))
    checked = Tree(tmp_path / "shallow").check()
    assert checked == (0, "Words were not checked: there is no earlier commit to compare with.\n")


def test_a_folder_without_git_is_not_checked(folder: Tree) -> None:
    (folder.folder / "page").write_text(f"{WORD}\n", encoding="utf-8")
    assert folder.check() == (0, "Words were not checked: this folder is not a git repository.\n")

"""TAB in real shells, on a terminal, for `git-relay` and for `git relay`; GITRELAY_SOAK=1 has each in each shell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.repo import Repo, copy_of
from support.soak import covering
from support.terminal import Terminal, required

BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")


def needs(shell: str) -> None:
    if shell == "bash":
        required("bash", "bash-completion", also=BASH_COMPLETION)
    else:
        required(shell)


@contextmanager
def shell_of(repo: Repo, shell: str) -> Iterator[Terminal]:
    """An interactive shell at the repository's top, with completion installed as `completion --install` does."""
    needs(shell)
    home = Path(repo.env["HOME"])
    done = repo.relay("completion", shell, "--install")
    assert done.code == 0, done.err
    words = {
        "bash": ["bash", "--noprofile", "--rcfile", str(home / "rc"), "-i"],
        "zsh": ["zsh", "-i"],
        "fish": ["fish", "--private"],
    }[shell]
    (home / "rc").write_text(f"PS1='ready> '\nbind 'set enable-bracketed-paste off'\n. {BASH_COMPLETION}\n")
    folder = home / ".zfunc"
    zshrc = (
        f"PS1='ready> '\nfpath=({folder} $fpath)\nautoload -U compinit && compinit -u\nunsetopt prompt_sp list_beep\n"
    )
    (home / ".zshrc").write_text(zshrc)
    config = home / ".config/fish/config.fish"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("function fish_prompt; echo -n 'ready> '; end\nfunction fish_greeting; end\n")
    env = {**repo.env, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    terminal = Terminal(words, cwd=repo.path, env=env, columns=160, rows=40)
    try:
        assert terminal.shows("ready>"), terminal.text
        yield terminal
    finally:
        terminal.close()


def line_of(terminal: Terminal) -> str:
    """The line that is being typed: what stands behind the last prompt."""
    found = re.findall(r"ready>(.*)", terminal.text)
    return found[-1].strip() if found else ""


def completes(terminal: Terminal, typed: str, wanted: str) -> None:
    """Type, press TAB, wait for the whole line; then clear it."""
    terminal.type(typed + "\t")
    assert terminal.shows(lambda _: line_of(terminal) == wanted), f"{typed!r}, wanted {wanted!r}:\n{terminal.text}"
    terminal.type("\x15")
    assert terminal.shows(lambda _: line_of(terminal) == ""), terminal.text


@pytest.fixture(scope="module")
def template(one_turn: Repo, tmp_path_factory: pytest.TempPathFactory) -> Repo:
    made = copy_of(one_turn, tmp_path_factory.mktemp("filled") / "repo", one_turn.env)
    for session in ("auth-refactor", "auth-refactor", "smoke"):
        assert made.relay("req", "--to", "shell", "--session", session, "true").code == 0
    made.git("config", "relay.aider.command", "aider")
    return made


@pytest.fixture
def filled(template: Repo, tmp_path: Path, env: dict[str, str]) -> Repo:
    """A repository with the sessions `auth-refactor` of two turns, `smoke` and `s`, and the peer `aider`."""
    return copy_of(template, tmp_path / "repo", env)


@pytest.mark.parametrize(("shell", "program"), covering(["bash", "zsh", "fish"], ["git relay", "git-relay"]))
def test_tab(filled: Repo, shell: str, program: str) -> None:
    needs(shell)
    with shell_of(filled, shell) as terminal:
        completes(terminal, f"{program} doct", f"{program} doctor")
        completes(terminal, f"{program} show smo", f"{program} show smoke")
        completes(terminal, f"{program} diff auth-refactor/02", f"{program} diff auth-refactor/02")
        completes(terminal, f"{program} diff sm", f"{program} diff smoke/01")
        completes(terminal, f"{program} req --to aid", f"{program} req --to aider")
        completes(terminal, f"{program} req --to=aid", f"{program} req --to=aider")
        completes(terminal, f"{program} req --to shell --sess", f"{program} req --to shell --session")
        completes(terminal, f"{program} req --to shell --file ap", f"{program} req --to shell --file app.py")
        terminal.type(f"{program} show auth-refactor/\t\t\t")
        assert terminal.shows("auth-refactor/02"), terminal.text


@pytest.fixture
def hostile(filled: Repo) -> Repo:
    """The repository with refs below `relay/` that are no names of sessions."""
    message = filled.sh("git commit-tree -m x $(git mktree </dev/null)").strip()
    for name in ("zz$(touch${IFS}owned)", "zz;touch$IFS-owned", "zz`id`", "zz'", 'zz"', "zz\u202e"):
        filled.git("update-ref", f"refs/heads/relay/{name}", message)
    return filled


def test_nothing_is_offered_if_there_is_nothing_to_say(hostile: Repo, tmp_path: Path) -> None:
    """Outside of a repository, with refs that are no names, with hostile ones: no error."""
    repo = hostile
    offered = repo.relay("completion", "--complete", "--", "show", "")
    assert set(offered.out.split()) == {"smoke", "auth-refactor", "s"}
    assert repo.relay("completion", "--complete", "--", "show", "zz").out == ""
    for args in (("show", ""), ("req", "--to", ""), ("-C", "/nowhere", "show", ""), ("nonsense", ""), ("diff", "/")):
        done = repo.relay("completion", "--complete", "--", *args, cwd=tmp_path)
        assert (done.code, done.out, done.err) == (0, "", ""), args
    done = repo.relay("completion", "--complete", "--", "-C", str(repo.path), "show", "sm", cwd=tmp_path)
    assert done.out == "smoke\t\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_tab_says_nothing_if_there_is_nothing_to_say(hostile: Repo, shell: str) -> None:
    """In the same places no shell shows an error, and nothing of a hostile ref runs."""
    needs(shell)
    with shell_of(hostile, shell) as terminal:
        terminal.type("git-relay show zz\t\t")
        terminal.type("\x15cd ..\r")
        assert terminal.shows(lambda text: text.count("ready>") >= 2), terminal.text
        completes(terminal, "git-relay show sm", "git-relay show sm")
        completes(terminal, "git-relay doct", "git-relay doctor")
        completes(terminal, "git-relay -C repo show sm", "git-relay -C repo show smoke")
        completes(terminal, "git -C repo relay show sm", "git -C repo relay show smoke")
        completes(terminal, "git --no-pager -C repo relay doct", "git --no-pager -C repo relay doctor")
        for words in ("rror", "fatal", "Traceback", "not a git"):
            assert words not in terminal.text, terminal.text
    assert not (hostile.path / "owned").exists()


def test_install_overwrites_its_own_file_and_no_other(repo: Repo) -> None:
    home = Path(repo.env["HOME"])
    places = {
        "bash": home / ".local/share/bash-completion/completions/git-relay",
        "zsh": home / ".zfunc/_git-relay",
        "fish": home / ".config/fish/conf.d/git-relay.fish",
    }
    for shell, path in places.items():
        done = repo.relay("completion", shell, "--install", "--json")
        assert done.code == 0 and done.err == ""
        data = done.json["data"]
        assert (data["shell"], data["file"], data["action"]) == (shell, str(path), "installed")
        assert bool(data["advice"]) == (shell == "zsh" or (shell == "bash" and not BASH_COMPLETION.exists())), data
        printed = repo.relay("completion", env={"SHELL": f"/usr/bin/{shell}"})
        assert printed.out == path.read_text()
        assert repo.relay("completion", shell, "--install").err.startswith(f"unchanged: {path}\n")
        path.write_text(path.read_text() + "# older\n")
        assert repo.relay("completion", shell, "--install").err.startswith(f"updated: {path}\n")
        path.write_text("# the user's own\n")
        refused = repo.relay("completion", shell, "--install")
        assert refused.code == 2 and str(path) in refused.err and "not gitrelay's" in refused.err
        assert path.read_text() == "# the user's own\n"
        path.unlink()
        path.symlink_to(home / "nowhere")
        assert repo.relay("completion", shell, "--install").code == 2
    elsewhere = {"XDG_DATA_HOME": str(home / "data"), "XDG_CONFIG_HOME": "not/absolute"}
    assert str(home / "data/bash-completion") in repo.relay("completion", "bash", "--install", env=elsewhere).err
    for words, said in ((("tcsh",), "'tcsh'"), ((), "SHELL is not set"), (("bash", "zsh"), "one shell")):
        done = repo.relay("completion", *words)
        assert done.code == 2 and said in done.err and done.out == ""

"""The real agent CLIs, and an environment in which one can be started safely.

`require` finds a CLI at the version pinned in `fetch_clis.sh`, or skips the test. `codex_env` and its like
give the whole environment of a child: nothing but PATH is inherited, so no key, proxy or marker of an
agent that runs the tests gets through, and the only host the CLI knows is the given URL.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from support.places import TESTS
from support.waiting import patient

FETCH = TESTS / "fetch_clis.sh"
# {"codex": "0.169.0", ...}: the lines `name) echo package@version ;;` of fetch_clis.sh
PINS: dict[str, str] = dict(re.findall(r"^ +([\w-]+)\) echo \S+@([\d.]+) ;;$", FETCH.read_text(), re.MULTILINE))


def require(name: str) -> Path:
    """The program `name`; skips the test when it is not there, fails it under GITRELAY_REQUIRE_CLIS=1."""
    found = _fetched(name) or _on_path(name)
    if found:
        return found
    message = f"{name} not found: run tests/fetch_clis.sh to install it"
    if os.environ.get("GITRELAY_REQUIRE_CLIS") == "1":
        pytest.fail(message)
    pytest.skip(message)


def _fetched(name: str) -> Path | None:
    program = _folder() / name / "node_modules" / ".bin" / name
    return program if os.access(program, os.X_OK) else None


def require_modules(name: str) -> Path:
    """The folder `node_modules` of what is fetched and is no program; skips or fails as `require` does."""
    found = _folder() / name / "node_modules"
    if found.is_dir():
        return found
    message = f"{name} not found: run tests/fetch_clis.sh to install it"
    if os.environ.get("GITRELAY_REQUIRE_CLIS") == "1":
        pytest.fail(message)
    pytest.skip(message)


def _folder() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("GITRELAY_CLIS") or cache / "gitrelay-clis")


def _on_path(name: str) -> Path | None:
    """The program on PATH, if it is of the pinned minor series: flags and events change between those."""
    program = shutil.which(name)
    if program is None:
        return None
    try:
        argv = [program, "--version"]
        said = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r"\d+\.\d+\.\d+", said.stdout)
    return Path(program) if version and _minor(version.group()) == _minor(PINS[name]) else None


def _minor(version: str) -> str:
    return version.rpartition(".")[0]


def _base_env(name: str, home: Path) -> dict[str, str]:
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {
        # the rest of PATH is for node, git and the shell tools
        "PATH": os.pathsep.join((str(require(name).parent), os.environ.get("PATH", os.defpath))),
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(temporary),
    }


def codex_env(home: Path, url: str, model: str = "gpt-5.5", retries: int | None = None) -> dict[str, str]:
    """The environment for codex with the model at `url`; its settings are in `home`/.codex.

    The model name decides which tools codex offers: gpt-5.5 has exec_command and apply_patch; a name that
    codex does not know has exec_command only, and adds a warning item to the events. `retries` is how often
    codex repeats a failed request and a broken stream; its own numbers make a 500 take 25 s.
    """
    folder = home / ".codex"
    folder.mkdir(parents=True, exist_ok=True)
    limits = "" if retries is None else f"request_max_retries = {retries}\nstream_max_retries = {retries}\n"
    (folder / "config.toml").write_text(
        f"""\
model = {json.dumps(model)}
model_provider = "fake"
check_for_update_on_startup = false
web_search = "disabled"

[features]
plugins = false         # or codex looks up api.github.com and chatgpt.com at start

[analytics]
enabled = false

[feedback]
enabled = false

[otel]
exporter = "none"

[sandbox_workspace_write]
exclude_slash_tmp = true        # pytest's folders are there; the repository and TMPDIR stay writable

[model_providers.fake]
name = "fake"
base_url = {json.dumps(url + "/v1")}
wire_api = "responses"
env_key = "FAKE_KEY"
{limits}"""
    )
    return {**_base_env("codex", home), "CODEX_HOME": str(folder), "FAKE_KEY": "sk-dummy"}


def claude_env(home: Path, url: str) -> dict[str, str]:
    """The environment for claude with the model at `url`; its settings are in `home`/.claude."""
    folder = home / ".claude"
    folder.mkdir(parents=True, exist_ok=True)
    return {
        **_base_env("claude", home),
        "CLAUDE_CONFIG_DIR": str(folder),
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "sk-ant-dummy",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_TELEMETRY": "1",
    }


def gemini_env(home: Path, url: str, attempts: int | None = None) -> dict[str, str]:
    """The environment for gemini with the model at `url`; its settings are in `home`/.gemini.

    `attempts` is how often gemini asks before it gives up; its own ten make a 500 take 215 s.
    """
    folder = home / ".gemini"
    folder.mkdir(parents=True, exist_ok=True)
    limits = {} if attempts is None else {"maxAttempts": attempts}
    settings = {
        "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False, **limits},
        "security": {"auth": {"selectedType": "gemini-api-key"}},  # or it ends: "Invalid auth method selected."
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    return {**_base_env("gemini", home), "GEMINI_API_KEY": "dummy", "GOOGLE_GEMINI_BASE_URL": url}


def opencode_env(home: Path, url: str) -> dict[str, str]:
    """The environment for opencode with the model at `url`; its settings are in `home`/.config/opencode."""
    folder = home / ".config" / "opencode"
    folder.mkdir(parents=True, exist_ok=True)
    options = {"baseURL": url + "/v1", "apiKey": "sk-dummy"}
    models = {"scripted": {"name": "scripted", "tool_call": True, "limit": {"context": 100_000, "output": 10_000}}}
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "fake", "options": options, "models": models}
    settings = {
        "autoupdate": False,
        "share": "disabled",
        "model": "fake/scripted",
        "small_model": "fake/scripted",
        "enabled_providers": ["fake"],
        "provider": {"fake": provider},
    }
    (folder / "opencode.json").write_text(json.dumps(settings))
    return {
        **_base_env("opencode", home),
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_SHARE": "1",
        "npm_config_registry": "http://127.0.0.1:9/",  # it asks the registry at start
    }


def qwen_env(home: Path, url: str) -> dict[str, str]:
    """The environment for qwen with the model at `url`; its settings are in `home`/.qwen."""
    folder = home / ".qwen"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "general": {"enableAutoUpdate": False, "disableAutoUpdate": True},
        "security": {"auth": {"selectedType": "openai"}},
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    model = {"OPENAI_BASE_URL": url + "/v1", "OPENAI_API_KEY": "sk-dummy", "OPENAI_MODEL": "scripted"}
    return {**_base_env("qwen", home), **model, "NO_UPDATE_NOTIFIER": "1"}


def copilot_env(home: Path, url: str) -> dict[str, str]:
    """The environment for copilot with the model at `url`, and no account: what it calls its offline mode."""
    return {
        **_base_env("copilot", home),
        "COPILOT_PROVIDER_BASE_URL": url + "/v1",
        "COPILOT_PROVIDER_API_KEY": "sk-dummy",
        "COPILOT_MODEL": "scripted",
        "COPILOT_OFFLINE": "true",
        "COPILOT_AUTO_UPDATE": "false",
    }


def codex_acp_env(home: Path, url: str) -> dict[str, str]:
    """The environment for codex-acp, with the codex that is pinned here."""
    adapter = {**_base_env("codex-acp", home), "CODEX_PATH": str(require("codex"))}
    return merged(adapter, codex_env(home, url))


def claude_agent_acp_env(home: Path, url: str) -> dict[str, str]:
    """The environment for claude-agent-acp, with the claude that is pinned here."""
    adapter = {**_base_env("claude-agent-acp", home), "CLAUDE_CODE_EXECUTABLE": str(require("claude"))}
    return merged(adapter, claude_env(home, url))


def merged(*envs: Mapping[str, str]) -> dict[str, str]:
    """One environment for a CLI that calls another; the first wins, all of their PATHs are searched."""
    result = {key: value for env in reversed(envs) for key, value in env.items()}
    folders = [folder for env in envs for folder in env["PATH"].split(os.pathsep)]
    result["PATH"] = os.pathsep.join(dict.fromkeys(folders))
    return result


@dataclasses.dataclass(frozen=True)
class Finished:
    """A run that is over; `code` is None when it was ended at its time limit. `seconds` is wall time."""

    code: int | None
    out: str
    err: str
    seconds: float

    @property
    def events(self) -> list[dict[str, object]]:
        """The JSON lines on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]


def run(argv: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str], stdin: str, timeout: float) -> Finished:
    """Run a CLI directly, without gitrelay, in its own process group, for at most `timeout` seconds."""
    started = time.monotonic()
    with subprocess.Popen(
        [str(word) for word in argv],
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        code: int | None = None
        try:
            out, err = child.communicate(stdin, timeout)
            code = child.returncode
        except subprocess.TimeoutExpired:
            out, err = _end(child)
        except BaseException:
            _end(child)
            raise
    return Finished(code, out, err, time.monotonic() - started)


def _end(child: subprocess.Popen[str]) -> tuple[str, str]:
    """SIGTERM first: codex and claude then end their tool shells too, which have sessions of their own."""
    for number, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        try:
            os.killpg(child.pid, number)
            return child.communicate(timeout=patient(patience))
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    return child.communicate(timeout=patient(5))

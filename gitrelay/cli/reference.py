"""What the man page says besides the verbs: settings, environment, examples. Values only.

A setting or a variable that the code reads and that is not here, or the other way round, fails tests/cli/test_docs.py.
"""

from __future__ import annotations

from typing import Final

# git config name -> meaning; PEER stands for a peer's name, and without it the setting holds for all peers
SETTINGS: Final[dict[str, str]] = {
    "relay.PEER.command": "The program that is the peer PEER, its words split as a shell splits them and run without "
    "a shell; {prompt-file}, {prompt}, {model}, {cwd} and {access} are filled in.",
    "relay.PEER.read": "The same for calls with read access; also .write and .full.",
    "relay.PEER.write": "See relay.PEER.read.",
    "relay.PEER.full": "See relay.PEER.read.",
    "relay.PEER.acp": "The agent that is the peer PEER, if it speaks the Agent Client Protocol, as 'copilot --acp'.",
    "relay.PEER.readMode": "The id of the mode by which an agent that is not in the table of docs/acp.md keeps read.",
    "relay.PEER.keep": "How long such an agent stays for the next turn of its session, as 10m. Default: it ends.",
    "relay.PEER.plain": "Whether the words that a configured program prints are its answer, although they are no "
    "response. Default: false.",
    "relay.PEER.verdict": "exit: the exit code of a configured program is its verdict, 0 pass and 1 fail, and what "
    "it prints is the body.",
    "relay.PEER.model": "The model that is handed to the peer. Default: the peer's own.",
    "relay.PEER.effort": "The reasoning effort that is handed to the peer. Default: the peer's own.",
    "relay.PEER.access": "read, write or full. Default: write.",
    "relay.PEER.timeout": "The wall limit of a call, as 15m, 2h or none. Default: 1h.",
    "relay.PEER.idleTimeout": "The longest silence. Default: 20m for the built-in agents, else none.",
    "relay.PEER.firstOutput": "The longest wait for the model's first sign. Default: 5m for the built-in agents, "
    "else none.",
    "relay.PEER.env": "NAME=VALUE for the peer's environment; may be given often.",
    "relay.PEER.resume": "Whether the peer's own conversation is continued. Default: true.",
    "relay.checkTimeout": "The limit of each --check. Default: 15m.",
    "relay.isolate": "Which calls work in a copy of the tree: read, write, always or never. Default: read.",
    "relay.isolateMax": "A repository with more tracked files, or larger ones, is not copied unless --isolate is "
    "given: as 100000, 2GB, '100000 2GB' or none. Default: 100000 2GB.",
    "relay.parallel": "How many attempts run at a time. Default: the number of cores.",
    "relay.include": "A pattern, as in .gitignore, of ignored files that a workspace gets too; may be given often.",
    "relay.workspaces": "The folder that workspaces are made in, absolute and your own. Default: .relay/.work.",
    "relay.worktreeInclude": "Whether the patterns in .worktreeinclude (as HEAD has it) count too. Default: true.",
    "relay.setup": "A shell command that is run in every new workspace before the peer, as 'npm ci'.",
    "relay.closeAfter": "How long a session is quiet before its worktree is removed, as by 'close --idle', or none. "
    "Default: 1d.",
    "relay.pack": "Whether loose objects and refs are packed in the background after a call, as gc.auto and "
    "gc.packRefs say. Default: true.",
    "relay.maxDepth": "How deep agents may call agents. Default: 2.",
    "relay.to": "The peer that 'req' asks if none is named.",
    "relay.from": "The caller's name if no agent calls. Default: your name.",
    "relay.pattern": "A pattern for the body of answers, in place of '{your response}' in the request, or the absolute "
    "path of a file that has it. Recommended to the peer, not enforced. Also relay.PEER.pattern.",
    "relay.footer": "A template of the block that requests end with, or the absolute path of a file that has it; "
    "'git relay template' shows what becomes of it.",
    "relay.verify": "A command that verifies this repository's work, as 'pytest -q': requests name it, and --check "
    "without a value runs it. May be given often.",
    "relay.trailer": "The key of the line that 'apply --trailer' prints; default Assisted-by.",
    "relay.commitUrl": "Where a commit can be looked at, as https://HOST/OWNER/REPO/commit/{commit}: pages of 'export' "
    "and 'web' link there. Default: guessed from the remote origin for known code hosts; never: no links.",
    "relay.sign": "Whether relay commits are signed. Default: commit.gpgsign.",
    "relay.signTimeout": "How long the program that signs may take. Default: 25s, on a terminal 2m.",
    "relay.filterTimeout": "How long a look at your files may take if a program of yours filters them "
    "(gitattributes). Default: 30s.",
    "relay.repository": "The name of this repository in requests that another machine answers, the same in each clone. "
    "Default: the id of its first commit.",
    "relay.REMOTE.workers": "The absolute path of a file of signers: an answer that comes through that remote counts "
    "only if one of them has signed it. Default: all count.",
    "relay.REMOTE.queue": "What hands out the jobs of that remote: ci, the runners of its forge (docs/ci), or "
    "nats://HOST:PORT/NAME, a NATS server (docs/nats.md). Default: its workers look at the remote.",
    "relay.REMOTE.queueCredentials": "The absolute path of a file, outside the working tree, that says who we are on "
    "that server: the seed of an NKey, USER:PASSWORD, or a .creds file. Default: NATS_CREDS and the like.",
    "relay.REMOTE.queueCa": "The absolute path of a file of certificates that a server tls://... is trusted by. "
    "Default: NATS_CA, then those of this machine.",
    "relay.workerRemote": "The remote whose calls 'worker' answers. This and the next seven may also be those of one "
    "remote only: relay.REMOTE.workerPeers.",
    "relay.workerPeers": "The peers that 'worker' offers, as codex,claude.",
    "relay.workerAccess": "The access that 'worker' offers. Default: read,write.",
    "relay.workerBudget": "What the jobs of 'worker' may use in a day, as '20usd 4h'; then it takes none until the "
    "next day.",
    "relay.workerChecks": "Whether 'worker' runs the commands of 'req --check-remote', as you. Default: false.",
    "relay.workerIdle": "After how long without a job 'worker' ends. Default: never.",
    "relay.workerLease": "How long a silent worker keeps its job. Default: 60s.",
    "relay.workerPoll": "How often 'worker' asks the remote; rarer while idle. Default: 5s.",
    "relay.REMOTE.signers": "The absolute path of a file of signers whose requests 'worker' answers.",
    "relay.REMOTE.revoked": "The absolute path of a file of keys that have been withdrawn, with relay.REMOTE.signers.",
    "relay.redact": "A regular expression for secrets of your own; may be given often.",
    "relay.steps": "Whether what peers say they do (commands, edits, searches, retries) is recorded. Default: false.",
    "relay.snapshotMax": "Files above this size are left out of the recorded trees, as 2GB or none. Default: 50MB.",
    "relay.snapshotExclude": "A path or a pattern (*.csv, data/) that is left out of the recorded trees; !PATTERN "
    "takes in what would be left out as a secret. May be given often; the last that fits counts.",
    "relay.gate": "What the hook pre-push does with a change that has not passed: block, or warn. Default: block.",
    "relay.gatePeer": "Who reviews what is pushed. Default: nobody is asked, and anybody's verdict counts.",
    "relay.gateUnevaluated": "The same if a review ended without a verdict. Default: warn.",
    "relay.gateBudget": "How long a push waits for its review. Default: 4m.",
    "relay.gateTags": "Whether tags that bring commits are reviewed. Default: true.",
    "relay.gateNotes": "Whether notes are reviewed. Default: true.",
    "relay.gateBase": "A branch of the remotes that counts as reviewed, besides their default branch. Repeatable.",
    "relay.pushSessions": "Sessions in a push: warn says it the first time, block stops it, allow is silent.",
    "relay.gateShare": "Whether the hook sends the session of a verdict that let a push go to the same remote. "
    "Default: false.",
    "relay.share": "Whether 'push' publishes what a remote has never had: never, ask or always. Default: ask.",
    "relay.private": "A session, or a pattern as 'review-*', that 'push' never takes. May be given often.",
    "pager.relay": "false: no pager; a command: that one for relay alone. Default: core.pager.",
    "core.pager": "The pager for what is read on a terminal.",
    "color.ui": "never: no colours on a terminal.",
}

# variable -> meaning
ENVIRONMENT: Final[dict[str, str]] = {
    "CLAUDECODE": "Set by the agent that calls, as are CODEX_THREAD_ID, CODEX_SESSION_ID, GEMINI_CLI and OPENCODE: "
    "the default of --from.",
    "CODEX_THREAD_ID": "See CLAUDECODE.",
    "CODEX_SESSION_ID": "See CLAUDECODE.",
    "GEMINI_CLI": "See CLAUDECODE.",
    "OPENCODE": "See CLAUDECODE.",
    "CLAUDE_CONFIG_DIR": "Where claude's skills are, for 'install'; an absolute path, or one that "
    "begins with ~/. Default, also if it is blank: ~/.claude.",
    "CODEX_HOME": "Where codex's rules are, for 'install'. Default: ~/.codex.",
    "GIT_COMMITTER_NAME": "The committer of relay commits, with GIT_COMMITTER_EMAIL. Default: git's user.name.",
    "GIT_COMMITTER_EMAIL": "See GIT_COMMITTER_NAME.",
    "GIT_PYTHON_GIT_EXECUTABLE": "The git that is used, as GitPython has it. Default: git on the PATH.",
    "GIT_PAGER": "The pager for what is read on a terminal; before pager.relay, core.pager and PAGER. cat: none.",
    "GIT_PAGER_IN_USE": "Set by git if it has started the pager: output is then drawn as on a terminal.",
    "PAGER": "See GIT_PAGER. Default: less.",
    "NO_COLOR": "If it is not empty there are no colours.",
    "TERM": "dumb: no colours, no pager, and 'watch' prints lines.",
    "COLUMNS": "The width of the output, instead of the terminal's own.",
    "SSH_AUTH_SOCK": "The ssh agent that signs, for 'attest'.",
    "NATS_CREDS": "The file that says who we are on the server of a queue, if no relay.REMOTE.queueCredentials does.",
    "NATS_NKEY": "The file with the seed of our NKey there. See NATS_CREDS.",
    "NATS_TOKEN": "Our token there. See NATS_CREDS.",
    "NATS_USER": "Our name there. See NATS_CREDS.",
    "NATS_PASSWORD": "Our password there.",
    "NATS_CA": "See relay.REMOTE.queueCa.",
    "NATS_CERT": "The file of our own certificate, for a server that asks for one.",
    "NATS_KEY": "The file of its key.",
    "SHELL": "Your shell, for 'completion'.",
    "ZDOTDIR": "Where zsh's files are, for 'completion'. Default: your home.",
    "BASH_COMPLETION_USER_DIR": "Where bash-completion looks for scripts of your own, for 'completion'.",
    "XDG_DATA_HOME": "See BASH_COMPLETION_USER_DIR. Default: ~/.local/share.",
    "XDG_CACHE_HOME": "Where 'replay' lays files out, if relay.workspaces names no folder. Default: ~/.cache.",
    "XDG_CONFIG_HOME": "Where fish's files are, for 'completion'. Default: ~/.config.",
    "GITRELAY_DEPTH": "Set for a peer: how many calls it is below a person. See relay.maxDepth.",
    "GITRELAY_ACCESS": "Set for a peer: the access of its call, which no call that it makes can exceed.",
    "GITRELAY_CHAIN": "Set for a peer: the addresses of the calls that it is below.",
    "CI": "If it is true, 'check' exits with 1 when nothing was judged.",
    "GITRELAY_SKIP": "The reason why this push goes without a verdict; it is recorded. See 'bypass'.",
    "GIT_DIR": "The folder decides (-C DIR): another repository named here, or another tree by GIT_WORK_TREE, is "
    "refused, and a peer gets none of git's variables that say which repository.",
    "GIT_WORK_TREE": "See GIT_DIR.",
}

# what one wants -> the command
EXAMPLES: Final[dict[str, str]] = {
    "Let codex do something, and go on with its answer in the same session:": (
        'git relay req --to codex --session auth "Fix the issues. Run pytest to verify."'
    ),
    "Ask another peer for a look at it, which may change nothing:": (
        'git relay req --to claude --session auth --access read "Review what turn 01 changed."'
    ),
    "Let gitrelay itself run the tests after the answer, and decide by them:": (
        'git relay req --to codex --session auth --check "pytest -q" "Fix the issues."'
    ),
    "Start something long, look at what happens, wait for it from anywhere:": (
        'git relay req --to codex --session big --detach "Port the parser."\n'
        "git relay watch big\n"
        "git relay wait big/01 --timeout 9m"
    ),
    "Read a session, and what one of its turns changed:": "git relay show auth\ngit relay diff auth/01 --stat",
    "The same with git alone:": "git log -p relay/auth",
    "Hold every session to the rules:": "git relay fsck",
}

#!/bin/sh
# Installs the agent CLIs, the hook runner and the rules of accessibility that the tests use, at the versions pinned here, outside the repository:
#   tests/fetch_clis.sh [NAME]...   (default: all that the table has)
# Each gets its own npm prefix in $GITRELAY_CLIS; one that is there in the right version is left alone.
# The table below is the only place with the versions: tests/support/realcli.py reads it.
set -eu

all="codex claude gemini opencode qwen copilot codex-acp claude-agent-acp lefthook axe-core sigstore-verify"

# what a package needs besides: the adapters get no CLI of their own (400 MB each), they are run with those above; and
# qwen no native modules for sound and pictures
options() {
    case $1 in
        codex-acp | claude-agent-acp | qwen) echo --omit=optional ;;
    esac
}

package() {
    case $1 in
        codex) echo @openai/codex@0.169.0 ;;
        claude) echo @anthropic-ai/claude-code@2.1.332 ;;
        gemini) echo @google/gemini-cli@0.61.0 ;;
        opencode) echo opencode-ai@1.18.33 ;;
        qwen) echo @qwen-code/qwen-code@0.24.4 ;;
        copilot) echo @github/copilot@1.0.102 ;;
        codex-acp) echo @agentclientprotocol/codex-acp@2.6.0 ;;
        claude-agent-acp) echo @agentclientprotocol/claude-agent-acp@0.101.0 ;;
        lefthook) echo lefthook@2.2.2 ;;
        axe-core) echo axe-core@4.14.1 ;;
        sigstore-verify) echo @sigstore/verify@4.1.3 ;;
        *) echo "fetch_clis.sh: unknown CLI: $1 (known: $all)" >&2; return 2 ;;
    esac
}

folder=${GITRELAY_CLIS:-${XDG_CACHE_HOME:-$HOME/.cache}/gitrelay-clis}
[ $# -gt 0 ] || set -- $all
for name in "$@"; do
    package "$name" >/dev/null || exit
done

for name in "$@"; do
    spec=$(package "$name")
    version=${spec##*@}
    manifest=$folder/$name/node_modules/${spec%@*}/package.json
    program=$folder/$name/node_modules/.bin/$name
    [ "$name" != axe-core ] || program=$folder/$name/node_modules/axe-core/axe.min.js # a script for pages, no program
    [ "$name" != sigstore-verify ] || program=$manifest # modules, no program
    if [ -e "$program" ] && grep -q "\"version\": *\"$version\"" "$manifest" 2>/dev/null; then
        echo "$name $version: already in $folder/$name"
        continue
    fi
    for tool in node npm; do
        command -v "$tool" >/dev/null || {
            echo "fetch_clis.sh: $tool not found: install Node.js 20 or newer, then run this again" >&2
            exit 1
        }
    done
    mkdir -p "$folder/$name"
    # from that folder: lefthook's install script would put hooks and a template into the checkout it is run in
    (cd "$folder/$name" && LEFTHOOK=0 npm install --prefix . --no-audit --no-fund --loglevel=error $(options "$name") "$spec" >&2)
    echo "$name $version: installed in $folder/$name"
done

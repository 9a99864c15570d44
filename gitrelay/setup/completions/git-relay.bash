# bash completion for git-relay and, with git's own completion, for `git relay`.
# Made by 'git relay completion bash'; 'git relay completion bash --install' puts it where bash looks.

# the words behind `git-relay`, up to the cursor -> COMPREPLY
_git_relay_reply() {
    local value help
    COMPREPLY=()
    while IFS=$'\t' read -r value help; do
        case $value in
        :files) compopt -o default +o nospace 2>/dev/null ;;
        :dirs) compopt -o dirnames +o nospace 2>/dev/null ;;
        */) COMPREPLY+=("$value") ;;
        *) COMPREPLY+=("$value ") ;;
        esac
    done < <(command git-relay completion --complete -- "$@" 2>/dev/null </dev/null)
}

# called by git's completion, with its variables
_git_relay() {
    local at=${__git_cmd_idx:-0}
    if ((at == 0)); then
        for ((at = 1; at < cword; at++)); do
            [[ ${words[at]} == relay ]] && break
        done
    fi
    _git_relay_reply ${__git_C_args[@]+"${__git_C_args[@]}"} "${words[@]:at+1:cword-at}"
}

_git_relay_main() {
    local cur prev words cword
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref -n =: cur prev words cword
    else
        words=("${COMP_WORDS[@]}")
        cword=$COMP_CWORD
    fi
    _git_relay_reply "${words[@]:1:cword}"
}

complete -o nospace -F _git_relay_main git-relay

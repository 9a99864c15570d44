#compdef git-relay
#description let one coding agent call another, and git remember
# zsh completion for git-relay and, with zsh's own _git, for `git relay`.
# Made by 'git relay completion zsh'; 'git relay completion zsh --install' puts it where zsh looks.

_git-relay() {
    local line value help
    local -a lines described unfinished folder
    (( $+opt_args )) && [[ -n ${opt_args[-C]-} ]] && folder=(-C ${(Q)${~opt_args[-C]}})
    lines=("${(@f)$(git-relay completion --complete -- $folder "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null </dev/null)}")
    [[ $PREFIX == --*=* ]] && compset -P 1 '*='
    for line in $lines; do
        value=${line%%$'\t'*}
        help=${line#*$'\t'}
        case $value in
        :files) _files; return ;;
        :dirs) _files -/; return ;;
        */) unfinished+=($value) ;;
        *) described+=("${value//:/\\:}:$help") ;;
        esac
    done
    (( $#unfinished )) && compadd -S '' -- $unfinished
    (( $#described )) && _describe -V 'git relay' described
    (( $#unfinished + $#described ))
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _git-relay "$@"
else
    compdef _git-relay git-relay
fi

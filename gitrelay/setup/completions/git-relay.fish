# fish completion for git-relay and for `git relay`.
# Made by 'git relay completion fish'; 'git relay completion fish --install' puts it where fish looks: into conf.d,
# because a file in completions/ is read for git-relay alone.

# the words behind `git-relay`, or behind `git relay`, one a line; status 1 for another command of git's
function __git_relay_words
    set -l words (commandline -opc)
    set -l folder
    if test (string replace -r '.*/' '' -- $words[1]) = git
        set -e words[1]
        while set -q words[1]; and string match -q -- '-*' $words[1]
            if contains -- $words[1] -C -c --git-dir --work-tree --namespace
                test $words[1] = -C; and set folder -C $words[2]
                set -e words[1]
            end
            set -e words[1]
        end
        test "$words[1]" = relay; or return 1
    end
    set -e words[1]
    string join \n -- $folder $words
    return 0
end

function __git_relay_complete
    set -l word (commandline -ct)
    set -l prefix (string match -r -- '^--[a-z-]+=' $word; or echo '')
    for line in (command git-relay completion --complete -- (__git_relay_words) $word 2>/dev/null </dev/null)
        switch $line
            case ':files*'
                __fish_complete_path (string replace -r -- '^--[a-z-]+=' '' $word)
            case ':dirs*'
                __fish_complete_directories (string replace -r -- '^--[a-z-]+=' '' $word)
            case '*'
                echo $prefix$line
        end
    end
end

complete -c git-relay -f -a '(__git_relay_complete)'
complete -c git -f -n '__git_relay_words >/dev/null' -a '(__git_relay_complete)'

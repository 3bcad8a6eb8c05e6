# Completes Invoke's tasks and their options, and the values of ours: scenarios, nodes, engines.
#
#   bash: source scripts/completion.bash
#   zsh:  autoload -U bashcompinit && bashcompinit && source scripts/completion.bash

_tunnelbed_root=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)

# What may stand after the option $1; the rest of the arguments are the words of the command line.
_tunnelbed_values() {
    case $1 in
        --*) "$_tunnelbed_root/.venv/bin/python" "$_tunnelbed_root/scripts/completion.py" "$@" 2>/dev/null ;;
        *) return 1 ;;
    esac
}

_tunnelbed() {
    local word=$2 option=$3 candidates index
    # `--option=value` comes as three words.
    if [ "$word" = = ]; then
        word=''
    elif [ "$option" = = ]; then
        option=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    COMPREPLY=()
    for ((index = 1; index < COMP_CWORD; index++)); do
        # What follows is a node's command: files, if anything.
        [ "${COMP_WORDS[index]}" != -- ] || return 0
    done
    if ! candidates=$(_tunnelbed_values "$option" "${COMP_WORDS[@]}"); then
        candidates=$("${COMP_WORDS[0]}" --complete -- "${COMP_WORDS[*]}" 2>/dev/null)
    fi
    # shellcheck disable=SC2207 # the candidates are words
    COMPREPLY=($(compgen -W "$candidates" -- "$word"))
}

complete -o default -F _tunnelbed invoke inv

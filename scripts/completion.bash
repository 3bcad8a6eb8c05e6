# Completes Invoke's tasks and their options, and the values of ours: scenarios, nodes, engines.
#
#   bash: source scripts/completion.bash
#   zsh:  autoload -U bashcompinit && bashcompinit && source scripts/completion.bash

_tunnelbed_root=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)

# What may stand after the option $1 in a command line; the rest of the arguments are its words.
_tunnelbed_values() {
    local option=$1 word before='' scenario='' root=$_tunnelbed_root
    shift
    for word; do
        case $before in
            --scenario) scenario=$word ;;
            --path) root=$word ;;
        esac
        [ "$word" = = ] || before=$word
    done
    case $option in
        --scenario)
            for word in "$root"/compose/*.yaml; do
                word=$(basename "$word" .yaml)
                # `x.nested.yaml` is a part of x.
                case $word in *.* | '*') ;; *) echo "$word" ;; esac
            done
            ;;
        --node | --from | --to)
            # The services of the stack: two spaces deep, until the next key that is none.
            [ ! -f "$root/compose/$scenario.yaml" ] || awk '
                /^[^ #]/ { inside = /^services:/ }
                inside && /^  [A-Za-z0-9]/ { sub(/:.*/, ""); print $1 }
            ' "$root/compose/$scenario.yaml"
            ;;
        --driver) echo macvlan bridge ipvlan ;;
        --engine) _tunnelbed_list ENGINES ;;
        --data-plane) _tunnelbed_list DATA_PLANES ;;
        *) return 1 ;;
    esac
}

# The names in one of the library's own lists.
_tunnelbed_list() {
    (cd "$_tunnelbed_root" && .venv/bin/python -c "from tunnelbed import engines; print(*engines.$1)" 2>/dev/null)
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

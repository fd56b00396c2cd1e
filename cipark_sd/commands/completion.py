"""``cipark completion``: the script by which a shell completes commands, options, models, studies and variables."""

import os
from pathlib import Path

import click

from cipark_sd.commands.result import Result
from cipark_sd.console import echo

_PROGRAM = "cipark"
#: The scripts ask this program each time what may follow; click reads the line and answers entry by entry. They are not
#: click's own: after an equals sign no space follows here, names and files are offered together in bash, and what fish
#: is offered may have a comma in it.
_SCRIPTS = {
    "bash": """\
_cipark_completion() {
    local IFS=$'\\n' entry kind value current=${COMP_WORDS[COMP_CWORD]#[\\"\\']}
    COMPREPLY=()
    while read -r entry; do
        kind=${entry%%,*} value=${entry#*,}
        case $kind in
            dir) COMPREPLY+=($(compgen -d -- "$current")); compopt -o filenames ;;
            file) COMPREPLY+=($(compgen -f -- "$current")); compopt -o filenames ;;
            plain)
                # a name with a space stands as it is within quotes, and escaped outside of them
                [[ $value == *" "* && ${COMP_WORDS[COMP_CWORD]} != [\\"\\']* ]] && printf -v value %q "$value"
                COMPREPLY+=("$value")
                [[ $value == *= ]] && compopt -o nospace ;;
        esac
    done < <(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _CIPARK_COMPLETE=bash_complete "$1")
}
complete -o nosort -F _cipark_completion cipark
""",
    "zsh": """\
#compdef cipark
_cipark_completion() {
    local -a answer names settings
    local kind name help
    (( ! $+commands[cipark] )) && return 1
    answer=("${(@f)$(COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) _CIPARK_COMPLETE=zsh_complete cipark)}")
    for kind name help in "${answer[@]}"; do
        case $kind in
            dir) _path_files -/ ;;
            file) _path_files -f ;;
            plain)
                [[ $help == _ ]] && help= || help=:$help
                [[ $name == *= ]] && settings+=("$name$help") || names+=("$name$help") ;;
        esac
    done
    (( $#names )) && _describe -V unsorted names -U
    (( $#settings )) && _describe -V unsorted settings -U -S ''
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _cipark_completion "$@"
else
    compdef _cipark_completion cipark
fi
""",
    "fish": """\
function _cipark_completion
    for entry in (env _CIPARK_COMPLETE=fish_complete COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -t) cipark)
        set -l parts (string split -m 1 "," $entry)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case plain
                echo $parts[2]
        end
    end
end
complete --no-files --command cipark --arguments "(_cipark_completion)"
""",
}


@click.command(short_help="Complete commands and names in bash, zsh or fish.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.option("--install", is_flag=True, help="Write the script to where the shell looks for it.")
def command(shell: str, install: bool) -> Result:
    """Print the script by which SHELL completes what is typed, or put it into its place.

    Completed are commands, options and their choices, models and studies that come with the package, files, and, once
    the line names a model or a study, its variables.

    \b
    Examples:
      cipark completion bash --install
      cipark completion zsh --install
      cipark completion fish --install
      eval "$(cipark completion bash)"            in this shell only
    """
    script = _SCRIPTS[shell]
    if not install:
        echo(script, nl=False)
        return Result({"shell": shell, "script": script})
    from cipark_sd.files import output_folder, write_text

    path = _place(shell)
    output_folder(path.parent, where="--install")
    write_text(path, script)
    echo(f"written to {path}; a new {shell} has it")
    if shell == "zsh":
        # zsh has no folder of a user's own that it searches by itself
        echo(f"with this line in ~/.zshrc, before compinit:\n  fpath=({path.parent} $fpath)")
    return Result({"shell": shell, "file": path})


def _place(shell: str) -> Path:
    """Where a shell looks for the completions of one user.

    Source: the manuals of bash-completion (``BASH_COMPLETION_USER_DIR``) and fish (``Where to put completions``); for
    zsh the folder of a user's data, which a line of ``.zshrc`` adds.
    """
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return {
        "bash": Path(os.environ.get("BASH_COMPLETION_USER_DIR") or data / "bash-completion") / "completions" / _PROGRAM,
        "zsh": data / "zsh" / "site-functions" / f"_{_PROGRAM}",
        "fish": settings / "fish" / "completions" / f"{_PROGRAM}.fish",
    }[shell]

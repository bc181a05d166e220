# Completion of kvd in bash: the program tells what can follow, this hands it to the shell. Installed as
# share/bash-completion/completions/kvd; without bash-completion it can be sourced.
# shellcheck shell=bash

_kvd() {
  local words=() word joined=0 i
  # bash ends words at = and : as well, kvd does not.
  for ((i = 1; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [ ${#words[@]} -gt 0 ] && { [ $joined -eq 1 ] || [[ $word == [=:] ]]; }; then
      words[-1]+=$word
    else
      words+=("$word")
    fi
    [[ $word == [=:] ]] && joined=1 || joined=0
  done
  local typed=${COMP_WORDS[COMP_CWORD]} whole=${words[-1]} line
  [[ $typed == [=:] ]] && typed=
  local before=${whole%"$typed"}
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :none) ;;
      :files) compopt -o filenames && mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$typed") ;;
      :directories) compopt -o filenames && mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- "$typed") ;;
      ":command "*) _kvd_command "$typed" ;;
      *)
        word=${line%%$'\t'*}
        COMPREPLY+=("${word#"$before"}")
        ;;
    esac
  done < <("${COMP_WORDS[0]}" complete "${words[@]}" 2>/dev/null)
  if [ ${#COMPREPLY[@]} -eq 1 ] && [[ ${COMPREPLY[0]} == *: ]]; then compopt -o nospace; fi
}

# The command behind --, by its own completion where bash-completion is there.
_kvd_command() {
  local i first=0
  for ((i = 1; i < COMP_CWORD && first == 0; i++)); do
    [ "${COMP_WORDS[i]}" = -- ] && first=$((i + 1))
  done
  if declare -F _command_offset >/dev/null; then
    _command_offset "$first"
  elif [ "$first" -eq "$COMP_CWORD" ]; then
    mapfile -t COMPREPLY < <(compgen -c -- "$1")
  else
    compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$1")
  fi
}

complete -F _kvd kvd

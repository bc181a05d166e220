# Completion of kvd in fish: the program tells what can follow, this hands it to the shell. Installed as
# share/fish/vendor_completions.d/kvd.fish.

function __kvd_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l flag (string match -r -- '^--[^=]*=' "$typed") # in front of a value
    set -l value (string replace -r -- '^--[^=]*=' '' "$typed")
    for line in ($words[1] complete $words[2..-1] "$typed" 2>/dev/null)
        switch $line
            case :none
            case :files
                string replace -r -- '^' "$flag" (__fish_complete_path "$value")
            case :directories
                string replace -r -- '^' "$flag" (__fish_complete_directories "$value" '')
            case ':command *'
                set -l first (math (string replace ':command ' '' $line) + 1)
                complete -C (string join ' ' -- (string escape -- $words[$first..-1]) "$typed")
            case '*'
                echo $line
        end
    end
end

complete -c kvd -f -a '(__kvd_complete)'

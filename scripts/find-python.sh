#!/bin/sh
# Prints the path of a Python that works, or says on stderr what is missing and exits 1.
#   find-python.sh          the newest of python3.13, python3.12, python3.11 and python3 on PATH that is 3.11 or later
#   find-python.sh 3.12     a Python 3.12, on PATH or among pyenv's
# A name on PATH is not enough: version switchers put commands there that only print an error, so each one is run.
set -eu

works() { # COMMAND MINIMUM [EXACT]: prints sys.executable when the version fits
    "$1" -c '
import sys
least, exact = sys.argv[1], sys.argv[2]
ours = ".".join(map(str, sys.version_info[:2]))
fits = ours == exact if exact else sys.version_info[:2] >= tuple(map(int, least.split(".")))
if not fits:
    sys.exit(1)
print(sys.executable)' "$2" "${3:-}" 2>/dev/null
}

if [ $# -ge 1 ]; then
    for candidate in "python$1" python3 python "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        works "$candidate" 3.11 "$1" && exit 0
    done
    echo "find-python: no working Python $1 on PATH" >&2
    exit 1
fi

for candidate in python3.13 python3.12 python3.11 python3 python; do
    works "$candidate" 3.11 && exit 0
done
echo "find-python: Jan needs Python 3.11 or later, and none on PATH works. Install one (Debian, Ubuntu: apt install python3 python3-venv), or name one: make PYTHON=/path/to/python" >&2
exit 1

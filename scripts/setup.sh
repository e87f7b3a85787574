#!/bin/sh
# Makes or refreshes the development environment; quick when nothing has changed.
#   VENV     the environment's folder (default .venv)
#   PYTHON   the interpreter to make it with (default: see find-python.sh)
# Every third-party package comes from constraints.txt, which holds exact versions and their hashes; which index they
# come from is the business of pip's and uv's own settings. The workspace's packages are installed as links to here.
set -eu
cd "$(dirname "$0")/.."

VENV=${VENV:-.venv}
bin=$VENV/bin
stamp=$VENV/.setup-stamp

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }

# The workspace: the root, the bundle, and every backend, module and plugin that has a pyproject.toml.
members=
for file in pyproject.toml bundle/pyproject.toml backends/*/pyproject.toml modules/*/pyproject.toml plugins/*/pyproject.toml; do
    if [ -f "$file" ]; then members="$members $(dirname "$file")"; fi
done

fingerprint() { # what the environment depends on: the folder, the pins, the packages' definitions, this script
    pwd
    for member in $members; do echo "$member"; cat "$member/pyproject.toml"; done | cat - constraints.txt scripts/setup.sh | cksum
}
version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo none; }

if [ -n "${PYTHON:-}" ]; then
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "PYTHON=$PYTHON does not run, or is older than Python 3.11"
fi

# Made anew: an environment whose interpreter is gone or of another version than the one asked for, or that was made in
# another folder (its commands hold that folder's path).
if [ -e "$VENV" ]; then
    has=$(version "$bin/python")
    wants=$has
    if [ -n "${PYTHON:-}" ]; then wants=$(version "$PYTHON"); fi
    if [ "$has" = none ] || [ "$has" != "$wants" ] || { [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" != "$(pwd)" ]; }; then
        [ -f "$VENV/pyvenv.cfg" ] || fail "$VENV exists and is not a Python environment; move it away, or name another: make VENV=…"
        say "$VENV does not fit any more (Python $has), making it anew"
        rm -rf "$VENV"
    elif [ -f "$stamp" ] && [ "$(fingerprint)" = "$(cat "$stamp")" ]; then
        exit 0
    fi
fi

if command -v uv >/dev/null 2>&1 && uv --version >/dev/null 2>&1; then
    uv=uv
else
    uv=$bin/uv
fi

if [ ! -x "$bin/python" ]; then
    python=${PYTHON:-}
    if [ -z "$python" ]; then python=$(sh scripts/find-python.sh); fi
    say "making $VENV with $("$python" --version) ($python)"
    if [ "$uv" = uv ]; then
        uv venv --quiet --python "$python" "$VENV"
    else
        "$python" -c 'import ensurepip' 2>/dev/null ||
            fail "$python cannot make an environment (it has no ensurepip): run 'apt install python$(version "$python")-venv', or install uv, then the same command again"
        "$python" -m venv "$VENV"
    fi
fi

if [ "$uv" != uv ] && ! "$uv" --version >/dev/null 2>&1; then
    say "no uv on PATH: taking the one named in constraints.txt"
    "$bin/python" -m pip --version >/dev/null 2>&1 || "$bin/python" -m ensurepip >/dev/null
    pins=$VENV/uv-pin.txt
    awk '/^uv==/ {ours = 1; print; next} /^[^ ]/ {ours = 0} ours' constraints.txt >"$pins"
    "$bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$pins"
fi

say "installing what constraints.txt names"
"$uv" pip install --quiet --python "$bin/python" --require-hashes -r constraints.txt

say "linking the workspace:$members"
set --
for member in $members; do set -- "$@" --editable "$member"; done
"$uv" pip install --quiet --python "$bin/python" --no-deps --no-build-isolation "$@"
# What the build leaves beside the sources would be a second answer to "which packages are installed?".
for member in $members; do rm -rf "$member"/*.egg-info; done

fingerprint >"$stamp"
say "done: $("$bin/python" --version), $VENV"

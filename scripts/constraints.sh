#!/bin/sh
# Writes constraints.txt anew: the newest versions that fit the workspace, for every platform and supported Python,
# with their hashes. uv.lock stays untracked, because it records where the packages were downloaded from.
#   UV       the uv to use (default: the environment's, or the one on PATH)
set -eu
cd "$(dirname "$0")/.."

uv=${UV:-}
if [ -z "$uv" ]; then
    uv=${VENV:-.venv}/bin/uv
    [ -x "$uv" ] || uv=uv
fi

"$uv" lock --quiet --upgrade
new=$(mktemp)
trap 'rm -f "$new"' EXIT
{
    echo "# Exact versions and hashes of everything the workspace uses. Written by 'make constraints'; do not edit."
    "$uv" export --quiet --locked --all-packages --all-extras --all-groups --no-emit-workspace --no-header --format requirements-txt
} >"$new"
if grep -nE '://|^--|^-e|@ ' "$new" >&2; then
    echo "constraints: the lines above name a host, an option or a folder, which this file must not" >&2
    exit 1
fi
cat "$new" >constraints.txt

# The clients that tests run, each in an environment of its own. (openai-node: npm install --package-lock-only
# --omit-lockfile-registry-resolved openai@latest, in its folder there.)
for client in tests/clients/pins/*.in; do
    "$uv" pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links "$client" --output-file "$new"
    if grep -nE '://|^--|@ ' "$new" >&2; then
        echo "constraints: $client would name a host, an option or a folder" >&2
        exit 1
    fi
    cat "$new" >"${client%.in}.txt"
done
echo "constraints: $(grep -c '==' constraints.txt) packages" >&2

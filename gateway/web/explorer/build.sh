#!/bin/sh
# Builds the explorer's assets into static/ with the locked packages; `build.sh --check` builds beside it and compares.
# What is compared is the content: the bytes of a .gz may differ between versions of zlib.
set -eu
cd "$(dirname "$0")"
npm ci --ignore-scripts --no-fund --no-audit
if [ "${1:-}" != "--check" ]; then
    exec npm run build
fi
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
npm run build -- --outDir "$fresh/built" --emptyOutDir
cp -R static "$fresh/committed"
gunzip -r "$fresh/built" "$fresh/committed"
if ! diff -r "$fresh/committed" "$fresh/built" >/dev/null; then
    diff -rq "$fresh/committed" "$fresh/built" || true
    echo "gateway/web/explorer/static is not what its sources build: run make explorer and commit the result" >&2
    exit 1
fi
echo "static/ is what its sources build"

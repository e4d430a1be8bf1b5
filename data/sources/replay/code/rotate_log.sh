#!/usr/bin/env bash
# Rotate a log when it grows too large, keeping a fixed number of old copies.
# Usage: rotate.sh FILE [MAX_BYTES] [KEEP]
set -euo pipefail

rotate() {
    local file=$1 max=$2 keep=$3 size n
    [[ -f $file ]] || { echo "no such log: $file" >&2; return 1; }
    size=$(wc -c < "$file")
    if (( size <= max )); then
        echo "$file is $size bytes, leaving it alone"
        return 0
    fi
    # Shift the numbered copies upward, oldest first, so none is overwritten.
    rm -f -- "$file.$keep.gz"
    for (( n = keep - 1; n >= 1; n-- )); do
        if [[ -e $file.$n.gz ]]; then
            mv -- "$file.$n.gz" "$file.$(( n + 1 )).gz"
        fi
    done
    gzip -c -- "$file" > "$file.1.gz"
    # Truncate rather than remove: a writer may still hold the file open.
    : > "$file"
    echo "rotated $file ($size bytes)"
}

if (( $# >= 1 )); then
    rotate "$1" "${2:-1048576}" "${3:-5}"
else
    # Without arguments, demonstrate on a scratch file.
    scratch=$(mktemp -d)
    trap 'rm -rf -- "$scratch"' EXIT
    for round in 1 2 3 4; do
        printf "entry %d of round $round\n" {1..100} > "$scratch/app.log"
        rotate "$scratch/app.log" 512 2 > /dev/null
    done
    (cd "$scratch" && ls)
fi

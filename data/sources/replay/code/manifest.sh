#!/usr/bin/env bash
# 给一个目录留校验清单，以后再跑一次，就能知道哪些文件被改、被删、是新添的
# 用法：manifest.sh 目录 清单文件
set -euo pipefail
export LC_ALL=C

snapshot() {
    # 路径一律写成相对形式，目录搬家之后清单照样能用
    (cd "$1" && find . -type f -print0 | sort -z | xargs -0 -r sha256sum)
}

compare() {
    # 头两个参数是旧清单和新清单，每行前 64 个字符是摘要，路径从第 67 列起
    awk '
        { digest = substr($0, 1, 64); path = substr($0, 67) }
        FNR == NR { old[path] = digest; next }
        !(path in old) { print "新增", path; next }
        { if (old[path] != digest) print "改动", path; delete old[path] }
        END { for (path in old) print "缺失", path }
    ' "$1" "$2"
}

main() {
    local dir=$1 list=$2 fresh
    if [[ ! -s $list ]]; then
        snapshot "$dir" > "$list"
        echo "已建立清单，共 $(wc -l < "$list") 个文件"
        return
    fi
    fresh=$(mktemp)
    snapshot "$dir" > "$fresh"
    compare "$list" "$fresh"
    rm -f -- "$fresh"
}

if (( $# != 2 )); then
    echo "请给出目录和清单文件两个参数" >&2
    exit 2
fi
main "$@"

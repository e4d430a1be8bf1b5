"""编辑距离，并回溯出把旧文本改成新文本的每一步，供校对时查看。"""


def edit_script(old, new):
    rows, cols = len(old) + 1, len(new) + 1
    cost = [[0] * cols for _ in range(rows)]
    for i in range(rows):
        cost[i][0] = i
    for j in range(cols):
        cost[0][j] = j
    for i in range(1, rows):
        for j in range(1, cols):
            same = old[i - 1] == new[j - 1]
            cost[i][j] = min(cost[i - 1][j] + 1,
                             cost[i][j - 1] + 1,
                             cost[i - 1][j - 1] + (not same))

    # 从右下角往回走，看每一格的值是由哪一边得来的
    steps, i, j = [], rows - 1, cols - 1
    while i or j:
        if i and j and cost[i][j] == cost[i - 1][j - 1] + (old[i - 1] != new[j - 1]):
            kind = "留" if old[i - 1] == new[j - 1] else "换"
            steps.append((kind, old[i - 1], new[j - 1]))
            i, j = i - 1, j - 1
        elif i and cost[i][j] == cost[i - 1][j] + 1:
            steps.append(("删", old[i - 1], ""))
            i -= 1
        else:
            steps.append(("增", "", new[j - 1]))
            j -= 1
    return cost[-1][-1], steps[::-1]


if __name__ == "__main__":
    distance, script = edit_script("他己经走了三里路", "他已经走三里多路")
    print("共需改动", distance, "处")
    for kind, before, after in script:
        if kind != "留":
            print(kind, before or "（空）", "→", after or "（空）")

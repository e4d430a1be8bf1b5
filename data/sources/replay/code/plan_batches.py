"""按依赖关系给任务排期：同一批里的任务互不依赖，可以并行。"""
from collections import defaultdict


def plan_batches(depends_on):
    """depends_on 的键是任务，值是它的前置任务列表；返回分好的批次。"""
    waiting = defaultdict(int)
    followers = defaultdict(list)
    names = set(depends_on)
    for task, needs in depends_on.items():
        for need in set(needs):
            names.add(need)
            waiting[task] += 1
            followers[need].append(task)

    ready = sorted(n for n in names if waiting[n] == 0)
    batches, done = [], 0
    while ready:
        batches.append(ready)
        done += len(ready)
        nxt = []
        for task in ready:
            for follower in followers[task]:
                waiting[follower] -= 1
                if waiting[follower] == 0:
                    nxt.append(follower)
        ready = sorted(nxt)

    if done != len(names):
        stuck = sorted(n for n in names if waiting[n] > 0)
        raise ValueError("存在循环依赖，卡住的任务：" + "、".join(stuck))
    return batches


if __name__ == "__main__":
    kitchen = {"炒菜": ["切菜", "热锅"], "切菜": ["洗菜"],
               "上桌": ["炒菜", "盛饭"], "盛饭": ["煮饭"]}
    for number, batch in enumerate(plan_batches(kitchen), start=1):
        print(f"第{number}批：", "，".join(batch))
    try:
        plan_batches({"甲": ["乙"], "乙": ["甲"]})
    except ValueError as err:
        print(err)

"""前缀树：给输入框做自动补全，按使用次数从多到少给出候选。"""
import heapq


class Trie:
    def __init__(self):
        self.children = {}
        self.count = 0      # 大于零表示有词在此结束

    def add(self, word, times=1):
        node = self
        for ch in word:
            node = node.children.setdefault(ch, Trie())
        node.count += times

    def _walk(self, prefix):
        """深度优先地产出子树里的全部词。"""
        if self.count:
            yield self.count, prefix
        for ch, child in self.children.items():
            yield from child._walk(prefix + ch)

    def suggest(self, prefix, limit=3):
        node = self
        for ch in prefix:
            node = node.children.get(ch)
            if node is None:
                return []
        # 次数多的在前；次数相同，短的在前
        best = heapq.nsmallest(limit, node._walk(prefix),
                               key=lambda p: (-p[0], len(p[1]), p[1]))
        return [word for _, word in best]


if __name__ == "__main__":
    history = {"天气": 12, "天气预报": 30, "天文台": 4,
               "天平": 4, "田埂": 9, "天气图": 2}
    index = Trie()
    for word, times in history.items():
        index.add(word, times)
    for typed in ("天", "天气", "海"):
        print(typed, "→", index.suggest(typed) or "没有候选")

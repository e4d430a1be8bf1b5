"""并查集：按秩合并，查找时压缩路径。用来统计一张网里有几个互不相通的区块。"""


class DisjointSet:
    def __init__(self, items):
        self.parent = {x: x for x in items}
        self.rank = {x: 0 for x in self.parent}

    def find(self, x):
        """返回 x 所在集合的代表，顺手把沿途节点直接挂到根上。"""
        root = x
        while self.parent[root] != root:
            root = self.parent[root]
        while self.parent[x] != root:
            self.parent[x], x = root, self.parent[x]
        return root

    def union(self, a, b):
        """合并两个集合；本来就在一起时返回 False。"""
        ra, rb = self.find(a), self.find(b)
        if ra == rb:
            return False
        if self.rank[ra] < self.rank[rb]:
            ra, rb = rb, ra
        self.parent[rb] = ra
        if self.rank[ra] == self.rank[rb]:
            self.rank[ra] += 1
        return True


if __name__ == "__main__":
    islands = DisjointSet(["东礁", "西礁", "灯塔", "码头", "盐田"])
    bridges = [("东礁", "灯塔"), ("灯塔", "码头"), ("东礁", "码头")]
    for left, right in bridges:
        if not islands.union(left, right):
            print(f"{left}与{right}早已相通，这座桥可以不修")
    roots = {islands.find(name) for name in islands.parent}
    print("互不相通的区块数：", len(roots))

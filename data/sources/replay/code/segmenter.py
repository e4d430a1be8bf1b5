"""双向最大匹配分词：正向切一遍，逆向切一遍，取词数少、单字少的结果。"""


class Segmenter:
    def __init__(self, words):
        self.words = set(words)
        self.longest = max(map(len, self.words))

    def forward(self, text):
        pieces, i = [], 0
        while i < len(text):
            for size in range(min(self.longest, len(text) - i), 0, -1):
                chunk = text[i:i + size]
                # 词典里查不到时，单个字也算一段
                if size == 1 or chunk in self.words:
                    pieces.append(chunk)
                    i += size
                    break
        return pieces

    def backward(self, text):
        pieces, j = [], len(text)
        while j > 0:
            for size in range(min(self.longest, j), 0, -1):
                chunk = text[j - size:j]
                if size == 1 or chunk in self.words:
                    pieces.append(chunk)
                    j -= size
                    break
        return pieces[::-1]

    def cut(self, text):
        options = [self.backward(text), self.forward(text)]
        return min(options, key=lambda p: (len(p), sum(len(w) == 1 for w in p)))


if __name__ == "__main__":
    seg = Segmenter("研究 研究生 生命 起源 的 南京市 长江 大桥 长江大桥 市长".split())
    for sentence in ("研究生命的起源", "南京市长江大桥"):
        print("正向：", "/".join(seg.forward(sentence)))
        print("取用：", "/".join(seg.cut(sentence)))

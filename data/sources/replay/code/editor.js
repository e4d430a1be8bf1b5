// 带撤销与重做的文本编辑器模型：每一步操作都记下怎样做、怎样还原
"use strict";

class Editor {
  constructor(text = "") {
    this.text = text;
    this.undone = [];
    this.done = [];
  }

  // 把 [start, start + length) 换成 insert，返回的记录足以还原
  #apply({ start, length, insert }) {
    const removed = this.text.slice(start, start + length);
    this.text = this.text.slice(0, start) + insert + this.text.slice(start + length);
    return { start, length: insert.length, insert: removed };
  }

  replace(start, length, insert) {
    if (start < 0 || start + length > this.text.length) {
      throw new RangeError("位置超出文本范围");
    }
    this.done.push(this.#apply({ start, length, insert }));
    this.undone = []; // 有了新操作，原先撤销掉的便不能再重做
    return this;
  }

  #shift(from, to) {
    const record = from.pop();
    if (!record) return false;
    to.push(this.#apply(record));
    return true;
  }

  undo() { return this.#shift(this.done, this.undone); }
  redo() { return this.#shift(this.undone, this.done); }
}

const page = new Editor("春眠不觉小");
page.replace(4, 1, "晓").replace(5, 0, "，处处闻啼鸟");
console.log(page.text);
page.undo();
page.undo();
console.log(page.text, page.undo() ? "" : "已到最初");
page.redo();
console.log(page.text);

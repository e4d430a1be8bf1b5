-- 图书借阅：查出逾期未还的书，并按天数算滞纳金
CREATE TABLE reader (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL
);
CREATE TABLE loan (
    id          INTEGER PRIMARY KEY,
    reader_id   INTEGER NOT NULL REFERENCES reader(id),
    title       TEXT NOT NULL,
    lent_on     TEXT NOT NULL,
    returned_on TEXT              -- 为空表示还在读者手里
);

-- 不同类别的读者，借期长短和罚金都不一样
CREATE TABLE rule (kind TEXT PRIMARY KEY, days INTEGER, fine_per_day REAL);
INSERT INTO rule VALUES ('学生', 30, 0.1), ('教师', 90, 0.1), ('校外', 14, 0.3);
INSERT INTO reader VALUES (1, '甲', '学生'), (2, '乙', '校外'), (3, '丙', '教师');
INSERT INTO loan VALUES
    (101, 1, '营造法式注释', '2024-03-01', NULL),
    (102, 1, '江南园林志',   '2024-04-20', NULL),
    (103, 2, '潮汐学浅说',   '2024-04-01', '2024-04-10'),
    (104, 2, '植物名实图考', '2024-04-12', NULL),
    (105, 3, '筹算史话',     '2024-02-15', NULL);

-- 统计日固定写在一处，结果才可以重复核对
WITH today(d) AS (VALUES ('2024-05-10')),
due AS (
    SELECT r.name, l.title, g.fine_per_day,
           date(l.lent_on, '+' || g.days || ' days') AS due_on
    FROM loan AS l
    JOIN reader AS r ON r.id = l.reader_id
    JOIN rule AS g USING (kind)
    WHERE l.returned_on IS NULL
)
SELECT name, title, due_on,
       CAST(julianday(d) - julianday(due_on) AS INTEGER) AS late_days,
       ROUND((julianday(d) - julianday(due_on)) * fine_per_day, 2) AS fine
FROM due CROSS JOIN today
WHERE due_on < d
ORDER BY late_days DESC;

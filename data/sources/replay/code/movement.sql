-- Stock ledger: every movement is a row, the balance is always derived.
CREATE TABLE movement (
    id       INTEGER PRIMARY KEY,
    item     TEXT    NOT NULL,
    moved_on TEXT    NOT NULL CHECK (moved_on LIKE '____-__-__'),
    quantity INTEGER NOT NULL CHECK (quantity <> 0),
    reason   TEXT    NOT NULL CHECK (reason IN ('purchase', 'sale', 'count'))
);

-- Refuse a withdrawal that would drive the shelf below zero.
CREATE TRIGGER no_negative_stock
BEFORE INSERT ON movement
WHEN NEW.quantity < 0
BEGIN
    SELECT RAISE(ABORT, 'not enough on the shelf')
    WHERE (SELECT COALESCE(SUM(quantity), 0)
           FROM movement
           WHERE item = NEW.item) + NEW.quantity < 0;
END;

CREATE VIEW balance AS
SELECT item,
       SUM(quantity)                                    AS on_hand,
       SUM(CASE WHEN reason = 'sale' THEN -quantity END) AS sold,
       MAX(moved_on)                                    AS last_touched
FROM movement
GROUP BY item;

INSERT INTO movement (item, moved_on, quantity, reason) VALUES
    ('linen thread', '2024-01-05',  40, 'purchase'),
    ('linen thread', '2024-01-19', -12, 'sale'),
    ('bone folder',  '2024-01-08',   6, 'purchase'),
    ('bone folder',  '2024-02-01',  -1, 'count'),
    ('linen thread', '2024-02-03',  -9, 'sale');

SELECT item, on_hand, COALESCE(sold, 0) AS sold, last_touched
FROM balance
ORDER BY on_hand DESC;

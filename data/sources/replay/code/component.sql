-- Bill of materials: explode an assembly into parts with a recursive query.
CREATE TABLE component (
    parent   TEXT    NOT NULL,
    child    TEXT    NOT NULL,
    per_unit INTEGER NOT NULL CHECK (per_unit > 0),
    PRIMARY KEY (parent, child)
);
CREATE TABLE price (part TEXT PRIMARY KEY, cents INTEGER NOT NULL);

INSERT INTO component VALUES
    ('bench', 'frame', 1),  ('bench', 'seat', 1),
    ('frame', 'leg', 4),    ('frame', 'rail', 2),
    ('frame', 'bolt', 8),   ('seat', 'slat', 5),
    ('seat', 'bolt', 10);
INSERT INTO price VALUES
    ('leg', 420), ('rail', 610), ('bolt', 35), ('slat', 275);

WITH RECURSIVE explode(part, needed, depth, trail) AS (
    VALUES ('bench', 3, 0, 'bench')
    UNION ALL
    SELECT c.child,
           e.needed * c.per_unit,
           e.depth + 1,
           e.trail || ' > ' || c.child
    FROM explode AS e
    JOIN component AS c ON c.parent = e.part
    WHERE e.depth < 12          -- a guard against accidental loops
)
-- Only priced parts are bought; the rest are made in the workshop.
SELECT e.part,
       SUM(e.needed)                   AS quantity,
       SUM(e.needed) * p.cents / 100.0 AS cost,
       COUNT(DISTINCT e.trail)         AS used_in_places
FROM explode AS e
JOIN price AS p USING (part)
GROUP BY e.part, p.cents
ORDER BY cost DESC;

-- Gaps and islands: turn daily observations into unbroken streaks.
CREATE TABLE rainfall (
    station TEXT NOT NULL,
    day     TEXT NOT NULL,
    mm      REAL NOT NULL,
    PRIMARY KEY (station, day)
);

INSERT INTO rainfall VALUES
    ('hill', '2023-11-01', 4.0), ('hill', '2023-11-02', 11.5),
    ('hill', '2023-11-03', 0.2), ('hill', '2023-11-05', 7.1),
    ('hill', '2023-11-06', 3.3), ('hill', '2023-11-07', 9.8),
    ('quay', '2023-11-01', 0.0), ('quay', '2023-11-02', 6.4),
    ('quay', '2023-11-03', 5.0), ('quay', '2023-11-07', 1.2);

-- Subtracting a row number from the date leaves a constant
-- for as long as the wet days follow one another.
WITH wet AS (
    SELECT station, day, mm,
           julianday(day) - ROW_NUMBER() OVER (
               PARTITION BY station ORDER BY day) AS island
    FROM rainfall
    WHERE mm >= 1.0
),
spell AS (
    SELECT station,
           MIN(day)          AS began,
           MAX(day)          AS ended,
           COUNT(*)          AS days,
           ROUND(SUM(mm), 1) AS total_mm
    FROM wet
    GROUP BY station, island
)
SELECT station, began, ended, days, total_mm,
       RANK() OVER (PARTITION BY station ORDER BY days DESC) AS position
FROM spell
ORDER BY station, position;

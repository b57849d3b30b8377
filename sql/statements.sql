-- Every kind of statement that updates: one error each, with every stale row and an exact count.

CREATE TABLE product (id int PRIMARY KEY, name text, stock int, version bigint NOT NULL DEFAULT 1);
CREATE TABLE other (id int PRIMARY KEY, note text, version bigint NOT NULL DEFAULT 1);
CREATE TABLE audit (what text);
SELECT occ.enable('product');
SELECT occ.enable('other');
INSERT INTO product SELECT i, 'p' || i, 10, CASE WHEN i % 2 = 0 THEN 5 ELSE 1 END FROM generate_series(1, 6) AS i;
INSERT INTO other SELECT i, 'o' || i, CASE WHEN i = 2 THEN 5 ELSE 1 END FROM generate_series(1, 3) AS i;

-- All rows stale, some stale, none, no row at all.
UPDATE product SET stock = 9, version = 3;
UPDATE product SET stock = 9, version = 1;
UPDATE product SET stock = 9, version = version;
UPDATE product SET stock = 9, version = 1 WHERE id = 99;
SELECT * FROM product ORDER BY id;

-- Several source rows for one row: each refused match counts, the row is listed once.
UPDATE product SET stock = v.stock, version = v.version
FROM (VALUES (1, 7, 1), (1, 8, 1), (3, 7, 1)) AS v (id, stock, version) WHERE v.id = product.id;
-- Once a match was written, PostgreSQL ignores the row's further matches; until then each counts.
UPDATE product SET stock = v.stock, version = v.version
FROM (VALUES (1, 7, 2), (1, 8, 1)) AS v (id, stock, version) WHERE v.id = product.id RETURNING stock, product.version;
UPDATE product SET stock = v.stock, version = v.version
FROM (VALUES (1, 7, 1), (1, 8, 3)) AS v (id, stock, version) WHERE v.id = product.id RETURNING stock, product.version;

-- CTEs: both tables in one error; the main query need not read the CTE.
WITH p AS (UPDATE product SET version = 1 WHERE id <= 2 RETURNING id),
     o AS (UPDATE other SET version = 1 RETURNING id)
SELECT count(*) FROM p;
WITH p AS (UPDATE product SET version = 1 WHERE id <= 2) SELECT 1 AS unread;
WITH p AS (UPDATE product SET version = 2 WHERE id = 1 RETURNING id)
INSERT INTO audit SELECT 'updated ' || id FROM p;
WITH p AS (UPDATE product SET version = 2 WHERE id = 1 RETURNING id)
INSERT INTO audit SELECT 'updated ' || id FROM p;
SELECT * FROM audit;

-- Upsert: excluded.version is the client's.
INSERT INTO product (id, name, version) VALUES (1, 'one', 3), (2, 'two', 1), (7, 'seven', 1)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version;
INSERT INTO product (id, name, version) VALUES (1, 'one', 3), (7, 'seven', 1)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version RETURNING id, version;
INSERT INTO product (id, name) VALUES (1, 'uno') ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING version;

-- MERGE: named means named by any of its UPDATE actions.
MERGE INTO product AS p USING (VALUES (1, 5), (2, 1), (8, 1)) AS s (id, version) ON p.id = s.id
WHEN MATCHED THEN UPDATE SET name = 'merged', version = s.version
WHEN NOT MATCHED THEN INSERT (id, name, version) VALUES (s.id, 'new', 1);
MERGE INTO product AS p USING (VALUES (1, 5), (8, 1)) AS s (id, version) ON p.id = s.id
WHEN MATCHED THEN UPDATE SET name = 'merged', version = s.version
WHEN NOT MATCHED THEN INSERT (id, name, version) VALUES (s.id, 'new', 1);
MERGE INTO product AS p USING (VALUES (1), (2)) AS s (id) ON p.id = s.id
WHEN MATCHED AND s.id = 1 THEN UPDATE SET name = 'unstated'
WHEN MATCHED THEN UPDATE SET name = 'stated', version = p.version;
SELECT id, name, version FROM product WHERE id IN (1, 2, 8) ORDER BY id;

-- FOR loops over RETURNING, cursors, functions, EXECUTE: nothing of the doomed statement is seen.
CREATE FUNCTION loop_over_returning() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    FOR r IN UPDATE product SET stock = 0, version = 6 WHERE id <= 3 RETURNING id LOOP
        RAISE NOTICE 'never seen: %', r;
    END LOOP;
END $$;
SELECT loop_over_returning();
CREATE FUNCTION open_cursor() RETURNS refcursor LANGUAGE plpgsql AS $$
DECLARE
    c refcursor := 'c';
BEGIN
    OPEN c FOR WITH u AS (UPDATE product SET stock = 0, version = 6 WHERE id <= 3 RETURNING id) SELECT * FROM u;
    RETURN c;
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'not opened: %', sqlerrm;
    RETURN NULL;
END $$;
BEGIN;
SELECT open_cursor();
FETCH 1 FROM c;
ROLLBACK;
CREATE FUNCTION in_sql(v bigint) RETURNS SETOF int LANGUAGE sql AS
    'UPDATE product SET stock = 0, version = v WHERE id <= 3 RETURNING id';
SELECT * FROM in_sql(6);
SELECT * FROM in_sql(6) LIMIT 1;
PREPARE p (bigint, int) AS UPDATE product SET stock = 1, version = $1 WHERE id = $2 RETURNING version;
EXECUTE p (7, 1);
EXECUTE p (7, 1);
COPY (UPDATE product SET stock = 2, version = 1 WHERE id = 2 RETURNING id) TO STDOUT;
COPY (UPDATE product SET stock = 2 WHERE id = 2 RETURNING id, version) TO STDOUT;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) UPDATE product SET stock = 2, version = 1 WHERE id = 2;
EXPLAIN (COSTS OFF) UPDATE product SET stock = 2, version = 1 WHERE id = 2;

-- EXCEPTION blocks and savepoints: a conflict undoes just what it should.
DO $$
BEGIN
    UPDATE product SET stock = 50 WHERE id = 3;
    BEGIN
        UPDATE product SET stock = 51, version = 99 WHERE id = 4;
        RAISE NOTICE 'never reached';
    EXCEPTION WHEN SQLSTATE 'PT409' THEN
        RAISE NOTICE 'caught: %', sqlerrm;
    END;
    UPDATE product SET stock = 52 WHERE id = 4;
END $$;
SELECT id, stock, version FROM product WHERE id IN (3, 4) ORDER BY id;
BEGIN;
UPDATE product SET stock = 60 WHERE id = 3 RETURNING version;
SAVEPOINT s;
UPDATE product SET stock = 61, version = 1 WHERE id = 3;
ROLLBACK TO s;
UPDATE product SET stock = 61, version = version WHERE id = 3 RETURNING version;
ROLLBACK TO s;
SELECT stock, version FROM product WHERE id = 3;
COMMIT;

-- Procedures that commit.
DO $$
BEGIN
    FOR i IN 3..4 LOOP
        UPDATE product SET stock = 70 WHERE id = i;
        COMMIT;
        BEGIN
            UPDATE product SET stock = 71, version = 0 WHERE id = i;
        EXCEPTION WHEN SQLSTATE 'PT409' THEN
            RAISE NOTICE 'caught: %', sqlerrm;
        END;
        COMMIT;
    END LOOP;
END $$;

-- An UPDATE of the same table within an UPDATE: each has its own findings.
CREATE FUNCTION nested(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    UPDATE product SET stock = 0, version = 0 WHERE id = 5;
    RETURN n;
EXCEPTION WHEN SQLSTATE 'PT409' THEN
    RAISE NOTICE 'inner: %', sqlerrm;
    RETURN n;
END $$;
UPDATE product SET stock = nested(80), version = 0 WHERE id = 6;
UPDATE product SET stock = nested(80) WHERE id = 6 RETURNING stock;

-- No AFTER trigger works for a doomed statement.
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'after % %', tg_level, tg_op;
    RETURN NULL;
END $$;
CREATE TRIGGER after_row AFTER UPDATE ON product FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER after_statement AFTER UPDATE ON product FOR EACH STATEMENT EXECUTE FUNCTION tell();
UPDATE product SET stock = 90, version = v.version FROM (VALUES (3, 1), (4, 8)) AS v (id, version) WHERE v.id = product.id;
UPDATE product SET stock = 90 WHERE id = 3;
-- With a modifying CTE they run first, and may fail first.
WITH p AS (UPDATE product SET stock = 91, version = v.version FROM (VALUES (3, 1), (4, 8)) AS v (id, version) WHERE v.id = product.id)
SELECT 1;

-- INSERT, DELETE, SELECT FOR UPDATE, TRUNCATE and COPY FROM are as ever.
INSERT INTO other VALUES (9, 'new', 42) RETURNING version;
SELECT version FROM other WHERE id = 9 FOR UPDATE;
DELETE FROM other WHERE id = 9 RETURNING version;
COPY other (id, note, version) FROM STDIN;
9	copied	17
\.
SELECT version FROM other WHERE id = 9;
TRUNCATE other;
DROP TABLE product, other, audit;
DROP FUNCTION loop_over_returning, open_cursor, in_sql, nested, tell;

-- occ.check(), occ.update(), occ.update_safely(), occ.touch(), occ.delete(): what each does, and what it returns.

CREATE TABLE product (id int PRIMARY KEY, name text, price numeric, stock int, version bigint NOT NULL DEFAULT 1);
INSERT INTO product VALUES (1, 'teapot', 10, 3), (2, 'cup', 4, 12), (3, 'saucer', 2, 12), (4, 'spoon', 1, 6);
SELECT occ.enable('product');

-- Each row its own values and its own columns; the results come in the order of the input.
SELECT * FROM occ.update('product', '[{"id":3,"version":1,"price":2.50},{"id":1,"version":1,"name":"pot","stock":2},{"id":2,"price":5,"version":"1"}]');
SELECT * FROM product ORDER BY id;
-- The result feeds straight back: versions may be strings.
WITH first AS MATERIALIZED (
    SELECT * FROM occ.update('product', '[{"id":4,"version":1,"stock":5}]'))
SELECT * FROM occ.update('product', (SELECT jsonb_agg(key || jsonb_build_object('version', version, 'stock', 4)) FROM first));
-- One object is as good as an array of one.
SELECT * FROM occ.update('product', '{"id":4,"version":3,"stock":6}');
-- Whole rows, as they were read; the version that comes back is the one that is stored.
SELECT * FROM occ.update('product', (SELECT jsonb_agg(to_jsonb(product) || '{"stock": 9}' ORDER BY id DESC) FROM product));
-- An element without values moves the version, as UPDATE ... SET version = ... would.
SELECT * FROM occ.update('product', '[{"id":4,"version":5}]');
SELECT * FROM product ORDER BY id;

-- All or nothing: the error lists every stale and every missing row, in the order of the input.
SELECT * FROM occ.update('product', '[{"id":9,"version":1,"price":0},{"id":2,"version":1,"price":0},{"id":1,"version":3,"price":0},{"id":4,"version":null,"price":0}]');
SELECT * FROM product ORDER BY id;
-- Or skip them.
SELECT * FROM occ.update('product', '[{"id":9,"version":1,"price":0},{"id":2,"version":1,"price":0},{"id":1,"version":3,"price":11}]', 'skip');
SELECT * FROM occ.update('product', '[{"id":9,"version":1,"price":0}]', on_conflict => 'skip');
SELECT id, price, version FROM product ORDER BY id;
-- No rows are a success with no rows.
SELECT * FROM occ.update('product', '[]');
SELECT * FROM occ.check('product', '[]');
SELECT * FROM occ.update_safely('product', '[]', '{"price":1}');
SELECT * FROM occ.delete('product', '[]');
SELECT * FROM occ.touch('product', '[]');

-- occ.check() locks and verifies, and writes nothing.
BEGIN;
SELECT * FROM occ.check('product', '[{"id":2,"version":3},{"id":1,"version":4}]');
SELECT * FROM occ.check('product', '[{"id":2,"version":3}]', 'share');
SELECT * FROM occ.check('product', '[{"id":2,"version":3}]', lock => 'no key update');
SELECT * FROM occ.check('product', '[{"id":2,"version":3}]', NULL);
COMMIT;
SELECT * FROM occ.check('product', '[{"id":2,"version":2},{"id":7,"version":4}]');
SELECT count(*) FROM occ.check('product', (SELECT jsonb_agg(to_jsonb(product)) FROM product));

-- occ.update_safely(): one change for every row of a snapshot.
SELECT * FROM occ.update_safely('product', '[{"id":1,"version":4},{"id":2,"version":3}]', '{"stock":0,"price":7}');
SELECT * FROM occ.update_safely('product', '[{"id":1,"version":4},{"id":2,"version":4}]', '{"stock":1}');
SELECT * FROM occ.update_safely('product', '[{"id":1,"version":4},{"id":2,"version":4}]', '{"stock":1}', on_conflict => 'skip');
-- With lock_fields, they decide and not the version, which moves all the same.
SELECT * FROM occ.update_safely('product', '[{"id":1,"stock":0},{"id":2,"stock":1}]', '{"stock":5}', '{stock}');
SELECT * FROM occ.update_safely('product', '[{"id":1,"stock":0,"price":7},{"id":2,"stock":5,"price":7},{"id":8,"stock":1,"price":1}]', '{"stock":6}', '{stock,price}');
SELECT * FROM occ.update_safely('product', '[{"id":1,"stock":0,"price":7},{"id":2,"stock":5,"price":7.00}]', '{"stock":6}', '{stock,price}', 'skip');
-- The version may be one of them.
SELECT * FROM occ.update_safely('product', '[{"id":2,"stock":6,"version":6}]', '{"stock":7}', '{version,stock}');
SELECT * FROM occ.update_safely('product', '[{"id":2,"stock":7,"version":6}]', '{"stock":8}', '{version,stock}');
-- NULL equals NULL.
UPDATE product SET name = NULL WHERE id = 3;
SELECT * FROM occ.update_safely('product', '[{"id":3,"name":null}]', '{"name":"plate"}', '{name}');
SELECT * FROM occ.update_safely('product', '[{"id":3,"name":null}]', '{"name":null}', '{name}');
SELECT * FROM product ORDER BY id;

-- occ.touch(): the root of an aggregate whose children have changed.
SELECT * FROM occ.touch('product', '[{"id":3,"version":5},{"id":1,"version":6}]');
SELECT * FROM occ.touch('product', '[{"id":3,"version":5},{"id":1,"version":7}]');
SELECT * FROM occ.touch('product', '[{"id":3,"version":5},{"id":1,"version":7}]', 'skip');

-- occ.delete()
SELECT * FROM occ.delete('product', '[{"id":3,"version":5},{"id":1,"version":8}]');
SELECT * FROM occ.delete('product', '[{"id":3,"version":5},{"id":1,"version":8},{"id":9,"version":1}]', 'skip');
SELECT * FROM occ.delete('product', '[{"id":1,"version":8}]');
SELECT id, version FROM product ORDER BY id;

-- In PL/pgSQL: occ.conflicts() gives the rows back, lock fields as the text of an object.
DO $$
DECLARE
    detail text;
    c record;
BEGIN
    PERFORM occ.update_safely('product', '[{"id":2,"stock":1,"name":"x"},{"id":77,"stock":1,"name":null}]', '{"stock":2}', '{stock,name}');
EXCEPTION WHEN SQLSTATE 'PT409' THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    FOR c IN SELECT * FROM occ.conflicts(detail) LOOP
        RAISE NOTICE '% % expected % actual %', c.key, c.status, c.expected, c.actual;
    END LOOP;
END $$;
-- The error's fields.
DO $$
DECLARE
    state text; schema text; relation text; col text; con text;
BEGIN
    PERFORM occ.touch('product', '[{"id":2,"version":1}]');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, schema = SCHEMA_NAME, relation = TABLE_NAME, col = COLUMN_NAME, con = CONSTRAINT_NAME;
    RAISE NOTICE '% % % % %', state, schema, relation, col, con;
END $$;

-- What an ordinary statement in the same transaction does counts as well, and nothing is left out between check and write.
BEGIN;
UPDATE product SET stock = 1 WHERE id = 2;
SELECT * FROM occ.update('product', '[{"id":2,"version":7,"stock":2}]', 'skip');
SELECT * FROM occ.update('product', '[{"id":2,"version":8,"stock":2}]');
SELECT * FROM occ.update('product', '[{"id":2,"version":9,"stock":3}]');
ROLLBACK;

-- A savepoint that is rolled back gives everything back.
BEGIN;
SAVEPOINT a;
SELECT * FROM occ.update('product', '[{"id":2,"version":7,"stock":2},{"id":4,"version":1,"stock":3}]');
ROLLBACK TO a;
SELECT * FROM occ.update('product', '[{"id":2,"version":7,"stock":2}]');
COMMIT;

-- max_reported_rows holds here, too, and conflict_sqlstate.
SET occ_lock.max_reported_rows = 2;
SELECT * FROM occ.check('product', '[{"id":7,"version":1},{"id":8,"version":1},{"id":9,"version":1}]');
RESET occ_lock.max_reported_rows;
SET occ_lock.conflict_sqlstate = '40001';
DO $$
BEGIN
    PERFORM occ.delete('product', '[{"id":7,"version":1}]');
EXCEPTION WHEN serialization_failure THEN
    RAISE NOTICE 'serialization failure';
END $$;
RESET occ_lock.conflict_sqlstate;

-- A conflict beside a value that the table does not take: one of the two is reported, and nothing is written.
ALTER TABLE product ADD CHECK (stock >= 0), ADD UNIQUE (name);
CREATE TABLE offer (product text REFERENCES product (name));
INSERT INTO offer VALUES ('cup');
SELECT * FROM occ.update('product', '[{"id":2,"version":8,"stock":-1},{"id":4,"version":1,"stock":1}]');
SELECT * FROM occ.update('product', '[{"id":4,"version":1,"name":"fork"},{"id":2,"version":8,"name":"mug"}]');
SELECT * FROM occ.update('product', '[{"id":4,"version":6,"name":"fork"},{"id":2,"version":8,"name":"mug"}]');
SELECT * FROM product ORDER BY id;
DROP TABLE offer;

DROP TABLE product;

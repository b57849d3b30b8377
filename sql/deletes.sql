-- deletes => 'checked': only occ.delete() and referential actions delete.

CREATE TABLE customer (id int PRIMARY KEY, name text, version bigint NOT NULL DEFAULT 1);
CREATE TABLE purchase (id int PRIMARY KEY, customer int REFERENCES customer ON DELETE CASCADE ON UPDATE CASCADE, note text, version bigint NOT NULL DEFAULT 1);
INSERT INTO customer VALUES (1), (2), (3), (4);
INSERT INTO purchase VALUES (10, 1), (20, 2), (30, 3), (31, 3);
SELECT occ.enable('purchase', deletes => 'checked');
SELECT table_name, deletes, token, unstated FROM occ.tables;
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = '_occ_guard';

DELETE FROM purchase;
DELETE FROM purchase WHERE id = 10;
DELETE FROM purchase WHERE id = 77;
DELETE FROM purchase USING customer WHERE customer = customer.id AND customer.id = 1;
WITH gone AS (DELETE FROM purchase WHERE id = 10 RETURNING *) SELECT count(*) FROM gone;
WITH kept AS (UPDATE purchase SET note = 'x' WHERE id = 10 RETURNING id) DELETE FROM purchase USING kept WHERE purchase.id = 20;
MERGE INTO purchase USING (VALUES (10)) AS v (id) ON purchase.id = v.id WHEN MATCHED THEN DELETE;
MERGE INTO purchase USING (VALUES (10), (20)) AS v (id) ON purchase.id = v.id WHEN MATCHED AND v.id = 10 THEN UPDATE SET note = 'x' WHEN MATCHED THEN DELETE;
DO $$ BEGIN DELETE FROM purchase; END $$;
CREATE VIEW purchases AS SELECT * FROM purchase;
DELETE FROM purchases;
DROP VIEW purchases;
DO $$
DECLARE
    state text; schema text; relation text; col text; con text;
BEGIN
    DELETE FROM purchase;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, schema = SCHEMA_NAME, relation = TABLE_NAME, col = COLUMN_NAME, con = CONSTRAINT_NAME;
    RAISE NOTICE '% % % % %', state, schema, relation, col, con;
END $$;
-- All else goes on as before.
UPDATE purchase SET note = 'blind' WHERE id = 10 RETURNING version;
INSERT INTO purchase VALUES (10, 1) ON CONFLICT (id) DO UPDATE SET note = 'upserted' RETURNING version;
SELECT * FROM occ.delete('purchase', '[{"id":10,"version":1}]');
SELECT * FROM occ.delete('purchase', '[{"id":10,"version":3}]');

-- Referential actions delete; a user's DELETE in a trigger that a cascade fires does not.
DELETE FROM customer WHERE id = 2;
SELECT id FROM purchase ORDER BY id;
CREATE FUNCTION delete_more() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM purchase WHERE id = 31;
    RETURN OLD;
END $$;
CREATE TRIGGER delete_more BEFORE DELETE ON purchase FOR EACH ROW WHEN (OLD.id = 30) EXECUTE FUNCTION delete_more();
DELETE FROM customer WHERE id = 3;
DROP TRIGGER delete_more ON purchase;
DROP FUNCTION delete_more;
DELETE FROM customer WHERE id = 3;
SELECT count(*) FROM purchase;
-- Other referential actions on the row that points: SET NULL is an update.
ALTER TABLE purchase DROP CONSTRAINT purchase_customer_fkey;
ALTER TABLE purchase ADD FOREIGN KEY (customer) REFERENCES customer ON DELETE SET NULL;
INSERT INTO purchase VALUES (40, 4);
DELETE FROM customer WHERE id = 4;
SELECT * FROM purchase;
-- TRUNCATE is no row delete.
TRUNCATE purchase;

-- enforce => 'warn', bypass, replication.
INSERT INTO purchase VALUES (1), (2), (3), (4);
SELECT occ.enable('purchase', deletes => 'checked', enforce => 'warn');
DELETE FROM purchase WHERE id = 1;
DELETE FROM purchase WHERE id IN (2, 77);
SELECT occ.enable('purchase', deletes => 'checked');
SET occ_lock.bypass = on;
DELETE FROM purchase WHERE id = 3 RETURNING id;
RESET occ_lock.bypass;
SET session_replication_role = replica;
DELETE FROM purchase WHERE id = 4 RETURNING id;
RESET session_replication_role;
DROP TABLE purchase, customer;

-- A self-referencing table.
CREATE TABLE node (id int PRIMARY KEY, parent int REFERENCES node ON DELETE CASCADE, version int NOT NULL DEFAULT 1);
INSERT INTO node VALUES (1, NULL), (2, 1), (3, 2);
SELECT occ.enable('node', preset => 'strict');
DELETE FROM node WHERE id = 1;
SELECT * FROM occ.delete('node', '[{"id":1,"version":1}]');
SELECT count(*) FROM node;
DROP TABLE node;

-- A row that moves to another partition is no delete; a delete in the same statement is one.
CREATE TABLE part (id int, region text, note text, version int NOT NULL DEFAULT 1, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE part_a PARTITION OF part FOR VALUES IN ('a');
CREATE TABLE part_b PARTITION OF part FOR VALUES IN ('b');
INSERT INTO part SELECT i, 'a' FROM generate_series(1, 6) AS i;
SELECT occ.enable('part', deletes => 'checked');
UPDATE part SET region = 'b', version = 1 WHERE id = 1 RETURNING tableoid::regclass, *;
UPDATE part SET region = 'b' WHERE id IN (2, 3);
UPDATE part SET region = 'b', version = 7 WHERE id = 4;
MERGE INTO part USING (VALUES (4), (5)) AS v (id) ON part.id = v.id WHEN MATCHED AND v.id = 4 THEN UPDATE SET region = 'b' WHEN MATCHED THEN DELETE;
DELETE FROM part WHERE id = 1;
DELETE FROM part_b WHERE id = 1;
WITH moved AS (UPDATE part SET region = 'b' WHERE id = 4 RETURNING *) DELETE FROM part_a WHERE id = 4;
WITH moved AS (UPDATE part SET region = 'b' WHERE id = 4 RETURNING *) DELETE FROM part_a WHERE id = 5;
WITH changed AS (UPDATE part SET note = 'x' WHERE id = 5 RETURNING *) DELETE FROM part_a WHERE id = 5;
CREATE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN NULL;
END $$;
CREATE TRIGGER leave_out BEFORE UPDATE ON part_a FOR EACH ROW WHEN (OLD.id = 5) EXECUTE FUNCTION leave_out();
WITH changed AS (UPDATE part SET note = 'x' WHERE id = 5 RETURNING *) DELETE FROM part_a WHERE id = 5;
-- Nor is the second action of a MERGE on a row that a trigger has left as it was; a MERGE that can't delete may move rows.
MERGE INTO part USING (VALUES (5, 1), (5, 2)) AS v (id, n) ON part.id = v.id WHEN MATCHED AND v.n = 1 THEN UPDATE SET note = 'x' WHEN MATCHED THEN DELETE;
MERGE INTO part USING (VALUES (5, 1), (5, 2)) AS v (id, n) ON part.id = v.id WHEN MATCHED AND v.n = 1 THEN UPDATE SET region = 'b' WHEN MATCHED THEN DELETE;
MERGE INTO part USING (VALUES (6)) AS v (id) ON part.id = v.id WHEN MATCHED AND v.id = 6 THEN UPDATE SET region = 'b' WHEN MATCHED THEN DELETE;
MERGE INTO part USING (VALUES (6)) AS v (id) ON part.id = v.id WHEN MATCHED THEN UPDATE SET region = 'b';
DROP TRIGGER leave_out ON part_a;
MERGE INTO part USING (VALUES (5), (6)) AS v (id) ON part.id = v.id WHEN MATCHED AND v.id = 5 THEN UPDATE SET region = 'b' WHEN MATCHED AND v.id = 77 THEN DELETE;
DROP FUNCTION leave_out;
SELECT tableoid::regclass, * FROM part ORDER BY id;
SELECT status FROM occ.delete('part', (SELECT jsonb_agg(to_jsonb(part)) FROM part));
DROP TABLE part;

-- Inheritance children have checked deletes as well.
CREATE TABLE parent (id int PRIMARY KEY, version int NOT NULL DEFAULT 1);
CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
INSERT INTO child VALUES (1);
SELECT occ.enable('parent', preset => 'strict');
DELETE FROM parent;
DELETE FROM child;
SELECT * FROM occ.delete('parent', '[{"id":1,"version":1}]');
DROP TABLE parent CASCADE;

-- Triggers made by hand: a preset may be had without its deletes, the option may not.
CREATE TABLE t (id int PRIMARY KEY, version int NOT NULL DEFAULT 1);
INSERT INTO t VALUES (1), (2), (3);
CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard('version', 'preset=strict');
DELETE FROM t WHERE id = 3;
UPDATE t SET version = 1 WHERE id = 1;
SELECT deletes FROM occ.tables;
DROP TRIGGER g ON t;
CREATE TRIGGER g BEFORE UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard('version', 'preset=strict');
DELETE FROM t WHERE id = 2;
SELECT deletes FROM occ.tables;
DROP TRIGGER g ON t;
CREATE TRIGGER g BEFORE UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard('version');
DELETE FROM t WHERE id = 2 RETURNING id;
SELECT deletes FROM occ.tables;
DROP TRIGGER g ON t;
CREATE TRIGGER g BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard('version', 'deletes=checked');
DELETE FROM t WHERE id = 1;
UPDATE t SET version = 7;
DROP TRIGGER g ON t;
CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard('version', 'deletes=checked');
UPDATE t SET version = 7;
DROP TRIGGER g ON t;
CREATE TRIGGER g BEFORE UPDATE OF id OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard('version', 'deletes=checked');
UPDATE t SET id = id;
DELETE FROM t;
DROP TRIGGER g ON t;
CREATE TRIGGER _occ_guard BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard('version', 'deletes=checked');
SELECT occ.enable('t', deletes => 'checked');
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = '_occ_guard';
SELECT occ.enable('t', deletes => 'checked');
SELECT occ.enable('t');
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = '_occ_guard';
DROP TABLE t;

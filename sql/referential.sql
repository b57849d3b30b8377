-- Referential actions never state a version, so strict lets them through; and only them.

CREATE TABLE customer (id int PRIMARY KEY, name text);
CREATE TABLE region (code text PRIMARY KEY);
CREATE TABLE purchase (
    id int PRIMARY KEY,
    customer int DEFAULT 0 REFERENCES customer ON UPDATE CASCADE ON DELETE SET NULL,
    region text DEFAULT 'none' REFERENCES region ON UPDATE SET DEFAULT ON DELETE SET DEFAULT,
    note text
);
INSERT INTO customer VALUES (0, 'nobody'), (1, 'one'), (2, 'two'), (3, 'three');
INSERT INTO region VALUES ('none'), ('eu'), ('us');
INSERT INTO purchase VALUES (10, 1, 'eu'), (11, 1, 'us'), (12, 2, 'eu'), (13, 3, 'us');
SELECT occ.enable('purchase', preset => 'strict');

UPDATE customer SET id = 100 WHERE id = 1;
SELECT * FROM purchase ORDER BY id;
DELETE FROM customer WHERE id = 2;
DELETE FROM region WHERE code = 'eu';
UPDATE region SET code = 'america' WHERE code = 'us';
SELECT * FROM purchase ORDER BY id;
UPDATE purchase SET note = 'blind';

-- unstated => 'keep' holds for them, too, and 'warn' does not warn about them.
SELECT occ.enable('purchase', unstated => 'keep');
UPDATE customer SET id = 101 WHERE id = 100;
SELECT id, customer, version FROM purchase WHERE id = 10;
SELECT occ.enable('purchase', unstated => 'warn');
UPDATE customer SET id = 102 WHERE id = 101;
SELECT id, customer, version FROM purchase WHERE id = 10;

-- A user's UPDATE in a trigger that a cascade fires is no referential action.
SELECT occ.enable('purchase', preset => 'strict');
CREATE TABLE history (id int PRIMARY KEY, n int DEFAULT 0);
INSERT INTO history VALUES (1);
SELECT occ.enable('history', preset => 'strict');
CREATE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE history SET n = n + 1;
    RETURN NEW;
END $$;
CREATE TRIGGER before_change BEFORE UPDATE ON purchase FOR EACH ROW EXECUTE FUNCTION count_change();
UPDATE customer SET id = 103 WHERE id = 102;
DROP TRIGGER before_change ON purchase;
CREATE TRIGGER after_change AFTER UPDATE ON purchase FOR EACH ROW EXECUTE FUNCTION count_change();
UPDATE customer SET id = 103 WHERE id = 102;
DROP TRIGGER after_change ON purchase;
-- Under enforce => 'warn' it gets its warning.
SELECT occ.enable('history', preset => 'strict', enforce => 'warn');
CREATE TRIGGER before_change BEFORE UPDATE ON purchase FOR EACH ROW EXECUTE FUNCTION count_change();
UPDATE customer SET id = 103 WHERE id = 102;
SELECT * FROM history;
DROP TRIGGER before_change ON purchase;
-- One that states the version passes.
SELECT occ.enable('history', preset => 'strict');
CREATE OR REPLACE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE history SET n = n + 1, version = version;
    RETURN NEW;
END $$;
CREATE TRIGGER before_change BEFORE UPDATE ON purchase FOR EACH ROW EXECUTE FUNCTION count_change();
UPDATE customer SET id = 104 WHERE id = 103;
SELECT * FROM history;
DROP TABLE history;
DROP TRIGGER before_change ON purchase;

-- A cascade that ends in a conflict: the version column is itself a foreign key.
CREATE TABLE revision (n bigint PRIMARY KEY);
INSERT INTO revision VALUES (1), (2), (3);
CREATE TABLE document (id int PRIMARY KEY, revision bigint REFERENCES revision ON UPDATE CASCADE);
INSERT INTO document VALUES (1, 1), (2, 2);
SELECT occ.enable('document', 'revision');
UPDATE revision SET n = 9 WHERE n = 1;
UPDATE revision SET n = 9 WHERE n = 3;

-- The guard does not get in the way of checks: deferred ones, and those of the referenced side.
SELECT occ.enable('customer');
UPDATE customer SET id = 105, version = 1 WHERE id = 104;
UPDATE customer SET id = 106, version = 1 WHERE id = 105;
SELECT id, customer, version FROM purchase WHERE id = 10;
DROP TABLE purchase, customer, region, document, revision;
DROP FUNCTION count_change;

-- The set functions on every kind of table and key.

-- A key of several columns, one of which a change moves; quoted names.
CREATE SCHEMA "Odd schema";
CREATE TABLE "Odd schema"."Table ""x"" y" ("Key k" int, "order" text, "Version v" timestamptz NOT NULL DEFAULT '2026-01-01Z', "a 'b' ""c"" %I $1" text, PRIMARY KEY ("order", "Key k"));
INSERT INTO "Odd schema"."Table ""x"" y" VALUES (1, 'a'), (2, 'a'), (1, 'b');
SELECT occ.enable('"Odd schema"."Table ""x"" y"', 'Version v');
SELECT key, status FROM occ.update('"Odd schema"."Table ""x"" y"', (SELECT jsonb_agg(to_jsonb(t) || '{"a ''b'' \"c\" %I $1": "new"}') FROM "Odd schema"."Table ""x"" y" AS t));
SELECT * FROM occ.check('"Odd schema"."Table ""x"" y"', '[{"order":"b","Key k":2,"Version v":null},{"order":"c","Key k":1,"Version v":"2026-01-01Z"}]');
SELECT key, status FROM occ.update_safely('"Odd schema"."Table ""x"" y"', (SELECT jsonb_agg(to_jsonb(t)) FROM "Odd schema"."Table ""x"" y" AS t WHERE "order" = 'a'), '{"order":"z"}');
SELECT "Key k", "order", "a 'b' ""c"" %I $1" FROM "Odd schema"."Table ""x"" y" ORDER BY 1, 2;
SELECT key, status FROM occ.delete('"Odd schema"."Table ""x"" y"', (SELECT jsonb_agg(to_jsonb(t)) FROM "Odd schema"."Table ""x"" y" AS t));
DROP SCHEMA "Odd schema" CASCADE;

-- A key that is not the primary key: a unique index, the option key, and one whose index has its own collation.
CREATE TABLE u (a int NOT NULL, b text NOT NULL, c int, note text, version int NOT NULL DEFAULT 1);
CREATE UNIQUE INDEX u_b ON u (b COLLATE "C");
CREATE UNIQUE INDEX u_c ON u (c);
INSERT INTO u VALUES (1, 'x', 10), (2, 'X', NULL), (3, 'y', 30);
SELECT occ.enable('u');
SELECT * FROM occ.update('u', '[{"b":"y","version":1,"note":"n"},{"b":"X","version":1,"a":20}]');
SELECT occ.enable('u', key => '{c}');
SELECT * FROM occ.update('u', '[{"c":10,"version":1,"b":"z"},{"c":20,"version":1,"b":"zz"}]', 'skip');
SELECT * FROM occ.check('u', '[{"c":null,"version":2}]');
SELECT * FROM u ORDER BY a;
DROP TABLE u;

-- Without a guard: compare-and-set by value.
CREATE TABLE stock (sku text PRIMARY KEY, left_over int, at timestamp);
INSERT INTO stock VALUES ('a', 3, '2026-01-01 00:00:00.123456'), ('b', 5, NULL);
SELECT * FROM occ.update_safely('stock', '[{"sku":"a","left_over":3}]', '{"left_over":2}', '{left_over}');
SELECT * FROM occ.update_safely('stock', '[{"sku":"a","left_over":3}]', '{"left_over":2}', '{left_over}');
SELECT * FROM occ.update_safely('stock', (SELECT jsonb_agg(to_jsonb(stock)) FROM stock), '{"left_over":0,"at":"2026-02-02"}', '{at}', 'skip');
SELECT * FROM occ.update_safely('stock', '[{"sku":"a","at":"2026-02-02"},{"sku":"b","at":null}]', '{"left_over":1}', '{at}');
SELECT * FROM stock ORDER BY sku;
DROP TABLE stock;

-- Partitions: through the partitioned table, directly, moving, with deletes checked.
CREATE TABLE part (id int, region text, note text, version int NOT NULL DEFAULT 1, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE part_eu PARTITION OF part FOR VALUES IN ('eu');
CREATE TABLE part_us PARTITION OF part FOR VALUES IN ('us') PARTITION BY RANGE (id);
CREATE TABLE part_us_1 PARTITION OF part_us FOR VALUES FROM (1) TO (10);
CREATE TABLE part_us_2 (note text, version int NOT NULL DEFAULT 1, dropped int, region text NOT NULL, id int NOT NULL);
ALTER TABLE part_us_2 DROP COLUMN dropped;
ALTER TABLE part_us ATTACH PARTITION part_us_2 FOR VALUES FROM (10) TO (20);
INSERT INTO part VALUES (1, 'eu'), (1, 'us'), (11, 'us'), (12, 'us');
SELECT occ.enable('part', preset => 'strict');
SELECT * FROM occ.update('part', (SELECT jsonb_agg(to_jsonb(part) || '{"note":"all"}' ORDER BY id, region) FROM part));
SELECT * FROM occ.update('part', '[{"id":11,"region":"us","version":1,"note":"x"},{"id":1,"region":"eu","version":2,"note":"x"},{"id":2,"region":"eu","version":2}]');
SELECT * FROM occ.update('part_us', '[{"id":11,"region":"us","version":2,"note":"direct"},{"id":1,"region":"us","version":1}]', 'skip');
SELECT * FROM occ.touch('part_us_2', '[{"id":11,"region":"us","version":3}]');
SELECT * FROM occ.check('part_us_2', '[{"id":12,"region":"us","version":7}]');
SELECT * FROM occ.update_safely('part', '[{"id":1,"region":"us","version":2},{"id":12,"region":"us","version":2}]', '{"region":"eu","id":7}', on_conflict => 'skip');
SELECT * FROM occ.update_safely('part', '[{"id":12,"region":"us","version":2}]', '{"region":"eu"}');
SELECT tableoid::regclass, * FROM part ORDER BY id, region;
SELECT * FROM occ.delete('part', (SELECT jsonb_agg(to_jsonb(part) ORDER BY id, region) FROM part));
DROP TABLE part;

-- Inheritance: a key that two tables hold names more than one row.
CREATE TABLE parent (id int PRIMARY KEY, note text, version int NOT NULL DEFAULT 1);
CREATE TABLE child (more text, PRIMARY KEY (id)) INHERITS (parent);
INSERT INTO parent VALUES (1), (2);
INSERT INTO child VALUES (2), (3);
SELECT occ.enable('parent');
SELECT * FROM occ.update('parent', '[{"id":1,"version":1,"note":"p"},{"id":3,"version":1,"note":"c"}]');
SELECT * FROM occ.update('parent', '[{"id":1,"version":2},{"id":2,"version":1,"note":"p"}]');
SELECT * FROM occ.update('child', '[{"id":2,"version":1,"more":"m"}]');
SELECT tableoid::regclass, * FROM parent ORDER BY 1, 2;
DROP TABLE parent CASCADE;

-- Foreign tables: the guard on this side, and a partition that is one.
CREATE EXTENSION postgres_fdw;
DO $$
BEGIN
    EXECUTE format('CREATE SERVER loopback FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname %L, host %L, port %L)',
                   current_database(), split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'));
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER loopback;
CREATE TABLE local (id int PRIMARY KEY, note text, version bigint NOT NULL DEFAULT 5);
INSERT INTO local VALUES (1, 'one'), (2, 'two'), (3, 'three');
CREATE FOREIGN TABLE remote (id int, note text, version bigint) SERVER loopback OPTIONS (table_name 'local');
SELECT * FROM occ.update_safely('remote', '[{"id":1,"note":"one"}]', '{"note":"eins"}', '{note}');
SELECT occ.enable('remote', key => '{id}');
SELECT * FROM occ.update('remote', '[{"id":3,"version":5,"note":"drei"},{"id":1,"version":5,"note":"eins"}]');
SELECT * FROM occ.update('remote', '[{"id":3,"version":5,"note":"x"},{"id":2,"version":5,"note":"x"},{"id":7,"version":5,"note":"x"}]');
SELECT * FROM occ.update('remote', '[{"id":3,"version":5,"note":"x"},{"id":2,"version":5,"note":"zwei"},{"id":7,"version":5,"note":"x"}]', 'skip');
SELECT * FROM occ.update_safely('remote', '[{"id":1,"note":"eins"},{"id":2,"note":"zwei"}]', '{"note":"both"}', '{note}');
SELECT * FROM occ.touch('remote', '[{"id":1,"version":7}]');
SELECT * FROM occ.check('remote', '[{"id":1,"version":8}]', 'share');
SELECT * FROM occ.delete('remote', '[{"id":3,"version":6}]');
SELECT * FROM local ORDER BY id;
-- The guard on the other side is asked as well.
SELECT occ.enable('local', preset => 'strict');
UPDATE local SET note = 'meanwhile', version = version WHERE id = 2;
SELECT * FROM occ.update('remote', '[{"id":2,"version":7,"note":"stale"}]');
SELECT occ.disable('local');
SELECT occ.disable('remote');
CREATE TABLE mixed (id int, note text, version bigint NOT NULL DEFAULT 1) PARTITION BY RANGE (id);
CREATE TABLE mixed_1 PARTITION OF mixed FOR VALUES FROM (100) TO (200);
ALTER FOREIGN TABLE remote ALTER COLUMN version SET NOT NULL;
ALTER TABLE mixed ATTACH PARTITION remote FOR VALUES FROM (1) TO (100);
INSERT INTO mixed_1 VALUES (100, 'here');
SELECT occ.enable('mixed', key => '{id}');
SELECT key, status, version FROM occ.update('mixed', (SELECT jsonb_agg(to_jsonb(mixed) || '{"note":"all"}' ORDER BY id) FROM mixed));
SELECT * FROM occ.touch('mixed', '[{"id":1,"version":1},{"id":100,"version":1},{"id":101,"version":1}]');
SELECT tableoid::regclass, * FROM mixed ORDER BY id;
DROP TABLE mixed, local;
DROP EXTENSION postgres_fdw CASCADE;

-- Temporary tables, unlogged ones, and a table that is made and filled in the same transaction.
BEGIN;
CREATE TEMPORARY TABLE scratch (id int PRIMARY KEY, note text, version int NOT NULL DEFAULT 1) ON COMMIT DROP;
INSERT INTO scratch VALUES (1), (2);
SELECT occ.enable('scratch');
SELECT * FROM occ.update('scratch', '[{"id":1,"version":1,"note":"x"}]');
SELECT * FROM occ.check('scratch', '[{"id":2,"version":2}]');
ROLLBACK;

-- Other triggers: one that changes the row, one that leaves it out, AFTER triggers, statement triggers once a column set.
CREATE TABLE item (id int PRIMARY KEY, note text, stamp text, amount int DEFAULT 0, version int NOT NULL DEFAULT 1);
INSERT INTO item SELECT generate_series(1, 4);
SELECT occ.enable('item', preset => 'strict');
CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.note = 'leave' THEN
        RETURN NULL;
    END IF;
    NEW.stamp := 'stamped';
    RETURN NEW;
END $$;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE '% % %', TG_OP, TG_LEVEL, CASE WHEN TG_LEVEL = 'ROW' THEN coalesce(NEW, OLD)::text END;
    RETURN NULL;
END $$;
CREATE TRIGGER change BEFORE UPDATE ON item FOR EACH ROW EXECUTE FUNCTION change();
CREATE TRIGGER tell_row AFTER UPDATE OR DELETE ON item FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER tell_statement AFTER UPDATE OR DELETE ON item FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER tell_amount AFTER UPDATE OF amount ON item FOR EACH STATEMENT EXECUTE FUNCTION tell();
SELECT * FROM occ.update('item', '[{"id":1,"version":1,"note":"a"},{"id":2,"version":1,"note":"leave"},{"id":3,"version":1,"amount":7},{"id":4,"version":1,"note":"b"}]');
SELECT * FROM item ORDER BY id;
-- A trigger that turns deletes into something else: the row was checked, and is still there.
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN NULL;
END $$;
CREATE TRIGGER keep BEFORE DELETE ON item FOR EACH ROW WHEN (OLD.id = 2) EXECUTE FUNCTION keep();
SELECT * FROM occ.delete('item', '[{"id":1,"version":2},{"id":2,"version":1}]');
-- A constraint stops the whole batch.
ALTER TABLE item ADD CHECK (amount < 10);
DROP TRIGGER tell_row ON item;
DROP TRIGGER tell_statement ON item;
DROP TRIGGER tell_amount ON item;
SELECT * FROM occ.update('item', '[{"id":2,"version":1,"amount":5},{"id":3,"version":2,"amount":50}]');
SELECT * FROM item ORDER BY id;
-- Triggers that call set functions, of the same table and of another one, in the middle of a batch.
CREATE TABLE total (id int PRIMARY KEY, amount int NOT NULL, version int NOT NULL DEFAULT 1);
INSERT INTO total VALUES (1, 0);
SELECT occ.enable('total');
CREATE FUNCTION sum_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM occ.update('total', (SELECT jsonb_agg(to_jsonb(total) || jsonb_build_object('amount', total.amount + NEW.amount)) FROM total));
    IF NEW.note IS DISTINCT FROM 'again' THEN
        PERFORM occ.update('item', jsonb_build_object('id', NEW.id, 'version', NEW.version, 'note', 'again', 'amount', NEW.amount));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER sum_up AFTER UPDATE ON item FOR EACH ROW EXECUTE FUNCTION sum_up();
SELECT * FROM occ.update('item', '[{"id":3,"version":2,"note":"x","amount":2},{"id":4,"version":2,"note":"x","amount":3}]');
SELECT * FROM item ORDER BY id;
SELECT * FROM total;
DROP TABLE item, total;
DROP FUNCTION change, tell, keep, sum_up;

-- A rule would write elsewhere.
CREATE TABLE ruled (id int PRIMARY KEY, note text, version int NOT NULL DEFAULT 1);
INSERT INTO ruled VALUES (1);
SELECT occ.enable('ruled');
CREATE RULE nothing AS ON UPDATE TO ruled DO INSTEAD NOTHING;
SELECT * FROM occ.update('ruled', '[{"id":1,"version":1,"note":"x"}]');
DROP TABLE ruled;

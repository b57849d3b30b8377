-- What the set functions rely on: a guard that fires for every row, and a mark that nobody else can have.

CREATE FUNCTION twice(call text) RETURNS TABLE (result text) LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    FOR i IN 1..2 LOOP
        BEGIN
            EXECUTE 'SELECT concat_ws('' '', key, status, version) FROM ' || call INTO result;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
            result := SQLSTATE || ' ' || SQLERRM || E'\n' || detail;
        END;
        RETURN NEXT;
    END LOOP;
END $$;

-- A child that was made later has no guard; a partition's may be disabled.
CREATE TABLE parent (id int PRIMARY KEY, a int, seen int, version bigint NOT NULL DEFAULT 1);
SELECT occ.enable('parent');
CREATE TABLE child () INHERITS (parent);
INSERT INTO child VALUES (1, 0);
SELECT twice('occ.update(''parent'', ''{"id":1,"version":1,"a":1}'')');
SELECT twice('occ.touch(''parent'', ''{"id":1,"version":1}'')');
SELECT occ.enable('parent', ignore => '{seen}');
SELECT twice('occ.update(''parent'', ''{"id":1,"version":1,"seen":1}'')');
-- Ignored columns are ignored where all is well, with the guard that the child has now and without.
SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgname = '_occ_guard' ORDER BY 1;
DROP TRIGGER _occ_guard ON child;
SELECT twice('occ.update(''parent'', ''{"id":1,"version":1,"seen":2}'')');
TABLE parent;
DROP TABLE parent CASCADE;
CREATE TABLE part (id int PRIMARY KEY, a int, version bigint NOT NULL DEFAULT 1) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
INSERT INTO part VALUES (1);
SELECT occ.enable('part');
ALTER TABLE part_1 DISABLE TRIGGER USER;
SELECT twice('occ.update(''part'', ''{"id":1,"version":1,"a":1}'')');
SELECT twice('occ.update(''part_1'', ''{"id":1,"version":1,"a":1}'')');
SELECT * FROM part;
-- With ignore, only the row's own table must have its guard.
ALTER TABLE part_1 ENABLE TRIGGER USER;
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (200);
INSERT INTO part VALUES (100);
SELECT occ.enable('part', ignore => '{a}');
ALTER TABLE part_2 DISABLE TRIGGER USER;
SELECT * FROM occ.update('part', '{"id":1,"version":1,"a":1}');
SELECT * FROM occ.update('part', '{"id":100,"version":1,"a":1}');
DROP TABLE part;
-- Guards made by hand that do not fire, or not always.
CREATE TABLE t (id int PRIMARY KEY, a int, version bigint NOT NULL DEFAULT 1);
INSERT INTO t VALUES (1, 0);
CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION occ.guard();
SELECT twice('occ.touch(''t'', ''{"id":1,"version":1}'')');
DROP TRIGGER g ON t;
CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW WHEN (NEW.a IS DISTINCT FROM OLD.a) EXECUTE FUNCTION occ.guard();
SELECT twice('occ.touch(''t'', ''{"id":1,"version":1}'')');
SELECT twice('occ.update(''t'', ''{"id":1,"version":1,"a":1}'')');
DROP TRIGGER g ON t;
-- An earlier trigger that moves the version states it, by the table's own rules.
SELECT occ.enable('t');
CREATE FUNCTION bump() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + 1;
    RETURN NEW;
END $$;
CREATE TRIGGER "Bump" BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION bump();
SELECT twice('occ.update(''t'', ''{"id":1,"version":2,"a":2}'')');
SELECT occ.disable('t');
DROP TRIGGER "Bump" ON t;
DROP FUNCTION bump;
-- A later trigger that puts the version back.
SELECT occ.enable('t');
CREATE FUNCTION put_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version;
    RETURN NEW;
END $$;
CREATE TRIGGER put_back BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION put_back();
SELECT twice('occ.update(''t'', ''{"id":1,"version":3,"a":3}'')');
TABLE t;
-- A version that is part of the key tells no rows apart.
CREATE TABLE k (id int NOT NULL UNIQUE, version bigint NOT NULL DEFAULT 1);
INSERT INTO k VALUES (1);
SELECT occ.enable('k');
ALTER TABLE k ADD PRIMARY KEY (id, version);
SELECT * FROM occ.check('k', '{"id":1,"version":1}');
SELECT occ.enable('k', key => '{id}');
SELECT * FROM occ.touch('k', '{"id":1,"version":1}');
DROP TABLE t, k;
DROP FUNCTION put_back;

-- A rule on a table of one's own can't lead a checked query to another one's.
CREATE ROLE occ_owner;
CREATE ROLE occ_user;
GRANT CREATE ON SCHEMA public TO occ_user;
CREATE TABLE victim (id int PRIMARY KEY, price int, version bigint NOT NULL DEFAULT 1);
INSERT INTO victim VALUES (1), (2), (3);
ALTER TABLE victim OWNER TO occ_owner;
SELECT occ.enable('victim', preset => 'strict');
GRANT SELECT, UPDATE, DELETE ON victim TO occ_user;
SET ROLE occ_user;
CREATE TABLE mine (id int PRIMARY KEY, price int);
SELECT occ.enable('mine');
INSERT INTO mine VALUES (1);
CREATE RULE r AS ON DELETE TO mine DO INSTEAD DELETE FROM victim WHERE victim.id >= OLD.id RETURNING victim.id, victim.price, victim.version;
SELECT * FROM occ.delete('mine', '{"id":1,"version":1}');
SELECT * FROM occ.check('mine', '{"id":1,"version":1}');
DROP RULE r ON mine;
CREATE RULE r AS ON UPDATE TO mine DO INSTEAD UPDATE victim SET price = 0, version = NEW.version WHERE victim.id >= OLD.id RETURNING victim.id, victim.price, victim.version;
SELECT * FROM occ.touch('mine', '{"id":1,"version":1}');
-- A rule that is disabled does nothing.
ALTER TABLE mine DISABLE RULE r;
SELECT * FROM occ.touch('mine', '{"id":1,"version":1}');
-- Nor can a trigger, or a table of its own that inherits.
DROP RULE r ON mine;
CREATE FUNCTION delete_victim() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM victim;
    RETURN OLD;
END $$;
CREATE TRIGGER delete_victim BEFORE DELETE ON mine FOR EACH ROW EXECUTE FUNCTION delete_victim();
SELECT * FROM occ.delete('mine', '{"id":1,"version":2}');
DROP TABLE mine;
DROP FUNCTION delete_victim;
RESET ROLE;
SELECT count(*) FROM victim;
DROP TABLE victim;
REVOKE CREATE ON SCHEMA public FROM occ_user;
DROP ROLE occ_owner, occ_user;
-- Only the rows that were locked are written: a policy for deletes may show another one of the same key.
CREATE ROLE occ_user;
CREATE TABLE parent (id int PRIMARY KEY, owner text, version int NOT NULL DEFAULT 1);
CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
SELECT occ.enable('parent');
INSERT INTO parent VALUES (1, 'occ_user', 1);
INSERT INTO child VALUES (1, 'somebody else', 42);
GRANT SELECT, UPDATE, DELETE ON parent, child TO occ_user;
ALTER TABLE parent ENABLE ROW LEVEL SECURITY;
CREATE POLICY s ON parent FOR SELECT USING (true);
CREATE POLICY u ON parent FOR UPDATE USING (owner = 'occ_user');
CREATE POLICY d ON parent FOR DELETE USING (true);
SET ROLE occ_user;
SELECT * FROM occ.delete('parent', '{"id":1,"version":1}');
RESET ROLE;
TABLE parent;
-- Who may not read where rows are finds them by their key, and is told if there are two.
INSERT INTO parent VALUES (1, 'occ_user', 1);
REVOKE SELECT ON parent FROM occ_user;
GRANT SELECT (id, owner, version) ON parent TO occ_user;
SET ROLE occ_user;
SELECT * FROM occ.delete('parent', '{"id":1,"version":1}');
RESET ROLE;
SELECT count(*) FROM parent;
DROP TABLE parent CASCADE;
DROP ROLE occ_user;
-- A child that keeps its version elsewhere was not verified through its parent.
CREATE TABLE parent (id int PRIMARY KEY, version bigint NOT NULL DEFAULT 1);
SELECT occ.enable('parent');
CREATE TABLE child (rev bigint NOT NULL DEFAULT 1, PRIMARY KEY (id)) INHERITS (parent);
INSERT INTO child VALUES (1, 1, 2);
SELECT occ.enable('child', 'rev', deletes => 'checked');
SELECT * FROM occ.delete('parent', '{"id":1,"version":1}');
SELECT * FROM occ.delete('child', '{"id":1,"rev":2}');
DROP TABLE parent CASCADE;

-- The version that comes back is the one that is stored, whatever triggers and cascades do after it was returned.
CREATE TABLE item (id int PRIMARY KEY, code int UNIQUE, boss int REFERENCES item (code) ON UPDATE CASCADE, a int, b int, gone boolean NOT NULL DEFAULT false, version int NOT NULL DEFAULT 1);
INSERT INTO item VALUES (1, 10, NULL), (2, 20, 10);
SELECT occ.enable('item');
SELECT * FROM occ.update('item', '[{"id":1,"version":1,"code":11},{"id":2,"version":1,"code":21}]');
SELECT id, version FROM item ORDER BY id;
-- What a call's own triggers do to rows that it has yet to write is no conflict: nobody else can have done it.
SELECT * FROM occ.update('item', '[{"id":1,"version":2,"code":12},{"id":2,"version":3,"a":1}]');
SELECT * FROM occ.update('item', '[{"id":1,"version":3,"code":13},{"id":2,"version":5,"b":1}]', 'skip');
CREATE FUNCTION bump_first() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE item SET a = coalesce(a, 0) + 1 WHERE id = 1;
    RETURN NULL;
END $$;
CREATE TRIGGER bump_first AFTER UPDATE ON item FOR EACH ROW WHEN (NEW.id = 2) EXECUTE FUNCTION bump_first();
SELECT * FROM occ.update('item', '[{"id":1,"version":4,"a":5},{"id":2,"version":7,"b":5}]');
SELECT id, a, b, version FROM item ORDER BY id;
DROP TRIGGER bump_first ON item;
DROP FUNCTION bump_first;
-- A soft delete, and an update that a trigger does in its own way.
CREATE FUNCTION in_its_own_way() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        UPDATE item SET gone = true WHERE id = OLD.id;
    ELSIF NEW.a = 77 THEN
        UPDATE item SET a = 50 WHERE id = OLD.id;
    ELSE
        RETURN NEW;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER in_its_own_way BEFORE UPDATE OR DELETE ON item FOR EACH ROW EXECUTE FUNCTION in_its_own_way();
SELECT * FROM occ.delete('item', '{"id":2,"version":8}');
SELECT * FROM occ.update('item', '{"id":2,"version":9,"a":77}');
SELECT id, a, gone, version FROM item ORDER BY id;
-- Key columns that change, by the call, by a trigger, by generation: the version is that of the row where it is now.
SELECT * FROM occ.update_safely('item', '{"id":2,"version":10}', '{"id":22}');
DROP TABLE item;
DROP FUNCTION in_its_own_way;
CREATE TABLE item (email text PRIMARY KEY, id int, slug int GENERATED ALWAYS AS (id * 10) STORED UNIQUE NOT NULL, version int NOT NULL DEFAULT 1);
INSERT INTO item VALUES ('bar', 1, DEFAULT, 1), ('Foo', 2, DEFAULT, 41);
SELECT occ.enable('item');
CREATE FUNCTION lower_email() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.email := lower(NEW.email);
    RETURN NEW;
END $$;
CREATE TRIGGER lower_email BEFORE UPDATE ON item FOR EACH ROW EXECUTE FUNCTION lower_email();
SELECT * FROM occ.update_safely('item', '{"email":"bar","version":1}', '{"email":"Foo"}');
ALTER TABLE item DISABLE TRIGGER lower_email;
SELECT occ.enable('item', key => '{slug}');
SELECT * FROM occ.update('item', '[{"slug":20,"version":41,"id":5}]');
SELECT * FROM occ.update('item', '[{"slug":10,"version":2,"id":2}]');
SELECT * FROM item ORDER BY id;
DROP TABLE item;
DROP FUNCTION lower_email;
-- A BEFORE trigger that writes to other rows of the call.
CREATE TABLE item (id int PRIMARY KEY, is_default boolean NOT NULL DEFAULT false, version int NOT NULL DEFAULT 1);
INSERT INTO item VALUES (1), (2);
SELECT occ.enable('item');
CREATE FUNCTION only_one() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE item SET is_default = false WHERE is_default AND id <> NEW.id;
    RETURN NEW;
END $$;
CREATE TRIGGER only_one BEFORE UPDATE ON item FOR EACH ROW WHEN (NEW.is_default) EXECUTE FUNCTION only_one();
SELECT * FROM occ.update('item', '[{"id":1,"version":1,"is_default":true},{"id":2,"version":1,"is_default":true}]');
SELECT * FROM item ORDER BY id;
DROP TABLE item;
DROP FUNCTION only_one;

-- A stored infinity can't be stated, and any time repairs it.
CREATE TABLE stamped (id int PRIMARY KEY, a int, at timestamptz NOT NULL);
INSERT INTO stamped VALUES (1, 0, 'infinity'), (2, 0, '-infinity'), (3, 0, 'infinity');
SELECT occ.enable('stamped', 'at', preset => 'strict');
SELECT status FROM occ.check('stamped', '{"id":1,"at":"2020-01-01"}');
SELECT status FROM occ.update('stamped', '[{"id":1,"at":"2020-01-01","a":1},{"id":2,"at":null,"a":1},{"id":3,"at":"infinity","a":1}]', 'skip');
SELECT id, a, at > now() - interval '1 hour' AND isfinite(at) AS repaired FROM stamped ORDER BY id;
DROP TABLE stamped;

-- DDL in a trigger, in the middle of a call.
CREATE TABLE d (id int PRIMARY KEY, a int, b int, version int NOT NULL DEFAULT 1);
INSERT INTO d VALUES (1), (2), (3);
SELECT occ.enable('d');
CREATE FUNCTION rename() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.id = 1 THEN
        ALTER TABLE d RENAME b TO bb;
        IF NEW.a = 2 THEN
            ALTER TABLE d RENAME bb TO b;
        END IF;
        CREATE TABLE churn AS SELECT * FROM pg_class;
        DROP TABLE churn;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER rename BEFORE UPDATE ON d FOR EACH ROW EXECUTE FUNCTION rename();
SELECT * FROM occ.update('d', '[{"id":1,"version":1,"a":1},{"id":2,"version":1,"b":1},{"id":3,"version":1,"a":1,"b":1}]');
SELECT * FROM occ.update('d', '[{"id":1,"version":1,"a":2},{"id":2,"version":1,"b":1},{"id":3,"version":1,"a":1,"b":1}]');
SELECT * FROM d ORDER BY id;
DROP TABLE d;
DROP FUNCTION rename;

-- Keys whose type comes from elsewhere: a domain over an enum, and a type that is made anew under its name.
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE DOMAIN dmood AS mood;
CREATE TABLE m (id dmood PRIMARY KEY, version int NOT NULL DEFAULT 1);
INSERT INTO m VALUES ('sad'), ('glad');
SELECT occ.enable('m');
SELECT * FROM occ.touch('m', '[{"id":"sad","version":1},{"id":"glad","version":1}]');
DROP TABLE m;
CREATE TABLE m (id varchar(5)[] PRIMARY KEY, version int NOT NULL DEFAULT 1);
INSERT INTO m VALUES ('{a,b}');
SELECT occ.enable('m');
SELECT * FROM occ.touch('m', '{"id":["a","b"],"version":1}');
SELECT occ.update_safely('m', '[]', '{"version":1}', '{{id,version},{id,version}}');
DROP TABLE m;
DROP DOMAIN dmood;
CREATE EXTENSION postgres_fdw;
DO $$
BEGIN
    EXECUTE format('CREATE SERVER loopback FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname %L, host %L, port %L)',
                   current_database(), split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'));
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER loopback;
CREATE TABLE local (id mood PRIMARY KEY, version int NOT NULL DEFAULT 1);
CREATE FOREIGN TABLE remote (id mood, version int) SERVER loopback OPTIONS (table_name 'local');
INSERT INTO local VALUES ('sad');
SELECT occ.enable('remote', key => '{id}');
SELECT * FROM occ.touch('remote', '{"id":"sad","version":1}');
DROP FOREIGN TABLE remote;
DROP TABLE local;
DROP TYPE mood;
CREATE TYPE mood AS ENUM ('sad');
CREATE TABLE local (id mood PRIMARY KEY, version int NOT NULL DEFAULT 1);
CREATE FOREIGN TABLE remote (id mood, version int) SERVER loopback OPTIONS (table_name 'local');
INSERT INTO local VALUES ('sad');
SELECT occ.enable('remote', key => '{id}');
SELECT * FROM occ.touch('remote', '{"id":"sad","version":1}');
DROP FOREIGN TABLE remote;
CREATE DOMAIN dmood AS mood;
CREATE FOREIGN TABLE remote (id dmood, version int) SERVER loopback OPTIONS (table_name 'local');
SELECT occ.enable('remote', key => '{id}');
SELECT * FROM occ.touch('remote', '{"id":"sad","version":2}');
DROP FOREIGN TABLE remote;
DROP TABLE local;
DROP DOMAIN dmood;
-- A key that becomes NULL finds nothing any more.
CREATE TABLE local (code text, region text, version int NOT NULL DEFAULT 1);
CREATE TABLE mixed (code text, region text, version int NOT NULL DEFAULT 1) PARTITION BY LIST (region);
CREATE TABLE mixed_a PARTITION OF mixed FOR VALUES IN ('a');
CREATE FOREIGN TABLE mixed_b PARTITION OF mixed FOR VALUES IN ('b') SERVER loopback OPTIONS (table_name 'local');
INSERT INTO mixed VALUES ('w', 'a'), ('x', 'a');
SELECT occ.enable('mixed', key => '{code}');
SELECT * FROM occ.update_safely('mixed', '[{"code":"w","version":1}]', '{"code":null}');
SELECT * FROM mixed ORDER BY 1;
DROP TABLE mixed, local;
DROP EXTENSION postgres_fdw CASCADE;
DROP TYPE mood;
DROP FUNCTION twice;

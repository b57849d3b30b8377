-- Keys and versions are shown only to those who may read them.  The count always is.

CREATE ROLE occ_owner;
CREATE ROLE occ_user;
GRANT CREATE ON SCHEMA public TO occ_user;
CREATE TABLE account (id int PRIMARY KEY, holder text, balance int, version bigint NOT NULL DEFAULT 5);
INSERT INTO account VALUES (1, 'occ_user', 10), (2, 'occ_user', 20), (3, 'somebody else', 30);
ALTER TABLE account OWNER TO occ_owner;
SELECT occ.enable('account');
-- Just the rights on the table are enough.
GRANT UPDATE ON account TO occ_user;
SET ROLE occ_user;

-- No right to read anything.
UPDATE account SET balance = 0, version = 1;
-- The right to read the key, but not the version.
RESET ROLE;
GRANT SELECT (id) ON account TO occ_user;
SET ROLE occ_user;
UPDATE account SET balance = 0, version = 1;
UPDATE account SET balance = 0, version = 1 WHERE id = 1;
-- The right to read the version, but not the key.
RESET ROLE;
REVOKE SELECT (id) ON account FROM occ_user;
GRANT SELECT (version) ON account TO occ_user;
SET ROLE occ_user;
UPDATE account SET balance = 0, version = 1;
-- Both.
RESET ROLE;
GRANT SELECT (id) ON account TO occ_user;
SET ROLE occ_user;
UPDATE account SET balance = 0, version = 1;
-- Messages at DEBUG1 hold no values.
RESET ROLE;
REVOKE SELECT (id, version) ON account FROM occ_user;
SET ROLE occ_user;
SET client_min_messages = debug1;
UPDATE account SET balance = 0, version = 1;
RESET client_min_messages;
-- Rights on the version column, as on any other.
RESET ROLE;
REVOKE ALL ON account FROM occ_user;
GRANT SELECT, UPDATE (balance) ON account TO occ_user;
SET ROLE occ_user;
UPDATE account SET balance = 0, version = 5;
UPDATE account SET balance = 0 WHERE id = 1;
RESET ROLE;
SELECT id, version FROM account ORDER BY id;

-- Row-level security: only rows that passed the SELECT policies, that is, if the statement needed SELECT.
GRANT SELECT, UPDATE ON account TO occ_user;
ALTER TABLE account ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON account FOR SELECT TO occ_user USING (holder = current_user);
CREATE POLICY all_of_them ON account FOR UPDATE TO occ_user USING (true);
SET ROLE occ_user;
UPDATE account SET balance = 0, version = 1;
UPDATE account SET balance = 0, version = 1 WHERE id > 0;
UPDATE account SET balance = 0, version = 1 RETURNING 1;
UPDATE account SET balance = balance + 1, version = 1;
-- Not for the owner, nor for a superuser.
SET ROLE occ_owner;
UPDATE account SET balance = 0, version = 1;
RESET ROLE;
UPDATE account SET balance = 0, version = 1;

-- A function of the owner's shows what its owner may read, as PostgreSQL's own errors do.
CREATE FUNCTION withdraw() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'UPDATE public.account SET balance = 0, version = 1';
ALTER FUNCTION withdraw() OWNER TO occ_owner;
SET ROLE occ_user;
SELECT withdraw();
RESET ROLE;
DROP FUNCTION withdraw;

-- A cursor that such a function opens has the owner's policies, whoever fetches from it.
ALTER TABLE account FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_sees_all ON account TO occ_owner USING (true);
CREATE FUNCTION open_cursor(dynamic boolean) RETURNS refcursor LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c refcursor := 'c';
BEGIN
    IF dynamic THEN
        OPEN c FOR EXECUTE 'UPDATE public.account SET balance = 0, version = 1 WHERE id > 0 RETURNING 1';
    ELSE
        OPEN c FOR UPDATE public.account SET balance = 0, version = 1 WHERE id > 0 RETURNING 1;
    END IF;
    RETURN c;
END $$;
ALTER FUNCTION open_cursor(boolean) OWNER TO occ_owner;
SET ROLE occ_user;
BEGIN;
SELECT open_cursor(false);
FETCH c;
ROLLBACK;
BEGIN;
SELECT open_cursor(true);
FETCH c;
ROLLBACK;
-- A prepared statement is planned anew for another role.
PREPARE p AS UPDATE account SET balance = 0, version = 1 WHERE id > 0;
EXECUTE p;
RESET ROLE;
SET ROLE occ_owner;
EXECUTE p;
RESET ROLE;
DEALLOCATE p;
DROP FUNCTION open_cursor;
DROP POLICY owner_sees_all ON account;
ALTER TABLE account NO FORCE ROW LEVEL SECURITY;

-- Through a view the rights on the table below it count.
CREATE VIEW accounts AS SELECT id, balance, version FROM account;
ALTER VIEW accounts OWNER TO occ_owner;
GRANT SELECT, UPDATE ON accounts TO occ_user;
SET ROLE occ_user;
UPDATE accounts SET balance = 0, version = 1 WHERE id = 3;
RESET ROLE;
ALTER TABLE account DISABLE ROW LEVEL SECURITY;
SET ROLE occ_user;
UPDATE accounts SET balance = 0, version = 1 WHERE id = 3;
RESET ROLE;
REVOKE ALL ON account FROM occ_user;
SET ROLE occ_user;
UPDATE accounts SET balance = 0, version = 1 WHERE id = 3;
UPDATE accounts SET balance = 0, version = 5 WHERE id = 3 RETURNING version;
RESET ROLE;
DROP VIEW accounts;

-- Partitions: rights on the table that the statement names.
CREATE TABLE part (id int, day date, version bigint NOT NULL DEFAULT 5, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE part_1 PARTITION OF part DEFAULT;
INSERT INTO part VALUES (1, '2026-01-01');
SELECT occ.enable('part');
GRANT SELECT, UPDATE ON part TO occ_user;
GRANT UPDATE ON part_1 TO occ_user;
SET ROLE occ_user;
UPDATE part SET version = 1;
UPDATE part_1 SET version = 1;
RESET ROLE;
GRANT SELECT ON part_1 TO occ_user;
ALTER TABLE part ENABLE ROW LEVEL SECURITY;
SET ROLE occ_user;
UPDATE part_1 SET version = 1;
UPDATE part SET version = 1;
RESET ROLE;
CREATE POLICY everything ON part TO occ_user USING (true);
SET ROLE occ_user;
UPDATE part SET version = 1;
UPDATE part SET version = 1 WHERE id = 1;
RESET ROLE;

-- A referential action runs as the owner, but its error goes to somebody else.
CREATE TABLE revision (n bigint PRIMARY KEY);
INSERT INTO revision VALUES (1);
CREATE TABLE secret (id int PRIMARY KEY, revision bigint REFERENCES revision ON UPDATE CASCADE);
INSERT INTO secret VALUES (4711, 1);
SELECT occ.enable('secret', 'revision');
GRANT SELECT, UPDATE ON revision TO occ_user;
SET ROLE occ_user;
UPDATE revision SET n = 9;
-- Nor does it show the caller's rows to the owner of a function that he calls.
CREATE FUNCTION spy() RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    detail text;
BEGIN
    UPDATE public.revision SET n = 9;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN detail;
END $$;
RESET ROLE;
SELECT spy();
UPDATE revision SET n = 9;
DROP FUNCTION spy;
DROP TABLE account, part, secret, revision;
REVOKE CREATE ON SCHEMA public FROM occ_user;
DROP ROLE occ_owner, occ_user;

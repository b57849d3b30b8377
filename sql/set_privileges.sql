-- Whose rights the set functions need, and what they tell to whom.

CREATE ROLE occ_owner;
CREATE ROLE occ_user;
CREATE SCHEMA hidden;
CREATE TABLE account (id int PRIMARY KEY, holder text, balance int, secret text, version bigint NOT NULL DEFAULT 5);
INSERT INTO account VALUES (1, 'occ_user', 10, 's'), (2, 'occ_user', 20, 's'), (3, 'somebody else', 30, 's');
ALTER TABLE account OWNER TO occ_owner;
SELECT occ.enable('account');
SET ROLE occ_user;

-- No rights: nothing, not even for no rows.
SELECT * FROM occ.check('account', '[]');
SELECT * FROM occ.update('account', '[{"id":1,"version":1}]');
SELECT * FROM occ.delete('account', '[{"id":1,"version":5}]');
SELECT * FROM occ.update_safely('account', '[{"id":1,"balance":5}]', '{"balance":1}', '{balance}');
-- SELECT on what is compared and UPDATE on the version: enough to check and to touch.
RESET ROLE;
GRANT SELECT (id, version), UPDATE (version) ON account TO occ_user;
SET ROLE occ_user;
SELECT * FROM occ.check('account', '[{"id":1,"version":5}]');
SELECT * FROM occ.check('account', '[{"id":1,"version":4},{"id":9,"version":4}]', 'share');
SELECT * FROM occ.touch('account', '[{"id":1,"version":5}]');
SELECT * FROM occ.update('account', '[{"id":1,"version":6,"balance":11}]');
SELECT * FROM occ.delete('account', '[{"id":1,"version":6}]');
SELECT * FROM occ.update_safely('account', '[{"id":1,"balance":5}]', '{"version":1}', '{balance}');
SELECT * FROM occ.update_safely('account', '[{"id":1,"secret":"s"}]', '{"balance":1}', '{secret}');
-- UPDATE on a column that may not be read; each element needs rights on its own columns only.
RESET ROLE;
GRANT UPDATE (balance) ON account TO occ_user;
SET ROLE occ_user;
SELECT * FROM occ.update('account', '[{"id":1,"version":6,"balance":11},{"id":2,"version":5}]');
SELECT * FROM occ.update('account', '[{"id":1,"version":7,"balance":11,"secret":"t"}]');
SELECT * FROM occ.update_safely('account', '[{"id":1,"version":7},{"id":2,"version":6}]', '{"balance":12}');
RESET ROLE;
GRANT DELETE ON account TO occ_user;
SET ROLE occ_user;
SELECT * FROM occ.delete('account', '[{"id":2,"version":7}]');
RESET ROLE;
SELECT * FROM account ORDER BY id;

-- A schema that may not be used.
ALTER TABLE account SET SCHEMA hidden;
SELECT 'hidden.account'::regclass::oid AS hidden \gset
SET ROLE occ_user;
SELECT * FROM occ.check(:hidden, '[]');
-- Not even if somebody else has had it planned.
RESET ROLE;
SELECT * FROM occ.check(:hidden, '[]');
SET ROLE occ_user;
SELECT * FROM occ.check(:hidden, '[]');
RESET ROLE;
ALTER TABLE hidden.account SET SCHEMA public;

-- Row-level security: a row that is hidden is missing, and nothing about it is told.
INSERT INTO account VALUES (2, 'occ_user', 20, 's');
GRANT SELECT, UPDATE, DELETE ON account TO occ_user;
ALTER TABLE account ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON account USING (holder = current_user);
SET ROLE occ_user;
SELECT * FROM occ.check('account', '[{"id":3,"version":5},{"id":4,"version":5},{"id":2,"version":5}]');
SELECT * FROM occ.update('account', '[{"id":3,"version":5,"balance":0},{"id":2,"version":4,"balance":0}]');
SELECT * FROM occ.update('account', '[{"id":3,"version":5,"balance":0},{"id":2,"version":5,"balance":21}]', 'skip');
SELECT * FROM occ.delete('account', '[{"id":3,"version":5}]', 'skip');
SELECT * FROM occ.update_safely('account', '[{"id":3,"balance":30}]', '{"balance":0}', '{balance}', 'skip');
-- A row may not be made into a hidden one.
SELECT * FROM occ.update('account', '[{"id":2,"version":6,"holder":"somebody else"}]');
RESET ROLE;
-- What may be seen but not deleted, or not updated, can't be locked and deleted.
DROP POLICY own ON account;
CREATE POLICY see ON account FOR SELECT USING (true);
CREATE POLICY change ON account FOR UPDATE USING (id < 3);
CREATE POLICY remove ON account FOR DELETE USING (id > 1);
SET ROLE occ_user;
SELECT * FROM occ.delete('account', '[{"id":1,"version":8},{"id":2,"version":6},{"id":3,"version":5}]');
SELECT * FROM occ.delete('account', '[{"id":1,"version":8},{"id":2,"version":6},{"id":3,"version":5}]', 'skip');
RESET ROLE;
SELECT id, balance, version FROM account ORDER BY id;
-- The same plan for another role has that role's policies.
DROP POLICY see ON account;
DROP POLICY change ON account;
DROP POLICY remove ON account;
CREATE POLICY own ON account USING (holder = current_user);
CREATE ROLE occ_other;
GRANT SELECT, UPDATE ON account TO occ_other;
SELECT status FROM occ.touch('account', '[{"id":1,"version":8}]', 'skip');
SET ROLE occ_user;
SELECT status FROM occ.touch('account', '[{"id":1,"version":9}]', 'skip');
SET ROLE occ_other;
SELECT status FROM occ.touch('account', '[{"id":1,"version":10}]', 'skip');
RESET ROLE;

-- A SECURITY DEFINER function works with its owner's rights.
CREATE FUNCTION pay(expected jsonb) RETURNS SETOF text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS
    $$ SELECT status FROM occ.update('public.account', expected || '{"balance":0}') $$;
ALTER FUNCTION pay(jsonb) OWNER TO occ_owner;
SET ROLE occ_other;
SELECT pay('{"id":3,"version":5}');
SELECT pay('{"id":3,"version":5}');
RESET ROLE;

-- The caller's search_path is of no account: its operators, functions and tables are not used.
CREATE SCHEMA evil;
CREATE FUNCTION evil.eq(int, int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hijacked'; END $$;
CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.eq);
CREATE FUNCTION evil.lt(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hijacked'; END $$;
CREATE OPERATOR evil.< (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.lt);
CREATE TABLE evil.account (id int PRIMARY KEY, version bigint);
CREATE TABLE evil.occ_rows (number bigint, k1 int);
CREATE TABLE evil.occ_changes (c1 int);
SELECT 'public.account'::regclass::oid AS account \gset
SET search_path = evil, pg_catalog;
SELECT status FROM occ.update(:account, '[{"id":1,"version":10,"balance":1}]');
SELECT status FROM occ.update_safely(:account, '[{"id":1,"balance":1}]', '{"balance":2}', '{balance}');
SELECT status FROM occ.delete(:account, '[{"id":1,"version":12}]');
RESET search_path;
DROP SCHEMA evil CASCADE;
DROP SCHEMA hidden;
DROP FUNCTION pay;
DROP TABLE account;
DROP ROLE occ_owner, occ_user, occ_other;

-- What CREATE EXTENSION makes, and who may use it.

SELECT e.extname, n.nspname, e.extrelocatable
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'occ_lock';

SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS object
FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
WHERE e.extname = 'occ_lock' AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
  AND d.classid IN ('pg_proc'::regclass, 'pg_class'::regclass)
ORDER BY pg_describe_object(d.classid, d.objid, d.objsubid) COLLATE "C";

-- Everything is SECURITY INVOKER, documented, and everybody may execute it.
SELECT p.proname, p.prosecdef, p.provolatile, p.proparallel, p.proisstrict,
       obj_description(p.oid, 'pg_proc') IS NOT NULL AS documented,
       p.proacl @> ARRAY[makeaclitem(0, p.proowner, 'EXECUTE', false)] AS granted_to_public
FROM pg_proc AS p
WHERE p.pronamespace = 'occ'::regnamespace
ORDER BY p.proname COLLATE "C", p.pronargs;

SELECT nspacl @> ARRAY[makeaclitem(0, nspowner, 'USAGE', false)] AS usage_granted
FROM pg_namespace WHERE nspname = 'occ';

-- The extension can't be dropped from under a guarded table without saying so.
CREATE TABLE product (id int PRIMARY KEY, version bigint NOT NULL DEFAULT 1);
SELECT occ.enable('product');
BEGIN;
DROP EXTENSION occ_lock;
ROLLBACK;
BEGIN;
DROP EXTENSION occ_lock CASCADE;
INSERT INTO product VALUES (1) RETURNING *;
ROLLBACK;
SELECT table_name, version_column FROM occ.tables;
DROP TABLE product;

CREATE EXTENSION occ_lock SCHEMA public;
SELECT occ.guard();

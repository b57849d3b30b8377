/* occ_lock--1.1--1.2.sql */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION occ_lock UPDATE TO '1.2'" to load this file. \quit

-- What is made here goes by the schema's name.  Somebody may have renamed ours, and put another one in its place.
DO $$
DECLARE
    schema record;
BEGIN
    SELECT n.nspname AS name, o.rolsuper OR pg_catalog.pg_has_role(e.extowner, o.oid, 'USAGE') AS is_trusted
        INTO schema
        FROM pg_catalog.pg_extension AS e
             JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
             JOIN pg_catalog.pg_roles AS o ON o.oid OPERATOR(pg_catalog.=) n.nspowner
        WHERE e.extname OPERATOR(pg_catalog.=) 'occ_lock';
    IF schema.name OPERATOR(pg_catalog.<>) 'occ' THEN
        RAISE object_not_in_prerequisite_state
            USING MESSAGE = pg_catalog.format('the extension''s schema is called "%s"', schema.name),
                  HINT = 'Name it "occ" for the update; it can be renamed again afterwards.';
    END IF;
    IF NOT schema.is_trusted THEN
        RAISE insufficient_privilege
            USING MESSAGE = 'schema "occ" belongs to another role',
                  HINT = 'Have the schema handed over, or let its owner own the extension.';
    END IF;
END $$;


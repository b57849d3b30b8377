/* occ_lock--1.1--1.2.sql */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION occ_lock UPDATE TO '1.2'" to load this file. \quit

-- What is made here goes by the schema's name.  Somebody may have renamed ours, and put another one in its place.  Nor may it
-- be a stranger's, who could put functions there that a call finds before ours, or hold such functions.
DO $$
DECLARE
    schema record;
    trusted pg_catalog.oid[];
    culprits pg_catalog.text;
BEGIN
    SELECT n.oid, n.nspname AS name, n.nspowner AS owner, n.nspacl AS acl, e.extowner AS installer, d.datdba
        INTO schema
        FROM pg_catalog.pg_extension AS e
             JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
             JOIN pg_catalog.pg_database AS d ON d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
        WHERE e.extname OPERATOR(pg_catalog.=) 'occ_lock';
    IF schema.name OPERATOR(pg_catalog.<>) 'occ' THEN
        RAISE object_not_in_prerequisite_state
            USING MESSAGE = pg_catalog.format('the extension''s schema is called "%s"', schema.name),
                  HINT = 'Name it "occ" for the update; it can be renamed again afterwards.';
    END IF;

    -- The installing role, the database's owner, and who has all rights of one of them, as superusers have.
    SELECT pg_catalog.array_agg(r.oid) INTO trusted
        FROM pg_catalog.pg_roles AS r
        WHERE pg_catalog.pg_has_role(r.oid, schema.installer, 'USAGE')
           OR pg_catalog.pg_has_role(r.oid, schema.datdba, 'USAGE')
           OR r.rolname OPERATOR(pg_catalog.=) 'pg_database_owner';

    IF schema.owner OPERATOR(pg_catalog.<>) ALL (trusted) THEN
        RAISE insufficient_privilege
            USING MESSAGE = 'schema "occ" belongs to another role',
                  DETAIL = pg_catalog.format('Role "%s" could put functions beside the extension''s, which would run with the rights of whoever calls them.',
                                             pg_catalog.pg_get_userbyid(schema.owner)),
                  HINT = pg_catalog.format('Drop the schema, or have it handed over: ALTER SCHEMA occ OWNER TO %I.',
                                           pg_catalog.pg_get_userbyid(schema.installer));
    END IF;

    SELECT pg_catalog.string_agg(CASE WHEN a.grantee OPERATOR(pg_catalog.=) 0::pg_catalog.oid THEN 'PUBLIC'
                                      ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)::pg_catalog.text) END, ', ')
        INTO culprits
        FROM pg_catalog.aclexplode(schema.acl) AS a
        WHERE a.privilege_type OPERATOR(pg_catalog.=) 'CREATE'
          AND a.grantee OPERATOR(pg_catalog.<>) ALL (trusted);
    IF culprits IS NOT NULL THEN
        RAISE insufficient_privilege
            USING MESSAGE = 'other roles may create objects in schema "occ"',
                  DETAIL = 'They could put functions beside the extension''s, which would run with the rights of whoever calls them.',
                  HINT = pg_catalog.format('Make the schema first, if it is not there, and REVOKE CREATE ON SCHEMA occ FROM %s.', culprits);
    END IF;

    -- What the bootstrap superuser owns has no entry in pg_shdepend.  Default privileges hold for what their owner makes.
    SELECT pg_catalog.string_agg(o.name, ', ') INTO culprits
        FROM (SELECT pg_catalog.pg_describe_object(d.classid, d.objid, 0) AS name
              FROM pg_catalog.pg_depend AS d
                   JOIN pg_catalog.pg_shdepend AS s
                       ON s.classid OPERATOR(pg_catalog.=) d.classid
                      AND s.objid OPERATOR(pg_catalog.=) d.objid
                   JOIN pg_catalog.pg_database AS b ON b.oid OPERATOR(pg_catalog.=) s.dbid
              WHERE b.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
                AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid
                AND d.refobjid OPERATOR(pg_catalog.=) schema.oid
                AND d.classid OPERATOR(pg_catalog.<>) 'pg_catalog.pg_default_acl'::pg_catalog.regclass::pg_catalog.oid
                AND s.deptype OPERATOR(pg_catalog.=) 'o'::pg_catalog."char"
                AND s.refobjid OPERATOR(pg_catalog.<>) ALL (trusted)
              ORDER BY d.objid
              LIMIT 5) AS o;
    IF culprits IS NOT NULL THEN
        RAISE insufficient_privilege
            USING MESSAGE = 'schema "occ" holds objects of another role',
                  DETAIL = pg_catalog.format('Among them: %s.', culprits),
                  HINT = 'Drop them: they could be taken for the extension''s own.';
    END IF;
END $$;

-- Views that take no lock on partitions, and leave out the tables of tools.

CREATE OR REPLACE VIEW occ.tables AS
    -- Guards of which a partition's share is disabled, or one of a partition below it.  By catalogues alone: what asks for
    -- the partitions of a table locks them all, and waits for that.
    WITH RECURSIVE partly_disabled(trigger) AS (
        SELECT c.tgparentid
        FROM pg_catalog.pg_trigger AS c
        WHERE c.tgfoid OPERATOR(pg_catalog.=) 'occ.guard()'::pg_catalog.regprocedure::pg_catalog.oid
          AND c.tgparentid OPERATOR(pg_catalog.<>) 0::pg_catalog.oid
          AND c.tgenabled OPERATOR(pg_catalog.<>) ALL ('{O,A}'::pg_catalog."char"[])
        UNION
        SELECT c.tgparentid
        FROM partly_disabled AS d
             JOIN pg_catalog.pg_trigger AS c ON c.oid OPERATOR(pg_catalog.=) d.trigger
        WHERE c.tgparentid OPERATOR(pg_catalog.<>) 0::pg_catalog.oid
    )
    SELECT t.tgrelid::pg_catalog.regclass AS table_name,
           o.version_column,
           o.version_type,
           o.key_columns,
           o.token,
           o.echo,
           o.unstated,
           o.ignore,
           -- A trigger made by hand may have a preset that checks deletes, and not fire on them.
           CASE
               WHEN t.tgtype OPERATOR(pg_catalog.&) 8::pg_catalog.int2
                    OPERATOR(pg_catalog.=) 0::pg_catalog.int2 AND o.deletes IS NOT NULL
               THEN 'allow'
               ELSE o.deletes
           END AS deletes,
           o.enforce,
           o.time_precision,
           t.tgenabled OPERATOR(pg_catalog.=) ANY ('{O,A}'::pg_catalog."char"[])
               AND NOT EXISTS (
                   SELECT FROM partly_disabled AS d
                   WHERE d.trigger OPERATOR(pg_catalog.=) t.oid) AS enabled
    FROM pg_catalog.pg_trigger AS t
         CROSS JOIN LATERAL occ.guard_options(t.tgrelid, t.tgargs) AS o
    WHERE t.tgfoid OPERATOR(pg_catalog.=) 'occ.guard()'::pg_catalog.regprocedure::pg_catalog.oid
      AND t.tgparentid OPERATOR(pg_catalog.=) 0::pg_catalog.oid;

CREATE OR REPLACE VIEW occ.unguarded AS
    WITH version_columns(name) AS (
        SELECT 'version'::pg_catalog.name
        UNION
        SELECT version_column FROM occ.tables
        UNION
        SELECT (pg_catalog.substr(s.setting, 22)::pg_catalog.text[])[1]::pg_catalog.name
        FROM pg_catalog.pg_event_trigger AS e
             JOIN pg_catalog.pg_proc AS p ON p.oid OPERATOR(pg_catalog.=) e.evtfoid
             CROSS JOIN LATERAL pg_catalog.unnest(p.proconfig) AS s(setting)
        WHERE pg_catalog.starts_with(s.setting, 'occ_lock.auto_enable=')
    )
    SELECT c.oid::pg_catalog.regclass AS table_name,
           a.attname AS version_column,
           a.atttypid::pg_catalog.regtype AS version_type,
           a.attgenerated OPERATOR(pg_catalog.=) ''::pg_catalog."char"
               AND a.attidentity OPERATOR(pg_catalog.<>) 'a'::pg_catalog."char"
               AND a.atttypid OPERATOR(pg_catalog.=) ANY
                   ('{int2,int4,int8,timestamptz,timestamp,float8,uuid}'::pg_catalog.regtype[]::pg_catalog.oid[])
               -- A version is no key: tools that migrate schemas keep such tables.
               AND NOT EXISTS (
                   SELECT FROM pg_catalog.pg_index AS i
                   WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid
                     AND i.indisprimary
                     AND a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey))
               AS can_be_guarded
    FROM pg_catalog.pg_class AS c
         JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
         JOIN version_columns AS v ON v.name OPERATOR(pg_catalog.=) a.attname
    WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog."char"[])
      AND NOT c.relispartition
      AND c.relpersistence OPERATOR(pg_catalog.<>) 't'::pg_catalog."char"
      AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2
      AND NOT a.attisdropped
      -- The first OID that is not PostgreSQL's own.
      AND c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_trigger AS t
          WHERE t.tgrelid OPERATOR(pg_catalog.=) c.oid
            AND t.tgfoid OPERATOR(pg_catalog.=) 'occ.guard()'::pg_catalog.regprocedure::pg_catalog.oid)
      -- An extension's tables are its own business, and so are those in a schema that it has made.
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_depend AS d
          WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid
            AND d.objid OPERATOR(pg_catalog.=) c.oid
            AND d.deptype OPERATOR(pg_catalog.=) 'e'::pg_catalog."char")
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_depend AS d
          WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid
            AND d.objid OPERATOR(pg_catalog.=) c.relnamespace
            AND d.deptype OPERATOR(pg_catalog.=) 'e'::pg_catalog."char");

CREATE FUNCTION occ.merge(base jsonb, mine jsonb, theirs jsonb, relation regclass, OUT merged jsonb, OUT conflicts text[]) RETURNS record
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'occ_merge_by_types';

COMMENT ON FUNCTION occ.merge(jsonb, jsonb, jsonb, regclass) IS
    'two changes of one row as one, compared by the types of its table''s columns';

GRANT EXECUTE ON FUNCTION occ.merge(jsonb, jsonb, jsonb, regclass) TO PUBLIC;

CREATE FUNCTION occ.snapshot(record) RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'occ_snapshot';

COMMENT ON FUNCTION occ.snapshot(record) IS
    'a row as JSON that the set functions read back as the same row, whatever its types';

GRANT EXECUTE ON FUNCTION occ.snapshot(record) TO PUBLIC;

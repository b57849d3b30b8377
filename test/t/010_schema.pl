# The schema occ: there before the extension, in a stranger's hands, or renamed afterwards.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'fsync = off');
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE stranger; CREATE ROLE friend; CREATE ROLE dba LOGIN; GRANT friend TO dba');

# A database of dba's in which a schema occ is there already, with a function in the way.
sub create_database
{
	my ($name, $schema_owner) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name OWNER dba");
	$node->safe_psql($name, qq{
		CREATE SCHEMA occ AUTHORIZATION $schema_owner;
		SET ROLE $schema_owner;
		CREATE FUNCTION occ.guard(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
	});
}

sub create_extension
{
	my ($database, $user) = @_;
	my ($status, $stdout, $stderr) =
		$node->psql($database, 'CREATE EXTENSION occ_lock', extra_params => [ '-U', $user, '-v', 'VERBOSITY=verbose' ]);
	return $stderr;
}

create_database('strange', 'stranger');
like(create_extension('strange', 'dba'), qr/42501: schema "occ" belongs to another role/, 'a stranger\'s schema is refused');
is($node->safe_psql('strange', q{SELECT nspacl IS NULL FROM pg_namespace WHERE nspname = 'occ'}), 't', '... and left as it was');
is(create_extension('strange', $node->safe_psql('postgres', 'SELECT current_user')), '', 'but not to a superuser');
create_database('friendly', 'friend');
is(create_extension('friendly', 'dba'), '', 'nor is that of a role one belongs to');
$node->safe_psql('postgres', 'CREATE DATABASE own OWNER dba');
is(create_extension('own', 'dba'), '', 'without a schema the extension makes its own');

# Whoever owns the schema may rename it; what is in it finds itself again.
is($node->safe_psql('own', q{
		SET ROLE dba;
		SET client_min_messages = warning;
		CREATE TABLE before (id int PRIMARY KEY);
		SELECT occ.enable('before');
		ALTER SCHEMA occ RENAME TO locking;
		CREATE TABLE after (id int PRIMARY KEY);
		SELECT locking.enable('after');
		SELECT locking.disable('before');
		SELECT table_name FROM locking.tables;
	}), "\n\n\nafter", 'a renamed schema');

# What lies in the schema, or in pg_temp, when the extension comes is not taken for PostgreSQL's own, by 1.0 and its update
# no more than by a fresh installation.
my $members = q{
	SET search_path = pg_catalog;
	SELECT pg_get_function_result(p.oid), pg_get_function_identity_arguments(p.oid), pg_get_expr(proargdefaults, 0)
	FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' WHERE p.pronamespace = 'occ'::regnamespace
	UNION ALL
	SELECT pg_get_viewdef(oid), NULL, NULL FROM pg_class WHERE relnamespace = 'occ'::regnamespace AND relkind = 'v'
	ORDER BY 1, 2};
my $plant = q{
	CREATE SCHEMA occ;
	DO $$
	DECLARE
		t text;
	BEGIN
		FOREACH t IN ARRAY '{text,_text,name,_name,jsonb,regclass,regtype,regprocedure,oid,bytea,record,trigger,internal,anyelement,interval,char,int2,int4,void,bool}'::text[] LOOP
			EXECUTE format('CREATE DOMAIN occ.%1$I AS pg_catalog.int4; CREATE DOMAIN pg_temp.%1$I AS pg_catalog.int4', t);
		END LOOP;
	END $$;
	CREATE FUNCTION occ.pg_has_role(pg_catalog.oid, pg_catalog.oid, pg_catalog.text) RETURNS pg_catalog.bool LANGUAGE sql AS 'SELECT false';
	CREATE FUNCTION occ.unnest(pg_catalog._text) RETURNS SETOF pg_catalog.text LANGUAGE sql AS 'SELECT NULL::pg_catalog.text';
	CREATE FUNCTION occ.pg_partition_tree(pg_catalog.oid) RETURNS TABLE (relid pg_catalog.oid) LANGUAGE sql AS 'SELECT NULL::pg_catalog.oid';
	CREATE FUNCTION occ.eq(pg_catalog.oid, pg_catalog.oid) RETURNS pg_catalog.bool LANGUAGE sql AS 'SELECT true';
	CREATE OPERATOR occ.= (LEFTARG = pg_catalog.oid, RIGHTARG = pg_catalog.oid, FUNCTION = occ.eq);
	CREATE TABLE occ.pg_trigger (tgrelid pg_catalog.oid);
	CREATE TEMPORARY TABLE pg_class (oid pg_catalog.oid);
};
$node->safe_psql('postgres', 'CREATE DATABASE planted OWNER dba; CREATE DATABASE planted_before OWNER dba; CREATE DATABASE clean OWNER dba');
$node->safe_psql('clean', 'CREATE EXTENSION occ_lock', extra_params => [ '-U', 'dba' ]);
$node->safe_psql('planted', "$plant; CREATE EXTENSION occ_lock", extra_params => [ '-U', 'dba' ]);
$node->safe_psql('planted_before', "$plant; CREATE EXTENSION occ_lock VERSION '1.0'; ALTER EXTENSION occ_lock UPDATE", extra_params => [ '-U', 'dba' ]);
my $clean = $node->safe_psql('clean', $members);
like($clean, qr/pg_trigger.*occ_lock\.auto_enable/s, 'what is compared has both views in it');
is($node->safe_psql($_, $members), $clean, "$_: the extension is what it is elsewhere") foreach ('planted', 'planted_before');

# The update goes by the schema's name, so it must be that of the extension's schema, and no stranger's.
my $planted = q{
	CREATE SCHEMA occ;
	CREATE FUNCTION occ.guard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''planted''; END';
	CREATE VIEW occ.tables AS SELECT 'version'::name AS version_column;
};
sub update
{
	my ($database, $sql) = @_;
	my ($status, $stdout, $stderr) = $node->psql($database, "$sql; ALTER EXTENSION occ_lock UPDATE",
		extra_params => [ '-U', 'dba', '-v', 'VERBOSITY=verbose' ]);
	return $stderr;
}
$node->safe_psql('postgres', 'CREATE DATABASE older OWNER dba');
$node->safe_psql('older', q{CREATE EXTENSION occ_lock VERSION '1.0'}, extra_params => [ '-U', 'dba' ]);
like(update('older', "ALTER SCHEMA occ RENAME TO elsewhere; $planted"),
	qr/55000: the extension's schema is called "elsewhere"/, 'the update does not go to a schema of the old name');
is($node->safe_psql('older', q{SELECT count(*) FROM pg_proc WHERE pronamespace = 'occ'::regnamespace}), '1', '... and has put nothing there');
$node->safe_psql('older', 'DROP SCHEMA occ CASCADE; ALTER SCHEMA elsewhere RENAME TO occ; ALTER SCHEMA occ OWNER TO stranger');
like(update('older', ''), qr/42501: schema "occ" belongs to another role/, '... nor to one that a stranger has got');
$node->safe_psql('older', 'ALTER SCHEMA occ OWNER TO CURRENT_USER');
is(update('older', ''), '', '... but to a superuser\'s');

$node->stop;
done_testing();

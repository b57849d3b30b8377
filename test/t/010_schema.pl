# The schema occ: there before the extension, in a stranger's hands, or renamed afterwards.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_prepared_transactions = 5");
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

my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
my $of_another = qr/42501: schema "occ" belongs to another role/;
create_database('strange', 'stranger');
like(create_extension('strange', 'dba'), $of_another, 'a stranger\'s schema is refused');
my $refusal = create_extension('strange', $superuser);
like($refusal, $of_another, '... to a superuser as well');
like($refusal, qr/DETAIL:  Role "stranger" could put functions beside.*\nHINT:  Drop the schema, or have it handed over: ALTER SCHEMA occ OWNER TO \w+\./,
	'... who is told whose it is, and what to do');
unlike($refusal, qr/ERROR.*ERROR/s, '... by one error');
is($node->safe_psql('strange', q{SELECT nspacl IS NULL FROM pg_namespace WHERE nspname = 'occ'}), 't', '... and it is left as it was');
create_database('friendly', 'friend');
like(create_extension('friendly', 'dba'), $of_another, 'so is that of a group that one belongs to: its other members could plant something');
$node->safe_psql('postgres', 'CREATE DATABASE own OWNER dba');
is(create_extension('own', 'dba'), '', 'without a schema the extension makes its own');
$node->safe_psql('own', 'DROP EXTENSION occ_lock');
is(create_extension('own', $superuser), '', '... which is good for a superuser, too, as the schema of the database\'s owner');

# Schemas that are nobody's who has not all rights anyway.
$node->safe_psql('postgres', 'CREATE ROLE owners; CREATE ROLE partner LOGIN; GRANT owners TO partner; CREATE ROLE admin LOGIN SUPERUSER;
	CREATE DATABASE legal OWNER owners; GRANT CREATE ON DATABASE legal TO dba; ALTER DATABASE strange OWNER TO dba');
foreach (
	[ 'dba', 'dba', 'the installing role, which has CREATE on the database' ],
	[ 'owners', 'dba', 'the database\'s owner' ],
	[ 'owners', $superuser, 'the database\'s owner, for a superuser' ],
	[ 'partner', 'dba', 'a role that has all rights of the database\'s owner' ],
	[ 'pg_database_owner', $superuser, 'the database\'s owner, whoever it is' ],
	[ 'admin', 'partner', 'a superuser' ],
	[ $superuser, 'admin', 'another superuser' ])
{
	my ($owner, $installer, $name) = @$_;
	$node->safe_psql('legal', "CREATE SCHEMA occ AUTHORIZATION $owner");
	is(create_extension('legal', $installer), '', "accepted: a schema of $name");
	$node->safe_psql('legal', 'DROP EXTENSION occ_lock; DROP SCHEMA occ');
}

# The attack of the issue: who may create in the database makes the schema, waits for the superuser, and adds his function.
$node->safe_psql('postgres', 'CREATE DATABASE shop OWNER dba; GRANT CREATE ON DATABASE shop TO stranger');
$node->safe_psql('shop', 'SET ROLE stranger; CREATE SCHEMA occ');
like(create_extension('shop', $superuser), $of_another, 'an empty schema of a stranger');
$node->safe_psql('shop', q{
	SET ROLE stranger;
	GRANT CREATE ON SCHEMA occ TO friend, dba;
	CREATE FUNCTION occ.enable(text) RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''planted''; END';
	CREATE DOMAIN occ.regclass AS text;
});
# Taking it over, as the hint says, takes over neither what is in it nor who may create there.
$node->safe_psql('shop', 'ALTER SCHEMA occ OWNER TO CURRENT_USER');
like(create_extension('shop', $superuser), qr/42501: other roles may create objects in schema "occ".*\nHINT: .*REVOKE CREATE ON SCHEMA occ FROM friend\./s,
	'a right to create there, granted to a stranger');
$node->safe_psql('shop', 'REVOKE CREATE ON SCHEMA occ FROM friend; GRANT CREATE ON SCHEMA occ TO PUBLIC');
like(create_extension('shop', $superuser), qr/REVOKE CREATE ON SCHEMA occ FROM PUBLIC\./, '... and to everybody');
$node->safe_psql('shop', 'REVOKE CREATE ON SCHEMA occ FROM PUBLIC');
like(create_extension('shop', $superuser), qr/42501: schema "occ" holds objects of another role\nDETAIL:  Among them: function enable\(text\), type occ\.regclass\./,
	'objects of a stranger');
$node->safe_psql('shop', 'DROP FUNCTION occ.enable; DROP DOMAIN occ.regclass;
	CREATE FUNCTION occ.plus(int, int) RETURNS int LANGUAGE sql RETURN 1;
	CREATE OPERATOR occ.= (LEFTARG = int, RIGHTARG = int, FUNCTION = occ.plus); ALTER OPERATOR occ.= (int, int) OWNER TO stranger');
like(create_extension('shop', $superuser), qr/holds objects of another role\nDETAIL:  Among them: operator/, '... of every kind');
$node->safe_psql('shop', 'DROP OPERATOR occ.= (int, int); GRANT USAGE ON SCHEMA occ TO stranger;
	ALTER DEFAULT PRIVILEGES FOR ROLE stranger IN SCHEMA occ GRANT EXECUTE ON FUNCTIONS TO friend');
is(create_extension('shop', $superuser), '', 'objects of a superuser, rights of the owner, and privileges of what a stranger might make are in nobody\'s way');
$node->safe_psql('postgres', 'CREATE DATABASE open OWNER dba');
$node->safe_psql('open', 'SET ROLE dba; ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO friend');
like(create_extension('open', 'dba'), qr/42501: other roles may create objects in schema "occ"/, 'a schema that default privileges open');

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
sub update_as
{
	my ($role, $database, $sql) = @_;
	my ($status, $stdout, $stderr) = $node->psql($database, "$sql; ALTER EXTENSION occ_lock UPDATE",
		extra_params => [ '-U', $role, '-v', 'VERBOSITY=verbose' ]);
	return $stderr;
}
sub update { return update_as('dba', @_); }
$node->safe_psql('postgres', 'CREATE DATABASE older OWNER dba');
$node->safe_psql('older', q{CREATE EXTENSION occ_lock VERSION '1.0'}, extra_params => [ '-U', 'dba' ]);
like(update('older', "ALTER SCHEMA occ RENAME TO elsewhere; $planted"),
	qr/55000: the extension's schema is called "elsewhere"/, 'the update does not go to a schema of the old name');
is($node->safe_psql('older', q{SELECT count(*) FROM pg_proc WHERE pronamespace = 'occ'::regnamespace}), '1', '... and has put nothing there');
$node->safe_psql('older', 'DROP SCHEMA occ CASCADE; ALTER SCHEMA elsewhere RENAME TO occ; ALTER SCHEMA occ OWNER TO stranger');
like(update('older', ''), qr/42501: schema "occ" belongs to another role/, '... nor to one that a stranger has got');
$node->safe_psql('older', 'ALTER SCHEMA occ OWNER TO CURRENT_USER; GRANT CREATE ON SCHEMA occ TO friend');
like(update('older', ''), qr/42501: other roles may create objects in schema "occ"/, '... nor to one where a stranger may create');
$node->safe_psql('older', 'REVOKE CREATE ON SCHEMA occ FROM friend; CREATE FUNCTION occ.enable(text) RETURNS int LANGUAGE sql RETURN 1; ALTER FUNCTION occ.enable(text) OWNER TO stranger');
like(update('older', ''), qr/42501: schema "occ" holds objects of another role\nDETAIL:  Among them: function enable\(text\)\./, '... or has done so');
$node->safe_psql('older', 'DROP FUNCTION occ.enable(text)');
is(update('older', ''), '', '... but to a superuser\'s');
# 1.1 let superusers install it into a stranger's schema.
$node->safe_psql('postgres', 'CREATE DATABASE trapped; GRANT CREATE ON DATABASE trapped TO stranger');
$node->safe_psql('trapped', q{
	SET ROLE stranger;
	CREATE SCHEMA occ;
	RESET ROLE;
	CREATE EXTENSION occ_lock VERSION '1.1';
	SELECT occ.auto_enable();
	SET ROLE stranger;
	CREATE FUNCTION occ.enable(text) RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
});
like(update_as($superuser, 'trapped', ''), $of_another, 'an update by a superuser does not go on with a stranger\'s schema');
like(update_as($superuser, 'trapped', 'ALTER SCHEMA occ OWNER TO CURRENT_USER'), qr/holds objects of another role\nDETAIL:  Among them: function enable/,
	'... nor with what he has put there');
is(update_as($superuser, 'trapped', 'DROP FUNCTION occ.enable(text)'), '', '... and does without; what occ.auto_enable() has made is no stranger\'s');

# A dump gives the schema to its owner before it makes the extension.
$node->safe_psql('postgres', 'CREATE DATABASE origin OWNER dba');
create_extension('origin', 'dba');
$node->safe_psql('origin', 'SET ROLE dba; CREATE TABLE product (id int PRIMARY KEY); SELECT occ.enable(\'product\')');
my $dump = "$PostgreSQL::Test::Utils::tmp_check/origin.dump";
my $script = "$PostgreSQL::Test::Utils::tmp_check/origin.sql";
my @connection = ('-h', $node->host, '-p', $node->port);
command_ok([ 'pg_dump', @connection, '-Fc', '-f', $dump, 'origin' ], 'pg_dump of a database whose owner has installed the extension');
command_ok([ 'pg_dump', @connection, '-f', $script, 'origin' ], '... as a script');
my @psql = ('psql', @connection, '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $script);
my @pg_restore = ('pg_restore', @connection, '-e');
my $owners = q{SELECT nspowner::regrole, extowner::regrole FROM pg_namespace JOIN pg_extension ON extnamespace = pg_namespace.oid AND extname = 'occ_lock'};
foreach (
	[ 'pg_restore', [ @pg_restore, $dump, '-U', 'dba' ], 'dba', 'dba|dba' ],
	[ 'pg_restore', [ @pg_restore, $dump, '-U', $superuser ], 'dba', "dba|$superuser" ],
	[ 'pg_restore', [ @pg_restore, $dump, '-U', $superuser ], $superuser, "$superuser|$superuser" ],
	[ 'pg_restore -1', [ @pg_restore, $dump, '-1', '-U', $superuser ], $superuser, "$superuser|$superuser" ],
	[ 'psql', [ @psql, '-U', $superuser ], $superuser, "$superuser|$superuser" ],
	[ 'psql -1', [ @psql, '-1', '-U', $superuser ], 'stranger', "$superuser|$superuser" ],
	[ 'psql', [ @psql, '-U', $superuser ], 'friend', "dba|$superuser" ])
{
	my ($tool, $command, $owner, $result) = @$_;
	$node->safe_psql('postgres', "CREATE DATABASE restored OWNER $owner");
	command_ok([ @$command, '-d', 'restored' ], "$tool into a database of $owner");
	is($node->safe_psql('restored', $owners), $result, '... the schema is that of who owns the database, or goes to whom the extension goes');
	is($node->safe_psql('restored', 'SELECT table_name, enabled FROM occ.tables'), 'product|t', '... and tables are guarded');
	$node->safe_psql('postgres', 'DROP DATABASE restored');
}
# What looks like a restore gives nobody a schema that he could not take anyway, nor anything a stranger has planted.
$node->safe_psql('postgres', 'CREATE DATABASE restored; GRANT CREATE ON DATABASE restored TO dba, stranger');
$node->safe_psql('restored', q{SET ROLE stranger; CREATE SCHEMA occ; CREATE FUNCTION occ.enable(text) RETURNS int LANGUAGE sql RETURN 1});
foreach ([ 'dba', $of_another ], [ $superuser, qr/WARNING.*handed over.*ERROR:  42501: schema "occ" holds objects of another role/s ])
{
	my ($role, $error) = @$_;
	my ($status, $stdout, $stderr) = $node->psql('restored', 'SET row_security = off; CREATE EXTENSION occ_lock',
		extra_params => [ '-U', $role, '-v', 'VERBOSITY=verbose' ]);
	like($stderr, $error, "row_security = off, set by $role, opens no stranger's schema");
}

# Nor what he has planted, but not committed yet.  A prepared transaction stands for any that is still open.
$node->safe_psql('postgres', 'CREATE DATABASE pending; GRANT CREATE ON DATABASE pending TO stranger');
$node->safe_psql('pending', q{SET ROLE stranger; CREATE SCHEMA occ});
my $in_use = qr/55006: schema "occ" is in use by another transaction/;
my $restore = 'SET row_security = off; CREATE EXTENSION occ_lock';
sub install_over
{
	my ($planted, $sql) = @_;
	$node->safe_psql('pending', "BEGIN; SET LOCAL ROLE stranger; $planted; PREPARE TRANSACTION 'planted'");
	my ($status, $stdout, $stderr) = $node->psql('pending', "BEGIN; $sql; ROLLBACK", extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	$node->safe_psql('pending', q{ROLLBACK PREPARED 'planted'});
	return $stderr;
}
like(install_over('CREATE FUNCTION occ.enable(text) RETURNS int LANGUAGE sql RETURN 1', $restore), $in_use, 'a function that is not committed yet, in a schema that is handed over');
like(install_over('CREATE VIEW occ.pg_class AS SELECT 1', 'ALTER SCHEMA occ OWNER TO CURRENT_USER; CREATE EXTENSION occ_lock'), $in_use, '... a view, in one that was taken over');
unlike(install_over('CREATE SCHEMA other; CREATE VIEW other.v AS SELECT 1', 'ALTER SCHEMA occ OWNER TO CURRENT_USER; CREATE EXTENSION occ_lock'), qr/ERROR/, '... but not what is made elsewhere');
unlike(install_over('SELECT 1', $restore), qr/ERROR/, '... nor what makes nothing');

$node->stop;
done_testing();

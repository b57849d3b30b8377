# Attacks on rights: what a database's owner can do to superusers, and what one role can make of another's session, table
# or error.  Each of these must come to nothing.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'fsync = off');
$node->start;

# Run SQL as a role.  Returns what it prints, errors and notices included.
sub as
{
	my ($role, $database, $sql) = @_;
	my ($status, $stdout, $stderr) = $node->psql($database, "\\set VERBOSITY verbose\n$sql", extra_params => [ '-U', $role ]);
	return join "\n", grep { $_ ne '' } $stdout, $stderr;
}
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

$node->safe_psql('postgres', q{
	CREATE ROLE dba LOGIN;
	CREATE ROLE clerk LOGIN;
	CREATE ROLE other LOGIN;
	CREATE ROLE deputy LOGIN NOINHERIT;
	GRANT other TO deputy;
	CREATE DATABASE shop OWNER dba;
	GRANT CREATE ON DATABASE shop TO other, deputy;
});
as('dba', 'shop', 'CREATE EXTENSION occ_lock');
$node->safe_psql('shop', 'GRANT CREATE ON SCHEMA public TO clerk, other; SELECT occ.auto_enable()');

# Guarding new tables fails nobody's DDL, whatever he may not do.
sub is_not_guarded
{
	my ($role, $sql, $why, $test) = @_;
	my $output = as($role, 'shop', $sql);
	like($output, qr/^psql:<stdin>:\d+: NOTICE:  00000: table "\w+" is not guarded: $why/, $test);
	unlike($output, qr/ERROR/, '... and nothing fails');
}
$node->safe_psql('shop', 'REVOKE ALL ON SCHEMA occ FROM PUBLIC');
is_not_guarded('clerk', 'CREATE TABLE a (id int PRIMARY KEY, version int)', 'permission denied for schema occ', 'no right on schema occ');
$node->safe_psql('shop', 'GRANT USAGE ON SCHEMA occ TO PUBLIC; REVOKE EXECUTE ON FUNCTION occ.guard() FROM PUBLIC');
is_not_guarded('clerk', 'CREATE TABLE b (id int PRIMARY KEY, version int)', 'permission denied for function occ.guard', 'no right on the guard');
$node->safe_psql('shop', q{
	GRANT EXECUTE ON FUNCTION occ.guard() TO PUBLIC;
	CREATE TABLE whole (id int, version int) PARTITION BY RANGE (id);
	CREATE TABLE part PARTITION OF whole DEFAULT;
	ALTER TABLE whole OWNER TO clerk;
	ALTER TABLE part OWNER TO other;
});
is_not_guarded('clerk', 'ALTER TABLE whole DETACH PARTITION part', 'must be owner of table part', "a partition of somebody else's");
is_not_guarded('deputy', 'CREATE SCHEMA theirs AUTHORIZATION other CREATE TABLE c (id int, version int)', 'must be owner of table c',
	'a schema made for somebody else');
$node->safe_psql('shop', q{
	SET ROLE clerk;
	CREATE TABLE d (id int);
	CREATE TRIGGER one BEFORE UPDATE ON d FOR EACH ROW EXECUTE FUNCTION occ.guard('version');
	CREATE TRIGGER two BEFORE UPDATE ON d FOR EACH ROW EXECUTE FUNCTION occ.guard('version');
});
is_not_guarded('clerk', 'ALTER TABLE d ADD COLUMN version int', 'table "d" has two guards', 'two guards by hand');

# Functions that were granted one by one, to roles that have no right on the schema.
$node->safe_psql('shop', q{
	CREATE TABLE product (id int PRIMARY KEY, version int NOT NULL DEFAULT 1);
	INSERT INTO product VALUES (1);
	GRANT SELECT ON product TO clerk;
	CREATE VIEW tagged AS SELECT id, occ.etag(product) FROM product;
	GRANT SELECT ON tagged TO clerk;
	REVOKE USAGE ON SCHEMA occ FROM PUBLIC;
});
is(as('clerk', 'shop', 'SELECT * FROM tagged'), '1|"1"', 'a view that calls occ.etag() needs no right on schema occ');
$node->safe_psql('shop', 'GRANT USAGE ON SCHEMA occ TO PUBLIC');

# The owner of the schema waits for the moment between two commands of occ.auto_enable(): by the lock that one of them
# needs he holds it up, and swaps the schema meanwhile.
my @as_dba = (on_error_stop => 0, extra_params => [ '-U', 'dba' ]);
my $holding = $node->background_psql('shop', @as_dba);
my $swapping = $node->background_psql('shop', @as_dba);
my $calling = $node->background_psql('shop', on_error_stop => 0);
$holding->query('BEGIN; DROP FUNCTION occ.auto_enable_version() CASCADE');
$calling->query_until(qr/started/, "\\echo started\nSELECT occ.auto_enable();\n");
$node->poll_query_until('shop', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'});
$swapping->query_until(qr/started/, qq{\\echo started
	ALTER SCHEMA occ RENAME TO occ_real;
	CREATE SCHEMA occ;
	CREATE FUNCTION occ.guard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''planted''; RETURN new; END';
});
$node->poll_query_until('shop', q{
	SELECT (SELECT count(*) = 2 FROM pg_stat_activity WHERE wait_event_type = 'Lock') OR to_regproc('occ_real.guard') IS NOT NULL});
$holding->query('ROLLBACK');
$calling->query('SELECT 1');
$swapping->query('SELECT 1');
$_->quit foreach ($holding, $swapping, $calling);
is($node->safe_psql('shop', 'SELECT DISTINCT evtfoid::regproc, (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = \'occ_lock\') FROM pg_event_trigger'),
	'occ_real.auto_enable_version|occ_real', 'a schema that is renamed during occ.auto_enable()');
is(as($superuser, 'shop', 'CREATE TABLE e (id int, version int); SELECT tgfoid::regprocedure FROM pg_trigger WHERE tgrelid = \'e\'::regclass'),
	'occ_real.guard()', '... takes its guard along');
$node->safe_psql('shop', 'DROP SCHEMA occ CASCADE; ALTER SCHEMA occ_real RENAME TO occ');

# A function of ours beside a guard() that is not: an installation that was taken apart.
$node->safe_psql('shop', q{
	CREATE SCHEMA apart AUTHORIZATION dba;
	ALTER FUNCTION occ.enable SET SCHEMA apart;
	SET ROLE dba;
	CREATE FUNCTION apart.guard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''planted''; RETURN new; END';
});
like(as($superuser, 'shop', q{SELECT apart.enable('product')}), qr/42883: function apart.guard\(\) does not exist\nDETAIL:  The function of that name/,
	'a guard() that is not ours is not put on a table');
$node->safe_psql('shop', 'ALTER FUNCTION apart.enable SET SCHEMA occ');

# A superuser who does not trust the database's owner takes the schema over; then nobody can put a function there that
# a call of his would find.
$node->safe_psql('shop', 'ALTER SCHEMA occ OWNER TO CURRENT_USER');
like(as('dba', 'shop', q{CREATE FUNCTION occ.auto_enable(text) RETURNS void LANGUAGE plpgsql AS 'BEGIN END'}),
	qr/42501: permission denied for schema occ/, 'nothing can be planted in a schema that a superuser has taken over');
like(as('dba', 'shop', 'ALTER SCHEMA occ RENAME TO mine'), qr/42501: must be owner of schema occ/, '... nor can it be swapped');

$node->stop;
done_testing();

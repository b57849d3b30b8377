# occ.auto_enable() across pg_dump and restore, and in a database whose owner is not to be trusted.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'fsync = off');
$node->start;
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;

my $unstated = q{SELECT unstated FROM occ.tables WHERE table_name = 'product'::regclass};
my $create = 'CREATE TABLE product (id int PRIMARY KEY, "re vision" int NOT NULL DEFAULT 1)';

# A dump has the event triggers, which come last: what it restores is guarded as it was, and new tables are from then on.
$node->safe_psql('postgres', 'CREATE DATABASE origin');
$node->safe_psql(
	'origin', q{
	SET client_min_messages = warning;
	CREATE EXTENSION occ_lock;
	CREATE TABLE before (id int PRIMARY KEY, "re vision" int);
	SELECT occ.auto_enable('re vision', preset => 'orm', unstated => 'reject');
	CREATE TABLE since (id int PRIMARY KEY, "re vision" int);
	CREATE TABLE parts (id int PRIMARY KEY, "re vision" int) PARTITION BY RANGE (id);
	CREATE TABLE part (LIKE parts INCLUDING ALL);
	ALTER TABLE parts ATTACH PARTITION part FOR VALUES FROM (1) TO (10);
});
my $dump = "$PostgreSQL::Test::Utils::tmp_check/auto.dump";
command_ok([ 'pg_dump', '-Fc', '-f', $dump, 'origin' ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
command_ok([ 'pg_restore', '-e', '-d', 'copy', $dump ], 'pg_restore');
my $guards = q{SELECT tgrelid::regclass, tgparentid <> 0 FROM pg_trigger WHERE tgname = '_occ_guard' ORDER BY tgrelid::regclass::text};
is($node->safe_psql('copy', $guards), $node->safe_psql('origin', $guards), 'the same tables are guarded');
is($node->safe_psql('copy', 'SELECT table_name, version_column FROM occ.unguarded'), 'before|re vision', '... and not');
is($node->safe_psql('copy', "$create; $unstated"), 'reject', 'a new table is guarded, with the options');

# A dump into a database that has them already: without event triggers, or each guard would be made twice.
my $script = "$PostgreSQL::Test::Utils::tmp_check/auto.sql";
command_ok([ 'pg_dump', '-f', $script, '-t', 'since', '-t', 'part*', 'origin' ], 'pg_dump -t');
$node->safe_psql('copy', 'DROP TABLE since, parts');
my @restore = ('psql', '-Xq', '-1', '-v', 'ON_ERROR_STOP=1', '-f', $script, 'copy');
command_fails_like(\@restore, qr/trigger "_occ_guard" for relation "\w+" already exists/, 'restore on top of event triggers');
command_ok([ 'env', 'PGOPTIONS=-c session_replication_role=replica', @restore ], '... and without them');
is($node->safe_psql('copy', "$guards"), "part|t\nparts|f\nproduct|f\nsince|f", '... has each guard once');

$node->safe_psql('copy', q{SELECT occ.auto_disable('re vision'); DROP EXTENSION occ_lock CASCADE; CREATE TABLE free ("re vision" int)});

# Whoever owns the database owns the schema of a trusted extension, and can put a function there.
$node->safe_psql('postgres', 'CREATE ROLE dba LOGIN; CREATE DATABASE shop OWNER dba');
my @as_dba = (extra_params => [ '-U', 'dba' ]);
$node->safe_psql(
	'shop', q{
	CREATE EXTENSION occ_lock;
	CREATE FUNCTION occ.auto_enable_version() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'}, @as_dba);
$node->safe_psql('shop', 'SELECT occ.auto_enable()');
my ($status, $stdout, $stderr) = $node->psql(
	'shop', q{
	CREATE OR REPLACE FUNCTION occ.auto_enable_version() RETURNS event_trigger LANGUAGE plpgsql
		AS 'BEGIN EXECUTE ''ALTER ROLE dba SUPERUSER''; END'}, @as_dba);
like($stderr, qr/must be owner of function/, 'a function planted by the owner of the schema is not the one that superusers fire');
($status, $stdout, $stderr) = $node->psql('shop', 'ALTER FUNCTION occ.auto_enable_version() RESET ALL', @as_dba);
like($stderr, qr/must be owner of function/, '... nor can they change the one that is');

# Nor does another schema of that name catch the calls.
$node->safe_psql(
	'shop', q{
	ALTER SCHEMA occ RENAME TO elsewhere;
	CREATE SCHEMA occ;
	CREATE FUNCTION occ.guard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''caught''; END';
}, @as_dba);
$node->safe_psql('shop', 'CREATE TABLE product (id int PRIMARY KEY, version int)');
is($node->safe_psql('shop', q{SELECT tgfoid::regprocedure FROM pg_trigger WHERE tgrelid = 'product'::regclass}),
	'elsewhere.guard()', 'a schema that was renamed takes its function along');

$node->stop;
done_testing();

# Third-party code that never finishes a query: a row that the guard left out must not go unnoticed, so the
# transaction can't commit.  The module unfinished_query (test/modules) plays that code.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 1');
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION occ_lock;
	CREATE FUNCTION unfinished_update(regclass, int, bigint) RETURNS int LANGUAGE c AS '$libdir/unfinished_query';
	CREATE TABLE t (id int PRIMARY KEY, version bigint NOT NULL DEFAULT 5);
	INSERT INTO t VALUES (1), (2);
	SELECT occ.enable('t');
});

# Run SQL that must fail; returns standard error.
sub fails
{
	my ($sql) = @_;
	my ($status, $stdout, $stderr) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql", on_error_stop => 1);
	isnt($status, 0, "fails: $sql");
	return $stderr;
}

sub versions
{
	return $node->safe_psql('postgres', 'SELECT string_agg(version::text, \',\' ORDER BY id) FROM t');
}

is($node->safe_psql('postgres', "SELECT unfinished_update('t', 2, 5)"), '2', 'an echo is written');
is(versions(), '6,6', 'and moves the version');

my $stderr = fails("SELECT unfinished_update('t', 2, 5)");
like($stderr, qr/ERROR:  PT409: optimistic lock conflict on 2 rows of "t"/, 'the commit raises the conflict');
like($stderr, qr/"ids":\[1,2\].*"expected":5,"actual":6/, '... with the stale rows');
like($stderr, qr/CONSTRAINT NAME:  _occ_guard/, '... and all fields');

$stderr = fails("BEGIN;\nSELECT unfinished_update('t', 2, 5);\nSELECT 'still going' AS state;\nCOMMIT;");
like($stderr, qr/PT409/, 'a block fails at COMMIT');
like(fails("BEGIN;\nSELECT unfinished_update('t', 2, 5);\nPREPARE TRANSACTION 'p';"), qr/PT409/, '... or at PREPARE TRANSACTION');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'), '0', 'nothing is prepared');
like(fails("BEGIN;\nSAVEPOINT s;\nSELECT unfinished_update('t', 2, 5);\nRELEASE s;\nCOMMIT;"), qr/PT409/,
	'a released savepoint hands its findings on');
like(fails("BEGIN;\nSELECT unfinished_update('t', 2, 5);\nDROP TABLE t;\nCOMMIT;"), qr/PT409.*"ids":\[\],"rows":\[\]/s,
	'a table that the transaction dropped is still named, its rows not');

# What is rolled back is forgotten.
is($node->safe_psql('postgres', "BEGIN;\nSAVEPOINT s;\nSELECT unfinished_update('t', 2, 5);\nROLLBACK TO s;\nUPDATE t SET version = 6 WHERE id = 1 RETURNING version;\nCOMMIT;"),
	"2\n7", 'a savepoint that is rolled back takes its findings along');
is($node->safe_psql('postgres', "DO \$\$ BEGIN PERFORM unfinished_update('t', 2, 5); RAISE 'undo'; EXCEPTION WHEN OTHERS THEN NULL; END \$\$; SELECT 1"),
	'1', 'and so does an EXCEPTION block');
$node->safe_psql('postgres', "BEGIN;\nSELECT unfinished_update('t', 2, 5);\nROLLBACK;\nSELECT 1");
is(versions(), '7,6', 'nothing else was written');

# The session goes on, and ordinary statements beside it raise at once, just their own.
$stderr = fails("BEGIN;\nSELECT unfinished_update('t', 2, 5);\nUPDATE t SET version = 1 WHERE id = 2;");
like($stderr, qr/conflict on 1 row .*"ids":\[2\]/s, 'an ordinary statement raises its own findings');

# With enforce => 'warn' the commit warns.
$node->safe_psql('postgres', "SELECT occ.enable('t', enforce => 'warn')");
my ($status, $stdout);
($status, $stdout, $stderr) = $node->psql('postgres', "SELECT unfinished_update('t', 2, 5)");
is($status, 0, 'a warning lets the transaction commit');
like($stderr, qr/WARNING:  optimistic lock conflict on 2 rows/, '... and is given');
is(versions(), '8,7', '... and the rows are written, on from the stored version');

$node->stop;
done_testing();

# A primary that dies and a standby that takes its place: what was acknowledged is there, and versions that were read from the standby,
# or before the failover, are worth what they are worth.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', 'fsync = off');
$primary->start;
$primary->safe_psql(
	'postgres', q{
	CREATE EXTENSION occ_lock;
	CREATE TABLE product (id int PRIMARY KEY, stock int, version bigint NOT NULL DEFAULT 1);
	CREATE TABLE article (id int PRIMARY KEY, title text, updated_at timestamptz NOT NULL DEFAULT now());
	SELECT occ.enable('product');
	SELECT occ.enable('article', 'updated_at');
	INSERT INTO product SELECT i, 10 FROM generate_series(1, 3) AS i;
	INSERT INTO article VALUES (1, 'Tea');
});
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf', "primary_conninfo = '" . $primary->connstr . " application_name=standby'");
$standby->start;
$primary->safe_psql('postgres', q{ALTER SYSTEM SET synchronous_standby_names = 'standby'});
$primary->safe_psql('postgres', q{ALTER SYSTEM SET synchronous_commit = 'remote_apply'});
$primary->reload;
$primary->poll_query_until('postgres', q{SELECT sync_state = 'sync' FROM pg_stat_replication});

sub state_of
{
	my ($node, $sql) = @_;
	my ($status, $stdout, $stderr) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n$sql");
	return $stderr =~ /ERROR:  (\w+)/ ? $1 : $stdout;
}

# Reads from the standby feed writes on the primary.
my $save = sub { "UPDATE product SET stock = $_[0], version = $_[1] WHERE id = $_[2] RETURNING version" };
is(state_of($primary, $save->(9, $standby->safe_psql('postgres', 'SELECT version FROM product WHERE id = 1'), 1)), '2',
	'a version that was read from the standby');
is($standby->safe_psql('postgres', 'SELECT stock, version, occ.etag(p) FROM product AS p WHERE id = 1'), '9|2|"2"',
	'with remote_apply the standby has what was acknowledged, and makes the same ETag');
is(state_of($standby, $save->(8, 2, 1)), '25006', 'the standby takes no updates');
is(state_of($standby, q{SELECT * FROM occ.check('product', '{"id": 1, "version": 2}')}), '25006', '... nor locks');
is(state_of($standby, q{CALL occ.retry('UPDATE product SET stock = 1')}), '25006', '... and occ.retry() does not try again');
is(state_of($standby, 'SELECT table_name FROM occ.tables ORDER BY table_name::text'), "article\nproduct", '... but tells what is guarded');

# A standby that lags hands out old versions.
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
$standby->poll_query_until('postgres', q{SELECT pg_get_wal_replay_pause_state() = 'paused'});
$primary->safe_psql('postgres', 'SET synchronous_commit = local; ' . $save->(8, 2, 1));
my $old = $standby->safe_psql('postgres', 'SELECT version FROM product WHERE id = 1');
is($old, '2', 'a standby that lags');
is(state_of($primary, $save->(1, $old, 1)), 'PT409', '... and what was read there is refused');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
$primary->wait_for_catchup('standby');

# The primary dies.  What was acknowledged synchronously is on the standby; what was not may be gone, with its version.
my $read = $primary->safe_psql('postgres', 'SELECT updated_at FROM article');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
$standby->poll_query_until('postgres', q{SELECT pg_get_wal_replay_pause_state() = 'paused'});
$primary->safe_psql('postgres',
	'SET synchronous_commit = on; ' . $save->(7, 3, 1) . qq{; UPDATE article SET title = 'Cup', updated_at = '$read'});
$primary->stop('immediate');
my $stored = 'SELECT stock, version FROM product WHERE id = 1';
is($standby->safe_psql('postgres', $stored), '8|3', 'acknowledged with synchronous_commit = on, and not yet replayed on the standby');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
$standby->promote;
is($standby->safe_psql('postgres', $stored), '7|4', '... is there after the failover');

is(state_of($standby, $save->(6, 3, 1)), 'PT409', 'after the failover a stale version is refused');
is(state_of($standby, $save->(6, 4, 1)), '5', '... and the acknowledged one is good');
is(state_of($standby, "UPDATE article SET title = 'Pot', updated_at = '$read'"), 'PT409', '... likewise for times');
my $now = $standby->safe_psql('postgres', 'SELECT updated_at FROM article');
is(state_of($standby, "UPDATE article SET title = 'Pot', updated_at = '$now' RETURNING updated_at > '$now'"), 't', '... which go on advancing');

# A new standby in its place; a client that still has a version from the primary that was lost.
$standby->backup('again');
my $third = PostgreSQL::Test::Cluster->new('third');
$third->init_from_backup($standby, 'again', has_streaming => 1);
$third->start;
$standby->safe_psql('postgres', $save->(5, 5, 1) . "; " . $save->(4, 6, 1));
$standby->stop('immediate');
$third->promote;
my $there = $third->safe_psql('postgres', 'SELECT version FROM product WHERE id = 1');
is(state_of($third, $save->(3, $there + 2, 1)), 'PT409', 'a version that no row has had here is refused');
is(state_of($third, 'BEGIN; ' . $save->(3, $there + 1, 1)), $there + 1, '... but not the next one, which ORMs state');
$third->safe_psql('postgres', q{SELECT occ.enable('product', token => 'read')});
is(state_of($third, $save->(3, $there + 1, 1)), 'PT409', q{... unless token => 'read'});
is(state_of($third, $save->(3, $there, 1)), $there + 1, '... and what is read again is good');

$third->stop;
done_testing();

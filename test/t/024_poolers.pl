# What docs/operations/clusters.md says of pgbouncer, in each of its modes.  With one connection to the server, all clients share it.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run;

$ENV{PATH} .= ':/usr/sbin';
plan skip_all => 'needs pgbouncer' if system('pgbouncer --version >/dev/null 2>&1') != 0;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'fsync = off');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION occ_lock; CREATE ROLE retrying LOGIN SUPERUSER');
my $user = $node->safe_psql('postgres', 'SELECT current_user');

my %port = (transaction => 6401, statement => 6402, session => 6403);
my $directory = PostgreSQL::Test::Utils::tempdir_short();
my %pooler;
append_to_file("$directory/users", qq{"$user" ""\n"retrying" ""\n});
foreach my $mode (keys %port)
{
	append_to_file("$directory/$mode.ini", <<"END");
[databases]
postgres = host=@{[ $node->host ]} port=@{[ $node->port ]}
[pgbouncer]
listen_addr =
unix_socket_dir = $directory
listen_port = $port{$mode}
auth_type = trust
auth_file = $directory/users
pool_mode = $mode
default_pool_size = 1
logfile = $directory/$mode.log
END
	$pooler{$mode} = IPC::Run::start([ 'pgbouncer', '-q', "$directory/$mode.ini" ], '>', '/dev/null', '2>', "$directory/$mode.err");
}
END
{
	my $status = $?;
	$_->kill_kill foreach values %pooler;
	$? = $status;
}

sub psql
{
	my ($mode, $as) = @_;
	return ('psql', '-XqAt', '-v', 'VERBOSITY=verbose', '-h', $directory, '-p', $port{$mode}, '-U', $as // $user, '-d', 'postgres');
}

# Each a statement of its own, in one session.
sub pooled
{
	my ($mode, $sql, $as) = @_;
	my ($out, $err) = run_command([ psql($mode, $as), map { ('-c', $_) } ref $sql ? @$sql : $sql ]);
	return join "\n", grep { $_ ne '' } $out, $err;
}

foreach my $mode ('transaction', 'statement', 'session')
{
	my $tries = 0;
	until (pooled($mode, 'SELECT 1') eq '1')
	{
		BAIL_OUT(slurp_file("$directory/$mode.log")) if ++$tries == 100;
		select undef, undef, undef, 0.1;
	}
	$node->safe_psql(
		'postgres', q{
		SET client_min_messages = warning;
		DROP TABLE IF EXISTS product;
		CREATE TABLE product (id int PRIMARY KEY, stock int, version bigint NOT NULL DEFAULT 1);
		SELECT occ.enable('product');
		INSERT INTO product SELECT i, 10 FROM generate_series(1, 3) AS i});
	my $save = 'UPDATE product SET stock = 9, version = 1 WHERE id = 1 RETURNING version';

	is(pooled($mode, $save), '2', "$mode mode: an update that states its version");
	like(pooled($mode, $save), qr/ERROR:  PT409: .*\nDETAIL:  .*"ids":\[1\].*TABLE NAME:  product/s, '... a stale one');
	is(pooled($mode, q{SELECT DISTINCT status FROM occ.update('product', (SELECT jsonb_agg(to_jsonb(p)) FROM product AS p))}), 'updated', '... a batch');
	like(pooled($mode, q{SELECT occ.check('product', '[{"id": 2, "version": 1}, {"id": 4, "version": 1}]')}), qr/"ids":\[2,4\]/, '... a stale one');
	is(pooled($mode, q{CALL occ.retry('UPDATE product SET stock = stock - 1 WHERE id = 1 RETURNING stock')}), '1|{"stock": 8}', '... occ.retry()');

	my @block = ('BEGIN', 'UPDATE product SET stock = 7 WHERE id = 1 RETURNING version', 'SAVEPOINT s', $save, 'ROLLBACK TO s', 'COMMIT', 'SELECT stock FROM product WHERE id = 1');
	my $printed = pooled($mode, \@block);
	if ($mode eq 'statement') { like($printed, qr/transaction blocks not allowed|terminated/, '... no transaction of several statements') }
	else { like($printed, qr/^5\n7\nERROR:  PT409/, '... a transaction with a savepoint') }

	# Two clients, one connection to the server.
	my ($in, $out, $err) = ('', '', '');
	my $client = IPC::Run::start([ psql($mode) ], '<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	my $say = sub { $in .= "$_[0]\n\\echo done\n"; $client->pump until $out =~ s/done\n//; };
	if ($mode ne 'session')
	{
		$say->(q{SET occ_lock.conflict_sqlstate = '40001';});
		like(pooled($mode, $save), qr/ERROR:  40001/, '... a setting that one client makes is for all');
		$say->(q{RESET occ_lock.conflict_sqlstate;});
		like(pooled($mode, $save), qr/ERROR:  PT409/, '... until it is taken back');

		# Not so long that it matters, not so short that a slow machine misses it.
		$in .= q{CALL occ.retry('UPDATE product SET version = 1', max_attempts => 2, base_delay => '3 s', max_delay => '3 s');} . "\n\\echo done\n";
		my $active = q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CALL %' AND state = 'active'};
		while ($node->safe_psql('postgres', $active) eq '0') { $client->pump_nb }
		is(pooled($mode, 'SELECT 1') . $node->safe_psql('postgres', $active), '10', '... occ.retry() has its connection until it ends, pauses included');
		$client->pump until $out =~ s/done\n//;
		like($err, qr/attempt 2 of 2/, '... and then gives it back');
	}
	$in .= "\\q\n";
	$client->finish;

	$node->safe_psql('postgres', q{ALTER ROLE retrying SET occ_lock.conflict_sqlstate = '40001'});
	like(pooled($mode, $save, 'retrying'), qr/ERROR:  40001/, '... a setting of a role');
	like(pooled($mode, $save), qr/ERROR:  PT409/, '... is for that role');
}

$node->stop;
done_testing();

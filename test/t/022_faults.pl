# No memory, no space, no time: a batch that meets one of these fails as a whole with a fitting SQLSTATE, and the session goes on.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off");
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION occ_lock;
	CREATE TABLE product (id int PRIMARY KEY, note text, version bigint NOT NULL DEFAULT 1);
	SELECT occ.enable('product');
	INSERT INTO product SELECT i, 'note' FROM generate_series(1, 20000) AS i;
	CREATE TABLE input AS SELECT jsonb_agg(jsonb_build_object('id', id, 'version', 1, 'note', repeat('x', 100))) AS rows FROM product;
	CREATE FUNCTION unharmed() RETURNS boolean LANGUAGE sql AS $$ SELECT bool_and(version = 1 AND note = 'note') AND count(*) = 20000 FROM product $$;
});

# One session, whose limits can be changed while it runs.  Returns what it prints, or the SQLSTATE.
sub session
{
	my $session = {};
	my @command = ('psql', '-XqAt', '-v', 'VERBOSITY=sqlstate', '-v', 'ON_ERROR_STOP=0', '-d', $node->connstr('postgres'));
	$session->{harness} = IPC::Run::start(\@command, '<', \$session->{in}, '>', \$session->{out}, '2>', \$session->{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return $session;
}

sub ask
{
	my ($session, $sql) = @_;
	$session->{out} = $session->{err} = '';
	$session->{in} .= "$sql\n;\n\\echo done\n";
	$session->{harness}->pump until $session->{out} =~ s/done\n//;
	return $session->{err} =~ /ERROR:  (\w+)/ ? $1 : $session->{out} =~ s/\n\z//r;
}

sub limit
{
	my ($session, $limit) = @_;
	my $pid = ask($session, 'SELECT pg_backend_pid()');
	system_or_bail('prlimit', "--pid=$pid", $limit);
}

my @batches = (
	'SELECT count(*) FROM occ.update(\'product\', (SELECT rows FROM input))',
	'SELECT count(*) FROM occ.update_safely(\'product\', (SELECT rows FROM input), \'{"note": "y"}\')',
	'SELECT count(*) FROM occ.delete(\'product\', (SELECT rows FROM input))');

# Memory: the address space of one backend ends a little beyond what it has.  One after another meets the limit in another place.
SKIP:
{
	skip 'needs prlimit', 1 unless -x '/usr/bin/prlimit';
	foreach my $batch (@batches)
	{
		my ($refused, $done) = (0, 0);
		foreach my $megabytes (1, 2, 4, 6, 8, 10, 12, 16, 20, 30, 40, 60)
		{
			my $session = session();
			ask($session, "LOAD 'occ_lock'; SELECT count(*) FROM input");
			my $pid = ask($session, 'SELECT pg_backend_pid()');
			my ($pages) = slurp_file("/proc/$pid/statm") =~ /^(\d+)/;
			limit($session, '--as=' . ($pages * 4096 + $megabytes * 1024 * 1024));
			ask($session, 'BEGIN');
			my $result = ask($session, $batch);
			if ($result eq '53200')
			{
				$refused++;
				ask($session, 'ROLLBACK');
				is(ask($session, 'SELECT 1'), '1', "$megabytes MB: the session goes on") if $refused == 1;
			}
			elsif ($result eq '20000') { $done++ }
			else { fail("$batch: with $megabytes MB: $result") }
			$session->{harness}->kill_kill;
			last if $done;
		}
		cmp_ok($refused, '>', 0, "out of memory, $refused times: " . substr($batch, 21, 20));
		is($node->safe_psql('postgres', 'SELECT unharmed()'), 't', '... and nothing is written');
	}
}

# Space: the table's file can't grow.
SKIP:
{
	skip 'needs prlimit', 1 unless -x '/usr/bin/prlimit';
	my $session = session();
	my $size = $node->safe_psql('postgres', q{SELECT pg_relation_size('product')});
	limit($session, "--fsize=$size");
	isnt(ask($session, $batches[0]), '20000', 'a file that cannot grow');
	is(ask($session, 'SELECT unharmed()'), 't', '... and nothing is written');
	$session->{harness}->kill_kill;
}

# Space again, as it really ends: a tablespace on a file system of a few megabytes, which the server alone sees.
SKIP:
{
	my $mount = $node->basedir . '/small';
	mkdir $mount;
	my @inside = ('unshare', '--user', '--map-current-user', '--keep-caps', '--mount');
	my $mounts = "mount -t tmpfs -o size=4m,mode=700 tmpfs $mount";
	skip 'needs user namespaces', 1 if system(join(' ', @inside, 'sh', '-c', "'$mounts'", '2>/dev/null')) != 0;
	$node->stop;
	my $start = "$mounts && exec pg_ctl -w -s -D @{[ $node->data_dir ]} -l @{[ $node->logfile ]} start";
	system_or_bail(@inside, 'sh', '-c', $start);
	$node->_update_pid(1);
	$node->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$mount'");
	foreach my $statement (
		q{SELECT count(*) FROM occ.update('tight', (SELECT jsonb_agg(to_jsonb(t) || '{"note": "y"}') FROM tight AS t))},
		q{SELECT count(*) FROM occ.touch('tight', (SELECT jsonb_agg(to_jsonb(t)) FROM tight AS t))},
		q{UPDATE tight SET note = repeat('z', 200)})
	{
		$node->safe_psql('postgres', q{
			CREATE TABLE tight (id int PRIMARY KEY, note text, version bigint NOT NULL DEFAULT 1) TABLESPACE small;
			SELECT occ.enable('tight');
			INSERT INTO tight SELECT i, repeat('x', 100) FROM generate_series(1, 10000) AS i});
		my $session = session();
		my ($full, $i) = ('', 0);
		# Rolled back each time, and the space is used all the same.
		while ($full eq '' && $i++ < 20)
		{
			ask($session, 'BEGIN');
			my $result = ask($session, $statement);
			$full = $result unless $result eq '10000' || $result eq '';
			ask($session, 'ROLLBACK');
		}
		is($full, '53100', 'disk full: ' . substr($statement, 0, 40));
		is(ask($session, q{SELECT bool_and(version = 1) AND count(*) = 10000 FROM tight}), 't', '... and nothing is written');
		$session->{harness}->kill_kill;
		$node->safe_psql('postgres', 'DROP TABLE tight');
	}
}

# Time: statement_timeout anywhere in a batch.
{
	my $session = session();
	my %seen;
	foreach my $milliseconds (1, 2, 3, 5, 8, 12, 20, 30, 45, 60, 80, 100, 150)
	{
		foreach my $batch (@batches)
		{
			ask($session, "BEGIN; SET LOCAL statement_timeout = $milliseconds");
			$seen{ ask($session, $batch) }++;
			ask($session, 'ROLLBACK');
		}
	}
	cmp_ok($seen{57014} // 0, '>', 0, 'statement_timeout ends batches: ' . ($seen{57014} // 0));
	is(join(' ', grep { $_ !~ /^(57014|20000)$/ } keys %seen), '', '... and nothing else does');
	is(ask($session, 'SELECT unharmed()'), 't', '... and nothing is written');
	$session->{harness}->kill_kill;
}

is($node->safe_psql('postgres', $batches[0]), '20000', 'and it goes on');
$node->stop;
done_testing();

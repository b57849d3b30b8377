#!/usr/bin/python3
"""Is the checker awake?  Forge the logs and rows of a run in which nothing was lost, in one place at a time: each must be noticed.

    forge.py DUMP LOG...        prints what was not
"""
import pickle
import sys

from check import Checker
from history import History, read_lines


# Clients overlap, so a version that is forged can by chance be one that fits; what is noticed nowhere is not noticed.
OCCASIONS = 4
# What is forged must have happened first, which it need not have in a short run.
NO_OCCASION = 75


class Run:
    def __init__(self, dump, logs):
        self.rows = read_lines(dump)
        self.transactions = read_lines(*logs)

    def begin_elsewhere(self, occasion):
        """Look for what to forge from another transaction on; the order means nothing to the checker."""
        start = len(self.transactions) * occasion // OCCASIONS
        self.transactions = self.transactions[start:] + self.transactions[:start]

    def problems(self):
        checker = Checker(History(self.rows, self.transactions))
        checker.run()
        return checker.problems

    def longest(self):
        """The row with the most tokens."""
        return max(self.rows, key=lambda row: len(row['tokens']))

    def writes(self, outcome):
        """(transaction, its writes that left a token), of those that have any."""
        for transaction in self.transactions:
            writes = [write for write in transaction['writes'] if write.get('token')]
            if transaction['outcome'] == outcome and writes:
                yield transaction, writes

    def listed(self):
        """(refusal, row that it lists), where a version was compared."""
        for transaction in self.transactions:
            for refusal in transaction['refusals']:
                for row in refusal['rows']:
                    if row['status'] == 'stale' and isinstance(row['actual'], int):
                        yield refusal, row

    def answers(self):
        """What functions said of rows."""
        return (answer for transaction in self.transactions for answer in transaction['answers'] if answer['rows'])


def token_is_lost(run):
    tokens = run.longest()['tokens']
    del tokens[len(tokens) // 2]


def token_is_there_twice(run):
    run.longest()['tokens'] *= 2


def tokens_have_changed_places(run):
    run.longest()['tokens'].reverse()


def token_is_nobodys(run):
    run.longest()['tokens'].append('0.0')


def row_has_vanished(run):
    run.rows.remove(run.longest())


def row_is_there_twice(run):
    run.rows.append({**next(row for row in run.rows if not row['gone']), 'incarnation': 'another'})


def version_went_back(run):
    run.longest()['version'] -= 1


def rolled_back_was_acknowledged(run):
    next(run.writes('aborted'))[0]['outcome'] = 'committed'


def acknowledged_was_rolled_back(run):
    next(run.writes('committed'))[0]['outcome'] = 'aborted'


def half_is_there(run):
    transaction, writes = next((t, w) for t, w in run.writes('committed') if len({write['incarnation'] for write in w}) > 1)
    transaction['outcome'] = 'unknown'
    row = next(row for row in run.rows if row['incarnation'] == writes[0]['incarnation'])
    row['tokens'].remove(writes[0]['token'])


def writer_had_read_another_version(run):
    next(write for _, writes in run.writes('committed') for write in writes if write['read'])['read'] -= 1


def reader_saw_another_version(run):
    next(row for t in run.transactions if t['read'] for row in t['read']['rows'])[2] += 1


def stale_row_had_another_version(run):
    next(run.listed())[1]['actual'] += 10 ** 9


def stale_row_was_stated_otherwise(run):
    next(run.listed())[1]['expected'] -= 1


def stale_row_is_counted_only(run):
    refusal, row = next(run.listed())
    refusal['rows'].remove(row)


def stale_rows_are_left_out(run):
    """All of them, since not each was certainly stale when its statement began."""
    for refusal, row in list(run.listed()):
        if refusal['rows'][0] is row:
            del refusal['rows'][0], refusal['ids'][0]
            refusal['count'] -= 1


def function_has_done_half(run):
    """A row is as it was, and there was no error."""
    next(answer for answer in run.answers() if answer['on_conflict'] == 'error')['rows'][0][1] = 'stale'


def function_has_lost_a_row(run):
    del next(run.answers())['rows'][0]


def checked_row_had_another_version(run):
    next(answer for answer in run.answers() if answer['done'] == 'checked')['rows'][0][2] += 1


def row_that_is_there_is_missing(run):
    """What was found and written is said not to have been."""
    moved = {write['incarnation'] for t in run.transactions for write in t['writes'] if 'old_id' in write}
    transaction, writes = next((t, w) for t, w in run.writes('committed') if t['level'] == 'read committed' and w[0]['read'] and any(
        row['incarnation'] == w[0]['incarnation'] and not row['gone'] for row in run.rows) and w[0]['incarnation'] not in moved
        and any(o['end'] < t['start'] and any(row[1] == w[0]['incarnation'] for row in (o['read'] or {'rows': ()})['rows']) for o in run.transactions))
    transaction['absent'].append({'by': 'forger', 'id': writes[0]['id'], 'incarnation': None, 'version': None, 'own': False,
                                  'own_deleted': False,
                                  'from': transaction['start'], 'to': transaction['end']})


def error_is_unheard_of(run):
    next(t for t in run.transactions if 'error' in t)['error'] = 'XX000'


def nothing_has_happened(run):
    run.transactions = []


FORGERIES = (token_is_lost, token_is_there_twice, tokens_have_changed_places, token_is_nobodys, row_has_vanished, row_is_there_twice,
             version_went_back, rolled_back_was_acknowledged, acknowledged_was_rolled_back, half_is_there, writer_had_read_another_version,
             reader_saw_another_version, stale_row_had_another_version, stale_row_was_stated_otherwise, stale_row_is_counted_only,
             stale_rows_are_left_out, function_has_done_half, function_has_lost_a_row, checked_row_had_another_version,
             row_that_is_there_is_missing, error_is_unheard_of, nothing_has_happened)


def main():
    run = Run(sys.argv[1], sys.argv[2:])
    original = pickle.dumps(run)
    problems = run.problems()
    if problems:
        print(f'# the run itself: {problems[0]}')
    unnoticed = []
    for forgery in FORGERIES:
        for occasion in range(OCCASIONS):
            forged = pickle.loads(original)
            forged.begin_elsewhere(occasion)
            try:
                forgery(forged)
            except StopIteration:
                print(f'# the run gave no occasion for {forgery.__name__}')
                sys.exit(NO_OCCASION)
            if forged.problems():
                break
        else:
            unnoticed.append(forgery.__name__)
            print(f'# not noticed: {forgery.__name__}')
    print(f'# {len(FORGERIES)} forgeries')
    sys.exit(bool(problems or unnoticed))


if __name__ == '__main__':
    main()

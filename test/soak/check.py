#!/usr/bin/python3
"""Prove from the clients' logs and the rows at the end that no update was lost.

    check.py DUMP LOG...        prints what is wrong, and at the end what was seen

Independent of the extension: it knows only that a version is followed by the next number, and that each incarnation of a row
is a line of writes, each on the version that the one before it made.
"""
import sys
from collections import Counter

from answers import check_answers
from history import History, read_lines

# Conflicts, PostgreSQL's own refusals, and two who insert one key.  With faults: timeouts, cancels, and a server that is gone.
EXPECTED = {'PT409', '40001', '40P01', '23505'}
EXPECTED_WITH_FAULTS = EXPECTED | {None, '55P03', '57014', '57P01', '57P02', '57P03', '08006', '08P01'}


class Checker:
    def __init__(self, history):
        self.history = history
        self.problems = []
        self.seen = Counter()

    def problem(self, text):
        self.problems.append(text)

    def check_transaction(self, transaction):
        self.seen[f"{transaction['outcome']} transactions"] += 1
        if 'error' in transaction:
            error = transaction['error']
            self.seen[f'SQLSTATE {error}'] += 1
            if error not in (EXPECTED_WITH_FAULTS if transaction['faults'] else EXPECTED):
                self.problem(f"client {transaction['client']} got SQLSTATE {error}: {transaction['message']}")
        if 'broken_check' in transaction:
            self.problem(f"rows changed under occ.check(): {transaction['broken_check']}")
        if 'unproven' in transaction:
            self.problem(f"client {transaction['client']} has written without a version: {transaction['unproven']}")
        self.seen['forbidden writes'] += transaction.get('forbidden', 0)
        if 'broken_merge' in transaction:
            self.problem(f"MERGE has written another number of rows than are found: {transaction['broken_merge']}")
        if transaction['outcome'] == 'committed':
            for write in transaction['writes']:
                self.seen[f"by {write['by']}"] += write['by'] != 'nobody'

    def check_incarnation(self, name, incarnation):
        what = f'row {incarnation.id} ({name[:8]})'
        self.seen['rows that were deleted' if incarnation.is_gone else 'rows'] += incarnation.is_there()
        if not incarnation.is_there():
            committed = [transaction for pairs in incarnation.writes.values() for transaction, _ in pairs if transaction['outcome'] == 'committed']
            if committed or incarnation.made_by and incarnation.made_by['outcome'] == 'committed':
                self.problem(f'{what}: written, and nowhere at the end')
            return
        self.check_line(what, incarnation)
        self.check_tokens(what, incarnation)
        deleted = [transaction['outcome'] for transaction, _ in incarnation.deletions]
        if incarnation.is_gone and not deleted:
            self.problem(f'{what}: deleted by nobody')
        if deleted.count('committed') > 1 or 'committed' in deleted and not incarnation.is_gone:
            self.problem(f'{what}: deleted {deleted}, and is {"gone" if incarnation.is_gone else "there"}')
        for transaction, write in incarnation.deletions:
            if incarnation.is_gone and transaction['outcome'] == 'committed' and write['read'] != incarnation.last_version:
                self.problem(f"{what}: deleted at version {incarnation.last_version} by who had read {write['read']}")

    def check_line(self, what, incarnation):
        """Each version from the first to the last was made by one write, on the version before it."""
        if incarnation.final is None:
            self.problem(f'{what}: nobody has made its version {incarnation.last_version}')
            return
        made = [place for place in sorted(incarnation.writes) if incarnation.start < place <= incarnation.final]
        if len(made) != incarnation.final - incarnation.start:
            self.problem(f'{what}: nobody has made {incarnation.final - incarnation.start - len(made)} of its versions')
        for place in made:
            committed = [write for transaction, write in incarnation.writes[place] if transaction['outcome'] == 'committed']
            if len(committed) > 1:
                self.problem(f'{what}: {len(committed)} writes have made the same version: {committed}')
            for write in committed:
                self.seen['writes'] += 1
                if write['read'] is not None and incarnation.place(write['read']) != place - 1:
                    self.problem(f"{what}: version {write['new']} was written by who had read {write['read']}")
        for place, pairs in incarnation.writes.items():
            if not incarnation.start < place <= incarnation.final and any(t['outcome'] == 'committed' for t, _ in pairs):
                self.problem(f"{what}: version {pairs[0][1]['new']} was acknowledged; "
                             f'the row has {incarnation.first_version} to {incarnation.last_version}')
        for transaction, write in incarnation.nowhere:
            if transaction['outcome'] == 'committed':
                self.problem(f"{what}: version {write['new']} was written by who had read {write['read']}, which it never was")

    def check_tokens(self, what, incarnation):
        """The tokens are those that were acknowledged, each once, in the order of their versions."""
        count = len(incarnation.first_tokens)
        if incarnation.tokens[:count] != incarnation.first_tokens:
            self.problem(f'{what}: does not have the tokens that it was made with')
        tokens = incarnation.tokens[count:]
        if len(set(tokens)) != len(tokens):
            self.problem(f'{what}: tokens twice: {[token for token, n in Counter(tokens).items() if n > 1]}')
        there = set(tokens)
        wanted = []
        for version in sorted(incarnation.writes):
            for transaction, write in incarnation.writes[version]:
                if write['token'] and (transaction['outcome'] == 'committed' or write['token'] in there):
                    wanted.append(write['token'])
        lost = [token for token in wanted if token not in there]
        if lost:
            self.problem(f'{what}: LOST UPDATES: {lost}')
        elif wanted != tokens:
            self.problem(f'{what}: has {[token for token in tokens if token not in wanted] or "another order"}, which nobody was told of')

    def check_unknown(self, transaction):
        """Who lost the connection at COMMIT has written all or nothing."""
        there = set()
        for write in transaction['writes']:
            incarnation = self.history.incarnations[write['incarnation']]
            if write.get('deleted'):
                # Another one may have deleted it after this one had failed.
                if len(incarnation.deletions) == 1:
                    there.add(incarnation.is_gone)
            elif 'start' in write:
                there.add(incarnation.is_there())
            elif write['token']:
                there.add(write['token'] in incarnation.tokens)
        if len(there) > 1:
            self.problem(f'row {[write["id"] for write in transaction["writes"]]}: half of a transaction is there: {transaction}')

    def run(self):
        for transaction in self.history.transactions:
            self.check_transaction(transaction)
        for name, incarnation in self.history.incarnations.items():
            self.check_incarnation(name, incarnation)
        for transaction in self.history.transactions:
            if transaction['outcome'] == 'unknown':
                self.check_unknown(transaction)
            check_answers(self, transaction)
        for id, incarnations in self.history.by_id.items():
            if sum(incarnation.is_there() and not incarnation.is_gone and incarnation.id == id for incarnation in incarnations) > 1:
                self.problem(f'row {id} is there more than once')
        # Clients that meet nobody prove nothing.
        for what in ('writes', 'stale rows', 'reads'):
            if not self.seen[what]:
                self.problem(f'there were no {what}')


def main():
    checker = Checker(History(read_lines(sys.argv[1]), read_lines(*sys.argv[2:])))
    checker.run()
    checker.problems.sort(key=lambda problem: 'LOST UPDATES' not in problem)
    for problem in checker.problems[:20]:
        print(f'# {problem[:500]}')
    if len(checker.problems) > 20:
        print(f'# ... {len(checker.problems)} in all')
    print('# ' + ', '.join(f'{name}: {count}' for name, count in sorted(checker.seen.items()) if count))
    sys.exit(bool(checker.problems))


if __name__ == '__main__':
    main()

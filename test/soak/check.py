#!/usr/bin/python3
"""Prove from the clients' logs and the rows at the end that no update was lost.

    check.py DUMP LOG...        prints what is wrong, and at the end what was seen

Independent of the extension: it knows only that a version is followed by the next number, and that each incarnation of a row
is a line of writes, each on the version that the one before it made.
"""
import json
import sys
from collections import Counter, defaultdict


class Incarnation:
    """A row from its insertion to its deletion."""

    def __init__(self, id):
        self.id = id
        self.start = self.final = None      # versions
        self.first_tokens, self.tokens = [], []
        self.made_by = None                 # outcome of the transaction, None for a row of the beginning
        self.is_gone = False
        self.writes = defaultdict(list)     # by the version that they made
        self.deletions = []


class Checker:
    def __init__(self, dump, logs):
        self.problems = []    
        self.seen = Counter()
        self.incarnations = {}
        self.transactions = [json.loads(line) for log in logs for line in open(log, encoding='utf-8')]
        self.owner = {}         # the transaction of each token
        self.read_dump(dump)
        self.read_logs()

    def problem(self, text):
        self.problems.append(text)

    def incarnation(self, write):
        return self.incarnations.setdefault(write['incarnation'], Incarnation(write['id']))

    def read_dump(self, dump):
        for line in open(dump, encoding='utf-8'):
            row = json.loads(line)
            self.seen['rows that were deleted' if row['gone'] else 'rows'] += 1
            incarnation = self.incarnations[row['incarnation']] = Incarnation(row['id'])
            incarnation.final, incarnation.tokens, incarnation.is_gone = row['version'], row['tokens'], row['gone']

    def read_logs(self):
        for transaction in self.transactions:
            self.seen[f"{transaction['outcome']} transactions"] += 1
            self.seen[f"SQLSTATE {transaction.get('error')}"] += 'error' in transaction
            if 'broken_check' in transaction and transaction['outcome'] == 'committed':
                self.problem(f"rows changed under occ.check(): {transaction['broken_check']}")
            for write in transaction['writes']:
                if write.get('token'):
                    self.owner[write['token']] = transaction
                if transaction['outcome'] == 'aborted':
                    continue
                incarnation = self.incarnation(write)
                if write.get('deleted'):
                    incarnation.deletions.append((transaction, write))
                elif 'start' in write:
                    incarnation.start, incarnation.first_tokens = write['start'], write['tokens']
                    incarnation.made_by = transaction
                else:
                    incarnation.writes[write['new']].append((transaction, write))

    def check_incarnation(self, name, incarnation):
        what = f'row {incarnation.id} ({name[:8]})'
        if incarnation.final is None:
            committed = [transaction for pairs in incarnation.writes.values() for transaction, _ in pairs if transaction['outcome'] == 'committed']
            if committed or incarnation.made_by and incarnation.made_by['outcome'] == 'committed':
                self.problem(f'{what}: written, and nowhere at the end')
            return
        if incarnation.start is None:
            incarnation.start = 1
        self.check_line(what, incarnation)
        self.check_tokens(what, incarnation)
        deleted = [transaction['outcome'] for transaction, _ in incarnation.deletions]
        if incarnation.is_gone and not deleted:
            self.problem(f'{what}: deleted by nobody')
        if deleted.count('committed') > 1 or 'committed' in deleted and not incarnation.is_gone:
            self.problem(f'{what}: deleted {deleted}, and is {"gone" if incarnation.is_gone else "there"}')
        for transaction, write in incarnation.deletions:
            if incarnation.is_gone and transaction['outcome'] == 'committed' and write['read'] != incarnation.final:
                self.problem(f"{what}: deleted at version {incarnation.final} by who had read {write['read']}")

    def check_line(self, what, incarnation):
        """Each version from the first to the last was made by one write, on the version before it."""
        made = [version for version in sorted(incarnation.writes) if incarnation.start < version <= incarnation.final]
        if len(made) != incarnation.final - incarnation.start:
            self.problem(f'{what}: nobody has made {incarnation.final - incarnation.start - len(made)} of its versions')
        for version in made:
            pairs = incarnation.writes[version]
            committed = [write for transaction, write in pairs if transaction['outcome'] == 'committed']
            if len(committed) > 1:
                self.problem(f'{what}: {len(committed)} writes have made version {version}: {committed}')
            for write in committed:
                self.seen['writes'] += 1
                if write['read'] is not None and write['read'] != version - 1:
                    self.problem(f"{what}: version {version} was written by who had read {write['read']}")
        for version, pairs in incarnation.writes.items():
            if not incarnation.start < version <= incarnation.final and any(t['outcome'] == 'committed' for t, _ in pairs):
                self.problem(f'{what}: version {version} was acknowledged; the row has {incarnation.start} to {incarnation.final}')

    def check_tokens(self, what, incarnation):
        """The tokens are those that were acknowledged, each once, in the order of their versions."""
        count = len(incarnation.first_tokens)
        if incarnation.tokens[:count] != incarnation.first_tokens:
            self.problem(f'{what}: does not have the tokens that it was made with')
        tokens = incarnation.tokens[count:]
        if len(set(tokens)) != len(tokens):
            self.problem(f'{what}: tokens twice: {[token for token, n in Counter(tokens).items() if n > 1]}')
        wanted = []
        for version in sorted(incarnation.writes):
            for transaction, write in incarnation.writes[version]:
                if write['token'] and (transaction['outcome'] == 'committed' or write['token'] in tokens):
                    wanted.append(write['token'])
        lost = [token for token in wanted if token not in tokens]
        if lost:
            self.problem(f'{what}: LOST UPDATES: {lost}')
        elif wanted != tokens:
            self.problem(f'{what}: has {[token for token in tokens if token not in wanted] or "another order"}, which nobody was told of')

    def check_unknown(self):
        """Who lost the connection at COMMIT has written all or nothing."""
        for transaction in self.transactions:
            if transaction['outcome'] != 'unknown':
                continue
            there = set()
            for write in transaction['writes']:
                if write.get('token'):
                    there.add(write['token'] in self.incarnation(write).tokens)
            if len(there) > 1:
                self.problem(f'half of a transaction is there: {transaction}')

    def check_refusal(self, transaction, refusal):
        """What was reported stale was: the row had the version that was reported, and it was not the one that was stated."""
        what = f"client {transaction['client']} was told {refusal}"
        self.seen[f"{refusal['status']} rows"] += 1
        if refusal['status'] == 'missing':
            old = self.incarnations.get(refusal['incarnation'])
            if not refusal['own_deleted'] and (old is None or not any(t['start'] < refusal['to'] for t, _ in old.deletions)):
                self.problem(f'{what}, and nobody has deleted it')
            return
        if refusal['actual'] == refusal['expected']:
            self.problem(f'{what}, which is the same')
        if refusal['own'] == refusal['actual']:
            return
        for incarnation in self.incarnations.values():
            if incarnation.id != refusal['id'] or incarnation.final is None:
                continue
            if incarnation.start <= refusal['actual'] <= incarnation.final and not self.was_over(incarnation, refusal):
                return
        self.problem(f'{what}, and it had no such version then')

    def check_absent(self, transaction, absent):
        """Who was told nothing, neither of a write nor of a conflict, has asked for a row that was not there all the time."""
        for incarnation in self.incarnations.values():
            if incarnation.id != absent['id'] or absent['own_deleted'] or incarnation.final is None:
                continue
            was_made = incarnation.made_by is None or incarnation.made_by['end'] < transaction['start']
            if was_made and not any(t['start'] < absent['to'] for t, _ in incarnation.deletions):
                self.problem(f"client {transaction['client']} was told nothing of row {absent['id']}, which was there")

    @staticmethod
    def was_over(incarnation, refusal):
        """Was it acknowledged, before the statement began, that the row is beyond that version?"""
        later = [t for version, pairs in incarnation.writes.items() if version > refusal['actual'] for t, _ in pairs]
        later += [t for t, _ in incarnation.deletions]
        return any(t['outcome'] == 'committed' and t['end'] < refusal['from'] for t in later)

    def run(self):
        for name, incarnation in self.incarnations.items():
            self.check_incarnation(name, incarnation)
        self.check_unknown()
        for transaction in self.transactions:
            for refusal in transaction['refusals']:
                self.check_refusal(transaction, refusal)
            for absent in transaction['absent']:
                self.check_absent(transaction, absent)
        there = Counter(incarnation.id for incarnation in self.incarnations.values() if incarnation.final is not None and not incarnation.is_gone)
        for id, count in there.items():
            if count > 1:
                self.problem(f'row {id} is there {count} times')


def main():
    checker = Checker(sys.argv[1], sys.argv[2:])
    checker.run()
    checker.problems.sort(key=lambda problem: 'LOST UPDATES' not in problem)
    for problem in checker.problems[:20]:
        print(f'# {problem}')
    if len(checker.problems) > 20:
        print(f'# ... {len(checker.problems)} in all')
    print('# ' + ', '.join(f'{name}: {count}' for name, count in sorted(checker.seen.items()) if count))
    sys.exit(bool(checker.problems))


if __name__ == '__main__':
    main()

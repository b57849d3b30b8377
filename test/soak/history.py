"""What became of each row, put together from the clients' logs and the rows at the end.

Clients overlap, so the log does not say when a version came and went, only within what time.  A question has thus two forms:
was it certainly so, and could it have been so.
"""
import json
from bisect import bisect_right
from collections import defaultdict
from math import inf


class Incarnation:
    """A row from its insertion to its deletion."""

    def __init__(self, id):
        self.id = id
        self.start = self.final = None      # versions
        self.first_tokens, self.tokens = [], []
        self.made_by = None                 # the transaction, None for a row of the beginning
        self.is_gone = False
        self.writes = defaultdict(list)     # by the version that they made: (transaction, write), none of them rolled back
        self.deletions = []

    def settle(self):
        """All is known now: answer questions about times."""
        if self.start is None:
            self.start = 1
        self.made = {self.start: (-inf, -inf)}      # by version: made at the earliest, and at the latest
        if self.made_by:
            self.made[self.start] = earliest([self.made_by])
        for version, pairs in self.writes.items():
            self.made[version] = earliest([transaction for transaction, _ in pairs])
        self.left = {}                              # by version: left at the earliest, and at the latest
        begin, end = earliest([transaction for transaction, _ in self.deletions])
        self.there_from, self.there_until = self.made[self.start][1], begin     # certainly
        for version in sorted(self.made, reverse=True):
            self.left[version] = begin, end
            begin, end = min(begin, self.made[version][0]), min(end, self.made[version][1])
        there = set(self.tokens)
        self.token_versions = sorted(version for version, pairs in self.writes.items() if any(write['token'] in there for _, write in pairs))

    def is_there(self):
        """Was it ever, for others than who made it?"""
        return self.final is not None

    def was_certainly(self, version, since, until):
        """It had this version all the time."""
        return self.is_there() and version in self.made and self.made[version][1] < since and until < self.left[version][0]

    def was_perhaps(self, version, since, until):
        """It may have had this version at one time."""
        return (self.is_there() and self.start <= version <= self.final and version in self.made
                and self.made[version][0] < until and since < self.left[version][1])

    def was_certainly_left(self, version, at):
        return version in self.left and self.left[version][1] < at

    def existed(self, since, until):
        """It was there all the time, at whatever version."""
        return self.is_there() and self.there_from < since and until < self.there_until

    def token_count(self, version):
        """How many tokens it has at that version."""
        return len(self.first_tokens) + bisect_right(self.token_versions, version)


def earliest(transactions):
    """When the first of them may have taken effect, and when at the latest one had."""
    return (min((t['start'] for t in transactions), default=inf),
            min((t['end'] for t in transactions if t['outcome'] == 'committed'), default=inf))


def read_lines(*paths):
    """What is in files of JSON lines."""
    lines = []
    for path in paths:
        with open(path, encoding='utf-8') as file:
            lines += map(json.loads, file)
    return lines


class History:
    def __init__(self, rows, transactions):
        self.incarnations = {}
        self.by_id = defaultdict(list)
        self.by_version = defaultdict(list)     # of an (id, version)
        self.transactions = transactions
        for row in rows:
            incarnation = self.incarnation(row)
            incarnation.final, incarnation.tokens, incarnation.is_gone = row['version'], row['tokens'], row['gone']
        for transaction in self.transactions:
            if transaction['outcome'] != 'aborted':
                for write in transaction['writes']:
                    self.add(transaction, write)
        for incarnation in self.incarnations.values():
            incarnation.settle()
            for version in incarnation.made:
                self.by_version[incarnation.id, version].append(incarnation)

    def incarnation(self, row):
        if row['incarnation'] not in self.incarnations:
            self.incarnations[row['incarnation']] = Incarnation(row['id'])
            self.by_id[row['id']].append(self.incarnations[row['incarnation']])
        return self.incarnations[row['incarnation']]

    def add(self, transaction, write):
        incarnation = self.incarnation(write)
        if write.get('deleted'):
            incarnation.deletions.append((transaction, write))
        elif 'start' in write:
            incarnation.start, incarnation.first_tokens, incarnation.made_by = write['start'], write['tokens'], transaction
        else:
            incarnation.writes[write['new']].append((transaction, write))

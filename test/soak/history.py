"""What became of each row, put together from the clients' logs and the rows at the end.

Clients overlap, so the log does not say when a version came and went, only within what time.  A question has thus two forms:
was it certainly so, and could it have been so.
"""
import json
from bisect import bisect_right
from collections import defaultdict
from math import inf

from versions import canonical, is_counter, last_number


class Incarnation:
    """A row from its insertion to its deletion.  Its versions are known by their places in the line of writes from here on."""

    def __init__(self, id):
        self.id = id
        self.ids = {id}                     # all that it has ever had
        self.first_version = self.last_version = None
        self.start = self.final = None      # places
        self.first_tokens, self.tokens = [], []
        self.made_by = None                 # the transaction
        self.is_gone = False
        self.all_writes = []                # (transaction, write), none of them rolled back
        self.writes = defaultdict(list)     # the same by the place that they made
        self.deletions = []

    def place(self, version):
        """The place of a version, or None if it is nobody's: a counter goes on from 1, others are each known by the one before it."""
        if not is_counter(self.first_version):
            return self.places.get(version)
        if not is_counter(version):
            return None
        if version >= self.first_version:
            return version
        return version + self.last_number if self.last_number else None

    def settle(self):
        """All is known now: answer questions about times."""
        self.last_number = last_number(self.first_version)
        if not is_counter(self.first_version):
            self.follow_writes()
        self.start = self.place(self.first_version)
        self.final = self.place(self.last_version)
        for transaction, write in self.all_writes:
            self.writes[self.place(write['new'])].append((transaction, write))
        self.nowhere = self.writes.pop(None, [])
        self.made = {self.start: (-inf, -inf)}      # by place: made at the earliest, and at the latest
        if self.made_by:
            self.made[self.start] = earliest([self.made_by])
        for place, pairs in self.writes.items():
            self.made[place] = earliest([transaction for transaction, _ in pairs])
        self.left = {}                              # by place: left at the earliest, and at the latest
        begin, end = earliest([transaction for transaction, _ in self.deletions])
        self.there_from, self.there_until = self.made[self.start][1], begin     # certainly
        for place in sorted(self.made, reverse=True):
            self.left[place] = begin, end
            begin, end = min(begin, self.made[place][0]), min(end, self.made[place][1])
        there = set(self.tokens)
        self.token_places = sorted(place for place, pairs in self.writes.items() if any(write['token'] in there for _, write in pairs))

    def follow_writes(self):
        """Each version is one place after that which its writer has read.  A second one that was written on it gets the same."""
        followers = defaultdict(list)
        for _, write in self.all_writes:
            followers[write['read']].append(write['new'])
        self.places = {self.first_version: 0}
        found = [self.first_version]
        for version in found:
            for new in followers[version]:
                if new not in self.places:
                    self.places[new] = self.places[version] + 1
                    found.append(new)

    def is_there(self):
        """Was it ever, for others than who made it?"""
        return self.last_version is not None

    def has_moved(self):
        """Has it ever had another id?  Nobody knows then which one it had when."""
        return len(self.ids) > 1

    def was_certainly(self, version, since, until):
        """It had this version all the time."""
        place = self.place(version)
        return self.is_there() and not self.has_moved() and place in self.made and self.made[place][1] < since and until < self.left[place][0]

    def was_perhaps(self, version, since, until):
        """It may have had this version at one time."""
        place = self.place(version)
        return (self.is_there() and place in self.made and self.final is not None and self.start <= place <= self.final
                and self.made[place][0] < until and since < self.left[place][1])

    def was_certainly_left(self, version, at):
        place = self.place(version)
        return place in self.left and self.left[place][1] < at

    def existed(self, since, until):
        """It was there all the time, under its id, at whatever version."""
        return self.is_there() and not self.has_moved() and self.there_from < since and until < self.there_until

    def token_count(self, version):
        """How many tokens it has at that version."""
        return len(self.first_tokens) + bisect_right(self.token_places, self.place(version))


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
            incarnation.last_version, incarnation.tokens, incarnation.is_gone = canonical(row['version']), row['tokens'], row['gone']
        for transaction in self.transactions:
            if transaction['outcome'] != 'aborted':
                for write in transaction['writes']:
                    self.add(transaction, write)
        for incarnation in self.incarnations.values():
            for id in incarnation.ids:
                self.by_id[id].append(incarnation)
            incarnation.settle()
            for version in {incarnation.first_version, *(write['new'] for _, write in incarnation.all_writes)}:
                for id in incarnation.ids:
                    self.by_version[id, version].append(incarnation)

    def incarnation(self, row):
        if row['incarnation'] not in self.incarnations:
            self.incarnations[row['incarnation']] = Incarnation(row['id'])
        incarnation = self.incarnations[row['incarnation']]
        incarnation.ids |= {row['id'], row.get('old_id', row['id'])}
        return incarnation

    def add(self, transaction, write):
        incarnation = self.incarnation(write)
        if write.get('deleted'):
            incarnation.deletions.append((transaction, write))
        elif 'start' in write:
            incarnation.first_version, incarnation.first_tokens = canonical(write['start']), write['tokens']
            incarnation.made_by = transaction
        else:
            incarnation.all_writes.append((transaction, write))

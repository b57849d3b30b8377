"""What two variants of a case made of it, in a form that can be compared.

Clock times and random uuids differ from run to run. What should not is how they behave: so each is replaced by the row it
belongs to and which of this row's versions it is, with a sign that tells whether it is later than those before.
"""
import json
import re

CLOCK = re.compile(r'(?<![\d-])(20(?:2[5-9]|[3-9]\d)-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?)(?:[+-]\d\d(?::\d\d)?|Z)?'
                   r'|(?<![\d.])(1[7-9]\d{8}(?:\.\d+)?)(?![\d.])'
                   r'|\b((?!00000000)[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\b')
# Notices that the model raises, too.
COMMON_NOTICE = re.compile(r'WARNING:  (optimistic lock|UPDATE of|DELETE from)|NOTICE:  fuzz:')
# What a constraint raises for a row that was written before it was known to be stale.
CONSTRAINT = re.compile(r'23...|44000|42501')
MAY_WRITE_IN_CTE = ('WITH', 'EXECUTE')


class Reading:
    """The events of one run."""

    def __init__(self, events, case, with_model):
        self.versions = {}
        self.case, self.with_model = case, with_model
        self.events = [self.event(*event) for event in events]

    def event(self, step, who, what):
        return (step, who, what if isinstance(what, str) else self.outcome(what))

    def outcome(self, what):
        result = {name: what[name] for name in ('tag', 'sqlstate') if what.get(name) is not None}
        if what.get('rows') is not None:
            result['rows'] = sorted(['NULL' if value is None else self.value(row[0], value) for value in row]
                                    for row in what['rows'])
        if 'message' in what:
            result['message'] = self.value(None, what['message'])
        fields = dict(what.get('fields', {}))
        ours = (what.get('sqlstate') or '').startswith('PT') or '"conflicts"' in (fields.get('message_detail') or '')
        if self.with_model:
            fields.pop('message_hint', None)
        if fields and (ours or not self.with_model):
            result['fields'] = {name: self.detail(text) if name == 'message_detail' else text for name, text in fields.items()}
        notices = [self.notice(text) for text in what.get('notices', ())]
        if self.with_model:
            notices = [] if 'sqlstate' in what else sorted(n for n in notices if COMMON_NOTICE.match(n))
        result['notices'] = notices
        return result

    def notice(self, text):
        head, _, rest = text.partition('\n')
        match = re.search(r'^DETAIL:  (\{.*)$', rest, re.MULTILINE)
        if match:
            head += ' ' + self.detail(match.group(1))
        return self.value(None, head if self.with_model or match else text)

    def detail(self, text):
        """The DETAIL of a conflict with its versions by their rows; any other as it is."""
        if text is None or '"conflicts"' not in text:
            return self.value(None, text)
        detail = json.loads(text)
        if self.with_model and self.case.hidden:
            del detail['rows'], detail['ids']
        for row in detail.get('rows', ()):
            key = row['key'] and str(row['key'].get('id'))
            for name in ('expected', 'actual'):
                row[name] = self.value(key, json.dumps(row[name]))
        return self.value(None, json.dumps(detail, sort_keys=True))

    def value(self, key, text):
        if not isinstance(text, str):
            return text
        text = re.sub(r'(conflict (?:in|out) to (?:pivot|old committed transaction|transaction)) \d+', r'\1', text)
        return CLOCK.sub(lambda match: self.label(key, match), text)

    def label(self, key, match):
        """<clock 2+> is the second version of the row with that key, and later than the first."""
        if key is None:
            return '<clock>'
        text = next(group for group in match.groups() if group).replace('T', ' ')
        if '.' in text:
            text = text.rstrip('0').rstrip('.')
        known = self.versions.setdefault(key, [])
        if text not in [version for version, _ in known]:
            sign = '' if match.group(3) else '+' if all(text > version for version, _ in known) else '-'
            known.append((text, f'<clock {len(known) + 1}{sign}>'))
        return dict(known)[text]


def is_conflict(what):
    return isinstance(what, dict) and what.get('message', '').startswith('optimistic lock conflict')


def may_leave_key(case, step, sql):
    """Whether the statement may set a column of a unique index to what it was, of a row that another session holds FOR KEY SHARE."""
    named = re.search(r'(SET|,) u = ', sql) or any(
        create.startswith(('CREATE UNIQUE INDEX', 'ALTER TABLE t ADD PRIMARY KEY')) and case.version in create for create in case.setup)
    return named and isinstance(step, int) and any(earlier.endswith('FOR KEY SHARE') for _, earlier in case.steps[:step])


def accepted(case, how, one, other):
    """The documented differences: (reason, are later events comparable), or (None, ...); how is one's raw event.

    A row that went stale while its UPDATE waited was written before that was known, and what constraints have to say about
    a row is known before it waits. A trigger waits for who holds a key that is named, though it may stay as it is.
    """
    if not isinstance(one[2], dict) or one[:2] != other[:2]:
        return None, True
    ours, theirs = one[2], other[2]
    if theirs == 'waits' and CONSTRAINT.fullmatch(ours.get('sqlstate') or ''):
        return 'a constraint did not wait', False
    if theirs == 'waits' and 'sqlstate' not in ours and may_leave_key(case, one[0], how.get('sql', '')):
        return 'a key that stays as it is did not wait', False
    if not how.get('waited') or not is_conflict(theirs):
        return None, True
    if is_conflict(ours):
        details = [json.loads(what['fields']['message_detail']) for what in (ours, theirs)]
        counts = [detail.pop('conflicts') for detail in details]
        if counts[0] < counts[1] and details[0] == details[1]:
            return 'a conflict counted once', True
        if how['sql'].startswith(MAY_WRITE_IN_CTE) and ours == {**theirs, 'notices': ours['notices']}:
            return 'AFTER triggers saw a row that was stale after a wait', True
    elif CONSTRAINT.fullmatch(ours.get('sqlstate') or ''):
        return 'another constraint came before a conflict', True
    return None, True


def accepted_of_model(case, before, how, ours, model):
    """Where a CTE writes, the conflict is not raised at the same time; before is what happened until then.

    All AFTER triggers come before the conflict, and those of the model can't all be the last. If it is the session's first
    guarded UPDATE, and the library was not there when its statement began, the conflict waits for COMMIT.
    """
    if not how.get('sql', '').startswith(MAY_WRITE_IN_CTE) or not is_conflict(model[2]):
        return None, True
    if 'sqlstate' in ours[2]:
        return 'an AFTER trigger came before a conflict', True
    loaded = case.preload or any(who == ours[1] and isinstance(what, dict) and (
        what.get('tag', '').startswith(('UPDATE', 'MERGE')) or what.get('sqlstate', '').startswith('PT')) for _, who, what in before)
    return (None, True) if loaded else ('a conflict waited for COMMIT', False)


def differences(case, one, other, with_model):
    """(first pair of events that differ or None, reasons of differences that were accepted); one may be inlined."""
    ours, theirs = (Reading(events, case, with_model).events for events in (one, other))
    reasons = []
    for i in range(max(len(ours), len(theirs))):
        pair = [events[i] if i < len(events) else ('end', '', 'nothing') for events in (ours, theirs)]
        if pair[0] != pair[1]:
            how = one[i][2] if i < len(one) and isinstance(one[i][2], dict) else {}
            reason, go_on = accepted_of_model(case, ours[:i], how, *pair) if with_model else accepted(case, how, *pair)
            if not reason:
                return pair, reasons
            reasons.append(reason)
            if not go_on:
                break
    return None, reasons

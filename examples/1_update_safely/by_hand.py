"""A query set that remembers its rows, and updates them if they are still the same, as applications write it."""
from django.db import models


class Changed(Exception):
    def __init__(self, conflict_ids):
        super().__init__(f'changed meanwhile: {conflict_ids}')
        self.conflict_ids = conflict_ids


class SafeQuerySet(models.QuerySet):
    snapshot = None

    def with_lock(self, lock_fields=None):
        self.lock_fields = lock_fields or ['updated_at']
        self.snapshot = list(self.all())
        return self

    def update_safely(self, **changes):
        if self.snapshot is None:
            raise RuntimeError('update_safely() needs with_lock()')
        read = {row.pk: row for row in self.snapshot}
        rows = self.model.objects.filter(pk__in=read)
        conflict_ids = [
            row.pk for row in rows.order_by('pk')
            if any(getattr(row, field) != getattr(read[row.pk], field) for field in self.lock_fields)
        ]
        if conflict_ids:
            raise Changed(conflict_ids)
        return rows.update(**changes)

"""The same on a table that is guarded by its updated_at: occ.update_safely() locks, compares and writes in one call."""
import json
from datetime import datetime, time

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connections, models

from occ_django import conflicts


class ExactEncoder(DjangoJSONEncoder):
    """DjangoJSONEncoder cuts times to milliseconds, and then no row is as it was read."""

    def default(self, value):
        return value.isoformat() if isinstance(value, (datetime, time)) else super().default(value)


class SafeQuerySet(models.QuerySet):
    version_field = 'updated_at'
    encoder = ExactEncoder
    snapshot = None

    def with_lock(self, lock_fields=None):
        """Remember what the rows are: by their version, or by lock_fields."""
        names = lock_fields or [self.version_field]
        fields = [self.model._meta.pk, *map(self.model._meta.get_field, names)]
        self.lock_columns = [field.column for field in fields[1:]] if lock_fields else None
        self.snapshot = [{field.column: field.value_from_object(row) for field in fields} for row in self]
        return self

    def update_safely(self, **changes):
        """Set all rows to the same values; raise Conflict if any was changed or deleted since with_lock()."""
        if self.snapshot is None:
            raise RuntimeError('update_safely() needs with_lock()')
        self._for_write = True
        meta, connection = self.model._meta, connections[self.db]
        changes = {meta.get_field(name).column: value for name, value in changes.items()}
        with conflicts(), connection.cursor() as cursor:
            cursor.execute(
                'SELECT version FROM occ.update_safely(%s::regclass, %s::jsonb, %s::jsonb, %s::name[])',
                [connection.ops.quote_name(meta.db_table), self._json(self.snapshot), self._json(changes),
                 self.lock_columns])
            versions = cursor.fetchall()
        if not self.lock_columns:
            for row, (version,) in zip(self.snapshot, versions):
                row[meta.get_field(self.version_field).column] = version
        return len(versions)

    def _json(self, value):
        return json.dumps(value, cls=self.encoder)

"""The same on guarded tables: save() states the version that was read, and takes the new one from RETURNING."""
import copy

from django.db import connections, models
from django.db.models.sql import UpdateQuery

from models import ArticleTable, PageTable
from occ_django import Conflict, conflicts


class VersionedModel(models.Model):
    """Needs a field "version", of any type that occ.enable() takes."""

    class Meta:
        abstract = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._read = {}
        self._remember()

    def _remember(self, names=None):
        for field in self._meta.concrete_fields:
            # A deferred field has no value yet.
            if field.attname in vars(self) and (names is None or {field.name, field.attname} & set(names)):
                self._read[field.attname] = copy.deepcopy(vars(self)[field.attname])

    def refresh_from_db(self, using=None, fields=None):
        super().refresh_from_db(using, fields)
        self._remember(fields)

    def save(self, *args, **kwargs):
        adding = self._state.adding
        with conflicts():
            super().save(*args, **kwargs)
        if adding:
            self._remember()

    def _do_update(self, base_qs, using, pk_val, values, update_fields, forced_update):
        if self._state.adding:
            return super()._do_update(base_qs, using, pk_val, values, update_fields, forced_update)
        version = self._meta.get_field('version')
        changed = [
            (field, model, value) for field, model, value in values
            if field != version and not (field.attname in self._read and self._read[field.attname] == value)
        ]
        if not changed:
            return True

        query = base_qs.filter(pk=pk_val).query.chain(UpdateQuery)
        # Not self.version: if it was deferred, that would read it only now.
        query.add_update_fields([*changed, (version, None, vars(self)['version'])])
        statement, parameters = query.get_compiler(using).as_sql()
        connection = connections[using]
        with connection.cursor() as cursor:
            cursor.execute(f'{statement} RETURNING {connection.ops.quote_name(version.column)}', parameters)
            row = cursor.fetchone()
        if row is None:
            raise Conflict(f'{self._meta.label} {pk_val} is gone', {'ids': [pk_val]})
        self.version, = row
        self._remember([field.attname for field, _, _ in changed])
        return True


class Article(VersionedModel, ArticleTable):
    class Meta(ArticleTable.Meta):
        app_label = 'with_occ'


class Page(VersionedModel, PageTable):
    class Meta(PageTable.Meta):
        app_label = 'with_occ'

from django.db import models


class Product(models.Model):
    name = models.TextField()
    stock = models.IntegerField()
    updated_at = models.DateTimeField()

    class Meta:
        app_label = 'shop'
        db_table = 'product'
        managed = False

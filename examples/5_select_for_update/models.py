from django.db import models


class Product(models.Model):
    name = models.TextField()
    stock = models.IntegerField()
    version = models.BigIntegerField(default=1)

    class Meta:
        app_label = 'shop'
        db_table = 'product'
        managed = False

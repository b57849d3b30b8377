from django.db import models


class Product(models.Model):
    name = models.TextField()
    stock = models.IntegerField()
    sold = models.IntegerField(default=0)
    version = models.BigIntegerField(default=1)

    class Meta:
        app_label = 'shop'
        db_table = 'product'
        managed = False


class Order(models.Model):
    id = models.AutoField(primary_key=True)

    class Meta:
        app_label = 'shop'
        db_table = 'orders'
        managed = False


class OrderLine(models.Model):
    id = models.AutoField(primary_key=True)
    order = models.ForeignKey(Order, models.PROTECT)
    product = models.ForeignKey(Product, models.PROTECT)
    quantity = models.IntegerField()

    class Meta:
        app_label = 'shop'
        db_table = 'order_line'
        managed = False

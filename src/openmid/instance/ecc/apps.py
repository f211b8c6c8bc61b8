from django.apps import AppConfig


class EccConfig(AppConfig):
    name = "openmid.instance.ecc"
    label = "ecc"
    verbose_name = "ECC"

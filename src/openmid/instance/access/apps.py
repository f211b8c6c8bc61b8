from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "openmid.instance.access"
    label = "access"
    verbose_name = "Access"

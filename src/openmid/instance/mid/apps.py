from django.apps import AppConfig


class MidConfig(AppConfig):
    name = "openmid.instance.mid"
    label = "mid"
    verbose_name = "MID Servers"

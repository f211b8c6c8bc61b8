from django.apps import AppConfig


class ConnectionsConfig(AppConfig):
    name = "openmid.instance.connections"
    label = "connections"
    verbose_name = "Connections"

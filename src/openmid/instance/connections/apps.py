from django.apps import AppConfig


class ConnectionsConfig(AppConfig):
    name = "openmid.instance.connections"
    label = "connections"
    verbose_name = "Connections"

    def ready(self) -> None:
        from openmid.instance.connections import distribution

        distribution.watch()

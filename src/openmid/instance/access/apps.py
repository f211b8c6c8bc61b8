from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "openmid.instance.access"
    label = "access"
    verbose_name = "Access"

    def ready(self) -> None:
        from openmid.instance.access import sessions

        sessions.watch()

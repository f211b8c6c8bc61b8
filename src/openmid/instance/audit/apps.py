from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "openmid.instance.audit"
    label = "audit"
    verbose_name = "Audit"

    def ready(self) -> None:
        from openmid.instance.audit import watch

        watch.watch()

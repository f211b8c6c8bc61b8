from django.apps import AppConfig


class ActionsConfig(AppConfig):
    name = "openmid.instance.actions"
    label = "actions"
    verbose_name = "Workflow Studio"

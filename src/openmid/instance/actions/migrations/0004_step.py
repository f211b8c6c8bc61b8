from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("actions", "0003_step_options")]

    operations = [
        migrations.RenameModel(old_name="RestStep", new_name="Step"),
        migrations.AlterModelTable(name="step", table="action_step"),
    ]

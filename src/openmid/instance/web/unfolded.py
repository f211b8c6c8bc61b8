"""django-unfold's classes under the types of django-stubs: unfold itself has no annotations that mypy could use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.admin import AdminSite, ModelAdmin
    from django.contrib.admin.forms import AdminAuthenticationForm as SignInBase
    from django.contrib.admin.views.main import ChangeList
    from django.forms import CheckboxInput as SwitchWidget
    from django.forms import CheckboxSelectMultiple as CheckboxList
    from django.forms import Form
    from django.forms import PasswordInput as PasswordWidget
    from django.forms import Select as SelectWidget
    from django.forms import Textarea as TextareaWidget
    from django.forms import TextInput as TextWidget

    class Admin(ModelAdmin[Any]):
        """A model's pages."""

    class Site(AdminSite):
        """The whole site."""

    class DialogForm(Form):
        """The form inside a pop-up."""

        request: Any
        object_id: str | None

    def action(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """A button in the head of a page, with a pop-up if it has a `dialog`."""
        raise NotImplementedError
else:
    from unfold.admin import ModelAdmin as Admin
    from unfold.decorators import action
    from unfold.forms import AuthenticationForm as SignInBase
    from unfold.forms import BaseDialogForm as DialogForm
    from unfold.sites import UnfoldAdminSite as Site
    from unfold.views import ChangeList
    from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget as CheckboxList
    from unfold.widgets import UnfoldAdminPasswordToggleWidget as PasswordWidget
    from unfold.widgets import UnfoldAdminSelectWidget as SelectWidget
    from unfold.widgets import UnfoldAdminTextareaWidget as TextareaWidget
    from unfold.widgets import UnfoldAdminTextInputWidget as TextWidget
    from unfold.widgets import UnfoldBooleanSwitchWidget as SwitchWidget

__all__ = [
    "Admin",
    "ChangeList",
    "CheckboxList",
    "DialogForm",
    "PasswordWidget",
    "SelectWidget",
    "SignInBase",
    "Site",
    "SwitchWidget",
    "TextWidget",
    "TextareaWidget",
    "action",
]

"""System: users with their roles, API tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString

from openmid.instance.access import totp
from openmid.instance.access.models import ApiToken
from openmid.instance.access.roles import ADMIN, WHAT
from openmid.instance.records import clock
from openmid.instance.records.actor import actor
from openmid.instance.web.labels import label
from openmid.instance.web.site import site
from openmid.instance.web.unfolded import Admin, CheckboxList, SelectWidget, action

if TYPE_CHECKING:
    from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm, UserChangeForm

    class UserAdminBase(DjangoUserAdmin[User]):
        """Django's pages for users."""
else:
    from unfold.forms import AdminPasswordChangeForm, UserChangeForm
    from unfold.forms import UserCreationForm as AdminUserCreationForm

    class UserAdminBase(DjangoUserAdmin, Admin):
        """Django's pages for users, in unfold's clothes."""


class RoleField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # not generic when it runs
    """The roles of a user."""

    def __init__(self) -> None:
        help_text = "; ".join(f"{role}: {what}" for role, what in WHAT.items()) + "."
        super().__init__(Group.objects.all(), label="Roles", help_text=help_text, required=True, widget=CheckboxList)


class UserPageForm(UserChangeForm):  # type: ignore[type-arg]  # not generic when it runs
    """A user and his roles."""

    groups = RoleField()

    def clean(self) -> dict[str, Any]:
        """Whoever takes the role or the sign-in from himself might leave nobody who could give it back."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.initial.get("username") == actor():
            if not cleaned.get("is_active", True):
                self.add_error("is_active", "You cannot shut yourself out: let another administrator do it.")
            if "groups" in cleaned and ADMIN not in {group.name for group in cleaned["groups"]}:
                self.add_error(
                    "groups", "You cannot take the role admin from yourself: let another administrator do it."
                )
        return cleaned


class NewUserForm(AdminUserCreationForm):  # type: ignore[type-arg]  # not generic when it runs
    """A new user: a name, roles, a password."""

    groups = RoleField()
    usable_password = None  # type: ignore[assignment]  # Django's way to take an inherited field out


@admin.register(User, site=site)
class UserAdmin(UserAdminBase):
    """Users. Who is here may sign in; what he may is his roles' matter."""

    form = UserPageForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "roles", "is_active", "last_login")
    list_filter = ("groups", "is_active")
    search_fields = ("username", "email")
    filter_horizontal = ()
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("username", "password", "groups", "is_active", "email", "last_login")}),
    )
    add_fieldsets: Any = ((None, {"fields": ("username", "groups", "password1", "password2")}),)
    readonly_fields = ("last_login",)
    actions_detail = ("reset_second_factor",)

    @action(
        description="Reset second factor",
        permissions=["change"],
        dialog={
            "title": "Reset second factor",
            "description": "The password alone is enough again, until the user sets up another authenticator.",
            "form_submit_text": "Reset",
        },
    )
    def reset_second_factor(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        user = get_object_or_404(User, pk=object_id)
        removed = totp.remove(user)
        messages.info(request, f"{user}: " + ("the second factor is removed." if removed else "there was none."))
        return HttpResponse(headers={"HX-Redirect": reverse("admin:auth_user_change", args=[object_id])})

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes himself: an administrator is left."""
        return obj != request.user and super().has_delete_permission(request, obj)

    @admin.display(description="Roles")
    def roles(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all()) or "–"

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Every user may sign in; the role admin is Django's superuser."""
        obj.is_staff = True
        obj.is_superuser = any(group.name == ADMIN for group in form.cleaned_data.get("groups", ()))
        super().save_model(request, obj, form, change)


class TokenForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    """A new token: whose, for what, for how long."""

    days = forms.ChoiceField(
        label="Good for",
        help_text="Then it is refused.",
        choices=[(30, "30 days"), (90, "90 days"), (365, "a year"), (0, "until it is deleted")],
        initial=90,
        widget=SelectWidget,
    )

    class Meta:
        model = ApiToken
        fields = ("name", "user", "scope")
        help_texts: ClassVar = {
            "name": "What it is for: the list and the audit trail show it.",
            "user": "It may do what this user may, within its scope.",
            "scope": "run: start, follow and cancel executions; read: change nothing; full: all that its user may.",
        }


@admin.register(ApiToken, site=site)
class ApiTokenAdmin(Admin):
    """API tokens: made here, shown once, revoked by deleting."""

    form = TokenForm
    list_display = ("name", "user", "scope", "until", "sys_created_on", "sys_created_by")
    list_filter: ClassVar = ("scope",)
    search_fields = ("name", "user__username")
    fieldsets: ClassVar = [(None, {"fields": ["name", "user", "scope", "days"]})]
    list_select_related = ("user",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """A token that exists shows its end, not the days it was asked for."""
        return [(None, {"fields": ["name", "user", "scope", "until"]})] if obj else self.fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("until",) if obj else ()

    @admin.display(description="Expires", ordering="expires")
    def until(self, token: ApiToken) -> SafeString | str:
        if token.expires is None:
            return "never"
        day = f"{clock.moment(token.expires):%Y-%m-%d}"
        return label(f"expired {day}", "danger") if token.expires < clock.now() else day

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        days = int(form.cleaned_data["days"]) or None
        request.openmid_token = ApiToken.issue(obj.name, obj.user, obj.scope, days)  # type: ignore[attr-defined]
        obj.pk = ApiToken.objects.get(name=obj.name).pk  # the history notes the record that was made

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """The token, once."""
        clear = getattr(request, "openmid_token", "")
        context = {
            **site.each_context(request),
            "title": "API token",
            "token": obj,
            "clear": clear,
            "model_admin": self,
        }
        return TemplateResponse(request, "openmid/api_token.html", context)

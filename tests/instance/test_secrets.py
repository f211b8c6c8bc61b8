"""Passwords at rest: encrypted, bound to their record, shown to nobody."""

from __future__ import annotations

import pytest
from django.db import connection

from openmid.instance.connections.forms import MidProtocolProfileForm
from openmid.instance.connections.models import MidProtocolProfile
from openmid.instance.folder import Folder
from openmid.instance.records.secrets import Ciphertext, SecretError, reveal

SECRET = "correct horse battery"


@pytest.fixture
def profile(instance: Folder) -> MidProtocolProfile:
    MidProtocolProfile(protocol="mauth", keystore_path="/x", password=SECRET).save()
    return MidProtocolProfile.objects.get()


def test_the_database_has_no_clear_password(profile: MidProtocolProfile) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT password FROM mid_protocol_profile")
        stored = cursor.fetchone()[0]
    assert stored.startswith("v1.")
    assert SECRET not in stored
    assert SECRET not in repr(profile.password)
    assert reveal(profile, "password") == SECRET


def test_a_password_moved_to_another_record_does_not_open(profile: MidProtocolProfile) -> None:
    other = MidProtocolProfile(protocol="other", keystore_path="/x")
    other.password = profile.password
    with pytest.raises(SecretError, match="does not open"):
        reveal(other, "password")


def test_a_changed_password_does_not_open(profile: MidProtocolProfile) -> None:
    profile.password = Ciphertext(profile.password[:-6] + "AAAAA=")
    with pytest.raises(SecretError, match="does not open"):
        reveal(profile, "password")


def test_no_query_and_no_bulk_update_takes_a_clear_password(profile: MidProtocolProfile) -> None:
    with pytest.raises(TypeError, match="encrypted"):
        MidProtocolProfile.objects.update(password=SECRET)
    with pytest.raises(TypeError, match="encrypted"):
        MidProtocolProfile.objects.filter(password=SECRET).exists()


def test_a_form_never_shows_the_password_and_keeps_it_when_left_empty(profile: MidProtocolProfile) -> None:
    shown = MidProtocolProfileForm(instance=profile).as_p()
    assert profile.password not in shown
    assert SECRET not in shown
    data = {"protocol": "mauth", "keystore_path": "/y", "password": "", "applies_to": "all", "default_port": "443"}
    MidProtocolProfileForm(data, instance=profile).save()
    assert reveal(MidProtocolProfile.objects.get(), "password") == SECRET


def test_every_save_uses_a_new_nonce(profile: MidProtocolProfile) -> None:
    before = str(profile.password)
    profile.password = SECRET
    profile.save()
    assert str(profile.password) != before

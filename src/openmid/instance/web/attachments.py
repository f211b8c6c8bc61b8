"""Attachments: a list, and each as a download that no browser shows."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header

from openmid.instance.attachments import files
from openmid.instance.attachments.models import Attachment
from openmid.instance.web import streams
from openmid.instance.web.plain import PlainAdmin
from openmid.instance.web.site import site
from openmid.instance.web.unfolded import action


@admin.register(Attachment, site=site)
class AttachmentAdmin(PlainAdmin):
    """The files."""

    list_display = ("file_name", "content_type", "size_bytes", "table_name", "sys_created_on", "sys_created_by")
    search_fields = ("file_name", "sys_id")
    list_per_page = 50
    actions_detail = ("file",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: Attachment) -> None:
        files.delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for each in queryset:
            files.delete(each)

    @action(description="Download", permissions=["view"])
    def file(self, request: HttpRequest, object_id: str) -> StreamingHttpResponse:
        """Its bytes."""
        found = get_object_or_404(Attachment, pk=object_id)
        try:
            chunks = files.read(found)
        except files.StorageError as error:
            raise Http404(str(error)) from None
        disposition = content_disposition_header(True, found.file_name) or "attachment"
        answer = streams.download(chunks, "application/octet-stream", disposition)
        answer["Content-Length"] = str(found.size_bytes)
        return answer

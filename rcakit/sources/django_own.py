"""What Django brings itself, and projects point to or build upon: its tables, and the columns of its abstract models.

https://docs.djangoproject.com/en/stable/ref/contrib/auth/ holds the fields.
"""

from __future__ import annotations

from rcakit.facts import Field

DJANGO = {
    "auth.user": "auth_user",
    "auth.group": "auth_group",
    "auth.permission": "auth_permission",
    "contenttypes.contenttype": "django_content_type",
    "sites.site": "django_site",
}
"""Tables of Django's own apps that project models point to; their key is "id", integer by those apps' own settings."""
DJANGO_CLASSES = {
    "django.contrib.auth.models.User": "auth.user",
    "django.contrib.auth.models.Group": "auth.group",
    "django.contrib.auth.models.Permission": "auth.permission",
    "django.contrib.contenttypes.models.ContentType": "contenttypes.contenttype",
    "django.contrib.sites.models.Site": "sites.site",
}
_TEXT = "character varying"
_BASE_USER = (
    Field("password", "password", f"{_TEXT}(128)", False),
    Field("last_login", "last_login", "timestamp with time zone", True),
)
_PERMISSIONS = (Field("is_superuser", "is_superuser", "boolean", False),)
_USER = (
    Field("username", "username", f"{_TEXT}(150)", False, unique=True, index=True),
    Field("first_name", "first_name", f"{_TEXT}(150)", False),
    Field("last_name", "last_name", f"{_TEXT}(150)", False),
    Field("email", "email", f"{_TEXT}(254)", False),
    Field("is_staff", "is_staff", "boolean", False),
    Field("is_active", "is_active", "boolean", False),
    Field("date_joined", "date_joined", "timestamp with time zone", False),
)
_AUTH = "django.contrib.auth"
DJANGO_BASES: dict[str, tuple[tuple[Field, ...], tuple[tuple[str, str], ...]]] = {
    f"{_AUTH}.base_user.AbstractBaseUser": (_BASE_USER, ()),
    f"{_AUTH}.models.AbstractBaseUser": (_BASE_USER, ()),
    f"{_AUTH}.models.PermissionsMixin": (
        _PERMISSIONS,
        (("groups", "auth.group"), ("user_permissions", "auth.permission")),
    ),
    f"{_AUTH}.models.AbstractUser": (
        (*_BASE_USER, *_PERMISSIONS, *_USER),
        (("groups", "auth.group"), ("user_permissions", "auth.permission")),
    ),
}
"""Abstract models of Django: their columns, and their many-to-many fields with targets."""

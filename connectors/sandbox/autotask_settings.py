"""The switches of the Autotask sandbox: one for every point that the sources leave open, and for a tenant's habits."""

from __future__ import annotations

from connectors.sandbox.settings import Switch

SWITCHES = (
    # Zone and authentication
    Switch("zone_url_double_slash", False, "bool", "zoneInformation.url has a doubled slash, as in older days."),
    Switch("zone_moved", False, "bool", "The tenant moved: discovery names another address, the old one refuses."),
    Switch(
        "wrong_zone_answer",
        401,
        (401, 500, 307),
        "What the old address answers: an empty 401, 500 with a text, or a redirect.",
    ),
    Switch("doubled_slash", "accept", ("accept", "404"), "A path with a doubled slash."),
    Switch("bad_code_status", 500, (500, 401), "Answer to a wrong tracking identifier of a good user."),
    Switch("locked_answer", "401", ("401", "text"), "A locked or inactive user: empty 401, or 500 with SOAP's text."),
    Switch("permission_status", 500, (500, 403), "Answer to a call without the permission."),
    Switch(
        "validation_status", 500, (500, 200), "Answer to a refused write or query; 200 carries errors all the same."
    ),
    Switch("lock_after", 0, "int", "Wrong secrets in a row that lock the API user; 0 = never."),
    Switch("missing_item", "404", ("404", "null"), "GET of an unknown id: 404, or 200 with item null."),
    # Writes
    Switch("read_only", "reject", ("reject", "ignore"), "A read-only field in a write."),
    Switch("unknown_field", "reject", ("reject", "ignore"), "A field in a write that the entity does not have."),
    Switch("unknown_udf", "reject", ("reject", "ignore"), "A user-defined field in a write that is not defined."),
    Switch("html_text", "keep", ("keep", "strip"), "HTML tags in descriptions of tickets and notes."),
    Switch("over_length", "reject", ("reject", "truncate"), "A string longer than its field."),
    Switch(
        "udf_patch", "merge", ("merge", "replace"), "PATCH with some user-defined fields: keep or clear the others."
    ),
    Switch("inactive_references", "reject", ("reject", "accept"), "A write naming an inactive contact or resource."),
    Switch("inactive_company", "accept", ("accept", "reject"), "A new ticket or item for an inactive company."),
    Switch("due_date_required", False, "bool", "A ticket without dueDateTime is refused (some tenants)."),
    Switch("category_rules", True, "bool", "Ticket categories bring defaults and required fields."),
    Switch(
        "duplicate_rule",
        "off",
        ("off", "external_id", "company_title", "configuration_item"),
        "Creating a ticket answers with the id of an open one that agrees in this.",
    ),
    Switch("workflow_stale_status", False, "bool", "A status written by the API is answered 200 and not kept."),
    Switch(
        "deleted_item", "keep", ("keep", "clear"), "Tickets of a deleted configuration item: keep its id, or lose it."
    ),
    Switch(
        "ticket_history",
        "fields",
        ("fields", "unnamed", "creation"),
        "What TicketHistory tells of an edit: each field by name with both values, the values alone, or nothing.",
    ),
    Switch("webhook_duplicate_create", "accept", ("accept", "reject"), "Creating a webhook that exists already."),
    # Queries and answers
    Switch("query_string_limit", 2048, "int", "Bytes of a query string; a longer one is a 404 page; 0 = any."),
    Switch("string_compare", "ignore_case", ("ignore_case", "exact"), "How queries compare strings."),
    Switch("noteq_matches_null", False, "bool", "noteq and notIn also find rows without a value."),
    Switch("time_designator", "z", ("z", "none"), "Times end in Z or in nothing."),
    Switch("time_fraction", "trimmed", ("trimmed", "none", "three", "seven"), "Fraction digits of times."),
    Switch("udf_type_labels", "modern", ("modern", "legacy"), "Labels of the udfType picklist."),
    # Limits
    Switch("hourly_limit", 10_000, "int", "External requests per rolling hour, all integrations together.", 1),
    Switch("neighbour", 0, "int", "Requests in the hour by the tenant's other integrations."),
    Switch("neighbour_requests_per_hour", 0, "number", "Requests an hour by others, evenly from now on."),
    Switch("latency_tiers", True, "bool", "Half a second from 50 %, a second from 75 % of the hourly limit."),
    Switch("latency_scale", 1.0, "number", "Factor on those waits."),
    Switch("over_limit_status", 429, (429, 500), "Answer beyond the hourly limit."),
    Switch("thread_limit", 3, "int", "Calls at once per tracking identifier and entity; 0 = no limit."),
    Switch("thread_status", 429, (429, 500, 503), "Answer to one call too many at once."),
    Switch("thread_text", "Thread Threshold Exceeded", "text", "Error text of that answer."),
    Switch("retry_after", None, "number", "Retry-After of both answers in seconds; null = no header.", nullable=True),
    # Webhooks
    Switch("webhooks_maximum", 10, "int", "Webhooks the API user may have; 0 = not permitted."),
    Switch("webhook_time_scale", 1.0, "number", "Factor on the 30 s between attempts (the 10 s time-out is real)."),
    Switch("webhook_attempts", 5, "int", "Attempts for one event.", 1),
    Switch("webhook_disable_after", 25, "int", "Failed events in a row that disable a webhook.", 1),
    Switch("webhook_owner_rule", True, "bool", "Webhooks of an owner who is deactivated are disabled."),
    Switch("webhook_signature", "raw", ("raw", "escaped"), "What is signed: the bytes sent, or their escaped form."),
    Switch("webhook_field_case", "pascal", ("pascal", "camel"), "Casing inside Fields."),
    Switch("webhook_picklists", "label", ("label", "id"), "Picklist values inside Fields."),
    Switch("webhook_udfs", "flat", ("flat", "nested"), "UDFs beside the fields, or as a list in UserDefinedFields."),
    Switch("webhook_delete_fields", True, "bool", "Delete events carry Fields."),
    Switch("webhook_entity_type", "legacy", ("legacy", "collection"), "EntityType: Account or Companies, and so on."),
    Switch("webhook_guid", "webhook", ("webhook", "event"), "Guid names the webhook or the event."),
)

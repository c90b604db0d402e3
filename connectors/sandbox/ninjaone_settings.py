"""The switches of the NinjaOne sandbox: what public sources leave open, and the faults of real instances."""

from __future__ import annotations

from connectors.sandbox.settings import Switch

_PRESENCE = ("present", "absent")

NINJAONE_SWITCHES = (
    # Authentication
    Switch("token_lifetime_seconds", 3600, "int", "Life of an access token on the sandbox clock.", minimum=1),
    Switch("wrong_secret_status", 400, (400, 401), "HTTP status of invalid_client for a wrong secret."),
    Switch("refresh_tokens", "offline_access", ("offline_access", "never", "always"), "When a refresh token is issued."),
    Switch("client_scopes", "monitoring management control", "text", "Scopes the API client app has."),
    Switch("reset_client_credentials", "allowed", ("allowed", "forbidden"), "Whether client credentials may reset alerts; forbidden answers 403 user_context_required."),
    Switch("webhook_client_credentials", "allowed", ("allowed", "forbidden"), "Whether client credentials may set the webhook; forbidden answers 403."),
    Switch("reset_scope", "management", ("management", "monitoring"), "Scope that an alert reset needs."),
    # Alerts
    Switch("alert_extras", "present", _PRESENCE, "severity, priority, conditionName and health fields on alerts (newest instances only)."),
    Switch("alert_device", "absent", _PRESENCE, "The device inside alerts."),
    Switch("activity_severity", "absent", _PRESENCE, "severity and priority on CONDITION activities and their webhooks."),
    Switch(
        "psa_ticket_id",
        "absent",
        ("absent", "int", "string", "object"),
        "Every alert has a psaTicketId of this wire type; absent: only those that a control call gave one, as it was given.",
    ),
    Switch("reset_status", 204, (204, 200), "Success status of an alert reset."),
    Switch("second_reset", 404, (404, 410, 400, 204), "Answer to a reset of an alert that is not active."),
    Switch("api_reset_writes", "RESET", ("RESET", "DISABLED", "ACKNOWLEDGED", "nothing"), "statusCode of the activity that a reset by API writes."),
    Switch("offline_writes", "activities", ("activities", "nothing"), "Whether alerts of sourceType AGENT_OFFLINE write activities."),
    Switch("empty_reset_body", "accepted", ("accepted", "rejected"), "POST .../reset without a body; rejected answers 400."),
    Switch("refire_after_reset", "none", ("none", "new_uid", "same_uid"), "Whether a condition that is still true fires again after a reset by API."),
    Switch("refire_seconds", 0, "number", "Sandbox seconds between such a reset and the next trigger."),
    # Lists and reports
    Switch("default_page_size", 200, "int", "Rows of an entity list without pageSize.", minimum=1),
    Switch("max_page_size", 1000, "int", "Most rows of an entity list page; a greater pageSize gives this many.", minimum=1),
    Switch("references_on_detailed", "absent", _PRESENCE, "references on devices-detailed."),
    Switch("device_uid", "present", _PRESENCE, "The uid of devices (newer instances only)."),
    Switch("comma_lists", "literal", ("accepted", "rejected", "literal"), "type=A,B and status=A,B on activities; literal matches nothing."),
    Switch("activity_dates", "accepted", ("accepted", "rejected", "ignored"), "before= and after= on activities."),
    Switch("cursor_lifetime_seconds", 900, "int", "Life of a report cursor on the sandbox clock.", minimum=1),
    Switch("report_end", "no_cursor", ("no_cursor", "zero_rows"), "How the last report page shows: no cursor, or one more page without rows."),
    # The instance
    Switch("instance_drift", "none", ("none", "older"), "older: newer paths answer 404, newer fields are absent, DELETE /v2/webhook/{id} in place of DELETE /v2/webhook."),
    Switch("missing_paths", "", "regex", "Regular expression of paths that answer 404 on this instance."),
    Switch("unknown_enums", "off", ("off", "on"), "on: some devices, alerts and activities carry enum values no client knows."),
    Switch("language", "en", ("en", "de", "sv"), "Language of status and type texts (lang= overrides it)."),
    Switch("timestamps", "fraction", ("fraction", "whole"), "Epoch seconds with a fraction, or whole ones as older instances sent."),
    Switch("patch_status", 204, (204, 200), "Success status of PATCH on devices and custom fields."),
    # Throttling
    Switch("rate_limit_per_minute", 0, "int", "Calls per sandbox minute before throttling; 0 is none."),
    Switch("throttle_style", "429_retry_after", ("429_retry_after", "429", "html_200"), "How throttling shows."),
    # Webhooks
    Switch("webhook_activity_keys", "activity_types", ("activity_types", "any"), "Keys of the webhook's activities: activityTypes only, or also {\"statusCode\": [...]} and unknown ones."),
    Switch("webhook_timeout_seconds", 10, "number", "Real seconds a receiver has to answer.", minimum=0.01),
    Switch("webhook_attempts", 3, "int", "Attempts per delivery.", minimum=1),
    Switch("webhook_retry_seconds", 30, "number", "Sandbox seconds between attempts."),
    Switch("webhook_disable_after", 10, "int", "Consecutive failed deliveries that disable the webhook; 0 is never."),
    Switch("webhook_order", "in_order", ("in_order", "out_of_order"), "out_of_order: every other delivery is overtaken by the next."),
    Switch("webhook_at_once", 1, "int", "Deliveries under way side by side; with more than one they may overtake.", minimum=1),
    Switch("webhook_double_every", 0, "int", "Every n-th delivery is sent twice; 0 is none."),
    Switch("webhook_lose_every", 0, "int", "Every n-th delivery is lost; 0 is none."),
)  # fmt: skip

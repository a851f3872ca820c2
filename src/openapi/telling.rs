//! The routes of who is told of changes: secrets for signatures, and a message once more.

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::openapi::{parameters, refer, responses};
use crate::resource::Resource;
use crate::resources::{Organization, Webhook, WebhookDelivery};

/// Their paths.
pub fn paths() -> Vec<(String, Value)> {
    let (webhook, organization): (&dyn Kind, &dyn Kind) = (Webhook::KIND, Organization::KIND);
    vec![
        (
            format!("/v1/{}/{{key}}/secret", webhook.name()),
            json!({"parameters": [parameters::key(webhook)],
                "post": issue("issueWebhookSecret", "Issue a secret that messages to a webhook are signed with", webhook)}),
        ),
        (
            format!("/v1/{}/{{key}}/callback-secret", organization.name()),
            json!({"parameters": [parameters::key(organization)], "post": issue("issueCallbackSecret",
                "Issue a secret that the callbacks of an organization's VMs are signed with", organization)}),
        ),
        (
            "/v1/callback-secret".into(),
            json!({"post": issue("issueFleetCallbackSecret",
                "Issue a secret that the callbacks of VMs of no organization are signed with", webhook)}),
        ),
        resend(),
    ]
}

fn issue(operation: &str, summary: &str, kind: &dyn Kind) -> Value {
    let mut answers = responses::problems(&[400, 401, 403, 404, 406, 413, 429, 503]);
    let schema = json!({"type": "object", "required": ["secret"], "properties": {"secret": {"type": "string",
        "pattern": "^virtapi_webhook_[A-Za-z0-9_-]{43}$"}}});
    answers.insert(
        "201".into(),
        json!({"description": "The secret: this once. It and the one before are live from now on, and no older one.",
            "content": responses::content(responses::ALL_FORMATS, &schema)}),
    );
    json!({"operationId": operation, "summary": summary, "tags": [kind.name()],
        "parameters": parameters::named(&["X-Change-Message", "dry_run"]), "responses": answers})
}

fn resend() -> (String, Value) {
    let kind: &dyn Kind = WebhookDelivery::KIND;
    let mut answers = responses::problems(&[400, 401, 403, 404, 406, 413, 429, 503]);
    let schema = json!({"type": "object", "required": ["status"], "properties": {"status": {"const": "pending"}}});
    answers.insert(
        "202".into(),
        json!({"description": "It is sent as soon as it can be, and for another day.",
            "content": responses::content(responses::ALL_FORMATS, &schema)}),
    );
    answers.insert("303".into(), refer("responses", "SeeOther"));
    let resend = json!({"operationId": "resendWebhookDelivery", "summary": "Send a message once more", "tags": [kind.name()],
        "description": "With the same event id and body, whatever became of it.",
        "parameters": parameters::named(&["X-Change-Message", "dry_run"]), "responses": answers});
    (format!("/v1/{}/{{key}}/resend", kind.name()), json!({"parameters": [parameters::key(kind)], "post": resend}))
}

//! The route that issues a token's secret.

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::openapi::{parameters, responses};
use crate::resource::Resource;
use crate::resources::Token;

/// Its path.
pub fn paths() -> Vec<(String, Value)> {
    let kind: &dyn Kind = Token::KIND;
    let mut answers = responses::problems(&[400, 401, 403, 404, 406, 429, 503]);
    let schema = json!({"type": "object", "required": ["secret"], "properties": {"secret": {"type": "string",
        "pattern": "^virtapi_[0-9a-f]{8}_[A-Za-z0-9_-]{43}$"}}});
    answers.insert(
        "201".into(),
        json!({"description": "The secret: this once. The one before is refused from now on.",
            "content": responses::content(responses::ALL_FORMATS, &schema)}),
    );
    let issue = json!({
        "operationId": "issueTokenSecret", "summary": "Issue a secret for a token", "tags": [kind.name()],
        "parameters": parameters::named(&["X-Change-Message", "dry_run"]), "responses": answers,
    });
    vec![(format!("/v1/{}/{{key}}/secret", kind.name()), json!({"parameters": [parameters::key(kind)], "post": issue}))]
}

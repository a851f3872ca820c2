//! What went wrong, for people: what the API says of it, each field in a line, and where in a script it was.

use rhai::{EvalAltResult, Map};

use super::request::Trouble;
use super::{table, value};

/// What is wrong, and where.
pub fn explained(error: &EvalAltResult) -> String {
    let at = match error.position() {
        at if at.line().is_some_and(|line| line > 1) => format!(" ({at})"),
        _ => String::new(),
    };
    let text = match error.unwrap_inner() {
        EvalAltResult::ErrorRuntime(problem, _) => match problem.as_map_ref() {
            Ok(fields) => problem_text(&fields),
            Err(_) => problem.to_string(),
        },
        EvalAltResult::ErrorTerminated(why, _) => return table::plain(&why.to_string()),
        other => return table::plain(&other.to_string()),
    };
    table::plain(&format!("{text}{at}"))
}

/// What the API says is wrong: in a line, and each field in one of its own.
fn problem_text(problem: &Map) -> String {
    let part = |name: &str| problem.get(name).filter(|part| !part.is_unit()).map(ToString::to_string);
    let head: Vec<String> = [part("status"), part("title")].into_iter().flatten().collect();
    let detail = part("detail").unwrap_or_default();
    let mut text = if head.is_empty() { detail } else { format!("{}: {detail}", head.join(" ")) };
    for error in problem.get("errors").and_then(|errors| errors.clone().into_array().ok()).into_iter().flatten() {
        if let Ok(fields) = error.as_map_ref() {
            let field = |name: &str| fields.get(name).map(ToString::to_string).unwrap_or_default();
            text += &format!("\n  {}  {}", field("pointer"), field("detail"));
        }
    }
    text
}

/// What could not be done, for people.
pub fn told(trouble: &Trouble) -> String {
    match value::to_dynamic(&trouble.problem()).as_map_ref() {
        Ok(problem) => table::plain(&problem_text(&problem)),
        Err(_) => table::plain(&trouble.to_string()),
    }
}

//! Where a VM is in its life, by what its agent has seen, and what is wanted of its power.

use rocket::http::{Method, Status};
use serde_json::{Value, json};

use crate::harness::sql;
use crate::orders::order;
use crate::relations::demo;

#[rocket::async_test]
async fn a_vm_lives_by_what_its_agent_has_seen() {
    let app = demo().await;
    let vm = app.post("/v1/vms", order()).await.is(Status::Created);
    let (url, uuid) = (format!("/v1/vms/{}", vm["id"]), vm["uuid"].as_str().unwrap().to_owned());
    let lifecycle = async || app.get(&url).await.is(Status::Ok)["lifecycle"].as_str().unwrap().to_owned();
    // What the agent says of it, or that it is silent or has failed.
    let seen = async |state: &str, applied: bool| {
        let vms = if state.is_empty() { "{}".to_owned() } else { format!(r#"{{"{uuid}": "{state}"}}"#) };
        let generation = if applied { "n.desired_generation" } else { "o.applied_generation" };
        sql(
            &app.dsn,
            &format!(
                "UPDATE node_observations o SET last_report = now(), has_failed = false, amiss = '[]', \
            observed = '{{\"vms\": {vms}}}', applied_generation = {generation} FROM nodes n WHERE n.id = o.node_id"
            ),
        )
        .await;
    };
    assert_eq!(lifecycle().await, "scheduled");
    seen("", false).await;
    assert_eq!(lifecycle().await, "scheduled");
    seen("shut off", false).await;
    assert_eq!(lifecycle().await, "starting");
    seen("running", true).await;
    assert_eq!(lifecycle().await, "started");
    let vm = app.post(&format!("{url}/reboot"), Value::Null).await.is(Status::Ok);
    assert_eq!((&vm["lifecycle"], &vm["restarts"]), (&json!("rebooting"), &json!(1)));
    seen("running", false).await;
    assert_eq!(lifecycle().await, "rebooting");
    seen("running", true).await;
    assert_eq!(lifecycle().await, "started");
    let vm = app.post(&format!("{url}/stop"), Value::Null).await.is(Status::Ok);
    assert_eq!((&vm["state"]["name"], &vm["lifecycle"]), (&json!("stopped"), &json!("started")));
    app.post(&format!("{url}/reboot"), Value::Null).await.is(Status::Conflict);
    seen("shut off", true).await;
    assert_eq!(lifecycle().await, "stopped");
    app.post(&format!("{url}/start"), Value::Null).await.is(Status::Ok);
    seen("shut off", true).await;
    sql(&app.dsn, &format!("UPDATE node_observations SET amiss = '[\"{uuid}\"]'")).await;
    let vm = app.get(&url).await.is(Status::Ok);
    assert_eq!(
        (&vm["lifecycle"], &vm["failure"]),
        (&json!("failed"), &json!("it does not run, though its agent has done its work"))
    );
    seen("shut off", false).await;
    sql(&app.dsn, "UPDATE node_observations SET has_failed = true").await;
    let vm = app.get(&url).await.is(Status::Ok);
    assert_eq!(
        (&vm["lifecycle"], &vm["failure"]),
        (&json!("failed"), &json!("the last run of the agent of its hypervisor failed"))
    );
    seen("running", true).await;
    sql(&app.dsn, "UPDATE node_observations SET last_report = now() - interval '1 year'").await;
    assert_eq!(lifecycle().await, "unknown");
    // Not by a rehearsal, nor by a word that is none.
    let before = app.contents().await;
    app.post(&format!("{url}/stop?dry_run=true"), Value::Null).await.is(Status::Ok);
    app.post(&format!("{url}/reboot?dry_run=true"), Value::Null).await.is(Status::Ok);
    assert_eq!(app.contents().await, before);
    for (path, status) in [("explode", 405), ("stop?x=1", 400)] {
        assert_eq!(app.post(&format!("{url}/{path}"), Value::Null).await.status, status, "{path}");
    }
    assert_eq!(app.post("/v1/vms/999999/reboot", Value::Null).await.status, 404);
    app.json(Method::Patch, &url, json!({"hypervisor": null})).await.is(Status::Ok);
    assert_eq!(lifecycle().await, "requested");
}

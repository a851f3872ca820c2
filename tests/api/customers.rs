//! What a customer sees and writes: its own, and of everything else not even that it is there.

use rocket::http::{Method, Status};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use virtapi::{KINDS, Kind, Type};

use crate::harness::{App, sql};
use crate::html::browser;

const JSON: (&str, &str) = ("Content-Type", "application/json");
/// In every name of the other customer, and of what is the fleet's own.
const HIDDEN: &str = "hidden";

/// Two customers on one hypervisor, and what is the fleet's own.
struct Shared {
    app: App,
    owner: String,
    member: String,
    viewer: String,
}

/// The objects of one customer, or of nobody: VM, volume, interface. Its names begin with this word.
pub async fn objects(app: &App, word: &str, number: u8, environment: Option<&str>) {
    let uuid = |digit: char| format!("{digit}0000000-0000-4000-8000-0000000000{number:02}");
    let vm = json!({"uuid": uuid('a'), "name": format!("{word}-vm"), "cores": 1, "ram_bytes": 1, "state": "running",
        "virt_method": "KVM", "hypervisor": "hv01.example.com", "environment": environment});
    app.post("/v1/vms", vm).await.is(Status::Created);
    let volume = json!({"uuid": uuid('b'), "vm": uuid('a'), "size_bytes": 1_000_000, "storage_type": "qcow2",
        "cache_option": "none"});
    app.post("/v1/volumes", volume).await.is(Status::Created);
    let snapshot = json!({"volume": uuid('b'), "name": format!("{word}-snapshot"), "take_at": "2026-12-01T00:00:00Z"});
    app.post("/v1/snapshots", snapshot).await.is(Status::Created);
    let interface = json!({"vm": uuid('a'), "mac": format!("52:54:00:00:00:{number:02}"), "name": "eth0",
        "vlans": [{"name": format!("{word}-vlan"), "tag": 100 + u16::from(number)}],
        "addresses": [format!("192.0.2.{number}/24")]});
    app.post("/v1/interfaces", interface).await.is(Status::Created);
}

pub async fn customer(app: &App, organization: &str) {
    let full = json!({"name": organization, "full_name": organization});
    app.post("/v1/organizations", full).await.is(Status::Created);
    let environment = json!({"organization": organization, "name": format!("{organization}-shop")});
    app.post("/v1/environments", environment).await.is(Status::Created);
    for role in ["owner", "member", "viewer"] {
        let user = json!({"name": format!("{organization}-{role}"), "account_type": "person", "state": "active"});
        let membership = json!({"organization": organization, "user": user, "role": role});
        app.post("/v1/memberships", membership).await.is(Status::Created);
    }
    let team = json!({"organization": organization, "name": format!("{organization}-team"), "role": "viewer",
        "users": [format!("{organization}-viewer")]});
    app.post("/v1/teams", team).await.is(Status::Created);
}

pub async fn token(app: &App, user: &str) -> String {
    let token = app.post("/v1/tokens", json!({"name": "test", "user": user, "scope": "all"})).await.is(Status::Created);
    let secret = app.post(&format!("/v1/tokens/{}/secret", token["id"]), Value::Null).await.is(Status::Created);
    format!("Bearer {}", secret["secret"].as_str().expect("a secret"))
}

async fn shared() -> Shared {
    let app = App::start().await;
    let hypervisor = json!({"node": {"fqdn": "hv01.example.com", "state": "running", "location": "hidden rack",
        "parameters": {"password": "hidden"}}, "cores": 8, "ram_bytes": 1, "virt_methods": ["KVM"],
        "local_storage_path": "/hidden"});
    app.post("/v1/hypervisors", hypervisor).await.is(Status::Created);
    app.post("/v1/nodes", json!({"fqdn": "hidden.example.com", "state": "running"})).await.is(Status::Created);
    for organization in ["ours", HIDDEN] {
        customer(&app, organization).await;
    }
    objects(&app, "ours", 11, Some("ours/ours-shop")).await;
    objects(&app, HIDDEN, 12, Some("hidden/hidden-shop")).await;
    objects(&app, "hidden-fleet", 13, None).await;
    let [owner, member, viewer] =
        [token(&app, "ours-owner").await, token(&app, "ours-member").await, token(&app, "ours-viewer").await];
    // Else their use would be noted, and a test that nothing was written would see it.
    sql(&app.dsn, "UPDATE tokens SET last_used_at = now() + interval '1 day'").await;
    Shared { app, owner, member, viewer }
}

impl Shared {
    async fn ask(&self, who: &str, method: Method, url: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.app.send(method, url, &[("Authorization", who), JSON], body.as_bytes()).await;
        (answer.status, serde_json::from_slice(&answer.bytes).unwrap_or_default())
    }

    async fn get(&self, who: &str, url: &str) -> (u16, Value) {
        self.ask(who, Method::Get, url, &Value::Null).await
    }

    /// Each object that is not the customer's: its kind, id and natural key.
    async fn hidden(&self) -> Vec<(&'static dyn Kind, String, String)> {
        let mut found = vec![];
        for kind in customer_kinds() {
            let seen: BTreeSet<String> = ids(&self.get(&self.owner, &format!("/v1/{}", kind.name())).await.1);
            let all = self.app.get(&format!("/v1/{}?limit=1000", kind.name())).await.is(Status::Ok);
            for item in all["items"].as_array().expect("a list") {
                if !seen.contains(&item["id"].to_string()) {
                    found.push((kind, item["id"].to_string(), key(kind, item)));
                }
            }
        }
        found
    }
}

fn ids(list: &Value) -> BTreeSet<String> {
    list["items"].as_array().into_iter().flatten().map(|item| item["id"].to_string()).collect()
}

/// The natural key, as an address has it.
fn key(kind: &dyn Kind, item: &Value) -> String {
    let part = |name: &&str| match &item[*name] {
        Value::Object(reference) => reference.values().nth(1).and_then(Value::as_str).expect("a key").to_owned(),
        value => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    };
    let parts: Vec<String> = kind.key().iter().map(part).collect();
    parts.join("/")
}

/// What customers have of their own.
fn customer_kinds() -> Vec<&'static dyn Kind> {
    let names = [
        "organizations",
        "environments",
        "memberships",
        "teams",
        "vms",
        "volumes",
        "snapshots",
        "interfaces",
        "addresses",
        "vlans",
    ];
    names.map(|name| *KINDS.iter().find(|kind| kind.name() == name).expect("a kind")).to_vec()
}

/// All but the name of the request, which each has for itself.
fn without_instance((status, mut body): (u16, Value)) -> (u16, Value) {
    if let Some(fields) = body.as_object_mut() {
        fields.remove("instance");
    }
    (status, body)
}

#[rocket::async_test]
async fn a_customer_sees_its_own_and_counts_nothing_else() {
    let shared = shared().await;
    let expected = [
        ("organizations", 1),
        ("environments", 1),
        ("memberships", 3),
        ("teams", 1),
        ("vms", 1),
        ("volumes", 1),
        ("snapshots", 1),
        ("interfaces", 1),
        ("addresses", 1),
        ("vlans", 1),
    ];
    for who in [&shared.owner, &shared.member, &shared.viewer] {
        for (collection, count) in expected {
            for more in ["", "&count=exact"] {
                let (status, list) = shared.get(who, &format!("/v1/{collection}?limit=1000{more}")).await;
                assert_eq!((status, &list["total"]), (200, &json!(count)), "{collection} {list}");
                assert_eq!(ids(&list).len(), count, "{collection} {list}");
            }
        }
        let (_, vms) = shared.get(who, "/v1/vms?embed=interfaces.addresses,volumes.snapshots").await;
        let vm = &vms["items"][0];
        assert_eq!(vm["hypervisor"]["fqdn"], "hv01.example.com", "what its own objects name: {vm}");
        assert_eq!(vm["interfaces"][0]["addresses"][0]["ip"], "192.0.2.11/24");
        assert_eq!(vm["volumes"][0]["snapshots"][0]["name"], "ours-snapshot");
        assert_eq!(vm["environment"]["key"], "ours/ours-shop");
    }
}

/// Whatever is asked about an object of somebody else is answered as if there were none.
#[rocket::async_test]
async fn what_is_somebody_elses_is_like_what_is_not_there() {
    let shared = shared().await;
    let hidden = shared.hidden().await;
    assert!(hidden.len() > 15, "{}", hidden.len());
    let before = shared.app.contents().await;
    for (kind, id, key) in hidden {
        let (name, missing) = (kind.name(), missing_key(kind, &key));
        for (there, nowhere) in [(&id, "999999"), (&key, missing.as_str())] {
            for (method, body) in [
                (Method::Get, Value::Null),
                (Method::Patch, json!({})),
                (Method::Patch, json!({"name": "x", "role": "viewer"})),
                (Method::Put, json!({})),
                (Method::Delete, Value::Null),
            ] {
                for who in [&shared.owner, &shared.viewer] {
                    let ask = async |key: &str| {
                        without_instance(shared.ask(who, method, &format!("/v1/{name}/{key}"), &body).await)
                    };
                    let (answer, expected) = (ask(there).await, ask(nowhere).await);
                    assert_eq!(answer, expected, "{method} /v1/{name}/{there}");
                    assert!([403, 404, 422].contains(&answer.0), "{method} /v1/{name}/{there} {answer:?}");
                }
            }
        }
        // As a filter, and as a reference in a body.
        for user in KINDS {
            for column in user.columns().iter().filter(|column| column.any_target().is_some_and(|k| k.name() == name)) {
                for (there, nowhere) in [(&id, "999999"), (&key, missing.as_str())] {
                    if !matches!(column.ty, Type::Owned(_)) {
                        let list = async |key: &str| {
                            let url = format!("/v1/{}?{}={key}&fields=id", user.name(), column.name);
                            let (status, list) = without_instance(shared.get(&shared.owner, &url).await);
                            (status, list["items"].clone(), list["total"].clone())
                        };
                        assert_eq!(list(there).await, list(nowhere).await, "{}?{}={there}", user.name(), column.name);
                    }
                    let reference = async |key: &str| {
                        let mut body: Value = serde_json::from_str(user.example()).expect("JSON");
                        body[column.name] = if matches!(column.ty, Type::Ref(_)) { json!(key) } else { json!([key]) };
                        let url = format!("/v1/{}?dry_run=true", user.name());
                        without_instance(shared.ask(&shared.owner, Method::Post, &url, &body).await)
                    };
                    assert_eq!(reference(there).await, reference(nowhere).await, "{} {}", user.name(), column.name);
                }
            }
        }
    }
    assert_eq!(shared.app.contents().await, before, "nothing was written");
}

/// A natural key like this one that names nothing.
fn missing_key(kind: &dyn Kind, key: &str) -> String {
    match kind.name() {
        "vms" | "volumes" => "c0000000-0000-4000-8000-000000000099".into(),
        "interfaces" => "52:54:00:00:00:99".into(),
        "addresses" => "192.0.2.99".into(),
        "snapshots" => "c0000000-0000-4000-8000-000000000099/nothing".into(),
        _ => key.replace(HIDDEN, "nothing"),
    }
}

/// In no page, list, search, filter, format or embedded object there is a word of somebody else's.
#[rocket::async_test]
async fn nothing_of_somebody_else_is_in_any_answer() {
    let shared = shared().await;
    let mut urls: Vec<String> =
        ["/", "/v1/", "/search?q=ours", "/search?q=hidden", "/search?q=example", "/search?q=192"]
            .map(str::to_owned)
            .to_vec();
    for &kind in KINDS {
        let list = format!("/v1/{}", kind.name());
        let mut relations: Vec<String> =
            kind.columns().iter().filter(|c| c.any_target().is_some()).map(|c| c.name.to_owned()).collect();
        relations.extend(KINDS.iter().filter(|user| refers(**user, kind)).map(|user| user.name().replace('-', "_")));
        urls.extend(relations.iter().map(|relation| format!("{list}?embed={relation}")));
        urls.extend([".json", ".yaml", ".csv", ".msgpack", ".html"].map(|suffix| format!("{list}{suffix}")));
        urls.extend(
            ["?q=hidden", "?q=1", "?sort=-id&limit=1", "?sort=-created_at"].map(|query| format!("{list}{query}")),
        );
        urls.push(format!("/forms/{}/create", kind.name()));
        for id in 1..8 {
            urls.extend([
                format!("{list}/{id}"),
                format!("{list}/{id}.html"),
                format!("/forms/{}/edit/{id}", kind.name()),
            ]);
            urls.extend([format!("/forms/{}/delete/{id}", kind.name()), format!("/history/{}/{id}", kind.name())]);
        }
    }
    urls.extend((1..60).map(|id| format!("/v1/audit-events/{id}")));
    urls.extend([
        "/v1/audit-events".to_owned(),
        "/v1/audit-events.html".to_owned(),
        "/v1/audit-events?q=hidden".to_owned(),
    ]);
    for path in ["puppet/enc", "puppet/hiera", "salt/pillar", "salt/tops", "node"] {
        urls.push(format!("/{path}/hv01.example.com"));
    }
    let mut good = 0;
    for who in [&shared.owner, &shared.viewer] {
        for url in &urls {
            for accept in ["application/json", browser::ACCEPT] {
                let answer =
                    shared.app.send(Method::Get, url, &[("Authorization", who), ("Accept", accept)], b"").await;
                let text =
                    String::from_utf8_lossy(&answer.bytes).replace("q=hidden", "").replace("value=\"hidden\"", "");
                let text = text.replace("for hidden", "").replace("<em>hidden</em>", "").replace("“hidden”", "");
                for mark in [
                    "hidden-",
                    "hidden.",
                    "/hidden",
                    "hidden rack",
                    "0000000012",
                    "0000000013",
                    "192.0.2.12",
                    "192.0.2.13",
                    "00:00:12",
                    "00:00:13",
                ] {
                    assert!(!text.contains(mark), "{url} as {accept} has {mark}: {text}");
                }
                assert!(answer.status < 500, "{url}: {text}");
                good += usize::from(answer.status == 200);
            }
        }
    }
    assert!(good > 300, "{good}");
}

fn refers(user: &dyn Kind, kind: &dyn Kind) -> bool {
    user.columns().iter().any(|column| matches!(column.ty, Type::Ref(target) if target.name() == kind.name()))
}

#[rocket::async_test]
async fn a_member_orders_what_a_viewer_reads_and_an_owner_says_who_is_what() {
    let shared = shared().await;
    let vm = json!({"name": "ours-2", "cores": 1, "ram_bytes": 1, "state": "running", "virt_method": "KVM",
        "environment": "ours/ours-shop"});
    let own = "/v1/vms/a0000000-0000-4000-8000-000000000011";
    let snapshot =
        json!({"volume": "b0000000-0000-4000-8000-000000000011", "name": "mine", "take_at": "2026-12-01T00:00:00Z"});
    let volume =
        json!({"size_bytes": 1, "storage_type": "qcow2", "cache_option": "none", "environment": "ours/ours-shop"});
    let environment = json!({"organization": "ours", "name": "ours-test"});
    let member = json!({"role": "viewer"});
    // viewer, member, owner
    for (method, url, body, expected) in [
        (Method::Post, "/v1/vms?dry_run=true", &vm, [403, 201, 201]),
        (Method::Patch, own, &json!({"cores": 2}), [403, 200, 200]),
        (Method::Post, "/v1/volumes", &volume, [403, 201, 201]),
        (Method::Post, "/v1/snapshots?dry_run=true", &snapshot, [403, 201, 201]),
        (
            Method::Delete,
            "/v1/snapshots/b0000000-0000-4000-8000-000000000011/ours-snapshot?dry_run=true",
            &Value::Null,
            [403, 204, 204],
        ),
        (Method::Post, "/v1/environments", &environment, [403, 403, 201]),
        (Method::Patch, "/v1/environments/ours/ours-shop?dry_run=true", &json!({"name": "x"}), [403, 403, 200]),
        (Method::Patch, "/v1/memberships/ours/ours-member?dry_run=true", &member, [403, 403, 200]),
        (Method::Delete, "/v1/memberships/ours/ours-viewer?dry_run=true", &Value::Null, [403, 403, 204]),
        (Method::Patch, "/v1/teams/ours/ours-team", &json!({"users": ["ours-member"]}), [403, 403, 200]),
        (Method::Patch, "/v1/organizations/ours", &json!({"full_name": "x"}), [403, 403, 403]),
        (Method::Post, "/v1/organizations", &json!({"name": "more", "full_name": "x"}), [403, 403, 403]),
        (Method::Patch, "/v1/interfaces/52:54:00:00:00:11", &json!({"name": "eth1"}), [403, 403, 403]),
        (Method::Patch, "/v1/images/1", &json!({"name": "x"}), [403, 403, 403]),
    ] {
        for (who, expected) in [&shared.viewer, &shared.member, &shared.owner].into_iter().zip(expected) {
            let (status, answer) = shared.ask(who, method, url, body).await;
            assert_eq!(status, expected, "{method} {url} {answer}");
        }
    }
}

#[rocket::async_test]
async fn where_and_how_a_vm_runs_is_for_the_operators_to_say() {
    let shared = shared().await;
    let own = "/v1/vms/a0000000-0000-4000-8000-000000000011";
    let (_, before) = shared.get(&shared.member, own).await;
    let vm = json!({"name": "ours-2", "cores": 1, "ram_bytes": 1, "state": "running", "virt_method": "KVM",
        "environment": "ours/ours-shop"});
    for (field, value) in [
        ("hypervisor", json!("hv01.example.com")),
        ("cputime_limit", json!(50)),
        ("uuid", json!("c0000000-0000-4000-8000-000000000001")),
    ] {
        let mut body = vm.clone();
        body[field] = value;
        let (status, problem) = shared.ask(&shared.member, Method::Post, "/v1/vms", &body).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!(format!("/{field}"))), "{problem}");
    }
    let (status, problem) = shared.ask(&shared.member, Method::Patch, own, &json!({"hypervisor": null})).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/hypervisor")), "{problem}");
    // As it is, it may be sent along; and a replace does not clear it.
    assert_eq!(shared.ask(&shared.member, Method::Patch, own, &before).await.0, 200);
    let (status, replaced) = shared.ask(&shared.member, Method::Put, own, &vm).await;
    assert_eq!((status, &replaced["name"], &replaced["hypervisor"]), (200, &json!("ours-2"), &before["hypervisor"]));
    // Nor can it make the fleet's objects on the way.
    let mut body = vm.clone();
    body["virt_method"] = json!({"name": "Other"});
    assert!([403, 422].contains(&shared.ask(&shared.member, Method::Post, "/v1/vms", &body).await.0));
    body["hypervisor"] = json!({"node": {"fqdn": "new.example.com", "state": "running"}, "cores": 1, "ram_bytes": 1});
    assert!([403, 422].contains(&shared.ask(&shared.member, Method::Post, "/v1/vms", &body).await.0));
    // A VM without an environment would be the fleet's own.
    let mut nobodys = vm;
    nobodys["environment"] = Value::Null;
    assert_eq!(shared.ask(&shared.member, Method::Post, "/v1/vms", &nobodys).await.0, 403);
    assert_eq!(shared.ask(&shared.member, Method::Patch, own, &json!({"environment": null})).await.0 / 100, 4);
}

#[rocket::async_test]
async fn what_a_customer_changes_reaches_the_node_and_the_record() {
    let shared = shared().await;
    let node = async || shared.app.get("/v1/nodes/hv01.example.com").await.is(Status::Ok);
    let before = node().await["desired_generation"].as_i64().expect("a number");
    let own = "/v1/vms/a0000000-0000-4000-8000-000000000011";
    assert_eq!(shared.ask(&shared.member, Method::Patch, own, &json!({"cores": 4})).await.0, 200);
    assert_eq!(node().await["desired_generation"], before + 1);
    let pillar = shared.app.get("/salt/pillar/hv01.example.com").await.is(Status::Ok);
    let vms = pillar.pointer("/virtapi/hypervisor/vms").expect("VMs").as_object().expect("a map");
    assert_eq!(vms["a0000000-0000-4000-8000-000000000011"]["cores"], 4);
    let events = shared.app.get("/v1/audit-events?actor=user:ours-member&action=update").await.is(Status::Ok);
    let event = &events["items"][0];
    assert_eq!((&event["before"]["cores"], &event["after"]["cores"]), (&json!(1), &json!(4)));
    assert_eq!(event["after"]["hypervisor"]["fqdn"], "hv01.example.com");

    // With a key, a customer's request is done once as well.
    let body = json!({"name": "once", "cores": 1, "ram_bytes": 1, "state": "running", "virt_method": "KVM",
        "environment": "ours/ours-shop"})
    .to_string();
    let headers = [("Authorization", shared.member.as_str()), JSON, ("Idempotency-Key", "once")];
    let first = shared.app.send(Method::Post, "/v1/vms", &headers, body.as_bytes()).await.is(Status::Created);
    let again = shared.app.send(Method::Post, "/v1/vms", &headers, body.as_bytes()).await.is(Status::Created);
    assert_eq!(first, again);
    assert_eq!(shared.get(&shared.member, "/v1/vms?name=once").await.1["total"], 1);
    // And deletes what is its own, with what hangs on it.
    assert_eq!(
        shared.ask(&shared.member, Method::Delete, &format!("/v1/vms/{}", first["id"]), &Value::Null).await.0,
        204
    );
}

#[rocket::async_test]
async fn rights_end_with_the_membership() {
    let shared = shared().await;
    let team = token(&shared.app, "hidden-member").await;
    assert_eq!(shared.get(&team, "/v1/vms").await.1["items"][0]["name"], "hidden-vm");
    // A team gives rights as a membership does; with two organizations, one sees both.
    let users = json!({"users": ["hidden-member"], "role": "member"});
    shared.app.json(Method::Patch, "/v1/teams/ours/ours-team", users).await.is(Status::Ok);
    assert_eq!(shared.get(&team, "/v1/vms").await.1["total"], 2);
    let ours = "/v1/vms/a0000000-0000-4000-8000-000000000011";
    assert_eq!(shared.ask(&team, Method::Patch, ours, &json!({"cores": 3})).await.0, 200);
    let theirs = "/v1/vms/a0000000-0000-4000-8000-000000000012";
    assert_eq!(shared.ask(&team, Method::Patch, theirs, &json!({"cores": 3})).await.0, 200);
    shared.app.json(Method::Patch, "/v1/teams/ours/ours-team", json!({"users": []})).await.is(Status::Ok);
    assert_eq!(shared.get(&team, "/v1/vms").await.1["total"], 1, "at once");
    shared.app.json(Method::Delete, "/v1/memberships/hidden/hidden-member", Value::Null).await.is(Status::NoContent);
    let (status, list) = shared.get(&team, "/v1/vms").await;
    // It is known for a second, and has nothing.
    assert!(status == 403 || list["total"] == 0, "{status} {list}");
}

#[rocket::async_test]
async fn a_volume_is_where_its_vm_is() {
    let shared = shared().await;
    let (ours, theirs) = ("/v1/vms/a0000000-0000-4000-8000-000000000011", "a0000000-0000-4000-8000-000000000012");
    let volume = "/v1/volumes/b0000000-0000-4000-8000-000000000011";
    let app = &shared.app;
    assert_eq!(app.get(volume).await.is(Status::Ok)["environment"]["key"], "ours/ours-shop", "it follows its VM");
    let problem = app.json(Method::Patch, volume, json!({"vm": theirs})).await.is(Status::UnprocessableEntity);
    assert_eq!(problem["errors"][0]["pointer"], "/environment");
    let moved = json!({"environment": "hidden/hidden-shop"});
    for url in [volume, ours] {
        let problem = app.json(Method::Patch, url, moved.clone()).await.is(Status::UnprocessableEntity);
        assert_eq!(problem["errors"][0]["pointer"], "/environment", "{url}");
    }
    // Detached, both can go.
    app.json(Method::Patch, volume, json!({"vm": null})).await.is(Status::Ok);
    for url in [volume, ours] {
        app.json(Method::Patch, url, moved.clone()).await.is(Status::Ok);
    }
    assert_eq!(shared.get(&shared.owner, "/v1/vms").await.1["total"], 0);
}

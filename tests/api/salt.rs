//! Real Salt against the server: what a minion gets for what was posted, and that it runs nothing when something is
//! wrong.

mod broken;
mod sandbox;

use std::ffi::OsStr;
use std::process::Command;
use std::{fs, iter, thread};

use rocket::http::Status;
use rocket::tokio::time;
use serde_json::{Map, Value, json};

use self::sandbox::{RELEASES, Ran, Salt, program};
use crate::fleet::{ALL_ROLES, Fleet, MON, NO_ROLE, OSDS};
use crate::harness::{self, App};
use crate::start::process::{DataDir, Server, until};
use crate::tls::authority::Authority;
use crate::tls::client::Client;
use crate::tls::{Files, MUTUAL};

const NODES: [&str; 4] = [ALL_ROLES, MON, OSDS, NO_ROLE];

/// The program in a process of its own, on the same database, where Salt's token is known.
async fn serve(app: &App) -> Server {
    let compiler = json!({"name": "salt.example.com", "serves": "all"});
    let token = json!({"name": "pillars", "scope": "documents", "compiler": compiler});
    app.post("/v1/tokens", token).await.is(Status::Created);
    // As it would be issued, but with a secret that the configuration already has.
    let known = format!(
        "INSERT INTO token_secrets (token_id, digest) SELECT id, sha256('{}') FROM tokens WHERE compiler_id IS NOT NULL",
        sandbox::SECRET
    );
    harness::sql(&app.dsn, &known).await;
    Server::start(&DataDir::new(), &["--database-url", &app.dsn, "--pool-size", "4", "--log-level", "error"])
}

/// What the server must answer for each node, from what was posted.
async fn documents(app: &App, fleet: &Fleet) -> Vec<(&'static str, Value)> {
    let mut documents = Vec::new();
    for fqdn in NODES {
        let mut document = fleet.expected(fqdn);
        // The one part that is not posted.
        let node = app.get(&format!("/v1/nodes/{fqdn}")).await.is(Status::Ok);
        let clusters = match document.get("ceph") {
            Some(_) => {
                let cluster = app.get("/v1/ceph-clusters/0x1f").await.is(Status::Ok);
                json!({"0x1f": cluster["generation"]})
            }
            None => json!({}),
        };
        document["meta"] = json!({"schema": 1, "node_id": node["id"], "generation": node["desired_generation"], "approved": false, "clusters": clusters});
        documents.push((fqdn, json!({"virtapi": document})));
    }
    documents
}

/// Asserts that two documents are equal, and says where they are not.
fn assert_same(got: &Value, expected: &Value, of: &str) {
    if got == expected {
        return;
    }
    for (place, value) in places(expected, String::new()) {
        let there = got.pointer(&place);
        assert_eq!(there, Some(value), "{of}: {place}");
    }
    panic!("{of}: there is more than was posted: {got}");
}

/// Every scalar or empty value with its JSON pointer.
fn places(value: &Value, at: String) -> Vec<(String, &Value)> {
    let escape = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().flat_map(|(key, value)| places(value, format!("{at}/{}", escape(key)))).collect()
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().flat_map(|(i, value)| places(value, format!("{at}/{i}"))).collect()
        }
        _ => vec![(at, value)],
    }
}

/// The arguments of every state of a highstate or an SLS file, by its id.
fn arguments(states: &Value) -> Map<String, Value> {
    let of_state = |state: &Value| -> Value {
        let given = state["test"].as_array().into_iter().flatten().filter_map(Value::as_object);
        given.flatten().map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>().into()
    };
    states.as_object().expect("states").iter().map(|(id, state)| (id.clone(), of_state(state))).collect()
}

/// The document, put together again from the states that the formula renders.
fn of_states(states: &Value) -> Value {
    let states = arguments(states);
    let node = &states["virtapi_node"];
    let mut document = json!({"meta": node["meta"], "node": node["node"], "roles": node["roles"]});
    let named =
        |prefix: &'static str| states.iter().filter_map(move |(id, state)| Some((id.strip_prefix(prefix)?, state)));
    if let Some(hypervisor) = states.get("virtapi_hypervisor") {
        document["hypervisor"] = hypervisor["hypervisor"].clone();
        document["hypervisor"]["vms"] =
            named("virtapi_vm_").map(|(uuid, state)| (uuid.to_owned(), state["vm"].clone())).collect();
    }
    let clusters: Map<_, _> =
        named("virtapi_ceph_cluster_").map(|(name, state)| (name.to_owned(), state["cluster"].clone())).collect();
    if !clusters.is_empty() {
        let mon = states.get("virtapi_ceph_mon").map(|state| &state["mon"]);
        let mut osds: Vec<_> = named("virtapi_ceph_osd_").map(|(_, state)| &state["osd"]).collect();
        osds.sort_by_key(|osd| osd["device"].as_str());
        document["ceph"] = json!({"clusters": clusters, "mon": mon, "osds": osds});
    }
    json!({"virtapi": document})
}

/// The minion says what is wrong, fails, and no state has run.
fn assert_refused(salt: &Salt, ran: &Ran, reason: &str) {
    assert_ne!(ran.status, 0, "{}", ran.said);
    assert!(ran.value.is_array() && ran.said.contains(reason), "{reason:?} is not in: {}", ran.said);
    assert!(!salt.touched(), "a state ran: {}", ran.said);
}

/// Does the same with every release, at the same time.
fn with_each_release(test: impl Fn(&'static str) + Sync) {
    thread::scope(|scope| {
        for release in RELEASES {
            let test = &test;
            thread::Builder::new()
                .name(format!("Salt {release}"))
                .spawn_scoped(scope, move || test(release))
                .expect("a thread");
        }
    });
}

/// Runs Python with the modules of a release.
fn python(release: &str, arguments: &[&OsStr]) {
    let mut command = Command::new(program(release, "python"));
    command.args(arguments).env("PYTHONWARNINGS", "ignore").env("PYTHONDONTWRITEBYTECODE", "1");
    let ran = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "Salt {release}: {said}");
}

#[test]
fn the_modules_and_the_formula_pass_their_own_tests() {
    let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/salt/tests");
    with_each_release(|release| {
        python(release, &["-m", "pytest", "--quiet", "-p", "no:cacheprovider", tests].map(OsStr::new));
    });
}

#[rocket::async_test]
async fn without_a_master_every_release_gets_what_was_posted() {
    let app = App::start().await;
    let fleet = Fleet::post(&app).await;
    let documents = documents(&app, &fleet).await;
    let server = serve(&app).await;
    let url = format!("http://{}", server.at);
    with_each_release(|release| {
        let salt = Salt::masterless(release, &url);
        for (fqdn, document) in [&documents[0], &documents[3]] {
            let of = format!("{fqdn} with Salt {release}");
            assert_same(&salt.call(fqdn, &["pillar.items"]).succeeded(), document, &of);
            let states = salt.call(fqdn, &["state.show_sls", "virtapi"]).succeeded();
            assert_same(&of_states(&states), document, &of);
        }
        // Salt 3006 asks for tops only from a master.
        if release != "3006" {
            let top = salt.call(MON, &["state.show_top"]).succeeded();
            assert_eq!(top["base"], json!(["touch", "virtapi", "virtapi.ceph", "virtapi.ceph.mon"]));
        }
        let result = salt.call(ALL_ROLES, &["state.apply", "--return", "virtapi"]).succeeded();
        let states = result.as_object().expect("states");
        assert!(states.len() > 10 && states.values().all(|state| state["result"] == true), "{result}");
        assert!(salt.touched());
    });
    let runs = app.get(&format!("/v1/runs?node={ALL_ROLES}&tool=salt&status=changed")).await.is(Status::Ok);
    assert_eq!(runs["total"], RELEASES.len(), "each has told what it did: {runs}");
}

#[rocket::async_test]
async fn through_a_master_a_minion_gets_what_was_posted() {
    let app = App::start().await;
    let fleet = Fleet::post(&app).await;
    let documents = documents(&app, &fleet).await;
    let server = serve(&app).await;
    let url = format!("http://{}", server.at);
    with_each_release(|release| {
        let salt = Salt::with_master(release, &url);
        for (fqdn, document) in &documents {
            let of = format!("{fqdn} with a master, Salt {release}");
            assert_same(&salt.call(fqdn, &["pillar.items"]).succeeded(), document, &of);
            let states = salt.call(fqdn, &["state.show_highstate"]).succeeded();
            assert_same(&of_states(&states), document, &of);
        }
        let top = salt.call(OSDS, &["state.show_top"]).succeeded();
        let assigned = top["base"].as_array().expect("SLS files");
        assert!(
            ["virtapi", "virtapi.ceph", "virtapi.ceph.osd"].iter().all(|file| assigned.contains(&json!(file))),
            "{top}"
        );
        let unknown = salt.call("nobody.example.com", &["state.apply", "touch"]);
        assert_refused(&salt, &unknown, "HTTP status 404");
    });

    // Once with the minion's daemon, which the master reaches.
    let mut salt = Salt::with_master("3008", &url);
    salt.start_minion(NO_ROLE);
    let pillar = salt.publish(NO_ROLE, &[], &["pillar.items", "unmask=True"]).succeeded();
    assert_same(&pillar, &documents[3].1, "the minion's daemon");
    salt.publish(NO_ROLE, &[], &["state.apply"]).succeeded();
    assert!(salt.touched());
    // The master tells what came of it, and the node's document was applied.
    let node = format!("/v1/nodes/{NO_ROLE}");
    let deadline = time::Instant::now() + time::Duration::from_mins(3);
    while app.get(&node).await.is(Status::Ok)["status"] != "in_sync" {
        assert!(time::Instant::now() < deadline, "it is not in sync: {}", app.get(&node).await.text());
        time::sleep(time::Duration::from_millis(200)).await;
    }
    app.json(rocket::http::Method::Delete, &format!("/v1/nodes/{NO_ROLE}"), Value::Null).await.is(Status::NoContent);
    assert_refused(&salt, &salt.publish(NO_ROLE, &[], &["state.apply"]), "HTTP status 404");
    // What the server has refused does not come back when it is away.
    server.kill();
    assert_refused(&salt, &salt.publish(NO_ROLE, &[], &["state.apply"]), "no copy is kept");
}

#[rocket::async_test]
async fn a_server_that_is_away_is_replaced_by_the_last_answer_and_only_for_a_while() {
    let app = App::start().await;
    let fleet = Fleet::post(&app).await;
    let documents = documents(&app, &fleet).await;
    let server = serve(&app).await;
    let url = format!("http://{}", server.at);
    let salts: Vec<_> = RELEASES.iter().map(|release| Salt::masterless(release, &url)).collect();
    let each = |check: &(dyn Fn(&Salt) + Sync)| {
        thread::scope(|scope| salts.iter().for_each(|salt| drop(scope.spawn(move || check(salt)))));
    };
    each(&|salt| drop(salt.call(ALL_ROLES, &["pillar.items"]).succeeded()));

    // Postgres is gone: 503.
    let name = app.dsn.rsplit('=').next().expect("a database");
    let elsewhere = app.dsn.replace(name, "postgres");
    harness::sql(&elsewhere, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
    each(&|salt| {
        assert_same(&salt.call(ALL_ROLES, &["pillar.items"]).succeeded(), &documents[0].1, "without Postgres");
        assert_refused(salt, &salt.call(MON, &["state.apply", "touch"]), "HTTP status 503, and no copy is kept");
    });

    server.kill();
    each(&|salt| {
        let result = salt.call(ALL_ROLES, &["state.apply", "virtapi,touch"]).succeeded();
        assert!(salt.touched() && result.as_object().is_some_and(|states| states.len() > 10), "{result}");
        assert_refused(salt, &salt.call(MON, &["state.apply"]), "no copy is kept");
        salt.set_max_age(0);
        assert_refused(salt, &salt.call(ALL_ROLES, &["state.apply"]), "the kept copy is");
    });
}

#[test]
fn a_wrong_answer_stops_the_run() {
    let url = broken::serve();
    with_each_release(|release| {
        let salt = Salt::masterless(release, &url);
        let answers = if release == "3008" { &broken::ANSWERS[..] } else { &broken::ANSWERS[..broken::FIRST] };
        for (id, reason) in answers {
            assert_refused(&salt, &salt.call(id, &["state.apply", "touch"]), reason);
        }
        // A pillar, but no tops: what else is assigned does not run, either.
        if release != "3006" {
            assert_refused(&salt, &salt.call(broken::WITHOUT_TOPS, &["state.apply"]), "could not say what runs");
        }
    });
}

#[rocket::async_test]
async fn a_minion_is_known_by_its_certificate() {
    let app = App::start().await;
    let fleet = Fleet::post(&app).await;
    let documents = documents(&app, &fleet).await;
    let authority = Authority::new("Puppet");
    let files = Files::of(&authority.issue("virtapi.example.com", 10));
    let minion = authority.issue(MON, 20);
    files.write("ca.pem", &authority.bundle());
    files.write("crl.pem", &authority.revoke(&[]));
    files.write("minion.pem", &minion.certificate);
    files.write("minion.key", &minion.key);
    let mut flags = files.flags(&MUTUAL);
    flags.extend(["--database-url", &app.dsn, "--pool-size", "4", "--log-level", "error"].map(str::to_owned));
    let server = crate::tls::start(&DataDir::new(), &flags);
    let url = format!("https://{}", server.at);
    let [ca, cert, key] = ["ca.pem", "minion.pem", "minion.key"].map(|name| files.path(name));
    let [release, ..] = RELEASES;
    let salt = Salt::masterless_with(release, &url, [&ca, &cert, &key]);
    let (_, expected) = documents.iter().find(|(fqdn, _)| *fqdn == MON).expect("is in the fleet");
    assert_same(&salt.call(MON, &["pillar.items"]).succeeded(), expected, MON);
    // Another node's document is not there for it, and with a certificate that is revoked there is none.
    assert_refused(&salt, &salt.call(ALL_ROLES, &["state.apply"]), "HTTP status 404");
    files.write("crl.pem", &authority.revoke(&[&minion]));
    let client = Client::new(&authority.bundle(), Some(&minion));
    let document = format!("GET /salt/pillar/{MON}");
    until("it is refused", || client.ask(&server, &document, &[]).expect("answers").status == 401);
    assert_refused(&salt, &salt.call(MON, &["state.apply"]), "HTTP status 401");
    server.stop();
}

#[rocket::async_test]
async fn pyyaml_and_salt_read_every_document_back() {
    let app = App::start().await;
    Fleet::post(&app).await;
    let dir = tempfile::tempdir().expect("a directory");
    let mut files = Vec::new();
    let mut urls = vec!["/v1/nodes".to_owned(), "/v1/vms?limit=1000".to_owned(), "/v1/vlans/mgmt".to_owned()];
    for fqdn in NODES {
        for path in ["/salt/pillar", "/salt/tops", "/puppet/enc", "/puppet/hiera", "/v1/nodes"] {
            urls.push(format!("{path}/{fqdn}"));
        }
    }
    for (number, url) in urls.iter().enumerate() {
        // The agents' documents are one text for all; the others are asked for as YAML.
        let accept = if url.starts_with("/v1/") { "application/yaml" } else { "*/*" };
        let emitted = app.send(rocket::http::Method::Get, url, &[("Accept", accept)], b"").await;
        let json = app.send(rocket::http::Method::Get, url, &[("Accept", "application/json")], b"").await;
        // The files' names say what they hold, should one of them differ.
        let name = format!("{number}{}", url.replace(['/', '?'], "_"));
        let [yaml_file, json_file] = ["yaml", "json"].map(|kind| dir.path().join(format!("{name}.{kind}")));
        emitted.is(Status::Ok);
        fs::write(&yaml_file, &emitted.bytes).expect("a file");
        fs::write(&json_file, json.is(Status::Ok).to_string()).expect("a file");
        files.extend([yaml_file, json_file]);
    }
    with_each_release(|release| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/agents/salt_read_back.py");
        let arguments: Vec<_> =
            iter::once(OsStr::new(script)).chain(files.iter().map(|file| file.as_os_str())).collect();
        python(release, &arguments);
    });
}

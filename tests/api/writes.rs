//! Random writes to any kind, made from its columns: what a new resource needs to be written to is in its column list.

pub mod fleet;
mod values;

use rocket::http::Method;
use serde_json::{Map, Value, json};
use virtapi::{Column, KINDS, Kind};

use crate::harness::{Answer, App};
pub use values::Dice;

/// What to do to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Create,
    /// Several in one request.
    Bulk,
    Update,
    /// By natural key: an object that is there, or a new one.
    Replace,
    Delete,
}

/// A write in general: what it becomes depends on what there is.
#[derive(Clone, Debug)]
pub struct Wish {
    pub action: Action,
    pub kind: &'static str,
    /// Which of the objects there are.
    pub row: usize,
    /// Which of the columns an update sets, and what decides their values.
    pub fields: Vec<(usize, u64)>,
    /// What decides the contents of what is created or replaced.
    pub seed: u64,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Write {
    pub method: Method,
    pub url: String,
    pub body: Value,
}

impl Write {
    /// The same, only to be tried.
    pub fn rehearsed(&self) -> Self {
        Self { url: format!("{}?dry_run=true", self.url), ..self.clone() }
    }

    pub async fn send(&self, app: &App) -> Answer {
        app.json(self.method, &self.url, self.body.clone()).await
    }
}

pub fn kind(name: &str) -> &'static dyn Kind {
    *KINDS.iter().find(|kind| kind.name() == name).expect("a kind")
}

pub fn writable(kind: &'static dyn Kind) -> Vec<&'static Column> {
    kind.columns().iter().filter(|column| column.writable).collect()
}

/// What there is of a kind.
pub async fn all(app: &App, kind: &dyn Kind) -> Vec<Value> {
    let mut list = app.get(&format!("/v1/{}?limit=1000", kind.name())).await.is(rocket::http::Status::Ok);
    list["items"].as_array_mut().map(std::mem::take).expect("items")
}

impl Wish {
    pub fn new(action: Action, kind: &'static str) -> Self {
        Self { action, kind, row: 0, fields: vec![], seed: 0 }
    }

    /// The request; nothing where there is nothing to change.
    pub async fn write(&self, app: &App) -> Option<Write> {
        let kind = kind(self.kind);
        let (collection, mut dice) = (format!("/v1/{}", kind.name()), Dice(self.seed));
        let rows = if self.action == Action::Create { vec![] } else { all(app, kind).await };
        let row = if rows.is_empty() { None } else { rows.get(self.row % rows.len()) };
        let of_row = |row: &Value| format!("{collection}/{}", row["id"]);
        Some(match self.action {
            Action::Create => Write { method: Method::Post, url: collection, body: new(app, kind, &mut dice).await },
            Action::Bulk => {
                let mut list = vec![];
                for _ in 0..2 + dice.below(2) {
                    list.push(new(app, kind, &mut dice).await);
                }
                Write { method: Method::Post, url: collection, body: list.into() }
            }
            Action::Update => {
                let (row, columns, mut body) = (row?, writable(kind), Map::new());
                for (column, seed) in &self.fields {
                    let column = columns[column % columns.len()];
                    body.insert(column.name.into(), values::of(app, column, Some(row), &mut Dice(*seed)).await);
                }
                Write { method: Method::Patch, url: of_row(row), body: body.into() }
            }
            Action::Replace => {
                let mut body = new(app, kind, &mut dice).await;
                let key = match row {
                    Some(row) if dice.below(4) > 0 => natural_key(kind, row),
                    _ => natural_key(kind, &body),
                };
                for name in kind.key() {
                    body.as_object_mut()?.shift_remove(*name);
                }
                Write { method: Method::Put, url: format!("{collection}/{key}"), body }
            }
            Action::Delete => Write { method: Method::Delete, url: of_row(row?), body: Value::Null },
        })
    }
}

/// How an object is named in an address.
fn natural_key(kind: &dyn Kind, row: &Value) -> String {
    let part = |name: &&'static str| match &row[*name] {
        // A reference: `{"id", key, "href"}`; or an object that is to be created, whose key comes first.
        Value::Object(fields) if fields.contains_key("href") => fields.values().nth(1).map(text).unwrap_or_default(),
        Value::Object(fields) => fields.values().next().map(text).unwrap_or_default(),
        other => text(other),
    };
    kind.key().iter().map(part).collect::<Vec<_>>().join("/").replace("//", "/")
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Something new: what must be given, and some of what may be. It follows the rules that concern several columns, so
/// that most of it is accepted.
pub async fn new(app: &App, kind: &'static dyn Kind, dice: &mut Dice) -> Value {
    let mut body = Map::new();
    for column in writable(kind) {
        let is_key = kind.key().contains(&column.name);
        if column.required || is_key || dice.below(2) > 0 {
            body.insert(column.name.into(), values::of(app, column, None, dice).await);
        }
    }
    follow_rules(app, kind, &mut body, dice).await;
    body.into()
}

async fn follow_rules(app: &App, kind: &dyn Kind, body: &mut Map<String, Value>, dice: &mut Dice) {
    let one_of = |body: &mut Map<String, Value>, dice: &mut Dice, a: &str, b: &str| {
        body.remove(if dice.below(2) > 0 { a } else { b });
    };
    match kind.name() {
        "interfaces" => {
            one_of(body, dice, "node", "vm");
            body.remove("bond");
            if !body.contains_key("vm") && !body.contains_key("node") {
                let owner = self::kind("interfaces").columns().iter().find(|column| column.name == "vm");
                body.insert("vm".into(), values::of(app, owner.expect("a column"), None, dice).await);
            }
        }
        "networks" if body.get("audience") != Some(&json!("customers")) => drop(body.remove("environment")),
        "subnets" => {
            // The rest would have to be in its range, and alone decides what is shown.
            let gateway = body["cidr"].as_str().map(|cidr| cidr.replace("0.0/16", "0.1"));
            body.insert("gateway".into(), json!(gateway));
            body.remove("first");
            body.remove("last");
        }
        "flavors" => {
            for name in ["ceph_pool", "gpu_model", "gpu_count"] {
                body.remove(name);
            }
            body.insert("storage_type".into(), "raw".into());
        }
        "vms" => {
            // Names are unique in an environment, and what has one is in that of its keys.
            body.insert("name".into(), json!(format!("name {}", dice.below(100))));
            if ["keys", "group"].iter().any(|name| body.contains_key(*name)) {
                let environments = all(app, self::kind("environments")).await;
                body.insert("environment".into(), environments[0]["id"].clone());
            }
        }
        "gpus" => {
            let vms = all(app, self::kind("vms")).await;
            if let Some(vm) = vms.iter().find(|vm| body.get("vm") == Some(&vm["id"])) {
                body.insert("hypervisor".into(), vm["hypervisor"]["id"].clone());
            }
        }
        "security-rules" => {
            if body["ethertype"] != "IPv4" {
                body.remove("remote_ip_prefix");
            }
            if !["tcp", "udp"].iter().any(|protocol| body["protocol"] == *protocol) {
                body.remove("port_range_min");
            }
            let (first, last) = (body.remove("port_range_min"), body.remove("port_range_max"));
            if let Some((first, last)) = first.and_then(|n| n.as_i64()).zip(last.and_then(|n| n.as_i64())) {
                body.insert("port_range_min".into(), first.min(last).into());
                body.insert("port_range_max".into(), first.max(last).into());
            }
        }
        "vlans" => {
            body.insert("tag".into(), json!(1 + dice.below(9)));
            body.insert("vni".into(), json!(dice.below(9)));
            one_of(body, dice, "tag", "vni");
        }
        "volumes" => {
            let kind = ["qcow2", "raw", "lvm", "rbd"][usize::try_from(dice.below(4)).expect("small")];
            body.insert("storage_type".into(), kind.into());
            match kind {
                "rbd" => body.insert("ceph_pool".into(), "rbd".into()),
                _ => body.remove("ceph_pool"),
            };
            if !["qcow2", "raw"].contains(&kind) {
                body.remove("image");
            }
        }
        _ => {}
    }
}

/// The kinds, as a test goes through them.
pub fn names() -> Vec<&'static str> {
    // Who may do what is in no document, and these writes must not take the rights away by which they are done.
    let access = ["users", "compilers", "tokens", "organizations", "environments", "memberships", "teams"];
    KINDS.iter().map(|kind| kind.name()).filter(|name| !access.contains(name)).collect()
}

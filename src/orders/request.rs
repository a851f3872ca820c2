//! What an order says: the fields that a VM has not, and what follows from a flavor and a profile. It knows what can be ordered, and
//! not where it goes.

use diesel::sql_types::{BigInt, Bool, Text};
use diesel_async::RunQueryDsl;
use serde_json::{Map, Value, json};

use super::addresses::Wanted;
use super::containers;
use super::placement::{Needs, Storage};
use crate::auth::Authority;
use crate::column::Column;
use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::natural_key;
use crate::resource::Resource;
use crate::resources::{
    CacheOption, CephPool, Environment, Flavor, Image, Key, Network, PlacementGroup, Profile, Subnet, VirtMethod,
    VmState, Volume,
};
use crate::row::Row;
use crate::sql::{Sql, Statement};
use crate::value_type::Type;
use crate::work::Work;

/// How many VMs one order can be of.
pub const MAX_COUNT: i64 = 100;

/// What an order can say besides the fields of a VM.
pub const FIELDS: &[Column] = &[
    Column::new("profile", Type::Ref(Profile::KIND)).about("What the order says unless it says something else."),
    Column::new("image", Type::Ref(Image::KIND)).about("What the boot volume is made from; empty without one."),
    Column::new("disk_bytes", Type::Int)
        .between(1, i64::MAX)
        .about("The boot volume, if it shall be larger than the flavor's."),
    Column::new("lifetime", Type::Choice(&["own", "vm"])).about("Of the boot volume: `vm` unless given."),
    Column::new("volume", Type::Ref(Volume::KIND)).about("A volume of type rbd to boot from, instead of a new one."),
    Column::new("network", Type::Ref(Network::KIND))
        .about("Where its interface is: that of its environment, or of everybody, unless given."),
    Column::new("subnet", Type::Ref(Subnet::KIND)).about("Where its address of that family is from."),
    Column::new("address", Type::Ip).about("The address of that family."),
    Column::new("networks", Type::Json).about("Several interfaces: a list of `network`, `subnet`, `address`."),
    Column::new("assign_floating_ip", Type::Bool).about("Whether it gets a floating IP."),
    Column::new("count", Type::Int)
        .between(1, MAX_COUNT)
        .about("How many: `name-1`, `name-2`, … The answer is a list then."),
];

/// What was ordered, besides what the VM is.
pub struct Order {
    pub(super) environment: Option<i64>,
    pub(super) disk_bytes: i64,
    pub(super) storage_type: i64,
    storage: String,
    pub(super) ceph_pool: Option<i64>,
    ceph_cluster: i64,
    pub(super) image: Option<i64>,
    pub(super) volume: Option<i64>,
    pub(super) lifetime: String,
    pub(super) iops: Option<i64>,
    pub(super) disk_bps: Option<i64>,
    gpus: Vec<(String, i64)>,
    labels: Vec<String>,
    pub(super) networks: Vec<Wanted>,
    pub(super) assign_floating_ip: bool,
}

/// Whether a body that creates a VM orders one: it says of which size, and not how many cores that is.
pub fn is_order(kind: &dyn Kind, body: &Value) -> bool {
    let says = |name: &str| body.get(name).is_some_and(|value| !value.is_null());
    !kind.order().is_empty() && !says("cores") && (says("flavor") || kind.order().iter().any(|field| says(field.name)))
}

/// An order of several as one order each.
///
/// # Errors
/// When the number is none, or there is no name to count.
pub fn expand(kind: &dyn Kind, body: Value) -> Result<Vec<Value>> {
    let Some(count) = body.get("count").filter(|count| !count.is_null() && is_order(kind, &body)) else {
        return Ok(vec![body]);
    };
    let count = count.as_i64().filter(|count| (1..=MAX_COUNT).contains(count));
    let count = count.ok_or_else(|| Error::field("count", format!("must be between 1 and {MAX_COUNT}")))?;
    let mut one = body;
    if let Some(fields) = one.as_object_mut() {
        fields.shift_remove("count");
    }
    if count == 1 {
        return Ok(vec![one]);
    }
    for field in ["uuid", "address", "volume"] {
        if !one[field].is_null() {
            return Err(Error::field(field, "is for one VM, and several are ordered"));
        }
    }
    let name = one["name"].as_str().map(str::to_owned);
    Ok((1..=count)
        .map(|number| {
            let mut body = one.clone();
            body["name"] = name.as_ref().map_or(Value::Null, |name| format!("{name}-{number}").into());
            body
        })
        .collect())
}

/// A name that people can keep in mind, of this UUID: two words, and what tells it from others.
pub fn memorable_name(uuid: &str) -> String {
    let words = petname::Petnames::default();
    let seed = uuid.bytes().fold(7_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut word = |words: &[&'static str]| words.get(dice.usize(..words.len().max(1))).copied().unwrap_or("vm");
    let (adjective, noun) = (word(&words.adjectives), word(&words.nouns));
    format!("{adjective}-{noun}-{}", uuid.chars().take(4).collect::<String>())
}

impl Order {
    /// Takes out of a body what only an order says; nothing, if it is none.
    pub fn take(kind: &dyn Kind, body: &mut Value) -> Option<Map<String, Value>> {
        if !is_order(kind, body) {
            return None;
        }
        let fields = body.as_object_mut()?;
        let taken = kind.order().iter().filter_map(|field| {
            fields.shift_remove(field.name).filter(|value| !value.is_null()).map(|value| (field.name.to_owned(), value))
        });
        Some(taken.collect())
    }

    /// Reads what an order says, as whoever orders may, and completes the VM's own fields by it.
    ///
    /// # Errors
    /// What of it is wrong, or names nothing.
    pub(crate) async fn read(work: &mut Work<'_>, given: Map<String, Value>, body: &mut Value) -> Result<Self> {
        let mut reader = Reader { work, given };
        reader.check()?;
        if body["state"].is_null() {
            body["state"] = "running".into();
        }
        reader.find_names(body).await?;
        let environment = reader.work.named(Environment::KIND, "environment", body.get("environment")).await?;
        reader.may_order_in(environment).await?;
        reader.spread_profile(environment, body).await?;
        reader.shorten(environment, body).await?;
        let flavor = reader.flavor(body).await?;
        let image = reader.row(Image::KIND, "image").await?;
        let volume = reader.row(Volume::KIND, "volume").await?;
        let (storage, virt_method) = reader.words(&flavor).await?;
        let ceph_cluster = reader.cluster(volume.as_ref().unwrap_or(&flavor)).await?;
        let networks = reader.networks(environment).await?;
        for (field, value) in
            [("cores", &flavor["cores"]), ("ram_bytes", &flavor["ram_bytes"]), ("virt_method", &flavor["virt_method"])]
        {
            body[field] = value.clone();
        }
        let given = reader.given;
        let number = |value: &Value| value.as_i64();
        let image_bytes = image.as_ref().and_then(|row| number(&row["size_bytes"])).unwrap_or_default();
        let disk =
            given.get("disk_bytes").and_then(number).or_else(|| number(&flavor["disk_bytes"])).unwrap_or_default();
        let container = containers::Wanted {
            virt_method: &virt_method,
            storage_type: &storage,
            flavor: &flavor,
            has_image: image.is_some(),
            has_volume: volume.is_some(),
            body,
        };
        container.check()?;
        if image.is_some() && !matches!(storage.as_str(), "qcow2" | "raw") {
            return Err(Error::field("image", "needs a flavor whose volumes are of type qcow2 or raw"));
        }
        if let Some(volume) = &volume {
            let kept = volume["ceph_pool"].is_number() && volume["vm"].is_null();
            if !kept || image.is_some() {
                return Err(Error::field("volume", "must be of type rbd, of no VM, and instead of an image"));
            }
        }
        let labels =
            flavor["labels"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        Ok(Self {
            environment,
            disk_bytes: disk.max(image_bytes),
            storage_type: number(&flavor["storage_type"]).unwrap_or_default(),
            ceph_pool: number(&flavor["ceph_pool"]),
            ceph_cluster,
            storage,
            image: image.map(|row| row.id()),
            volume: volume.map(|row| row.id()),
            lifetime: given.get("lifetime").and_then(Value::as_str).unwrap_or("vm").to_owned(),
            iops: number(&flavor["iops"]),
            disk_bps: number(&flavor["disk_bps"]),
            gpus: flavor["gpu_model"]
                .as_str()
                .map(|model| (model.to_owned(), number(&flavor["gpu_count"]).unwrap_or_default()))
                .into_iter()
                .collect(),
            labels,
            networks,
            assign_floating_ip: given.get("assign_floating_ip") == Some(&true.into()),
        })
    }

    /// What its hypervisor must have.
    pub fn needs(&self, body: &Value) -> Needs {
        let number = |name: &str| body[name].as_i64();
        // A volume that was kept is in a pool, whatever the flavor's would be.
        let storage_type = if self.volume.is_some() { "rbd" } else { &self.storage };
        Needs {
            virt_method: number("virt_method").unwrap_or_default(),
            cores: number("cores").unwrap_or_default(),
            ram_bytes: number("ram_bytes").unwrap_or_default(),
            storage: vec![Storage::of(storage_type, self.ceph_cluster, self.disk_bytes)],
            iops: self.iops.unwrap_or_default(),
            disk_bps: self.disk_bps.unwrap_or_default(),
            gpus: self.gpus.clone(),
            labels: self.labels.clone(),
            networks: self.networks.iter().map(|wanted| wanted.network).collect(),
            group: number("group"),
            only: number("hypervisor"),
            moves: None,
            environment: self.environment,
        }
    }
}

/// Where one interface more of a VM in this environment is wanted.
///
/// # Errors
/// What of it is wrong, or names nothing.
pub(super) async fn network(
    work: &mut Work<'_>,
    environment: Option<i64>,
    given: Map<String, Value>,
) -> Result<Wanted> {
    Reader { work, given }.network(environment, "").await
}

/// Reads the fields one after the other.
struct Reader<'r, 't> {
    work: &'r mut Work<'t>,
    given: Map<String, Value>,
}

impl Reader<'_, '_> {
    /// What can be seen without looking anything up.
    fn check(&self) -> Result<()> {
        let wrong = FIELDS.iter().filter(|field| field.name != "networks").filter_map(|field| {
            let given = self.given.get(field.name)?;
            field.check(given).err().map(|detail| (field.name.to_owned(), detail))
        });
        let wrong: Vec<_> = wrong.collect();
        if wrong.is_empty() { Ok(()) } else { Err(Error::Invalid(wrong)) }
    }

    /// Looks up at once what the order names by what is mostly given, and what each order leads to.
    async fn find_names(&mut self, body: &Value) -> Result<()> {
        let cache = super::CACHE.into();
        let said = [
            (Environment::KIND, body.get("environment")),
            (Flavor::KIND, body.get("flavor")),
            (VmState::KIND, body.get("state")),
            (Image::KIND, self.given.get("image")),
            (Network::KIND, self.given.get("network")),
            (CacheOption::KIND, Some(&cache)),
        ];
        let wanted: Vec<(&'static dyn Kind, &Value)> = said
            .into_iter()
            .filter_map(|(kind, given)| Some((kind, given.filter(|given| !given.is_null())?)))
            .collect();
        self.work.find_ids(&wanted).await
    }

    /// What is made for an order is made by the server, to which the database shows everything: so a customer is asked here.
    async fn may_order_in(&self, environment: Option<i64>) -> Result<()> {
        let tx = self.work.tx;
        if !matches!(tx.actor.authority(), Authority::Customer(_)) {
            return Ok(());
        }
        let environment = environment.ok_or_else(|| Error::field("environment", "is required"))?;
        let sql = Sql::new("SELECT id FROM writable_environments WHERE id = ").one(environment.to_string(), "int8");
        let found: Vec<i64> = Statement::<BigInt>::from(sql).load(&mut tx.conn()).await?;
        if found.is_empty() { Err(Error::Forbidden) } else { Ok(()) }
    }

    /// What a field names, whole.
    async fn row(&mut self, kind: &'static dyn Kind, field: &str) -> Result<Option<Row>> {
        let given = self.given.get(field).cloned();
        let Some(id) = self.work.named(kind, field, given.as_ref()).await? else { return Ok(None) };
        Ok(Some(kind.find(self.work.tx, &natural_key::condition(kind, &id.to_string())?).await?))
    }

    /// In its own environment an object is called by its name alone.
    async fn own(
        &mut self,
        kind: &'static dyn Kind,
        environment: Option<i64>,
        field: &str,
        given: &mut Value,
    ) -> Result<()> {
        let is_short = given.as_str().is_some_and(|name| !name.contains('/') && !natural_key::is_id(name));
        if let (true, Some(environment)) = (is_short, environment) {
            let whole = json!({"environment": environment, "name": given.take()});
            *given = self.work.named(kind, field, Some(&whole)).await?.into();
        }
        Ok(())
    }

    async fn shorten(&mut self, environment: Option<i64>, body: &mut Value) -> Result<()> {
        if let Some(keys) = body.get_mut("keys").and_then(Value::as_array_mut) {
            for (i, key) in keys.iter_mut().enumerate() {
                self.own(Key::KIND, environment, &format!("keys/{i}"), key).await?;
            }
        }
        match body.get_mut("group") {
            Some(group) => self.own(PlacementGroup::KIND, environment, "group", group).await,
            None => Ok(()),
        }
    }

    async fn spread_profile(&mut self, environment: Option<i64>, body: &mut Value) -> Result<()> {
        let Some(mut profile) = self.given.remove("profile") else { return Ok(()) };
        self.own(Profile::KIND, environment, "profile", &mut profile).await?;
        self.given.insert("profile".into(), profile);
        let Some(profile) = self.row(Profile::KIND, "profile").await? else { return Ok(()) };
        if profile["environment"].as_i64() != environment {
            return Err(Error::field("profile", "is not of its environment"));
        }
        for field in ["flavor", "user_data"] {
            if body[field].is_null() {
                body[field] = profile[field].clone();
            }
        }
        for field in ["image", "network"] {
            if !self.given.contains_key(field) && !self.given.contains_key("networks") && !profile[field].is_null() {
                self.given.insert(field.into(), profile[field].clone());
            }
        }
        let mut labels: Vec<Value> = body["labels"].as_array().cloned().unwrap_or_default();
        let more = profile["labels"].as_array().into_iter().flatten().filter(|label| !labels.contains(label)).cloned();
        labels.extend(more.collect::<Vec<_>>());
        body["labels"] = labels.into();
        Ok(())
    }

    async fn flavor(&mut self, body: &mut Value) -> Result<Row> {
        for field in ["cores", "ram_bytes", "virt_method"] {
            if !body[field].is_null() {
                return Err(Error::field(field, "follows from the flavor"));
            }
        }
        let given = body["flavor"].clone();
        let id = self.work.named(Flavor::KIND, "flavor", Some(&given)).await?;
        let id = id.ok_or_else(|| Error::field("flavor", "is required for an order"))?;
        body["flavor"] = id.into();
        let flavor = Flavor::KIND.find(self.work.tx, &natural_key::condition(Flavor::KIND, &id.to_string())?).await?;
        self.work.is_there(VirtMethod::KIND, flavor["virt_method"].as_i64().unwrap_or_default());
        Ok(flavor)
    }

    /// The names of the flavor's storage type and virt method.
    async fn words(&mut self, flavor: &Row) -> Result<(String, String)> {
        let sql = Sql::new("SELECT s.name::text, m.name::text FROM storage_types s, virt_methods m WHERE s.id = ")
            .one(flavor["storage_type"].to_string(), "int8")
            .text(" AND m.id = ")
            .one(flavor["virt_method"].to_string(), "int8");
        Ok(Statement::<(Text, Text)>::from(sql).get_result(&mut self.work.tx.conn()).await?)
    }

    /// The cluster that is needed, for a volume that was kept or for a new one.
    async fn cluster(&mut self, of: &Row) -> Result<i64> {
        let tx = self.work.tx;
        if of["ceph_pool"].is_null() {
            return Ok(0);
        }
        tx.as_server(async || {
            let key = natural_key::condition(CephPool::KIND, &of["ceph_pool"].to_string())?;
            Ok(CephPool::KIND.find(tx, &key).await?["cluster"].as_i64().unwrap_or_default())
        })
        .await
    }

    async fn networks(&mut self, environment: Option<i64>) -> Result<Vec<Wanted>> {
        let Some(list) = self.given.remove("networks") else {
            return Ok(vec![self.network(environment, "").await?]);
        };
        let Value::Array(items) = list else { return Err(Error::field("networks", "must be a list")) };
        for field in ["network", "subnet", "address"] {
            if self.given.contains_key(field) {
                return Err(Error::field(field, "is said by networks"));
            }
        }
        let mut wanted = Vec::new();
        for (i, item) in items.into_iter().enumerate() {
            let place = format!("networks/{i}");
            let fields = match item {
                Value::Object(fields) if !fields.contains_key("id") && !fields.contains_key("name") => fields,
                reference => Map::from_iter([("network".to_owned(), reference)]),
            };
            if let Some(name) = fields.keys().find(|name| !["network", "subnet", "address"].contains(&name.as_str())) {
                return Err(Error::field(name, "is not known").below(&place));
            }
            self.given.extend(fields);
            wanted.push(self.network(environment, &place).await?);
            self.given.retain(|name, _| !["network", "subnet", "address"].contains(&name.as_str()));
        }
        Ok(wanted)
    }

    /// One interface: what `network`, `subnet` and `address` say now.
    async fn network(&mut self, environment: Option<i64>, place: &str) -> Result<Wanted> {
        let below = |error: Error| if place.is_empty() { error } else { error.below(place) };
        self.check().map_err(below)?;
        let subnet = self.row(Subnet::KIND, "subnet").await.map_err(below)?;
        if !self.given.contains_key("network") {
            let network = match &subnet {
                Some(subnet) => subnet["network"].clone(),
                None => usual_network(self.work, environment).await.map_err(below)?.into(),
            };
            self.given.insert("network".into(), network);
        }
        let network = self.row(Network::KIND, "network").await.map_err(below)?.ok_or(Error::NotFound)?;
        let others = network["environment"].as_i64().is_some_and(|of| Some(of) != environment);
        if network["audience"] != "customers" || others {
            return Err(below(Error::field("network", "is not one for VMs of this environment")));
        }
        if subnet.as_ref().is_some_and(|subnet| subnet["network"] != network.id() || subnet["purpose"] != "addresses") {
            return Err(below(Error::field("subnet", "is not one for addresses of this network")));
        }
        Ok(Wanted {
            network: network.id(),
            vlan: network["vlan"].as_i64(),
            subnet: subnet.map(|row| row.id()),
            address: self.given.get("address").and_then(Value::as_str).and_then(|text| text.parse().ok()),
        })
    }
}

/// The environment's own network or, if it has none, the one of everybody: if there is just one.
async fn usual_network(work: &Work<'_>, environment: Option<i64>) -> Result<i64> {
    let sql = Sql::new(
        "SELECT n.id, n.environment_id IS NOT NULL FROM networks n WHERE n.audience = 'customers' \
         AND EXISTS (SELECT FROM subnets s WHERE s.network_id = n.id AND s.purpose = 'addresses') \
         AND (n.environment_id IS NULL OR n.environment_id = ",
    );
    let sql = sql.one(environment.unwrap_or_default().to_string(), "int8");
    let sql = sql.text(") ORDER BY n.environment_id NULLS LAST, n.id LIMIT 2");
    let found: Vec<(i64, bool)> = Statement::<(BigInt, Bool)>::from(sql).load(&mut work.tx.conn()).await?;
    match found.as_slice() {
        [] => Err(Error::field("network", "is required: there is none for everybody")),
        [(network, _)] | [(network, true), (_, false)] => Ok(*network),
        _ => Err(Error::field("network", "is required: there are several")),
    }
}

//! Addresses for a new interface: the next free ones, by functions of the database, which see to it that two transactions never take
//! the same (`free_ip`, `take_ip`, `free_mac` in the migrations). It knows subnets.

use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text};
use diesel_async::RunQueryDsl;
use std::net::IpAddr;

use crate::db::Tx;
use crate::error::{Error, Result};
use crate::sql::{Sql, Statement};

/// Where an interface is wanted.
pub struct Wanted {
    /// The network's id.
    pub network: i64,
    /// The VLAN that carries it.
    pub vlan: Option<i64>,
    /// The subnet whose addresses are preferred for its family.
    pub subnet: Option<i64>,
    /// The one address that is wanted for its family.
    pub address: Option<IpAddr>,
}

/// A subnet: its id, its family, the length of its prefix.
type Subnet = (i64, i32, i32);

/// An address of each family that the network has, with the length of its prefix.
///
/// # Errors
/// [`Error::Conflict`] when none is left, or the one that is wanted is taken.
pub async fn free(tx: &Tx, wanted: &Wanted) -> Result<Vec<String>> {
    let sql =
        Sql::new("SELECT id, family(cidr), masklen(cidr) FROM subnets WHERE purpose = 'addresses' AND network_id = ");
    let sql = sql.one(wanted.network.to_string(), "int8").text(" ORDER BY family(cidr), id");
    let subnets: Vec<Subnet> = Statement::<(BigInt, Integer, Integer)>::from(sql).load(&mut tx.conn()).await?;
    let of_family = async |family| {
        let subnets: Vec<Subnet> = subnets.iter().copied().filter(|subnet| subnet.1 == family).collect();
        match wanted.address.filter(|address| address.is_ipv4() == (family == 4)) {
            Some(address) => take(tx, wanted.network, address).await.map(Some),
            None if subnets.is_empty() => Ok(None),
            None => next(tx, subnets, wanted.subnet, family).await.map(Some),
        }
    };
    let (four, six) = tokio::try_join!(of_family(4), of_family(6))?;
    Ok(four.into_iter().chain(six).collect())
}

/// The next one of a subnet: the wanted one if it is of this family, and no other then.
async fn next(tx: &Tx, mut subnets: Vec<Subnet>, wanted: Option<i64>, family: i32) -> Result<String> {
    if subnets.iter().any(|(id, ..)| Some(*id) == wanted) {
        subnets.retain(|(id, ..)| Some(*id) == wanted);
    }
    for (id, _, length) in subnets {
        let sql = Sql::new("SELECT host(free_ip(").one(id.to_string(), "int8").text("))");
        let found: Option<String> = Statement::<Nullable<Text>>::from(sql).get_result(&mut tx.conn()).await?;
        if let Some(ip) = found {
            return Ok(format!("{ip}/{length}"));
        }
    }
    Err(Error::conflict("", format!("has no IPv{family} address left")))
}

/// This one and no other.
async fn take(tx: &Tx, network: i64, address: IpAddr) -> Result<String> {
    let sql = Sql::new("SELECT masklen(s.cidr) FROM subnets s WHERE s.purpose = 'addresses' AND s.network_id = ");
    let sql = sql.one(network.to_string(), "int8").text(" AND ").one(address.to_string(), "inet");
    let sql = sql.text(" BETWEEN first_ip(s) AND last_ip(s) AND s.gateway IS DISTINCT FROM ");
    let sql = sql.one(address.to_string(), "inet");
    let lengths: Vec<i32> = Statement::<Integer>::from(sql).load(&mut tx.conn()).await?;
    let [length, ..] = lengths.as_slice() else {
        return Err(Error::field("address", "is not one that a subnet of this network gives away"));
    };
    let sql = Sql::new("SELECT take_ip(").one(address.to_string(), "inet").text(", true)");
    let is_ours: bool = Statement::<Bool>::from(sql).get_result(&mut tx.conn()).await?;
    if is_ours { Ok(format!("{address}/{length}")) } else { Err(taken()) }
}

fn taken() -> Error {
    Error::conflict("address", "is already taken")
}

/// A MAC address that nobody has.
///
/// # Errors
/// [`Error::Conflict`] when the range is as good as full.
pub async fn free_mac(tx: &Tx) -> Result<String> {
    let sql = Sql::new("SELECT free_mac()::text");
    let found: Option<String> = Statement::<Nullable<Text>>::from(sql).get_result(&mut tx.conn()).await?;
    found.ok_or_else(|| Error::conflict("", "finds no MAC address left in the range of this server"))
}

//! One thing that was seen, as it is told apart from others: it borrows what it says, until it is kept.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use crate::auth::{Actor, network};
use crate::resource::Resource;
use crate::resources::Node;
use crate::value_type::Type;

/// What was seen.
#[derive(Clone, Debug)]
pub struct Sighting<'a> {
    /// Who, as it is shown; nobody, if that is not known.
    pub actor: Option<Cow<'a, str>>,
    /// The token that was used.
    pub token: Option<i64>,
    /// From where.
    pub address: Option<IpAddr>,
    /// What.
    pub what: What<'a>,
    /// About which object.
    pub object: Option<Object<'a>>,
    /// In which request. Others like it were in others.
    pub request: Option<Cow<'a, str>>,
}

/// What somebody has done, or was not let do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum What<'a> {
    /// A request that was refused.
    Refused {
        /// `GET`
        method: Cow<'a, str>,
        /// The pattern of its address. The address itself might hold what was meant for another field.
        route: Cow<'a, str>,
        /// `403`
        status: u16,
    },
    /// A document that was read.
    Read {
        /// Which view of it.
        view: &'static str,
    },
}

/// An object that something is about.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    /// Its kind.
    pub collection: &'static str,
    /// Its id, if it is known to be there. Else it is recorded only if there is one of this name: it may be anything,
    /// such as what was meant for another field.
    pub id: Option<i64>,
    /// Its natural key.
    pub key: Cow<'a, str>,
}

impl<'a> Sighting<'a> {
    /// What somebody does who is known, from there.
    #[must_use]
    pub fn of(actor: &'a Actor, address: Option<IpAddr>, what: What<'a>) -> Self {
        let name = Some(Cow::Borrowed(actor.name()));
        Self { actor: name, token: actor.token(), address, what, object: None, request: None }
    }

    /// What somebody does of whom only the address is known.
    #[must_use]
    pub fn of_nobody(address: Option<IpAddr>, what: What<'a>) -> Self {
        Self { actor: None, token: None, address, what, object: None, request: None }
    }

    /// Of its own, to be kept.
    #[must_use]
    pub fn to_owned(&self) -> Sighting<'static> {
        let what = match &self.what {
            What::Refused { method, route, status } => {
                What::Refused { method: owned(method), route: owned(route), status: *status }
            }
            What::Read { view } => What::Read { view },
        };
        Sighting {
            actor: self.actor.as_deref().map(owned),
            token: self.token,
            address: self.address,
            what,
            object: self.object.as_ref().map(Object::to_owned),
            request: self.request.as_deref().map(owned),
        }
    }

    /// What all that are like it have in common. Only this one is known to be of its request, and to have given this
    /// name.
    #[must_use]
    pub fn common(&self) -> Self {
        let object = self.object.clone().filter(|object| object.id.is_some());
        Self { object, request: None, ..self.clone() }
    }

    /// What it is told apart by. A name that may be one of nothing is not: else whoever asks for one name after the
    /// other would make each a thing of its own. Nor is the request.
    fn parts(&self) -> impl Hash + Eq + use<'_, 'a> {
        let object = self.object.as_ref().map(|object| (object.collection, object.id));
        (self.actor.as_deref(), self.token, self.address.map(network), &self.what, object)
    }
}

impl Object<'_> {
    /// The node of this name, if it can be a name.
    #[must_use]
    pub fn node_named(name: &str) -> Option<Object<'static>> {
        let can_be = Type::Fqdn.check(&name.into()).is_ok();
        can_be.then(|| Object { collection: Node::NAME, id: None, key: owned(name) })
    }

    /// Of its own, to be kept.
    #[must_use]
    pub fn to_owned(&self) -> Object<'static> {
        Object { collection: self.collection, id: self.id, key: owned(&self.key) }
    }
}

fn owned(text: &str) -> Cow<'static, str> {
    Cow::Owned(text.to_owned())
}

impl PartialEq for Sighting<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Sighting<'_> {}

impl Hash for Sighting<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

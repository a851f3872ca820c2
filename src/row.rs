//! A row of a table: what each of its columns holds. References are ids, and lists are null until they are filled. It
//! is made from the struct that diesel reads, whose fields are in the order of the columns, so that no name is copied.

use serde::Serialize;
use serde::ser::{Error as _, Impossible, SerializeStruct, Serializer};
use serde_json::Value;
use std::ops::Index;

use crate::column::Column;
use crate::error::{Error, Result};

/// One row.
#[derive(Clone)]
pub struct Row {
    columns: &'static [Column],
    /// One for each column.
    values: Vec<Value>,
}

impl Row {
    /// What a struct says of these columns.
    ///
    /// # Errors
    /// When its fields are not those of the table in their order, which is a fault of this program.
    pub fn new(columns: &'static [Column], row: &impl Serialize) -> Result<Self> {
        let values = row.serialize(Fields { columns, values: Vec::with_capacity(columns.len()) });
        Ok(Self { columns, values: values.map_err(|error| Error::Internal(error.into()))? })
    }

    /// Its id, which is its first column.
    pub fn id(&self) -> i64 {
        self.values.first().and_then(Value::as_i64).unwrap_or_default()
    }

    /// Fills a list.
    pub fn fill(&mut self, list: &Column, ids: Value) {
        for (column, value) in self.columns.iter().zip(&mut self.values) {
            if column.name == list.name {
                *value = ids;
                return;
            }
        }
    }

    /// What it holds, in the order of the columns.
    pub fn into_values(self) -> Vec<Value> {
        self.values
    }
}

impl Index<&str> for Row {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        let at = self.columns.iter().position(|column| column.name == name);
        at.and_then(|at| self.values.get(at)).unwrap_or(&Value::Null)
    }
}

/// The values of a struct, as far as they have been told. Serde asks for all that follows; only a struct is a row.
struct Fields {
    columns: &'static [Column],
    values: Vec<Value>,
}

impl SerializeStruct for Fields {
    type Ok = Vec<Value>;
    type Error = serde_json::Error;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> serde_json::Result<()> {
        match self.next_stored() {
            Some(column) if column.name == name => self.values.push(serde_json::to_value(value)?),
            _ => return Err(serde_json::Error::custom(format!("{name} is no column, or not in its place"))),
        }
        Ok(())
    }

    fn end(mut self) -> serde_json::Result<Vec<Value>> {
        match self.next_stored() {
            Some(column) => Err(serde_json::Error::custom(format!("{} is missing", column.name))),
            None => Ok(self.values),
        }
    }
}

impl Fields {
    /// The next column of the table. Lists before it have no value yet.
    fn next_stored(&mut self) -> Option<&'static Column> {
        loop {
            let column = self.columns.get(self.values.len())?;
            if column.is_stored() {
                return Some(column);
            }
            self.values.push(Value::Null);
        }
    }
}

/// `method(what it is given) -> what it would go on with;`
macro_rules! no_row {
    ($($method:ident($($given:ty),*) -> $next:ty;)+) => {
        $(fn $method(self, $(_: $given),*) -> serde_json::Result<$next> {
            Err(serde_json::Error::custom("is no row"))
        })+
    };
}

type Never = Impossible<Vec<Value>, serde_json::Error>;
type Text = &'static str;

impl Serializer for Fields {
    type Ok = Vec<Value>;
    type Error = serde_json::Error;
    type SerializeStruct = Self;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStructVariant = Never;

    fn serialize_struct(self, _: Text, _: usize) -> serde_json::Result<Self> {
        Ok(self)
    }

    no_row! {
        serialize_bool(bool) -> Vec<Value>;
        serialize_i8(i8) -> Vec<Value>;
        serialize_i16(i16) -> Vec<Value>;
        serialize_i32(i32) -> Vec<Value>;
        serialize_i64(i64) -> Vec<Value>;
        serialize_u8(u8) -> Vec<Value>;
        serialize_u16(u16) -> Vec<Value>;
        serialize_u32(u32) -> Vec<Value>;
        serialize_u64(u64) -> Vec<Value>;
        serialize_f32(f32) -> Vec<Value>;
        serialize_f64(f64) -> Vec<Value>;
        serialize_char(char) -> Vec<Value>;
        serialize_str(&str) -> Vec<Value>;
        serialize_bytes(&[u8]) -> Vec<Value>;
        serialize_none() -> Vec<Value>;
        serialize_unit() -> Vec<Value>;
        serialize_unit_struct(Text) -> Vec<Value>;
        serialize_unit_variant(Text, u32, Text) -> Vec<Value>;
        serialize_seq(Option<usize>) -> Never;
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(Text, usize) -> Never;
        serialize_tuple_variant(Text, u32, Text, usize) -> Never;
        serialize_map(Option<usize>) -> Never;
        serialize_struct_variant(Text, u32, Text, usize) -> Never;
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> serde_json::Result<Vec<Value>> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: Text, value: &T) -> serde_json::Result<Vec<Value>> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: Text,
        _: u32,
        _: Text,
        value: &T,
    ) -> serde_json::Result<Vec<Value>> {
        value.serialize(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Resource;
    use crate::resources::Vlan;
    use crate::value_type::{Link, Type};

    #[derive(Serialize)]
    struct Told {
        id: i64,
        name: &'static str,
        created_at: Option<i64>,
    }

    const TOLD: Told = Told { id: 7, name: "seven", created_at: None };
    static LINK: Link = Link { table: "links", own: "own_id", other: "other_id", kind: Vlan::KIND };
    const LIST: Column = Column::new("list", Type::Many(&LINK));
    const LAST: Column = Column::new("last", Type::Many(&LINK));

    #[test]
    fn a_row_has_a_value_for_each_column() {
        static COLUMNS: &[Column] = &[Column::ID, Column::new("name", Type::Text), LIST, Column::CREATED_AT, LAST];
        let mut row = Row::new(COLUMNS, &TOLD).expect("a row");
        assert_eq!(row.id(), 7);
        row.fill(&LIST, Value::from(vec![1, 2]));
        assert_eq!((&row["name"], &row["list"], &row["other"]), (&"seven".into(), &vec![1, 2].into(), &Value::Null));
        assert_eq!(row.into_values().len(), COLUMNS.len());
    }

    #[test]
    fn a_struct_whose_fields_are_not_those_of_the_table_in_their_order_is_no_row() {
        static SHORT: &[Column] = &[Column::ID, Column::CREATED_AT];
        static TURNED: &[Column] = &[Column::new("name", Type::Text), Column::ID, Column::CREATED_AT];
        static LONG: &[Column] =
            &[Column::ID, Column::new("name", Type::Text), Column::new("tag", Type::Int), Column::CREATED_AT];
        for columns in [SHORT, TURNED, LONG] {
            assert!(Row::new(columns, &TOLD).is_err(), "{:?}", columns.iter().map(|c| c.name).collect::<Vec<_>>());
        }
        assert!(Row::new(SHORT, &7).is_err());
    }
}

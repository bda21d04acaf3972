//! Every text of a record without what names a person: the record is written down once more, text by text. What is not
//! text stays as it is, and so does an id.

use std::cell::Cell;

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use crate::domain::erasure::find::MaskLength;
use crate::domain::erasure::identity::KnownIdentities;

/// By what texts are changed, and whether any was.
pub struct TextMask<'k> {
    known: &'k KnownIdentities,
    length: MaskLength,
    found: Cell<bool>,
    /// Whether a text names a mailbox of someone else; `None`: that is not looked for.
    names_another: Cell<Option<bool>>,
}

impl<'k> TextMask<'k> {
    /// A mask of what names any of them.
    pub fn new(known: &'k KnownIdentities, length: MaskLength) -> TextMask<'k> {
        TextMask { known, length, found: Cell::new(false), names_another: Cell::new(None) }
    }

    /// The same, which looks for other mailboxes too.
    #[must_use]
    pub fn looking_for_others(self) -> TextMask<'k> {
        TextMask { names_another: Cell::new(Some(false)), ..self }
    }

    /// Whether a mailbox of someone else was found so far, where that is looked for.
    pub fn has_found_another(&self) -> bool {
        self.names_another.get() == Some(true)
    }

    fn note_others(&self, text: &[u8]) {
        if self.names_another.get() == Some(false) && self.known.is_another_named_in(text) {
            self.names_another.set(Some(true));
        }
    }

    /// The record, to be written down without what names them.
    pub fn of<'a, T: Serialize + ?Sized>(&'a self, record: &'a T) -> Masked<'a, T> {
        Masked { record, mask: self, is_id: false }
    }

    /// Whether anything was found so far.
    pub fn has_found(&self) -> bool {
        self.found.get()
    }
}

/// A record that is written down without what names a person.
pub struct Masked<'a, T: ?Sized> {
    record: &'a T,
    mask: &'a TextMask<'a>,
    /// Whether it is the text of an id.
    is_id: bool,
}

impl<T: Serialize + ?Sized> Serialize for Masked<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.record.serialize(MaskingSerializer { to, mask: self.mask, is_id: self.is_id })
    }
}

/// Hands everything on but what names a person.
struct MaskingSerializer<'a, S> {
    to: S,
    mask: &'a TextMask<'a>,
    is_id: bool,
}

/// The members of something, each handed on so.
struct MaskingMembers<'a, S> {
    to: S,
    mask: &'a TextMask<'a>,
}

macro_rules! hand_on {
    ($($name:ident: $type:ty),+) => {
        $(fn $name(self, value: $type) -> Result<S::Ok, S::Error> {
            self.to.$name(value)
        })+
    };
}

impl<'a, S: Serializer> Serializer for MaskingSerializer<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = MaskingMembers<'a, S::SerializeSeq>;
    type SerializeTuple = MaskingMembers<'a, S::SerializeTuple>;
    type SerializeTupleStruct = MaskingMembers<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = MaskingMembers<'a, S::SerializeTupleVariant>;
    type SerializeMap = MaskingMembers<'a, S::SerializeMap>;
    type SerializeStruct = MaskingMembers<'a, S::SerializeStruct>;
    type SerializeStructVariant = MaskingMembers<'a, S::SerializeStructVariant>;

    hand_on! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_char: char, serialize_unit_struct: &'static str
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        self.to.serialize_f32(value)
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        self.to.serialize_f64(value)
    }

    fn serialize_str(self, text: &str) -> Result<S::Ok, S::Error> {
        let masked = if self.is_id { None } else { self.mask.known.masked_text(text, self.mask.length) };
        if !self.is_id {
            self.mask.note_others(text.as_bytes());
        }
        match masked {
            Some(masked) => {
                self.mask.found.set(true);
                self.to.serialize_str(&masked)
            }
            None => self.to.serialize_str(text),
        }
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<S::Ok, S::Error> {
        self.mask.note_others(bytes);
        match self.mask.known.masked(bytes, self.mask.length) {
            Some(masked) => {
                self.mask.found.set(true);
                self.to.serialize_bytes(&masked)
            }
            None => self.to.serialize_bytes(bytes),
        }
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.to.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.to.serialize_some(&self.mask.of(value))
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.to.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.to.serialize_unit_variant(name, index, variant)
    }

    /// Ids are texts in a type of their own.
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.to.serialize_newtype_struct(name, &Masked { record: value, mask: self.mask, is_id: true })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.to.serialize_newtype_variant(name, index, variant, &self.mask.of(value))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        Ok(MaskingMembers { to: self.to.serialize_seq(length)?, mask: self.mask })
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        Ok(MaskingMembers { to: self.to.serialize_tuple(length)?, mask: self.mask })
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        Ok(MaskingMembers { to: self.to.serialize_tuple_struct(name, length)?, mask: self.mask })
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let to = self.to.serialize_tuple_variant(name, index, variant, length)?;
        Ok(MaskingMembers { to, mask: self.mask })
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        Ok(MaskingMembers { to: self.to.serialize_map(length)?, mask: self.mask })
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeStruct, S::Error> {
        Ok(MaskingMembers { to: self.to.serialize_struct(name, length)?, mask: self.mask })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let to = self.to.serialize_struct_variant(name, index, variant, length)?;
        Ok(MaskingMembers { to, mask: self.mask })
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.serialize_str(&value.to_string())
    }

    fn is_human_readable(&self) -> bool {
        self.to.is_human_readable()
    }
}

macro_rules! members {
    ($($of:ident $member:ident),+) => {
        $(impl<S: $of> $of for MaskingMembers<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn $member<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                self.to.$member(&self.mask.of(value))
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.to.end()
            }
        })+
    };
}

members! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
}

macro_rules! named_members {
    ($($of:ident),+) => {
        $(impl<S: $of> $of for MaskingMembers<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), S::Error> {
                self.to.serialize_field(name, &self.mask.of(value))
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.to.end()
            }
        })+
    };
}

named_members! { SerializeStruct, SerializeStructVariant }

impl<S: SerializeMap> SerializeMap for MaskingMembers<'_, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.to.serialize_key(&self.mask.of(key))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        self.to.serialize_value(&self.mask.of(value))
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.to.end()
    }
}

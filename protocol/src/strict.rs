//! Maps as PROTOCOL.md means them. Serde alone would also read a struct from a list, and a field from its index.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, Visitor};

/// A `T` read from a map with text keys and from nothing else.
#[derive(Debug)]
pub(crate) struct Map<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Map<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        FromMap::new(|_: &str| ()).deserialize(deserializer).map(Map)
    }
}

/// Reads a `T` from a map and shows each key before its value is read.
pub(crate) struct FromMap<T, K> {
    each_key: K,
    value: PhantomData<T>,
}

impl<T, K> FromMap<T, K> {
    pub(crate) fn new(each_key: K) -> Self {
        FromMap { each_key, value: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>, K: FnMut(&str)> DeserializeSeed<'de> for FromMap<T, K> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Deserialize<'de>, K: FnMut(&str)> Visitor<'de> for FromMap<T, K> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }
    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<T, M::Error> {
        T::deserialize(MapAccessDeserializer::new(TextKeys { map, each_key: self.each_key }))
    }
}

struct TextKeys<M, K> {
    map: M,
    each_key: K,
}

impl<'de, M: MapAccess<'de>, K: FnMut(&str)> MapAccess<'de> for TextKeys<M, K> {
    type Error = M::Error;
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, M::Error> {
        let key = self.map.next_key_seed(TextKey { seed, each_key: &mut self.each_key });
        if key.is_err() {
            (self.each_key)("a key that is not text");
        }
        key
    }
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, M::Error> {
        self.map.next_value_seed(seed)
    }
}

/// Hands a key to `seed` if it is text.
struct TextKey<'k, S, K> {
    seed: S,
    each_key: &'k mut K,
}

impl<'de, S: DeserializeSeed<'de>, K: FnMut(&str)> DeserializeSeed<'de> for TextKey<'_, S, K> {
    type Value = S::Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, S: DeserializeSeed<'de>, K: FnMut(&str)> Visitor<'de> for TextKey<'_, S, K> {
    type Value = S::Value;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key that is text")
    }
    fn visit_str<E: Error>(self, key: &str) -> Result<S::Value, E> {
        (self.each_key)(key);
        self.seed.deserialize(key.into_deserializer())
    }
}

//! Reads a document while it arrives: one conversation of it is in memory at a time.

use std::fmt;
use std::io::Read;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Budget, FORMAT, Session, VERSION};

/// Nobody takes more conversations.
#[derive(Debug)]
pub(crate) struct Stopped;

/// Gives each conversation of a document on.
pub(crate) fn read(
    from: impl Read,
    budget: &Budget,
    mut give: impl FnMut(Session) -> Result<(), Stopped>,
) -> serde_json::Result<()> {
    let mut json = serde_json::Deserializer::from_reader(from);
    Document { budget, give: &mut give }.deserialize(&mut json)?;
    json.end()
}

struct Document<'a, G> {
    budget: &'a Budget,
    give: &'a mut G,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Key {
    Format,
    Version,
    Sessions,
    #[serde(other)]
    Other,
}

impl<'de, G: FnMut(Session) -> Result<(), Stopped>> DeserializeSeed<'de> for Document<'_, G> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, G: FnMut(Session) -> Result<(), Stopped>> Visitor<'de> for Document<'_, G> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut format, mut version, mut is_read) = (None, None, false);
        while let Some(key) = map.next_key()? {
            match key {
                Key::Format => format = Some(map.next_value::<String>()?),
                Key::Version => version = Some(map.next_value::<u32>()?),
                // What they are is said before they come: nobody holds them until it is known.
                Key::Sessions if format.as_deref() != Some(FORMAT) => return Err(A::Error::missing_field("format")),
                Key::Sessions if version != Some(VERSION) => return Err(A::Error::missing_field("version")),
                Key::Sessions => {
                    map.next_value_seed(Sessions { budget: self.budget, give: &mut *self.give })?;
                    is_read = true;
                }
                Key::Other => drop(map.next_value::<IgnoredAny>()?),
            }
            self.budget.renew();
        }
        if is_read { Ok(()) } else { Err(A::Error::missing_field("sessions")) }
    }
}

struct Sessions<'a, G> {
    budget: &'a Budget,
    give: &'a mut G,
}

impl<'de, G: FnMut(Session) -> Result<(), Stopped>> DeserializeSeed<'de> for Sessions<'_, G> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de, G: FnMut(Session) -> Result<(), Stopped>> Visitor<'de> for Sessions<'_, G> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("conversations")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sessions: A) -> Result<(), A::Error> {
        self.budget.renew();
        while let Some(session) = sessions.next_element()? {
            (self.give)(session).map_err(|Stopped| A::Error::custom("nobody takes more"))?;
            self.budget.renew();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "018bcfe5-6abb-7000-8000-000000000001";

    fn session() -> String {
        let at = "2026-01-31T12:00:00.000001Z";
        format!(
            "{{\"session_id\":\"{ID}\",\"session_name\":null,\"created_at\":\"{at}\",\"updated_at\":\"{at}\",\"messages\":[]}}"
        )
    }

    fn read_all(json: &str) -> (usize, serde_json::Result<()>) {
        let mut given = 0;
        let outcome = read(json.as_bytes(), &Budget::new(0), |_| {
            given += 1;
            Ok(())
        });
        (given, outcome)
    }

    #[test]
    fn conversations_are_given_on_one_by_one() {
        let (one, mut given) = (session(), Vec::new());
        let json = format!("{{\"format\":\"colloquy\",\"version\":1,\"extra\":[{{}}],\"sessions\":[{one},{one}]}}\n");
        read(json.as_bytes(), &Budget::new(0), |it| {
            given.push(it);
            Ok(())
        })
        .unwrap();
        assert_eq!(given.len(), 2);
        let [first, second] = given.as_slice() else { panic!("two") };
        assert_eq!(first, second);
        assert_eq!(first.id.to_string(), ID);
    }

    #[test]
    fn what_is_broken_gives_on_what_came_before_it() {
        let one = session();
        let begin = "{\"format\":\"colloquy\",\"version\":1,\"sessions\":[";
        for (rest, before) in [
            (format!("{one},{one}"), 2),
            (format!("{one},{one}]"), 2),
            (format!("{one},{{\"session_id\":1}}]}}"), 1),
            (format!("{one}]}} x"), 1),
            (String::new(), 0),
        ] {
            let (given, outcome) = read_all(&format!("{begin}{rest}"));
            assert!(outcome.is_err(), "{rest}");
            assert_eq!(given, before, "{rest}");
        }
    }

    #[test]
    fn what_is_no_document_is_refused_before_it_is_read() {
        let one = session();
        for json in [
            format!("{{\"sessions\":[{one}],\"format\":\"colloquy\",\"version\":1}}"),
            format!("{{\"format\":\"other\",\"version\":1,\"sessions\":[{one}]}}"),
            format!("{{\"format\":\"colloquy\",\"version\":2,\"sessions\":[{one}]}}"),
            "{\"format\":\"colloquy\",\"version\":1}".to_owned(),
            "[]".to_owned(),
            String::new(),
        ] {
            let (given, outcome) = read_all(&json);
            assert!(outcome.is_err() && given == 0, "{json}");
        }
    }
}

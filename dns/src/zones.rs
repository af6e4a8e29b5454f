//! Which place a zone has among those that are counted.
//!
//! A name's zone is a small number from the look-up to the counter ([`Zone`]). Invariants: a number
//! means the same zone as long as the process lives, so that no counter changes its labels; there
//! are at most [`MOST_ZONES`], whatever settings say over time, and what finds no place is counted
//! under the root.

use std::sync::{Arc, Mutex, PoisonError};

/// Where a message is counted: a zone of ours, or what else became of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Zone(u8);

/// The zones that were ever counted, in the order of their numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct ZoneNames(Arc<Mutex<Vec<Named>>>);

/// A zone, and the view in which it is seen: a network, or nothing.
type Named = (Box<str>, Box<[u8]>);

impl Zone {
    /// Nobody's: malformed, refused, not answered.
    pub(crate) const DROPPED: Self = Self(0);
    /// What upstreams were asked for it.
    pub(crate) const FORWARD: Self = Self(1);
    /// What they had been asked before.
    pub(crate) const CACHE: Self = Self(2);
    /// A client that may not ask.
    pub(crate) const ACL: Self = Self(3);
    /// `localhost` and the other names that mean the same everywhere.
    pub(crate) const SPECIAL: Self = Self(4);
    /// A host of ours outside every zone.
    pub(crate) const HOST: Self = Self(5);
    /// A client that may not ask and hears nothing.
    pub(crate) const SILENCED: Self = Self(6);

    /// Below [`MOST_ZONES`].
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl ZoneNames {
    /// The numbers of `zones`, wire names, as `view` sees them; one that is new gets the next.
    pub(crate) fn number(&self, view: &str, zones: &[Box<[u8]>]) -> Arc<[Zone]> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut number = |zone: &[u8]| {
            let place = known.iter().position(|it| *it.0 == *view && *it.1 == *zone);
            let place = place.or_else(|| {
                let is_room = FIXED.len() + known.len() < MOST_ZONES;
                is_room.then(|| known.push((view.into(), zone.into())))?;
                Some(known.len() - 1)
            });
            let number = place.and_then(|place| u8::try_from(FIXED.len() + place).ok());
            number.map_or(Zone::HOST, Zone)
        };
        zones.iter().map(|zone| number(zone)).collect()
    }

    /// The labels `zone`, `plugin` and `view` of every number so far.
    pub(crate) fn labels(&self) -> Vec<(String, &'static str, String)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fixed = FIXED.map(|(zone, plugin)| (zone.to_owned(), plugin, String::new()));
        let zones = known.iter();
        let zones = zones.map(|(view, zone)| (dotted(zone), "kubernetes", view.to_string()));
        fixed.into_iter().chain(zones).collect()
    }
}

/// A wire name as it is written, with its final dot.
pub(crate) fn dotted(mut name: &[u8]) -> String {
    let mut text = String::new();
    while let Some((&length, rest)) = name.split_first() {
        let Some((label, rest)) = rest.split_at_checked(usize::from(length)) else { break };
        if length == 0 {
            break;
        }
        for octet in label {
            match octet {
                b'.' | b'\\' => text.extend(['\\', char::from(*octet)]),
                b'!'..=b'~' => text.push(char::from(*octet)),
                octet => text.push_str(&format!("\\{octet:03}")),
            }
        }
        text.push('.');
        name = rest;
    }
    if text.is_empty() {
        text.push('.');
    }
    text
}

/// Numbers in all.
pub(crate) const MOST_ZONES: usize = 64;
/// In the order of [`Zone`]'s constants.
const FIXED: [(&str, &str); 7] = [
    ("dropped", ""),
    (".", "forward"),
    (".", "cache"),
    ("dropped", "acl"),
    (".", "local"),
    (".", "kubernetes"),
    ("dropped", "acl"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::wire;

    #[test]
    fn a_zone_keeps_its_number_and_numbers_end() {
        let names = ZoneNames::default();
        let zone = |text: &str| Box::<[u8]>::from(wire(text).unwrap());
        let first = names.number("", &[zone("cluster.local"), zone("portico.test")]);
        let second = names.number("", &[zone("portico.test"), zone("other.test")]);
        assert_eq!(first[1], second[0]);
        assert_eq!(
            names.labels()[second[1].index()],
            ("other.test.".to_owned(), "kubernetes", String::new())
        );
        let seen = names.number("10.0.0.0/8", &[zone("portico.test")]);
        assert_ne!(seen[0], second[0], "a view counts by itself");
        let many: Vec<_> = (0..100)
            .map(|number| zone(&format!("z{number}.test")))
            .collect();
        let numbers = names.number("", &many);
        assert!(numbers.iter().all(|zone| zone.index() < MOST_ZONES));
        assert_eq!((numbers[99], names.labels().len()), (Zone::HOST, MOST_ZONES));
    }

    #[test]
    fn names_are_written_so_that_nothing_in_them_is_obeyed() {
        for (name, want) in [
            (&b"\0"[..], "."),
            (b"", "."),
            (b"\x03www\x07example\0", "www.example."),
            (b"\x05a\nb\x1b.\0", "a\\010b\\027\\.."),
            (b"\x02\"\\\0", "\"\\\\."),
            (b"\x01\xff\0", "\\255."),
            (b"\x3fcut", "."),
        ] {
            assert_eq!(dotted(name), want);
        }
    }
}
